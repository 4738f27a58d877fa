//! Looks whether the chain has replaced what is known, and undoes it.

use tokio::runtime::Handle;

use super::{Ended, Replay, print_of};
use crate::{
    feed::Feed,
    waiting::{Stage, Waiting, Writer},
};

impl<F: Feed> Replay<F> {
    /// Looks whether the chain has replaced what was taken for known, and undoes it.
    pub(crate) fn review(&mut self) -> Result<bool, Ended> {
        let first = self.floor.max(self.marks.from);
        let mut at = first;
        while at < self.marks.next {
            let Some(page) = self.page(at, super::follow::PAGE.min(self.marks.next - at))? else {
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
    pub(super) fn revert(&mut self, from: u64, first: u64) -> Result<bool, Ended> {
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
}

/// Ends a task that writes values, and waits until it writes no more.
pub(super) fn end_stage(runtime: &Handle, one: &mut Waiting) {
    if let Stage::Runs(Writer { task, stop }) = std::mem::replace(&mut one.stage, Stage::None) {
        drop(stop);
        // What it has written does not matter any more, only that nothing follows.
        let _ = runtime.block_on(task);
    }
}
