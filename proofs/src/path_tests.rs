//! Paths that are given by their turns.

use std::vec::Vec;

use super::*;
use crate::hash32::Hash32;

/// Roots of every level over `leaves`, a power of two of them.
fn levels(leaves: &[Hash32]) -> Vec<Vec<Hash32>> {
    let mut levels = std::vec![leaves.to_vec()];
    while levels.last().expect("the leaves are one").len() > 1 {
        let below = levels.last().expect("the leaves are one");
        let above = below.chunks(2).map(|pair| parent(pair[0], pair[1]));
        levels.push(above.collect());
    }
    levels
}

fn leaf(number: u8) -> Hash32 {
    Hash32([number; 32])
}

/// In a perfect tree the turns are the index: every leaf of every tree up to 64 leaves leads to the
/// root with its own index and no other, and nothing else leads there ([P-1], [P-2]).
#[test]
fn index_is_turns() {
    for height in 0..7_usize {
        let leaves: Vec<Hash32> = (0..1_u8 << height).map(leaf).collect();
        let levels = levels(&leaves);
        let root = levels[height][0];
        for at in 0..leaves.len() {
            let path = (0..height).map(|level| levels[level][(at >> level) ^ 1]);
            let path: Vec<Hash32> = path.collect();
            for turns in 0..leaves.len() + 1 {
                let holds = leads_to(
                    root,
                    leaves[at],
                    u64::try_from(turns).unwrap(),
                    path.clone(),
                );
                assert_eq!(holds, turns == at, "leaf {at} of 2^{height} by {turns}");
            }
            assert!(!leads_to(
                root,
                leaf(99),
                u64::try_from(at).unwrap(),
                path.clone()
            ));
            assert!(!leads_to(
                leaf(99),
                leaves[at],
                u64::try_from(at).unwrap(),
                path.clone()
            ));
            assert!(!leads_to(root, leaves[at], u64::MAX, path));
        }
    }
}

/// Three leaves make a tree that is not perfect: the third has one step, to the right.
#[test]
fn other_shapes_by_their_turns() {
    let left = parent(leaf(0), leaf(1));
    let root = parent(left, leaf(2));
    assert!(leads_to(root, leaf(0), 0b00, [leaf(1), leaf(2)]));
    assert!(leads_to(root, leaf(1), 0b01, [leaf(0), leaf(2)]));
    assert!(leads_to(root, leaf(2), 0b1, [left]));
    assert!(!leads_to(root, leaf(2), 0b0, [left]));
    assert!(!leads_to(root, leaf(2), 0b10, [left]));
}
