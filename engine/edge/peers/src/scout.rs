//! What is missing here. Looks at blobs one by one and hands on those that are not complete, a few at a
//! time: what the operator wants first, then fresh ones, newest of them first, then those that nobody
//! could help with before, then whatever a sweep of the flow finds. What the operator has stopped is
//! looked at and not handed on, until he wants it again.
//!
//! ```text
//!  submitted, hinted ─► fresh ──3 s without a chunk of a client──┐
//!                                  ┌─ later ◄──nobody could help─┤
//!                                  └──2 s, 4 s … 60 s, or when───┤
//!                                     somebody has it by now     │
//!  0, 1, 2 … ─► sweep ──not complete──────────────────────────► open ─► filled ─► looked at again
//!  a wish ────► asked ──not complete───────────────────────────►
//! ```
//! It keeps its places in memory: after a start the sweep begins at the first submission. Nothing that
//! is forgotten here is lost, since the sweep comes by again.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use commonware_macros::select;
use commonware_runtime::Clock;
use tokio::sync::{Notify, mpsc};

use crate::{
    board::Board,
    bounds::{
        AUDIT_EVERY, FRESH_LOOKS_MAX, FRESH_MAX, FRESH_WAIT, GAPS_MAX, HINT_PAUSE, LATER_MAX,
        LATER_MAX_WAIT, LATER_MIN, POLL_EVERY, STOPPED_MAX, SWEEP_BREATH, SWEEP_PAUSE, SWEEP_STEP,
        WINDOW_MAX,
    },
    fetch::{Filled, Gap},
    holder::{Holder, HolderError},
    status::{Counts, counted, set},
};

/// What the desk is told.
#[derive(Debug)]
pub(crate) enum Task {
    /// Fill this.
    Open(Gap),
    /// Fill no more of this submission.
    Close(u64),
}

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Fetch this submission, before others.
    Fetch(u64),
    /// Do not fetch it, until it is wanted again.
    Stop(u64),
}

/// Tasks that wait for the desk: each gap once to open it, and once to close it.
pub(crate) const TASKS_MAX: usize = 2 * GAPS_MAX;

/// What the scout hears.
pub(crate) struct Ends {
    /// Submissions that somebody wants looked at.
    pub(crate) hints: mpsc::Receiver<u64>,
    /// What the operator wants.
    pub(crate) orders: mpsc::Receiver<Order>,
    /// How gaps ended.
    pub(crate) filled: mpsc::Receiver<Filled>,
    /// Somebody came who may help.
    pub(crate) wake: Arc<Notify>,
    /// Submissions that somebody has by now.
    pub(crate) grown: mpsc::Receiver<Range<u64>>,
}

/// A blob that a client may be uploading right now.
struct Fresh {
    due: SystemTime,
    /// What was missing at the last look.
    missing: Option<Vec<u64>>,
    looks: u32,
    /// Some of it came: when it is looked at whether that was all.
    hinted: Option<SystemTime>,
}

impl Fresh {
    fn at(&self) -> SystemTime {
        self.hinted.map_or(self.due, |hinted| hinted.min(self.due))
    }
}

/// A blob that nobody could help with.
struct Later {
    due: SystemTime,
    tries: u32,
}

pub(crate) struct Scout<C, H> {
    clock: C,
    holder: H,
    counts: Counts,
    board: Board,
    tasks: mpsc::Sender<Task>,
    /// No more than the board lets in.
    asked: BTreeSet<u64>,
    stopped: BTreeSet<u64>,
    fresh: BTreeMap<u64, Fresh>,
    later: BTreeMap<u64, Later>,
    open: BTreeSet<u64>,
    /// Filled, and not looked at since; each has left a place among the open ones.
    ended: BTreeSet<u64>,
    next_seq: u64,
    /// When they are counted again.
    count_at: SystemTime,
    complete_below: u64,
    sweep: Sweep,
}

/// Where the sweep is.
struct Sweep {
    /// The next submission.
    at: u64,
    /// When it may go on, or begin again.
    due: SystemTime,
    began: SystemTime,
    audited: SystemTime,
    /// Looks since it last drew breath.
    looks: u32,
}

/// What a look found.
enum Look {
    Complete,
    /// No such blob.
    Nothing,
    Missing(Gap),
}

impl<C: Clock, H: Holder> Scout<C, H> {
    pub(crate) fn new(
        clock: C,
        holder: H,
        (counts, board): (Counts, Board),
        tasks: mpsc::Sender<Task>,
    ) -> Self {
        let now = clock.current();
        Scout {
            clock,
            holder,
            counts,
            board,
            tasks,
            asked: BTreeSet::new(),
            stopped: BTreeSet::new(),
            fresh: BTreeMap::new(),
            later: BTreeMap::new(),
            open: BTreeSet::new(),
            ended: BTreeSet::new(),
            next_seq: 0,
            count_at: now,
            complete_below: 0,
            sweep: Sweep {
                at: 0,
                due: now,
                began: now,
                audited: now,
                looks: 0,
            },
        }
    }

