//! How full the disk is, and who may still use it.
//!
//! New blobs are refused while less than the reserve is free; tombstones, compaction and
//! checkpoints may use the reserve, so that a full store can always be emptied. Reads never ask.

use std::{
    cell::Cell,
    io,
    path::{Path, PathBuf},
};

use lode_world::{Disk, World};

use crate::{Error, Result};

/// Who asks for space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A client's new bytes.
    Blob,
    /// Bytes that help to free others.
    Mend,
}

/// The filesystem of a data directory.
pub struct Space<W: World> {
    world: W,
    dir: PathBuf,
    reserve_percent: u8,
    seen: Cell<lode_world::Space>,
    refusals: Cell<u64>,
    /// New blobs are refused until the next look finds room.
    full: Cell<bool>,
}

impl<W: World> Space<W> {
    /// Space of the filesystem that holds `dir`.
    pub fn new(world: W, dir: PathBuf, reserve_percent: u8) -> Self {
        let seen = lode_world::Space { total: 0, free: 0 };
        Space {
            world,
            dir,
            reserve_percent,
            seen: Cell::new(seen),
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
        self.full.set(space.free < self.reserve());
        Ok(space)
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
        let space = self.look().await?;
        Ok(space.free < self.reserve().saturating_add(len))
    }

    /// Refuses a client's bytes while the last look saw a full disk.
    pub fn admit(&self) -> Result<()> {
        if self.full.get() {
            Err(self.refuse())
        } else {
            Ok(())
        }
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
            free: self.seen.get().free,
            reserve: self.reserve(),
        }
    }

    fn reserve(&self) -> u64 {
        self.seen.get().total / 100 * u64::from(self.reserve_percent)
    }
}
