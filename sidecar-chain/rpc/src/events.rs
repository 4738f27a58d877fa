//! What happens on the chain, passed on to whoever listens: subscriptions and filters. Each reads at
//! its own pace out of a bounded ring; who is too slow for it learns so, and reads the chain instead.

use std::pin::pin;

use alloy_primitives::B256;
use futures_lite::StreamExt as _;
use lode_chain_ledger::{Ledger, events::Event};
use lode_chain_pool::Transaction;
use lode_chain_types::Height;
use tokio::sync::broadcast;

/// Blocks that are held for listeners.
const BLOCKS_MAX: usize = 128;
/// Transactions that are held for listeners.
const PENDING_MAX: usize = 8_192;

/// Both rings.
#[derive(Debug)]
pub struct Events {
    blocks: broadcast::Sender<Height>,
    pending: broadcast::Sender<Transaction>,
}

impl Default for Events {
    fn default() -> Self {
        Events {
            blocks: broadcast::Sender::new(BLOCKS_MAX),
            pending: broadcast::Sender::new(PENDING_MAX),
        }
    }
}

impl Events {
    /// Heights up to which blocks have become final, from now on. They may repeat and leave some out:
    /// a listener reads what is between.
    pub fn blocks(&self) -> broadcast::Receiver<Height> {
        self.blocks.subscribe()
    }

    /// Transactions that become executable from now on.
    pub fn pending(&self) -> broadcast::Receiver<Transaction> {
        self.pending.subscribe()
    }

    /// Passes on what happens, until the ledger ends. A queue that ran over is begun anew; blocks that
    /// came between are told of with the last of them, waiting transactions are lost.
    pub async fn pass_on(&self, ledger: &Ledger) {
        while !ledger.is_stopped() {
            let mut queue = pin!(ledger.listen());
            // Only now: what comes later is in the queue.
            self.tell_block(ledger.latest().tip());
            while let Some(event) = queue.next().await {
                match event {
                    Event::Block(block) => self.tell_block(block.block.height()),
                    // Nobody listens: that is fine.
                    Event::Pending(one) => drop(self.pending.send(one)),
                }
            }
            tracing::debug!("the queue of events has ended");
        }
    }

    fn tell_block(&self, height: Height) {
        // Nobody listens: that is fine.
        let _ = self.blocks.send(height);
    }
}

/// Hashes of what has become executable since the last look; what did not fit the ring is left out.
pub fn waiting(queue: &mut broadcast::Receiver<Transaction>) -> Vec<B256> {
    let mut hashes = Vec::new();
    loop {
        match queue.try_recv() {
            Ok(transaction) => hashes.push(transaction.hash()),
            Err(broadcast::error::TryRecvError::Lagged(_)) => {}
            Err(_) => return hashes,
        }
    }
}
