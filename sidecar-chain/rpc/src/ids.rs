//! Names of what callers make here, filters and subscriptions: hard to guess for who did not make it,
//! so that callers do not eat each other's changes. Written as geth does, as a number.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use alloy_primitives::{U128, keccak256};
use jsonrpsee::{core::traits::IdProvider, types::SubscriptionId};

/// Names, each given once.
#[derive(Debug, Default)]
pub struct Ids(AtomicU64);

impl Ids {
    /// The next one.
    pub fn next(&self) -> U128 {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let seed = format!("{count} {:?} {self:p}", Instant::now());
        U128::from_be_slice(&keccak256(seed)[..U128::BYTES])
    }
}

impl IdProvider for Ids {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(format!("{:#x}", self.next()).into())
    }
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
