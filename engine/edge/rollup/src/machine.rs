//! Time and chance, as the caller hands them in.

use core::{fmt, time::Duration};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sha3::{Digest as _, Keccak256};

/// What the faces know of the machine that they run on. Clones share the chance.
#[derive(Clone)]
pub struct Machine {
    clock: Arc<dyn Fn() -> Duration + Send + Sync>,
    seed: [u8; 32],
    next: Arc<AtomicU64>,
}

impl Machine {
    /// `clock` tells the time since 1970; `seed` is 32 bytes that nobody can guess and that are others at
    /// every start: names of uploads follow from it, and who can guess those can spoil them.
    pub fn new(clock: impl Fn() -> Duration + Send + Sync + 'static, seed: [u8; 32]) -> Machine {
        Machine {
            clock: Arc::new(clock),
            seed,
            next: Arc::default(),
        }
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn unix_secs(&self) -> u64 {
        (self.clock)().as_secs()
    }

    /// Bytes that were not given out before.
    #[must_use]
    pub fn fresh(&self) -> [u8; 32] {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 40];
        bytes[..32].copy_from_slice(&self.seed);
        bytes[32..].copy_from_slice(&number.to_be_bytes());
        Keccak256::digest(bytes).into()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}
