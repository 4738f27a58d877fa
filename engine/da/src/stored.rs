//! Slivers on a disk: the rows in a store of rows, and beside it a small index of what can be made anew from
//! it.
//!
//! ```text
//!  append ─► rows, checksums, table, hashes ─► DIR/rows    durable: what a signature stands on
//!        └─► which blobs, until when          ─► DIR/index   made again from the rows where it lags
//!  certify ────────────────────────────────► DIR/index   lost with it: others have it, and the chain
//! ```

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use lode_da_rows::{self as rows, Class, Error};
use lode_proofs::{
    Hash32,
    da::{Holding, Statement, Table, certificate::STATEMENT_LEN},
};
use parking_lot::Mutex;

use crate::keep::{About, Held, Keep, KeepError, Listed};

/// Bytes that the index may keep in memory.
const CACHE: u64 = 32 << 20;
/// Containers of which all but the rows is kept in memory: those that are read by many at once.
const ABOUT_MAX: usize = 64;
/// Rows that are handed to the store at once.
const PUSH_MAX: usize = 64;
/// Containers that are asked for at once when the index is compared with the rows.
const LIST_STEP: usize = 1024;

/// Slivers on a disk. Clones are of one store.
#[derive(Clone)]
pub struct Stored {
    rows: rows::Handle,
    index: Arc<Index>,
    abouts: Arc<Mutex<Recent>>,
}

/// What was read last.
#[derive(Default)]
struct Recent {
    all: BTreeMap<Hash32, (u64, Arc<About>)>,
    clock: u64,
}

struct Index {
    database: Database,
    /// Container → statement, columns.
    containers: Keyspace,
    /// Epoch, quorum, blob root → container, place.
    blobs: Keyspace,
    /// Container → its table: what is to be forgotten with it.
    tables: Keyspace,
    /// Container → certificate.
    certificates: Keyspace,
}

