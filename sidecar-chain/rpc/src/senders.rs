//! Threads that find out who sent a transaction: 50 µs of arithmetic each, kept away from the
//! threads that serve connections.
//!
//! A batch of transactions is handed over whole before its first one is looked at, so all threads
//! work on it while its answers keep their order.

use std::thread;

use lode_chain_pool::{Checked, Error, Transaction};
use tokio::sync::oneshot;

/// Threads at most: more would take from execution.
const THREADS_MAX: usize = 8;

type Found = Result<Transaction, Error>;

struct Job {
    checked: Checked,
    answer: oneshot::Sender<Found>,
}

/// The threads' queue. They end when it is dropped.
#[derive(Clone)]
pub struct Senders(flume::Sender<Job>);

impl Senders {
    /// As many threads as the machine has processors, and `waiting_max` transactions in their queue.
    pub fn new(waiting_max: usize) -> Senders {
        let (sender, jobs) = flume::bounded::<Job>(waiting_max);
        let count = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..count.min(THREADS_MAX) {
            let jobs = jobs.clone();
            let work = move || {
                for job in jobs {
                    // Whoever asked may have gone.
                    let _ = job.answer.send(job.checked.recover());
                }
            };
            let started = thread::Builder::new()
                .name("chain-sender".to_owned())
                .spawn(work);
            started.expect("the machine has room for one thread more");
        }
        Senders(sender)
    }

    /// Hands a transaction over; none if there is no room in the queue.
    pub fn try_begin(&self, checked: Checked) -> Option<oneshot::Receiver<Found>> {
        let (answer, found) = oneshot::channel();
        let sent = self.0.try_send(Job { checked, answer });
        sent.is_ok().then_some(found)
    }

    /// Hands a transaction over, when there is room in the queue.
    pub async fn begin(&self, checked: Checked) -> oneshot::Receiver<Found> {
        let (answer, found) = oneshot::channel();
        let job = Job { checked, answer };
        self.0
            .send_async(job)
            .await
            .expect("threads live as long as their queue");
        found
    }
}
