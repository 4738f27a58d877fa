//! In which order a block takes transactions: by what they pay the proposer, then by arrival; those of
//! one sender by nonce.
//!
//! A [`Best`] holds nothing of the pool but the senders' first ones in a heap, and looks into the
//! pool at each step. So the pool may change while a block is made, and its lock is held for single
//! steps.
//!
//! Cost: making one passes over the senders once and takes 64 bytes for each, a step is
//! O(log senders). `cargo test --release -p lode-chain-pool -- --ignored --nocapture` prints both.

use std::{cmp::Reverse, collections::BinaryHeap};

use alloy_primitives::{Address, map::AddressSet};

use crate::{Pool, Transaction};

/// A walk over what is executable.
#[derive(Clone, Debug)]
pub struct Best {
    base_fee: u64,
    heads: BinaryHeap<Head>,
    /// The last one given: the next of its sender is looked for at the next step.
    given: Option<(Address, u64)>,
    skipped: AddressSet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    tip: u128,
    arrival: Reverse<u64>,
    sender: Address,
    nonce: u64,
}

impl Best {
    pub(crate) fn new(pool: &Pool, base_fee: u64) -> Self {
        let heads = pool.queues().filter_map(|(sender, queue)| {
            let head = queue.head()?;
            Some(Head {
                tip: head.price.tip(base_fee)?,
                arrival: Reverse(head.arrival),
                sender: *sender,
                nonce: queue.state().nonce,
            })
        });
        let mut all = Vec::with_capacity(pool.queues().len());
        all.extend(heads);
        Best {
            base_fee,
            heads: all.into(),
            given: None,
            skipped: AddressSet::default(),
        }
    }

    /// The next one, as the pool is now.
    pub fn next(&mut self, pool: &Pool) -> Option<Transaction> {
        if let Some((sender, nonce)) = self.given.take() {
            // No transaction has the last nonce there is.
            self.push(pool, sender, nonce + 1);
        }
        while let Some(head) = self.heads.pop() {
            if self.skipped.contains(&head.sender) {
                continue;
            }
            let Some((now, transaction)) = self.look(pool, head.sender, head.nonce) else {
                continue;
            };
            // Another took its place: it has a place of its own in the order.
            if now != head {
                self.heads.push(now);
                continue;
            }
            self.given = Some((head.sender, head.nonce));
            return Some(transaction);
        }
        None
    }

    /// Leaves out whatever else that sender has, as when one of his does not fit the block.
    pub fn skip(&mut self, sender: Address) {
        self.skipped.insert(sender);
    }

    /// All that come, for as long as the pool does not change.
    pub fn iter<'walk>(
        &'walk mut self,
        pool: &'walk Pool,
    ) -> impl Iterator<Item = Transaction> + 'walk {
        std::iter::from_fn(move || self.next(pool))
    }

    fn push(&mut self, pool: &Pool, sender: Address, nonce: u64) {
        if self.skipped.contains(&sender) {
            return;
        }
        if let Some((head, _)) = self.look(pool, sender, nonce) {
            self.heads.push(head);
        }
    }

    fn look(&self, pool: &Pool, sender: Address, nonce: u64) -> Option<(Head, Transaction)> {
        let entry = pool.executable(&sender, nonce)?;
        let head = Head {
            tip: entry.transaction.price().tip(self.base_fee)?,
            arrival: Reverse(entry.arrival),
            sender,
            nonce,
        };
        Some((head, entry.transaction.clone()))
    }
}
