//! The tokio side: health, metrics, the API's description, and the operator's requests.
//!
//! It never sees a blob's bytes. Requests come from the shards as letters; what needs the store
//! goes back to a shard as a question.

use core::{net::SocketAddr, time::Duration};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use async_channel::{Receiver, Sender};
use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Extension, Path, Query, RawQuery, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{HeaderMap, StatusCode, header};
use lode_engine::{Error, stats::Stats};
use tokio::sync::oneshot;
use tower::ServiceExt;

use crate::{
    forward::{Letter, Question},
    meter::{Meter, Sum},
    metrics::{self, MoreMetrics, STORE_METRICS},
    openapi,
    path::decode_root,
    problem::{self, Problem},
    query::FormatQuery,
    schema::{Check, EpochState, Ready, Scrubbed},
    settlement::Asker,
};

/// How long the store may take for its counters before it counts as silent.
const STATS_TIME: Duration = Duration::from_secs(2);

/// Bytes of an answer of this side; the longest is the API's description.
const ANSWER_LEN_LIMIT: usize = 4 * 1024 * 1024;

/// The paths and methods served here, as OpenAPI spells them.
pub const DESK_ROUTES: &[(&str, &[&str])] = &[
    ("/healthz", &["GET"]),
    ("/readyz", &["GET"]),
    ("/metrics", &["GET"]),
    ("/openapi.json", &["GET"]),
    ("/v1/stat", &["GET"]),
    ("/v1/scrub", &["POST"]),
    ("/v1/epoch", &["GET", "PUT"]),
];

/// The tokio side of an edge. [`Desk::run`] belongs on a runtime of its own thread.
pub struct Desk {
    pub(crate) letters: Receiver<Letter>,
    pub(crate) questions: Sender<Question>,
    pub(crate) meters: Arc<[Arc<Meter>]>,
    pub(crate) stopping: Arc<AtomicBool>,
    pub(crate) settlement: Option<Asker>,
    pub(crate) storage_rpc: Option<u16>,
    pub(crate) more: Option<Box<MoreMetrics>>,
}

/// What the handlers share.
struct Room {
    settlement: Option<Asker>,
    storage_rpc: Option<u16>,
    more: Option<Box<MoreMetrics>>,
    questions: Sender<Question>,
    meters: Arc<[Arc<Meter>]>,
    stopping: Arc<AtomicBool>,
    scrubbing: AtomicBool,
}

impl Desk {
    /// A desk of a node that settles what it stores.
    #[must_use]
    pub fn with_settlement(self, settlement: Asker) -> Self {
        Desk {
            settlement: Some(settlement),
            ..self
        }
    }

    /// A desk of a node that serves 0G's storage RPC too, on this port: who knows one face of the node
    /// finds the other.
    #[must_use]
    pub fn with_storage_rpc(self, port: u16) -> Self {
        Desk {
            storage_rpc: Some(port),
            ..self
        }
    }

    /// A desk whose `/metrics` has more on it: `more` is called for every page.
    #[must_use]
    pub fn with_metrics(self, more: Box<MoreMetrics>) -> Self {
        Desk {
            more: Some(more),
            ..self
        }
    }

    /// Answers letters until the shards are gone.
    pub async fn run(self) {
        let Desk {
            letters,
            questions,
            meters,
            stopping,
            settlement,
            storage_rpc,
            more,
        } = self;
        let scrubbing = AtomicBool::new(false);
        let router = router(Arc::new(Room {
            questions,
            meters,
            stopping,
            scrubbing,
            settlement,
            storage_rpc,
            more,
        }));
        while let Ok(letter) = letters.recv().await {
            tokio::spawn(answer(router.clone(), letter));
        }
    }
}

fn router(room: Arc<Room>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .route("/openapi.json", get(description))
        .route("/v1/stat", get(stat))
        .route("/v1/scrub", post(scrub))
        .route("/v1/epoch", get(epoch).put(set_epoch))
        .route("/v1/blobs/{root}/anchor", get(anchor))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        // The shards have bounded the body before it came here.
        .layer(DefaultBodyLimit::disable())
        .with_state(room)
}

