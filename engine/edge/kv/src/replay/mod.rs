//! Follows the flow, and decides what its transactions do.
//!
//! ```text
//!              ┌──────────── feed ◄── submissions from the last known one on
//!              ▼
//!  ours? ─► blocked? ─► may the sender write? ─► bytes? ─► judge ─► decide
//!    │no       │yes                               │no                 │
//!    ▼         └─────────► waiting ◄──────────────┘                   ▼
//!  passed                    └─ tried again, in order ─►      one batch, one sync
//! ```
//!
//! # Which transactions are ours
//! Those whose tags name only streams that are held, as in 0G. A stream that is added later has its past
//! replayed beside the others, who go on: of the past the transactions whose tags name only streams that
//! join. One that names an older stream too was passed when that was decided, and stays passed: what was
//! read stays true. When the past is done the streams join the others, at one point of the flow. A node
//! that shall agree with another in everything names the same streams from the start.
//!
//! # Bytes that are not there
//! Whether somebody has bytes is no function of the flow, so no rule that looks at it can be one that
//! all replayers agree on: whoever looks later finds more, or less. Hence:
//!
//! - Without [`Rules::patience`] a transaction waits without end, and with it only the streams that its
//!   tags name. What a stream holds is then a function of the flow and of the bytes alone, and all
//!   replayers agree on all that any of them has decided.
//! - With it, the question is asked at a point of the flow: when the flow has come so many blocks past
//!   the submission and its bytes are not there, the transaction is [`crate::Verdict::DataUnavailable`], for
//!   good: bytes that come later change nothing. No clock is in this. Two that ask at that point may
//!   still get two answers, so one of them decides and the others follow it: a feed that follows a node
//!   ([`crate::node_feed`]) passes nothing that the leader has not decided, and marks what it has given
//!   up. All who follow one leader agree with it, however late they come.
//!
//! A feed that fails or lies is no reason to give up: only a node that answers that it has nothing is.
//!
//! # A chain that changes its mind
//! What submissions looked like is kept for [`Rules::undo_max`] of them. The newest known one is
//! compared with each question, all of them now and then. Where the feed tells another one under a known
//! number, everything from there on is undone and replayed. If that is older than what is kept, the
//! replay ends: nothing it holds can be trusted. A feed that knows fewer than before only lags.

mod attempt;
mod follow;
mod review;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use lode_proofs::keccak::keccak256;
use lode_wire::cipher::Keys;
use tokio::sync::watch;

use self::review::end_stage;
use crate::{
    blob::{Aborting, Absent, Asking},
    feed::{Feed, Submission},
    store::{Held, Marks, Store, StoreError},
    waiting::Queue,
};

/// Submissions that are tried in vain before others have their turn.
const VAIN_MAX: usize = 32;
/// Turns between two looks at all submissions that are not final: ten seconds where nothing happens.
const REVIEW_TURNS: u64 = 50;

/// What an operator may choose about the replay.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Blocks of the chain after which bytes that are not there are not waited for any more. None: for
    /// ever. Only one of several nodes that shall agree may have it.
    pub patience: Option<u64>,
    /// Submissions that the chain may still replace, counted back from the newest.
    pub undo_max: u64,
    /// Time between two questions for new submissions while there are none.
    pub poll: Duration,
    /// Streams that may be held.
    pub streams_max: usize,
    /// What opens the transactions of streams that are encrypted (0G wire, 4.7). With a key, those that
    /// no key opens are refused, the plain ones among them; without one, all are read as they are. Nodes
    /// that shall agree have the same.
    pub keys: Keys,
}

/// How far the replay is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The first submission that is looked at.
    pub from: u64,
    /// One more than the highest that was looked at.
    pub next: u64,
    /// All below it are decided.
    pub low: u64,
    /// Those below `next` that are not.
    pub waiting: Arc<BTreeSet<u64>>,
    /// Why the replay has ended, if it has.
    pub failure: Option<String>,
}

/// Why the replay ends.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The node stops.
    #[error("the node stops")]
    Stopped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain has replaced what was taken for final.
    #[error(
        "submission {0} is another one than it was, and too old to be undone: begin a new folder"
    )]
    TooDeep(u64),
}

/// The replay.
pub(crate) struct Replay<F> {
    pub(crate) asking: Asking<F>,
    pub(crate) store: Store,
    pub(crate) rules: Rules,
    pub(crate) progress: watch::Sender<Progress>,
    held: Held,
    marks: Marks,
    /// Where the streams that join are.
    join_next: u64,
    queue: Queue,
    /// The newest block that a submission was seen in.
    newest_block: u64,
    /// Below it nothing is undone.
    floor: u64,
    /// First chunks of what comes next.
    ahead: BTreeMap<u64, Aborting<Result<Bytes, Absent>>>,
    /// Looks at everything since the start: the replay's clock. While there is nothing to do one takes
    /// as long as [`Rules::poll`], else longer.
    turns: u64,
    /// Whether the feed has failed, and the operator was told.
    told: bool,
}

/// What became of a try.
enum Tried {
    Decided,
    /// It has to wait for another one.
    Blocked,
    /// It has to wait for its bytes.
    InVain,
}

