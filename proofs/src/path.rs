//! The way from one chunk up to the blob's root, and what stands beside it.
//!
//! The tree over the padded chunks has the RFC 6962 shape (0G wire, 1.3): over
//! m chunks, the left subtree has the largest power of two strictly below m.

use alloc::vec::Vec;

use crate::hash32::Hash32;
use crate::keccak::Backend;
use crate::shape::{BlobShape, CHUNK_HEIGHT};
use crate::zero::ZERO_ROOTS;

/// A run of neighbouring chunks of one blob, all of which hold bytes.
///
/// `count` is a power of two and `first` a multiple of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRun {
    /// Index of the first chunk.
    pub first: u64,
    /// Chunks in the run.
    pub count: u64,
}

/// One step up: the subtree beside the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sibling {
    first: u64,
    count: u64,
    /// The sibling is the right child, so the path is on the left.
    pub(crate) on_right: bool,
}

/// Steps of the longest way up: a blob has at most 2^46 chunks of 2^18 bytes.
pub(crate) const SIBLINGS_MAX: usize = 46;

/// Siblings of chunk `index`, bottom to top, at most [`SIBLINGS_MAX`].
pub(crate) fn siblings(shape: BlobShape, index: u64) -> Vec<Sibling> {
    let mut siblings = Vec::new();
    let (mut first, mut count) = (0, shape.padded_chunks());
    while count > 1 {
        let left = left_count(count);
        let on_right = index < first + left;
        if on_right {
            siblings.push(Sibling {
                first: first + left,
                count: count - left,
                on_right,
            });
            count = left;
        } else {
            siblings.push(Sibling {
                first,
                count: left,
                on_right,
            });
            (first, count) = (first + left, count - left);
        }
    }
    siblings.reverse();
    siblings
}

impl Sibling {
    /// The only value this sibling may have, if no byte lies under it.
    pub(crate) fn padding_root(self, shape: BlobShape) -> Option<Hash32> {
        (self.first >= shape.chunks()).then(|| padding_root(self.count))
    }

    /// Its root, from the runs of real chunks under it.
    pub(crate) fn root<E>(
        self,
        shape: BlobShape,
        ask: &mut impl FnMut(ChunkRun) -> Result<Hash32, E>,
    ) -> Result<Hash32, E> {
        subtree_root(
            shape,
            ChunkRun {
                first: self.first,
                count: self.count,
            },
            ask,
        )
    }
}

/// Root of a blob, from the roots of runs of its chunks, which are asked for from the left: disjoint,
/// together every chunk that holds bytes, at most 46 of them. What [`ProofPlan`](crate::ProofPlan)
/// says of runs holds here. One run of all chunks where their number is a power of two.
///
/// # Errors
/// The first error of `root_of`.
pub fn fold_runs<E>(
    shape: BlobShape,
    mut root_of: impl FnMut(ChunkRun) -> Result<Hash32, E>,
) -> Result<Hash32, E> {
    let all = ChunkRun {
        first: 0,
        count: shape.padded_chunks(),
    };
    subtree_root(shape, all, &mut root_of)
}

/// Root of a subtree, cut into runs that hold bytes only, which are asked for,
/// and padding, which is known.
fn subtree_root<E>(
    shape: BlobShape,
    run: ChunkRun,
    ask: &mut impl FnMut(ChunkRun) -> Result<Hash32, E>,
) -> Result<Hash32, E> {
    let ChunkRun { first, count } = run;
    if first >= shape.chunks() {
        return Ok(padding_root(count));
    }
    if count.is_power_of_two() && first + count <= shape.chunks() {
        return ask(run);
    }
    let left = left_count(count);
    let left_root = subtree_root(shape, ChunkRun { first, count: left }, ask)?;
    let right = ChunkRun {
        first: first + left,
        count: count - left,
    };
    let right_root = subtree_root(shape, right, ask)?;
    Ok(parent(left_root, right_root))
}

/// Padding chunks are less than one padding unit, and lie in the last one; a
/// unit is a perfect subtree, so each node in it is a zero root.
fn padding_root(count: u64) -> Hash32 {
    assert!(count.is_power_of_two(), "a subtree of padding is perfect");
    let height = u32::from(CHUNK_HEIGHT) + count.ilog2();
    ZERO_ROOTS[usize::try_from(height).expect("below 64")]
}

/// The root that a chunk root and its siblings lead to.
pub(crate) fn climb(chunk_root: Hash32, steps: &[Sibling], siblings: &[Hash32]) -> Hash32 {
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

/// Whether `siblings`, bottom to top, lead from `leaf` to `root`. The lowest bit of `turns` is the
/// first step's, and so on: set where the running node is the right child. In a perfect tree `turns`
/// is thus the leaf's index; bits above the last step must be zero.
///
/// Nothing here tells a leaf from an inner node: the caller's leaves must be hashes of something that
/// no inner node is, or the number of steps known. Cost: one hash of 64 bytes a step.
#[must_use]
pub fn leads_to(
    root: Hash32,
    leaf: Hash32,
    mut turns: u64,
    siblings: impl IntoIterator<Item = Hash32>,
) -> bool {
    // [P-1], [P-2]
    let mut running = leaf;
    for sibling in siblings {
        running = if turns & 1 == 0 {
            parent(running, sibling)
        } else {
            parent(sibling, running)
        };
        turns >>= 1;
    }
    turns == 0 && running == root
}

/// Node above two children.
pub(crate) fn parent(left: Hash32, right: Hash32) -> Hash32 {
    Hash32(Backend::best().hash_pair(&[left.0, right.0]))
}

/// Chunks under the left child of a node over `count` of them, 2 or more.
const fn left_count(count: u64) -> u64 {
    count.next_power_of_two() / 2
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
