//! The tasks of a node, on any runtime and any network.

use std::sync::Arc;

use commonware_cryptography::ed25519::PublicKey;
use commonware_macros::select;
use commonware_p2p::{Blocker, Receiver, Sender};
use commonware_runtime::{Clock, Metrics, Quota, Spawner};
use tokio::sync::{Notify, mpsc};

use crate::{
    board::Board,
    bounds::{CHUNKS_A_SECOND, CHUNKS_BURST, GAPS_MAX, PEERS_MAX, WORDS_A_SECOND, WORDS_BURST},
    desk::Desk,
    holder::Holder,
    scout::{self, Order, Scout, TASKS_MAX},
    serve::{Server, Serving},
    status::Counts,
};

/// Number of the channel of Hello, Want and Lack.
pub(crate) const WORDS: u64 = 0;
/// Number of the channel of Have.
pub(crate) const CHUNKS: u64 = 1;

/// What may go over the channel of words.
pub(crate) fn words_quota() -> Quota {
    quota(WORDS_A_SECOND, WORDS_BURST)
}

/// What may go over the channel of chunks.
pub(crate) fn chunks_quota() -> Quota {
    quota(CHUNKS_A_SECOND, CHUNKS_BURST)
}

fn quota(a_second: u32, burst: u32) -> Quota {
    let bound = |count: u32| count.try_into().expect("bounds are not 0");
    Quota::per_second(bound(a_second)).allow_burst(bound(burst))
}

/// What a node is made of.
pub(crate) struct Parts<H, B> {
    pub(crate) holder: H,
    pub(crate) blocker: B,
    pub(crate) counts: Counts,
    pub(crate) board: Board,
    pub(crate) hints: mpsc::Receiver<u64>,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// Bytes a second for each peer.
    pub(crate) rate: u64,
}

/// Runs a node until the network, or whoever gives hints, is gone.
pub(crate) async fn run<E, H, B, S, R>(
    context: E,
    parts: Parts<H, B>,
    (words, chunks): ((S, R), (S, R)),
) where
    E: Spawner + Metrics + Clock,
    H: Holder,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let Parts {
        holder,
        blocker,
        counts,
        board,
        hints,
        orders,
        rate,
    } = parts;
    let (tasks, tasks_end) = mpsc::channel(TASKS_MAX);
    let (filled, filled_end) = mpsc::channel(GAPS_MAX);
    let (grown, grown_end) = mpsc::channel(PEERS_MAX);
    let wake = Arc::new(Notify::new());
    let serving = Serving {
        holder: holder.clone(),
        counts: counts.clone(),
        words: words.0.clone(),
        chunks: chunks.0,
        rate,
    };
    let desk = Desk {
        context: context.child("desk"),
        slice: holder.slice(),
        holder: holder.clone(),
        blocker,
        words: words.0,
        server: Server::new(context.child("server"), serving),
        counts: counts.clone(),
        board: board.clone(),
        filled,
        wake: wake.clone(),
        grown,
    };
    let books = (counts, board);
    let scout = Scout::new(context.child("scout"), holder, books, tasks);
    let ends = scout::Ends {
        hints,
        orders,
        filled: filled_end,
        wake,
        grown: grown_end,
    };
    // Looks and messages go on side by side; tasks that these start end with this one.
    let scouting = context.child("scouting").spawn(move |_| scout.run(ends));
    let desking = desk.run((words.1, chunks.1), tasks_end);
    select! {
        () = desking => {},
        ended = scouting => if let Err(error) = ended {
            tracing::error!(%error, "the scout ended");
        },
    }
}
