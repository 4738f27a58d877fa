//! A request's body while it comes: it must be no longer than it may, and come in its time. And an answer's
//! while it goes, with the room that it takes.

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::{gate::Refusal, meter::Meter, turn::Turn};

/// See the file's head.
pub struct Paced {
    /// What was looked at, and comes first.
    pub head: Bytes,
    pub body: Body,
    /// Bytes that may come still.
    pub left: u64,
    pub deadline: Pin<Box<Sleep>>,
    /// Where it is said what was wrong, if something was.
    pub fault: Arc<OnceLock<Refusal>>,
    pub meter: Meter,
    pub face: &'static str,
}

/// The body is not read to its end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request was not read to its end")]
pub struct Cut;

/// Bytes before a message: whether it is compressed, and its length (gRPC over HTTP/2, "Requests").
const PREFIX_LEN: usize = 5;

impl Paced {
    /// Bytes of a message of gRPC and what is before it: it says so itself. Of one that ends before, what
    /// there is.
    pub async fn message_len(&mut self) -> Result<u64, Refusal> {
        let mut head = BytesMut::new();
        while head.len() < PREFIX_LEN {
            match self.frame().await {
                None => break,
                Some(Err(Cut)) => return Err(*self.fault.get().unwrap_or(&Refusal::Broken)),
                Some(Ok(frame)) => head.extend_from_slice(&frame.into_data().unwrap_or_default()),
            }
        }
        self.head = head.freeze();
        let len = self.head.get(1..PREFIX_LEN);
        let len = len.and_then(|len| len.try_into().ok());
        let len = len.map_or(0, |len| u64::from(u32::from_be_bytes(len)));
        Ok(len + 5)
    }

    /// From now on it has so much time, and may be so long, with what was looked at.
    pub fn allow(&mut self, len_max: u64, time: core::time::Duration) {
        let seen = u64::try_from(self.head.len()).expect("64-bit");
        self.left = len_max.saturating_sub(seen);
        let until: Instant = sleep(time).deadline();
        self.deadline.as_mut().reset(until);
    }

    /// The first fault counts.
    fn fail(&self, fault: Refusal) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.fault.get_or_init(|| fault);
        Poll::Ready(Some(Err(Cut)))
    }
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        if this.fault.get().is_some() {
            return Poll::Ready(Some(Err(Cut)));
        }
        if !this.head.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(core::mem::take(&mut this.head)))));
        }
        let polled = Pin::new(&mut this.body).poll_frame(context);
        // Who sends a byte now and then is late too.
        if this.deadline.as_mut().poll(context).is_ready() && !this.body.is_end_stream() {
            return this.fail(Refusal::Late);
        }
        match ready!(polled) {
            None => Poll::Ready(None),
            Some(Err(_)) => this.fail(Refusal::Broken),
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, Bytes::len);
                this.meter.bytes_in(this.face, len);
                let len = u64::try_from(len).expect("64-bit");
                match this.left.checked_sub(len) {
                    Some(left) => {
                        this.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => this.fail(Refusal::TooLong),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.fault.get().is_none() && self.head.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.head.is_empty() {
            true => self.body.size_hint(),
            false => SizeHint::new(),
        }
    }
}

/// An answer's body: its pieces hold the room until they are fetched. As long as it was.
pub struct Held {
    pub body: Body,
    pub turn: Turn,
    pub meter: Meter,
    pub face: &'static str,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = ready!(Pin::new(&mut this.body).poll_frame(context));
        Poll::Ready(polled.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|bytes| {
                    this.meter.bytes_out(this.face, bytes.len());
                    this.turn.hold(bytes)
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