    /// Works until an end is gone.
    pub(crate) async fn run(mut self, ends: Ends) {
        let Ends {
            mut hints,
            mut orders,
            mut filled,
            wake,
            mut grown,
        } = ends;
        // What is there at the start is old: no client is at it.
        self.next_seq = self.ask_next_seq().await.unwrap_or(0);
        self.count_at = self.clock.current() + POLL_EVERY;
        loop {
            let now = self.clock.current();
            if self.count_at <= now {
                self.count_at = now + POLL_EVERY;
                self.count_submissions().await;
            }
            self.publish();
            if self.step(now).await {
                // Others come to their turn between two looks.
                while let Ok(seq) = hints.try_recv() {
                    self.hint(seq);
                }
                while let Ok(end) = filled.try_recv() {
                    self.filled(end);
                }
                while let Ok(order) = orders.try_recv() {
                    self.order(order);
                }
                continue;
            }
            let until = self.due(now).min(self.count_at);
            select! {
                hint = hints.recv() => match hint {
                    Some(seq) => self.hint(seq),
                    // Whoever could hint is gone: it is over.
                    None => return,
                },
                end = filled.recv() => match end {
                    Some(end) => self.filled(end),
                    None => return,
                },
                order = orders.recv() => match order {
                    Some(order) => self.order(order),
                    None => return,
                },
                _ = wake.notified() => self.wake(),
                seqs = grown.recv() => match seqs {
                    Some(seqs) => self.grown(seqs),
                    None => return,
                },
                _ = self.clock.sleep_until(until) => {},
            }
        }
    }

    async fn ask_next_seq(&self) -> Option<u64> {
        match self.holder.next_seq().await {
            Ok(next_seq) => Some(next_seq),
            Err(error) => {
                tracing::warn!(%error, "submissions cannot be counted");
                None
            }
        }
    }

    /// New submissions are fresh; those that the chain took back are forgotten.
    async fn count_submissions(&mut self) {
        let Some(next_seq) = self.ask_next_seq().await else {
            return;
        };
        let first = self
            .next_seq
            .max(next_seq.saturating_sub(counted(FRESH_MAX)));
        for seq in first..next_seq {
            self.freshen(seq);
        }
        self.fresh.split_off(&next_seq);
        self.later.split_off(&next_seq);
        self.stopped.split_off(&next_seq);
        self.board.forget_from(next_seq);
        self.complete_below = self.complete_below.min(next_seq);
        self.next_seq = next_seq;
    }

    fn hint(&mut self, seq: u64) {
        if seq >= self.next_seq {
            // It is not counted yet: all are counted again, at once.
            self.count_at = self.clock.current();
        }
        self.freshen(seq);
    }

    /// A client may be at it right now.
    fn freshen(&mut self, seq: u64) {
        if self.open.contains(&seq) || self.asked.contains(&seq) {
            return;
        }
        let now = self.clock.current();
        if self.later.remove(&seq).is_some() {
            self.board.forget(seq);
        }
        let fresh = self.fresh.entry(seq).or_insert(Fresh {
            due: now,
            missing: None,
            looks: 0,
            hinted: None,
        });
        // One that waits for its next look may be whole by now. Hints come with each chunk.
        fresh.hinted.get_or_insert(now + HINT_PAUSE);
        if self.fresh.len() > FRESH_MAX {
            self.fresh.pop_first();
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Fetch(seq) => {
                self.stopped.remove(&seq);
                self.fresh.remove(&seq);
                self.later.remove(&seq);
                self.asked.insert(seq);
            }
            Order::Stop(seq) => self.stop(seq),
        }
    }

    fn stop(&mut self, seq: u64) {
        self.fresh.remove(&seq);
        self.later.remove(&seq);
        self.asked.remove(&seq);
        self.stopped.insert(seq);
        if self.stopped.len() > STOPPED_MAX {
            self.stopped.pop_first();
        }
        if self.open.contains(&seq) && self.tasks.try_send(Task::Close(seq)).is_err() {
            // Then what is open of it comes, and nothing after it.
            tracing::debug!(seq, "a gap is not closed at once");
        }
        self.board.stopped(seq);
    }

    fn wake(&mut self) {
        let now = self.clock.current();
        for later in self.later.values_mut() {
            later.due = now;
        }
        self.sweep.at = self.sweep.at.min(self.complete_below);
        self.sweep.due = self.sweep.due.min(now);
    }

