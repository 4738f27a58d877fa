//! Products by constants on AVX-512 with GFNI, a whole block at once: each is what two matrices of bits
//! make of the block. For sums over blocks and their last step, and for the code's transforms.
//!
//! ```text
//!  block            low bytes of 32 symbols   │ high bytes
//!  times straight   low bytes  ─► low bytes   │ high bytes ─► high bytes
//!  times crossed    low bytes  ─► high bytes  │ high bytes ─► low bytes
//! ```
//! All matrices work on bytes where they stand, so crossed products come out in the wrong half. Sums
//! over blocks collect them there, and the halves of that sum change places once at the end. Cost for
//! each block, column and row: 2 products by matrices and 2 exclusive ors; sums stay in registers for
//! some blocks, the matrices of a constant are loaded once for eight rows.
//!
//! In the last step of checksums each lane has a constant of its own, and so no matrix: the products
//! of single bits are looked up, and those whose bit is set are added for all lanes at once.
#![allow(
    unsafe_code,
    reason = "vector loads and stores take raw pointers; a whole block at once is the point"
)]

use core::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_xor_si256, _mm512_castsi256_si512,
    _mm512_castsi512_si256, _mm512_extracti64x4_epi64, _mm512_gf2p8affine_epi64_epi8,
    _mm512_loadu_si512, _mm512_maskz_mov_epi16, _mm512_permutexvar_epi64, _mm512_set1_epi8,
    _mm512_setr_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2, _mm512_storeu_si512,
    _mm512_ternarylogic_epi64, _mm512_test_epi8_mask, _mm512_xor_si512,
};

use super::{Block, GROUP};
use crate::da::field::{Field, LANES};

/// Blocks of a row that are summed up before the next column's turn: eight rows of them and their
/// constants take a third of an L1.
const TILE: usize = 16;
/// `a ^ b ^ c` for [`_mm512_ternarylogic_epi64`].
const XOR3: i32 = 0x96;

/// A constant as four matrices of bits: low to low, high to high, low to high, high to low.
#[derive(Clone)]
#[repr(align(32))]
pub(super) struct Matrices([u8; 32]);

/// A column's constants of the last step: for each bit of a symbol its products in all lanes.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Bits([Block; 16]);

impl Matrices {
    pub(super) fn new(field: Field, constant: u16) -> Self {
        let products: [[u8; 2]; 16] =
            core::array::from_fn(|bit| field.times(1 << bit, constant).to_le_bytes());
        // The instruction finds bit `i` of a product as the parity of the bits that byte 7 - `i` of
        // the matrix selects.
        let matrix = |input: usize, output: usize| {
            let columns = core::array::from_fn(|bit| products[8 * input + bit][output]);
            transpose(u64::from_le_bytes(columns)).to_be_bytes()
        };
        let matrices = [matrix(0, 0), matrix(1, 1), matrix(0, 1), matrix(1, 0)];
        let mut bytes = [0; 32];
        bytes.copy_from_slice(matrices.as_flattened());
        Self(bytes)
    }
}

impl Bits {
    pub(super) fn new(field: Field, lanes: &[u16; LANES]) -> Self {
        let mut bits = [[0; 64]; 16];
        for (bit, products) in bits.iter_mut().enumerate() {
            for (product, constant) in products.chunks_exact_mut(2).zip(lanes) {
                product.copy_from_slice(&field.times(1 << bit, *constant).to_le_bytes());
            }
        }
        Self(bits)
    }
}

/// Rows of eight bits become columns: the corners of squares of 2, 4 and 8 change places.
fn transpose(mut bits: u64) -> u64 {
    for (distance, corners) in [
        (7, 0x00aa_00aa_00aa_00aa),
        (14, 0x0000_cccc_0000_cccc),
        (28, 0x0000_0000_f0f0_f0f0),
    ] {
        let moved = (bits ^ (bits >> distance)) & corners;
        bits ^= moved ^ (moved << distance);
    }
    bits
}

/// For each column and row the sum over the row's blocks, each times its constant; `blocks` has one
/// constant for each block and column.
#[target_feature(enable = "avx512f,avx512bw,gfni")]
pub(super) fn sums(rows: [&[Block]; GROUP], blocks: &[Matrices], sums: &mut [[Block; GROUP]]) {
    sums.fill([[0; 64]; GROUP]);
    let columns = sums.len();
    let mut rest = [[[0; 64]; TILE]; GROUP];
    for (tile, constants) in blocks.chunks(TILE * columns).enumerate() {
        // Tiles of a known length need no check of each block's place.
        let rows = rows.map(|row| &row[TILE * tile..]);
        let tiles = if constants.len() == TILE * columns {
            rows.map(|row| row.first_chunk().expect("a whole tile is left"))
        } else {
            for (rest, row) in rest.iter_mut().zip(rows) {
                rest[..row.len()].copy_from_slice(row);
            }
            rest.each_ref()
        };
        for (column, sums) in sums.iter_mut().enumerate() {
            add_tile(tiles, constants[column..].iter().step_by(columns), sums);
        }
    }
}

/// Adds some blocks of eight rows, each times its constant, to the sums of one column.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn add_tile<'constant>(
    rows: [&[Block; TILE]; GROUP],
    constants: impl Iterator<Item = &'constant Matrices>,
    sums: &mut [Block; GROUP],
) {
    let mut straight = [_mm512_setzero_si512(); GROUP];
    let mut crossed = [_mm512_setzero_si512(); GROUP];
    for (place, constant) in (0..TILE).zip(constants) {
        let by = spread(constant);
        for row in 0..GROUP {
            let block = load(&rows[row][place]);
            let product = _mm512_gf2p8affine_epi64_epi8::<0>(block, by.straight);
            straight[row] = _mm512_xor_si512(straight[row], product);
            let product = _mm512_gf2p8affine_epi64_epi8::<0>(block, by.crossed);
            crossed[row] = _mm512_xor_si512(crossed[row], product);
        }
    }
    for (row, sum) in sums.iter_mut().enumerate() {
        let all = xor3(load(sum), straight[row], change_halves(crossed[row]));
        store(sum, all);
    }
}

