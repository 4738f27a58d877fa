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
//!  gfni       8 rows    x86-64 with AVX-512 and GFNI
//! ```
//! Cost: eight table look-ups of 32 lanes for each block and column, or two products by matrices of
//! bits, and 32 products for each row and column at its end. On one core 2.6 GB/s for 16 columns with
//! AVX2, 6.4 GB/s with GFNI.

use alloc::{vec, vec::Vec};

use super::{
    field::{Block, Field, LANES, symbol},
    shape::Shape,
};
use crate::hash32::Hash32;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod gfni;
mod portable;
#[cfg(test)]
mod tests;
pub(crate) mod transform;

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
    #[cfg(target_arch = "x86_64")]
    Gfni,
}

impl Backend {
    /// The fastest that this CPU has.
    pub(crate) fn best() -> Self {
        Self::available().last().expect("every CPU has one")
    }

    /// All that this CPU has, slowest first. The CPU is asked once per process.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        [
            Some(Kind::Portable),
            #[cfg(target_arch = "x86_64")]
            has_avx2::get().then_some(Kind::Avx2),
            #[cfg(target_arch = "x86_64")]
            has_gfni::get().then_some(Kind::Gfni),
        ]
        .into_iter()
        .flatten()
        .map(Self)
    }
}

/// What multiplies symbols by a constant: the products of each of their four nibbles.
#[derive(Clone)]
#[repr(C)]
struct Times {
    low: [[u8; 16]; 4],
    high: [[u8; 16]; 4],
}

/// The coefficients of one container in one quorum. Up to a few MiB for the widest rows.
#[derive(Clone)]
pub(crate) struct Checksum {
    columns: usize,
    /// For each column 32 constants, which are multiplied with the sums over blocks.
    lanes: Vec<[u16; LANES]>,
    constants: Constants,
}

/// For each block one constant for each column, in the form that a backend takes.
#[derive(Clone)]
enum Constants {
    Portable(Vec<Times>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Vec<Times>),
    #[cfg(target_arch = "x86_64")]
    Gfni {
        blocks: Vec<gfni::Matrices>,
        /// The constants of lanes as well.
        lanes: Vec<gfni::Bits>,
    },
}

impl Checksum {
    /// Draws the coefficients. Cost: about a millisecond for the widest rows.
    pub(crate) fn new(seed: &Hash32, shape: Shape, columns: usize) -> Self {
        Self::on(Backend::best(), seed, shape, columns)
    }

    fn on(backend: Backend, seed: &Hash32, shape: Shape, columns: usize) -> Self {
        // [D-14]
        let mut hasher = blake3::Hasher::new_derive_key(COEFFICIENT_CONTEXT);
        let mut stream = hasher.update(&seed.0).finalize_xof();
        let mut bytes = vec![0; 2 * columns * (LANES + shape.blocks())];
        stream.fill(&mut bytes);
        let (symbols, _) = bytes.as_chunks::<2>();
        let (lanes, blocks) = symbols.split_at(columns * LANES);
        let (lanes, _) = lanes.as_chunks::<LANES>();
        let lanes: Vec<[u16; LANES]> = lanes
            .iter()
            .map(|lanes| lanes.map(u16::from_le_bytes))
            .collect();
        let blocks = blocks.iter().copied().map(u16::from_le_bytes);
        Self {
            columns,
            constants: Constants::new(backend, &lanes, blocks),
            lanes,
        }
    }

    /// Bytes of one row's checksums.
    pub(crate) fn len(&self) -> usize {
        2 * self.columns
    }