    /// Somebody has these by now: none of them waits any longer.
    fn grown(&mut self, seqs: Range<u64>) {
        let now = self.clock.current();
        for (_, later) in self.later.range_mut(seqs) {
            later.due = later.due.min(now);
        }
    }

    /// A gap ended: what it did not fill waits, and what it did is looked at again.
    fn filled(&mut self, end: Filled) {
        self.open.remove(&end.seq);
        let now = self.clock.current();
        if end.given_up > 0 && self.stopped.contains(&end.seq) {
            self.later.remove(&end.seq);
            self.board.stopped(end.seq);
            return;
        }
        if end.given_up == 0 {
            self.ended.insert(end.seq);
            self.put_later(end.seq, Later { due: now, tries: 0 });
            return;
        }
        let tries = self.later.get(&end.seq).map_or(0, |later| later.tries);
        let tries = if end.kept > 0 { 0 } else { tries };
        let wait = LATER_MIN * 2u32.pow(tries.min(DOUBLED_MAX));
        let due = now + wait.min(LATER_MAX_WAIT);
        let tries = tries.saturating_add(1);
        self.put_later(end.seq, Later { due, tries });
        if self.later.contains_key(&end.seq) {
            self.board.waits(end.seq, end.given_up, due, now);
        }
    }

    fn put_later(&mut self, seq: u64, later: Later) {
        if self.later.len() < LATER_MAX || self.later.contains_key(&seq) {
            self.later.insert(seq, later);
        } else {
            self.board.forget(seq);
        }
    }

    /// Looks at one blob, if one is due; whether it did.
    async fn step(&mut self, now: SystemTime) -> bool {
        // Before anything else takes the places that they have left: what is whole is told at once.
        if let Some(seq) = self.ended.pop_first() {
            self.step_later(seq, now).await;
            return true;
        }
        if self.open.len() >= GAPS_MAX {
            return false;
        }
        let mut asked = self.asked.iter();
        if let Some(seq) = asked.find(|seq| !self.open.contains(seq)).copied() {
            self.step_asked(seq, now).await;
            return true;
        }
        let fresh = self.fresh.iter().rev();
        let fresh = fresh.filter(|(_, fresh)| fresh.at() <= now);
        if let Some(seq) = fresh.map(|(seq, _)| *seq).next() {
            self.step_fresh(seq, now).await;
            return true;
        }
        let mut later = self
            .later
            .iter()
            .filter(|(seq, later)| later.due <= now && !self.open.contains(seq));
        if let Some(seq) = later.next().map(|(seq, _)| *seq) {
            self.step_later(seq, now).await;
            return true;
        }
        self.sweep.due <= now && self.step_sweep(now).await
    }

    /// What the operator wants is not left to a client first.
    async fn step_asked(&mut self, seq: u64, now: SystemTime) {
        self.asked.remove(&seq);
        match self.look(seq).await {
            Some(Look::Missing(gap)) => self.hand_on(gap),
            Some(Look::Complete | Look::Nothing) => {}
            None => {
                let due = now + LATER_MAX_WAIT;
                self.board.waits(seq, 0, due, now);
                self.put_later(seq, Later { due, tries: 0 });
            }
        }
    }

    /// The first look is for what the next one is compared with. A look for a hint's sake is only for
    /// whether the blob is whole.
    async fn step_fresh(&mut self, seq: u64, now: SystemTime) {
        let look = self.look(seq).await;
        let Some(fresh) = self.fresh.get_mut(&seq) else {
            return;
        };
        fresh.hinted = None;
        if fresh.due > now && !matches!(look, Some(Look::Complete | Look::Nothing)) {
            return;
        }
        fresh.due = now + FRESH_WAIT;
        let gap = match look {
            Some(Look::Missing(gap)) => gap,
            Some(Look::Complete | Look::Nothing) => {
                self.fresh.remove(&seq);
                return;
            }
            None => return,
        };
        fresh.looks += 1;
        let before = fresh.missing.replace(gap.missing.clone());
        let is_still = before.is_some_and(|before| before == gap.missing);
        if is_still || fresh.looks >= FRESH_LOOKS_MAX {
            self.fresh.remove(&seq);
            self.hand_on(gap);
        }
    }

    async fn step_later(&mut self, seq: u64, now: SystemTime) {
        match self.look(seq).await {
            Some(Look::Missing(gap)) => self.hand_on(gap),
            Some(Look::Complete | Look::Nothing) => {
                self.later.remove(&seq);
            }
            None => {
                if let Some(later) = self.later.get_mut(&seq) {
                    later.due = now + LATER_MAX_WAIT;
                }
            }
        }
    }

