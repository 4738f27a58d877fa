//! What happens on the chain, passed on to whoever listens: subscriptions and filters. Each reads at
//! its own pace out of a bounded ring; who is too slow for it learns so, and reads the chain instead.

use std::{pin::pin, sync::Arc};

use alloy_primitives::B256;
use futures_lite::StreamExt as _;
use lode_chain_ledger::{
    Ledger,
    events::{Committed, Event},
};
use lode_chain_pool::Transaction;
use tokio::sync::broadcast;

/// Blocks that are held for listeners.
const BLOCKS_MAX: usize = 128;
/// Transactions that are held for listeners.
const PENDING_MAX: usize = 8_192;

/// Both rings.
#[derive(Debug)]
pub struct Events {
    blocks: broadcast::Sender<Arc<Committed>>,
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
    /// Blocks that become final from now on.
    pub fn blocks(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.blocks.subscribe()
    }

    /// Transactions that become executable from now on.
    pub fn pending(&self) -> broadcast::Receiver<Transaction> {
        self.pending.subscribe()
    }

    /// Passes on what happens, until the ledger ends. A queue that ran over is begun anew.
    pub async fn pass_on(&self, ledger: &Ledger) {
        loop {
            let mut queue = pin!(ledger.listen());
            while let Some(event) = queue.next().await {
                // Nobody listens: that is fine.
                let _ = match event {
                    Event::Block(block) => self.blocks.send(block).map(|_| ()).map_err(drop),
                    Event::Pending(one) => self.pending.send(one).map(|_| ()).map_err(drop),
                };
            }
            tracing::warn!("events came faster than they were passed on; some are lost");
        }
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
