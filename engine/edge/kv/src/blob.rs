//! A submission's bytes, chunk by chunk from a feed, for who decodes them.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use lode_proofs::{CHUNK_LEN, SECTOR_LEN};
use lode_wire::cipher::{CipherError, Keys};
use tokio::{runtime::Handle, sync::watch, task::JoinHandle};

use crate::{
    feed::{Feed, FeedError, Submission},
    sealed::{self, Opening},
    stream::Source,
};

const CHUNK: u64 = 262_144;
const SECTOR: u64 = 256;
const _: () = assert!(CHUNK_LEN == 262_144 && SECTOR_LEN == 256);

/// Why bytes are not here.
#[derive(Debug, thiserror::Error)]
pub enum Absent {
    /// They are not there yet.
    #[error("the bytes are not there yet")]
    Missing,
    /// The feed failed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The node stops.
    #[error("the node stops")]
    Stopped,
}

/// Asks a feed, and waits for it: for a while, and while the node runs.
pub(crate) struct Asking<F> {
    pub(crate) feed: Arc<F>,
    pub(crate) runtime: Handle,
    pub(crate) stop: watch::Receiver<bool>,
    /// How long the feed may take for an answer.
    pub(crate) wait: Duration,
}

impl<F> Clone for Asking<F> {
    fn clone(&self) -> Self {
        Asking {
            feed: Arc::clone(&self.feed),
            runtime: self.runtime.clone(),
            stop: self.stop.clone(),
            wait: self.wait,
        }
    }
}

impl<F: Feed> Asking<F> {
    /// The answer, or why there is none.
    pub(crate) async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, FeedError>>,
    ) -> Result<T, Absent> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            // An error says that whoever would stop this is gone: the same.
            _ = stop.wait_for(|stopped| *stopped) => Err(Absent::Stopped),
            answer = tokio::time::timeout(self.wait, asked) => match answer {
                Ok(answer) => Ok(answer?),
                Err(_) => {
                    let seconds = self.wait.as_secs();
                    let message = format!("no answer for {seconds} s");
                    Err(FeedError::Unreachable(message).into())
                }
            },
        }
    }

    /// Chunk `index` of a blob as whole sectors, the last filled with zeros.
    pub(crate) async fn sectors(&self, of: &Submission, index: u64) -> Result<Bytes, Absent> {
        let chunk = self.answer(self.feed.chunk(of, index)).await?;
        let chunk = chunk.ok_or(Absent::Missing)?;
        let want = of
            .size
            .saturating_sub(index.saturating_mul(CHUNK))
            .min(CHUNK);
        if u64::try_from(chunk.len()).ok() != Some(want) {
            let message = format!("{} bytes of {want} of a chunk", chunk.len());
            return Err(FeedError::Senseless(message).into());
        }
        if chunk.len() % SECTOR_LEN == 0 {
            return Ok(chunk);
        }
        let mut filled = BytesMut::from(chunk);
        filled.resize(filled.len().next_multiple_of(SECTOR_LEN), 0);
        Ok(filled.freeze())
    }
}

/// A task that ends with who waits for it.
pub(crate) struct Aborting<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why bytes cannot be read.
pub(crate) enum Closed {
    /// They are not here.
    Absent(Absent),
    /// They are, and no key opens them.
    Sealed(CipherError),
}

/// The bytes of a submission, behind their header where they are encrypted. Keeps the chunk that it was
/// asked for last.
pub(crate) struct Blob<'a, F> {
    asking: &'a Asking<F>,
    of: &'a Submission,
    opening: Opening,
    /// As it is stored, but decrypted.
    hand: Option<(u64, Bytes)>,
}

impl<'a, F: Feed> Blob<'a, F> {
    /// `first` is its first chunk, if that was fetched already.
    pub(crate) fn new(asking: &'a Asking<F>, of: &'a Submission, first: Option<Bytes>) -> Self {
        Blob {
            asking,
            of,
            opening: Opening::default(),
            hand: first.map(|first| (0, first)),
        }
    }

    /// Reads the header, where there are keys. Before anything else is read.
    pub(crate) fn open(&mut self, keys: &Keys) -> Result<(), Closed> {
        if !sealed::are_given(keys) {
            return Ok(());
        }
        let first = match self.of.size {
            0 => Bytes::new(),
            _ => self.stored(0).map_err(Closed::Absent)?,
        };
        self.opening = Opening::by(keys, &first).map_err(Closed::Sealed)?;
        self.hand = Some((0, self.opening.chunk(0, first)));
        Ok(())
    }

    /// How they are opened.
    pub(crate) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// A chunk in hand, or as it is stored.
    fn stored(&mut self, index: u64) -> Result<Bytes, Absent> {
        match self.hand.take() {
            Some((held, chunk)) if held == index => Ok(chunk),
            _ => {
                let asked = self.asking.sectors(self.of, index);
                self.asking.runtime.block_on(asked)
            }
        }
    }

    /// `len` bytes from `at` on, which must be inside.
    pub(crate) fn range(&mut self, at: u64, len: usize) -> Result<Vec<u8>, Absent> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let got = u64::try_from(bytes.len()).expect("usize fits in u64");
            let piece = self.piece(at + got)?;
            bytes.extend_from_slice(&piece[..piece.len().min(len - bytes.len())]);
        }
        Ok(bytes)
    }
}

impl<F: Feed> Source for Blob<'_, F> {
    type Error = Absent;

    fn len(&self) -> u64 {
        let stored = self.of.size.div_ceil(SECTOR).saturating_mul(SECTOR);
        stored.saturating_sub(self.opening.header_len())
    }

    fn piece(&mut self, at: u64) -> Result<Bytes, Absent> {
        let at = at.saturating_add(self.opening.header_len());
        let index = at / CHUNK;
        let chunk = match &self.hand {
            Some((held, chunk)) if *held == index => chunk.clone(),
            _ => {
                let stored = self.stored(index)?;
                let chunk = self.opening.chunk(index, stored);
                self.hand = Some((index, chunk.clone()));
                chunk
            }
        };
        let skip = usize::try_from(at % CHUNK).expect("less than a chunk");
        Ok(chunk.slice(skip..))
    }
}
