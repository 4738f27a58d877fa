//! Answers: small ones whole, blobs piece by piece straight from the reader's memory.
//!
//! A blob is sent in windows: each takes credit for what its reader may hold, reads ahead, and
//! gives the credit back. While credit is scarce, windows shrink to single pieces, so that many
//! slow downloads share a small budget in turn.

use core::{
    future::Future,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use std::rc::Rc;

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{self, HeaderValue},
};
use lode_engine::{
    Error, PieceOf, Root,
    store::{Reader, Store},
};
use lode_world::World;
use serde::Serialize;

use crate::{
    credit::{Credit, Permit},
    meter::{Door, Meter},
    problem::Problem,
    watch::{Guest, Phase},
};

/// Bytes of a window. Long enough that starting a reader costs nothing beside it.
const WINDOW_LEN: u64 = 16 * 1024 * 1024;

/// Bytes that a reader and the connection may hold at once: its read-ahead and the piece that is
/// being sent.
const HELD_LEN: u64 = 5 * held(CHUNK);

/// Credit for the first piece of a range.
pub(crate) fn first_cost(range: &Range<u64>) -> u64 {
    held(CHUNK.min(range.end - range.start))
}

/// Memory of a piece of `len` bytes: the pages that hold them, and the first of them once more where
/// they are too many for one write (see [`lode_engine::Piece`]).
const fn held(len: u64) -> u64 {
    len + len / 7 + 2 * 4096
}

/// Why the bytes of a blob stopped. The client sees a body that ends before its length.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// The store stopped.
    #[error("{0}")]
    Store(Error),
    /// The blob was deleted while it was being sent.
    #[error("the blob was deleted while it was being sent")]
    Deleted,
}

/// The body of an answer.
pub(crate) enum Reply<W: World> {
    /// All there is.
    Whole(Option<Bytes>),
    /// Bytes of a blob.
    Blob(Sending<W>),
}

/// A blob on its way out.
pub(crate) struct Sending<W: World> {
    left: u64,
    step: Step<W>,
}

type Read<W> = Result<PieceOf<W>, Stopped>;
type Next<W> = Pin<Box<dyn Future<Output = (Box<Source<W>>, Option<Read<W>>)>>>;

enum Step<W: World> {
    /// The first piece, read before the head was sent, and what follows.
    Ready(PieceOf<W>, Box<Source<W>>),
    Reading(Next<W>),
    Over,
}

/// Where the pieces of a reply come from.
pub(crate) struct Source<W: World> {
    store: Store<W>,
    credit: Rc<Credit>,
    guest: Rc<Guest>,
    root: Root,
    /// Bytes that are still to be read.
    range: Range<u64>,
    /// For what is read and not sent; none between two windows.
    permit: Option<Permit>,
    /// The window's reader, and where the window ends.
    window: Option<(Reader<W>, u64)>,
}

impl<W: World> Source<W> {
    /// Reads a range (not empty, within the blob) with credit for its beginning.
    pub fn new(
        store: Store<W>,
        credit: Rc<Credit>,
        root: Root,
        range: Range<u64>,
        permit: Permit,
    ) -> Self {
        let (guest, permit) = (permit.guest().clone(), Some(permit));
        Source {
            store,
            credit,
            guest,
            root,
            range,
            permit,
            window: None,
        }
    }

    /// The piece up to the end of its chunk: one look-up and one read, which is all there is to
    /// most requests.
    pub async fn one_piece(&mut self) -> Read<W> {
        let (chunk, from) = (self.range.start / CHUNK, self.range.start % CHUNK);
        let to = CHUNK.min(from + (self.range.end - self.range.start));
        let within = index(from)..index(to);
        let read = self.store.read_chunk(self.root, chunk, within).await;
        let piece = read.map_err(Stopped::Store)?.ok_or(Stopped::Deleted)?;
        self.range.start += to - from;
        Ok(piece)
    }

    /// The next piece; none at the end of the range.
    async fn next(&mut self) -> Option<Read<W>> {
        while !self.range.is_empty() {
            let Some((reader, end)) = &mut self.window else {
                match self.open().await {
                    Ok(Some(piece)) => return Some(Ok(piece)),
                    Ok(None) => continue,
                    Err(stopped) => return Some(Err(stopped)),
                }
            };
            match reader.next().await {
                Some(Ok(piece)) => {
                    self.range.start += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    return Some(Ok(piece));
                }
                Some(Err(error)) => return Some(Err(Stopped::Store(error))),
                // A window that ends early would be a bug of the store; never send less silently.
                None if self.range.start != *end => return Some(Err(Stopped::Deleted)),
                None => self.window = None,
            }
        }
        None
    }

