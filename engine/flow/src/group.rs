//! Many callers, one sync: what is handed in while one write is on its way is written together by the
//! next.
//!
//! ```text
//!  caller   a ──► lead: write [a] ───────────► done
//!           b ──► wait ··········· lead: write [b c d] ──► done
//!           c ──► wait ······································► done
//! ```
//! There is no thread of its own: the first caller who finds nobody writing writes for all that wait,
//! and the next of those leads when it is done. Each caller has one job at a time, so there are no more
//! jobs than callers, and a group is bounded besides.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Jobs that are written together, at most: enough that the sync is a small part of what each costs.
const GROUP_MAX: usize = 1024;

/// Callers with jobs of one kind, each of which gets an answer.
pub(crate) struct Group<J, A> {
    state: Mutex<State<J, A>>,
    /// Somebody has written, or something was answered.
    turned: Condvar,
}

struct State<J, A> {
    /// Number of the next job.
    next: u64,
    waiting: VecDeque<(u64, J)>,
    /// Answers that are not fetched yet.
    answers: Vec<(u64, A)>,
    /// Somebody writes.
    led: bool,
    /// Somebody panicked while he wrote for others, who would wait for ever.
    broken: bool,
}

impl<J, A> Default for Group<J, A> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                next: 0,
                waiting: VecDeque::new(),
                answers: Vec::new(),
                led: false,
                broken: false,
            }),
            turned: Condvar::new(),
        }
    }
}

impl<J, A> Group<J, A> {
    /// Hands in a job and waits for its answer. `write` does some jobs and returns their answers, in
    /// their order; it is called by one caller at a time, for its own job and those of others.
    ///
    /// # Panics
    /// If `write` panicked, for whomever it wrote.
    pub fn run(&self, job: J, write: impl Fn(Vec<J>) -> Vec<A>) -> A {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.waiting.push_back((number, job));
        loop {
            let answered = state.answers.iter().position(|(of, _)| *of == number);
            if let Some(at) = answered {
                return state.answers.swap_remove(at).1;
            }
            assert!(!state.broken, "nobody panicked who wrote for others");
            if state.led {
                let waited = self.turned.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.led = true;
            let count = state.waiting.len().min(GROUP_MAX);
            let (numbers, jobs): (Vec<u64>, Vec<J>) = state.waiting.drain(..count).unzip();
            drop(state);
            let lead = Lead(self);
            let answers = write(jobs);
            assert!(answers.len() == numbers.len(), "each job has an answer");
            state = lead.end(numbers.into_iter().zip(answers));
        }
    }

    /// A panic with the state locked is a caller's who was told of another one.
    fn lock(&self) -> MutexGuard<'_, State<J, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who leads: it ends with answers, or with a panic.
struct Lead<'a, J, A>(&'a Group<J, A>);

impl<'a, J, A> Lead<'a, J, A> {
    /// Hands out answers; the next one may lead.
    fn end(self, answers: impl Iterator<Item = (u64, A)>) -> MutexGuard<'a, State<J, A>> {
        let group = self.0;
        std::mem::forget(self);
        let mut state = group.lock();
        state.answers.extend(answers);
        state.led = false;
        group.turned.notify_all();
        state
    }
}

impl<J, A> Drop for Lead<'_, J, A> {
    fn drop(&mut self) {
        self.0.lock().broken = true;
        self.0.turned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    //! Jobs are written together, each once, and a panic is nobody's wait.
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::sync::mpsc;

    use super::*;

    /// While the first job is written ten callers come: their jobs are one group, and each gets the
    /// answer to its own.
    #[test]
    fn who_waits_is_written_together() {
        let (group, groups) = (Group::default(), Mutex::new(Vec::new()));
        let (go, gone) = mpsc::channel();
        let gone = Mutex::new(gone);
        let write = |jobs: Vec<u32>| {
            groups.lock().unwrap().push(jobs.len());
            if jobs == [0] {
                gone.lock().unwrap().recv().unwrap();
            }
            jobs.into_iter().map(|job| 2 * job).collect()
        };
        std::thread::scope(|scope| {
            let first = scope.spawn(|| group.run(0, write));
            while !group.lock().led {
                std::thread::yield_now();
            }
            let rest = (1..=10).map(|job| {
                let (group, write) = (&group, &write);
                scope.spawn(move || assert_eq!(group.run(job, write), 2 * job))
            });
            let rest: Vec<_> = rest.collect();
            while group.lock().waiting.len() < 10 {
                std::thread::yield_now();
            }
            go.send(()).unwrap();
            assert_eq!(first.join().unwrap(), 0);
            for caller in rest {
                caller.join().unwrap();
            }
        });
        assert_eq!(*groups.lock().unwrap(), [1, 10]);
        assert!(group.lock().answers.is_empty());
    }

    /// No group is larger than its bound.
    #[test]
    fn groups_are_bounded() {
        let group = Group::default();
        let jobs = (0..GROUP_MAX + 5).map(|job| (u64::MAX, job));
        group.lock().waiting.extend(jobs);
        let sizes = Mutex::new(Vec::new());
        group.run(0, |jobs| {
            sizes.lock().unwrap().push(jobs.len());
            jobs
        });
        assert_eq!(*sizes.lock().unwrap(), [GROUP_MAX, 6]);
    }

    /// After a panic of who wrote, others do not wait for what will not come.
    #[test]
    fn a_panic_ends_all() {
        let group: Group<u32, u32> = Group::default();
        std::thread::scope(|scope| {
            let broken = scope.spawn(|| group.run(0, |_| panic!("as the test wants")));
            assert!(broken.join().is_err());
            let later = scope.spawn(|| group.run(1, |jobs| jobs));
            assert!(later.join().is_err());
        });
    }
}
