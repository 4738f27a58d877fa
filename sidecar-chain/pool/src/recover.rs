//! Who sent transactions, found away from the thread that executes them: 50 µs for each signature,
//! far more than all else that is done to a transfer.
//!
//! ```text
//!  RPC, peers ── submit ──► waiting, bounded ──┐
//!                                              ├─► workers ──► answers
//!  blocks ───── senders ──► chunks, first ─────┘       │
//!                  ▲                                   ▼
//!                  └────────── remembered: hash ► sender
//! ```
//! The caller brings the threads: each runs one [`Worker`]. Blocks go before what waits, and who asks
//! for the senders of a block works with the workers, so it never waits for a queue and needs no
//! worker at all. What was found is remembered: of a block that was built from the pool, no signature
//! is looked at again.
//!
//! Promises: memory is bounded by [`Bounds`]. Workers end when the last [`Recovery`] goes; answers
//! that are still owed are then dropped, not given.

use std::{
    collections::VecDeque,
    fmt,
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use alloy_consensus::{TxEnvelope, crypto::secp256k1::recover_signer};
use alloy_primitives::{Address, B256, Signature};

use crate::{Checked, Error, Transaction, remembered::Remembered};

/// Signatures that a worker takes of a block at a time: less than a millisecond's work.
const CHUNK: usize = 16;

/// What is kept in memory at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Transactions that wait for a worker.
    pub waiting: usize,
    /// Senders that are remembered.
    pub remembered: usize,
}

/// A fifth of a second of one worker's work, and as many senders as the pool holds transactions.
impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            waiting: 4096,
            remembered: 200_000,
        }
    }
}

/// Why a batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many wait as may: ask again later.
    #[error("busy: {waiting} transactions wait for their senders")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// There is no worker, or none any more.
    #[error("no worker recovers senders")]
    NoWorker,
}

/// A transaction of a block that nobody signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody signed transaction {index} of the block")]
pub struct Unsigned {
    /// Its place in the block.
    pub index: usize,
}

/// Where senders are asked for. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Recovery(Arc<Open>);

/// Finds senders on the thread that runs it.
#[derive(Debug)]
pub struct Worker(Arc<Shared>);

/// While it lives, workers wait for work.
#[derive(Debug)]
struct Open(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    work: Mutex<Work>,
    /// There is work, or there will be none.
    news: Condvar,
    remembered: Mutex<Remembered>,
}

#[derive(Debug)]
struct Work {
    blocks: VecDeque<Arc<Chunks>>,
    batches: VecDeque<Batch>,
    /// Transactions in `batches`.
    waiting: usize,
    open: bool,
    workers: usize,
}

type Answer = Box<dyn FnOnce(Vec<Result<Transaction, Error>>) + Send>;

struct Batch {
    transactions: Vec<Checked>,
    answer: Answer,
}

enum Task {
    Block(Arc<Chunks>),
    Batch(Batch),
}

/// Makes a place to ask, and the workers that answer.
pub fn recovery(bounds: Bounds, workers: usize) -> (Recovery, Vec<Worker>) {
    let work = Work {
        blocks: VecDeque::new(),
        batches: VecDeque::new(),
        waiting: 0,
        open: true,
        workers,
    };
    let shared = Arc::new(Shared {
        bounds,
        work: Mutex::new(work),
        news: Condvar::new(),
        remembered: Mutex::new(Remembered::new(bounds.remembered)),
    });
    let all = (0..workers).map(|_| Worker(Arc::clone(&shared))).collect();
    (Recovery(Arc::new(Open(shared))), all)
}

impl Recovery {
    /// Has the senders of a batch found. `answer` is called on a worker's thread, with each
    /// transaction or why it has no sender, in order; it should be quick.
    ///
    /// # Errors
    /// When there is no room or no worker; `answer` is then dropped.
    pub fn submit(
        &self,
        transactions: Vec<Checked>,
        answer: impl FnOnce(Vec<Result<Transaction, Error>>) + Send + 'static,
    ) -> Result<(), Refused> {
        let shared = self.shared();
        let mut work = lock(&shared.work);
        if work.workers == 0 {
            return Err(Refused::NoWorker);
        }
        let waiting = work.waiting;
        // An empty batch counts too, or else they would be without bound.
        let count = transactions.len().max(1);
        if waiting + count > shared.bounds.waiting {
            return Err(Refused::Busy { waiting });
        }
        work.waiting += count;
        let answer = Box::new(answer);
        work.batches.push_back(Batch {
            transactions,
            answer,
        });
        shared.news.notify_one();
        Ok(())
    }

    /// The senders of a block's transactions, in order. Those that are remembered cost 100 ns, the
    /// others are found by this thread and all workers.
    ///
    /// # Errors
    /// When one has a signature by no key, or the higher of two forms (EIP-2).
    pub fn senders(&self, transactions: &[TxEnvelope]) -> Result<Vec<Address>, Unsigned> {
        let mut senders = self.remembered(transactions);
        let missing: Vec<usize> = (0..senders.len())
            .filter(|&index| senders[index].is_none())
            .collect();
        let signed = missing.iter().map(|&index| {
            let transaction = &transactions[index];
            (*transaction.signature(), transaction.signature_hash())
        });
        let found = self.find(signed.collect());
        let mut remembered = lock(&self.shared().remembered);
        for (&index, sender) in missing.iter().zip(found) {
            let sender = sender.ok_or(Unsigned { index })?;
            remembered.put(*transactions[index].tx_hash(), sender);
            senders[index] = Some(sender);
        }
        let all = senders.into_iter().enumerate();
        all.map(|(index, sender)| sender.ok_or(Unsigned { index }))
            .collect()
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }

