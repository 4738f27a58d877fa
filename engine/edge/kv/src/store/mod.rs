//! What a node has replayed, on disk: values and permissions with all their versions, results, and
//! how far the replay is.
//!
//! ```text
//!  names     node ‖ part of a key ─► slot, or the node for what follows      [`names`]
//!  versions  slot ‖ !seq ─► place and length of the value                    [`values`]
//!  pieces    seq ‖ number ─► 64 KiB of the values of a transaction
//!  grants    role ‖ stream ‖ … ‖ !seq ─► granted or not                      [`grants`]
//!  results   seq ─► text
//!  lost      seq                        whose bytes are not waited for any more
//!  undo      seq ─► rows of versions and grants that it wrote
//!  seen      seq ─► fingerprint of the submission
//!  loose     seq                        whose pieces no version names (yet)
//!  wanted    stream                     to be held, not taken up yet
//!  meta      "marks", "held", "next name"
//! ```
//! Numbers are big-endian; `!seq` is their complement, so that the newest version comes first.
//!
//! Promises: what a transaction does is there whole or not at all, with its result and the marks, and
//! on the disk when [`Store::decide`] returns. A [`View`] does not move. Rows are only ever added, each
//! with the number of its transaction, so that undoing is removing.
//!
//! Cost: a transaction is one batch and one sync; values are written once into the log and once into
//! a table or file of the store below (fjall); a read is a walk down the names (one step unless the
//! key has more than 32 KiB), one seek, and the pieces that it touches.

mod commit;
pub mod grants;
mod marks;
mod names;
mod undo;
mod values;

use std::{path::Path, sync::Arc};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode, Readable as _,
    Snapshot,
};

pub(crate) use commit::BATCH_LEN;
pub use commit::{Change, Decided, Grant, Value};
pub use marks::{Held, Join, Marks};
pub use values::{Found, Order, PIECE_LEN};

use crate::stream::StreamId;

/// Bytes that the store may keep in memory of its files.
const CACHE: u64 = 64 << 20;

/// Why something was not stored or not read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store below failed: what was decided before is there after the next start.
    #[error("the store failed: {0}")]
    Store(#[from] fjall::Error),
    /// The store holds what this program did not write.
    #[error("the store is damaged: {0}")]
    Damaged(&'static str),
    /// Keys without a value stand in a row as long as a search may be.
    #[error("more than {0} keys without a value in a row")]
    TooManyRemoved(usize),
    /// More streams than a node may hold.
    #[error("this node holds as many streams as it may: {0}")]
    TooManyStreams(usize),
    /// A test lets it fail.
    #[cfg(test)]
    #[error("the test lets the store fail")]
    Burnt,
}

#[derive(Clone)]
pub(crate) struct Spaces {
    names: Keyspace,
    versions: Keyspace,
    pieces: Keyspace,
    grants: Keyspace,
    results: Keyspace,
    lost: Keyspace,
    undo: Keyspace,
    seen: Keyspace,
    loose: Keyspace,
    wanted: Keyspace,
    meta: Keyspace,
}

/// Reads, from any thread.
#[derive(Clone)]
pub struct Reader {
    database: Database,
    spaces: Arc<Spaces>,
}

/// Writes. There is one: whoever replays.
pub struct Store {
    reader: Reader,
    /// The next number for a name.
    next_name: u64,
    /// Writes until it fails.
    #[cfg(test)]
    pub(crate) fuse: u64,
}

/// All that was decided at a moment.
#[derive(Clone)]
pub struct View {
    snapshot: Snapshot,
    spaces: Arc<Spaces>,
}

impl Store {
    /// Opens or creates a store in a folder. One process at a time may have it open.
    ///
    /// # Errors
    /// When the store fails, or another process has it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let database = Database::builder(folder).cache_size(CACHE).open()?;
        let space = |name: &str| database.keyspace(name, KeyspaceCreateOptions::default);
        // Pieces are large and written once: apart from their keys they are not copied by compaction.
        let apart = || {
            let separated = Some(KvSeparationOptions::default());
            KeyspaceCreateOptions::default().with_kv_separation(separated)
        };
        let spaces = Spaces {
            names: space("names")?,
            versions: space("versions")?,
            pieces: database.keyspace("pieces", apart)?,
            grants: space("grants")?,
            results: space("results")?,
            lost: space("lost")?,
            undo: space("undo")?,
            seen: space("seen")?,
            loose: space("loose")?,
            wanted: space("wanted")?,
            meta: space("meta")?,
        };
        let next_name = match spaces.meta.get(NEXT_NAME)? {
            Some(held) => number(&held)?,
            None => 1,
        };
        let spaces = Arc::new(spaces);
        let mut store = Store {
            reader: Reader { database, spaces },
            next_name,
            #[cfg(test)]
            fuse: u64::MAX,
        };
        store.sweep()?;
        Ok(store)
    }

    /// For other threads.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// As of now.
    pub fn view(&self) -> View {
        self.reader.view()
    }

    fn batch(&self) -> fjall::OwnedWriteBatch {
        self.reader.database.batch()
    }

    fn synced(&self) -> fjall::OwnedWriteBatch {
        self.batch().durability(Some(PersistMode::SyncAll))
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "tests fail here"
    )]
    fn burn(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Fails at the write that the test has chosen, and at all after it.
    #[cfg(test)]
    fn burn(&mut self) -> Result<(), StoreError> {
        let left = self.fuse;
        self.fuse = left.saturating_sub(1);
        if left == 0 {
            Err(StoreError::Burnt)
        } else {
            Ok(())
        }
    }
}

