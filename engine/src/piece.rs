//! Verified bytes of a chunk on their way out: where the disk's read has left them, or in memory of
//! their own.
//!
//! Pages keep 16 of their 4096 bytes for themselves, so what a record holds lies in as many parts as
//! it has pages. A socket takes them all in one call; to put them together first was 7 % of the time of
//! a get of 256 KiB over HTTP: a copy, and what it drives out of the nearest cache.

use std::io::IoSlice;

use bytes::{Buf, Bytes};
use lode_world::{File, World};

use crate::{
    format::page::{PAGE, PAYLOAD},
    pool::ChunkBuf,
};

/// Slices that a piece has at most: with a reply's head they are few enough for one write of
/// hyper's, which takes 64.
pub const SLICES_MAX: usize = 60;

/// Below this many bytes a piece is put together, so that little does not hold much.
const SMALL: usize = 32 << 10;

/// Verified bytes of a chunk. `R`: memory that a read of the disk filled, which the piece holds
/// while it lives.
#[derive(Debug)]
pub struct Piece<R> {
    /// The first bytes.
    front: Bytes,
    /// Those that follow.
    rest: Option<InPages<R>>,
}

/// Bytes `at..end` of what pages hold; `at < end`.
#[derive(Debug)]
struct InPages<R> {
    read: R,
    at: usize,
    end: usize,
}

/// A piece of a file of a world.
pub type PieceOf<W> = Piece<<<W as World>::File as File>::Read>;

impl<R: AsRef<[u8]>> InPages<R> {
    /// The bytes from `at` on that lie in one page.
    fn run(&self, at: usize) -> &[u8] {
        let (page, from) = (at / PAYLOAD, at % PAYLOAD);
        let to = PAYLOAD.min(from + (self.end - at));
        &self.read.as_ref()[page * PAGE + from..page * PAGE + to]
    }

    fn runs(&self) -> impl Iterator<Item = &[u8]> {
        let mut at = self.at;
        std::iter::from_fn(move || {
            let run = (at < self.end).then(|| self.run(at))?;
            at += run.len();
            Some(run)
        })
    }
}

impl<R: AsRef<[u8]>> Piece<R> {
    /// The `len` bytes (at most a chunk) from `start` on of what the pages of `read` hold.
    pub(crate) fn in_pages(read: R, start: usize, len: usize) -> Self {
        let (at, end) = (start, start + len);
        let mut pages = InPages { read, at, end };
        let whole = len < SMALL;
        let slices = end.div_ceil(PAYLOAD) - at / PAYLOAD;
        // The front is a slice as well.
        let gathered = if whole {
            slices
        } else {
            (slices + 1).saturating_sub(SLICES_MAX)
        };
        let mut front = ChunkBuf::with_room(if whole { len } else { gathered * PAYLOAD });
        for run in pages.runs().take(gathered) {
            front.fill(run);
        }
        pages.at += front.bytes().len();
        Piece {
            front: front.share(),
            rest: (pages.at < end).then_some(pages),
        }
    }

    /// Bytes that are left.
    pub fn len(&self) -> usize {
        self.front.len() + self.rest.as_ref().map_or(0, |rest| rest.end - rest.at)
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, put together.
    pub fn into_bytes(self) -> Bytes {
        let Some(rest) = self.rest else {
            return self.front;
        };
        let mut all = ChunkBuf::new();
        all.fill(&self.front);
        for run in rest.runs() {
            all.fill(run);
        }
        all.share()
    }
}

impl<R> From<Bytes> for Piece<R> {
    fn from(front: Bytes) -> Self {
        Piece { front, rest: None }
    }
}

impl<R: AsRef<[u8]>> Buf for Piece<R> {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match &self.rest {
            Some(rest) if self.front.is_empty() => rest.run(rest.at),
            _ => &self.front,
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let front = (!self.front.is_empty()).then_some(&self.front[..]);
        let runs = front
            .into_iter()
            .chain(self.rest.iter().flat_map(InPages::runs));
        slices
            .iter_mut()
            .zip(runs)
            .map(|(slice, run)| *slice = IoSlice::new(run))
            .count()
    }

    fn advance(&mut self, count: usize) {
        let first = count.min(self.front.len());
        self.front.advance(first);
        let later = count - first;
        if later == 0 {
            return;
        }
        let rest = self.rest.as_mut().expect("no more than is left");
        assert!(later <= rest.end - rest.at, "no more than is left");
        rest.at += later;
        if rest.at == rest.end {
            self.rest = None;
        }
    }
}

#[cfg(test)]
#[path = "piece_tests.rs"]
mod tests;
