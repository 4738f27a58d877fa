//! All bytes of a blob, or a range of them, in order, a few chunks ahead of the client.
//!
//! ```text
//!  steps ──► fetch, fetch, fetch … ──► in order ──► body ──► socket
//!        └── credit: read-ahead + 2 ◄── given back when the socket has taken the bytes ──┘
//! ```
//!
//! **Bound.** A chunk takes its credit before it is asked for, and holds it until its last byte went to
//! the socket. So a download has at most read-ahead + 2 chunks in memory: those ahead, one in the body's
//! queue, one in the connection's buffer; and at most read-ahead + 2 answers as text on their way.
//! A client that stops taking bytes stops the fetches, and is cut off after a time.
//!
//! The first chunk is here before the answer's head is sent, so that a blob that cannot be had is an
//! error with a status. What goes wrong later ends the connection before the declared length.

use core::{ops::Range, time::Duration};
use std::{collections::VecDeque, io, sync::Arc};

use bytes::Bytes;
use lode_proofs::CHUNK_LEN;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    fetch::{Missing, Source},
    gateway::meters::{Held, Meters},
};

/// Bytes of a chunk.
const CHUNK: u64 = 262_144;
const _: () = assert!(CHUNK_LEN == 262_144, "offsets below are counted in these");
/// Chunks of a download that are not ahead: in the body's queue, and in the connection's buffer.
const BEHIND: usize = 2;

/// What a client downloads: blobs one after the other, as one run of bytes.
#[derive(Clone, Debug)]
pub struct Content {
    parts: Arc<[Source]>,
    size: u64,
}

/// How a download goes about it.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Chunks ahead of the client.
    pub read_ahead: usize,
    /// Time in which the client must take one chunk.
    pub client_chunk_max: Duration,
    /// Where chunks are counted.
    pub meters: Arc<Meters>,
}

/// The bytes, as they come.
pub type Stream = ReceiverStream<io::Result<Bytes>>;

impl Content {
    /// Of these blobs.
    #[must_use]
    pub fn new(parts: Vec<Source>) -> Content {
        let size = parts.iter().map(|part| part.blob().shape.size());
        Content {
            size: size.fold(0, u64::saturating_add),
            parts: parts.into(),
        }
    }

    /// Bytes in all.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The blobs.
    #[must_use]
    pub fn parts(&self) -> &[Source] {
        &self.parts
    }

    /// Begins to send `range`, which lies within the size and is not empty. `turn` is given back at the
    /// end.
    ///
    /// # Errors
    /// [`Missing`], if the first chunk cannot be had.
    pub async fn send(
        self,
        range: Range<u64>,
        pace: Pace,
        turn: OwnedSemaphorePermit,
    ) -> Result<Stream, Missing> {
        let mut pump = Pump {
            steps: Steps::new(&self, range),
            content: self,
            ahead: VecDeque::new(),
            credit: Arc::new(Semaphore::new(pace.read_ahead.max(1) + BEHIND)),
            meters: Arc::clone(&pace.meters),
        };
        let first = match pump.next().await {
            Some(first) => Some(first?),
            None => None,
        };
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let _turn = turn;
            pump.run(first, &sender, &pace).await;
        });
        Ok(ReceiverStream::new(receiver))
    }

    /// All bytes at once, for what is read as a whole.
    ///
    /// # Errors
    /// [`Missing`].
    pub async fn read(self, pace: &Pace) -> Result<Vec<u8>, Missing> {
        let mut pump = Pump {
            steps: Steps::new(&self, 0..self.size),
            content: self,
            ahead: VecDeque::new(),
            credit: Arc::new(Semaphore::new(pace.read_ahead.max(1))),
            meters: Arc::clone(&pace.meters),
        };
        let mut bytes = Vec::new();
        while let Some(piece) = pump.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    }
}

/// One chunk, and what is wanted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    part: usize,
    index: u64,
    bytes: Range<usize>,
}

