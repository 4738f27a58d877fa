//! Which transaction has to go when there is no room: of the last ones of all accounts, a queued one
//! before an executable one, then the one worth least to a block, then the youngest.
//!
//! The order hangs on the base fee. It is made when there is no room for the first time, and anew
//! after the base fee has changed: until then it costs nothing.

use std::{cmp::Reverse, collections::BTreeSet};

use alloy_primitives::Address;

use crate::{queue::Queue, transaction::Price};

/// What a transaction is worth beside others; the least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worth {
    /// Executable ones stay longer than queued ones.
    pub executable: bool,
    /// The tip that its sender's cheapest up to it would pay.
    pub rank: i128,
}

/// The last one of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    pub worth: Worth,
    arrival: Reverse<u64>,
    pub sender: Address,
}

impl Worth {
    pub fn new(executable: bool, floor: Price, base_fee: u64) -> Self {
        Worth {
            executable,
            rank: floor.rank(base_fee),
        }
    }
}

/// The last ones of all accounts, in order; none while the order is not known.
#[derive(Debug, Default)]
pub struct Worst(Option<BTreeSet<Candidate>>);

impl Worst {
    /// The order is not known any more.
    pub fn forget(&mut self) {
        self.0 = None;
    }

    /// The last one of an account is about to change.
    pub fn before(&mut self, last: impl FnOnce() -> Option<Candidate>) {
        if let Some(known) = &mut self.0
            && let Some(last) = last()
        {
            known.remove(&last);
        }
    }

    /// The last one of an account has changed.
    pub fn after(&mut self, last: impl FnOnce() -> Option<Candidate>) {
        if let Some(known) = &mut self.0 {
            known.extend(last());
        }
    }

    /// The one that goes first. `all` gives every candidate there is.
    pub fn first<I: Iterator<Item = Candidate>>(
        &mut self,
        all: impl FnOnce() -> I,
    ) -> Option<Candidate> {
        self.0
            .get_or_insert_with(|| all().collect())
            .first()
            .copied()
    }
}

/// The last one of an account, unless it is never taken away.
pub fn candidate(sender: Address, queue: &Queue, base_fee: u64) -> Option<Candidate> {
    let last = queue.last().filter(|last| !last.local)?;
    let executable = queue.is_executable(last.transaction.nonce());
    Some(Candidate {
        worth: Worth::new(executable, last.floor, base_fee),
        arrival: Reverse(last.arrival),
        sender,
    })
}
