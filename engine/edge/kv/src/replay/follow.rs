//! Follows the flow: what is new of it, and the past of streams that join.

use super::{Ended, Replay, Tried, print_of};
use crate::{
    blob::{Aborting, Absent},
    feed::{Feed, FeedError, Submission},
    judge::{Case, may_write},
    stream::{StreamId, tags},
    waiting::{WAITING_MAX, Waiting},
};

/// Submissions that one question asks for.
pub(super) const PAGE: u64 = 256;

/// Submissions whose first chunk is fetched before their turn: as many as hide a round trip or two.
const AHEAD_MAX: usize = 8;

impl<F: Feed> Replay<F> {
    /// Follows the flow by a page.
    pub(super) fn follow(&mut self) -> Result<bool, Ended> {
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
    pub(super) fn catch_up(&mut self) -> Result<bool, Ended> {
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
    pub(super) fn page(&mut self, from: u64, limit: u64) -> Result<Option<Vec<Submission>>, Ended> {
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
                one.put_off(self.turns);
                self.queue.add(one);
            }
        }
        Ok(())
    }
}
