//! Submissions that are not decided yet, and the streams that stand still for them.
//!
//! A submission waits for its bytes, or for one before it. What comes after it in one of its streams
//! waits too; other streams go on. A transaction writes and controls only streams that its tags name,
//! so what is decided out of turn is what would have been decided in turn.

use std::collections::{BTreeMap, BTreeSet};

use tokio::{sync::watch, task::JoinHandle};

use crate::{blob::Absent, feed::Submission, stream::StreamId};

/// Submissions that may wait. If there are more, all streams stand still until one is decided.
pub(crate) const WAITING_MAX: usize = 16_384;
/// Doublings of the turns until bytes that are not there are asked for again: with a turn each fifth of
/// a second, thirteen seconds at most.
const TRIES_MAX: u32 = 6;

/// One that waits.
pub(crate) struct Waiting {
    pub(crate) submission: Submission,
    /// The streams of its tags, each once.
    pub(crate) streams: Vec<StreamId>,
    /// It is of streams whose past is replayed.
    pub(crate) joining: bool,
    /// The turn of the replay before which it is not tried.
    pub(crate) again: u64,
    pub(crate) stage: Stage,
    tries: u32,
}

/// Values that are too many for one batch are written before their transaction.
pub(crate) enum Stage {
    /// Not begun.
    None,
    /// Being written.
    Runs(Writer),
    /// So many bytes are written.
    Partly(u64),
}

/// Who writes values beside the replay. Ends soon when this is dropped.
pub(crate) struct Writer {
    /// Returns how many bytes it has written, and why not more.
    pub(crate) task: JoinHandle<(u64, Option<Absent>)>,
    pub(crate) stop: watch::Sender<bool>,
}

impl Waiting {
    pub(crate) fn new(submission: Submission, streams: &[StreamId], joining: bool) -> Self {
        let streams: BTreeSet<StreamId> = streams.iter().copied().collect();
        Waiting {
            submission,
            streams: streams.into_iter().collect(),
            joining,
            again: 0,
            stage: Stage::None,
            tries: 0,
        }
    }

    /// It was asked for in vain, at this turn.
    pub(crate) fn put_off(&mut self, turn: u64) {
        self.again = turn + (1 << self.tries);
        self.tries = (self.tries + 1).min(TRIES_MAX);
    }

    /// It waits for something that is under way.
    pub(crate) fn soon(&mut self, turn: u64) {
        self.again = turn + 1;
    }

    /// Whether its values are being written.
    pub(crate) fn runs(&self) -> bool {
        matches!(&self.stage, Stage::Runs(writer) if !writer.task.is_finished())
    }
}

/// All that wait.
#[derive(Default)]
pub(crate) struct Queue {
    all: BTreeMap<u64, Waiting>,
    of_stream: BTreeMap<StreamId, BTreeSet<u64>>,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn seqs(&self) -> BTreeSet<u64> {
        self.all.keys().copied().collect()
    }

    /// Whether something before `seq` waits in a stream.
    pub(crate) fn blocks(&self, stream: StreamId, seq: u64) -> bool {
        let first = self.of_stream.get(&stream).and_then(|all| all.first());
        first.is_some_and(|first| *first < seq)
    }

    /// The first that waits, of those that are joining or of the others.
    pub(crate) fn first(&self, joining: bool) -> Option<u64> {
        let mut all = self.all.iter();
        all.find(|(_, one)| one.joining == joining)
            .map(|(seq, _)| *seq)
    }

    pub(crate) fn add(&mut self, one: Waiting) {
        let seq = one.submission.seq;
        for stream in &one.streams {
            self.of_stream.entry(*stream).or_default().insert(seq);
        }
        self.all.insert(seq, one);
    }

    pub(crate) fn take(&mut self, seq: u64) -> Option<Waiting> {
        let one = self.all.remove(&seq)?;
        for stream in &one.streams {
            if let Some(all) = self.of_stream.get_mut(stream) {
                all.remove(&seq);
                if all.is_empty() {
                    self.of_stream.remove(stream);
                }
            }
        }
        Some(one)
    }

    /// Those that may be tried at this turn, in order.
    pub(crate) fn due(&self, turn: u64) -> Vec<u64> {
        let all = self.all.iter().filter(|(seq, one)| {
            one.again <= turn && !one.streams.iter().any(|stream| self.blocks(*stream, **seq))
        });
        all.map(|(seq, _)| *seq).collect()
    }

    /// Those whose values are being written.
    pub(crate) fn stages(&self) -> usize {
        self.all.values().filter(|one| one.runs()).count()
    }

    /// All, to be changed in what they wait for.
    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Waiting> {
        self.all.values_mut()
    }

    /// Drops all from `seq` on.
    pub(crate) fn cut(&mut self, seq: u64) {
        let gone: Vec<u64> = self.all.range(seq..).map(|(seq, _)| *seq).collect();
        for seq in gone {
            self.take(seq);
        }
    }

    /// Those that joined have joined.
    pub(crate) fn joined(&mut self) {
        for one in self.all.values_mut() {
            one.joining = false;
        }
    }
}
