//! What an operator is told: who the others are, and what is fetched from them. The desk and the scout
//! write down what they know; whoever asks reads it, and waits for neither of them nor for the store.
//!
//! ```text
//!  a wish ─► asked ─┐
//!                   ├─► open ──nobody could help──► waits ─┐      any of these ─► stopped
//!  the scout ───────┘    │ ▲───────────────────────────────┘      (by the operator)
//!                        └──all of it is here──► whole
//! ```
//! What is asked, open or waits is bounded by what the scout holds; of what has ended the last
//! [`ENDED_MAX`] are remembered.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use crate::{
    bounds::{ASKED_MAX, ENDED_MAX},
    config::{PeerAddress, PeerKey},
    message::Hello,
};

/// Another node, as it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub key: PeerKey,
    /// Where it listens, as it is configured.
    pub host: String,
    /// Whether it is here.
    pub standing: Standing,
    /// Since when.
    pub since: SystemTime,
    /// When it was heard last, if it ever was.
    pub heard: Option<SystemTime>,
    /// What it said last that it keeps: its own word.
    pub hello: Option<Hello>,
    /// Chunks that were asked of it and not answered.
    pub in_flight: u64,
}

impl Other {
    /// Whether it has said that it has its slice of a submission, and may still be asked.
    #[must_use]
    pub fn holds(&self, seq: u64) -> bool {
        let may = matches!(self.standing, Standing::Here | Standing::Away);
        may && self.hello.is_some_and(|hello| hello.complete_below > seq)
    }
}

/// How another node stands with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not said anything since this node started.
    Unheard,
    /// It said something lately.
    Here,
    /// It has been silent for longer than [`crate::bounds::SILENCE_MAX`].
    Away,
    /// It lied, and is not spoken to.
    Blocked,
}

/// What is being fetched of a submission, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetching {
    /// The submission.
    pub seq: u64,
    /// Since when.
    pub since: SystemTime,
    /// Where it is.
    pub state: FetchState,
    /// Chunks that are missing, as far as was looked: [`crate::bounds::WINDOW_MAX`] at a time.
    pub missing: u64,
    /// The first chunk that is missing, if that is known.
    pub first: Option<u64>,
    /// Of whom chunks are asked right now.
    pub from: Vec<Asked>,
}

/// Where the fetch of a submission is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchState {
    /// The operator wants it, and it was not looked at yet.
    Asked,
    /// Its chunks are asked for as others have room.
    Open,
    /// Nobody could help; others are asked again then, or when somebody comes.
    Waits {
        /// When.
        until: SystemTime,
    },
    /// All of it that this node keeps is here.
    Whole,
    /// The operator has stopped it.
    Stopped,
}

impl FetchState {
    /// Whether something is still to be done.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(
            self,
            FetchState::Asked | FetchState::Open | FetchState::Waits { .. }
        )
    }
}

/// Chunks of one submission that are asked of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The node.
    pub peer: PeerKey,
    /// The first of them.
    pub first: u64,
    /// The one behind the last.
    pub end: u64,
    /// How many between these two.
    pub chunks: u64,
}

/// Too many submissions wait for the operator's sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} submissions are asked for already")]
pub struct Busy(pub u64);

/// A node that was heard of, or is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) key: PeerKey,
    pub(crate) standing: Standing,
    pub(crate) since: SystemTime,
    pub(crate) heard: Option<SystemTime>,
    pub(crate) hello: Option<Hello>,
    pub(crate) in_flight: u64,
}

/// What is open of a blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) missing: u64,
    pub(crate) first: Option<u64>,
    pub(crate) from: Vec<Asked>,
}

/// The fetch of one submission, from its first gap on.
struct Life {
    since: SystemTime,
    state: FetchState,
    missing: u64,
}