/// The chunks of a range, in order. Takes no memory by the length of the range.
#[derive(Debug)]
struct Steps {
    sizes: Vec<u64>,
    part: usize,
    /// Bytes before this part.
    before: u64,
    at: u64,
    end: u64,
}

impl Steps {
    fn new(content: &Content, range: Range<u64>) -> Steps {
        let sizes = content.parts.iter().map(|part| part.blob().shape.size());
        Steps {
            sizes: sizes.collect(),
            part: 0,
            before: 0,
            at: range.start,
            end: range.end,
        }
    }

    fn is_done(&self) -> bool {
        self.at >= self.end
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.is_done() {
            return None;
        }
        let mut size = *self.sizes.get(self.part)?;
        while self.at - self.before >= size {
            self.before += size;
            self.part += 1;
            size = *self.sizes.get(self.part)?;
        }
        let offset = self.at - self.before;
        let index = offset / CHUNK;
        let chunk_end = (index + 1).saturating_mul(CHUNK).min(size);
        let end = chunk_end.min(self.end - self.before);
        let within = |offset: u64| usize::try_from(offset - index * CHUNK).expect("within a chunk");
        let step = Step {
            part: self.part,
            index,
            bytes: within(offset)..within(end),
        };
        self.at = self.before + end;
        Some(step)
    }
}

struct Pump {
    content: Content,
    steps: Steps,
    ahead: VecDeque<AbortOnDropHandle<Result<Bytes, Missing>>>,
    credit: Arc<Semaphore>,
    meters: Arc<Meters>,
}

impl Pump {
    /// The next piece; fetches those behind it as far as the credit goes.
    async fn next(&mut self) -> Option<Result<Bytes, Missing>> {
        loop {
            let more = !self.steps.is_done();
            let waits = !self.ahead.is_empty();
            if !more && !waits {
                return None;
            }
            tokio::select! {
                biased;
                credit = Arc::clone(&self.credit).acquire_owned(), if more => {
                    self.begin(credit.expect("the credit is never closed"));
                }
                piece = front(&mut self.ahead), if waits => {
                    self.ahead.pop_front();
                    return Some(piece);
                }
            }
        }
    }

    fn begin(&mut self, credit: OwnedSemaphorePermit) {
        let Some(step) = self.steps.next() else {
            return;
        };
        let parts = Arc::clone(&self.content.parts);
        let held = Held::new(Arc::clone(&self.meters), credit);
        let fetch = tokio::spawn(async move {
            let chunk = parts[step.part].chunk(step.index).await?;
            Ok(held.keep(chunk.slice(step.bytes)))
        });
        self.ahead.push_back(AbortOnDropHandle::new(fetch));
    }

    /// Hands over piece after piece until the end, or until the client is gone.
    async fn run(
        mut self,
        first: Option<Bytes>,
        sender: &mpsc::Sender<io::Result<Bytes>>,
        pace: &Pace,
    ) {
        let mut piece = first.map(Ok);
        while let Some(next) = piece {
            let failed = next.is_err();
            match &next {
                Ok(bytes) => self.meters.sent(bytes.len()),
                Err(error) => tracing::warn!(%error, "a download ends early"),
            }
            let sent = sender.send(next.map_err(io::Error::other));
            match timeout(pace.client_chunk_max, sent).await {
                Ok(Ok(())) if !failed => {}
                Ok(_) => return,
                // The queue is full, so nothing can be said. The body ends before the length that was
                // declared, and the connection with it.
                Err(_) => {
                    tracing::debug!("a client takes its bytes too slowly");
                    return;
                }
            }
            piece = tokio::select! {
                piece = self.next() => piece,
                () = sender.closed() => return,
            };
        }
    }
}

async fn front(
    ahead: &mut VecDeque<AbortOnDropHandle<Result<Bytes, Missing>>>,
) -> Result<Bytes, Missing> {
    let front = ahead.front_mut().expect("asked only while there is one");
    front
        .await
        .expect("a fetch neither panics nor is cut short")
}
