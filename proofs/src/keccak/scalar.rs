//! Keccak of one message at a time, on any CPU, also at compile time.
//!
//! This is the path where no vector unit is known, and the judge of the
//! others. `bmi2` expands the same text with the rotate and and-not
//! instructions of x86-64-v3, which the compiler picks by itself.

use super::round::{ROUND_CONSTANTS, chi_row, round, theta_words};
use super::{Pair, Sector};

/// Keccak-256 absorbs 136 bytes, 17 lanes, per permutation (FIPS 202, 6.1
/// with capacity 512; padding byte 0x01 as in Ethereum, not SHA-3's 0x06).
pub(super) const RATE: usize = 136;

/// Keccak-256 of `message`, any length.
pub(super) const fn keccak256(message: &[u8]) -> [u8; 32] {
    let mut state = [0u64; 25];
    let mut rest = message;
    while rest.len() >= RATE {
        let (block, after) = rest.split_at(RATE);
        absorb(&mut state, block);
        permute(&mut state);
        rest = after;
    }
    absorb(&mut state, rest);
    pad(&mut state, rest.len());
    permute(&mut state);
    digest_bytes([state[0], state[1], state[2], state[3]])
}

/// Leaf of one sector.
#[inline]
pub(super) fn sector(sector: &Sector) -> [u8; 32] {
    keccak256(sector)
}

/// Node above two children.
#[inline]
pub(super) fn pair(pair: &Pair) -> [u8; 32] {
    keccak256(pair.as_flattened())
}

/// The same two on the BMI1 and BMI2 instructions.
#[cfg(target_arch = "x86_64")]
pub(super) mod bmi2 {
    use super::super::round::{permute, permute_to_digest, rounds};
    use super::*;

    /// Leaf of one sector.
    #[target_feature(enable = "bmi1,bmi2")]
    pub(in crate::keccak) fn sector(sector: &Sector) -> [u8; 32] {
        let (first, second) = sector.split_at(RATE);
        let mut state = [0u64; 25];
        absorb(&mut state, first);
        permute!(state);
        absorb(&mut state, second);
        pad(&mut state, second.len());
        digest_bytes(permute_to_digest!(state))
    }

    /// Node above two children.
    #[target_feature(enable = "bmi1,bmi2")]
    pub(in crate::keccak) fn pair(pair: &Pair) -> [u8; 32] {
        let mut state = [0u64; 25];
        absorb(&mut state, pair.as_flattened());
        pad(&mut state, 64);
        digest_bytes(permute_to_digest!(state))
    }
}

/// Adds at most one block to the first lanes of the state.
#[inline(always)]
const fn absorb(state: &mut [u64; 25], block: &[u8]) {
    let (words, tail) = block.as_chunks::<8>();
    let mut lane = 0;
    while lane < words.len() {
        state[lane] ^= u64::from_le_bytes(words[lane]);
        lane += 1;
    }
    let mut last = [0u8; 8];
    let mut byte = 0;
    while byte < tail.len() {
        last[byte] = tail[byte];
        byte += 1;
    }
    state[lane] ^= u64::from_le_bytes(last);
}

/// Adds the padding `0x01 00… 80` behind `len` bytes of the last block.
#[inline(always)]
const fn pad(state: &mut [u64; 25], len: usize) {
    state[len / 8] ^= 1 << (8 * (len % 8));
    state[RATE / 8 - 1] ^= 1 << 63;
}

/// One round to a step: without rotate-into-another-register the longer step
/// only spills more.
const fn permute(state: &mut [u64; 25]) {
    let mut lanes = *state;
    let mut at = 0;
    while at < 24 {
        round!(lanes, at);
        at += 1;
    }
    *state = lanes;
}

#[inline(always)]
const fn digest_bytes(lanes: [u64; 4]) -> [u8; 32] {
    let words = [
        lanes[0].to_le_bytes(),
        lanes[1].to_le_bytes(),
        lanes[2].to_le_bytes(),
        lanes[3].to_le_bytes(),
    ];
    let mut digest = [0u8; 32];
    digest.copy_from_slice(words.as_flattened());
    digest
}

#[inline(always)]
const fn xor5(a: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    a ^ b ^ c ^ d ^ e
}

#[inline(always)]
const fn xor(a: u64, b: u64) -> u64 {
    a ^ b
}

#[inline(always)]
const fn rotl<const BITS: u32>(a: u64) -> u64 {
    a.rotate_left(BITS)
}

#[inline(always)]
const fn chi(a: u64, b: u64, c: u64) -> u64 {
    a ^ (!b & c)
}

#[inline(always)]
const fn iota(a: u64, round: usize) -> u64 {
    a ^ ROUND_CONSTANTS[round]
}
