//! JSON-RPC over HTTP: how much of a request is read, when, and what room it and its answer take.
//!
//! | request | bytes, at most | room |
//! |---|---|---|
//! | one call | `request_len_max` | its bytes, or [`ANSWER_LEN`] if that is more |
//! | a batch | [`BATCH_LEN_MAX`] | [`ENTRY_ROOM`] times its bytes, and an answer |
//! | of unknown length | [`CHUNKED_LEN_MAX`] | as many, as above |
//!
//! The answer keeps what it needs of the room until the client has fetched it.

use std::{io, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, body::Incoming, header};
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, HttpRequest, HttpResponse, Methods, Server, ServerConfig,
    ServerHandle, TowerService, stop_channel,
};
use tokio::time::timeout;
use tower::{
    Service as _, ServiceBuilder,
    layer::util::{Identity, Stack},
};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::{
    admission::{Admission, Permit, held_by},
    body::{Fault, Opened, time_for},
    config::Config,
    crowd::Visit,
    meter::{Face, Meter, Reason},
    reception::Clerk,
    token::Token,
};

/// Bytes of the longest answer to one call, but for tags: a chunk as lists of numbers takes at most
/// four characters a byte, one as base64 a third of that.
const ANSWER_LEN: u64 = 1_152 << 10;
const _: () = assert!(ANSWER_LEN > 4 * 262_144 + 2 * 1_024);

/// Bytes of a batch. Clients batch questions, never chunks: 256 of those fit many times over.
const BATCH_LEN_MAX: u64 = 1 << 20;

/// Bytes of memory for each byte of a batch: before a batch is counted, every two bytes of it (`1,`)
/// may become an entry of sixteen, in a list that doubles as it grows.
const ENTRY_ROOM: u64 = 17;

/// Bytes of a request whose head does not say how many follow: it takes room for the most there may
/// be, so that is what a chunk with its proof needs.
const CHUNKED_LEN_MAX: u64 = 1 << 20;

/// RFC 9110, 15.5.2, 15.5.9, 15.5.14 and 15.5.1.
const STRANGER: u16 = 401;
const LATE: u16 = 408;
const TOO_LONG: u16 = 413;
const BROKEN: u16 = 400;

type Called = TowerService<Identity, Stack<CorsLayer, Identity>>;

/// Answers JSON-RPC.
#[derive(Clone)]
pub struct Rpc {
    called: Called,
    bounds: Bounds,
    admission: Admission,
    meter: Arc<Meter>,
    face: Face,
    /// What a client must know.
    token: Option<Arc<Token>>,
    /// Requests are answered for as long as this is here.
    _server: ServerHandle,
}

#[derive(Clone, Copy)]
struct Bounds {
    request_len_max: u64,
    answer_len_max: u64,
    head_time_max: Duration,
    time_max: Duration,
}

impl Rpc {
    /// Answers with these methods.
    ///
    /// # Errors
    /// When an origin is none.
    pub fn new(
        methods: impl Into<Methods>,
        config: &Config,
        origins: &[String],
        room: (&Admission, &Arc<Meter>, Face),
        token: Option<Arc<Token>>,
    ) -> io::Result<Rpc> {
        let settings = ServerConfig::builder()
            .max_request_body_size(config.request_len_max)
            .max_response_body_size(config.answer_len_max)
            // Requests are let in by `Admission`; the server's own count would refuse what can wait.
            .max_connections(u32::MAX)
            .set_batch_request_config(BatchRequestConfig::Limit(config.batch_max))
            .http_only()
            .build();
        let (stop, server) = stop_channel();
        let called = Server::builder()
            .set_config(settings)
            .set_http_middleware(ServiceBuilder::new().layer(cors(origins)?))
            .to_service_builder()
            .build(methods.into(), stop);
        let (admission, meter, face) = room;
        Ok(Rpc {
            called,
            bounds: Bounds {
                request_len_max: config.request_len_max.into(),
                answer_len_max: config.answer_len_max.into(),
                head_time_max: config.head_time_max,
                time_max: config.time_max,
            },
            admission: admission.clone(),
            meter: Arc::clone(meter),
            face,
            token,
            _server: server,
        })
    }

