//! What other executors may see of a shard: its index, and the files of its segments.
//!
//! A letter to another executor and its answer are two wake-ups, and wait until both come round to
//! their letters: half of all reads, where there are two executors, took that way for a look-up of
//! a microsecond. So a shard's index lies on a shelf, under a lock that its own executor alone takes
//! for writing; the others look in, and read the file through rings of their own. They never wait
//! for the lock, and its owner waits for a look-up at most, or, should a reader lose its core just
//! then, until it is back. What they cannot answer for certain they still ask by letter.
//!
//! A file may be given back, and begin another life, while another executor reads it: the tags of
//! its pages tell.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use parking_lot::{
    MappedRwLockReadGuard, MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use crate::{Root, index::Index, shard::wanted::Wanted, store::BlobInfo};

/// A shard as others see it. `S` is a file as executors share it.
pub struct Shelf<S> {
    seen: RwLock<Seen<S>>,
    epoch: AtomicU32,
    reads: AtomicU64,
    read_bytes: AtomicU64,
}

struct Seen<S> {
    index: Index,
    /// Files of segments by number, with the tags of their present lives.
    files: BTreeMap<u32, (u64, S)>,
}

/// The lock is held for writing just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl<S: Clone> Shelf<S> {
    /// An empty one; `keys` are random.
    pub fn new(keys: [u64; 2], epoch: u32) -> Self {
        Shelf {
            seen: RwLock::new(Seen::new(keys)),
            epoch: AtomicU32::new(epoch),
            reads: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
        }
    }

    /// The index; for the shard's own executor, which may hold several of these: it never waits to
    /// write meanwhile, and nobody else writes.
    pub fn index(&self) -> MappedRwLockReadGuard<'_, Index> {
        RwLockReadGuard::map(self.seen.read(), |seen| &seen.index)
    }

    /// The index, to change it; for the shard's own executor.
    pub fn index_mut(&self) -> MappedRwLockWriteGuard<'_, Index> {
        RwLockWriteGuard::map(self.seen.write(), |seen| &mut seen.index)
    }

    /// Shows the file of a segment.
    pub fn show(&self, segment: u32, tag: u64, file: S) {
        self.seen.write().files.insert(segment, (tag, file));
    }

    /// Takes the file of a segment away.
    pub fn hide(&self, segment: u32) {
        self.seen.write().files.remove(&segment);
    }

    /// Forgets everything; `keys` are random.
    pub fn clear(&self, keys: [u64; 2]) {
        *self.seen.write() = Seen::new(keys);
    }

    /// The epoch that the shard is at.
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Relaxed)
    }

    /// Moves on to an epoch.
    pub fn set_epoch(&self, epoch: u32) {
        self.epoch.store(epoch, Relaxed);
    }

    /// A blob; none if it is not here.
    ///
    /// # Errors
    /// While the index is being changed.
    pub fn stat(&self, root: &Root) -> Result<Option<BlobInfo>, Busy> {
        let seen = self.seen.try_read().ok_or(Busy)?;
        Ok(BlobInfo::of(&seen.index, root, self.epoch()))
    }

    /// The record of a chunk, and the file that it is in with its tag; none if the blob or the chunk
    /// is not here.
    ///
    /// # Errors
    /// While the index is being changed, and when the file is not here.
    pub fn chunk(&self, root: &Root, chunk: u64) -> Result<Option<(Wanted, u64, S)>, Busy> {
        let seen = self.seen.try_read().ok_or(Busy)?;
        let Some(wanted) = Wanted::chunk(&seen.index, root, chunk, self.epoch()) else {
            return Ok(None);
        };
        let (tag, file) = seen.files.get(&wanted.place.segment).ok_or(Busy)?;
        Ok(Some((wanted, *tag, file.clone())))
    }

    /// Counts a read of `bytes` for a client.
    pub fn count_read(&self, bytes: usize) {
        self.reads.fetch_add(1, Relaxed);
        let bytes = u64::try_from(bytes).expect("64-bit");
        self.read_bytes.fetch_add(bytes, Relaxed);
    }

    /// Reads for clients, and their bytes.
    pub fn reads(&self) -> (u64, u64) {
        (self.reads.load(Relaxed), self.read_bytes.load(Relaxed))
    }
}

impl<S> Seen<S> {
    fn new(keys: [u64; 2]) -> Self {
        Seen {
            index: Index::new(keys),
            files: BTreeMap::new(),
        }
    }
}
