//! Keccak of eight messages at once on AVX-512F: word i of each vector
//! belongs to message i.
//!
//! Cost per round: 91 vector instructions, because the CPU rotates in one
//! instruction and combines three operands in another, and all 25 lanes stay
//! in the 32 registers: about 6 times the scalar rate per core.
#![allow(
    unsafe_code,
    reason = "vector loads and stores take raw pointers; eight messages at once are the point"
)]

use core::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_rol_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_i64x2, _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::round::{
    ROUND_CONSTANTS, chi_row, permute, permute_to_digest, round, rounds, theta_words,
};
use super::{Digest, FIRST_PAD, LAST_PAD, Pair, Sector};

/// Messages hashed by one call.
pub(super) const LANES: usize = 8;

/// Leaves of eight sectors: two permutations each, as 256 = 136 + 120 bytes.
#[target_feature(enable = "avx512f")]
pub(super) fn sectors(sectors: &[Sector; LANES]) -> [Digest; LANES] {
    let mut words = [_mm512_setzero_si512(); 32];
    for block in 0..4 {
        let lanes = transpose(sectors.each_ref().map(|s| &s.as_chunks::<64>().0[block]));
        words[8 * block..][..8].copy_from_slice(&lanes);
    }
    let mut state = [_mm512_setzero_si512(); 25];
    state[..17].copy_from_slice(&words[..17]);
    permute!(state);
    for lane in 0..15 {
        state[lane] = xor(state[lane], words[17 + lane]);
    }
    state[15] = xor(state[15], splat(FIRST_PAD));
    state[16] = xor(state[16], splat(LAST_PAD));
    digests(permute_to_digest!(state))
}

/// Nodes above eight pairs of children: one permutation each.
#[target_feature(enable = "avx512f")]
pub(super) fn pairs(pairs: &[Pair; LANES]) -> [Digest; LANES] {
    let mut state = [_mm512_setzero_si512(); 25];
    let lanes = transpose(pairs.each_ref().map(|p| &p.as_flattened().as_chunks().0[0]));
    state[..8].copy_from_slice(&lanes);
    state[8] = splat(FIRST_PAD);
    state[16] = splat(LAST_PAD);
    digests(permute_to_digest!(state))
}

/// Turns 64 bytes of each of eight messages into eight lanes: pairs of words
/// by unpacking, then pairs and quads of 16-byte parts by shuffling.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: [&[u8; 64]; 8]) -> [__m512i; 8] {
    let [a, b, c, d, e, f, g, h] = rows.map(|row| {
        // JUSTIFICATION: the only way from memory to a vector register.
        // SAFETY: `row` is 64 readable bytes and the load needs no alignment.
        unsafe { _mm512_loadu_si512(row.as_ptr().cast()) }
    });
    let (even, odd) = (_mm512_unpacklo_epi64, _mm512_unpackhi_epi64);
    let [w0, w2, w4, w6] = quarters([even(a, b), even(c, d), even(e, f), even(g, h)]);
    let [w1, w3, w5, w7] = quarters([odd(a, b), odd(c, d), odd(e, f), odd(g, h)]);
    [w0, w1, w2, w3, w4, w5, w6, w7]
}

/// Transposes a 4 by 4 matrix of 16-byte parts.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(rows: [__m512i; 4]) -> [__m512i; 4] {
    let [a, b, c, d] = rows;
    let ab01 = _mm512_shuffle_i64x2::<0b01_00_01_00>(a, b);
    let ab23 = _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b);
    let cd01 = _mm512_shuffle_i64x2::<0b01_00_01_00>(c, d);
    let cd23 = _mm512_shuffle_i64x2::<0b11_10_11_10>(c, d);
    [
        _mm512_shuffle_i64x2::<0b10_00_10_00>(ab01, cd01),
        _mm512_shuffle_i64x2::<0b11_01_11_01>(ab01, cd01),
        _mm512_shuffle_i64x2::<0b10_00_10_00>(ab23, cd23),
        _mm512_shuffle_i64x2::<0b11_01_11_01>(ab23, cd23),
    ]
}

/// The way back: four lanes of eight messages to eight digests.
#[inline]
#[target_feature(enable = "avx512f")]
fn digests(lanes: [__m512i; 4]) -> [Digest; LANES] {
    let [l0, l1, l2, l3] = lanes;
    let starts_even = halves(_mm512_unpacklo_epi64(l0, l1));
    let starts_odd = halves(_mm512_unpackhi_epi64(l0, l1));
    let ends_even = halves(_mm512_unpacklo_epi64(l2, l3));
    let ends_odd = halves(_mm512_unpackhi_epi64(l2, l3));
    let mut digests = [[0u8; 32]; LANES];
    for (two, message) in (0..LANES).step_by(2).enumerate() {
        digests[message][..16].copy_from_slice(&starts_even[two]);
        digests[message][16..].copy_from_slice(&ends_even[two]);
        digests[message + 1][..16].copy_from_slice(&starts_odd[two]);
        digests[message + 1][16..].copy_from_slice(&ends_odd[two]);
    }
    digests
}

/// The four 16-byte halves of digests that one vector holds.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(vector: __m512i) -> [[u8; 16]; 4] {
    let mut halves = [[0u8; 16]; 4];
    // JUSTIFICATION: the only way from a vector register to memory.
    // SAFETY: `halves` is 64 writable bytes and the store needs no alignment.
    unsafe { _mm512_storeu_si512(halves.as_mut_ptr().cast(), vector) };
    halves
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u64) -> __m512i {
    _mm512_set1_epi64(word.cast_signed())
}

/// Truth table 0x96: exclusive or of three.
#[inline]
#[target_feature(enable = "avx512f")]
fn xor5(a: __m512i, b: __m512i, c: __m512i, d: __m512i, e: __m512i) -> __m512i {
    let abc = _mm512_ternarylogic_epi64::<0x96>(a, b, c);
    _mm512_ternarylogic_epi64::<0x96>(abc, d, e)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotl<const LEFT: i32>(a: __m512i) -> __m512i {
    _mm512_rol_epi64::<LEFT>(a)
}

/// Truth table 0xd2: `a ^ (!b & c)`.
#[inline]
#[target_feature(enable = "avx512f")]
fn chi(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0xd2>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn iota(a: __m512i, round: usize) -> __m512i {
    xor(a, splat(ROUND_CONSTANTS[round]))
}
