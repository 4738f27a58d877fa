//! What the store tells of blobs and uploads.

use crate::{
    Error, Result, Root,
    format::manifest,
    index::Index,
    terms::{expired, expiry},
};

/// The answer to a put: every byte is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Root of the sector tree.
    pub root: Root,
    /// Bytes.
    pub size: u64,
    /// First epoch in which the blob may be gone: at least the one that was asked for.
    pub expiry: Option<u32>,
    /// The blob was there already; nothing was written twice.
    pub existed: bool,
}

/// A stored blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Root of the sector tree.
    pub root: Root,
    /// Bytes.
    pub size: u64,
    /// First epoch in which it may be gone.
    pub expiry: Option<u32>,
}

impl BlobInfo {
    /// A blob of an index; none if it is not there, or has expired by `epoch`.
    pub(crate) fn of(index: &Index, root: &Root, epoch: u32) -> Option<BlobInfo> {
        let found = index
            .get(root)
            .filter(|found| !expired(found.expiry(), epoch))?;
        Some(BlobInfo {
            root: *root,
            size: found.size(),
            expiry: expiry(found.expiry()),
        })
    }

    /// The answer to a put that found this blob.
    pub fn existed(self) -> Stored {
        let BlobInfo { root, size, expiry } = self;
        Stored {
            root,
            size,
            expiry,
            existed: true,
        }
    }

    /// An error if a blob of another size is to be stored under the same root.
    pub(crate) fn same_size(&self, got: u64) -> Result<()> {
        let BlobInfo { root, size, .. } = *self;
        if size == got {
            return Ok(());
        }
        Err(Error::OtherSize {
            root,
            have: size,
            got,
        })
    }
}

/// An unfinished upload of a declared root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadInfo {
    /// Declared root.
    pub root: Root,
    /// Declared size in bytes.
    pub size: u64,
    /// Durable bytes from the start: the first missing chunk begins here.
    pub offset: u64,
    /// First epoch in which it may be gone, as whoever began it asked. The blob that it becomes
    /// lasts at least as long.
    pub expiry: Option<u32>,
}

/// The answer to a scattered chunk: it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scattered {
    /// Chunks of the blob that are durable. None: it was complete with this one, and was deleted, or
    /// has expired, before the answer was made.
    pub chunks: u64,
    /// The chunk was there already.
    pub existed: bool,
    /// The blob, if every chunk is there.
    pub stored: Option<Stored>,
}

impl Scattered {
    /// The answer when the blob is there.
    pub(crate) fn stored(stored: Stored, existed: bool) -> Scattered {
        Scattered {
            chunks: manifest::chunks(stored.size),
            existed,
            stored: Some(stored),
        }
    }
}

/// How much of a blob is durable whose chunks come in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the blob.
    pub size: u64,
    /// Chunks that are durable.
    pub chunks: u64,
}