async fn answer(router: Router, letter: Letter) {
    let Letter {
        mut request,
        peer,
        reply,
    } = letter;
    request.extensions_mut().insert(Peer(peer));
    let response = match router.oneshot(request.map(Body::from)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (parts, body) = response.into_parts();
    let body = http_body_util::Limited::new(body, ANSWER_LEN_LIMIT)
        .collect()
        .await;
    let bytes = body
        .map(|whole| whole.to_bytes())
        .unwrap_or_else(|_| Bytes::new());
    // A client that left meanwhile does not need its answer.
    let _gone = reply
        .send(hyper::Response::from_parts(parts, bytes))
        .is_err();
}

/// Who sent a request.
#[derive(Clone, Copy)]
struct Peer(SocketAddr);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        self.fill(&mut headers);
        (self.status(), headers, self.to_json()).into_response()
    }
}

async fn nothing_here() -> Problem {
    Problem::new(problem::UNKNOWN_PATH, "there is nothing at this path")
}

async fn wrong_method() -> Problem {
    Problem::new(problem::BAD_METHOD, "this path does not know this method")
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn description() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        openapi::json(),
    )
}

impl Room {
    /// The store's counters, or why there are none.
    async fn stats(&self) -> Result<Stats, Problem> {
        let stats = tokio::time::timeout(STATS_TIME, self.ask(Question::Stats)).await;
        let late = |_| Problem::new(problem::SILENT, "the shards did not answer within 2 s");
        stats.map_err(late)?
    }

    /// The answer of a shard, however long it takes.
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Question,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        if self.questions.try_send(question(reply)).is_err() {
            return Err(Problem::new(
                problem::SILENT,
                "the shards take no questions",
            ));
        }
        Ok(answer.await.map_err(|_| Problem::from(Error::Closing))??)
    }

    fn sum(&self) -> Sum {
        Sum::of(self.meters.iter().map(|meter| &**meter))
    }
}

async fn readyz(State(room): State<Arc<Room>>) -> impl IntoResponse {
    let stats = room.stats().await;
    let accepting = !room.stopping.load(Relaxed);
    let check = |name: &str, ok, required, detail: String| Check {
        name: name.to_owned(),
        ok,
        required,
        detail,
    };
    let mut checks = vec![check(
        "accepting",
        accepting,
        true,
        if accepting {
            "requests are taken"
        } else {
            "the node is going down"
        }
        .to_owned(),
    )];
    match &stats {
        Ok(stats) => {
            let blobs = format!("{} blobs, {} bytes", stats.blobs, stats.blob_bytes);
            checks.push(check("store", true, true, blobs));
            let free = format!("{} of {} bytes free", stats.disk_free, stats.disk_total);
            checks.push(check("space", stats.read_only == 0, false, free));
            let found = format!("{} damaged records found since the start", stats.corrupt);
            checks.push(check("records", stats.corrupt == 0, false, found));
        }
        Err(problem) => checks.push(check("store", false, true, problem.detail.clone())),
    }
    let ready = checks.iter().all(|check| check.ok || !check.required);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Ready { ready, checks }))
}

async fn metrics_page(State(room): State<Arc<Room>>) -> Result<impl IntoResponse, Problem> {
    let stats = room.stats().await.ok();
    let page = metrics::encode(stats, room.sum(), room.more.as_deref())
        .map_err(|error| Problem::new(problem::SILENT, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page))
}

/// Among the figures of a node: the port of 0G's storage RPC, if it serves that.
pub const STORAGE_RPC: &str = "storage_rpc_port";

async fn stat(State(room): State<Arc<Room>>) -> Result<impl IntoResponse, Problem> {
    let stats = room.stats().await?;
    let numbers = STORE_METRICS.iter().map(|metric| {
        (
            metric.name.to_owned(),
            serde_json::Value::from((metric.read)(&stats)),
        )
    });
    let faces = room
        .storage_rpc
        .map(|port| (STORAGE_RPC.to_owned(), port.into()));
    Ok(Json(
        numbers.chain(faces).collect::<serde_json::Map<_, _>>(),
    ))
}

/// The query of `/v1/scrub`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ScrubQuery {
    /// Bytes per second and shard; 0: as fast as the disk goes.
    #[serde(default)]
    rate: u64,
}

