//! Keccak-256 of many equal-sized messages at once, and of one of any size.
//!
//! ```text
//!  portable   1 message    any CPU, also at compile time
//!  bmi2       1 message    x86-64 with BMI1 and BMI2
//!  avx2       4 messages   x86-64 with AVX2
//!  avx512     8 messages   x86-64 with AVX-512F
//! ```
//!
//! [`Backend::best`] asks the CPU once and picks the last that it has; every
//! backend gives the same bytes. Only the two messages of the sector tree have
//! a vector form: a sector (256 bytes, two permutations) and a pair of nodes
//! (64 bytes, one). Groups are always full: a whole level is one call, and
//! what is left over at its end shares one last, partly empty group.

mod round;
mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(test)]
mod tests;

/// Bytes of a digest.
pub type Digest = [u8; 32];
/// Bytes of a sector, the leaf of the tree.
pub type Sector = [u8; 256];
/// Two children, left then right.
pub type Pair = [Digest; 2];

/// Keccak-256 of `message` (Ethereum's: padding byte 0x01), on one lane.
///
/// Cost: one permutation, 0.2 to 0.3 µs, per started 136 bytes. Runs at
/// compile time too.
#[must_use]
pub const fn keccak256(message: &[u8]) -> Digest {
    scalar::keccak256(message)
}

/// A way to run Keccak that this CPU is known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend(Kind);

// A private enum, so that no one can name a backend that the CPU lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Bmi2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Backend {
    /// The fastest that this CPU has. The CPU is asked once per process.
    #[must_use]
    pub fn best() -> Self {
        let mut best = Self::portable();
        for backend in Self::available() {
            best = backend;
        }
        best
    }

    /// The one that every CPU has.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// All that this CPU has, slowest first: for tests and benches, which
    /// force each in turn.
    pub fn available() -> impl Iterator<Item = Self> {
        [
            Some(Kind::Portable),
            #[cfg(target_arch = "x86_64")]
            has_bmi2::get().then_some(Kind::Bmi2),
            #[cfg(target_arch = "x86_64")]
            has_avx2::get().then_some(Kind::Avx2),
            #[cfg(target_arch = "x86_64")]
            has_avx512::get().then_some(Kind::Avx512),
        ]
        .into_iter()
        .flatten()
        .map(Self)
    }

    /// The name in the table above.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Bmi2 => "bmi2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
        }
    }

    /// Hashes each sector into the leaf at the same place.
    ///
    /// # Panics
    /// If `leaves` is not exactly as long as `sectors`: a caller's bug.
    pub fn hash_sectors(self, sectors: &[Sector], leaves: &mut [Digest]) {
        assert_eq!(sectors.len(), leaves.len(), "one leaf per sector");
        match self.0 {
            Kind::Portable => sectors_by(sectors, leaves, |[one]| [scalar::sector(one)]),
            #[cfg(target_arch = "x86_64")]
            Kind::Bmi2 => sectors_by(sectors, leaves, |[one]| [on_cpu::bmi2_sector(one)]),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => sectors_by(sectors, leaves, on_cpu::avx2_sectors),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => sectors_by(sectors, leaves, on_cpu::avx512_sectors),
        }
    }

    /// Replaces a level of nodes by the level above it: node i becomes the
    /// parent of nodes 2i and 2i + 1. Returns how many parents there are; what
    /// lies behind them is left undefined. An odd last node has no parent: it
    /// is not read, and the caller must have taken it out before.
    pub fn hash_pairs(self, nodes: &mut [Digest]) -> usize {
        match self.0 {
            Kind::Portable => pairs_by(nodes, |[one]| [scalar::pair(one)]),
            #[cfg(target_arch = "x86_64")]
            Kind::Bmi2 => pairs_by(nodes, |[one]| [on_cpu::bmi2_pair(one)]),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => pairs_by(nodes, on_cpu::avx2_pairs),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => pairs_by(nodes, on_cpu::avx512_pairs),
        }
    }

    /// Node above one pair of children.
    #[must_use]
    pub fn hash_pair(self, pair: &Pair) -> Digest {
        match self.0 {
            Kind::Portable => scalar::pair(pair),
            #[cfg(target_arch = "x86_64")]
            Kind::Bmi2 | Kind::Avx2 | Kind::Avx512 => on_cpu::bmi2_pair(pair),
        }
    }
}

