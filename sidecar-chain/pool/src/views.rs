//! What RPC shows of the pool.

use std::collections::BTreeMap;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};

use crate::{Pool, Transaction, queue::Queue};

/// How many wait (`txpool_status`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Executable ones.
    pub executable: usize,
    /// Those with a gap before them, or not paid for yet.
    pub queued: usize,
    /// Bytes of memory that all take, about.
    pub bytes: usize,
}

/// What an account has waiting (`txpool_contentFrom`), by nonce.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Executable ones.
    pub executable: Vec<Transaction>,
    /// Those with a gap before them, or not paid for yet.
    pub queued: Vec<Transaction>,
}

impl Pool {
    /// One that waits, by its hash.
    pub fn get(&self, hash: &B256) -> Option<&Transaction> {
        self.known().get(hash)
    }

    /// One that waits, by who sent it.
    pub fn by_nonce(&self, sender: &Address, nonce: u64) -> Option<&Transaction> {
        Some(&self.queue(sender)?.get(nonce)?.transaction)
    }

    /// The nonce behind all that is executable of an account (`eth_getTransactionCount` of
    /// "pending"); none if nothing of it waits, and its state's nonce holds.
    pub fn pending_nonce(&self, sender: &Address) -> Option<u64> {
        self.queue(sender).map(Queue::next_nonce)
    }

    /// How many wait.
    pub fn status(&self) -> Status {
        let size = self.size();
        Status {
            executable: size.executable,
            queued: size.queued,
            bytes: size.bytes,
        }
    }

    /// What an account has waiting.
    pub fn content_of(&self, sender: &Address) -> Content {
        self.queue(sender).map_or_else(Content::default, content)
    }

    /// What all have waiting (`txpool_content`), by sender. Costs a clone of each.
    pub fn content(&self) -> BTreeMap<Address, Content> {
        let all = self
            .queues()
            .map(|(sender, queue)| (*sender, content(queue)));
        all.collect()
    }

    /// All that wait, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.known().values()
    }
}

impl Transaction {
    /// In one line, as `txpool_inspect` shows it.
    pub fn inspect(&self) -> String {
        let envelope = self.envelope();
        let to = envelope
            .to()
            .map_or_else(|| "contract creation".to_owned(), |to| to.to_checksum(None));
        let (value, gas) = (envelope.value(), envelope.gas_limit());
        format!(
            "{to}: {value} wei + {gas} gas × {} wei",
            self.price().fee_max
        )
    }
}

fn content(queue: &Queue) -> Content {
    let (mut executable, mut queued) = (Vec::new(), Vec::new());
    for entry in queue.iter() {
        let place = if queue.is_executable(entry.transaction.nonce()) {
            &mut executable
        } else {
            &mut queued
        };
        place.push(entry.transaction.clone());
    }
    Content { executable, queued }
}
