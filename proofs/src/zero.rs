//! Roots of subtrees that hold nothing but padding.

use crate::hash32::Hash32;
use crate::keccak::keccak256;

/// `ZERO_ROOTS[h]` is the root over `2^h` empty sectors: Z(0) is the digest of
/// 256 zero bytes, Z(h+1) the digest of Z(h) twice (0G wire, 1.1).
///
/// Computed at compile time; a test compares all 64 with the table that the
/// 0G contract carries.
pub static ZERO_ROOTS: [Hash32; 64] = zero_roots();

const fn zero_roots() -> [Hash32; 64] {
    let mut roots = [Hash32(keccak256(&[0; 256])); 64];
    let mut height = 1;
    while height < 64 {
        let below = roots[height - 1].0;
        roots[height] = Hash32(keccak256([below, below].as_flattened()));
        height += 1;
    }
    roots
}