/// Why a store does not open, or fails.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The index.
    #[error("the index of data availability: {0}")]
    Index(#[from] fjall::Error),
    /// The rows.
    #[error(transparent)]
    Rows(#[from] Error),
}

impl Stored {
    /// A store over rows that are open, with its index in a folder. Containers that the index does not know
    /// are read for it: a sequential read of their tables.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open(rows: rows::Handle, folder: &Path) -> Result<Stored, StoreError> {
        let database = Database::builder(folder).cache_size(CACHE).open()?;
        let space = |name| database.keyspace(name, KeyspaceCreateOptions::default);
        let index = Index {
            containers: space("containers")?,
            blobs: space("blobs")?,
            tables: space("tables")?,
            certificates: space("certificates")?,
            database,
        };
        let stored = Stored {
            rows,
            index: index.into(),
            abouts: Arc::default(),
        };
        stored.reconcile().await?;
        Ok(stored)
    }

    /// Brings the index to what the rows are.
    async fn reconcile(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let listed = self.rows.list(after, LIST_STEP).await?;
            let Some(last) = listed.last() else { break };
            after = Some(last.container);
            for listed in &listed {
                let known = self.index.statement(listed.container)?;
                if known.is_some_and(|known| known.expiry == listed.expiry) {
                    continue;
                }
                let mut statement = self.rows.statement(listed.container).await?;
                statement.expiry = listed.expiry;
                let table = self.rows.table(listed.container).await?;
                self.index.add(&statement, &table)?;
            }
        }
        for listed in self.index.list() {
            if !self.rows.holds(listed.container).await? {
                self.forget(listed.container).await?;
            }
        }
        Ok(())
    }

    /// Lets go of everything whose term is over; bytes of the disk that are free by it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn expire(&self, now: u64) -> Result<u64, StoreError> {
        let freed = self.rows.expire(now).await?;
        for listed in self.index.list() {
            if listed.expiry <= now && !self.rows.holds(listed.container).await? {
                self.forget(listed.container).await?;
            }
        }
        Ok(freed.bytes)
    }

    async fn forget(&self, container: Hash32) -> Result<(), StoreError> {
        self.abouts.lock().all.remove(&container);
        Ok(self.index.remove(container)?)
    }

    /// Ends the executors in peace.
    pub async fn stop(&self) {
        self.rows.stop().await;
    }

    async fn read_about(&self, container: Hash32) -> Result<Option<About>, Error> {
        let kept = match self.rows.holding(container).await {
            Ok(kept) => kept,
            Err(Error::NotHeld { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        // As `append` puts them: first those beside the rows, then those of the rows.
        let beside = kept.siblings.len().saturating_sub(kept.rows.len());
        let (siblings, leaves) = kept.siblings.split_at(beside);
        let holding = Holding::new(&kept.rows, leaves, siblings);
        let Some(holding) = holding.filter(|all| all.root() == kept.statement.head.row_root) else {
            tracing::error!(%container, "the hashes of a container are damaged here");
            return Ok(None);
        };
        Ok(Some(About {
            statement: kept.statement,
            table: kept.table.into(),
            checks: kept.checks.into(),
            holding,
            certificate: None,
        }))
    }
}

impl Keep for Stored {
    async fn append(&self, held: Held) -> Result<(), KeepError> {
        let numbers = held.holding.rows().to_vec();
        let siblings = held.holding.proof(&numbers).unwrap_or_default();
        let kept = rows::Holding {
            statement: held.statement,
            rows: numbers,
            siblings: [siblings, held.holding.leaves()].concat(),
            checks: held.checks.to_vec(),
            table: held.table.to_vec(),
        };
        match self.rows.begin(kept).await {
            Ok(mut appending) => {
                let width = held.statement.head.shape.width();
                let whole = PUSH_MAX * width;
                for start in (0..held.rows.len()).step_by(whole) {
                    let end = held.rows.len().min(start + whole);
                    let rows = (start..end).step_by(width);
                    let rows = rows.map(|at| held.rows.slice(at..at + width)).collect();
                    appending.push(rows).await.map_err(told)?;
                }
                appending.finish().await.map_err(told)?;
            }
            Err(Error::Held { .. }) => {}
            Err(error) => return Err(told(error)),
        }
        let added = self.index.add(&held.statement, &held.table);
        added.map_err(|error| KeepError::Failed(error.to_string()))
    }

    async fn extend(&self, container: Hash32, expiry: u64) -> Result<(), KeepError> {
        match self.rows.extend(container, expiry).await {
            Ok(()) => {}
            Err(Error::NotLater { .. }) => return Ok(()),
            Err(error) => return Err(told(error)),
        }
        self.abouts.lock().all.remove(&container);
        let extended = self.index.extend(container, expiry);
        extended.map_err(|error| KeepError::Failed(error.to_string()))
    }

    async fn certify(&self, container: Hash32, certificate: Bytes) -> Result<(), KeepError> {
        let certified = self.index.certify(container, &certificate);
        self.abouts.lock().all.remove(&container);
        certified.map_err(|error| KeepError::Failed(error.to_string()))
    }

    async fn about(&self, container: Hash32) -> Result<Option<Arc<About>>, KeepError> {
        if let Some(about) = self.abouts.lock().get(container) {
            return Ok(Some(about));
        }
        let Some(mut about) = self.read_about(container).await.map_err(told)? else {
            return Ok(None);
        };
        let failed = |error: fjall::Error| KeepError::Failed(error.to_string());
        about.certificate = self.index.certificate(container).map_err(failed)?;
        let about = Arc::new(about);
        self.abouts.lock().put(container, about.clone());
        Ok(Some(about))
    }

    async fn rows(&self, container: Hash32, rows: &[u16]) -> Result<Option<Bytes>, KeepError> {
        match self.rows.rows(container, rows.to_vec()).await {
            Ok(rows) => Ok(Some(rows.concat().into())),
            Err(Error::NotHeld { .. } | Error::NoRow { .. }) => Ok(None),
            Err(error @ Error::Lost { .. }) => {
                tracing::warn!(%error, "rows are lost here");
                Ok(None)
            }
            Err(error) => Err(told(error)),
        }
    }

    fn locate(&self, epoch: u64, quorum: u32, blob: Hash32) -> Option<(Hash32, u16)> {
        self.index.locate(epoch, quorum, blob)
    }

    fn statement(&self, container: Hash32) -> Option<Statement> {
        // An index that cannot be read knows nothing; the store of rows says so again.
        self.index.statement(container).ok().flatten()
    }

    fn list(&self) -> Vec<Listed> {
        self.index.list()
    }
}

/// What the store of rows says, for the desk.
fn told(error: Error) -> KeepError {
    match error {
        Error::Full { .. } => KeepError::Full,
        Error::TooFar { .. } | Error::Expired { .. } => KeepError::Term,
        error => {
            if error.class() == Class::Fatal {
                tracing::error!(%error, "the store of rows");
            }
            KeepError::Failed(error.to_string())
        }
    }
}

impl Recent {
    fn get(&mut self, container: Hash32) -> Option<Arc<About>> {
        self.clock += 1;
        let (used, about) = self.all.get_mut(&container)?;
        *used = self.clock;
        Some(about.clone())
    }

    fn put(&mut self, container: Hash32, about: Arc<About>) {
        self.clock += 1;
        self.all.insert(container, (self.clock, about));
        if self.all.len() > ABOUT_MAX {
            let oldest = self.all.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(container, _)| *container) {
                self.all.remove(&oldest);
            }
        }
    }
}

impl Index {
    fn add(&self, statement: &Statement, table: &[u8]) -> Result<(), fjall::Error> {
        let container = statement.head.id();
        let mut batch = self.database.batch();
        batch.insert(&self.containers, container.0, encoded(statement));
        batch.insert(&self.tables, container.0, table);
        let table = Table::decode(table);
        let entries = table.iter().flat_map(|table| table.entries().iter());
        for (place, entry) in (0_u16..).zip(entries) {
            let value = [&container.0[..], &place.to_be_bytes()].concat();
            batch.insert(&self.blobs, blob_key(statement, entry.root), value);
        }
        batch.commit()
    }

    fn extend(&self, container: Hash32, expiry: u64) -> Result<(), fjall::Error> {
        if let Some(mut statement) = self.statement(container)? {
            statement.expiry = expiry;
            self.containers.insert(container.0, encoded(&statement))?;
        }
        Ok(())
    }

    fn certify(&self, container: Hash32, certificate: &[u8]) -> Result<(), fjall::Error> {
        if self.containers.contains_key(container.0)? {
            let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
            batch.insert(&self.certificates, container.0, certificate);
            batch.commit()?;
        }
        Ok(())
    }

    fn certificate(&self, container: Hash32) -> Result<Option<Bytes>, fjall::Error> {
        let found = self.certificates.get(container.0)?;
        Ok(found.map(|bytes| Bytes::copy_from_slice(&bytes)))
    }

    fn statement(&self, container: Hash32) -> Result<Option<Statement>, fjall::Error> {
        let found = self.containers.get(container.0)?;
        Ok(found.and_then(|bytes| decoded(&bytes)))
    }

    fn locate(&self, epoch: u64, quorum: u32, blob: Hash32) -> Option<(Hash32, u16)> {
        let key = [&epoch.to_be_bytes()[..], &quorum.to_be_bytes(), &blob.0].concat();
        let value = self.blobs.get(key).ok().flatten()?;
        let (container, place) = value.split_first_chunk::<32>()?;
        let place = u16::from_be_bytes(place.try_into().ok()?);
        Some((Hash32(*container), place))
    }

    /// Forgets a container; what names its blobs goes as well, unless it names another by now.
    fn remove(&self, container: Hash32) -> Result<(), fjall::Error> {
        let mut batch = self.database.batch();
        if let (Some(statement), Some(table)) =
            (self.statement(container)?, self.tables.get(container.0)?)
        {
            let table = Table::decode(&table);
            for entry in table.iter().flat_map(|table| table.entries()) {
                let key = blob_key(&statement, entry.root);
                let value = self.blobs.get(&key)?;
                if value.is_some_and(|value| value.starts_with(&container.0)) {
                    batch.remove(&self.blobs, key);
                }
            }
        }
        batch.remove(&self.containers, container.0);
        batch.remove(&self.tables, container.0);
        batch.remove(&self.certificates, container.0);
        batch.commit()
    }

    fn list(&self) -> Vec<Listed> {
        let entry = |entry: fjall::Guard| {
            let (key, value) = entry.into_inner().ok()?;
            let statement = decoded(&value)?;
            Some(Listed {
                container: Hash32(key[..].try_into().ok()?),
                quorum: (statement.quorum.epoch, statement.quorum.quorum),
                expiry: statement.expiry,
            })
        };
        self.containers.iter().filter_map(entry).collect()
    }
}

/// A statement with what it takes to read it.
fn encoded(statement: &Statement) -> Vec<u8> {
    let columns = statement.head.columns.to_be_bytes();
    [&columns[..], &statement.encode()].concat()
}

fn decoded(bytes: &[u8]) -> Option<Statement> {
    let (columns, statement) = bytes.split_first_chunk::<2>()?;
    let columns = usize::from(u16::from_be_bytes(*columns));
    let statement: &[u8; STATEMENT_LEN] = statement.try_into().ok()?;
    Statement::decode(statement, columns).ok()
}

fn blob_key(statement: &Statement, root: Hash32) -> Vec<u8> {
    let quorum = statement.quorum;
    let epoch = quorum.epoch.to_be_bytes();
    [&epoch[..], &quorum.quorum.to_be_bytes(), &root.0].concat()
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
