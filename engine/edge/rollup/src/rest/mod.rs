//! Our own words over HTTP: blobs in and out, and all that proves them.
//!
//! | path | what |
//! |---|---|
//! | `POST /v1/da/blobs?namespace=…&wait=…&seconds=…` | takes the body in: 202, or 201 at the milestone |
//! | `GET /v1/da/requests/{id}?wait=…&seconds=…` | how far it is |
//! | `GET /v1/da/blobs/{handle}` | the bytes, in ranges if asked; checked before they leave |
//! | `GET /v1/da/blobs/{handle}/info` | where it is, its root, its entry and certificate |
//! | `GET /v1/da/blobs/{handle}/proof?start=…&end=…` | a range under the blob's root ([D-30]) |
//! | `GET /v1/da/containers/{id}/certificate` | [D-25] |
//! | `GET /v1/da/containers/{id}/rows/{row}` | a row, its checksums, their paths ([D-24]) |
//! | `GET /v1/da/containers/{id}/namespaces/{namespace}` | all blobs of a namespace, proven all ([D-22]) |
//! | `GET /v1/da/openapi.json` | this, for machines |
//!
//! A handle is `ID-OFFSET-LENGTH` or `ROOT@EPOCH.QUORUM`; a namespace 58 hex digits, zeros if not given; a
//! milestone `certified`, `settled` or `final`. Evidence is bytes as `lode_proofs::da` encodes them. Errors
//! are [`crate::problem`]s. Every `GET` answers `HEAD` too.

mod json;
pub mod openapi;
pub mod range;
mod routes;

use axum::response::{IntoResponse as _, Response};

use crate::{
    availability::{Availability, BLOB_LEN_MAX},
    problem::{self, Problem},
    server::{
        bounds::Bounds,
        face::Face,
        gate::{Gate, Refusal},
        meter::Meter,
    },
};

pub(crate) const NAME: &str = "rest";

/// A body is there in pieces, and as they are joined.
const BODY_ROOM: u64 = 2;

/// The bounds that the face has unless others are chosen. An answer may wait for a milestone.
#[must_use]
pub fn bounds() -> Bounds {
    Bounds {
        answer_begins_max: core::time::Duration::from_secs(2 * routes::WAIT_MAX_SECS),
        ..Bounds::of(BLOB_LEN_MAX, BODY_ROOM)
    }
}

/// The face.
pub fn face(availability: impl Availability, bounds: Bounds, meter: &Meter) -> Face {
    let gate = Gate::new(NAME, bounds, meter.clone(), refuse);
    let routes = routes::router(availability, meter.clone());
    Face::new(&gate, routes, || {
        Problem::new(problem::UNKNOWN_PATH, "see /v1/da/openapi.json").into_response()
    })
}

fn refuse(refusal: Refusal) -> Response {
    Problem::from(refusal).into_response()
}
