//! The store as the rest of a node sees it: a handle that any thread, and any async runtime, asks.
//!
//! ```text
//!  tokio, or any other                          executors of lode_world
//!  Handle ──── asks, bounded ────────────────► one store each: shard-00000, shard-00001, …
//!  Appending ─ rows, bounded ────────────────► a task for each record
//! ```
//! A container belongs to the store that its id names. How many stores a directory has is fixed when it
//! is made, and said by the name of the folder that they are in; executors share them. When a handle
//! is told to stop, records that have not been finished are given up, those that have are made durable,
//! all segments are closed, and whoever asks hears [`Error::Closing`].

mod ask;
mod executor;
mod session;

pub use executor::{Post, Started};
pub use session::Appending;

use std::sync::Arc;

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use lode_proofs::{Hash32, da::Statement};
use lode_world::{Preflight, Running};

use crate::{Damage, Error, Freed, Holding, Listed, Options, Result, Scrubbed, store::LIST_MAX};
use ask::{Ask, Reply};

/// Asks that wait for an executor: more than that wait where they are.
pub const ASKS_MAX: usize = 256;

/// Asks the stores of all executors. Cloning is cheap.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

struct Inner {
    /// One queue for each executor.
    asks: Vec<Sender<Ask>>,
    /// How many stores there are, known when the first has been opened.
    shards: std::sync::OnceLock<u16>,
    /// Closed when executors are to end.
    stop: Sender<()>,
    /// Hears of each executor that has ended.
    ended: Receiver<()>,
}

/// Makes a handle, and what its executors need: each runs [`Post::run`] of a clone.
#[must_use]
pub fn connect(executors: usize) -> (Handle, Post) {
    let (asks, queues) = (0..executors.max(1))
        .map(|_| async_channel::bounded(ASKS_MAX))
        .unzip();
    let (stop, stopped) = async_channel::bounded(1);
    let (told, ended) = async_channel::unbounded();
    let inner = Inner {
        asks,
        shards: std::sync::OnceLock::new(),
        stop,
        ended,
    };
    (Handle(Arc::new(inner)), Post::new(queues, stopped, told))
}

/// Opens the stores of a directory on executors of their own. Returns when all have been opened, with
/// what they found; blocks until then, so not within an async runtime.
///
/// # Errors
/// [`Error::Io`] where executors cannot start; what [`crate::RowStore::open`] says.
pub fn launch(preflight: &Preflight, options: Options) -> Result<(Handle, Running, Vec<Started>)> {
    let (handle, post) = connect(preflight.executors);
    let dir = options.dir.clone();
    let (told, heard) = async_channel::unbounded();
    let program = executor::Rows {
        post,
        options,
        told,
    };
    let running = lode_world::launch(preflight, program).map_err(Error::io(&dir))?;
    let mut started = Vec::new();
    for _ in 0..preflight.executors {
        // An executor that ended without a word is explained by `Running::join`.
        let opened = heard.recv_blocking().unwrap_or(Err(Error::Closing));
        match opened {
            Ok(opened) => {
                handle.know(opened.shards);
                started.push(opened);
            }
            Err(error) => {
                handle.0.stop.close();
                // The error that kept the store from opening says more than that of the join.
                let _ = running.join();
                return Err(error);
            }
        }
    }
    Ok((handle, running, started))
}

impl Handle {
    /// Tells the handle how many stores there are, as every executor says when it has opened its own;
    /// before that the handle answers [`Error::Closing`]. [`launch`] does it.
    pub fn know(&self, shards: u16) {
        self.0.shards.get_or_init(|| shards);
    }

    /// Begins a record; see [`crate::RowStore::begin`].
    ///
    /// # Errors
    /// As there.
    pub async fn begin(&self, holding: Holding) -> Result<Appending> {
        self.begin_as(holding, false).await
    }

