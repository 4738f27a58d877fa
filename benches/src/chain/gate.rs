//! A bound on what waits in the mempool: senders wait when it is reached, blocks let them go on. So
//! a chain is kept busy, and is never asked to hold more than it was told it would.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The bound, and how far it is used.
pub struct Gate {
    most: u64,
    /// A chain that mines nothing for as long has stopped.
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    sent: u64,
    mined: u64,
    moved: Instant,
    over: bool,
}

impl Gate {
    /// Lets `most` wait.
    pub fn new(most: u64, patience: Duration) -> Self {
        Self {
            most,
            patience,
            state: Mutex::new(State {
                sent: 0,
                mined: 0,
                moved: Instant::now(),
                over: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until `count` more may be sent; false if nothing more shall be.
    pub fn enter(&self, count: u64) -> bool {
        let mut state = self.lock();
        loop {
            if state.over {
                return false;
            }
            let waiting = state.sent.saturating_sub(state.mined);
            // More than the bound in one request may go when nothing waits.
            if waiting == 0 || waiting + count <= self.most {
                break;
            }
            state = self.wait(state);
        }
        if state.sent == state.mined {
            // A chain that had nothing to do was not stopped.
            state.moved = Instant::now();
        }
        state.sent += count;
        true
    }

    /// So many are in a block.
    pub fn mined(&self, count: u64) {
        if count > 0 {
            let mut state = self.lock();
            state.mined += count;
            state.moved = Instant::now();
            self.changed.notify_all();
        }
    }

    /// One more is sent, whatever waits.
    pub fn pass(&self) {
        self.lock().sent += 1;
    }

    /// Waits until all that was sent is in blocks; false if that will not be.
    pub fn wait_empty(&self) -> bool {
        let mut state = self.lock();
        while state.mined < state.sent && !state.over {
            state = self.wait(state);
        }
        state.mined >= state.sent
    }

    /// Lets nobody through any more.
    pub fn close(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Until something changes; over if that takes too long.
    fn wait<'state>(&self, state: MutexGuard<'state, State>) -> MutexGuard<'state, State> {
        let left = self.patience.saturating_sub(state.moved.elapsed());
        if left.is_zero() {
            let mut state = state;
            state.over = true;
            self.changed.notify_all();
            return state;
        }
        let (state, _) = self
            .changed
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner);
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers that are changed one at a time are whole even where a thread has panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread, time::Duration};

    use super::Gate;

    /// Proves that senders are held at the bound and go on with a block, that a longer request goes
    /// alone, and that a chain that stops lets nobody wait for ever.
    #[test]
    fn holds_and_lets_go() {
        let gate = Arc::new(Gate::new(10, Duration::from_millis(200)));
        assert!(gate.enter(25), "alone");
        let other = Arc::clone(&gate);
        let sender = thread::spawn(move || other.enter(4) && other.enter(6));
        gate.mined(25);
        assert!(sender.join().unwrap());
        gate.pass();
        gate.mined(11);
        assert!(gate.wait_empty());
        assert!(gate.enter(10));
        assert!(!gate.enter(1), "nothing is mined any more");
        assert!(!gate.wait_empty());
    }
}
