//! A world's stream as hyper wants it, noting in the connection's entry who waits for whom.

use core::{
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{io, io::IoSlice, rc::Rc};

use futures_lite::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};
use lode_world::World;

use crate::watch::{Guest, Phase};

/// Bytes read at once. Also the most that one connection may have read and not yet handled.
pub(crate) const READ_LEN: usize = 256 * 1024;

/// Memory that all connections of an executor read into, one at a time, before hyper takes a
/// copy: no memory per connection that waits, and no page of it is ever cleared.
pub(crate) type Scratch = Rc<RefCell<Vec<u8>>>;

/// A connection's stream.
pub(crate) struct Wire<W, S> {
    pub world: W,
    pub stream: S,
    pub guest: Rc<Guest>,
    pub scratch: Scratch,
    /// The client closed its side.
    pub ended: bool,
    /// Status of the answer without a body that hyper gives to what it cannot read as a request,
    /// kept back: nothing of it is sent, so that the connection's end can give it with a body.
    pub kept_back: Option<u16>,
}

// A world is only ever called, never polled in place.
impl<W, S> Unpin for Wire<W, S> {}

impl<W: World, S> Wire<W, S> {
    /// Takes in what hyper says by itself. It writes without us only then; while bytes of an
    /// answer of ours are still unwritten the two cannot be told apart, and both go out as they are.
    fn keep_back(&mut self, bytes: &[u8]) {
        let status = bytes
            .get(9..12)
            .and_then(|digits| str::from_utf8(digits).ok());
        let status = status.and_then(|digits| digits.parse().ok());
        self.kept_back = self.kept_back.or(status).or(Some(400));
    }

    /// Notes the outcome of a write.
    fn wrote(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &outcome {
            Poll::Pending => self.guest.reply.begin(self.world.now()),
            Poll::Ready(Ok(bytes)) => {
                let bytes = u64::try_from(*bytes).unwrap_or(u64::MAX);
                self.guest.reply.end(self.world.now(), bytes);
            }
            Poll::Ready(Err(_)) => {}
        }
        outcome
    }
}

impl<W: World, S: AsyncRead + Unpin> Wire<W, S> {
    /// Reads into the scratch memory and hands the bytes to `take`.
    pub fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
        most: usize,
        take: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        let mut scratch = self.scratch.borrow_mut();
        let most = most.min(scratch.len());
        let read = Pin::new(&mut self.stream).poll_read(context, &mut scratch[..most]);
        let bytes = ready!(read)?;
        if bytes == 0 {
            self.ended = true;
        } else if self.guest.phase() == Phase::Idle {
            self.guest.enter(Phase::Head, self.world.now());
        }
        take(&scratch[..bytes]);
        Poll::Ready(Ok(bytes))
    }
}

impl<W: World, S: AsyncRead + Unpin> Read for Wire<W, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let most = buf.remaining();
        let read = self.poll_bytes(context, most, |bytes| buf.put_slice(bytes));
        read.map_ok(|_| ())
    }
}

impl<W: World, S: AsyncWrite + Unpin> Write for Wire<W, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.guest.is_answering() {
            self.keep_back(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        let outcome = Pin::new(&mut self.stream).poll_write(context, buf);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.guest.is_answering() {
            self.keep_back(bufs.first().map_or(&[], |first| first));
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bufs);
        self.wrote(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.guest.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}
