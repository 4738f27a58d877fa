//! How full the disk is, and who may still use it.
//!
//! New blobs are refused while less than the reserve is free; tombstones, compaction and
//! checkpoints may use the reserve, so that a full store can always be emptied. Reads never ask.
//!
//! What it takes to empty a full store bounds the reserve from below: a tombstone needs a lane, a
//! lane needs a segment, and the copies of what lives beside dead records need another before the
//! old one is freed. A share of the filesystem alone would be less than that on a small one.

use std::{
    cell::Cell,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lode_world::{Disk, World};

use crate::{Error, Result};

/// Segments that the reserve holds for each shard: one for tombstones, one for copies.
const RESERVE_PER_SHARD: u64 = 2;
/// Segments that it holds for all shards together: room for checkpoints beside those before.
const RESERVE_SHARED: u64 = 1;

/// Who asks for space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A client's new bytes.
    Blob,
    /// Bytes that help to free others.
    Mend,
}

/// Bytes that are kept free at least, so that a store of these segments can be emptied.
pub fn reserve_least(shards: u16, segment_len: u64) -> u64 {
    (u64::from(shards) * RESERVE_PER_SHARD + RESERVE_SHARED) * segment_len
}

/// Bytes of the smallest filesystem for a new store: the reserve and a segment of blobs per shard.
pub fn smallest(shards: u16, segment_len: u64) -> u64 {
    reserve_least(shards, segment_len) + u64::from(shards) * segment_len
}

/// The filesystem of a data directory.
pub struct Space<W: World> {
    world: W,
    dir: PathBuf,
    reserve_percent: u8,
    /// The reserve is never less.
    reserve_least: u64,
    seen: Cell<lode_world::Space>,
    /// Bytes of the recycled files of all shards: they have blocks, and hold nothing. When space is
    /// short each shard keeps one, which is among the segments that the reserve holds for it.
    recycled: Arc<AtomicU64>,
    refusals: Cell<u64>,
    /// New blobs are refused until the next look finds room.
    full: Cell<bool>,
}

impl<W: World> Space<W> {
    /// Space of the filesystem that holds `dir`.
    pub fn new(
        world: W,
        dir: PathBuf,
        reserve_percent: u8,
        reserve_least: u64,
        recycled: Arc<AtomicU64>,
    ) -> Self {
        let seen = lode_world::Space { total: 0, free: 0 };
        Space {
            world,
            dir,
            reserve_percent,
            reserve_least,
            seen: Cell::new(seen),
            recycled,
            refusals: Cell::new(0),
            full: Cell::new(false),
        }
    }

    /// Looks again.
    pub async fn look(&self) -> Result<lode_world::Space> {
        let space = self
            .world
            .disk()
            .space(&self.dir)
            .await
            .map_err(Error::io(&self.dir))?;
        self.seen.set(space);
        self.full.set(self.free() < self.reserve());
        Ok(space)
    }

    /// A file of `len` bytes is recycled.
    pub fn recycled(&self, len: u64) {
        self.recycled.fetch_add(len, Ordering::Relaxed);
    }

    /// A recycled file of `len` bytes is used again, or given back to the filesystem.
    pub fn unrecycled(&self, len: u64) {
        self.recycled.fetch_sub(len, Ordering::Relaxed);
    }

    /// Whether new blobs are refused.
    pub fn full(&self) -> bool {
        self.full.get()
    }

    /// Refusals since start.
    pub fn refusals(&self) -> u64 {
        self.refusals.get()
    }

    /// Refuses a client's bytes when a segment of `len` bytes would eat into the reserve.
    pub async fn allow(&self, need: Need, len: u64) -> Result<()> {
        if self.short(len).await? && need == Need::Blob {
            return Err(self.refuse());
        }
        Ok(())
    }

    /// Whether `len` more bytes would eat into the reserve.
    pub async fn short(&self, len: u64) -> Result<bool> {
        self.look().await?;
        Ok(self.was_short(len))
    }

    /// Whether they would have, by the last look.
    pub fn was_short(&self, len: u64) -> bool {
        self.free() < self.reserve().saturating_add(len)
    }

    /// Refuses a client's bytes while the disk is full. Looks again before it refuses: whoever made
    /// room need not be the store.
    pub async fn admit(&self) -> Result<()> {
        if self.full.get() && self.short(0).await? {
            return Err(self.refuse());
        }
        Ok(())
    }

    /// The error for a failed write to a new file: a full disk is a refusal.
    pub fn refusal(&self, path: &Path, error: io::Error) -> Error {
        if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            return self.refuse();
        }
        Error::io(path)(error)
    }

    fn refuse(&self) -> Error {
        self.full.set(true);
        self.refusals.set(self.refusals.get() + 1);
        Error::Full {
            free: self.free(),
            reserve: self.reserve(),
        }
    }

    fn free(&self) -> u64 {
        self.seen.get().free + self.recycled.load(Ordering::Relaxed)
    }

    fn reserve(&self) -> u64 {
        let share = self.seen.get().total / 100 * u64::from(self.reserve_percent);
        share.max(self.reserve_least)
    }
}

#[cfg(test)]
#[path = "space_tests.rs"]
mod tests;
