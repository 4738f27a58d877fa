//! Time and chance, as the caller hands them in: the same seed and the same clock give the same
//! choices.

use core::{fmt, time::Duration};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What the indexer knows of the machine that it runs on.
#[derive(Clone)]
pub struct Machine {
    clock: Arc<dyn Fn() -> Duration + Send + Sync>,
    seed: Arc<AtomicU64>,
}

impl Machine {
    /// `clock` tells the time since 1970; `seed` is for spreading questions and shuffling nodes, so
    /// nothing secret hangs on it.
    pub fn new(clock: impl Fn() -> Duration + Send + Sync + 'static, seed: u64) -> Machine {
        Machine {
            clock: Arc::new(clock),
            seed: Arc::new(AtomicU64::new(seed)),
        }
    }

    /// Time since 1970.
    #[must_use]
    pub fn now(&self) -> Duration {
        (self.clock)()
    }

    /// Dice of their own, that nobody else throws.
    #[must_use]
    pub fn dice(&self) -> Dice {
        Dice(self.seed.fetch_add(STEP, Ordering::Relaxed))
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Machine").finish_non_exhaustive()
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// The golden ratio, odd, so that the counter visits all 2^64 states.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// With this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `last`. Uneven by at most one in 2^64 / `last`.
    pub fn up_to(&mut self, last: u64) -> u64 {
        match last.checked_add(1) {
            Some(sides) => self.throw() % sides,
            None => self.throw(),
        }
    }

    /// Any order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            let last = u64::try_from(at).unwrap_or(u64::MAX);
            let other = usize::try_from(self.up_to(last)).unwrap_or(at);
            things.swap(at, other);
        }
    }

    /// From three quarters to five quarters of `pause`: who began together does not stay together.
    pub fn around(&mut self, pause: Duration) -> Duration {
        let quarter = pause / 4;
        let nanos = u64::try_from(quarter.as_nanos()).unwrap_or(u64::MAX / 2);
        pause - quarter + Duration::from_nanos(self.up_to(nanos.saturating_mul(2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same seed gives the same order, which holds the same things; a pause stays near its length.
    #[test]
    fn repeats_itself() {
        let shuffled = |seed| {
            let mut things: Vec<u32> = (0..100).collect();
            Dice::new(seed).shuffle(&mut things);
            things
        };
        assert_eq!(shuffled(7), shuffled(7));
        assert_ne!(shuffled(7), shuffled(8));
        let mut sorted = shuffled(7);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        let mut dice = Dice::new(1);
        for _ in 0..1000 {
            let pause = dice.around(Duration::from_secs(4));
            assert!(pause >= Duration::from_secs(3) && pause <= Duration::from_secs(5));
            assert!(dice.up_to(5) <= 5);
        }
    }
}
