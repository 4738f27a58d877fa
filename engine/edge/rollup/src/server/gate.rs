//! The bounds around a face's routes.
//!
//! | refusal | HTTP | in gRPC | when |
//! |---|---|---|---|
//! | too long | 413 | `RESOURCE_EXHAUSTED` | the body is longer than it may be |
//! | busy | 429 | `RESOURCE_EXHAUSTED` | no room in time: come again |
//! | late | 408 | `DEADLINE_EXCEEDED` | the body comes too slowly |
//! | slow | 504 | `DEADLINE_EXCEEDED` | the answer did not begin in time |
//! | broken | 400 | `CANCELLED` | the body ends before its end |
//!
//! None of them is 503: to a rollup's batcher that means to post elsewhere.

use core::time::Duration;
use std::sync::{Arc, OnceLock};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Version, header},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use hyper::body::Body as _;
use tokio::time::{sleep, timeout};

use super::{
    body::{Held, Paced},
    bounds::{Bounds, time_for},
    meter::Meter,
    turn::{Room, Turn},
    visit::Visit,
};

/// Room that every request takes, whatever it carries: its head, tasks and buffers.
const BASE_ROOM: u64 = 32 << 10;

/// Bytes of a body of gRPC that may be more than one message: of those that ask what there is, and how it
/// is.
const STREAM_LEN_MAX: u64 = 64 << 10;

/// Why a request is turned away before a face has seen all of it. See the file's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More bytes than may be sent.
    #[error("the request is longer than it may be")]
    TooLong,
    /// No room in time.
    #[error("too much is under way; come again")]
    Busy,
    /// Bytes come too slowly.
    #[error("the request came too slowly")]
    Late,
    /// The answer did not begin in time.
    #[error("no answer in time")]
    Slow,
    /// The bytes end before they should.
    #[error("the request ended before its end")]
    Broken,
}

impl Refusal {
    /// As a label.
    pub const fn reason(self) -> &'static str {
        match self {
            Refusal::TooLong => "too_long",
            Refusal::Busy => "busy",
            Refusal::Late => "late",
            Refusal::Slow => "slow",
            Refusal::Broken => "broken",
        }
    }

    /// As HTTP says it (RFC 9110, 15.5; RFC 6585, 4).
    pub const fn status(self) -> u16 {
        match self {
            Refusal::TooLong => 413,
            Refusal::Busy => 429,
            Refusal::Late => 408,
            Refusal::Slow => 504,
            Refusal::Broken => 400,
        }
    }
}

/// See the file's head.
#[derive(Clone)]
pub struct Gate {
    /// Whose.
    pub face: &'static str,
    /// Its bounds.
    pub bounds: Arc<Bounds>,
    /// Its memory.
    pub room: Room,
    /// Where it is counted.
    pub meter: Meter,
    /// How the face says no.
    pub refuse: fn(Refusal) -> Response,
    /// Bodies are messages of gRPC.
    pub grpc: bool,
}

impl Gate {
    /// For a face.
    pub fn new(
        face: &'static str,
        bounds: Bounds,
        meter: Meter,
        refuse: fn(Refusal) -> Response,
    ) -> Gate {
        Gate {
            face,
            room: Room::new(bounds.room, bounds.wait_max),
            bounds: Arc::new(bounds),
            meter,
            refuse,
            grpc: false,
        }
    }

    async fn admit(&self, request: Request, next: Next) -> Result<Response, Refusal> {
        let bounds = &self.bounds;
        let (mut parts, body) = request.into_parts();
        let fault = Arc::new(OnceLock::new());
        let mut body = Paced {
            head: Bytes::new(),
            left: bounds.body_len_max,
            deadline: Box::pin(sleep(bounds.head_time_max)),
            fault: Arc::clone(&fault),
            meter: self.meter.clone(),
            face: self.face,
            body,
        };
        let len_max = match (body.body.size_hint().exact(), self.grpc) {
            (Some(len), _) => len,
            (None, true) => body.message_len().await?.max(STREAM_LEN_MAX),
            (None, false) => bounds.body_len_max,
        };
        if len_max > bounds.body_len_max {
            return Err(Refusal::TooLong);
        }
        let visit = parts.extensions.get::<Arc<Visit>>();
        let serving = visit.map(Visit::serve);
        let room = BASE_ROOM + len_max * bounds.body_room;
        let turn = Turn::begin(&self.room, room, serving).await;
        let turn = turn.map_err(|_| Refusal::Busy)?;
        parts.extensions.insert(turn.clone());
        body.allow(len_max, time_for(len_max, bounds.body_time_max));
        let answering = next.run(Request::from_parts(parts, Body::new(body)));
        let answered = timeout(bounds.answer_begins_max, answering).await;
        // What the face made of half a body is not what the client should be told.
        if let Some(fault) = fault.get() {
            return Err(*fault);
        }
        let response = answered.map_err(|_| Refusal::Slow)?;
        Ok(self.hold(response, turn))
    }

    /// Binds the room to the answer's bytes.
    fn hold(&self, response: Response, turn: Turn) -> Response {
        let len = response.body().size_hint().exact();
        let most = self.bounds.answer_time_max;
        turn.answered(len.map_or(most, |len| time_for(len, most)));
        let (meter, face) = (self.meter.clone(), self.face);
        response.map(|body| {
            Body::new(Held {
                body,
                turn,
                meter,
                face,
            })
        })
    }
}

/// Around all routes of a face.
pub async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let version = request.version();
    let response = match gate.admit(request, next).await {
        Ok(response) => response,
        Err(refusal) => {
            gate.meter.refused(gate.face, refusal.reason());
            let mut response = (gate.refuse)(refusal);
            // What is left of the request is not read: the connection cannot go on.
            if version <= Version::HTTP_11 {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            response
        }
    };
    gate.meter.request(gate.face, response.status().as_u16());
    response
}

/// Seconds after which who was turned away for lack of room may come again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
