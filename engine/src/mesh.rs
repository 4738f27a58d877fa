//! How executors reach each other: one bounded mailbox each, and a start that all of them share.
//!
//! A letter is a function that runs on the receiving executor. Bytes travel in pooled buffers;
//! nothing that belongs to an executor leaves it, but for what it lays on the [shelves](crate::shelf)
//! of its shards.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use async_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;

use crate::{Error, Result, format::superblock::Superblock};

/// Letters that wait in a mailbox before senders wait.
const MAILBOX: usize = 1024;

/// What runs on the receiving executor.
pub(crate) type Letter = Box<dyn FnOnce(&dyn Any) + Send>;

/// A writer's hold on an upload of a shard. However it ends, in an upload that is dropped or in an
/// answer that nobody waits for any more, the shard is told, once: by then the upload may have its
/// next writer under the same blob number.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The shard.
    pub shard: u16,
    /// The upload's blob number.
    pub blob: u64,
    /// None: the shard knows.
    to: Option<Sender<Release>>,
}

/// A lease has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    pub shard: u16,
    pub blob: u64,
}

impl Lease {
    /// A hold on upload `blob` of `shard`; `to` leads to its executor.
    pub(crate) fn new(shard: u16, blob: u64, to: Sender<Release>) -> Lease {
        let to = Some(to);
        Lease { shard, blob, to }
    }

    /// Ends the hold in the hands of the shard itself, which need not be told then; returns the
    /// upload's blob number.
    pub(crate) fn hand_in(mut self) -> u64 {
        self.to = None;
        self.blob
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Lease { shard, blob, .. } = *self;
        if let Some(to) = &self.to {
            // An executor that has ended has forgotten its uploads as well.
            let _ended = to.try_send(Release { shard, blob });
        }
    }
}

/// The mailboxes of all executors; made before they start, cloned to each of them.
#[derive(Clone)]
pub struct Mesh {
    boxes: Arc<[Mailbox]>,
    ready: (Sender<Result<()>>, Receiver<Result<()>>),
    /// What executors see of each other's shards.
    shelves: Arc<Mutex<BTreeMap<u16, Arc<dyn Any + Send + Sync>>>>,
    /// Bytes of the recycled files of all shards.
    recycled: Arc<AtomicU64>,
}

struct Mailbox {
    letters: (Sender<Letter>, Receiver<Letter>),
    /// One for each upload that is being written at most: bounded by those.
    releases: (Sender<Release>, Receiver<Release>),
    /// The superblock, then whether every executor has started.
    start: (Sender<Result<Superblock>>, Receiver<Result<Superblock>>),
}

impl Mesh {
    /// Mailboxes for `executors` executors.
    pub fn new(executors: usize) -> Self {
        let mailbox = |_| Mailbox {
            letters: bounded(MAILBOX),
            releases: unbounded(),
            start: bounded(2),
        };
        Mesh {
            boxes: (0..executors).map(mailbox).collect(),
            ready: bounded(executors.max(1)),
            shelves: Arc::default(),
            recycled: Arc::default(),
        }
    }

    /// How many executors there are.
    pub fn executors(&self) -> usize {
        self.boxes.len()
    }

    /// Bytes of the recycled files of all shards, which each counts as it keeps and uses them.
    pub(crate) fn recycled(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.recycled)
    }

    /// Puts the shelf of a shard where all executors find it.
    pub(crate) fn put_shelf<S: Any + Send + Sync>(&self, shard: u16, shelf: Arc<S>) {
        self.shelves.lock().insert(shard, shelf);
    }

    /// The shelves of all shards, by number, once every executor has started.
    pub(crate) fn shelves<S: Any + Send + Sync>(&self) -> Vec<Arc<S>> {
        let shelves = self.shelves.lock();
        let shelf = |shelf: &Arc<dyn Any + Send + Sync>| {
            let shelf = Arc::clone(shelf).downcast();
            shelf.expect("all executors of a mesh run one world")
        };
        shelves.values().map(shelf).collect()
    }

    /// Sends a letter to an executor; waits while its mailbox is full.
    pub(crate) async fn send(&self, executor: usize, letter: Letter) -> Result<()> {
        self.boxes[executor]
            .letters
            .0
            .send(letter)
            .await
            .map_err(|_| Error::Closing)
    }

    /// Where the leases of an executor's shards end.
    pub(crate) fn releases_to(&self, executor: usize) -> Sender<Release> {
        self.boxes[executor].releases.0.clone()
    }

    /// Leases of an executor's shards that have ended.
    pub(crate) fn releases(&self, executor: usize) -> Receiver<Release> {
        self.boxes[executor].releases.1.clone()
    }

    /// Letters to an executor.
    pub(crate) fn letters(&self, executor: usize) -> Receiver<Letter> {
        self.boxes[executor].letters.1.clone()
    }

    /// Tells every executor the superblock, or that there is none.
    pub(crate) async fn announce(&self, superblock: Result<Superblock>) -> Result<()> {
        for mailbox in self.boxes.iter() {
            mailbox
                .start
                .0
                .send(superblock.clone())
                .await
                .map_err(|_| Error::Closing)?;
        }
        Ok(())
    }

    /// Waits for the next announcement.
    pub(crate) async fn announced(&self, executor: usize) -> Result<Superblock> {
        self.boxes[executor]
            .start
            .1
            .recv()
            .await
            .map_err(|_| Error::Closing)?
    }

    /// Tells the first executor that this one has opened its shards, or why not.
    pub(crate) async fn report(&self, opened: Result<()>) -> Result<()> {
        self.ready.0.send(opened).await.map_err(|_| Error::Closing)
    }

    /// Waits until every executor has reported; the first error counts.
    pub(crate) async fn all_ready(&self) -> Result<()> {
        let mut all = Ok(());
        for _ in 0..self.executors() {
            let one = self.ready.1.recv().await.map_err(|_| Error::Closing)?;
            all = all.and(one);
        }
        all
    }
}