    /// Goes on with the sweep by one blob; whether there was one to look at.
    async fn step_sweep(&mut self, now: SystemTime) -> bool {
        if self.sweep.at >= self.next_seq {
            self.end_sweep(now);
            return false;
        }
        let seq = self.sweep.at;
        self.sweep.at += 1;
        self.sweep.looks += 1;
        if self.sweep.looks >= SWEEP_STEP {
            self.sweep.looks = 0;
            self.sweep.due = now + SWEEP_BREATH;
        }
        if self.fresh.contains_key(&seq)
            || self.later.contains_key(&seq)
            || self.open.contains(&seq)
        {
            return true;
        }
        match self.look(seq).await {
            Some(Look::Missing(gap)) => self.hand_on(gap),
            Some(Look::Complete | Look::Nothing) => {}
            // The store is not well: it is not asked for the rest of the flow at once.
            None => self.sweep.due = now + SWEEP_PAUSE,
        }
        true
    }

    fn end_sweep(&mut self, now: SystemTime) {
        let took = now
            .duration_since(self.sweep.began)
            .unwrap_or(Duration::ZERO);
        let next = now + SWEEP_PAUSE.max(took * PAUSE_FACTOR);
        let audit = self.sweep.audited + AUDIT_EVERY <= next;
        if audit {
            self.sweep.audited = next;
        }
        self.sweep.at = if audit { 0 } else { self.complete_below };
        self.sweep.began = next;
        self.sweep.due = next;
    }

    fn hand_on(&mut self, gap: Gap) {
        let seq = gap.blob.seq;
        if self.stopped.contains(&seq) {
            self.later.remove(&seq);
            return;
        }
        let missing = counted(gap.missing.len());
        // There is room: no more are open than it holds. If the other end is gone, so is this soon.
        if self.tasks.try_send(Task::Open(gap)).is_ok() {
            self.open.insert(seq);
            self.board.opened(seq, missing, self.clock.current());
        }
    }

    /// What is missing of a blob; none if the store cannot say.
    async fn look(&mut self, seq: u64) -> Option<Look> {
        let look = match self.ask(seq).await {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(seq, %error, "what is missing of a blob is not known");
                return None;
            }
        };
        match look {
            Look::Missing(_) => self.complete_below = self.complete_below.min(seq),
            Look::Complete | Look::Nothing => {
                match look {
                    Look::Complete => self.board.whole(seq),
                    _ => self.board.forget(seq),
                }
                if self.complete_below == seq && seq < self.next_seq {
                    self.complete_below += 1;
                }
            }
        }
        Some(look)
    }

    async fn ask(&self, seq: u64) -> Result<Look, HolderError> {
        let Some(blob) = self.holder.blob(seq).await? else {
            return Ok(Look::Nothing);
        };
        let missing = self.holder.missing(blob, WINDOW_MAX).await?;
        if missing.is_empty() {
            return Ok(Look::Complete);
        }
        let shape = blob
            .shape()
            .map_err(|error| HolderError(error.to_string()))?;
        let (slice, chunks) = (self.holder.slice(), shape.chunks());
        // Otherwise whoever answers for such a chunk would be taken for a liar.
        let ours = |index: &u64| *index < chunks && slice.keeps(blob.start, *index);
        assert!(
            missing.iter().all(ours),
            "the holder misses what is not its own"
        );
        Ok(Look::Missing(Gap { blob, missing }))
    }

    /// When the next look is due.
    fn due(&self, now: SystemTime) -> SystemTime {
        if self.open.len() >= GAPS_MAX {
            return now + POLL_EVERY;
        }
        let fresh = self.fresh.values().map(Fresh::at);
        let later = self
            .later
            .iter()
            .filter(|(seq, _)| !self.open.contains(seq));
        let later = later.map(|(_, later)| later.due);
        fresh
            .chain(later)
            .chain([self.sweep.due])
            .min()
            .unwrap_or(now + POLL_EVERY)
    }

    fn publish(&self) {
        set(&self.counts.next_seq, self.next_seq);
        set(&self.counts.complete_below, self.complete_below);
        set(&self.counts.sweep_at, self.sweep.at);
        let waiting = self.later.keys().filter(|seq| !self.open.contains(seq));
        set(&self.counts.stalled, counted(waiting.count()));
    }
}

/// Doublings after which a wait is [`LATER_MAX_WAIT`].
const DOUBLED_MAX: u32 = 5;
const _: () = assert!(LATER_MIN.as_secs() << DOUBLED_MAX >= LATER_MAX_WAIT.as_secs());
/// How many times as long as a sweep the pause after it is.
const PAUSE_FACTOR: u32 = 4;

#[cfg(test)]
#[path = "scout_tests.rs"]
mod tests;
