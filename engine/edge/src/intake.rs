//! A request body, read one frame at a time, with the clock on the client while we wait for it.

use core::{future::poll_fn, pin::Pin, task::Poll};
use std::rc::Rc;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use lode_world::World;

use crate::{
    meter::{Door, Meter},
    problem::{self, Problem},
    watch::{Guest, Verdict},
};

/// Bytes of an unwanted body that are read so that the connection can be used again.
const DRAIN_LEN: u64 = 256 * 1024;

/// Bytes of a body that are taken before there is credit for it.
const EARLY_LEN: u64 = 16 * 1024;

/// A frame of at least this many bytes is kept as it is, and ends the head start.
const EARLY_FRAME_LEN: usize = 16 * 1024;

/// Why a body did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IntakeError {
    /// Fewer bytes than the limits ask for.
    #[error("the body came too slowly and was given up after {0} bytes")]
    Slow(u64),
    /// The connection or its framing broke.
    #[error("the body ended too early or was malformed, after {0} bytes")]
    Cut(u64),
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let code = match error {
            IntakeError::Slow(_) => problem::SLOW_BODY,
            IntakeError::Cut(_) => problem::CUT_BODY,
        };
        Problem::new(code, error.to_string())
    }
}

/// A request body on its way in.
pub(crate) struct Intake<'a, W> {
    world: &'a W,
    guest: &'a Rc<Guest>,
    meter: &'a Meter,
    door: Door,
    body: Incoming,
    taken: u64,
    /// All of the body has come.
    ended: bool,
    /// Came in before there was credit for the rest: small frames together, then a long one.
    early: Vec<u8>,
    early_long: Option<Bytes>,
}

impl<'a, W: World> Intake<'a, W> {
    pub fn new(
        world: &'a W,
        guest: &'a Rc<Guest>,
        meter: &'a Meter,
        door: Door,
        body: Incoming,
    ) -> Self {
        Intake {
            world,
            guest,
            meter,
            door,
            body,
            taken: 0,
            ended: false,
            early: Vec::new(),
            early_long: None,
        }
    }

    /// Declared length, where the client gave one. Ask before any byte is taken.
    pub fn declared(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Waits for the first [`EARLY_LEN`] bytes, or all if there are fewer, so that a client that
    /// says much and sends little holds no credit.
    pub async fn head_start(&mut self) -> Result<(), IntakeError> {
        while self.taken < EARLY_LEN {
            match self.frame().await? {
                Some(bytes) if bytes.len() >= EARLY_FRAME_LEN => self.early_long = Some(bytes),
                Some(bytes) => self.early.extend_from_slice(&bytes),
                None => break,
            }
        }
        Ok(())
    }

    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, IntakeError> {
        if !self.early.is_empty() {
            return Ok(Some(core::mem::take(&mut self.early).into()));
        }
        match self.early_long.take() {
            Some(bytes) => Ok(Some(bytes)),
            None => self.frame().await,
        }
    }

    /// The next bytes from the connection. Trailers are skipped.
    async fn frame(&mut self) -> Result<Option<Bytes>, IntakeError> {
        loop {
            let frame = poll_fn(|context| {
                if self.guest.verdict() == Verdict::SlowBody {
                    return Poll::Ready(Err(IntakeError::Slow(self.taken)));
                }
                let polled = Pin::new(&mut self.body).poll_frame(context);
                if polled.is_pending() {
                    self.guest.intake.begin(self.world.now());
                }
                polled.map(Ok)
            })
            .await?;
            let Some(frame) = frame else {
                self.guest.intake.end(self.world.now(), 0);
                self.ended = true;
                return Ok(None);
            };
            let frame = frame.map_err(|_| IntakeError::Cut(self.taken))?;
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.taken += len;
            self.guest.intake.end(self.world.now(), len);
            self.meter.took(self.door, len);
            return Ok(Some(bytes));
        }
    }

    /// All of the body, if it has at most `most` bytes.
    pub async fn all(&mut self, most: usize) -> Result<Bytes, Problem> {
        let too_long = || Problem::new(problem::LONG_BODY, format!("at most {most} bytes here"));
        let limit = u64::try_from(most).unwrap_or(u64::MAX);
        if self.declared().is_some_and(|declared| declared > limit) {
            return Err(too_long());
        }
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let mut whole = Vec::new();
        while let Some(more) = self.next().await? {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            if whole.len() + more.len() > most {
                return Err(too_long());
            }
            whole.extend_from_slice(&more);
        }
        if whole.is_empty() && first.len() > most {
            return Err(too_long());
        }
        Ok(if whole.is_empty() {
            first
        } else {
            whole.into()
        })
    }

    /// Reads the rest of a short body away, so that the answer reaches a client that sends before
    /// it listens, on a connection that stays usable. A long rest is left, and so is a body whose
    /// client `asked` whether it is wanted and has not heard yes: false, and the connection has to
    /// end after the answer.
    pub async fn drain(&mut self, asked: bool) -> bool {
        self.early.clear();
        self.early_long = None;
        let end = self.taken + DRAIN_LEN;
        let long = self.declared().is_some_and(|left| left > DRAIN_LEN);
        let unheard = asked && self.taken == 0;
        while !self.is_over() && !long && !unheard && self.taken < end {
            if self.frame().await.is_err() {
                return false;
            }
        }
        self.is_over()
    }

    fn is_over(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}
