//! What the kernel rings when it has done something: an eventfd that glommio polls while the
//! executor sleeps. Not the ring itself, since nothing wakes who polls a ring whose completions are
//! deferred (seen on 6.18).

use futures_lite::AsyncRead;
use glommio::net::TcpStream;
use rustix::event::EventfdFlags;
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll},
};

pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(rustix::event::eventfd(0, flags)?))
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Forgets that it rang.
    pub(super) fn reset(&self) {
        // An error: it did not ring.
        let _silent = rustix::io::read(&self.0, &mut [0; 8]);
    }

    /// Hears the next ring, or the one since the last reset.
    ///
    /// # Errors
    /// When there is no descriptor left for it.
    pub(super) fn listen(&self) -> io::Result<Ear> {
        let copy = self.0.try_clone()?;
        // SAFETY: the descriptor is owned and open, and `TcpStream` makes no call that is for
        // sockets alone before it has polled it.
        // JUSTIFICATION: glommio 0.9.0 polls sockets only, and does not look what a socket is. A
        // thread that waits for the bell in its place would cost two switches for each wait.
        Ok(Ear(unsafe { TcpStream::from_raw_fd(copy.into_raw_fd()) }))
    }
}

/// Hears one ring. glommio takes note of what it polls with its next look at the rings.
pub(super) struct Ear(TcpStream);

impl Ear {
    /// Ready when the bell has rung.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // An error, since a bell is no socket; that it is there is what counts.
        let rang = Pin::new(&mut self.0).poll_read(context, &mut [0]);
        rang.map(|_no_socket| ())
    }
}
