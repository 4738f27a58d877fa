//! Keccak of four messages at once on AVX2: word i of each vector belongs to
//! message i.
//!
//! Cost per round: 184 vector instructions on 25 live lanes, against 16
//! registers. The compiler keeps the running row in registers and takes the
//! rest from L1 as memory operands, so that the three arithmetic ports stay
//! busy: about 2.5 times the scalar rate per core.
#![allow(
    unsafe_code,
    reason = "vector loads and stores take raw pointers; four messages at once are the point"
)]

use core::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_add_epi64, _mm256_andnot_si256,
    _mm256_castsi128_si256, _mm256_inserti128_si256, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_set1_epi64x, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_sll_epi64, _mm256_srl_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::round::{
    ROUND_CONSTANTS, chi_row, permute, permute_to_digest, round, rounds, theta_words,
};
use super::{Digest, FIRST_PAD, LAST_PAD, Pair, Sector};

/// Messages hashed by one call.
pub(super) const LANES: usize = 4;

/// Leaves of four sectors: two permutations each, as 256 = 136 + 120 bytes.
#[target_feature(enable = "avx2")]
pub(super) fn sectors(sectors: &[Sector; LANES]) -> [Digest; LANES] {
    let mut words = [_mm256_setzero_si256(); 32];
    for quad in 0..8 {
        let row = |message: usize| &sectors[message].as_chunks::<32>().0[quad];
        let lanes = transpose([row(0), row(1), row(2), row(3)]);
        words[4 * quad..][..4].copy_from_slice(&lanes);
    }
    let mut state = [_mm256_setzero_si256(); 25];
    state[..17].copy_from_slice(&words[..17]);
    permute!(state);
    for lane in 0..15 {
        state[lane] = xor(state[lane], words[17 + lane]);
    }
    state[15] = xor(state[15], splat(FIRST_PAD));
    state[16] = xor(state[16], splat(LAST_PAD));
    digests(permute_to_digest!(state))
}

/// Nodes above four pairs of children: one permutation each.
#[target_feature(enable = "avx2")]
pub(super) fn pairs(pairs: &[Pair; LANES]) -> [Digest; LANES] {
    let mut state = [_mm256_setzero_si256(); 25];
    for side in 0..2 {
        let row = |message: usize| &pairs[message][side];
        let lanes = transpose([row(0), row(1), row(2), row(3)]);
        state[4 * side..][..4].copy_from_slice(&lanes);
    }
    state[8] = splat(FIRST_PAD);
    state[16] = splat(LAST_PAD);
    digests(permute_to_digest!(state))
}

/// Turns 32 bytes of each of four messages into four lanes. The halves are
/// joined while loading, which leaves one shuffle per lane.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: [&[u8; 32]; 4]) -> [__m256i; 4] {
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<16>().0);
    let (ac0, bd0) = (join(&a[0], &c[0]), join(&b[0], &d[0]));
    let (ac1, bd1) = (join(&a[1], &c[1]), join(&b[1], &d[1]));
    [
        _mm256_unpacklo_epi64(ac0, bd0),
        _mm256_unpackhi_epi64(ac0, bd0),
        _mm256_unpacklo_epi64(ac1, bd1),
        _mm256_unpackhi_epi64(ac1, bd1),
    ]
}

#[inline]
#[target_feature(enable = "avx2")]
fn join(low: &[u8; 16], high: &[u8; 16]) -> __m256i {
    let load = |bytes: &[u8; 16]| -> __m128i {
        // JUSTIFICATION: the only way from memory to a vector register.
        // SAFETY: `bytes` is 16 readable bytes and the load needs no alignment.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(load(low)), load(high))
}

/// The way back: four lanes of four messages to four digests.
#[inline]
#[target_feature(enable = "avx2")]
fn digests(lanes: [__m256i; 4]) -> [Digest; LANES] {
    let [l0, l1, l2, l3] = lanes;
    let (even01, odd01) = (_mm256_unpacklo_epi64(l0, l1), _mm256_unpackhi_epi64(l0, l1));
    let (even23, odd23) = (_mm256_unpacklo_epi64(l2, l3), _mm256_unpackhi_epi64(l2, l3));
    let rows = [
        _mm256_permute2x128_si256::<0x20>(even01, even23),
        _mm256_permute2x128_si256::<0x20>(odd01, odd23),
        _mm256_permute2x128_si256::<0x31>(even01, even23),
        _mm256_permute2x128_si256::<0x31>(odd01, odd23),
    ];
    let mut digests = [[0u8; 32]; LANES];
    for (digest, row) in digests.iter_mut().zip(rows) {
        // JUSTIFICATION: the only way from a vector register to memory.
        // SAFETY: `digest` is 32 writable bytes and the store needs no alignment.
        unsafe { _mm256_storeu_si256(digest.as_mut_ptr().cast(), row) }
    }
    digests
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u64) -> __m256i {
    _mm256_set1_epi64x(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor5(a: __m256i, b: __m256i, c: __m256i, d: __m256i, e: __m256i) -> __m256i {
    xor(xor(xor(a, b), xor(c, d)), e)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

/// Rotates by `LEFT` bits: whole bytes by one shuffle, one bit by an addition
/// (it has a port more than a shift), the rest by two shifts whose constant
/// counts become immediates.
#[inline]
#[target_feature(enable = "avx2")]
fn rotl<const LEFT: i32>(a: __m256i) -> __m256i {
    match LEFT {
        8 => _mm256_shuffle_epi8(
            a,
            _mm256_setr_epi8(
                7, 0, 1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13, 14, 7, 0, 1, 2, 3, 4, 5, 6, 15,
                8, 9, 10, 11, 12, 13, 14,
            ),
        ),
        56 => _mm256_shuffle_epi8(
            a,
            _mm256_setr_epi8(
                1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8, 1, 2, 3, 4, 5, 6, 7, 0, 9,
                10, 11, 12, 13, 14, 15, 8,
            ),
        ),
        1 => _mm256_or_si256(_mm256_add_epi64(a, a), _mm256_srli_epi64::<63>(a)),
        _ => {
            let by = |bits: i32| _mm_cvtsi32_si128(bits);
            _mm256_or_si256(
                _mm256_sll_epi64(a, by(LEFT)),
                _mm256_srl_epi64(a, by(64 - LEFT)),
            )
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn chi(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    xor(a, _mm256_andnot_si256(b, c))
}

#[inline]
#[target_feature(enable = "avx2")]
fn iota(a: __m256i, round: usize) -> __m256i {
    xor(a, splat(ROUND_CONSTANTS[round]))
}
