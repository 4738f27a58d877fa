//! SHA-256 trees of the shape of RFC 6962, and the one walk that makes and checks every proof.
//!
//! ```text
//!  leaf   SHA-256(0x00 | bytes), or what its row says
//!  node   SHA-256(0x01 | left | right)
//!  shape  the left child has the largest power of two of leaves below all of them
//! ```
//! The shape follows from the number of leaves, and the hashes that a proof needs from that and from
//! the leaves that are shown. So a proof is a list of hashes in the order in which the walk from the
//! left comes by them, has one form, and its length is known before it is read.

use alloc::vec::Vec;

use sha2::{Digest as _, Sha256, block_api::compress256};

use crate::hash32::Hash32;

/// In front of the bytes of a leaf.
pub(crate) const LEAF: u8 = 0;
/// In front of the children of a node.
pub(crate) const NODE: u8 = 1;

// Leaves and nodes are hashed block by block, FIPS 180-4, 5.1.1 and 5.3.3: what a hasher does besides
// takes an eighth of the time of a piece of 1 KiB, and a third of that of a node.

/// What the state of SHA-256 begins with.
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
/// Behind the message.
const END: u8 = 0x80;
/// Where the last block has the message's length in bits.
const LENGTH_AT: usize = 56;

/// SHA-256 of parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> Hash32 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash32(hasher.finalize().into())
}

/// The leaf over some bytes.
pub(crate) fn leaf(bytes: &[u8]) -> Hash32 {
    // [D-6]
    let (mut state, mut last) = (START, [0; 64]);
    last[0] = LEAF;
    let (front, rest) = bytes.split_at(bytes.len().min(63));
    let mut filled = 1 + front.len();
    last[1..filled].copy_from_slice(front);
    if filled == 64 {
        compress256(&mut state, &[last]);
        let (blocks, tail) = rest.as_chunks();
        compress256(&mut state, blocks);
        (last, filled) = ([0; 64], tail.len());
        last[..filled].copy_from_slice(tail);
    }
    last[filled] = END;
    if filled >= LENGTH_AT {
        compress256(&mut state, &[last]);
        last = [0; 64];
    }
    let len = u64::try_from(bytes.len()).expect("a length in memory");
    last[LENGTH_AT..].copy_from_slice(&(8 * (len + 1)).to_be_bytes());
    compress256(&mut state, &[last]);
    digest(state)
}

/// The node above two.
pub(crate) fn node(left: Hash32, right: Hash32) -> Hash32 {
    // [D-6]
    let (mut state, mut blocks) = (START, [[0; 64]; 2]);
    let bytes = blocks.as_flattened_mut();
    bytes[0] = NODE;
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..65].copy_from_slice(&right.0);
    bytes[65] = END;
    bytes[64 + LENGTH_AT..].copy_from_slice(&(8 * 65_u64).to_be_bytes());
    compress256(&mut state, &blocks);
    digest(state)
}

fn digest(state: [u32; 8]) -> Hash32 {
    let mut hash = Hash32([0; 32]);
    for (bytes, word) in hash.0.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

/// Replaces a level by the one above it, down to the root. Without allocation, for short lists.
pub(crate) fn fold_in_place(mut nodes: &mut [Hash32]) -> Hash32 {
    while nodes.len() > 1 {
        let above = nodes.len().div_ceil(2);
        for place in 0..above {
            nodes[place] = match nodes.get(2 * place + 1) {
                Some(right) => node(nodes[2 * place], *right),
                None => nodes[2 * place],
            };
        }
        nodes = &mut nodes[..above];
    }
    nodes[0]
}

/// All nodes over a list of leaves, at least one.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Leaves first, the root last. A last node without a partner stands on the next level as well:
    /// joined that way, the tree has the shape of RFC 6962.
    levels: Vec<Vec<Hash32>>,
}

