//! What a connection is doing. One that is idle for too long ends, and so does one that does not fetch
//! an answer in its time: the answer takes memory, and in HTTP/2 nothing else would notice.

use core::time::Duration;
use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

/// See the file's head.
pub struct Visit {
    state: Mutex<State>,
    changed: Notify,
    idle_max: Duration,
}

struct State {
    serving: u64,
    /// Answers that are being fetched, and until when that may take.
    answers: BTreeMap<u64, Instant>,
    next: u64,
    idle_until: Instant,
}

/// The moment after so much time.
fn after(time: Duration) -> Instant {
    sleep(time).deadline()
}

impl Visit {
    /// A connection that just came.
    pub fn new(idle_max: Duration) -> Arc<Visit> {
        Arc::new(Visit {
            state: Mutex::new(State {
                serving: 0,
                answers: BTreeMap::new(),
                next: 0,
                idle_until: after(idle_max),
            }),
            changed: Notify::new(),
            idle_max,
        })
    }

    /// A request is served, or its answer fetched, until this is dropped.
    pub fn serve(self: &Arc<Self>) -> Serving {
        let mut state = self.state.lock();
        state.serving += 1;
        let number = state.next;
        state.next += 1;
        drop(state);
        self.changed.notify_one();
        Serving {
            visit: Arc::clone(self),
            number,
        }
    }

    /// Returns when it should end.
    pub async fn tired(&self) {
        loop {
            let until = self.patience();
            let sleeping = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => core::future::pending().await,
                }
            };
            tokio::select! {
                // A moment that has passed is seen first, however often it changes.
                biased;
                () = sleeping => return,
                () = self.changed.notified() => {}
            }
        }
    }

    /// Until when it may go on as it does; none if it may do so for ever.
    fn patience(&self) -> Option<Instant> {
        let state = self.state.lock();
        let first = state.answers.values().min().copied();
        first.or_else(|| (state.serving == 0).then_some(state.idle_until))
    }
}

/// See [`Visit::serve`].
pub struct Serving {
    visit: Arc<Visit>,
    number: u64,
}

impl Serving {
    /// The answer is there; fetching it may take so long.
    pub fn answered(&self, time: Duration) {
        let until = after(time);
        self.visit.state.lock().answers.insert(self.number, until);
        self.visit.changed.notify_one();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut state = self.visit.state.lock();
        state.serving -= 1;
        state.answers.remove(&self.number);
        state.idle_until = after(self.visit.idle_max);
        drop(state);
        self.visit.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    /// Silence ends a connection, a request under way does not, and an answer that nobody fetches does.
    #[tokio::test]
    async fn ends_when_it_should() {
        let visit = Visit::new(SHORT);
        visit.tired().await;
        let serving = visit.serve();
        assert!(timeout(2 * SHORT, visit.tired()).await.is_err());
        serving.answered(LONG);
        assert!(timeout(2 * SHORT, visit.tired()).await.is_err());
        serving.answered(SHORT);
        visit.tired().await;
        drop(serving);
        visit.tired().await;
        let patient = Visit::new(LONG);
        drop(patient.serve());
        assert!(timeout(SHORT, patient.tired()).await.is_err());
    }
}