/// Runs `hash` over all sectors, `N` at a time; the last group may be partly
/// empty.
fn sectors_by<const N: usize>(
    sectors: &[Sector],
    leaves: &mut [Digest],
    hash: impl Fn(&[Sector; N]) -> [Digest; N],
) {
    let (groups, rest) = sectors.as_chunks::<N>();
    let (targets, rest_targets) = leaves.as_chunks_mut::<N>();
    for (group, target) in groups.iter().zip(targets) {
        *target = hash(group);
    }
    if !rest.is_empty() {
        let mut group = [[0u8; 256]; N];
        group[..rest.len()].copy_from_slice(rest);
        rest_targets.copy_from_slice(&hash(&group)[..rest.len()]);
    }
}

/// Runs `hash` over all pairs, `N` at a time, in place: a group is copied out
/// before its parents are written, at or before the place it came from.
fn pairs_by<const N: usize>(
    nodes: &mut [Digest],
    hash: impl Fn(&[Pair; N]) -> [Digest; N],
) -> usize {
    let parents = nodes.len() / 2;
    let mut done = 0;
    while done < parents {
        let (pairs, _) = nodes[2 * done..].as_chunks::<2>();
        let count = pairs.len().min(N);
        let mut group = [[[0u8; 32]; 2]; N];
        group[..count].copy_from_slice(&pairs[..count]);
        nodes[done..done + count].copy_from_slice(&hash(&group)[..count]);
        done += count;
    }
    parents
}

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_bmi2, "bmi1", "bmi2");
// BMI is asked for as well: the vector backends use it for single nodes.
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx2, "avx2", "bmi1", "bmi2");
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx512, "avx512f", "avx2", "bmi1", "bmi2");

/// The calls from code for any CPU into code for this CPU.
#[cfg(target_arch = "x86_64")]
mod on_cpu {
    #![allow(
        unsafe_code,
        reason = "only `unsafe` can call a function compiled for a CPU feature; that is the whole speed-up"
    )]

    use super::{Digest, Pair, Sector, avx2, avx512, scalar};

    // JUSTIFICATION (all of them): measured 1.2 times (bmi2), 2.5 times (avx2)
    // and 6 times (avx512) the portable rate, chosen at run time.
    // SAFETY (all of them): reached through a `Backend` only, and
    // `Backend::available`, its only maker, found the feature on this CPU.

    pub(super) fn bmi2_sector(sector: &Sector) -> Digest {
        // SAFETY: see above, BMI1 and BMI2.
        unsafe { scalar::bmi2::sector(sector) }
    }

    pub(super) fn bmi2_pair(pair: &Pair) -> Digest {
        // SAFETY: see above, BMI1 and BMI2.
        unsafe { scalar::bmi2::pair(pair) }
    }

    pub(super) fn avx2_sectors(sectors: &[Sector; avx2::LANES]) -> [Digest; avx2::LANES] {
        // SAFETY: see above, AVX2.
        unsafe { avx2::sectors(sectors) }
    }

    pub(super) fn avx2_pairs(pairs: &[Pair; avx2::LANES]) -> [Digest; avx2::LANES] {
        // SAFETY: see above, AVX2.
        unsafe { avx2::pairs(pairs) }
    }

    pub(super) fn avx512_sectors(sectors: &[Sector; avx512::LANES]) -> [Digest; avx512::LANES] {
        // SAFETY: see above, AVX-512F.
        unsafe { avx512::sectors(sectors) }
    }

    pub(super) fn avx512_pairs(pairs: &[Pair; avx512::LANES]) -> [Digest; avx512::LANES] {
        // SAFETY: see above, AVX-512F.
        unsafe { avx512::pairs(pairs) }
    }
}

/// First byte of the padding, as the lane it falls in (both messages end on a
/// lane's edge).
#[cfg(target_arch = "x86_64")]
const FIRST_PAD: u64 = 0x01;
/// Last byte of the padding, as the last lane of the block.
#[cfg(target_arch = "x86_64")]
const LAST_PAD: u64 = 0x80 << 56;
