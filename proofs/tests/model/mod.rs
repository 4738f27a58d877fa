//! The rules of the sector tree once more: slow, recursive, with a foreign
//! keccak, and sharing no code with the crate. Tests compare with this.
#![allow(dead_code, reason = "each test binary uses its own part of the model")]

#[cfg(feature = "da")]
pub mod da;

use lode_proofs::{ChunkRun, Hash32};
use tiny_keccak::{Hasher as _, Keccak};

/// Seeded numbers (splitmix64): same seed, same test.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end`, exclusive.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end).unwrap()).unwrap()
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8))
            .flat_map(|_| self.roll().to_le_bytes())
            .collect();
        bytes.truncate(len);
        bytes
    }

    pub fn hash(&mut self) -> Hash32 {
        Hash32(self.bytes(32).try_into().unwrap())
    }
}

pub fn keccak(message: &[u8]) -> Hash32 {
    let mut hasher = Keccak::v256();
    hasher.update(message);
    let mut digest = [0; 32];
    hasher.finalize(&mut digest);
    Hash32(digest)
}

pub fn parent(left: Hash32, right: Hash32) -> Hash32 {
    keccak(&[left.0, right.0].concat())
}

/// Sectors after flow padding, by the words of the rule: to a multiple of a
/// sixteenth of the next power of two.
pub fn padded_sectors(size: usize) -> usize {
    let sectors = size.div_ceil(256);
    let mut power = 1;
    while power < sectors {
        power *= 2;
    }
    let unit = (power / 16).max(1);
    let mut padded = 0;
    while padded < sectors {
        padded += unit;
    }
    padded
}

/// Leaves of all padded sectors of `data`.
pub fn leaves(data: &[u8]) -> Vec<Hash32> {
    let mut padded = data.to_vec();
    padded.resize(padded_sectors(data.len()) * 256, 0);
    padded.chunks(256).map(keccak).collect()
}

/// RFC 6962, 2.1: the left subtree has the largest power of two strictly below
/// the number of leaves.
pub fn root(leaves: &[Hash32]) -> Hash32 {
    if let [only] = leaves {
        return *only;
    }
    let (left, right) = leaves.split_at(left_count(leaves.len()));
    parent(root(left), root(right))
}

/// Siblings and sides of leaf `index`, bottom to top; a side is true if the
/// running node is on the left.
pub fn path(leaves: &[Hash32], index: usize) -> Vec<(Hash32, bool)> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(left_count(leaves.len()));
    if index < left.len() {
        let mut below = path(left, index);
        below.push((root(right), true));
        below
    } else {
        let mut below = path(right, index - left.len());
        below.push((root(left), false));
        below
    }
}

fn left_count(count: usize) -> usize {
    let mut left = 1;
    while left * 2 < count {
        left *= 2;
    }
    left
}

/// Roots of perfect subtrees that make up the leaves, left to right, with
/// their heights.
pub fn subtrees(leaves: &[Hash32]) -> Vec<(Hash32, u8)> {
    let mut found = Vec::new();
    let mut rest = leaves;
    while !rest.is_empty() {
        let height = rest.len().ilog2();
        let (run, after) = rest.split_at(1 << height);
        found.push((root(run), u8::try_from(height).unwrap()));
        rest = after;
    }
    found
}

/// Root over 2^`height` sectors of zeros.
pub fn zero_root(height: u8) -> Hash32 {
    (0..height).fold(keccak(&[0; 256]), |below, _| parent(below, below))
}

/// Root of a run of chunks, from the roots of all chunks.
pub fn run_root(chunk_roots: &[Hash32], run: ChunkRun) -> Hash32 {
    let first = usize::try_from(run.first).unwrap();
    root(&chunk_roots[first..first + usize::try_from(run.count).unwrap()])
}
