//! Joining chunk roots: into the few perfect subtrees that a blob consists of,
//! and into the root of a run.

use alloc::vec::Vec;

use crate::hash32::Hash32;
use crate::keccak::{Backend, keccak256};
use crate::shape::CHUNK_HEIGHT;
use crate::zero::ZERO_ROOTS;

/// A perfect subtree of a blob's tree, as submitted to the chain (0G wire,
/// 1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SubmissionNode {
    /// Root of the subtree.
    pub root: Hash32,
    /// log2 of the sectors under it.
    pub height: u8,
}

/// The perfect subtrees so far, heights falling from left to right: the binary
/// ones of the sector count.
#[derive(Clone, Debug)]
pub(crate) struct Crown {
    backend: Backend,
    subtrees: Vec<SubmissionNode>,
}

impl Crown {
    pub(crate) fn new(backend: Backend) -> Self {
        Self {
            backend,
            subtrees: Vec::with_capacity(64),
        }
    }

    /// Appends a subtree and joins it with equal ones before it.
    pub(crate) fn push(&mut self, height: u8, root: Hash32) {
        let mut node = SubmissionNode { root, height };
        while let Some(left) = self.subtrees.pop_if(|left| left.height == node.height) {
            let root = Hash32(self.backend.hash_pair(&[left.root.0, node.root.0]));
            node = SubmissionNode {
                root,
                height: node.height + 1,
            };
        }
        self.subtrees.push(node);
    }

    /// Appends chunks of padding from chunk `from` to chunk `to`, exclusive,
    /// as the largest aligned runs: O(log) hashes instead of one per chunk.
    pub(crate) fn pad(&mut self, from: u64, to: u64) {
        let mut at = from;
        while at < to {
            let run_log2 = at.trailing_zeros().min((to - at).ilog2());
            let height = CHUNK_HEIGHT + u8::try_from(run_log2).expect("below 64");
            self.push(height, ZERO_ROOTS[usize::from(height)]);
            at += 1 << run_log2;
        }
    }

    pub(crate) fn into_subtrees(self) -> Vec<SubmissionNode> {
        self.subtrees
    }

    /// Root of the blob.
    pub(crate) fn root(&self) -> Option<Hash32> {
        fold_nodes(self.backend, &self.subtrees)
    }
}

/// Root of the blob whose tree consists of these subtrees, left to right; none of no subtree. Folded
/// from the right, which is the RFC 6962 shape (0G wire, 1.3). [L-2]
#[must_use]
pub fn submission_root(nodes: &[SubmissionNode]) -> Option<Hash32> {
    fold_nodes(Backend::best(), nodes)
}

/// Digest of a submission of these nodes, `identity` in the chain's `Submit` event: keccak256 of
/// their roots in order (0G wire, 1.5). [L-2]
#[must_use]
pub fn identity(nodes: &[SubmissionNode]) -> Hash32 {
    let roots: Vec<[u8; 32]> = nodes.iter().map(|node| node.root.0).collect();
    Hash32(keccak256(roots.as_flattened()))
}

fn fold_nodes(backend: Backend, nodes: &[SubmissionNode]) -> Option<Hash32> {
    let roots = nodes.iter().rev().map(|node| node.root);
    roots.reduce(|right, left| Hash32(backend.hash_pair(&[left.0, right.0])))
}

/// Root over a row of equally high subtrees, in the shape of RFC 6962: of the
/// chunk roots of a run, or of the group roots of a longer one.
///
/// Returns `None` for an empty row. Cost: one hash less than there are roots,
/// in full lanes; one allocation of 32 bytes per root.
#[must_use]
pub fn fold_roots(roots: &[Hash32]) -> Option<Hash32> {
    let backend = Backend::best();
    let mut nodes: Vec<[u8; 32]> = roots.iter().map(|root| root.0).collect();
    let mut right: Option<[u8; 32]> = None;
    let mut level = nodes.len();
    while level > 0 {
        if level % 2 == 1 {
            level -= 1;
            let left = nodes[level];
            right = Some(right.map_or(left, |right| backend.hash_pair(&[left, right])));
        }
        level = backend.hash_pairs(&mut nodes[..level]);
    }
    right.map(Hash32)
}