    /// Opens the window that begins here. While credit is scarce there are no windows: one piece
    /// at a time, each with credit of its own, so that many clients share what there is.
    async fn open(&mut self) -> Result<Option<PieceOf<W>>, Stopped> {
        let left = self.range.end - self.range.start;
        let sent = self.permit.take();
        if self.credit.is_scarce() {
            // Nobody waits for credit while holding some, or holds bytes without any.
            if let Some(sent) = sent {
                self.guest.hold_until_flushed(sent);
            }
            self.guest.until_flushed().await;
            self.permit = Some(self.credit.take(first_cost(&self.range), &self.guest).await);
            return self.one_piece().await.map(Some);
        }
        self.permit = Some(
            self.credit
                .take(held(left).min(HELD_LEN), &self.guest)
                .await,
        );
        if let Some(sent) = sent {
            self.guest.hold_until_flushed(sent);
        }
        let end = self
            .range
            .end
            .min(self.range.start.saturating_add(WINDOW_LEN));
        let reader = self.store.read(self.root, self.range.start..end).await;
        let reader = reader.map_err(Stopped::Store)?.ok_or(Stopped::Deleted)?;
        self.window = Some((reader, end));
        Ok(None)
    }
}

/// Bytes of a chunk.
const CHUNK: u64 = 256 * 1024;
const _: () = assert!(lode_proofs::CHUNK_LEN == 256 * 1024, "both name one length");

fn index(at: u64) -> usize {
    usize::try_from(at).expect("at most a chunk")
}

impl<W: World> Sending<W> {
    /// Sends `first`, then what `source` still has.
    pub fn new(first: PieceOf<W>, source: Source<W>) -> Self {
        let more = source.range.end - source.range.start;
        let left = u64::try_from(first.len())
            .unwrap_or(u64::MAX)
            .saturating_add(more);
        Sending {
            left,
            step: Step::Ready(first, Box::new(source)),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Read<W>>> {
        let (source, piece) = match core::mem::replace(&mut self.step, Step::Over) {
            Step::Over => return Poll::Ready(None),
            Step::Ready(first, source) => (source, Some(Ok(first))),
            Step::Reading(mut next) => match next.as_mut().poll(context) {
                Poll::Pending => {
                    self.step = Step::Reading(next);
                    return Poll::Pending;
                }
                Poll::Ready(done) => done,
            },
        };
        if let Some(Ok(piece)) = &piece {
            let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.left = self.left.saturating_sub(len);
            if self.left > 0 {
                self.step = Step::Reading(Box::pin(following(source)));
            } else if let Some(permit) = source.permit {
                // hyper lets go of the body now, but holds the last piece until it is written.
                permit.guest().clone().hold_until_flushed(permit);
            }
        }
        Poll::Ready(piece)
    }
}

async fn following<W: World>(mut source: Box<Source<W>>) -> (Box<Source<W>>, Option<Read<W>>) {
    let piece = source.next().await;
    (source, piece)
}

/// What is told to the meter and the watch when an answer is over, however it ends.
pub(crate) struct Finish<W: World> {
    pub world: W,
    pub guest: Rc<Guest>,
    pub meter: std::sync::Arc<Meter>,
    pub door: Door,
    pub began: Duration,
    pub status: u16,
    pub sent: u64,
}

impl<W: World> Drop for Finish<W> {
    fn drop(&mut self) {
        let now = self.world.now();
        let span = now.saturating_sub(self.began);
        self.meter.request(self.door, self.status, span, self.sent);
        self.guest.enter(Phase::Idle, now);
    }
}

/// A reply and its finish: what hyper gets.
pub(crate) struct Answer<W: World> {
    pub reply: Reply<W>,
    pub finish: Finish<W>,
}

// What is polled in it is boxed.
impl<W: World> Unpin for Answer<W> {}

impl<W: World> Body for Answer<W> {
    type Data = PieceOf<W>;
    type Error = Stopped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<PieceOf<W>>, Stopped>>> {
        let piece = match &mut self.reply {
            Reply::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(bytes.into()))),
            Reply::Blob(sending) => sending.poll_next(context),
        };
        match &piece {
            Poll::Ready(Some(Ok(piece))) => {
                self.finish.sent += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            }
            Poll::Ready(Some(Err(stopped))) => {
                // The head is out: nothing but a broken body can tell the client now.
                tracing::error!(error = %stopped, "a reply was cut off");
                self.finish.status = 500;
            }
            _ => {}
        }
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.reply {
            Reply::Whole(bytes) => bytes.is_none(),
            Reply::Blob(sending) => sending.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let left = match &self.reply {
            Reply::Whole(bytes) => bytes.as_ref().map_or(0, Bytes::len),
            Reply::Blob(sending) => return SizeHint::with_exact(sending.left),
        };
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

/// An answer without a body.
pub(crate) fn empty<W: World>(status: StatusCode) -> Response<Reply<W>> {
    whole(status, None)
}

/// An answer whose body is all here.
pub(crate) fn whole<W: World>(status: StatusCode, body: Option<Bytes>) -> Response<Reply<W>> {
    let mut response = Response::new(Reply::Whole(body));
    *response.status_mut() = status;
    response
}

/// An answer in JSON.
pub(crate) fn json<W: World>(status: StatusCode, value: &impl Serialize) -> Response<Reply<W>> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = whole(status, Some(body.into()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A problem as an answer.
pub(crate) fn refusal<W: World>(problem: &Problem) -> Response<Reply<W>> {
    let mut response = whole(problem.status(), Some(problem.to_json().into()));
    problem.fill(response.headers_mut());
    response
}
