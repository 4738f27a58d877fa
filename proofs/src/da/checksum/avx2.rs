//! Sums over blocks on AVX2: 32 symbols at once, for eight rows with the same constants in registers.
//!
//! Cost for each block, column and row: 8 shuffles, 8 exclusive ors, 6 loads and 2 stores to L1; the
//! eight tables of a constant are loaded once for eight rows. The nibbles of a block are cut out once
//! for all columns.
#![allow(
    unsafe_code,
    reason = "vector loads and stores take raw pointers; 32 symbols at once are the point"
)]

use core::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_loadu_si256,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi64,
    _mm256_storeu_si256, _mm256_xor_si256,
};

use super::{Block, GROUP, Times};

/// For each column and row the sum over the row's blocks, each times its constant; `blocks` has one
/// constant for each block and column.
#[target_feature(enable = "avx2")]
pub(super) fn sums(rows: [&[Block]; GROUP], blocks: &[Times], sums: &mut [[Block; GROUP]]) {
    sums.fill([[0; 64]; GROUP]);
    let columns = sums.len();
    let mut nibbles = [[_mm256_setzero_si256(); 4]; GROUP];
    for (place, constants) in blocks.chunks_exact(columns).enumerate() {
        for (nibbles, row) in nibbles.iter_mut().zip(rows) {
            *nibbles = cut(&row[place]);
        }
        for (constant, sums) in constants.iter().zip(sums.iter_mut()) {
            let low = constant.low.each_ref().map(|table| table_of(table));
            let high = constant.high.each_ref().map(|table| table_of(table));
            for (nibbles, sum) in nibbles.iter().zip(sums) {
                let (low, high) = (product(&low, nibbles), product(&high, nibbles));
                add(sum, low, high);
            }
        }
    }
}

/// The four nibbles of 32 symbols, lowest first.
#[inline]
#[target_feature(enable = "avx2")]
fn cut(block: &Block) -> [__m256i; 4] {
    let mask = _mm256_set1_epi8(15);
    let (halves, _) = block.as_chunks::<32>();
    let (low, high) = (load(&halves[0]), load(&halves[1]));
    [
        _mm256_and_si256(low, mask),
        _mm256_and_si256(_mm256_srli_epi64::<4>(low), mask),
        _mm256_and_si256(high, mask),
        _mm256_and_si256(_mm256_srli_epi64::<4>(high), mask),
    ]
}

/// One byte of 32 products.
#[inline]
#[target_feature(enable = "avx2")]
fn product(tables: &[__m256i; 4], nibbles: &[__m256i; 4]) -> __m256i {
    let one = |nibble: usize| _mm256_shuffle_epi8(tables[nibble], nibbles[nibble]);
    _mm256_xor_si256(
        _mm256_xor_si256(one(0), one(1)),
        _mm256_xor_si256(one(2), one(3)),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(sum: &mut Block, low: __m256i, high: __m256i) {
    let (halves, _) = sum.as_chunks_mut::<32>();
    for (half, more) in halves.iter_mut().zip([low, high]) {
        let sum = _mm256_xor_si256(load(half), more);
        // JUSTIFICATION: the only way from a vector register to memory.
        // SAFETY: `half` is 32 writable bytes and the store needs no alignment.
        unsafe { _mm256_storeu_si256(half.as_mut_ptr().cast(), sum) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // JUSTIFICATION: the only way from memory to a vector register.
    // SAFETY: `bytes` is 32 readable bytes and the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// A table in both halves, as a shuffle looks up each half in its own.
#[inline]
#[target_feature(enable = "avx2")]
fn table_of(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: `bytes` is 16 readable bytes and the load needs no alignment.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}
