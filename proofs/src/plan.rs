//! Making a proof, from roots that a store keeps.

use alloc::vec::Vec;
use core::convert::Infallible;

use crate::hash32::Hash32;
use crate::path::{ChunkRun, Sibling, climb, siblings};
use crate::proof::{BlobId, ChunkProof};
use crate::refusal::Refusal;
use crate::shape::BlobShape;

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
        Ok(ChunkProof::computed(blob, self.index, chunk_root, siblings))
    }
}
