//! Proof that a chunk stands at its place in a blob.
//!
//! ```text
//!            root                 lemma = [chunk root, siblings bottom to top, root]
//!           /    \                path  = per level, bottom to top: true if the
//!         h01     h2              running node is the left child
//!        /   \                    (one chunk: lemma = [root], path = [])
//!   chunk 0  chunk 1
//! ```
//!
//! **What a proof says.** "Under `root`, in the tree that a blob of `size`
//! bytes has, the chunk at `index` has this root." A [`ChunkProof`] that exists
//! is true: every way to make one checks it. Whether `root` and `size` are the
//! ones that matter is the caller's knowledge, from the chain or a receipt:
//! pass it to [`ChunkProof::verify_for`].
//!
//! **What the root does not say.** The exact size. Zeros are appended before
//! hashing, so "ab" and "ab" with a zero byte have one root. The pair of root
//! and size ([`BlobId`]) names a blob; the root alone does not.
//!
//! **Order of checks** (0G wire, 1.6), each with its own [`Refusal`]:
//! lengths of lemma and path; index below the real chunk count; path shape as
//! index and padded chunk count imply; siblings wholly in padding equal to the
//! zero roots; lemma ends with the root, and siblings lead to it; then, with data at hand, exact data
//! length and the data's root. Cheap checks come before hashing.

use alloc::vec::Vec;
use core::convert::Infallible;

use crate::chunk::ChunkHasher;
use crate::hash32::Hash32;
use crate::path::{ChunkRun, Sibling, climb, siblings};
use crate::plan::ProofPlan;
use crate::refusal::Refusal;
use crate::shape::{BlobShape, CHUNK_LEN_U64, EmptyBlob, SECTOR_LEN};

/// Root and size: together they name a blob's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId {
    /// Root over all padded sectors.
    pub root: Hash32,
    /// Size and what follows from it.
    pub shape: BlobShape,
}

impl BlobId {
    /// Names the blob of `size` bytes under `root`.
    ///
    /// # Errors
    /// [`EmptyBlob`] if `size` is 0.
    pub fn new(root: Hash32, size: u64) -> Result<Self, EmptyBlob> {
        Ok(Self {
            root,
            shape: BlobShape::new(size)?,
        })
    }
}

/// A true statement: the chunk at `index` under this blob's root has this
/// chunk root. Up to 46 siblings, 1.5 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkProof {
    blob: BlobId,
    index: u64,
    chunk_root: Hash32,
    siblings: Vec<Hash32>,
}

/// A proof as 0G's clients and nodes exchange it, unchecked (0G wire, 1.6).
/// Root, size and index travel beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WireProof {
    /// Chunk root, siblings from bottom to top, root; for the chunk of a
    /// one-chunk blob the root alone.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::json::bounded"))]
    pub lemma: Vec<Hash32>,
    /// Per step up, from the bottom: true if the running node is the left
    /// child.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::json::bounded"))]
    pub path: Vec<bool>,
}

/// A chunk's bytes that a proof was checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedChunk<'data> {
    /// The blob that the proof names. Compare it, or use
    /// [`ChunkProof::verify_for`].
    pub blob: BlobId,
    /// Which chunk.
    pub index: u64,
    /// The bytes, without the fill of the last sector.
    pub data: &'data [u8],
}

impl VerifiedChunk<'_> {
    /// Where the data starts in the blob, in bytes.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.index * CHUNK_LEN_U64
    }
}

impl ChunkProof {
    /// Builds the proof of chunk `index`; `root_of` supplies roots of runs of
    /// chunks, [`ProofPlan`] says of which. The proof's root is computed, so
    /// compare it with the blob's: if it differs, a supplied root has rotted.
    ///
    /// # Errors
    /// [`Refusal::IndexOutOfRange`].
    pub fn build(
        shape: BlobShape,
        index: u64,
        mut root_of: impl FnMut(ChunkRun) -> Hash32,
    ) -> Result<Self, Refusal> {
        let plan = ProofPlan::new(shape, index)?;
        let Ok(proof) = plan.prove(|run| Ok::<_, Infallible>(root_of(run)));
        Ok(proof)
    }

    /// Checks the 0G wire's form of a proof, in the order of the module head
    /// down to the root.
    ///
    /// # Errors
    /// The first [`Refusal`] in that order.
    pub fn from_wire(blob: BlobId, index: u64, wire: &WireProof) -> Result<Self, Refusal> {
        let WireProof { lemma, path } = wire;
        let want = if path.is_empty() { 1 } else { path.len() + 2 };
        if lemma.len() != want {
            return Err(Refusal::LemmaLength {
                got: lemma.len(),
                want,
            });
        }
        Refusal::unless_index_in(blob.shape, index)?;
        let steps = siblings(blob.shape, index);
        if path.len() != steps.len() {
            return Err(Refusal::PathLength {
                got: path.len(),
                want: steps.len(),
            });
        }
        for (level, (turn, step)) in path.iter().zip(&steps).enumerate() {
            if *turn != step.on_right {
                return Err(Refusal::PathShape { level });
            }
        }
        if lemma.last() != Some(&blob.root) {
            return Err(Refusal::LemmaRoot);
        }
        let found = if path.is_empty() {
            &[]
        } else {
            &lemma[1..lemma.len() - 1]
        };
        Self::check(blob, index, &steps, lemma[0], found)
    }