/// Two layers of the code's transform over four rows: first both pairs that are two apart, with one
/// constant, then those that are neighbours, with one each. A pair `x, y` becomes `x + cy, x + cy + y`.
#[target_feature(enable = "avx512f,avx512bw,gfni")]
pub(super) fn transform(rows: [&mut [Block]; 4], constants: [&Matrices; 3]) {
    let [apart, first, second] = constants.map(|constant| spread(constant));
    let [a, b, c, d] = rows;
    for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
        let (from_a, from_c) = forward(load(a), load(c), &apart);
        let (from_b, from_d) = forward(load(b), load(d), &apart);
        let (into_a, into_b) = forward(from_a, from_b, &first);
        let (into_c, into_d) = forward(from_c, from_d, &second);
        store(a, into_a);
        store(b, into_b);
        store(c, into_c);
        store(d, into_d);
    }
}

/// The way back: [`transform`] undone, with the same constants.
#[target_feature(enable = "avx512f,avx512bw,gfni")]
pub(super) fn untransform(rows: [&mut [Block]; 4], constants: [&Matrices; 3]) {
    let [apart, first, second] = constants.map(|constant| spread(constant));
    let [a, b, c, d] = rows;
    for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
        let (from_a, from_b) = backward(load(a), load(b), &first);
        let (from_c, from_d) = backward(load(c), load(d), &second);
        let (into_a, into_c) = backward(from_a, from_c, &apart);
        let (into_b, into_d) = backward(from_b, from_d, &apart);
        store(a, into_a);
        store(b, into_b);
        store(c, into_c);
        store(d, into_d);
    }
}

#[inline]
#[target_feature(enable = "avx512f,gfni")]
fn forward(x: __m512i, y: __m512i, constant: &Spread) -> (__m512i, __m512i) {
    let x = add_product(x, y, constant);
    (x, _mm512_xor_si512(y, x))
}

#[inline]
#[target_feature(enable = "avx512f,gfni")]
fn backward(x: __m512i, y: __m512i, constant: &Spread) -> (__m512i, __m512i) {
    let y = _mm512_xor_si512(y, x);
    (add_product(x, y, constant), y)
}

/// `x + cy`.
#[inline]
#[target_feature(enable = "avx512f,gfni")]
fn add_product(x: __m512i, y: __m512i, constant: &Spread) -> __m512i {
    let straight = _mm512_gf2p8affine_epi64_epi8::<0>(y, constant.straight);
    let crossed = _mm512_gf2p8affine_epi64_epi8::<0>(y, constant.crossed);
    xor3(x, straight, change_halves(crossed))
}

/// The sum over all lanes of one column: each symbol times its lane's constant.
#[target_feature(enable = "avx512f,avx512bw,gfni")]
pub(super) fn product(block: &Block, bits: &Bits) -> u16 {
    let symbols = load(block);
    let mut sum = _mm512_setzero_si512();
    for (bit, (of_low, of_high)) in bits.0[..8].iter().zip(&bits.0[8..]).enumerate() {
        let one = _mm512_set1_epi8((1_u8 << bit).cast_signed());
        let set = _mm512_test_epi8_mask(symbols, one).to_le_bytes();
        let [low, high] = [
            [set[0], set[1], set[2], set[3]],
            [set[4], set[5], set[6], set[7]],
        ];
        let low = _mm512_maskz_mov_epi16(u32::from_le_bytes(low), load(of_low));
        let high = _mm512_maskz_mov_epi16(u32::from_le_bytes(high), load(of_high));
        sum = xor3(sum, low, high);
    }
    let half = _mm256_xor_si256(
        _mm512_castsi512_si256(sum),
        _mm512_extracti64x4_epi64::<1>(sum),
    );
    let mut sums = [0_u16; 16];
    // JUSTIFICATION: the only way from a vector register to memory.
    // SAFETY: `sums` is 32 writable bytes and the store needs no alignment.
    unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), half) }
    sums.iter().fold(0, |sum, more| sum ^ more)
}

/// A constant's matrices for each half of a block.
struct Spread {
    straight: __m512i,
    crossed: __m512i,
}

#[inline]
#[target_feature(enable = "avx512f")]
fn spread(constant: &Matrices) -> Spread {
    // SAFETY: these are 32 readable bytes and the load needs no alignment.
    let four = unsafe { _mm256_loadu_si256(constant.0.as_ptr().cast()) };
    // What lies behind the four is not looked at.
    let four = _mm512_castsi256_si512(four);
    Spread {
        straight: _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1), four),
        crossed: _mm512_permutexvar_epi64(_mm512_setr_epi64(2, 2, 2, 2, 3, 3, 3, 3), four),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn change_halves(block: __m512i) -> __m512i {
    _mm512_shuffle_i64x2::<0b01_00_11_10>(block, block)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(one: __m512i, two: __m512i, three: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<XOR3>(one, two, three)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(block: &Block) -> __m512i {
    // SAFETY: `block` is 64 readable bytes and the load needs no alignment.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(block: &mut Block, all: __m512i) {
    // SAFETY: `block` is 64 writable bytes and the store needs no alignment.
    unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), all) }
}
