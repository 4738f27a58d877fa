//! Raw transactions between validators, so that whoever leads has them. Best effort: what does not
//! fit is dropped, and a peer that sends too much is slowed by the network's quota.

use std::time::Duration;

use bytes::Bytes;
use commonware_codec::{Buf, Encode, RangeCfg, Read};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::Clock;
use futures_channel::mpsc;
use futures_lite::{StreamExt as _, future};

/// Bytes of one transaction: geth's limit, which pools everywhere follow.
pub const TRANSACTION_LEN_MAX: usize = 128 << 10;
/// Transactions that wait for the network, or from it.
pub const WAITING_MAX: usize = 8192;

/// Time between two messages to the same peers: fewer than the channel's quota, which drops what is
/// above it.
const PACE: Duration = Duration::from_millis(10);
/// Bytes of transactions in one message, below which another is added.
const MESSAGE_FULL_LEN: usize = 128 << 10;
/// Transactions in one message.
const MESSAGE_TRANSACTIONS_MAX: usize = 1024;
/// Bytes of a message.
pub(crate) const MESSAGE_LEN_MAX: usize =
    MESSAGE_FULL_LEN + TRANSACTION_LEN_MAX + 8 * MESSAGE_TRANSACTIONS_MAX;

/// The validator's ends.
pub struct Gossip {
    outbound: mpsc::Receiver<Bytes>,
    inbound: mpsc::Sender<Bytes>,
}

/// The pool's ends: what it sends goes to all validators, and what they sent it receives.
pub struct Peers {
    /// To all others. Full when the network is slower.
    pub outbound: mpsc::Sender<Bytes>,
    /// From others: unchecked bytes, [`TRANSACTION_LEN_MAX`] at most.
    pub inbound: mpsc::Receiver<Bytes>,
}

/// Ends that belong together.
pub fn gossip() -> (Gossip, Peers) {
    let (outbound, to_network) = mpsc::channel(WAITING_MAX);
    let (from_network, inbound) = mpsc::channel(WAITING_MAX);
    let validator = Gossip {
        outbound: to_network,
        inbound: from_network,
    };
    (validator, Peers { outbound, inbound })
}

impl Gossip {
    /// Sends and receives until the network or the pool ends.
    pub(crate) async fn run<E, S, R>(self, clock: E, (sender, receiver): (S, R))
    where
        E: Clock,
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let Gossip { outbound, inbound } = self;
        future::zip(send(clock, outbound, sender), receive(inbound, receiver)).await;
    }
}

/// One message for all that is there, so that a quota counts messages that are worth one.
async fn send(
    clock: impl Clock,
    mut outbound: mpsc::Receiver<Bytes>,
    mut sender: impl Sender<PublicKey = PublicKey>,
) {
    while let Some(first) = outbound.next().await {
        let mut len = first.len();
        let mut message = vec![first];
        while len < MESSAGE_FULL_LEN && message.len() < MESSAGE_TRANSACTIONS_MAX {
            let Ok(next) = outbound.try_recv() else {
                break;
            };
            len += next.len();
            message.push(next);
        }
        message.retain(|transaction| transaction.len() <= TRANSACTION_LEN_MAX);
        sender.send(Recipients::All, message.encode(), false);
        clock.sleep(PACE).await;
    }
}

async fn receive(
    mut inbound: mpsc::Sender<Bytes>,
    mut receiver: impl Receiver<PublicKey = PublicKey>,
) {
    while let Ok((peer, message)) = receiver.recv().await {
        let Some(transactions) = read(message) else {
            tracing::debug!(?peer, "message of transactions that cannot be read");
            continue;
        };
        for transaction in transactions {
            if inbound
                .try_send(transaction)
                .is_err_and(|error| error.is_disconnected())
            {
                return;
            }
        }
    }
}

fn read(message: impl Buf) -> Option<Vec<Bytes>> {
    let limits = (
        RangeCfg::new(0..=MESSAGE_TRANSACTIONS_MAX),
        RangeCfg::new(0..=TRANSACTION_LEN_MAX),
    );
    let mut message = message;
    let transactions = Vec::<Bytes>::read_cfg(&mut message, &limits).ok()?;
    (!message.has_remaining()).then_some(transactions)
}

#[cfg(test)]
#[path = "gossip_tests.rs"]
mod tests;