    /// Begins a record in place of one that is held; see [`crate::RowStore::begin_again`].
    ///
    /// # Errors
    /// As there.
    pub async fn begin_again(&self, holding: Holding) -> Result<Appending> {
        self.begin_as(holding, true).await
    }

    async fn begin_as(&self, holding: Holding, again: bool) -> Result<Appending> {
        let container = holding.container();
        let begin = |reply| Ask::Begin {
            holding: Box::new(holding),
            again,
            reply,
        };
        self.ask(&container, begin).await
    }

    /// Keeps a container longer; see [`crate::RowStore::extend`].
    ///
    /// # Errors
    /// As there.
    pub async fn extend(&self, container: Hash32, expiry: u64) -> Result<()> {
        let ask = |reply| Ask::Extend {
            container,
            expiry,
            reply,
        };
        self.ask(&container, ask).await
    }

    /// Until when a container is held, in unix seconds; none if it is not.
    ///
    /// # Errors
    /// [`Error::Closing`]
    pub async fn expiry(&self, container: Hash32) -> Result<Option<u64>> {
        self.ask(&container, |reply| Ask::Expiry { container, reply })
            .await
    }

    /// Whether a container is held.
    ///
    /// # Errors
    /// [`Error::Closing`]
    pub async fn holds(&self, container: Hash32) -> Result<bool> {
        Ok(self.expiry(container).await?.is_some())
    }

    /// What the holder signed; see [`crate::RowStore::statement`].
    ///
    /// # Errors
    /// As there.
    pub async fn statement(&self, container: Hash32) -> Result<Statement> {
        self.ask(&container, |reply| Ask::Statement { container, reply })
            .await
    }

    /// Which rows are held of a container, ascending.
    ///
    /// # Errors
    /// Those of [`Handle::statement`].
    pub async fn row_numbers(&self, container: Hash32) -> Result<Vec<u16>> {
        self.ask(&container, |reply| Ask::RowNumbers { container, reply })
            .await
    }

    /// All that a record has besides rows.
    ///
    /// # Errors
    /// Those of [`Handle::statement`].
    pub async fn holding(&self, container: Hash32) -> Result<Holding> {
        self.ask(&container, |reply| Ask::Holding { container, reply })
            .await
    }

    /// The container's table.
    ///
    /// # Errors
    /// Those of [`Handle::statement`].
    pub async fn table(&self, container: Hash32) -> Result<Bytes> {
        self.ask(&container, |reply| Ask::Table { container, reply })
            .await
    }

    /// The checksums of the original rows.
    ///
    /// # Errors
    /// Those of [`Handle::statement`].
    pub async fn checks(&self, container: Hash32) -> Result<Bytes> {
        self.ask(&container, |reply| Ask::Checks { container, reply })
            .await
    }

    /// The hashes beside the holder's rows.
    ///
    /// # Errors
    /// Those of [`Handle::statement`].
    pub async fn siblings(&self, container: Hash32) -> Result<Vec<Hash32>> {
        self.ask(&container, |reply| Ask::Siblings { container, reply })
            .await
    }

    /// One row.
    ///
    /// # Errors
    /// Those of [`crate::RowStore::rows`].
    pub async fn row(&self, container: Hash32, row: u16) -> Result<Bytes> {
        let mut rows = self.rows(container, vec![row]).await?;
        Ok(rows.pop().expect("one row for each number"))
    }

    /// Several rows of a container; see [`crate::RowStore::rows`].
    ///
    /// # Errors
    /// As there.
    pub async fn rows(&self, container: Hash32, rows: Vec<u16>) -> Result<Vec<Bytes>> {
        let ask = |reply| Ask::Rows {
            container,
            rows,
            reply,
        };
        self.ask(&container, ask).await
    }

    /// The containers after one, or from the first on, by their ids, of all executors: at most `most`,
    /// and at most [`LIST_MAX`].
    ///
    /// # Errors
    /// [`Error::Closing`]
    pub async fn list(&self, after: Option<Hash32>, most: usize) -> Result<Vec<Listed>> {
        let most = most.min(LIST_MAX);
        let ask = |reply| Ask::List { after, most, reply };
        let mut listed: Vec<Listed> = self.ask_all(ask).await?.concat();
        listed.sort_unstable_by_key(|listed| listed.container);
        listed.truncate(most);
        Ok(listed)
    }

