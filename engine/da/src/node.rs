//! The tasks of a node, on any runtime and any network.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use commonware_cryptography::ed25519::PublicKey;
use commonware_macros::select;
use commonware_p2p::{Blocker, LimitedSender, Receiver};
use commonware_runtime::{Clock, Metrics, Quota, Spawner};
use lode_proofs::da::signing::HolderSecret;
use tokio::sync::mpsc;

use crate::{
    asked::Silent,
    bounds::{MESSAGES_A_SECOND, MESSAGES_BURST, ORDERS_MAX},
    committee::Committees,
    desk::{Desk, Order},
    keep::Keep,
    post::{Dispatcher, Poster, Terms},
    read::Reader,
    repair::{Mender, Repair},
    serve::{Server, Serving},
};

/// Number of the channel of words.
pub const WORDS: u64 = 0;
/// Number of the channel of rows.
pub const ROWS: u64 = 1;

/// What may go over each of the channels.
#[must_use]
pub fn quota() -> Quota {
    let bound = |count: u32| count.try_into().expect("bounds are not 0");
    Quota::per_second(bound(MESSAGES_A_SECOND)).allow_burst(bound(MESSAGES_BURST))
}

/// What a node is made of.
pub struct Parts<K, B> {
    /// Its name on the network.
    pub me: PublicKey,
    /// What it signs with.
    pub secret: Arc<HolderSecret>,
    /// What keeps its rows.
    pub keep: K,
    /// The committees that it knows; whoever learns of another adds it.
    pub committees: Committees,
    /// What cuts off liars.
    pub blocker: B,
    /// How long, and by how many, what is posted here is kept.
    pub terms: Terms,
    /// How often it looks for containers that have lost rows, if it does.
    pub repair: Option<Duration>,
}

/// What a node does for its own.
#[derive(Clone)]
pub struct Faces {
    /// Takes blobs.
    pub poster: Poster,
    /// Reads them.
    pub reader: Reader,
    /// Restores rows.
    pub mender: Mender,
}

#[cfg(test)]
impl Faces {
    /// What the node's own parts tell the desk by.
    pub(crate) fn orders(&self) -> mpsc::Sender<Order> {
        self.mender.orders()
    }
}

/// A node that is not running yet.
pub struct Node<K, B> {
    parts: Parts<K, B>,
    dispatcher: Dispatcher,
    orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    mender: Mender,
    silent: Silent,
}

impl<K: Keep, B: Blocker<PublicKey = PublicKey>> Node<K, B> {
    /// A node, and what it does for its own once it runs.
    pub fn new(parts: Parts<K, B>, clock: &impl Clock) -> (Node<K, B>, Faces) {
        let (orders, orders_end) = mpsc::channel(ORDERS_MAX);
        // Numbers of an earlier run are not given again: it cannot have had one for each nanosecond.
        let first = clock
            .current()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let first = u64::try_from(first.as_nanos()).unwrap_or(u64::MAX);
        let (poster, dispatcher) = Poster::new(parts.committees.clone(), first);
        let (me, committees) = (parts.me.clone(), parts.committees.clone());
        let silent = Silent::default();
        let reader = Reader::new(me, orders.clone(), committees, silent.clone());
        let mender = Mender::new(reader.clone(), orders.clone());
        let node = Node {
            parts,
            dispatcher,
            orders: (orders, orders_end),
            mender: mender.clone(),
            silent,
        };
        let faces = Faces {
            poster,
            reader,
            mender,
        };
        (node, faces)
    }

    /// Runs until the network is gone.
    pub async fn run<E, S, R>(self, context: E, (words, rows): ((S, R), (S, R)))
    where
        E: Spawner + Metrics + Clock,
        S: LimitedSender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let Node {
            parts,
            dispatcher,
            orders,
            mender,
            silent,
        } = self;
        let (unsent, unsent_end) = mpsc::channel(ORDERS_MAX);
        let serving = Serving {
            keep: parts.keep.clone(),
            words: words.0,
            bulk: rows.0,
            unsent,
        };
        let desk = Desk {
            context: context.child("desk"),
            me: parts.me.clone(),
            secret: parts.secret,
            keep: parts.keep.clone(),
            committees: parts.committees.clone(),
            blocker: parts.blocker,
            server: Server::new(context.child("server"), serving),
            silent,
            unsent: unsent_end,
        };
        let posting = context.child("dispatcher");
        let posting = posting.spawn(move |context| dispatcher.run(context, orders.0, parts.terms));
        let repairing = parts.repair.map(|every| {
            let repair = Repair {
                me: parts.me,
                keep: parts.keep,
                committees: parts.committees,
                mender,
                every,
            };
            context
                .child("repair")
                .spawn(move |context| repair.run(context))
        });
        let desking = desk.run((words.1, rows.1), orders.1);
        // What the desk needs not ends with it.
        select! {
            () = desking => {},
            ended = posting => if let Err(error) = ended {
                tracing::error!(%error, "nothing is dispersed any more");
            },
        }
        if let Some(repairing) = repairing {
            repairing.abort();
        }
    }
}
