//! From a stream of bytes, or of chunk roots, to the tree of a blob.
//!
//! ```text
//!  update ──► pending (8 sectors) ──► row (1024 leaves) ──► chunk root ──┐
//!  push_chunk_root, push_run_root ───────────────────────────────────────┤
//!                                                                        ▼
//!                     crown: at most one perfect subtree per height, left to right
//! ```
//!
//! Memory: about 37 KiB and 64 nodes, for any size. The size need not be known
//! before the end: whole chunks do not depend on it, and the padding that does
//! is added by `finish`.

use alloc::vec::Vec;

use crate::chunk::SectorRow;
use crate::crown::{Crown, SubmissionNode, identity};
use crate::hash32::Hash32;
use crate::keccak::Backend;
use crate::shape::{
    BlobShape, CHUNK_HEIGHT, CHUNK_LEN_U64, EmptyBlob, SECTOR_LEN, SECTORS_PER_CHUNK,
};

/// What a blob's bytes determine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobTree {
    root: Hash32,
    shape: BlobShape,
    nodes: Vec<SubmissionNode>,
    last_chunk_root: Option<Hash32>,
}

impl BlobTree {
    /// Root over all padded sectors.
    #[must_use]
    pub const fn root(&self) -> Hash32 {
        self.root
    }

    /// Size and what follows from it.
    #[must_use]
    pub const fn shape(&self) -> BlobShape {
        self.shape
    }

    /// The binary ones of the padded sector count, highest first: one to four
    /// perfect subtrees, left to right (0G wire, 1.5).
    #[must_use]
    pub fn submission_nodes(&self) -> &[SubmissionNode] {
        &self.nodes
    }

    /// Root of the last chunk that holds bytes, over its padded sectors: the
    /// one chunk root that a caller who streams cannot compute before the end.
    /// `None` if the blob ended with the root of a run.
    #[must_use]
    pub const fn last_chunk_root(&self) -> Option<Hash32> {
        self.last_chunk_root
    }

    /// Digest of the submission, `identity` in the chain's `Submit` event:
    /// keccak256 of the node roots in order (0G wire, 1.5).
    #[must_use]
    pub fn identity(&self) -> Hash32 {
        identity(&self.nodes)
    }
}

/// A chunk root was offered in the middle of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a chunk root can only follow whole chunks, but {pending} bytes of one were streamed; stream the rest of it first"
)]
pub struct MidChunk {
    /// Bytes of the unfinished chunk.
    pub pending: u64,
}

/// Builds the tree of one blob in constant memory, in one pass.
#[derive(Clone, Debug)]
pub struct BlobHasher {
    size: u64,
    pending: [u8; PENDING_LEN],
    pending_len: usize,
    row: SectorRow,
    crown: Crown,
    last_chunk_root: Option<Hash32>,
}

/// Sectors are hashed in full groups of the widest backend.
const PENDING_LEN: usize = 8 * SECTOR_LEN;

// A row is filled by whole groups; else a group would straddle two chunks.
const _: () = assert!(SECTORS_PER_CHUNK.is_multiple_of(8));

impl Default for BlobHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl BlobHasher {
    /// An empty blob, on the best backend of this CPU.
    #[must_use]
    pub fn new() -> Self {
        Self::on(Backend::best())
    }

    /// The same on a backend of the caller's choice, for tests and benches.
    #[must_use]
    pub fn on(backend: Backend) -> Self {
        Self {
            size: 0,
            pending: [0; PENDING_LEN],
            pending_len: 0,
            row: SectorRow::new(backend),
            crown: Crown::new(backend),
            last_chunk_root: None,
        }
    }

    /// Bytes taken so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes, any number of them.
    pub fn update(&mut self, data: &[u8]) {
        self.update_with(data, |_, _| {});
    }

    /// As [`Self::update`], and reports (index, root) of each whole chunk that
    /// these bytes complete. The last chunk, if partly filled, is reported by
    /// [`BlobTree::last_chunk_root`] instead.
    pub fn update_with(&mut self, data: &[u8], mut chunk_done: impl FnMut(u64, Hash32)) {
        let mut rest = data;
        while !rest.is_empty() {
            let taken = if self.pending_len == 0 && rest.len() >= PENDING_LEN {
                self.take_groups(rest)
            } else {
                self.take_pending(rest)
            };
            rest = &rest[taken..];
            if self.row.room() == 0 {
                let root = self.row.close(SECTORS_PER_CHUNK, |_, _| {});
                chunk_done(self.size / CHUNK_LEN_U64 - 1, root);
                self.crown.push(CHUNK_HEIGHT, root);
                self.last_chunk_root = Some(root);
            }
        }
    }

