//! What all methods share, and where the chain's word comes in.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use lode_flow::{Book, BookError, Submission};
use lode_proofs::Hash32;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};

use crate::{
    admission::Admission, cache::Cache, config::Config, intake, meter::Meter, shelf::Shelf,
};

/// Chunks that are on their way to the store at once. Beyond it clients are told to wait, as by 0G's
/// nodes, whose limit is 16.
pub const WRITES_MAX: usize = 512;

/// Numbers that wait for whoever listens to [`Room::news`]: chunks on their way at once, twice.
const NEWS_MAX: usize = 2 * WRITES_MAX;

/// What all methods share.
pub struct Room {
    /// Choices and bounds.
    pub config: Config,
    /// What the chain has ordered.
    pub book: Book,
    /// Chunks.
    pub shelf: Shelf,
    /// Chunks that came too early.
    pub(crate) cache: Mutex<Cache>,
    /// Chunks on their way to the store.
    pub(crate) writes: Semaphore,
    /// Memory for requests and answers, of all servers that strangers may ask.
    pub(crate) admission: Admission,
    pub(crate) meter: Arc<Meter>,
    peers: AtomicU64,
    /// Who is told of what came.
    news: OnceLock<mpsc::Sender<u64>>,
}

/// What is in it is long, and some of it secret.
impl core::fmt::Debug for Room {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        to.debug_struct("Room").finish_non_exhaustive()
    }
}

impl Room {
    /// A room.
    #[must_use]
    pub fn new(config: Config, book: Book, shelf: Shelf) -> Arc<Room> {
        let cache = Cache::new(config.cache_len, config.cache_time);
        let admission = Admission::new(config.in_flight_max.max(config.request_len_max));
        Arc::new(Room {
            config,
            book,
            shelf,
            cache: Mutex::new(cache),
            writes: Semaphore::new(WRITES_MAX),
            admission,
            meter: Arc::default(),
            peers: AtomicU64::new(0),
            news: OnceLock::new(),
        })
    }

    /// How many other nodes this one speaks to.
    pub fn set_peers(&self, peers: u64) {
        self.peers.store(peers, Relaxed);
    }

    /// How many other nodes this one speaks to.
    #[must_use]
    pub fn peers(&self) -> u64 {
        self.peers.load(Relaxed)
    }

    /// Numbers of submissions that are new, or of which a client has brought a chunk, as often as it
    /// has. Whoever reads too slowly misses some. None the second time: one listens.
    #[must_use]
    pub fn news(&self) -> Option<mpsc::Receiver<u64>> {
        let (sender, receiver) = mpsc::channel(NEWS_MAX);
        self.news.set(sender).is_ok().then_some(receiver)
    }

    /// Tells that a submission is new, or that some of it came.
    pub fn tell(&self, seq: u64) {
        if let Some(news) = self.news.get()
            && news.try_send(seq).is_err()
        {
            tracing::debug!(seq, "nobody listens for what came");
        }
    }

    /// The first submission of a blob; none if the chain has none. Every submission of a blob is
    /// complete when one is: chunks are kept by root.
    ///
    /// # Errors
    /// The book's.
    pub fn submission_of(&self, root: Hash32) -> Result<Option<Submission>, BookError> {
        match self.book.by_root(root, 0, 1)?.first() {
            Some(seq) => self.book.submission(*seq),
            None => Ok(None),
        }
    }

    /// To be called after the book has got new submissions: their chunks that are here already go to
    /// the store. What cannot be stored is dropped with a word in the log: the client, who is never
    /// told that its blob is complete, sends it again.
    pub async fn submitted(&self) {
        let waiting = {
            let mut cache = self.cache.lock();
            cache.forget_old(Instant::now());
            cache.roots()
        };
        for root in waiting {
            match self.submission_of(root) {
                Ok(Some(submission)) => intake::flush(self, &submission).await,
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the flow's book cannot be read"),
            }
        }
    }
}