/// What was written down; clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    heard: BTreeMap<PeerKey, Heard>,
    windows: BTreeMap<u64, Window>,
    lives: BTreeMap<u64, Life>,
    /// Submissions that are whole or stopped, the oldest end first.
    ended: VecDeque<u64>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        // Nothing between a lock and its end panics half way.
        self.0
            .lock()
            .expect("whoever held the board has not panicked")
    }

    /// What the desk sees.
    pub(crate) fn publish(&self, heard: Vec<Heard>, windows: BTreeMap<u64, Window>) {
        let mut inside = self.lock();
        inside.heard = heard.into_iter().map(|heard| (heard.key, heard)).collect();
        inside.windows = windows;
    }

    /// The operator wants a submission: `tell` says so to the scout, and returns whether it heard.
    pub(crate) fn ask(
        &self,
        seq: u64,
        now: SystemTime,
        tell: impl FnOnce() -> bool,
    ) -> Result<(), Busy> {
        let mut inside = self.lock();
        let asked = inside.lives.values();
        let asked = asked.filter(|life| life.state == FetchState::Asked).count();
        let known = inside.lives.get(&seq);
        let comes = |life: &Life| matches!(life.state, FetchState::Asked | FetchState::Open);
        if known.is_some_and(comes) {
            return Ok(());
        }
        if asked >= ASKED_MAX || !tell() {
            return Err(Busy(crate::status::counted(asked)));
        }
        let missing = known.map_or(0, |life| life.missing);
        inside.enter(seq, FetchState::Asked, missing, now);
        Ok(())
    }

    /// The operator wants no more of a submission: whether any was to come, and `tell` was heard.
    pub(crate) fn stop(&self, seq: u64, tell: impl FnOnce() -> bool) -> bool {
        let mut inside = self.lock();
        let active = inside.lives.get(&seq);
        let active = active.is_some_and(|life| life.state.is_active());
        let stops = active && tell();
        if stops {
            inside.end(seq, FetchState::Stopped);
        }
        stops
    }

    /// Chunks of a submission are asked for.
    pub(crate) fn opened(&self, seq: u64, missing: u64, now: SystemTime) {
        self.lock().enter(seq, FetchState::Open, missing, now);
    }

    /// Nobody could help.
    pub(crate) fn waits(&self, seq: u64, missing: u64, until: SystemTime, now: SystemTime) {
        let state = FetchState::Waits { until };
        self.lock().enter(seq, state, missing, now);
    }

    /// All of a submission is here, which counts only if it was fetched.
    pub(crate) fn whole(&self, seq: u64) {
        self.lock().end(seq, FetchState::Whole);
    }

    /// The scout has heard that it is not to be fetched.
    pub(crate) fn stopped(&self, seq: u64) {
        self.lock().end(seq, FetchState::Stopped);
    }

    /// It is not fetched any more, and not because it is whole: it is somebody else's, or there is none.
    pub(crate) fn forget(&self, seq: u64) {
        let mut inside = self.lock();
        if inside.lives.remove(&seq).is_some() {
            inside.ended.retain(|ended| *ended != seq);
        }
    }

    /// The chain has taken back this submission and all behind it.
    pub(crate) fn forget_from(&self, seq: u64) {
        let mut inside = self.lock();
        inside.lives.split_off(&seq);
        inside.ended.retain(|ended| *ended < seq);
    }

    /// All that is fetched.
    pub(crate) fn fetches(&self) -> Vec<Fetching> {
        let inside = self.lock();
        let active = inside.lives.iter();
        let active = active.filter(|(_, life)| life.state.is_active());
        active
            .map(|(seq, life)| inside.fetching(*seq, life))
            .collect()
    }

    /// What is fetched of one submission, or was.
    pub(crate) fn fetch(&self, seq: u64) -> Option<Fetching> {
        let inside = self.lock();
        let life = inside.lives.get(&seq)?;
        Some(inside.fetching(seq, life))
    }

    /// What is known of configured nodes; those that were not heard of are so since `start`.
    pub(crate) fn others(&self, configured: &[PeerAddress], start: SystemTime) -> Vec<Other> {
        let inside = self.lock();
        let other = |peer: &PeerAddress| {
            let heard = inside.heard.get(&peer.key);
            Other {
                key: peer.key,
                host: peer.host.clone(),
                standing: heard.map_or(Standing::Unheard, |heard| heard.standing),
                since: heard.map_or(start, |heard| heard.since),
                heard: heard.and_then(|heard| heard.heard),
                hello: heard.and_then(|heard| heard.hello),
                in_flight: heard.map_or(0, |heard| heard.in_flight),
            }
        };
        configured.iter().map(other).collect()
    }
}

impl Inside {
    /// A fetch begins, or goes on.
    fn enter(&mut self, seq: u64, state: FetchState, missing: u64, now: SystemTime) {
        let before = self.lives.get(&seq);
        let goes_on = before.filter(|life| life.state.is_active());
        let since = goes_on.map_or(now, |life| life.since);
        if before.is_some_and(|life| !life.state.is_active()) {
            self.ended.retain(|ended| *ended != seq);
        }
        let life = Life {
            since,
            state,
            missing,
        };
        self.lives.insert(seq, life);
    }

