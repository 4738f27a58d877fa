//! Tries to decide one submission.

use tokio::sync::watch;

use super::{Ended, Replay, Tried, print_of, review::end_stage};
use crate::{
    blob::{Absent, Asking, Blob, Closed},
    feed::{Feed, FeedError, Submission},
    judge::{Case, Judged, Unjudged, judge, may_write},
    sealed::Opening,
    stage,
    store::{Change, Decided},
    stream::{Decoder, StreamId},
    verdict::Verdict,
    waiting::{Stage, Waiting, Writer},
};

/// Transactions whose values are fetched at once beside the replay.
const STAGES_MAX: usize = 4;

impl<F: Feed> Replay<F> {
    /// Tries to decide a submission, which is not in the queue.
    pub(super) fn attempt(&mut self, one: &mut Waiting) -> Result<Tried, Ended> {
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
        let mut blob = Blob::new(&asking, &one.submission, first);
        match blob.open(&self.rules.keys) {
            Ok(()) => {}
            Err(Closed::Absent(absent)) => return self.absent(one, absent),
            Err(Closed::Sealed(why)) => return self.refuse(one, &Verdict::Sealed(why)),
        }
        let mut decoder = Decoder::new(blob);
        let held = |stream| self.reads(stream);
        let waits = |stream| self.queue.blocks(stream, seq);
        match judge(&view, case, &mut decoder, held, waits) {
            Ok(Judged::Refused(verdict)) => self.refuse(one, &verdict),
            Ok(Judged::Waits) => Ok(Tried::Blocked),
            Ok(Judged::Commits(change)) if change.values_len > stage::BATCH_LEN => {
                let opening = decoder.into_source().opening().clone();
                self.commit_staged(one, &change, opening)
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
    fn commit_staged(
        &mut self,
        one: &mut Waiting,
        change: &Change,
        opening: Opening,
    ) -> Result<Tried, Ended> {
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
            opening,
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
}
