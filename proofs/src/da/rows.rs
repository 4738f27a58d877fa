//! The tree over all rows of a container, and the two ways to show rows under its root.
//!
//! ```text
//!  original row   SHA-256 tree over its pieces of 1 KiB, the last one may be shorter
//!  parity row     BLAKE3 of the row, under the context of this format
//!  row tree       SHA-256 over 3072 rows and 1024 places of 32 zero bytes: 12 levels
//! ```
//! Contracts look at the container's own bytes only, so only those pay for a hash that they can
//! compute; a miner proves a piece of a parity row by BLAKE3's own tree.
//!
//! One row is shown by a path of 12 siblings, a form that a contract can walk without knowing
//! anything else. Several rows are shown by the hashes of the nodes beside them; nodes over nothing
//! but the places behind the rows are known, and left out.

use alloc::vec::Vec;

use blake3::hazmat::HasherExt as _;

use super::{
    shape::{ORIGINAL_ROWS, PIECE_LEN, ROWS, WIDTH_MAX},
    tree::{Run, Tree, beside, fold_in_place, leaf, node},
};
use crate::hash32::Hash32;

/// Siblings of a row.
pub const ROW_SIBLINGS: usize = 12;
/// Siblings of a row, from the bottom.
pub type RowPath = [Hash32; ROW_SIBLINGS];

/// Leaves of the perfect tree.
pub(crate) const PLACES: usize = 1 << ROW_SIBLINGS;
/// What BLAKE3 hashes parity rows under.
const PARITY_CONTEXT: &str = "lode/da/1 parity row";

/// A leaf behind the last row, which nothing hashes to.
const NOTHING: Hash32 = Hash32([0; 32]);

/// Hashes rows.
#[derive(Clone)]
pub(crate) struct RowHasher {
    parity: blake3::Hasher,
}

impl RowHasher {
    pub(crate) fn new() -> Self {
        let key = blake3::hazmat::hash_derive_key_context(PARITY_CONTEXT);
        Self {
            parity: blake3::Hasher::new_from_context_key(&key),
        }
    }

    /// The leaf of row number `row`.
    pub(crate) fn leaf(&self, row: usize, bytes: &[u8]) -> Hash32 {
        if row < ORIGINAL_ROWS {
            return original_leaf(bytes);
        }
        // [D-8]
        let mut hasher = self.parity.clone();
        Hash32(*hasher.update(bytes).finalize().as_bytes())
    }
}

/// The node over all pieces of an original row.
pub(crate) fn original_leaf(bytes: &[u8]) -> Hash32 {
    // [D-7]
    let mut nodes = [NOTHING; WIDTH_MAX / PIECE_LEN];
    let pieces = bytes.chunks(PIECE_LEN);
    let count = pieces.len();
    for (place, piece) in nodes.iter_mut().zip(pieces) {
        *place = leaf(piece);
    }
    fold_in_place(&mut nodes[..count])
}

/// The tree over the leaves of all rows, or over any 3072 leaves.
pub(crate) fn row_tree(mut leaves: Vec<Hash32>) -> Tree {
    // [D-9]
    assert_eq!(leaves.len(), ROWS, "a leaf for each row");
    leaves.resize(PLACES, NOTHING);
    Tree::new(leaves)
}

/// What stands beside the way up from a row.
pub(crate) fn path(tree: &Tree, row: usize) -> RowPath {
    core::array::from_fn(|level| {
        tree.over(Run {
            first: ((row >> level) ^ 1) << level,
            count: 1 << level,
        })
    })
}

/// Where a path leads from a row's leaf.
pub(crate) fn climb(row: usize, leaf: Hash32, path: &RowPath) -> Hash32 {
    // [D-9]
    let mut running = leaf;
    for (level, sibling) in path.iter().enumerate() {
        running = if (row >> level) & 1 == 0 {
            node(running, *sibling)
        } else {
            node(*sibling, running)
        };
    }
    running
}

/// The hash of a run that is over nothing but places behind the rows.
pub(crate) fn nothing_over(run: Run) -> Option<Hash32> {
    (run.first >= ROWS).then(|| (0..run.count.ilog2()).fold(NOTHING, |below, _| node(below, below)))
}

/// The nodes beside some rows, ascending, in the order of the walk [D-18].
pub(crate) fn proof(tree: &Tree, rows: &[u16]) -> Vec<Hash32> {
    let mut found = Vec::new();
    let shown = |run: Run| run.first >= ROWS || !shown_in(rows, run).is_empty();
    beside(Run::all(PLACES), &shown, &mut |run| {
        if run.first < ROWS {
            found.push(tree.over(run));
        }
    });
    found
}

/// How many hashes a sliver of these rows, ascending, has beside it.
#[must_use]
pub fn proof_len(rows: &[u16]) -> usize {
    let mut count = 0;
    let shown = |run: Run| run.first >= ROWS || !shown_in(rows, run).is_empty();
    beside(Run::all(PLACES), &shown, &mut |run| {
        count += usize::from(run.first < ROWS);
    });
    count
}

/// Which of the ascending rows lie in a run.
pub(crate) fn shown_in(rows: &[u16], run: Run) -> core::ops::Range<usize> {
    let before = |end: usize| rows.partition_point(|row| usize::from(*row) < end);
    before(run.first)..before(run.first + run.count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::da::holding::Holding;
    use alloc::vec;

    fn root_over(rows: &[u16], leaves: &[Hash32], proof: &[Hash32]) -> Option<Hash32> {
        Holding::new(rows, leaves, proof).map(|holding| holding.root())
    }

    fn tree() -> Tree {
        let leaves = (0..3072u32).map(|row| leaf(&row.to_be_bytes()));
        row_tree(leaves.collect())
    }

    /// [D-9] Every row's path leads to the root, from this row's place only.
    #[test]
    fn paths_lead_to_the_root() {
        let tree = tree();
        for row in (0..ROWS).step_by(97).chain([1023, 1024, 2047, 2048, 3071]) {
            let path = path(&tree, row);
            assert_eq!(climb(row, tree.leaf(row), &path), tree.root());
            assert_ne!(climb(row ^ 1, tree.leaf(row), &path), tree.root());
            assert_ne!(climb(row ^ 2048, tree.leaf(row), &path), tree.root());
        }
    }

    /// [D-18] Any set of rows is shown by as many hashes as are needed, and no other number of them.
    #[test]
    fn sets_of_rows_lead_to_the_root() {
        let tree = tree();
        let sets: [Vec<u16>; 6] = [
            vec![0],
            vec![3071],
            (0..3072).collect(),
            (0..1024).collect(),
            (0..3072).step_by(100).collect(),
            vec![5, 6, 7, 1023, 1024, 2047, 2048],
        ];
        for (rows, want) in sets.iter().zip([12, 11, 0, 2, usize::MAX, usize::MAX]) {
            let leaves: Vec<Hash32> = rows
                .iter()
                .map(|row| tree.leaf(usize::from(*row)))
                .collect();
            let mut proof = proof(&tree, rows);
            assert_eq!(proof.len(), proof_len(rows));
            if want != usize::MAX {
                assert_eq!(proof.len(), want);
            }
            assert_eq!(root_over(rows, &leaves, &proof), Some(tree.root()));
            proof.push(NOTHING);
            assert_eq!(root_over(rows, &leaves, &proof), None);
            proof.pop();
            if proof.pop().is_some() {
                assert_eq!(root_over(rows, &leaves, &proof), None);
            }
        }
    }
}
