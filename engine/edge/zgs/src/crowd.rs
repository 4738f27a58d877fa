//! Who is connected to a server. There may be so many; when all places are taken, the one that has
//! been silent the longest makes room, so that silence keeps nobody out. Whoever does not fetch its
//! answer goes too, since the answer takes memory.
//!
//! ```text
//!              a request begins            its answer is ready        its last byte is fetched
//!   idle ─────────────────────► serving ─────────────────► answering ─────────────────► idle
//!   idle_max, or when the                                  answer_max
//!   place is wanted
//! ```

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{sleep_until, timeout},
};

/// How often a newcomer looks for one who is silent, when nobody was.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// All who are connected. Clones share them.
#[derive(Clone)]
pub struct Crowd {
    places: Arc<Semaphore>,
    visits: Arc<Mutex<Visits>>,
    idle_max: Duration,
    answer_max: Duration,
}

#[derive(Default)]
struct Visits {
    next: u64,
    open: BTreeMap<u64, Arc<Visit>>,
}

/// What one of them is doing.
pub struct Visit {
    state: Mutex<State>,
    changed: Notify,
    idle_max: Duration,
    answer_max: Duration,
}

struct State {
    serving: u64,
    held: u64,
    /// Since when nothing was served; since when an answer waits to be fetched.
    idle_since: Instant,
    held_since: Instant,
    unwanted: bool,
}

/// A place in the crowd, until this is dropped.
pub struct Guest {
    /// What it is doing.
    pub visit: Arc<Visit>,
    number: u64,
    visits: Arc<Mutex<Visits>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Crowd {
    /// A crowd of at most `most`.
    pub fn new(most: usize, idle_max: Duration, answer_max: Duration) -> Crowd {
        Crowd {
            places: Arc::new(Semaphore::new(most.max(1))),
            visits: Arc::default(),
            idle_max,
            answer_max,
        }
    }

    /// A place, as soon as there is one.
    pub async fn enter(&self) -> Guest {
        let place = loop {
            let place = Arc::clone(&self.places);
            if let Ok(place) = Arc::clone(&place).try_acquire_owned() {
                break Some(place);
            }
            self.send_one_away();
            if let Ok(place) = timeout(LOOK_AGAIN, place.acquire_owned()).await {
                // It is never closed.
                break place.ok();
            }
        };
        let visit = Arc::new(Visit::new(self.idle_max, self.answer_max));
        let mut visits = self.visits.lock();
        let number = visits.next;
        visits.next += 1;
        visits.open.insert(number, Arc::clone(&visit));
        Guest {
            visit,
            number,
            visits: Arc::clone(&self.visits),
            _place: place,
        }
    }

    /// The one that has been silent the longest goes, if one is silent.
    fn send_one_away(&self) {
        let visits = self.visits.lock();
        let silent = visits
            .open
            .values()
            .filter_map(|visit| Some((visit.idle_since()?, visit)));
        if let Some((_, visit)) = silent.min_by_key(|(since, _)| *since) {
            visit.state.lock().unwanted = true;
            visit.changed.notify_one();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.visits.lock().open.remove(&self.number);
    }
}

impl Visit {
    fn new(idle_max: Duration, answer_max: Duration) -> Visit {
        let now = Instant::now();
        Visit {
            state: Mutex::new(State {
                serving: 0,
                held: 0,
                idle_since: now,
                held_since: now,
                unwanted: false,
            }),
            changed: Notify::new(),
            idle_max,
            answer_max,
        }
    }

    /// Since when it is silent; none if it is not, or goes already.
    fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        let silent = state.serving == 0 && state.held == 0 && !state.unwanted;
        silent.then_some(state.idle_since)
    }

    /// A request is served until this is dropped.
    pub fn serve(self: &Arc<Self>) -> Serving {
        self.state.lock().serving += 1;
        self.changed.notify_one();
        Serving(Arc::clone(self))
    }

    /// An answer waits to be fetched until this is dropped.
    pub fn hold(self: &Arc<Self>) -> Holding {
        let mut state = self.state.lock();
        if state.held == 0 {
            state.held_since = Instant::now();
        }
        state.held += 1;
        drop(state);
        self.changed.notify_one();
        Holding(Arc::clone(self))
    }

    /// Returns when it should end.
    pub async fn tired(&self) {
        loop {
            let Some(until) = self.patience() else {
                self.changed.notified().await;
                continue;
            };
            if until <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(until.into()) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Until when it may stay as it is; none if it may as long as it likes.
    fn patience(&self) -> Option<Instant> {
        let state = self.state.lock();
        if state.held > 0 {
            Some(state.held_since + self.answer_max)
        } else if state.serving > 0 {
            None
        } else if state.unwanted {
            Some(state.idle_since)
        } else {
            Some(state.idle_since + self.idle_max)
        }
    }
}

/// See [`Visit::serve`].
pub struct Serving(Arc<Visit>);

impl Drop for Serving {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.serving -= 1;
        state.idle_since = Instant::now();
        drop(state);
        self.0.changed.notify_one();
    }
}

/// See [`Visit::hold`].
pub struct Holding(Arc<Visit>);

impl Drop for Holding {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.held -= 1;
        let now = Instant::now();
        (state.idle_since, state.held_since) = (now, now);
        drop(state);
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(most: usize) -> Crowd {
        Crowd::new(most, Duration::from_secs(600), Duration::from_secs(600))
    }

    fn goes(guest: &Guest) -> bool {
        guest.visit.state.lock().unwanted
    }

    /// The longest silent one goes; one that is served, or whose answer waits, never does.
    #[tokio::test]
    async fn silence_makes_room() {
        let crowd = crowd(3);
        let (one, two, three) = (
            crowd.enter().await,
            crowd.enter().await,
            crowd.enter().await,
        );
        let (serving, holding) = (one.visit.serve(), two.visit.hold());
        let newcomer = {
            let crowd = crowd.clone();
            tokio::spawn(async move { crowd.enter().await })
        };
        three.visit.tired().await;
        assert_eq!((goes(&one), goes(&two), goes(&three)), (false, false, true));
        drop(three);
        let four = newcomer.await.unwrap();
        drop((serving, holding));
        // Now all are silent, the fourth the longest: the others were busy until now.
        crowd.send_one_away();
        assert!(goes(&four) && !goes(&one) && !goes(&two));
    }

    /// Idleness ends a visit, and so does an answer that is not fetched; being served does not.
    #[tokio::test]
    async fn patience_ends() {
        let crowd = Crowd::new(1, Duration::ZERO, Duration::ZERO);
        let guest = crowd.enter().await;
        guest.visit.tired().await;
        let serving = guest.visit.serve();
        assert_eq!(guest.visit.patience(), None);
        let holding = guest.visit.hold();
        guest.visit.tired().await;
        drop((serving, holding));
        guest.visit.tired().await;
    }
}
