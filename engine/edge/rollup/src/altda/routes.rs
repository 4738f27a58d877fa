//! The routes. See the table of [`super`].

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Extension, Path, Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use lode_proofs::Hash32;
use sha3::{Digest as _, Keccak256};
use tokio::task::spawn_blocking;

use super::{AltDa, KECCAK_LEN_MAX, NAME, commitment::Commitment};
use crate::{
    availability::{Availability, BLOB_LEN_MAX, GetError, PostError, Posted},
    handle::Handle,
    post::{self, NotPosted},
    problem::{self, Problem},
    read,
    server::turn::Turn,
};

pub fn router<A: Availability>(alt_da: AltDa<A>) -> Router {
    Router::new()
        .route("/put", post(put).put(put))
        .route("/put/", post(put).put(put))
        .route("/put/{commitment}", post(put_known).put(put_known))
        .route("/get/{commitment}", get(give))
        .route("/health", get(|| async {}))
        .with_state(Arc::new(alt_da))
}

/// `POST /put`
async fn put<A: Availability>(
    State(alt_da): State<Arc<AltDa<A>>>,
    request: Request,
) -> Result<Response, Problem> {
    let blob = body(request.into_body(), most(BLOB_LEN_MAX)).await?;
    let posted = alt_da.post(blob).await?;
    Ok(raw(Commitment::Place(posted.handle()).encode().into()))
}

/// `POST /put/0x00…`
async fn put_known<A: Availability>(
    State(alt_da): State<Arc<AltDa<A>>>,
    Path(text): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let bytes = hex(&text)?;
    let commitment = Commitment::decode(&bytes).map_err(bad)?;
    let Commitment::Keccak(hash) = commitment else {
        return Err(bad("a commitment of the DA layer is its own to make"));
    };
    let blob = body(request.into_body(), KECCAK_LEN_MAX).await?;
    if keccak(&blob) != hash {
        return Err(bad("the body has another keccak256"));
    }
    let posted = alt_da.post(blob).await?;
    let keccaks = Arc::clone(&alt_da.keccaks);
    let kept = spawn_blocking(move || keccaks.put(hash, &posted.handle(), posted.expiry)).await;
    // A disk that refuses is no fault of the blob: the batcher has elsewhere to go.
    let down = |why: String| {
        tracing::error!(%why, "a keccak hash was not kept");
        Problem::new(problem::DOWN, why)
    };
    kept.map_err(|error| down(error.to_string()))?
        .map_err(|error| down(error.to_string()))?;
    Ok(raw(Bytes::new()))
}

/// `GET /get/0x…`
async fn give<A: Availability>(
    State(alt_da): State<Arc<AltDa<A>>>,
    Path(text): Path<String>,
    Extension(turn): Extension<Turn>,
) -> Result<Response, Problem> {
    let bytes = hex(&text)?;
    let commitment = Commitment::decode(&bytes);
    let commitment =
        commitment.map_err(|error| Problem::new(problem::FORGED, error.to_string()))?;
    let handle = match commitment {
        Commitment::Place(handle) => handle,
        Commitment::Keccak(hash) => alt_da.place_of(hash).await?,
    };
    let posted = read::find(&alt_da.availability, handle).await?;
    let grown = turn.grow(posted.len).await;
    grown.map_err(|busy| Problem::new(problem::BUSY, busy.to_string()))?;
    let whole = read::whole_of(&alt_da.availability, handle, posted.root, posted.len).await?;
    Ok(raw(whole))
}

impl<A: Availability> AltDa<A> {
    async fn post(&self, blob: Bytes) -> Result<Arc<Posted>, Problem> {
        let posted = post::post(&self.availability, &self.terms, blob, (&self.meter, NAME)).await;
        posted.map_err(Problem::from)
    }

    async fn place_of(&self, hash: Hash32) -> Result<Handle, Problem> {
        let keccaks = Arc::clone(&self.keccaks);
        let found = spawn_blocking(move || keccaks.get(hash)).await;
        let broken = |why: String| {
            tracing::error!(%why, "a keccak hash was not looked up");
            Problem::new(problem::INTERNAL, why)
        };
        let found = found
            .map_err(|error| broken(error.to_string()))?
            .map_err(|error| broken(error.to_string()))?;
        found.ok_or_else(|| GetError::NotFound.into())
    }
}

fn most(len: u64) -> usize {
    usize::try_from(len).expect("64-bit")
}

fn bad(why: impl ToString) -> Problem {
    Problem::new(problem::BAD_REQUEST, why.to_string())
}

/// `0x` and hex digits, as clients write commitments.
fn hex(text: &str) -> Result<Vec<u8>, Problem> {
    let digits = text.strip_prefix("0x");
    let digits = digits.ok_or_else(|| bad("a commitment begins with 0x"))?;
    // The decoder takes a second prefix.
    if digits.starts_with("0x") {
        return Err(bad("a commitment is 0x and hex digits"));
    }
    const_hex::decode(digits).map_err(bad)
}

/// The whole body, if it is no longer.
async fn body(body: Body, most: usize) -> Result<Bytes, Problem> {
    let read = to_bytes(body, most).await;
    // What the gate has cut it answers itself, so what is left is the length.
    let blob = read.map_err(|_| {
        let why = format!("{most} bytes are the most");
        Problem::new(problem::LONG_BODY, why)
    })?;
    if blob.is_empty() {
        return Err(NotPosted::from(PostError::Empty).into());
    }
    Ok(blob)
}

fn keccak(bytes: &[u8]) -> Hash32 {
    Hash32(Keccak256::digest(bytes).into())
}

fn raw(bytes: Bytes) -> Response {
    let kind = HeaderValue::from_static("application/octet-stream");
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}