async fn scrub(
    State(room): State<Arc<Room>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    query: Result<Query<ScrubQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Scrubbed>, Problem> {
    only_operator(peer, &headers)?;
    let Query(ScrubQuery { rate }) =
        query.map_err(|error| Problem::new(problem::BAD_REQUEST, error.body_text()))?;
    if room.scrubbing.swap(true, Relaxed) {
        return Err(Problem::new(
            problem::BUSY,
            "a scrub that was asked for is still running",
        ));
    }
    let scrubbed = scrub_once(&room, rate).await;
    room.scrubbing.store(false, Relaxed);
    scrubbed.map(Json)
}

async fn scrub_once(room: &Room, rate: u64) -> Result<Scrubbed, Problem> {
    let before = room.stats().await?;
    room.ask(|reply| Question::Scrub { rate, reply }).await?;
    let after = room.stats().await?;
    Ok(Scrubbed {
        bytes: after.scrubbed_bytes.saturating_sub(before.scrubbed_bytes),
        corrupt: after.corrupt.saturating_sub(before.corrupt),
    })
}

/// The shards have found the blob before the request came here.
async fn anchor(
    State(room): State<Arc<Room>>,
    Path(root): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let root = decode_root(&root)?;
    let query = FormatQuery::decode(query.as_deref().unwrap_or_default())?;
    let Some(settlement) = &room.settlement else {
        let detail = "this node settles on no chain: what it stores is durable, and not anchored";
        return Err(Problem::new(problem::NO_CHAIN, detail));
    };
    if !query.binary {
        return Ok(Json(settlement.state(root).await?).into_response());
    }
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, settlement.evidence(root).await?).into_response())
}

async fn epoch(State(room): State<Arc<Room>>) -> Result<Json<EpochState>, Problem> {
    let epoch = room.stats().await?.epoch;
    let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
    Ok(Json(EpochState { epoch }))
}

async fn set_epoch(
    State(room): State<Arc<Room>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<EpochState>, Problem> {
    only_operator(peer, &headers)?;
    let EpochState { epoch } = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(problem::BAD_REQUEST, format!("the body: {error}")))?;
    let now = room
        .ask(|reply| Question::SetEpoch { epoch, reply })
        .await?;
    if now > epoch {
        let detail = format!("the store is at epoch {now} and does not go back to {epoch}");
        return Err(Problem::new(problem::PAST_EPOCH, detail));
    }
    tracing::info!(epoch, "the epoch was set");
    Ok(Json(EpochState { epoch }))
}

/// Operators sit on the node's own machine and are no web page: a browser names the page that
/// sends a request, and no page has business here. Nor has whoever comes through a proxy on this
/// machine: proxies say that they are one, unless they are told not to.
fn only_operator(peer: SocketAddr, headers: &HeaderMap) -> Result<(), Problem> {
    let relayed = RELAYED.iter().any(|name| headers.contains_key(*name));
    // A socket for both families shows 127.0.0.1 as ::ffff:127.0.0.1.
    if peer.ip().to_canonical().is_loopback() && !relayed {
        return Ok(());
    }
    let who = if relayed {
        "a relayed request"
    } else {
        "the sender"
    };
    Err(Problem::new(
        problem::FORBIDDEN,
        format!("{who}, from {peer}, is not an operator of this node"),
    ))
}

/// Headers that a browser sends for a page, and a proxy for somebody else.
const RELAYED: [&str; 4] = ["origin", "forwarded", "x-forwarded-for", "via"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a loopback peer that speaks for itself, and for no web page, is an operator.
    #[test]
    fn operators() {
        let none = HeaderMap::new();
        for name in RELAYED {
            let mut relayed = HeaderMap::new();
            relayed.insert(name, "http://evil.example".parse().unwrap());
            let peer = "127.0.0.1:9".parse().unwrap();
            assert!(only_operator(peer, &relayed).is_err(), "{name}");
        }
        for (peer, headers, want) in [
            ("127.0.0.1:9", &none, true),
            ("[::1]:9", &none, true),
            ("[::ffff:127.0.0.1]:9", &none, true),
            ("[::ffff:192.168.1.5]:9", &none, false),
            ("192.168.1.5:9", &none, false),
            ("[2001:db8::1]:9", &none, false),
        ] {
            let peer: SocketAddr = peer.parse().unwrap();
            assert_eq!(only_operator(peer, headers).is_ok(), want, "{peer}");
        }
    }
}