    /// Takes the root of the next whole chunk (see
    /// [`ChunkHasher::whole_root`](crate::ChunkHasher::whole_root)) in place of
    /// its bytes. A last chunk that is not whole must be streamed.
    ///
    /// # Errors
    /// [`MidChunk`] unless all bytes so far make whole chunks.
    pub fn push_chunk_root(&mut self, root: Hash32) -> Result<(), MidChunk> {
        self.push_run_root(1, root)?;
        self.last_chunk_root = Some(root);
        Ok(())
    }

    /// Takes the root of the next run of `chunks` whole chunks (see
    /// [`fold_roots`](crate::fold_roots)) in place of their bytes: a kept
    /// group root saves reading and folding its chunk roots.
    ///
    /// # Errors
    /// [`MidChunk`] unless all bytes so far make whole chunks.
    ///
    /// # Panics
    /// If `chunks` is no power of two, or the chunks so far are no multiple of
    /// it: a caller's bug, as such a run is no subtree.
    pub fn push_run_root(&mut self, chunks: u64, root: Hash32) -> Result<(), MidChunk> {
        let pending = self.size % CHUNK_LEN_U64;
        if pending != 0 {
            return Err(MidChunk { pending });
        }
        let before = self.size / CHUNK_LEN_U64;
        assert!(chunks.is_power_of_two(), "a run is a perfect subtree");
        assert!(
            before.is_multiple_of(chunks),
            "a run starts at a multiple of its length"
        );
        let after = before
            .checked_add(chunks)
            .and_then(|all| all.checked_mul(CHUNK_LEN_U64));
        self.size = after.expect("no stream reaches 2^64 bytes");
        let run_height = u8::try_from(chunks.ilog2()).expect("below 64");
        self.crown.push(CHUNK_HEIGHT + run_height, root);
        self.last_chunk_root = None;
        Ok(())
    }

    /// Pads and closes the tree.
    ///
    /// # Errors
    /// [`EmptyBlob`] if nothing was taken.
    pub fn finish(mut self) -> Result<BlobTree, EmptyBlob> {
        let shape = BlobShape::new(self.size)?;
        let last = shape.chunks() - 1;
        self.row.push_bytes(&self.pending[..self.pending_len]);
        if self.row.filled() > 0 {
            let (row, crown) = (&mut self.row, &mut self.crown);
            let padded = shape.padded_sectors_in(last);
            let root = row.close(padded, |height, root| crown.push(height, Hash32(root)));
            self.last_chunk_root = Some(root);
        }
        self.crown.pad(shape.chunks(), shape.padded_chunks());
        Ok(BlobTree {
            root: self
                .crown
                .root()
                .expect("a blob of one byte has one subtree"),
            shape,
            nodes: self.crown.into_subtrees(),
            last_chunk_root: self.last_chunk_root,
        })
    }

    /// Hashes whole groups straight from the caller's memory, up to the end of
    /// the chunk; returns the bytes taken.
    fn take_groups(&mut self, data: &[u8]) -> usize {
        let bytes = (data.len() / PENDING_LEN * PENDING_LEN).min(self.row.room() * SECTOR_LEN);
        self.row.push_bytes(&data[..bytes]);
        self.grow(bytes);
        bytes
    }

    /// Collects one group; returns the bytes taken.
    fn take_pending(&mut self, data: &[u8]) -> usize {
        let bytes = data.len().min(PENDING_LEN - self.pending_len);
        self.pending[self.pending_len..][..bytes].copy_from_slice(&data[..bytes]);
        self.pending_len += bytes;
        self.grow(bytes);
        if self.pending_len == PENDING_LEN {
            self.row.push_bytes(&self.pending);
            self.pending_len = 0;
        }
        bytes
    }

    fn grow(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).expect("memory is below 2^64 bytes");
        self.size = self
            .size
            .checked_add(bytes)
            .expect("no stream reaches 2^64 bytes");
    }
}

/// Tree of a blob that lies in memory.
///
/// # Errors
/// [`EmptyBlob`] if `data` is empty.
pub fn blob_tree(data: &[u8]) -> Result<BlobTree, EmptyBlob> {
    let mut hasher = BlobHasher::new();
    hasher.update(data);
    hasher.finish()
}