impl Tree {
    pub(crate) fn new(leaves: Vec<Hash32>) -> Self {
        assert!(!leaves.is_empty(), "a tree has a leaf");
        let (mut level, mut levels) = (leaves, Vec::new());
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match *pair {
                [left, right] => node(left, right),
                _ => pair[0],
            });
            let above = above.collect();
            levels.push(core::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    /// The node over everything.
    #[must_use]
    pub fn root(&self) -> Hash32 {
        *self
            .levels
            .last()
            .and_then(|top| top.first())
            .expect("a tree has a root")
    }

    /// A leaf.
    #[cfg(test)]
    pub(crate) fn leaf(&self, place: usize) -> Hash32 {
        self.levels[0][place]
    }

    /// The node over a run that the walk of this tree comes by.
    pub(crate) fn over(&self, run: Run) -> Hash32 {
        let height = run.count.next_power_of_two().ilog2();
        let height = usize::try_from(height).expect("at most 64");
        self.levels[height][run.first >> height]
    }
}

/// Leaves next to each other that one node is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl Run {
    /// All leaves of a tree.
    pub(crate) fn all(count: usize) -> Self {
        Self { first: 0, count }
    }

    /// Whether it has a leaf of a range.
    pub(crate) fn meets(self, leaves: &core::ops::Range<usize>) -> bool {
        self.first < leaves.end && leaves.start < self.first + self.count
    }

    /// What the two children of its node are over.
    pub(crate) fn split(self) -> (Self, Self) {
        let left = self.count.next_power_of_two() / 2;
        let Self { first, count } = self;
        (
            Self { first, count: left },
            Self {
                first: first + left,
                count: count - left,
            },
        )
    }
}

/// The root over a run, from what `ask` says of nodes on the way down: their hash, or `None` to go
/// on below. It must know every leaf. Goes at most 17 levels deep.
pub(crate) fn walk<E>(
    run: Run,
    ask: &mut impl FnMut(Run) -> Result<Option<Hash32>, E>,
) -> Result<Hash32, E> {
    if let Some(hash) = ask(run)? {
        return Ok(hash);
    }
    assert!(run.count > 1, "whoever asks knows the leaves");
    let (left, right) = run.split();
    let left = walk(left, ask)?;
    Ok(node(left, walk(right, ask)?))
}

/// Comes by the nodes that a proof consists of, from the left: those that are over no leaf that is
/// `shown`, as high up as can be.
pub(crate) fn beside(run: Run, shown: &impl Fn(Run) -> bool, found: &mut impl FnMut(Run)) {
    if !shown(run) {
        found(run);
    } else if run.count > 1 {
        let (left, right) = run.split();
        beside(left, shown, found);
        beside(right, shown, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [D-6] Leaves of every length around whole blocks, and nodes, are what a hasher makes of them.
    #[test]
    fn hashes_are_sha256() {
        let bytes: Vec<u8> = (0..1100_u32).map(|at| at.to_be_bytes()[3]).collect();
        for len in (0..260).chain(1000..=1100) {
            let expected = sha256(&[&[LEAF], &bytes[..len]]);
            assert_eq!(leaf(&bytes[..len]), expected, "{len} bytes");
        }
        let (left, right) = (leaf(&[1]), leaf(&[2]));
        assert_eq!(node(left, right), sha256(&[&[NODE], &left.0, &right.0]));
    }

    /// Stored trees, trees folded in place and walks agree on every size, and every run that a walk
    /// comes by is the node that the tree has there.
    #[test]
    fn shapes_agree() {
        for count in 1..=40u8 {
            let leaves: Vec<Hash32> = (0..count).map(|byte| leaf(&[byte])).collect();
            let tree = Tree::new(leaves.clone());
            assert_eq!(fold_in_place(&mut leaves.clone()), tree.root());
            let all = Run::all(leaves.len());
            let root = walk(all, &mut |run| {
                let below = walk::<()>(run, &mut |run| {
                    Ok((run.count == 1).then(|| leaves[run.first]))
                });
                assert_eq!(below, Ok(tree.over(run)));
                Ok::<_, ()>((run.count == 1).then(|| leaves[run.first]))
            });
            assert_eq!(root, Ok(tree.root()));
        }
    }
}
