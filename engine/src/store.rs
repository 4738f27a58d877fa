//! The store as its users see it: one handle per executor, any blob from any of them.
//!
//! A blob of one chunk lives in the shard that its root names; a longer one in the shard of the
//! executor that took it, or, when its root was declared, in the shard that the root names.

use std::{ops::Range, path::PathBuf};

use bytes::Bytes;
use lode_proofs::{ChunkProof, Root};
use lode_world::World;

use crate::{Result, mesh::Mesh, stats::Stats};

/// What a client asks of the store besides keeping the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// First epoch in which the blob may be gone; none keeps it until it is deleted.
    pub expiry: Option<u32>,
}

/// The answer to a put: every byte is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Root of the sector tree.
    pub root: Root,
    /// Bytes.
    pub size: u64,
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

/// An unfinished upload of a declared root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadInfo {
    /// Declared root.
    pub root: Root,
    /// Declared size in bytes.
    pub size: u64,
    /// Durable bytes from the start: the first missing chunk begins here.
    pub offset: u64,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory.
    pub dir: PathBuf,
    /// Shards of a new store; an existing one keeps its own count.
    pub shards: u16,
    /// Bytes of a segment file of a new store (a multiple of 1 MiB, at least 1 MiB, at most 1 GiB).
    pub segment_len: u64,
    /// Bytes per shard that may be on their way to the disk.
    pub ingest_credit: u64,
    /// Scrub rate in bytes per second and shard; 0 turns the background scrub off.
    pub scrub_rate: u64,
    /// Fraction of the filesystem, in percent, that must stay free for new blobs to be taken.
    pub reserve_percent: u8,
}

/// One executor's handle on the whole store.
pub struct Store<W: World> {
    world: W,
}

impl<W: World> Clone for Store<W> {
    fn clone(&self) -> Self {
        Store { world: self.world.clone() }
    }
}

#[expect(unused_variables, reason = "skeleton")]
impl<W: World> Store<W> {
    /// Opens (or makes, where the directory is empty) the store's part on executor `index`. Every
    /// executor calls this once with a clone of the same mesh; returns when all of them are ready.
    pub async fn open(world: W, options: Options, mesh: Mesh, index: usize) -> Result<Self> {
        unimplemented!()
    }

    /// Stores a blob of 1..=CHUNK_LEN bytes as one record; returns when it is durable.
    pub async fn put(&self, bytes: Bytes, terms: Terms) -> Result<Stored> {
        unimplemented!()
    }

    /// Begins a blob of unknown root and size. Dropping the upload before `finish` forgets it.
    pub async fn begin(&self, terms: Terms) -> Result<Upload<W>> {
        unimplemented!()
    }

    /// Begins or resumes the upload of a declared root; it outlives connections and restarts.
    pub async fn resume(&self, root: Root, size: u64, terms: Terms) -> Result<Resumed<W>> {
        unimplemented!()
    }

    /// An unfinished upload of `root`.
    pub async fn upload(&self, root: Root) -> Result<Option<UploadInfo>> {
        unimplemented!()
    }

    /// Forgets an unfinished upload; false if there was none.
    pub async fn abandon(&self, root: Root) -> Result<bool> {
        unimplemented!()
    }

    /// A stored blob.
    pub async fn stat(&self, root: Root) -> Result<Option<BlobInfo>> {
        unimplemented!()
    }

    /// Verified bytes of a range (end exclusive, within the blob).
    pub async fn read(&self, root: Root, range: Range<u64>) -> Result<Option<Reader<W>>> {
        unimplemented!()
    }

    /// Proof that a chunk is part of the blob.
    pub async fn prove(&self, root: Root, chunk: u64) -> Result<Option<ChunkProof>> {
        unimplemented!()
    }

    /// Deletes a blob durably; false if there was none.
    pub async fn delete(&self, root: Root) -> Result<bool> {
        unimplemented!()
    }

    /// Up to `limit` blobs with roots after `after`, in root order.
    pub async fn list(&self, after: Option<Root>, limit: usize) -> Result<Vec<BlobInfo>> {
        unimplemented!()
    }

    /// Counters and gauges of all shards, summed.
    pub async fn stats(&self) -> Result<Stats> {
        unimplemented!()
    }

    /// Reads and checks everything once at up to `rate` bytes per second and shard (0: no limit).
    pub async fn scrub(&self, rate: u64) -> Result<()> {
        unimplemented!()
    }

    /// Tells the store which epoch it is: what expired before it is dropped.
    pub async fn set_epoch(&self, epoch: u32) -> Result<()> {
        unimplemented!()
    }

    /// Stops taking bytes, waits for what is in flight, closes segments and writes checkpoints of
    /// the shards on this executor.
    pub async fn close(&self) -> Result<()> {
        unimplemented!()
    }
}

/// The answer to [`Store::resume`].
pub enum Resumed<W: World> {
    /// The blob is complete and durable already.
    Stored(Stored),
    /// Write from [`Upload::offset`] on.
    Upload(Upload<W>),
}

/// A blob on its way in. Holds at most one chunk of its own memory; `write` waits for credit.
pub struct Upload<W: World> {
    world: W,
}

#[expect(unused_variables, reason = "skeleton")]
impl<W: World> Upload<W> {
    /// Where the next written byte belongs. For a resumed upload: the durable prefix.
    pub fn offset(&self) -> u64 {
        unimplemented!()
    }

    /// Durable bytes from the start.
    pub fn durable(&self) -> u64 {
        unimplemented!()
    }

    /// Takes the next bytes, of any length.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        unimplemented!()
    }

    /// Waits until all whole chunks written are durable, so that a later `resume` starts there.
    pub async fn flush(&mut self) -> Result<()> {
        unimplemented!()
    }

    /// Waits until everything is durable and binds it to its root.
    pub async fn finish(self) -> Result<Stored> {
        unimplemented!()
    }
}

/// Verified bytes of a blob, in order, in pieces of at most a chunk, read ahead by a few.
pub struct Reader<W: World> {
    world: W,
}

impl<W: World> Reader<W> {
    /// The blob.
    pub fn blob(&self) -> BlobInfo {
        unimplemented!()
    }

    /// The next piece; none at the end of the range. After an error there is no next piece.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        unimplemented!()
    }
}
