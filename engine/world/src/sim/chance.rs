//! Chance from a seed: the generator behind every random choice of a simulation.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014):
//! one addition and three mixes per draw, and any seed is a good seed.

use std::ops::RangeInclusive;

/// How often a fault strikes, in parts per million of its occasions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chance(u32);

impl Chance {
    /// It does not happen.
    pub const NEVER: Self = Self(0);
    /// It happens each time.
    pub const ALWAYS: Self = Self(1_000_000);

    /// Once in `n` occasions on average; `n` is at least 1 and at most a million.
    #[must_use]
    pub const fn one_in(n: u32) -> Self {
        assert!(n >= 1 && n <= 1_000_000);
        Self(1_000_000 / n)
    }
}

/// A stream of random numbers; the same seed gives the same stream.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A stream of its own, so that draws from one do not shift the other.
    pub(super) fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// Uniform in `0..n` for `n ≥ 1`, with a bias below `n / 2^64`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        debug_assert!(n >= 1);
        let wide = u128::from(self.next()) * u128::from(n);
        u64::try_from(wide >> 64).expect("the upper half of 128 bits has 64")
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        crate::units::in_memory(self.below(crate::units::on_disk(len)))
    }

    pub(super) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = range.into_inner();
        debug_assert!(low <= high && high - low < u64::MAX);
        low + self.below(high - low + 1)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// Whether a fault strikes. Faults that are off draw nothing.
    pub(super) fn strikes(&mut self, chance: Chance) -> bool {
        chance != Chance::NEVER && self.below(1_000_000) < u64::from(chance.0)
    }
}