    /// Containers held by all executors.
    ///
    /// # Errors
    /// [`Error::Closing`]
    pub async fn len(&self) -> Result<usize> {
        let each = self.ask_all(|reply| Ask::Len { reply }).await?;
        Ok(each.into_iter().sum())
    }

    /// Whether none is held.
    ///
    /// # Errors
    /// [`Error::Closing`]
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.len().await? == 0)
    }

    /// What is known to be lost of a container.
    ///
    /// # Errors
    /// [`Error::Closing`]
    pub async fn damage(&self, container: Hash32) -> Result<Damage> {
        self.ask(&container, |reply| Ask::Damage { container, reply })
            .await
    }

    /// The containers of which something is known to be lost.
    ///
    /// # Errors
    /// [`Error::Closing`]
    pub async fn damaged(&self) -> Result<Vec<Hash32>> {
        let each = self.ask_all(|reply| Ask::Damaged { reply }).await?;
        Ok(each.concat())
    }

    /// Tells all stores what time it is; see [`crate::RowStore::expire`].
    ///
    /// # Errors
    /// As there, the first of any executor.
    pub async fn expire(&self, now: u64) -> Result<Freed> {
        let each = self.ask_all(|reply| Ask::Expire { now, reply }).await?;
        Ok(each.into_iter().fold(Freed::default(), Freed::and))
    }

    /// Reads and checks everything once, at up to `rate` bytes a second on each executor (0: as fast as
    /// the disk).
    ///
    /// # Errors
    /// [`Error::Closing`]
    pub async fn scrub(&self, rate: u64) -> Result<Scrubbed> {
        let each = self.ask_all(|reply| Ask::Scrub { rate, reply }).await?;
        Ok(each.into_iter().fold(Scrubbed::default(), Scrubbed::and))
    }

    /// Ends all executors in peace, and waits for them; again, or from another clone, it does nothing.
    pub async fn stop(&self) {
        self.0.stop.close();
        for _ in 0..self.0.asks.len() {
            // All senders are gone when all executors have ended, one way or another.
            if self.0.ended.recv().await.is_err() {
                return;
            }
        }
    }

    /// Asks the store that a container belongs to.
    async fn ask<T>(&self, container: &Hash32, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T> {
        let shards = *self.0.shards.get().ok_or(Error::Closing)?;
        let shard = shard_of(container, shards);
        let executor = usize::from(shard) % self.0.asks.len();
        let (reply, answer) = Reply::new(shard);
        let sent = self.0.asks[executor].send(ask(reply)).await;
        sent.map_err(|_closed| Error::Closing)?;
        answer.recv().await.unwrap_or(Err(Error::Closing))
    }

    /// Asks all stores at once.
    async fn ask_all<T>(&self, ask: impl Fn(Reply<T>) -> Ask) -> Result<Vec<T>> {
        let shards = *self.0.shards.get().ok_or(Error::Closing)?;
        let mut answers = Vec::new();
        for shard in 0..shards {
            let executor = usize::from(shard) % self.0.asks.len();
            let (reply, answer) = Reply::new(shard);
            let sent = self.0.asks[executor].send(ask(reply)).await;
            sent.map_err(|_closed| Error::Closing)?;
            answers.push(answer);
        }
        let mut each = Vec::new();
        for answer in answers {
            each.push(answer.recv().await.unwrap_or(Err(Error::Closing))?);
        }
        Ok(each)
    }
}

/// The store that a container belongs to: by the end of its id, as lists go by the beginning.
fn shard_of(container: &Hash32, shards: u16) -> u16 {
    let [.., high, low] = container.0;
    u16::from_be_bytes([high, low]) % shards
}