    /// Puts a proof together from what a store kept of it, and checks it as one from outside.
    ///
    /// # Errors
    /// [`Refusal::IndexOutOfRange`], [`Refusal::PathLength`], [`Refusal::PaddingSibling`] or
    /// [`Refusal::Root`].
    pub fn from_parts(
        blob: BlobId,
        index: u64,
        chunk_root: Hash32,
        siblings: &[Hash32],
    ) -> Result<Self, Refusal> {
        Refusal::unless_index_in(blob.shape, index)?;
        let steps = crate::path::siblings(blob.shape, index);
        let (got, want) = (siblings.len(), steps.len());
        if got != want {
            return Err(Refusal::PathLength { got, want });
        }
        Self::check(blob, index, &steps, chunk_root, siblings)
    }

    /// A proof that is true by construction: the blob's root was computed from
    /// the other parts.
    pub(crate) const fn computed(
        blob: BlobId,
        index: u64,
        chunk_root: Hash32,
        siblings: Vec<Hash32>,
    ) -> Self {
        Self {
            blob,
            index,
            chunk_root,
            siblings,
        }
    }

    /// The common end of every foreign form: padding, then the root.
    pub(crate) fn check(
        blob: BlobId,
        index: u64,
        steps: &[Sibling],
        chunk_root: Hash32,
        found: &[Hash32],
    ) -> Result<Self, Refusal> {
        for (level, (step, root)) in steps.iter().zip(found).enumerate() {
            if step
                .padding_root(blob.shape)
                .is_some_and(|zero| zero != *root)
            {
                return Err(Refusal::PaddingSibling { level });
            }
        }
        if climb(chunk_root, steps, found) != blob.root {
            return Err(Refusal::Root);
        }
        Ok(Self {
            blob,
            index,
            chunk_root,
            siblings: found.to_vec(),
        })
    }

    /// The blob that the proof names.
    #[must_use]
    pub const fn blob(&self) -> BlobId {
        self.blob
    }

    /// Which chunk.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Root of the chunk over its padded sectors.
    #[must_use]
    pub const fn chunk_root(&self) -> Hash32 {
        self.chunk_root
    }

    /// Roots beside the way up, bottom to top.
    #[must_use]
    pub fn siblings(&self) -> &[Hash32] {
        &self.siblings
    }

    /// The form that 0G's clients and nodes exchange (0G wire, 1.6).
    #[must_use]
    pub fn to_wire(&self) -> WireProof {
        let steps = siblings(self.blob.shape, self.index);
        let mut lemma = Vec::with_capacity(steps.len() + 2);
        lemma.push(self.chunk_root);
        if !steps.is_empty() {
            lemma.extend_from_slice(&self.siblings);
            lemma.push(self.blob.root);
        }
        WireProof {
            lemma,
            path: steps.iter().map(|step| step.on_right).collect(),
        }
    }

    /// Accepts the proof only if it is about this blob and chunk.
    ///
    /// # Errors
    /// [`Refusal::NotAskedFor`].
    pub fn expect(&self, blob: BlobId, index: u64) -> Result<&Self, Refusal> {
        if self.blob == blob && self.index == index {
            Ok(self)
        } else {
            Err(Refusal::NotAskedFor)
        }
    }

    /// Checks a chunk's bytes against the proof. Says nothing about whether
    /// this is the blob the caller wants: see [`Self::verify_for`].
    ///
    /// # Errors
    /// [`Refusal::DataLength`], before hashing, or [`Refusal::Data`].
    pub fn verify<'data>(&self, data: &'data [u8]) -> Result<VerifiedChunk<'data>, Refusal> {
        self.verify_with(&mut ChunkHasher::new(), data)
    }

    /// As [`Self::verify`], with a hasher that the caller keeps: the form for
    /// a hot loop, which takes no memory.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_with<'data>(
        &self,
        hasher: &mut ChunkHasher,
        data: &'data [u8],
    ) -> Result<VerifiedChunk<'data>, Refusal> {
        if hasher.root(self.blob.shape, self.index, data)? != self.chunk_root {
            return Err(Refusal::Data);
        }
        Ok(VerifiedChunk {
            blob: self.blob,
            index: self.index,
            data,
        })
    }

    /// Checks that the proof is about this blob and chunk, and the chunk's
    /// bytes against it: what a reader does with an answer.
    ///
    /// # Errors
    /// [`Refusal::NotAskedFor`], else as [`Self::verify`].
    pub fn verify_for<'data>(
        &self,
        blob: BlobId,
        index: u64,
        data: &'data [u8],
    ) -> Result<VerifiedChunk<'data>, Refusal> {
        self.expect(blob, index)?.verify(data)
    }

    /// As [`Self::verify_with`], for data that comes in whole sectors, as on
    /// the 0G wire (1.6): the last sector is filled with zeros.
    ///
    /// # Errors
    /// As [`Self::verify`]; [`Refusal::Fill`] if the fill is not zero.
    pub fn verify_sectors<'data>(
        &self,
        hasher: &mut ChunkHasher,
        sectors: &'data [u8],
    ) -> Result<VerifiedChunk<'data>, Refusal> {
        let len = self.blob.shape.chunk_len(self.index);
        let (got, want) = (sectors.len(), len.next_multiple_of(SECTOR_LEN));
        if got != want {
            return Err(Refusal::DataLength { got, want });
        }
        let (data, fill) = sectors.split_at(len);
        if fill.iter().any(|byte| *byte != 0) {
            return Err(Refusal::Fill);
        }
        self.verify_with(hasher, data)
    }
}
