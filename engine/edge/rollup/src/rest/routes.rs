//! The routes. See the table of [`super`].

use core::time::Duration;
use std::sync::Arc;

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Extension, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use lode_proofs::{
    Hash32,
    da::{Namespace, shape::WIDTH_MAX, table::NAMESPACE_LEN},
};
use serde::Deserialize;

use super::{
    NAME, json, openapi,
    range::{Wanted, wanted},
};
use crate::{
    availability::{
        Availability, BLOB_LEN_MAX, Evidence, Milestone, Posted, RequestId, Status, StatusError,
    },
    handle::Handle,
    post::NotPosted,
    problem::{self, Problem},
    read::{self, RANGE_PROOF_LEN},
    server::{meter::Meter, turn::Turn},
};

/// Seconds that an answer may wait for a milestone.
pub const WAIT_MAX_SECS: u64 = 60;

/// Bytes of the longest sample, less its row; of the longest list of a namespace's blobs, twice as it is
/// made: table and proof.
const SAMPLE_LEN: u64 = 2_048;
const NAMESPACE_LEN_MAX: u64 = 1 << 20;

struct Rest<A> {
    availability: A,
    meter: Meter,
}

type Shared<A> = State<Arc<Rest<A>>>;

pub fn router<A: Availability>(availability: A, meter: Meter) -> Router {
    let rest = Rest {
        availability,
        meter,
    };
    Router::new()
        .route("/v1/da/blobs", post(take))
        .route("/v1/da/requests/{id}", get(status))
        .route("/v1/da/blobs/{handle}", get(bytes))
        .route("/v1/da/blobs/{handle}/info", get(info))
        .route("/v1/da/blobs/{handle}/proof", get(proof))
        .route("/v1/da/containers/{id}/certificate", get(certificate))
        .route("/v1/da/containers/{id}/rows/{row}", get(sample))
        .route(
            "/v1/da/containers/{id}/namespaces/{namespace}",
            get(namespace),
        )
        .route(
            "/v1/da/openapi.json",
            get(|| async { Json(openapi::document()) }),
        )
        .method_not_allowed_fallback(|| async {
            Problem::new(
                problem::BAD_METHOD,
                "the Allow header lists those of this path",
            )
        })
        .with_state(Arc::new(rest))
}

/// What a client waits for.
#[derive(Deserialize)]
struct Wait {
    namespace: Option<String>,
    wait: Option<String>,
    seconds: Option<u64>,
}

impl Wait {
    /// The milestone and the time; none if the client does not wait.
    fn terms(&self) -> Result<Option<(Milestone, Duration)>, Problem> {
        let Some(text) = &self.wait else {
            return Ok(None);
        };
        let milestone =
            json::milestone(text).ok_or_else(|| bad("wait is certified, settled or final"))?;
        let seconds = self.seconds.unwrap_or(WAIT_MAX_SECS).min(WAIT_MAX_SECS);
        Ok(Some((milestone, Duration::from_secs(seconds))))
    }
}

async fn take<A: Availability>(
    State(rest): Shared<A>,
    query: Result<Query<Wait>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(wait) = query.map_err(bad)?;
    let terms = wait.terms()?;
    let namespace = match &wait.namespace {
        Some(text) => namespace_of(text)?,
        None => Namespace([0; NAMESPACE_LEN]),
    };
    let most = usize::try_from(BLOB_LEN_MAX).expect("64-bit");
    let read = to_bytes(request.into_body(), most).await;
    // What the gate has cut it answers itself, so what is left is the length.
    let blob = read.map_err(|error| Problem::new(problem::LONG_BODY, error.to_string()))?;
    let posted = rest.availability.post(namespace, blob).await;
    let posted = posted.map_err(NotPosted::from);
    let outcome = posted
        .as_ref()
        .map_or_else(NotPosted::outcome, |_| "posted");
    rest.meter.posted(NAME, outcome);
    let request = posted?;
    let status = rest.wait(request, terms).await?;
    let reached =
        terms.is_some_and(|(until, _)| matches!(&status, Status::Posted(at, _) if *at >= until));
    let code = match reached {
        true => StatusCode::CREATED,
        false => StatusCode::ACCEPTED,
    };
    let place = match &status {
        Status::Posted(_, posted) if reached => format!("/v1/da/blobs/{}", posted.handle()),
        _ => format!("/v1/da/requests/{request}"),
    };
    let body = Json(json::Request::new(request, &status));
    Ok((code, [(header::LOCATION, place)], body).into_response())
}

async fn status<A: Availability>(
    State(rest): Shared<A>,
    Path(id): Path<String>,
    query: Result<Query<Wait>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(wait) = query.map_err(bad)?;
    let request: RequestId = id.parse().map_err(bad)?;
    let status = rest.wait(request, wait.terms()?).await?;
    Ok(Json(json::Request::new(request, &status)).into_response())
}

impl<A: Availability> Rest<A> {
    async fn wait(
        &self,
        request: RequestId,
        terms: Option<(Milestone, Duration)>,
    ) -> Result<Status, Problem> {
        let status = match terms {
            Some((until, most)) => self.availability.wait(request, until, most).await,
            None => self.availability.status(request).await,
        };
        status.map_err(|error| {
            let code = match error {
                StatusError::Unknown => problem::NOT_FOUND,
                StatusError::Unavailable(_) => problem::DOWN,
            };
            Problem::new(code, error.to_string())
        })
    }