    /// The checksums of rows, each of this width: their low bytes, then their high bytes.
    pub(crate) fn of_rows<'row>(&self, rows: impl Iterator<Item = &'row [u8]>) -> Vec<u8> {
        let rows: Vec<&[Block]> = rows.map(|row| row.as_chunks().0).collect();
        let mut sums = vec![[[0; 64]; GROUP]; self.columns];
        let mut checksums = Vec::with_capacity(rows.len() * self.len());
        for group in rows.chunks(GROUP) {
            // The last group is filled with a row that it has; those sums are not looked at.
            let all = core::array::from_fn(|place| *group.get(place).unwrap_or(&group[0]));
            let asked = group.len();
            match &self.constants {
                Constants::Portable(blocks) => portable::sums(&all[..asked], blocks, &mut sums),
                #[cfg(target_arch = "x86_64")]
                Constants::Avx2(blocks) => on_cpu::avx2_sums(all, blocks, &mut sums),
                #[cfg(target_arch = "x86_64")]
                Constants::Gfni { blocks, .. } => on_cpu::gfni_sums(all, blocks, &mut sums),
            }
            self.push_products(&sums, asked, &mut checksums);
        }
        checksums
    }

    /// The last step: from sums over blocks to checksums.
    fn push_products(&self, sums: &[[Block; GROUP]], rows: usize, checksums: &mut Vec<u8>) {
        for row in 0..rows {
            let start = checksums.len();
            checksums.resize(start + self.len(), 0);
            let (low, high) = checksums[start..].split_at_mut(self.columns);
            for (column, sums) in sums.iter().enumerate() {
                let sum = self.product(column, &sums[row]);
                [low[column], high[column]] = sum.to_le_bytes();
            }
        }
    }

    /// The sum over all lanes of a column, each times its constant.
    fn product(&self, column: usize, sums: &Block) -> u16 {
        // [D-15]
        #[cfg(target_arch = "x86_64")]
        if let Constants::Gfni { lanes, .. } = &self.constants {
            return on_cpu::gfni_product(sums, &lanes[column]);
        }
        let field = Field::new();
        let lanes = self.lanes[column].iter().enumerate();
        let products = lanes.map(|(lane, constant)| field.times(symbol(sums, lane), *constant));
        products.fold(0, |sum, product| sum ^ product)
    }
}

impl Constants {
    fn new(backend: Backend, lanes: &[[u16; LANES]], blocks: impl Iterator<Item = u16>) -> Self {
        let field = Field::new();
        match backend.0 {
            Kind::Portable => Self::Portable(blocks.map(|one| Times::new(field, one)).collect()),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => Self::Avx2(blocks.map(|one| Times::new(field, one)).collect()),
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni => Self::Gfni {
                blocks: blocks.map(|one| gfni::Matrices::new(field, one)).collect(),
                lanes: lanes
                    .iter()
                    .map(|lanes| gfni::Bits::new(field, lanes))
                    .collect(),
            },
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

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_gfni, "avx512f", "avx512bw", "gfni");

/// The call from code for any CPU into code for this CPU.
#[cfg(target_arch = "x86_64")]
mod on_cpu {
    #![allow(
        unsafe_code,
        reason = "only `unsafe` can call a function compiled for a CPU feature; that is the whole speed-up"
    )]

    use super::{Block, GROUP, Times, avx2, gfni};

    pub(super) fn avx2_sums(
        rows: [&[Block]; GROUP],
        blocks: &[Times],
        sums: &mut [[Block; GROUP]],
    ) {
        // JUSTIFICATION: measured 20 times the portable rate, chosen at run time.
        // SAFETY: reached through a `Backend` only, whose maker found AVX2 on this CPU.
        unsafe { avx2::sums(rows, blocks, sums) }
    }

    pub(super) fn gfni_sums(
        rows: [&[Block]; GROUP],
        blocks: &[gfni::Matrices],
        sums: &mut [[Block; GROUP]],
    ) {
        // JUSTIFICATION: measured 2.4 times the rate with AVX2, chosen at run time.
        // SAFETY: constants of this form are made for a `Backend` only, whose maker found AVX-512
        // and GFNI on this CPU.
        unsafe { gfni::sums(rows, blocks, sums) }
    }

    pub(super) fn gfni_transform(rows: [&mut [Block]; 4], constants: [&gfni::Matrices; 3]) {
        // JUSTIFICATION: measured 1.7 times the rate of coding by the crate's engine with AVX2.
        // SAFETY: as above.
        unsafe { gfni::transform(rows, constants) }
    }

    pub(super) fn gfni_untransform(rows: [&mut [Block]; 4], constants: [&gfni::Matrices; 3]) {
        // JUSTIFICATION: as above.
        // SAFETY: as above.
        unsafe { gfni::untransform(rows, constants) }
    }

    pub(super) fn gfni_product(sums: &Block, lanes: &gfni::Bits) -> u16 {
        // JUSTIFICATION: as above.
        // SAFETY: as above.
        unsafe { gfni::product(sums, lanes) }
    }
}