    fn remembered(&self, transactions: &[TxEnvelope]) -> Vec<Option<Address>> {
        let mut remembered = lock(&self.shared().remembered);
        let hashes = transactions.iter().map(TxEnvelope::tx_hash);
        hashes.map(|hash| remembered.get(hash)).collect()
    }

    /// Finds senders together with the workers.
    fn find(&self, signed: Vec<(Signature, B256)>) -> Vec<Option<Address>> {
        if signed.len() <= CHUNK {
            return signed.iter().map(recover).collect();
        }
        let chunks = Arc::new(Chunks::new(signed));
        let shared = self.shared();
        lock(&shared.work).blocks.push_back(Arc::clone(&chunks));
        shared.news.notify_all();
        while chunks.work() {}
        let found = chunks.wait();
        lock(&shared.work)
            .blocks
            .retain(|other| !Arc::ptr_eq(other, &chunks));
        found
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.0.work).open = false;
        self.0.news.notify_all();
    }
}

impl Worker {
    /// Works until the last [`Recovery`] goes.
    pub fn run(self) {
        while let Some(task) = self.next() {
            match task {
                Task::Block(chunks) => while chunks.work() {},
                Task::Batch(batch) => {
                    let transactions = batch.transactions.into_iter();
                    let found = transactions.map(|transaction| self.recover(transaction));
                    (batch.answer)(found.collect());
                }
            }
        }
    }

    /// Waits for work; none when there will be none.
    fn next(&self) -> Option<Task> {
        let mut work = lock(&self.0.work);
        loop {
            if !work.open {
                return None;
            }
            work.blocks.retain(|chunks| !chunks.is_taken());
            if let Some(chunks) = work.blocks.front() {
                return Some(Task::Block(Arc::clone(chunks)));
            }
            if let Some(batch) = work.batches.pop_front() {
                work.waiting -= batch.transactions.len().max(1);
                return Some(Task::Batch(batch));
            }
            work = self.0.news.wait(work).expect(UNPOISONED);
        }
    }

    fn recover(&self, checked: Checked) -> Result<Transaction, Error> {
        let hash = *checked.envelope().tx_hash();
        if let Some(sender) = lock(&self.0.remembered).get(&hash) {
            return Ok(checked.by(sender));
        }
        let transaction = checked.recover()?;
        lock(&self.0.remembered).put(hash, transaction.sender());
        Ok(transaction)
    }
}

/// Without workers nothing is answered any more: what waits is dropped, so that who waits hears it.
impl Drop for Worker {
    fn drop(&mut self) {
        let mut work = lock(&self.0.work);
        work.workers -= 1;
        if work.workers > 0 {
            return;
        }
        work.waiting = 0;
        let owed = std::mem::take(&mut work.batches);
        // What an answer holds may do anything when it goes, even submit.
        drop(work);
        drop(owed);
    }
}

/// The signatures of a block, taken in chunks by whoever has time.
#[derive(Debug)]
struct Chunks {
    signed: Vec<(Signature, B256)>,
    /// The first that nobody has taken.
    next: AtomicUsize,
    found: Mutex<Found>,
    done: Condvar,
}

#[derive(Debug)]
struct Found {
    senders: Vec<Option<Address>>,
    /// How many are still looked for.
    left: usize,
}

impl Chunks {
    fn new(signed: Vec<(Signature, B256)>) -> Self {
        let found = Found {
            senders: vec![None; signed.len()],
            left: signed.len(),
        };
        Chunks {
            signed,
            next: AtomicUsize::new(0),
            found: Mutex::new(found),
            done: Condvar::new(),
        }
    }

    fn is_taken(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.signed.len()
    }

    /// Works on one chunk, if there is one.
    fn work(&self) -> bool {
        if self.is_taken() {
            return false;
        }
        let first = self.next.fetch_add(CHUNK, Ordering::Relaxed);
        let range = first..self.signed.len().min(first + CHUNK);
        if range.is_empty() {
            return false;
        }
        let senders = self.signed[range.clone()].iter().map(recover).collect();
        self.put(range, senders);
        true
    }

    fn put(&self, range: Range<usize>, senders: Vec<Option<Address>>) {
        let mut found = lock(&self.found);
        found.left -= range.len();
        found.senders[range].copy_from_slice(&senders);
        if found.left == 0 {
            self.done.notify_all();
        }
    }

    /// Waits for what others have taken: for a chunk's work at most, as all is taken by now.
    fn wait(&self) -> Vec<Option<Address>> {
        let found = lock(&self.found);
        let mut found = self
            .done
            .wait_while(found, |found| found.left > 0)
            .expect(UNPOISONED);
        std::mem::take(&mut found.senders)
    }
}

fn recover((signature, hash): &(Signature, B256)) -> Option<Address> {
    recover_signer(signature, *hash).ok()
}

const UNPOISONED: &str = "nobody panics while holding it";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect(UNPOISONED)
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("transactions", &self.transactions)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
