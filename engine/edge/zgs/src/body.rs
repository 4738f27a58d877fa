//! The body of a request while it comes: its first bytes are looked at before there is room for the
//! rest, and the rest must come in time and be no longer than was said.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::meter::{Face, Meter, Reason};

/// Bytes a second that a sender must reach, on the whole. Slower ones would keep others out of the
/// room that they take.
const PACE_MIN: u64 = 64 << 10;

/// Time that every sender has before that counts.
const GRACE: Duration = Duration::from_secs(5);

/// Time that a body of so many bytes may take, at most `most`.
pub fn time_for(len: u64, most: Duration) -> Duration {
    (GRACE + Duration::from_secs(len / PACE_MIN)).min(most)
}

/// Why a body is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The client sends less than [`PACE_MIN`].
    #[error("the request came too slowly")]
    Late,
    /// It sends more than it may.
    #[error("the request is longer than it may be")]
    TooLong,
    /// The connection ended.
    #[error("the request ended before its end")]
    Broken,
}

impl Fault {
    /// As a label.
    pub fn reason(self) -> Reason {
        match self {
            Fault::Late => Reason::Late,
            Fault::TooLong => Reason::TooLong,
            Fault::Broken => Reason::Broken,
        }
    }
}

/// A body that is being read.
pub struct Opened<B> {
    head: Bytes,
    rest: B,
    /// Bytes that may come still.
    left: u64,
    deadline: Pin<Box<Sleep>>,
    fault: Arc<OnceLock<Fault>>,
    meter: Arc<Meter>,
    face: Face,
}

impl<B: Body<Data = Bytes> + Unpin> Opened<B> {
    /// A body of at most `len_max` bytes, of which nothing is read.
    pub fn unread(rest: B, len_max: u64, time: Duration, meter: (&Arc<Meter>, Face)) -> Opened<B> {
        Opened {
            head: Bytes::new(),
            rest,
            left: len_max,
            deadline: Box::pin(sleep(time)),
            fault: Arc::new(OnceLock::new()),
            meter: Arc::clone(meter.0),
            face: meter.1,
        }
    }

    /// Reads until `wanted` bytes are here or the body ends.
    pub async fn look(&mut self, wanted: usize, time: Duration) -> Result<&Bytes, Fault> {
        let reading = async {
            let mut head = BytesMut::new();
            while head.len() < wanted {
                let Some(frame) = self.rest.frame().await else {
                    break;
                };
                let frame = frame.map_err(|_| Fault::Broken)?;
                if let Ok(data) = frame.into_data() {
                    self.take(data.len())?;
                    if head.is_empty() && data.len() >= wanted {
                        return Ok(data);
                    }
                    head.extend_from_slice(&data);
                }
            }
            Ok(head.freeze())
        };
        let read = timeout(time, reading).await;
        self.head = read.map_err(|_| Fault::Late)??;
        Ok(&self.head)
    }

    /// From now on the rest has so much time and may be so long.
    pub fn allow(&mut self, len_max: u64, time: Duration) -> Result<(), Fault> {
        let seen = u64::try_from(self.head.len()).expect("64-bit");
        self.left = len_max.checked_sub(seen).ok_or(Fault::TooLong)?;
        self.deadline.as_mut().reset(Instant::now() + time);
        Ok(())
    }

    /// Where it is said what was wrong, if something was.
    pub fn fault(&self) -> Arc<OnceLock<Fault>> {
        Arc::clone(&self.fault)
    }

    fn take(&mut self, len: usize) -> Result<(), Fault> {
        self.meter.bytes_in(self.face, len);
        let len = u64::try_from(len).expect("64-bit");
        self.left = self.left.checked_sub(len).ok_or(Fault::TooLong)?;
        Ok(())
    }

    /// The first fault counts.
    fn fail(&self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let first = self.fault.get_or_init(|| fault);
        Poll::Ready(Some(Err(*first)))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Opened<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        if let Some(fault) = this.fault.get() {
            return Poll::Ready(Some(Err(*fault)));
        }
        if !this.head.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.head)))));
        }
        let polled = Pin::new(&mut this.rest).poll_frame(context);
        if polled.is_pending() && this.deadline.as_mut().poll(context).is_ready() {
            return this.fail(Fault::Late);
        }
        match ready!(polled) {
            None => Poll::Ready(None),
            Some(Err(_)) => this.fail(Fault::Broken),
            Some(Ok(frame)) => match frame
                .data_ref()
                .map_or(Ok(()), |data| this.take(data.len()))
            {
                Ok(()) => Poll::Ready(Some(Ok(frame))),
                Err(fault) => this.fail(fault),
            },
        }
    }
}
