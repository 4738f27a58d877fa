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
//! zero roots; siblings lead to the root; then, with data at hand, exact data
//! length and the data's root. Cheap checks come before hashing.

use alloc::vec::Vec;
use core::convert::Infallible;

use crate::chunk::ChunkHasher;
use crate::hash32::Hash32;
use crate::path::{ChunkRun, Sibling, parent, siblings};
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

/// Why a proof, or data under it, is not accepted. None of them can be cured
/// by trying again with the same bytes: ask another holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The blob has no bytes.
    #[error(transparent)]
    EmptyBlob(#[from] EmptyBlob),
    /// The path has another length than this chunk's way up.
    #[error("path has {got} steps, the way up from this chunk has {want}")]
    PathLength {
        /// Steps found.
        got: usize,
        /// Steps this index and size imply.
        want: usize,
    },
    /// The lemma has another length than its path implies.
    #[error("lemma has {got} hashes, {want} belong to its path")]
    LemmaLength {
        /// Hashes found.
        got: usize,
        /// Hashes implied.
        want: usize,
    },
    /// No such chunk holds bytes.
    #[error("chunk {index} is past the end, the blob has {chunks} chunks")]
    IndexOutOfRange {
        /// Index asked for.
        index: u64,
        /// Chunks that hold bytes.
        chunks: u64,
    },
    /// The path leads to another index.
    #[error("step {level} of the path turns the other way than the index says")]
    PathShape {
        /// Which step, from the bottom, from 0.
        level: usize,
    },
    /// The lemma ends with another root than the proof names.
    #[error("the lemma ends with another root than the blob's")]
    LemmaRoot,
    /// A sibling over nothing but padding is not the zero root.
    #[error("sibling {level} covers only padding but is not the zero root")]
    PaddingSibling {
        /// Which sibling, from the bottom, from 0.
        level: usize,
    },
    /// Chunk root and siblings do not lead to the root.
    #[error("chunk root and siblings do not lead to the root")]
    Root,
    /// The proof is about another blob or chunk than asked for.
    #[error("this proof is about another blob or chunk than the one asked for")]
    NotAskedFor,
    /// The chunk's data has another length than the blob's size implies.
    #[error("chunk data has {got} bytes, {want} belong to this chunk")]
    DataLength {
        /// Bytes found.
        got: usize,
        /// Bytes this index and size imply.
        want: usize,
    },
    /// The fill of the last sector is not zero.
    #[error("the last sector is not filled with zeros")]
    Fill,
    /// The data is not what the proof is about.
    #[error("the data does not have the chunk root of the proof")]
    Data,
}

impl Refusal {
    pub(crate) fn unless_index_in(shape: BlobShape, index: u64) -> Result<(), Self> {
        let chunks = shape.chunks();
        if index < chunks {
            Ok(())
        } else {
            Err(Self::IndexOutOfRange { index, chunks })
        }
    }

    pub(crate) fn unless_chunk_len(shape: BlobShape, index: u64, data: &[u8]) -> Result<(), Self> {
        let (got, want) = (data.len(), shape.chunk_len(index));
        if got == want {
            Ok(())
        } else {
            Err(Self::DataLength { got, want })
        }
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

fn climb(chunk_root: Hash32, steps: &[Sibling], siblings: &[Hash32]) -> Hash32 {
    let mut running = chunk_root;
    for (step, sibling) in steps.iter().zip(siblings) {
        running = if step.on_right {
            parent(running, *sibling)
        } else {
            parent(*sibling, running)
        };
    }
    running
}

/// Which roots the proof of one chunk needs, before any is fetched.
///
/// # The runs that are asked for
/// First the chunk itself (`count` 1); then, bottom to top, what the siblings
/// consist of. Each run holds real chunks only, its `count` is a power of two
/// and its `first` a multiple of it. So a store that keeps chunk roots and the
/// roots of aligned groups of 1024 chunks answers a run of 1 from the first, a
/// run of 2 to 512 by [`fold_roots`](crate::fold_roots) over chunk roots of
/// one group, and a longer run by folding group roots. Padding is never asked
/// for. At most 92 runs, disjoint, which together hold every real chunk once.
#[derive(Clone, Debug)]
pub struct ProofPlan {
    shape: BlobShape,
    index: u64,
    steps: Vec<Sibling>,
}

impl ProofPlan {
    /// Plans the proof of chunk `index`.
    ///
    /// # Errors
    /// [`Refusal::IndexOutOfRange`].
    pub fn new(shape: BlobShape, index: u64) -> Result<Self, Refusal> {
        Refusal::unless_index_in(shape, index)?;
        Ok(Self {
            shape,
            index,
            steps: siblings(shape, index),
        })
    }

    /// The runs, in the order in which [`Self::prove`] asks for them: fetch
    /// them first if fetching waits.
    #[must_use]
    pub fn runs(&self) -> Vec<ChunkRun> {
        let mut runs = Vec::new();
        let Ok(_) = self.prove(|run| {
            runs.push(run);
            Ok::<_, Infallible>(Hash32([0; 32]))
        });
        runs
    }

    /// Asks for each run's root, and makes the proof. Stops at the first error
    /// of `root_of`. The proof's root is computed: compare it with the blob's.
    ///
    /// # Errors
    /// Whatever `root_of` returns.
    pub fn prove<E>(
        &self,
        mut root_of: impl FnMut(ChunkRun) -> Result<Hash32, E>,
    ) -> Result<ChunkProof, E> {
        let chunk_root = root_of(ChunkRun {
            first: self.index,
            count: 1,
        })?;
        let mut siblings = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            siblings.push(step.root(self.shape, &mut root_of)?);
        }
        let root = climb(chunk_root, &self.steps, &siblings);
        let blob = BlobId {
            root,
            shape: self.shape,
        };
        Ok(ChunkProof {
            blob,
            index: self.index,
            chunk_root,
            siblings,
        })
    }
}