    async fn pass(
        &self,
        request: HttpRequest<Incoming>,
        visit: Arc<Visit>,
    ) -> Result<HttpResponse, Fault> {
        let announced = announced(request.headers())?;
        let len_max = announced.unwrap_or(CHUNKED_LEN_MAX);
        if len_max > self.bounds.request_len_max {
            return Err(Fault::TooLong);
        }
        let (parts, body) = request.into_parts();
        let time = self.bounds.head_time_max;
        let mut body = Opened::unread(body, len_max, time, (&self.meter, self.face));
        let first = body.look(1, time).await?;
        let many = first
            .iter()
            .find(|byte| !byte.is_ascii_whitespace())
            .is_some_and(|byte| *byte == b'[');
        let room = match many {
            true if len_max > BATCH_LEN_MAX => return Err(Fault::TooLong),
            true => len_max * ENTRY_ROOM + self.bounds.answer_len_max,
            false => len_max.max(ANSWER_LEN),
        };
        let permit = self.admission.enter(room).await;
        body.allow(len_max, time_for(len_max, self.bounds.time_max))?;
        let fault = body.fault();
        let mut called = self.called.clone();
        let called = called.call(HttpRequest::from_parts(parts, body));
        let called = timeout(self.bounds.time_max, called).await;
        if let Some(fault) = fault.get() {
            return Err(*fault);
        }
        match called.map_err(|_| Fault::Late)? {
            Ok(response) => Ok(self.seal(response, permit, visit).await),
            Err(error) => {
                tracing::warn!(%error, "a request has no answer");
                Ok(empty(500))
            }
        }
    }

    /// Binds the room that an answer takes to its bytes.
    async fn seal(
        &self,
        response: HttpResponse,
        mut permit: Permit,
        visit: Arc<Visit>,
    ) -> HttpResponse {
        let (parts, body) = response.into_parts();
        let Ok(body) = body.collect().await else {
            return empty(500);
        };
        let bytes = body.to_bytes();
        self.meter.bytes_out(self.face, bytes.len());
        permit.shrink(u64::try_from(bytes.len()).expect("64-bit"));
        let bytes = held_by(bytes, (permit, visit.hold()));
        HttpResponse::from_parts(parts, HttpBody::new(Full::new(bytes)))
    }
}

impl Clerk for Rpc {
    async fn answer(&self, request: HttpRequest<Incoming>, visit: Arc<Visit>) -> HttpResponse {
        self.meter.request(self.face);
        if let Some(token) = &self.token
            && !token.opens(request.headers())
        {
            self.meter.refused(Reason::Stranger);
            return empty(STRANGER);
        }
        match self.pass(request, visit).await {
            Ok(response) => response,
            Err(fault) => {
                self.meter.refused(fault.reason());
                empty(match fault {
                    Fault::Late => LATE,
                    Fault::TooLong => TOO_LONG,
                    Fault::Broken => BROKEN,
                })
            }
        }
    }
}

/// Bytes of the body that follows; none if the head does not say.
fn announced(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(None);
    }
    let Some(len) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(Some(0));
    };
    let len = len.to_str().ok().and_then(|len| len.parse().ok());
    len.map(Some).ok_or(Fault::Broken)
}

fn empty(status: u16) -> HttpResponse {
    let response = HttpResponse::builder().status(status);
    // What is left of the request is not read: the connection cannot go on.
    let response = match status {
        STRANGER | LATE | TOO_LONG | BROKEN => response.header(header::CONNECTION, "close"),
        _ => response,
    };
    response
        .body(HttpBody::empty())
        .expect("a status is enough")
}

/// What browsers are told.
fn cors(origins: &[String]) -> io::Result<CorsLayer> {
    if origins.is_empty() {
        return Ok(CorsLayer::new());
    }
    let layer = CorsLayer::new().allow_methods(Any).allow_headers(Any);
    if origins.iter().any(|origin| origin == "*") {
        return Ok(layer.allow_origin(Any));
    }
    let parsed = origins.iter().map(|origin| origin.parse());
    let parsed: Result<Vec<_>, _> = parsed.collect();
    let list = parsed.map_err(|_| {
        let message = "an origin that may ask is not one, such as https://example.org";
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    Ok(layer.allow_origin(AllowOrigin::list(list)))
}
