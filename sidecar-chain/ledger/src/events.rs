//! Who wants to know what happened: each gets a bounded queue, and is let go when it is full.

use std::sync::Arc;

use alloy_consensus::ReceiptEnvelope;
use alloy_primitives::Address;
use futures_channel::mpsc;
use lode_chain_pool::Transaction;
use lode_chain_types::{Block, Finality};
use parking_lot::Mutex;

/// Events that wait for one listener.
pub const WAITING_MAX: usize = 4096;

/// A block that is final and kept.
#[derive(Debug)]
pub struct Committed {
    /// Itself.
    pub block: Block,
    /// Who sent its transactions.
    pub senders: Vec<Address>,
    /// What became of them.
    pub receipts: Vec<ReceiptEnvelope>,
    /// What proves it final; none in a chain that was read from a file.
    pub finality: Option<Finality>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A block is final and kept: whoever asks for it gets it.
    Block(Arc<Committed>),
    /// A transaction came in that a block could take now.
    Pending(Transaction),
}

/// Everybody who listens.
#[derive(Debug)]
pub struct Listeners(Mutex<Option<Vec<mpsc::Sender<Event>>>>);

impl Default for Listeners {
    fn default() -> Self {
        Listeners(Mutex::new(Some(Vec::new())))
    }
}

impl Listeners {
    /// A new one. Its queue ends when the chain stops, or when [`WAITING_MAX`] events wait in it.
    pub fn add(&self) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        if let Some(listeners) = &mut *self.0.lock() {
            listeners.push(sender);
        }
        receiver
    }

    /// Ends all queues, and those to come.
    pub fn close(&self) {
        self.0.lock().take();
    }

    /// Tells everybody, and waits for nobody.
    pub fn tell(&self, event: &Event) {
        if let Some(listeners) = &mut *self.0.lock() {
            listeners.retain_mut(|listener| listener.try_send(event.clone()).is_ok());
        }
    }
}
