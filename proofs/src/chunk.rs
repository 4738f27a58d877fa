//! From the bytes of one chunk to its root.

use alloc::boxed::Box;
use alloc::vec;

use crate::hash32::Hash32;
use crate::keccak::{Backend, Digest, Sector};
use crate::refusal::Refusal;
use crate::shape::{BlobShape, CHUNK_HEIGHT, CHUNK_LEN, SECTOR_LEN, SECTORS_PER_CHUNK};
use crate::zero::ZERO_ROOTS;

/// Hashes chunks, one at a time, in memory of its own (32 KiB, taken once).
///
/// Chunks need no order and no company: give each core its own hasher, then
/// hand the roots to [`BlobHasher::push_chunk_root`](crate::BlobHasher) in
/// order.
#[derive(Clone, Debug)]
pub struct ChunkHasher {
    row: SectorRow,
}

impl Default for ChunkHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkHasher {
    /// A hasher on the best backend of this CPU.
    #[must_use]
    pub fn new() -> Self {
        Self::on(Backend::best())
    }

    /// A hasher on a backend of the caller's choice, for tests and benches.
    #[must_use]
    pub fn on(backend: Backend) -> Self {
        Self {
            row: SectorRow::new(backend),
        }
    }

    /// Root of a whole chunk. Needs no knowledge of the blob: a whole chunk's
    /// root never depends on what follows.
    pub fn whole_root(&mut self, data: &[u8; CHUNK_LEN]) -> Hash32 {
        self.padded_root(data, SECTORS_PER_CHUNK)
    }

    /// Root of chunk `index` of a blob of this shape.
    ///
    /// # Errors
    /// [`Refusal::IndexOutOfRange`] or [`Refusal::DataLength`], before any
    /// byte is hashed.
    pub fn root(&mut self, shape: BlobShape, index: u64, data: &[u8]) -> Result<Hash32, Refusal> {
        Refusal::unless_index_in(shape, index)?;
        Refusal::unless_chunk_len(shape, index, data)?;
        Ok(self.padded_root(data, shape.padded_sectors_in(index)))
    }

    /// Root over `padded_sectors` sectors that begin with `data`; the rest of
    /// its last sector, and all sectors behind it, are zero. Shape as RFC 6962
    /// (0G wire, 1.3).
    ///
    /// # Panics
    /// If `data` is empty or does not fit, or `padded_sectors` exceeds
    /// [`SECTORS_PER_CHUNK`]: sizes from outside go through [`Self::root`].
    pub fn padded_root(&mut self, data: &[u8], padded_sectors: usize) -> Hash32 {
        assert!(!data.is_empty(), "a chunk has at least one byte");
        assert!(
            data.len() <= padded_sectors * SECTOR_LEN,
            "data fits its sectors"
        );
        self.row.push_bytes(data);
        self.row.close(padded_sectors, |_, _| {})
    }
}

/// The leaves of the chunk being hashed, and its nodes while it is folded.
#[derive(Clone, Debug)]
pub(crate) struct SectorRow {
    backend: Backend,
    nodes: Box<[Digest; SECTORS_PER_CHUNK]>,
    filled: usize,
}

impl SectorRow {
    pub(crate) fn new(backend: Backend) -> Self {
        let nodes = vec![[0; 32]; SECTORS_PER_CHUNK].into_boxed_slice();
        let nodes = nodes.try_into().expect("made this long one line above");
        Self {
            backend,
            nodes,
            filled: 0,
        }
    }

    pub(crate) const fn filled(&self) -> usize {
        self.filled
    }

    pub(crate) const fn room(&self) -> usize {
        SECTORS_PER_CHUNK - self.filled
    }

    /// Appends the leaves of whole sectors, at most [`Self::room`] of them.
    pub(crate) fn push_sectors(&mut self, sectors: &[Sector]) {
        let end = self.filled + sectors.len();
        self.backend
            .hash_sectors(sectors, &mut self.nodes[self.filled..end]);
        self.filled = end;
    }

    /// Appends the leaves of `data`, whose last sector is filled with zeros.
    pub(crate) fn push_bytes(&mut self, data: &[u8]) {
        let (sectors, tail) = data.as_chunks::<SECTOR_LEN>();
        self.push_sectors(sectors);
        if !tail.is_empty() {
            let mut last = [0; SECTOR_LEN];
            last[..tail.len()].copy_from_slice(tail);
            self.push_sectors(&[last]);
        }
    }

    /// Fills up with empty leaves to `padded_sectors`, folds level by level
    /// and empties the row. Reports the perfect subtrees that make up the row,
    /// left to right, as (height, root); returns the root over all of them.
    ///
    /// A level of odd length loses its last node: that is the root of a
    /// perfect subtree which ends the row. Folding those from the right gives
    /// the RFC 6962 shape (0G wire, 1.3), without a recursion that would call
    /// the hash with less than full lanes.
    pub(crate) fn close(
        &mut self,
        padded_sectors: usize,
        mut subtree: impl FnMut(u8, Digest),
    ) -> Hash32 {
        assert!(padded_sectors > 0, "a row has at least one sector");
        assert!(
            self.filled <= padded_sectors,
            "padding never removes a sector"
        );
        self.nodes[self.filled..padded_sectors].fill(ZERO_ROOTS[0].0);
        let mut subtrees = [None; HEIGHTS];
        let mut level = padded_sectors;
        for root in &mut subtrees {
            if level % 2 == 1 {
                level -= 1;
                *root = Some(self.nodes[level]);
            }
            level = self.backend.hash_pairs(&mut self.nodes[..level]);
        }
        self.filled = 0;
        for height in (0..=CHUNK_HEIGHT).rev() {
            if let Some(root) = subtrees[usize::from(height)] {
                subtree(height, root);
            }
        }
        let mut from_the_right = subtrees.into_iter().flatten();
        let last = from_the_right.next().expect("at least one subtree");
        Hash32(from_the_right.fold(last, |right, left| self.backend.hash_pair(&[left, right])))
    }
}

/// Heights of the perfect subtrees of a row: sectors up to the whole chunk.
const HEIGHTS: usize = 11;

const _: () = assert!(1 << (HEIGHTS - 1) == SECTORS_PER_CHUNK);
