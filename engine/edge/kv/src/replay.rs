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
//!   the submission and its bytes are not there, the transaction is [`Verdict::DataUnavailable`], for
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

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lode_proofs::keccak::keccak256;
use tokio::{runtime::Handle, sync::watch};

use crate::{
    blob::{Aborting, Absent, Asking, Blob},
    feed::{Feed, FeedError, Submission},
    judge::{Case, Judged, Unjudged, judge, may_write},
    stage,
    store::{Change, Decided, Held, Marks, Store, StoreError},
    stream::{Decoder, StreamId, tags},
    verdict::Verdict,
    waiting::{Queue, Stage, WAITING_MAX, Waiting, Writer},
};

/// Submissions that one question asks for.
const PAGE: u64 = 256;
/// Submissions whose first chunk is fetched before their turn: as many as hide a round trip or two.
const AHEAD_MAX: usize = 8;
/// Submissions that are tried in vain before others have their turn.
const VAIN_MAX: usize = 32;
/// Transactions whose values are fetched at once beside the replay.
const STAGES_MAX: usize = 4;
/// Time between two looks at all submissions that are not final.
const REVIEW: Duration = Duration::from_secs(10);

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
    reviewed: Instant,
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
            reviewed: Instant::now(),
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
        self.take_up()?;
        let mut busy = self.try_again()?;
        busy |= self.follow()?;
        busy |= self.catch_up()?;
        if self.reviewed.elapsed() >= REVIEW {
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
            for seq in self.queue.due() {
                let Some(mut one) = self.queue.take(seq) else {
                    continue;
                };
                match self.attempt(&mut one)? {
                    Tried::Decided => {
                        (busy, again) = (true, true);
                        self.publish();
                        continue;
                    }
                    Tried::Blocked => one.soon(self.rules.poll),
                    Tried::InVain => {
                        vain += 1;
                        one.put_off(self.rules.poll);
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

    /// Follows the flow by a page.
    fn follow(&mut self) -> Result<bool, Ended> {
        if self.queue.len() >= WAITING_MAX {
            return Ok(false);
        }
        let next = self.marks.next;
        let known = match next.checked_sub(1).filter(|last| *last >= self.marks.from) {
            Some(last) => self.store.view().seen(last)?.map(|print| (last, print)),
            None => None,
        };
        let from = known.map_or(next, |(last, _)| last);
        let Some(mut page) = self.page(from, PAGE)? else {
            return Ok(false);
        };
        if let (Some((_, print)), Some(first)) = (known, page.first()) {
            if print_of(first) != print {
                return self.review();
            }
            self.newest_block = self.newest_block.max(first.block);
            page.remove(0);
        }
        let mut prints = Vec::new();
        let before = self.store.view();
        for (place, submission) in page.iter().enumerate() {
            if self.queue.len() >= WAITING_MAX {
                break;
            }
            // After a start, what was decided out of turn is met again.
            let seen = before.seen(submission.seq)?;
            if seen.is_some_and(|seen| seen != print_of(submission)) {
                return self.revert(submission.seq, self.floor.max(self.marks.from));
            }
            self.newest_block = self.newest_block.max(submission.block);
            prints.push((submission.seq, print_of(submission)));
            self.marks.next = submission.seq + 1;
            self.look_ahead(&page[place..], false)?;
            self.admit(submission, false)?;
        }
        if prints.is_empty() {
            return Ok(false);
        }
        self.publish();
        self.store.note(&self.marks, &prints)?;
        let floor = self.marks.next.saturating_sub(self.rules.undo_max);
        if floor > self.floor {
            self.store.forget(self.floor, floor)?;
            self.floor = floor;
        }
        Ok(true)
    }

    /// Replays a page of the past of those that join.
    fn catch_up(&mut self) -> Result<bool, Ended> {
        if self.held.joining.is_empty() || self.queue.len() >= WAITING_MAX {
            return Ok(false);
        }
        let left = self.marks.next.saturating_sub(self.join_next);
        if left > 0 {
            let Some(page) = self.page(self.join_next, left.min(PAGE))? else {
                return Ok(false);
            };
            let some = !page.is_empty();
            for (place, submission) in page.iter().enumerate() {
                if self.queue.len() >= WAITING_MAX {
                    break;
                }
                self.join_next = submission.seq + 1;
                self.look_ahead(&page[place..], true)?;
                self.admit(submission, true)?;
            }
            self.publish();
            self.store.note(&self.marks, &[])?;
            return Ok(some);
        }
        let joined = std::mem::take(&mut self.held.joining);
        tracing::info!(
            streams = joined.len(),
            at = self.marks.next,
            "streams have joined"
        );
        self.held.streams.extend(joined);
        self.queue.joined();
        self.publish();
        self.store.hold(&self.held, &self.marks, &[])?;
        Ok(true)
    }

    /// Submissions from `from` on; none if the feed has no sensible answer.
    fn page(&mut self, from: u64, limit: u64) -> Result<Option<Vec<Submission>>, Ended> {
        let asked = self
            .asking
            .answer(self.asking.feed.submissions(from, limit));
        let answer = self.asking.runtime.block_on(asked);
        let checked = answer.and_then(|page| {
            let numbers = page.iter().map(|one| one.seq);
            if numbers.eq(from..from.saturating_add(page.len().try_into().unwrap_or(u64::MAX)))
                && page.len().try_into().is_ok_and(|len: u64| len <= limit)
            {
                return Ok(page);
            }
            let message = format!("submissions from {from} on have other numbers");
            Err(FeedError::Senseless(message).into())
        });
        match checked {
            Ok(page) => {
                self.told = false;
                Ok(Some(page))
            }
            Err(Absent::Stopped) => Err(Ended::Stopped),
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!(%error, from, "cannot follow the flow");
                }
                Ok(None)
            }
        }
    }

    /// Whether transactions on streams are decided here: by those who join, or by the others.
    fn ours(&self, streams: &[StreamId], joining: bool) -> bool {
        let held = |stream: &StreamId| {
            if joining {
                self.held.joining.contains(stream)
            } else {
                self.held.all || self.held.streams.contains(stream)
            }
        };
        !streams.is_empty() && streams.iter().all(held)
    }

    /// Begins to fetch the first chunks of what comes next, so that a long flow is not as slow as one
    /// answer after the other.
    fn look_ahead(&mut self, next: &[Submission], joining: bool) -> Result<(), Ended> {
        for submission in next.iter().take(AHEAD_MAX) {
            let (seq, streams) = (submission.seq, tags::streams(&submission.tags));
            if self.ahead.contains_key(&seq) || !self.ours(&streams, joining) {
                continue;
            }
            let case = Case {
                seq,
                sender: submission.sender,
                streams: &streams,
            };
            let view = self.store.view();
            let decided = submission.given_up || view.result(seq)?.is_some();
            // Who may not write now may have been allowed to by then, but strangers cost nothing so.
            if decided || !may_write(&view, case)? {
                continue;
            }
            let (asking, of) = (self.asking.clone(), submission.clone());
            let fetch = async move { asking.sectors(&of, 0).await };
            let task = Aborting(self.asking.runtime.spawn(fetch));
            self.ahead.insert(seq, task);
        }
        Ok(())
    }

    /// Meets a submission for the first time since the start.
    fn admit(&mut self, submission: &Submission, joining: bool) -> Result<(), Ended> {
        let streams = tags::streams(&submission.tags);
        let ours = self.ours(&streams, joining);
        if !ours || self.store.view().result(submission.seq)?.is_some() {
            return Ok(());
        }
        let mut one = Waiting::new(submission.clone(), &streams, joining);
        match self.attempt(&mut one)? {
            Tried::Decided => self.publish(),
            Tried::Blocked => self.queue.add(one),
            Tried::InVain => {
                one.put_off(self.rules.poll);
                self.queue.add(one);
            }
        }
        Ok(())
    }

    /// Tries to decide a submission, which is not in the queue.
    fn attempt(&mut self, one: &mut Waiting) -> Result<Tried, Ended> {
        let seq = one.submission.seq;
        // Dropped where it is not used: what waits long keeps no bytes.
        let ahead = self.ahead.remove(&seq);
        let blocked = one
            .streams
            .iter()
            .any(|stream| self.queue.blocks(*stream, seq));
        if blocked || one.runs() {
            return Ok(Tried::Blocked);
        }
        let view = self.store.view();
        let case = Case {
            seq,
            sender: one.submission.sender,
            streams: &one.streams,
        };
        if !may_write(&view, case)? {
            return self.refuse(one, &Verdict::SenderNoWritePermission);
        }
        if one.submission.given_up {
            return self.refuse(one, &Verdict::DataUnavailable);
        }
        let first = match ahead {
            None => None,
            Some(mut task) => match self.asking.runtime.block_on(&mut task.0) {
                Ok(Ok(chunk)) => Some(chunk),
                Ok(Err(absent)) => return self.absent(one, absent),
                Err(_) => None,
            },
        };
        let asking = self.asking.clone();
        let mut decoder = Decoder::new(Blob::new(&asking, &one.submission, first));
        let held = |stream| self.reads(stream);
        let waits = |stream| self.queue.blocks(stream, seq);
        match judge(&view, case, &mut decoder, held, waits) {
            Ok(Judged::Refused(verdict)) => self.refuse(one, &verdict),
            Ok(Judged::Waits) => Ok(Tried::Blocked),
            Ok(Judged::Commits(change)) if change.values_len > stage::BATCH_LEN => {
                self.commit_staged(one, &change)
            }
            Ok(Judged::Commits(change)) => {
                let mut blob = decoder.into_source();
                let len = usize::try_from(change.values_len).expect("fits a batch");
                match blob.range(change.values_at, len) {
                    Ok(values) => self.commit(one, &change, &values),
                    Err(absent) => self.absent(one, absent),
                }
            }
            Err(Unjudged::Store(error)) => Err(error.into()),
            Err(Unjudged::Source(absent)) => self.absent(one, absent),
        }
    }

    /// Whether a stream may be read by transactions that are decided here.
    fn reads(&self, stream: StreamId) -> bool {
        self.held.all || self.held.streams.contains(&stream) || self.held.joining.contains(&stream)
    }

    fn refuse(&mut self, one: &mut Waiting, verdict: &Verdict) -> Result<Tried, Ended> {
        let seq = one.submission.seq;
        tracing::debug!(seq, %verdict, "transaction refused");
        let decided = self.decided(&one.submission);
        self.store.decide(&decided, verdict, None)?;
        if !matches!(one.stage, Stage::None) {
            end_stage(&self.asking.runtime, one);
            self.store.drop_pieces(seq)?;
        }
        Ok(Tried::Decided)
    }

    fn commit(&mut self, one: &Waiting, change: &Change, values: &[u8]) -> Result<Tried, Ended> {
        let decided = self.decided(&one.submission);
        tracing::debug!(
            seq = decided.seq,
            values = change.values.len(),
            "transaction committed"
        );
        self.store
            .decide(&decided, &Verdict::Commit, Some((change, values)))?;
        Ok(Tried::Decided)
    }

    /// Commits a transaction whose values are written beside it, once they are.
    fn commit_staged(&mut self, one: &mut Waiting, change: &Change) -> Result<Tried, Ended> {
        let seq = one.submission.seq;
        let written = match std::mem::replace(&mut one.stage, Stage::None) {
            Stage::None => {
                self.store.begin_stage(seq)?;
                0
            }
            Stage::Partly(written) => written,
            Stage::Runs(writer) => match self.asking.runtime.block_on(writer.task) {
                Ok((_, None)) => return self.commit(one, change, &[]),
                Ok((written, Some(absent))) => {
                    one.stage = Stage::Partly(written);
                    return self.absent(one, absent);
                }
                Err(error) => {
                    tracing::warn!(%error, seq, "fetching values broke off");
                    0
                }
            },
        };
        if self.queue.stages() >= STAGES_MAX {
            one.stage = Stage::Partly(written);
            return Ok(Tried::Blocked);
        }
        let (stop, stopped) = watch::channel(false);
        let asking = Asking {
            stop: stopped,
            ..self.asking.clone()
        };
        let task = stage::fetch(
            asking,
            self.store.reader(),
            one.submission.clone(),
            (change.values_at, change.values_len),
            written,
        );
        let task = self.asking.runtime.spawn(task);
        one.stage = Stage::Runs(Writer { task, stop });
        Ok(Tried::Blocked)
    }

    /// Bytes are not here.
    fn absent(&mut self, one: &mut Waiting, absent: Absent) -> Result<Tried, Ended> {
        let seq = one.submission.seq;
        match absent {
            Absent::Stopped => Err(Ended::Stopped),
            Absent::Missing if self.out_of_patience(&one.submission) => {
                tracing::warn!(seq, "the bytes of a transaction are given up");
                self.refuse(one, &Verdict::DataUnavailable)
            }
            Absent::Missing => Ok(Tried::InVain),
            Absent::Feed(error @ FeedError::Lie(_)) => {
                tracing::warn!(%error, seq, "refused bytes");
                Ok(Tried::InVain)
            }
            Absent::Feed(error) => {
                tracing::debug!(%error, seq, "cannot have bytes");
                Ok(Tried::InVain)
            }
        }
    }

    fn out_of_patience(&self, of: &Submission) -> bool {
        let patience = self.rules.patience;
        patience.is_some_and(|blocks| self.newest_block >= of.block.saturating_add(blocks))
    }

    /// What is noted with a verdict.
    fn decided(&self, submission: &Submission) -> Decided {
        let final_already = submission.seq < self.floor;
        Decided {
            seq: submission.seq,
            print: Some(print_of(submission)).filter(|_| !final_already),
            marks: self.marks,
        }
    }

    /// Looks whether the chain has replaced what was taken for known, and undoes it.
    pub(crate) fn review(&mut self) -> Result<bool, Ended> {
        self.reviewed = Instant::now();
        let first = self.floor.max(self.marks.from);
        let mut at = first;
        while at < self.marks.next {
            let Some(page) = self.page(at, PAGE.min(self.marks.next - at))? else {
                return Ok(false);
            };
            if page.is_empty() {
                // The feed lags.
                return Ok(false);
            }
            let view = self.store.view();
            for submission in page {
                let seen = view.seen(submission.seq)?;
                if seen.is_some_and(|seen| seen != print_of(&submission)) {
                    return self.revert(submission.seq, first);
                }
                at = submission.seq + 1;
            }
        }
        Ok(false)
    }

    /// Undoes everything from a submission on that is another one now.
    fn revert(&mut self, from: u64, first: u64) -> Result<bool, Ended> {
        // If the first that is known has changed, those before it may have, too.
        if from == first && from > self.marks.from {
            return Err(Ended::TooDeep(from));
        }
        tracing::warn!(
            from,
            "the chain has replaced submissions: they are replayed"
        );
        // What is loose is swept away: nobody may rely on values that are half written.
        for one in self.queue.each() {
            end_stage(&self.asking.runtime, one);
        }
        self.queue.cut(from);
        self.ahead.clear();
        self.marks.next = self.marks.next.min(from);
        self.join_next = self.join_next.min(from);
        self.publish();
        self.store.undo(from, &self.marks)?;
        self.newest_block = 0;
        Ok(true)
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

/// Ends a task that writes values, and waits until it writes no more.
fn end_stage(runtime: &Handle, one: &mut Waiting) {
    if let Stage::Runs(Writer { task, stop }) = std::mem::replace(&mut one.stage, Stage::None) {
        drop(stop);
        // What it has written does not matter any more, only that nothing follows.
        let _ = runtime.block_on(task);
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
#[path = "replay_tests.rs"]
mod tests;