    /// A fetch ends, if there is one.
    fn end(&mut self, seq: u64, state: FetchState) {
        let Some(life) = self.lives.get_mut(&seq) else {
            return;
        };
        let was_active = life.state.is_active();
        life.state = state;
        if state == FetchState::Whole {
            life.missing = 0;
        }
        if was_active {
            self.ended.push_back(seq);
        }
        if self.ended.len() > ENDED_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.lives.remove(&oldest);
        }
    }

    fn fetching(&self, seq: u64, life: &Life) -> Fetching {
        let window = self.windows.get(&seq);
        let window = window.filter(|_| life.state == FetchState::Open);
        Fetching {
            seq,
            since: life.since,
            state: life.state,
            missing: window.map_or(life.missing, |window| window.missing),
            first: window.and_then(|window| window.first),
            from: window.map_or_else(Vec::new, |window| window.from.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn state(board: &Board, seq: u64) -> Option<FetchState> {
        board.fetch(seq).map(|fetch| fetch.state)
    }

    /// A fetch lives from its first gap until it is whole, however often it waits in between; a second
    /// one is another.
    #[test]
    fn a_life() {
        let board = Board::default();
        board.whole(3);
        assert_eq!(board.fetch(3), None, "what was never fetched is not told");
        board.opened(3, 7, at(1));
        board.waits(3, 2, at(9), at(5));
        let fetch = board.fetch(3).unwrap();
        assert_eq!((fetch.since, fetch.missing), (at(1), 2));
        board.opened(3, 2, at(9));
        let from = Asked {
            peer: PeerKey([1; 32]),
            first: 4,
            end: 6,
            chunks: 2,
        };
        let window = Window {
            missing: 1,
            first: Some(4),
            from: vec![from],
        };
        board.publish(Vec::new(), BTreeMap::from([(3, window)]));
        let fetch = board.fetch(3).unwrap();
        assert_eq!((fetch.missing, fetch.from), (1, vec![from]));
        assert_eq!(board.fetches().len(), 1);
        board.whole(3);
        let fetch = board.fetch(3).unwrap();
        assert_eq!((fetch.state, fetch.missing), (FetchState::Whole, 0));
        assert_eq!((fetch.from, board.fetches()), (vec![], vec![]));
        board.opened(3, 1, at(20));
        assert_eq!(board.fetch(3).unwrap().since, at(20));
        board.forget_from(3);
        assert_eq!(board.fetch(3), None);
    }

    /// The operator stops what is fetched and nothing else, and starts so many at a time.
    #[test]
    fn wishes() {
        let board = Board::default();
        assert!(!board.stop(1, || true), "nothing is fetched");
        board.opened(1, 1, at(1));
        assert!(!board.stop(1, || false), "nobody heard it");
        assert!(board.stop(1, || true));
        assert_eq!(state(&board, 1), Some(FetchState::Stopped));
        assert!(!board.stop(1, || true), "it is stopped already");
        let most = u64::try_from(ASKED_MAX).unwrap();
        for seq in 0..most {
            assert_eq!(board.ask(seq, at(2), || true), Ok(()));
        }
        assert_eq!(board.ask(most, at(2), || true), Err(Busy(most)));
        assert_eq!(board.ask(0, at(2), || false), Ok(()), "it is asked for");
        board.opened(0, 1, at(3));
        assert_eq!(board.ask(most, at(3), || false), Err(Busy(most - 1)));
        assert_eq!(state(&board, most), None);
        assert_eq!(board.ask(most, at(3), || true), Ok(()));
    }

    /// The last that ended are remembered, those that go on are never forgotten for them.
    #[test]
    fn remembers_so_many() {
        let board = Board::default();
        let most = u64::try_from(ENDED_MAX).unwrap();
        board.opened(0, 1, at(0));
        for seq in 1..=most + 2 {
            board.opened(seq, 1, at(seq));
            board.whole(seq);
        }
        // One that begins again is not among those that ended.
        board.opened(3, 1, at(0));
        board.whole(most + 3);
        let known = [0, 1, 2, 3, 4].map(|seq| state(&board, seq));
        let (open, whole) = (Some(FetchState::Open), Some(FetchState::Whole));
        assert_eq!(known, [open, None, None, open, whole]);
        assert_eq!(board.lock().ended.len(), ENDED_MAX - 1);
    }

    /// Nodes that were not heard of are told too.
    #[test]
    fn configured_ones() {
        let board = Board::default();
        let configured = [1, 2].map(|byte| PeerAddress {
            key: PeerKey([byte; 32]),
            host: format!("10.0.0.{byte}:1"),
        });
        let heard = Heard {
            key: PeerKey([2; 32]),
            standing: Standing::Here,
            since: at(5),
            heard: Some(at(6)),
            hello: Some(Hello {
                slice: lode_wire::Slice::WHOLE,
                next_seq: 4,
                complete_below: 3,
            }),
            in_flight: 0,
        };
        board.publish(vec![heard], BTreeMap::new());
        let others = board.others(&configured, at(1));
        let told: Vec<_> = others
            .iter()
            .map(|other| (other.standing, other.since))
            .collect();
        assert_eq!(told, [(Standing::Unheard, at(1)), (Standing::Here, at(5))]);
        let holds = |seq| [others[0].holds(seq), others[1].holds(seq)];
        assert_eq!((holds(2), holds(3)), ([false, true], [false, false]));
    }
}