impl<F: Feed> Replay<F> {
    pub(crate) fn new(
        asking: Asking<F>,
        store: Store,
        rules: Rules,
        progress: watch::Sender<Progress>,
    ) -> Result<Self, StoreError> {
        let view = store.view();
        let missing = StoreError::Damaged("no marks");
        let marks = view.marks()?.ok_or(missing)?;
        let held = view.held()?.ok_or(StoreError::Damaged("no held streams"))?;
        let floor = marks.next.saturating_sub(rules.undo_max);
        let mut replay = Replay {
            asking,
            store,
            progress,
            held,
            // What waited is looked at again.
            join_next: marks.join_low,
            marks: Marks {
                next: marks.low,
                ..marks
            },
            queue: Queue::default(),
            newest_block: 0,
            floor,
            ahead: BTreeMap::new(),
            turns: 0,
            told: false,
            rules,
        };
        replay.publish();
        Ok(replay)
    }

    /// Follows the flow until the node stops, or it cannot go on.
    pub(crate) fn run(mut self) -> Ended {
        let ended = loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => {
                    if let Err(ended) = self.rest() {
                        break ended;
                    }
                }
                Err(ended) => break ended,
            }
        };
        for one in self.queue.each() {
            end_stage(&self.asking.runtime, one);
        }
        if !matches!(ended, Ended::Stopped) {
            tracing::error!(%ended, "the replay has ended");
            let failure = Some(ended.to_string());
            self.progress
                .send_modify(|progress| progress.failure = failure);
        }
        ended
    }

    fn rest(&mut self) -> Result<(), Ended> {
        let (mut stop, poll) = (self.asking.stop.clone(), self.rules.poll);
        // A timer needs its runtime when it is made, so it is made inside.
        let rest = async move {
            let stopped = stop.wait_for(|stopped| *stopped);
            tokio::time::timeout(poll, stopped).await.is_ok()
        };
        if self.asking.runtime.block_on(rest) {
            Err(Ended::Stopped)
        } else {
            Ok(())
        }
    }

    /// One look at everything. Whether there was something to do.
    pub(crate) fn turn(&mut self) -> Result<bool, Ended> {
        self.turns += 1;
        self.take_up()?;
        let mut busy = self.try_again()?;
        busy |= self.follow()?;
        busy |= self.catch_up()?;
        if self.turns.is_multiple_of(REVIEW_TURNS) {
            self.review()?;
        }
        Ok(busy)
    }

    /// Takes up streams that were asked for, unless others are joining.
    fn take_up(&mut self) -> Result<(), Ended> {
        if self.held.all || !self.held.joining.is_empty() {
            return Ok(());
        }
        let room = self.rules.streams_max.saturating_sub(self.held.count());
        let wanted = self.store.view().wanted(room)?;
        if wanted.is_empty() {
            return Ok(());
        }
        // One that was asked for while it was taken up is there already.
        let new = wanted.iter().filter(|stream| !self.held.has(**stream));
        self.held.joining = new.copied().collect();
        self.join_next = self.marks.from;
        self.publish();
        tracing::info!(streams = self.held.joining.len(), "streams join");
        Ok(self.store.hold(&self.held, &self.marks, &wanted)?)
    }

    /// Tries those that wait, in order.
    fn try_again(&mut self) -> Result<bool, Ended> {
        let (mut busy, mut vain) = (false, 0);
        loop {
            let mut again = false;
            for seq in self.queue.due(self.turns) {
                let Some(mut one) = self.queue.take(seq) else {
                    continue;
                };
                match self.attempt(&mut one)? {
                    Tried::Decided => {
                        (busy, again) = (true, true);
                        self.publish();
                        continue;
                    }
                    Tried::Blocked => one.soon(self.turns),
                    Tried::InVain => {
                        vain += 1;
                        one.put_off(self.turns);
                    }
                }
                self.queue.add(one);
                if vain >= VAIN_MAX {
                    return Ok(busy);
                }
            }
            // What was decided may have been in others' way.
            if !again {
                return Ok(busy);
            }
        }
    }
    /// Brings the marks up to date, and tells those who wait.
    fn publish(&mut self) {
        let next = self.marks.next;
        self.marks.low = self
            .queue
            .first(false)
            .map_or(next, |first| first.min(next));
        let joined = if self.held.joining.is_empty() {
            next
        } else {
            self.join_next
        };
        let waits = self.queue.first(true);
        self.marks.join_low = waits.map_or(joined, |first| first.min(joined));
        let progress = Progress {
            from: self.marks.from,
            next,
            low: self.marks.low,
            waiting: Arc::new(self.queue.seqs()),
            failure: None,
        };
        self.progress.send_replace(progress);
    }
}

/// What tells a submission from another one with its number.
fn print_of(submission: &Submission) -> [u8; 32] {
    let parts: [&[u8]; 6] = [
        submission.root.as_bytes(),
        &submission.size.to_be_bytes(),
        &submission.sender.0,
        &submission.block.to_be_bytes(),
        submission.transaction.as_bytes(),
        &keccak256(&submission.tags),
    ];
    keccak256(&parts.concat())
}

#[cfg(test)]
mod tests;
