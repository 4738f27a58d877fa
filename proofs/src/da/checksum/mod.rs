//! Checksums of rows: a few random linear combinations of each row's symbols, the same for all rows.
//!
//! ```text
//!  seed ─BLAKE3─► d[i][t], c[b][t]              T columns t, 32 lanes i, W/64 blocks b
//!  row  x[32b + i]  ─►  y[t] = Σ_b Σ_i c[b][t] · d[i][t] · x[32b + i]
//! ```
//! They are linear, so checksums of parity rows are what the code makes of those of original rows:
//! whoever has a row, and the checksums of the originals, sees whether the row is coded rightly.
//!
//! ```text
//!  portable   1 row     any CPU
//!  avx2       8 rows    x86-64 with AVX2
//! ```
//! Cost: eight table look-ups of 32 lanes for each block and column, and 32 products for each row and
//! column at its end. On one core with AVX2 about 2.1 GB/s for 18 columns.

use alloc::{vec, vec::Vec};

use super::{
    field::{Block, Field, LANES, symbol},
    shape::Shape,
};
use crate::hash32::Hash32;

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(test)]
mod tests;

/// What BLAKE3 makes coefficients of a seed under.
const COEFFICIENT_CONTEXT: &str = "lode/da/1 coefficients";
/// Rows whose sums are made at once.
const GROUP: usize = 8;

/// A way to sum that this CPU is known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backend(Kind);

// A private enum, so that no one can name a backend that the CPU lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Backend {
    /// The fastest that this CPU has. The CPU is asked once per process.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if has_avx2::get() {
            return Self(Kind::Avx2);
        }
        Self(Kind::Portable)
    }
}

/// What multiplies symbols by a constant: the products of each of their four nibbles.
#[derive(Clone)]
#[repr(C)]
struct Times {
    low: [[u8; 16]; 4],
    high: [[u8; 16]; 4],
}

/// The coefficients of one container in one quorum. A few hundred KiB for wide rows.
#[derive(Clone)]
pub(crate) struct Checksum {
    columns: usize,
    /// For each column 32 constants, which are multiplied with the sums over blocks.
    lanes: Vec<[u16; LANES]>,
    /// For each block one constant for each column.
    blocks: Vec<Times>,
}

impl Checksum {
    /// Draws the coefficients. Cost: about a millisecond for the widest rows.
    pub(crate) fn new(seed: &Hash32, shape: Shape, columns: usize) -> Self {
        // [D-14]
        let mut hasher = blake3::Hasher::new_derive_key(COEFFICIENT_CONTEXT);
        let mut stream = hasher.update(&seed.0).finalize_xof();
        let mut bytes = vec![0; 2 * columns * (LANES + shape.blocks())];
        stream.fill(&mut bytes);
        let (symbols, _) = bytes.as_chunks::<2>();
        let (lanes, blocks) = symbols.split_at(columns * LANES);
        let field = Field::new();
        let (lanes, _) = lanes.as_chunks::<LANES>();
        Self {
            columns,
            lanes: lanes
                .iter()
                .map(|lanes| lanes.map(u16::from_le_bytes))
                .collect(),
            blocks: blocks
                .iter()
                .map(|symbol| Times::new(field, u16::from_le_bytes(*symbol)))
                .collect(),
        }
    }

    /// Bytes of one row's checksums.
    pub(crate) fn len(&self) -> usize {
        2 * self.columns
    }

    /// The checksums of rows, each of this width: their low bytes, then their high bytes.
    pub(crate) fn of_rows<'row>(&self, rows: impl Iterator<Item = &'row [u8]>) -> Vec<u8> {
        self.by(Backend::best(), rows)
    }

    fn by<'row>(&self, backend: Backend, rows: impl Iterator<Item = &'row [u8]>) -> Vec<u8> {
        let rows: Vec<&[Block]> = rows.map(|row| row.as_chunks().0).collect();
        let mut sums = vec![[[0; 64]; GROUP]; self.columns];
        let mut checksums = Vec::with_capacity(rows.len() * self.len());
        for group in rows.chunks(GROUP) {
            // The last group is filled with a row that it has; those sums are not looked at.
            let all = core::array::from_fn(|place| *group.get(place).unwrap_or(&group[0]));
            let asked = group.len();
            match backend.0 {
                Kind::Portable => portable::sums(&all[..asked], &self.blocks, &mut sums),
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => on_cpu::avx2_sums(all, &self.blocks, &mut sums),
            }
            self.push_products(&sums, asked, &mut checksums);
        }
        checksums
    }

    /// The last step: from sums over blocks to checksums.
    fn push_products(&self, sums: &[[Block; GROUP]], rows: usize, checksums: &mut Vec<u8>) {
        // [D-15]
        let field = Field::new();
        for row in 0..rows {
            let start = checksums.len();
            checksums.resize(start + self.len(), 0);
            let (low, high) = checksums[start..].split_at_mut(self.columns);
            for (column, (sums, lanes)) in sums.iter().zip(&self.lanes).enumerate() {
                let product = |(lane, constant): (usize, &u16)| {
                    field.times(symbol(&sums[row], lane), *constant)
                };
                let products = lanes.iter().enumerate().map(product);
                let sum = products.fold(0, |sum, product| sum ^ product);
                [low[column], high[column]] = sum.to_le_bytes();
            }
        }
    }
}

impl Times {
    fn new(field: Field, constant: u16) -> Self {
        let mut times = Self {
            low: [[0; 16]; 4],
            high: [[0; 16]; 4],
        };
        // The products of single bits; all others are sums of them.
        let mut bit = 1;
        for nibble in 0..4 {
            for place in [1, 2, 4, 8] {
                let [low, high] = field.times(bit, constant).to_le_bytes();
                for below in 0..place {
                    times.low[nibble][place + below] = times.low[nibble][below] ^ low;
                    times.high[nibble][place + below] = times.high[nibble][below] ^ high;
                }
                bit <<= 1;
            }
        }
        times
    }
}

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx2, "avx2");

/// The call from code for any CPU into code for this CPU.
#[cfg(target_arch = "x86_64")]
mod on_cpu {
    #![allow(
        unsafe_code,
        reason = "only `unsafe` can call a function compiled for a CPU feature; that is the whole speed-up"
    )]

    use super::{Block, GROUP, Times, avx2};

    pub(super) fn avx2_sums(
        rows: [&[Block]; GROUP],
        blocks: &[Times],
        sums: &mut [[Block; GROUP]],
    ) {
        // JUSTIFICATION: measured 20 times the portable rate, chosen at run time.
        // SAFETY: reached through a `Backend` only, whose maker found AVX2 on this CPU.
        unsafe { avx2::sums(rows, blocks, sums) }
    }
}
