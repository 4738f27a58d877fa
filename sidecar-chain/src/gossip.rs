//! Transactions to and from other validators: what users of this node sent goes out, what others
//! sent comes into the pool once it keeps the rules and its sender is known.
//!
//! Two threads, and bounded queues on both sides: what does not fit is dropped, since the sender's
//! own node still has it. Senders are found by the ledger's threads, a batch at a time.

use std::{io, thread};

use alloy_eips::eip2718::Encodable2718;
use bytes::Bytes;
use futures_channel::{mpsc, oneshot};
use futures_lite::{StreamExt, future::block_on};
use lode_chain_consensus::gossip::{Peers, WAITING_MAX};
use lode_chain_ledger::Ledger;
use lode_chain_pool::{Checked, Rules, Transaction, decode};

/// Carries transactions until the ledger or the network ends.
///
/// # Errors
/// When the machine has no room for two threads more.
pub fn start(ledger: Ledger, rules: Rules, peers: Peers) -> io::Result<()> {
    let Peers { outbound, inbound } = peers;
    let (sender, local) = mpsc::channel(WAITING_MAX);
    ledger.send_to(sender);
    thread::Builder::new()
        .name("chain-outbound".to_owned())
        .spawn(move || block_on(send(local, outbound)))?;
    thread::Builder::new()
        .name("chain-inbound".to_owned())
        .spawn(move || block_on(receive(&ledger, rules, inbound)))?;
    Ok(())
}

async fn send(mut local: mpsc::Receiver<Transaction>, mut outbound: mpsc::Sender<Bytes>) {
    while let Some(transaction) = local.next().await {
        let bytes = transaction.envelope().encoded_2718();
        if let Err(error) = outbound.try_send(bytes.into())
            && error.is_disconnected()
        {
            return;
        }
    }
}

async fn receive(ledger: &Ledger, rules: Rules, mut inbound: mpsc::Receiver<Bytes>) {
    while let Some(first) = inbound.next().await {
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(bytes) = next {
            match check(ledger, rules, &bytes) {
                Ok(checked) => batch.extend(checked),
                Err(refused) => tracing::debug!(%refused, "transaction of a validator refused"),
            }
            next = (batch.len() < BATCH_MAX)
                .then(|| inbound.try_recv().ok())
                .flatten();
        }
        if ledger.is_stopped() {
            return;
        }
        if let Some(done) = take(ledger, batch)
            && done.await.is_err()
        {
            tracing::debug!("transactions of a validator dropped: senders are not found any more");
        }
    }
}

/// The signature is looked at last: it costs 50 µs. None if it waits here already.
fn check(
    ledger: &Ledger,
    rules: Rules,
    bytes: &[u8],
) -> Result<Option<Checked>, lode_chain_pool::Error> {
    let envelope = decode(bytes)?;
    if ledger.pool(|pool| pool.get(envelope.hash()).is_some()) {
        return Ok(None);
    }
    Ok(Some(rules.check(envelope)?))
}

/// Has senders found and puts what has one into the pool; tells when that is done.
fn take(ledger: &Ledger, batch: Vec<Checked>) -> Option<oneshot::Receiver<()>> {
    if batch.is_empty() {
        return None;
    }
    let (done, wait) = oneshot::channel();
    let pool = ledger.clone();
    let submitted = ledger.recovery().submit(batch, move |found| {
        for transaction in found.into_iter().flatten() {
            match pool.submit(transaction, false) {
                Ok(Ok(_)) => {}
                Ok(Err(refused)) => tracing::debug!(%refused, "transaction refused"),
                Err(error) => tracing::error!(%error, "a transaction could not be looked at"),
            }
        }
        // Who waits for it may be gone.
        let _ = done.send(());
    });
    match submitted {
        Ok(()) => Some(wait),
        Err(refused) => {
            tracing::debug!(%refused, "transactions of a validator dropped");
            None
        }
    }
}

/// Transactions whose senders are found at once.
const BATCH_MAX: usize = 256;