    async fn find(&self, text: &str) -> Result<(Handle, Arc<Posted>), Problem> {
        let handle: Handle = text.parse().map_err(bad)?;
        let posted = read::find(&self.availability, handle).await?;
        Ok((handle, posted))
    }
}

async fn bytes<A: Availability>(
    State(rest): Shared<A>,
    Path(text): Path<String>,
    Extension(turn): Extension<Turn>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (handle, posted) = rest.find(&text).await?;
    let (of, tag) = ((posted.root, posted.len), format!("\"{}\"", posted.root));
    let plain = [
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, tag.clone()),
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        // What is at a place never changes.
        (
            header::CACHE_CONTROL,
            "public, immutable, max-age=31536000".to_owned(),
        ),
    ];
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &header::HeaderValue| value.to_str().ok())
    };
    // A part of another blob is of no use to who has parts of that one (RFC 9110, 13.1.5).
    let same = text(header::IF_RANGE).is_none_or(|known| known == tag);
    match wanted(text(header::RANGE).filter(|_| same), posted.len) {
        Wanted::All => {
            room(&turn, posted.len).await?;
            let whole = read::whole_of(&rest.availability, handle, posted.root, posted.len);
            Ok((plain, whole.await?).into_response())
        }
        Wanted::Part(range) => {
            room(&turn, range.end - range.start + RANGE_PROOF_LEN).await?;
            let (first, last) = (range.start, range.end - 1);
            let part = read::range(&rest.availability, handle, of, range).await?;
            let place = format!("bytes {first}-{last}/{}", posted.len);
            let place = [(header::CONTENT_RANGE, place)];
            Ok((StatusCode::PARTIAL_CONTENT, plain, place, part).into_response())
        }
        Wanted::Nothing => {
            let why = format!("the blob has {} bytes", posted.len);
            let mut response = Problem::new(problem::OUT_OF_RANGE, why).into_response();
            let len = header::HeaderValue::try_from(format!("bytes */{}", posted.len));
            let len = len.expect("digits are a header's value");
            response.headers_mut().insert(header::CONTENT_RANGE, len);
            Ok(response)
        }
    }
}

async fn info<A: Availability>(
    State(rest): Shared<A>,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let (_, posted) = rest.find(&text).await?;
    Ok(Json(json::Blob::new(&posted)).into_response())
}

/// Which bytes are to be proven.
#[derive(Deserialize)]
struct Ends {
    start: u64,
    end: u64,
}

async fn proof<A: Availability>(
    State(rest): Shared<A>,
    Path(text): Path<String>,
    query: Result<Query<Ends>, axum::extract::rejection::QueryRejection>,
    Extension(turn): Extension<Turn>,
) -> Result<Response, Problem> {
    let Query(Ends { start, end }) = query.map_err(bad)?;
    let (handle, posted) = rest.find(&text).await?;
    if start >= end || end > posted.len {
        let why = format!("the blob has {} bytes", posted.len);
        return Err(Problem::new(problem::OUT_OF_RANGE, why));
    }
    room(&turn, end - start + RANGE_PROOF_LEN).await?;
    let of = (posted.root, posted.len);
    let proof = read::range_proof(&rest.availability, handle, of, start..end).await?;
    Ok(raw(proof))
}

async fn certificate<A: Availability>(
    State(rest): Shared<A>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let evidence = Evidence::Certificate(id_of(&id)?);
    Ok(raw(rest.availability.show(evidence).await?))
}

async fn sample<A: Availability>(
    State(rest): Shared<A>,
    Path((id, row)): Path<(String, String)>,
    Extension(turn): Extension<Turn>,
) -> Result<Response, Problem> {
    let row: u16 = row.parse().map_err(bad)?;
    let width = u64::try_from(WIDTH_MAX).expect("64-bit");
    room(&turn, width + SAMPLE_LEN).await?;
    let evidence = Evidence::Sample(id_of(&id)?, row);
    Ok(raw(rest.availability.show(evidence).await?))
}

async fn namespace<A: Availability>(
    State(rest): Shared<A>,
    Path((id, namespace)): Path<(String, String)>,
    Extension(turn): Extension<Turn>,
) -> Result<Response, Problem> {
    room(&turn, NAMESPACE_LEN_MAX).await?;
    let evidence = Evidence::Namespace(id_of(&id)?, namespace_of(&namespace)?);
    Ok(raw(rest.availability.show(evidence).await?))
}

fn bad(why: impl ToString) -> Problem {
    Problem::new(problem::BAD_REQUEST, why.to_string())
}

fn id_of(text: &str) -> Result<Hash32, Problem> {
    text.parse().map_err(bad)
}

fn namespace_of(text: &str) -> Result<Namespace, Problem> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0; NAMESPACE_LEN];
    let whole = digits.len() == 2 * NAMESPACE_LEN;
    let decoded = whole.then(|| const_hex::decode_to_slice(digits, &mut bytes));
    match decoded {
        Some(Ok(())) => Ok(Namespace(bytes)),
        _ => Err(bad("a namespace is 58 hex digits, 0x optional")),
    }
}

async fn room(turn: &Turn, bytes: u64) -> Result<(), Problem> {
    let grown = turn.grow(bytes).await;
    grown.map_err(|busy| Problem::new(problem::BUSY, busy.to_string()))
}

fn raw(bytes: Bytes) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    (kind, bytes).into_response()
}