impl Reader {
    /// As of now.
    pub fn view(&self) -> View {
        View {
            snapshot: self.database.snapshot(),
            spaces: Arc::clone(&self.spaces),
        }
    }

    /// Asks for a stream to be held. On the disk when this returns.
    ///
    /// # Errors
    /// When the store fails, or holds as many as it may.
    pub fn want(&self, stream: StreamId, most: usize) -> Result<(), StoreError> {
        let view = self.view();
        let held = view.held()?;
        if held.as_ref().is_some_and(|held| held.has(stream)) {
            return Ok(());
        }
        let wanted = view.wanted(most)?;
        let there = held.map_or(0, |held| held.count()) + wanted.len();
        if there >= most && !wanted.contains(&stream) {
            return Err(StoreError::TooManyStreams(most));
        }
        let mut batch = self.database.batch();
        batch = batch.durability(Some(PersistMode::SyncAll));
        batch.insert(&self.spaces.wanted, stream.0.0, []);
        Ok(batch.commit()?)
    }
}

impl View {
    /// What became of a transaction; none if it is not decided, or of no stream that is held.
    ///
    /// # Errors
    /// When the store fails.
    pub fn result(&self, seq: u64) -> Result<Option<String>, StoreError> {
        let held = self.snapshot.get(&self.spaces.results, seq.to_be_bytes())?;
        held.map(|text| {
            let text = String::from_utf8(text.to_vec());
            text.map_err(|_| StoreError::Damaged("a result is no text"))
        })
        .transpose()
    }

    /// Submissions from `from` on whose bytes are not waited for any more, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lost(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        let rows = self.snapshot.range(&self.spaces.lost, from.to_be_bytes()..);
        rows.take(limit).map(|row| number(&row.key()?)).collect()
    }

    /// Streams that are asked for and not taken up yet, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn wanted(&self, limit: usize) -> Result<Vec<StreamId>, StoreError> {
        let rows = self.snapshot.iter(&self.spaces.wanted).take(limit);
        rows.map(|row| {
            let name = <[u8; 32]>::try_from(&row.key()?[..]);
            let name = name.map_err(|_| StoreError::Damaged("a wanted stream has no name"))?;
            Ok(StreamId(name.into()))
        })
        .collect()
    }
}

const NEXT_NAME: &str = "next name";

/// A number of eight bytes.
fn number(bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes.try_into();
    let bytes = bytes.map_err(|_| StoreError::Damaged("a number has not eight bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;
