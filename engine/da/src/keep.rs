//! What keeps slivers: a trait that a store of rows implements, and one in memory, for tests and for a node
//! that is not meant to outlive its process.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use bytes::Bytes;
use lode_proofs::{
    Hash32,
    da::{Holding, Statement},
};
use parking_lot::Mutex;

/// What a holder keeps of one container.
#[derive(Clone, Debug)]
pub struct Held {
    /// What it signs.
    pub statement: Statement,
    /// The container's table.
    pub table: Bytes,
    /// Checksums of the original rows.
    pub checks: Bytes,
    /// Its rows' numbers, ascending, and what it knows of the tree over them.
    pub holding: Holding,
    /// Its rows, one after the other.
    pub rows: Bytes,
}

/// The same without the rows' bytes.
#[derive(Clone, Debug)]
pub struct About {
    /// What was signed.
    pub statement: Statement,
    /// The container's table.
    pub table: Bytes,
    /// Checksums of the original rows.
    pub checks: Bytes,
    /// The rows that are held, and what is known of the tree over them.
    pub holding: Holding,
    /// The certificate, if it has come.
    pub certificate: Option<Bytes>,
}

/// A container that is kept, in a list of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub container: Hash32,
    /// Its quorum's epoch and number.
    pub quorum: (u64, u32),
    /// Until when, in unix seconds, end exclusive.
    pub expiry: u64,
}

/// Why a store did not do it. Other containers are as they were.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeepError {
    /// There is no room.
    #[error("the disk is full")]
    Full,
    /// Its bucket cannot be had: too far ahead.
    #[error("it expires later than rows are kept")]
    Term,
    /// Something else; the text names what and where.
    #[error("{0}")]
    Failed(String),
}

/// What keeps slivers. Clones are of one store.
pub trait Keep: Clone + Send + Sync + 'static {
    /// Keeps a sliver until its expiry. When this returns, power may be lost. One that is kept already
    /// stays as it is.
    fn append(&self, held: Held) -> impl Future<Output = Result<(), KeepError>> + Send;

    /// Keeps a container that is kept until a later time. When this returns, power may be lost.
    fn extend(
        &self,
        container: Hash32,
        expiry: u64,
    ) -> impl Future<Output = Result<(), KeepError>> + Send;

    /// Keeps the certificate of a container that is kept; of others it is dropped.
    fn certify(
        &self,
        container: Hash32,
        certificate: Bytes,
    ) -> impl Future<Output = Result<(), KeepError>> + Send;

    /// What is known of a container.
    fn about(
        &self,
        container: Hash32,
    ) -> impl Future<Output = Result<Option<Arc<About>>, KeepError>> + Send;

    /// Rows of a container, one after the other; none if one of them is not here, or cannot be read.
    fn rows(
        &self,
        container: Hash32,
        rows: &[u16],
    ) -> impl Future<Output = Result<Option<Bytes>, KeepError>> + Send;

    /// The container of a quorum that has a blob of this root, and the blob's place in its table.
    fn locate(&self, epoch: u64, quorum: u32, blob: Hash32) -> Option<(Hash32, u16)>;

    /// What is kept of a container's statement, if it is.
    fn statement(&self, container: Hash32) -> Option<Statement>;

    /// Everything that is kept.
    fn list(&self) -> Vec<Listed>;
}

/// Keeps slivers in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Slivers>>);

/// What is known of each container, and its rows.
type Slivers = BTreeMap<Hash32, (Arc<About>, Bytes)>;

impl Memory {
    /// Forgets a container, as a lost disk does.
    pub fn lose(&self, container: Hash32) -> bool {
        self.0.lock().remove(&container).is_some()
    }

    /// Forgets what has expired.
    pub fn expire(&self, now: u64) {
        self.0
            .lock()
            .retain(|_, (about, _)| about.statement.expiry > now);
    }
}

impl Keep for Memory {
    async fn append(&self, held: Held) -> Result<(), KeepError> {
        let mut all = self.0.lock();
        let id = held.statement.head.id();
        if all.contains_key(&id) {
            return Ok(());
        }
        let about = About {
            statement: held.statement,
            table: held.table,
            checks: held.checks,
            holding: held.holding,
            certificate: None,
        };
        all.insert(id, (Arc::new(about), held.rows));
        Ok(())
    }

    async fn extend(&self, container: Hash32, expiry: u64) -> Result<(), KeepError> {
        if let Some((about, _)) = self.0.lock().get_mut(&container) {
            let about = Arc::make_mut(about);
            about.statement.expiry = about.statement.expiry.max(expiry);
        }
        Ok(())
    }

    async fn certify(&self, container: Hash32, certificate: Bytes) -> Result<(), KeepError> {
        if let Some((about, _)) = self.0.lock().get_mut(&container) {
            Arc::make_mut(about).certificate = Some(certificate);
        }
        Ok(())
    }

    async fn about(&self, container: Hash32) -> Result<Option<Arc<About>>, KeepError> {
        let all = self.0.lock();
        Ok(all.get(&container).map(|(about, _)| about.clone()))
    }

    async fn rows(&self, container: Hash32, rows: &[u16]) -> Result<Option<Bytes>, KeepError> {
        let all = self.0.lock();
        let Some((about, bytes)) = all.get(&container) else {
            return Ok(None);
        };
        let width = about.statement.head.shape.width();
        let mut found = Vec::with_capacity(rows.len() * width);
        for row in rows {
            let Ok(place) = about.holding.rows().binary_search(row) else {
                return Ok(None);
            };
            found.extend_from_slice(&bytes[place * width..][..width]);
        }
        Ok(Some(found.into()))
    }

    fn locate(&self, epoch: u64, quorum: u32, blob: Hash32) -> Option<(Hash32, u16)> {
        let all = self.0.lock();
        all.iter().find_map(|(id, (about, _))| {
            let of = about.statement.quorum;
            let table = lode_proofs::da::Table::decode(&about.table).ok()?;
            let here = (of.epoch, of.quorum) == (epoch, quorum);
            let place = table.entries().iter().position(|entry| entry.root == blob);
            place
                .filter(|_| here)
                .and_then(|place| Some((*id, u16::try_from(place).ok()?)))
        })
    }

    fn statement(&self, container: Hash32) -> Option<Statement> {
        let all = self.0.lock();
        all.get(&container).map(|(about, _)| about.statement)
    }

    fn list(&self) -> Vec<Listed> {
        let all = self.0.lock();
        let listed = |(id, (about, _)): (&Hash32, &(Arc<About>, Bytes))| Listed {
            container: *id,
            quorum: (about.statement.quorum.epoch, about.statement.quorum.quorum),
            expiry: about.statement.expiry,
        };
        all.iter().map(listed).collect()
    }
}
