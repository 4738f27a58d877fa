//! OP-Stack alt-DA: what op-batcher and op-node ask of a DA server (da.md, 1.8; op-alt-da's `daclient.go`
//! and specs/experimental/alt-da.md), raw bytes over HTTP.
//!
//! # Conformance
//!
//! Each row has a test of the same number in `tests/altda.rs`.
//!
//! | | request | answer |
//! |---|---|---|
//! | 1 | `POST /put`, raw bytes | 200 and the commitment, raw bytes (the spec says hex, the client decodes none); only when the certificate exists |
//! | 2 | `POST /put/`, `PUT /put` | the same |
//! | 3 | `POST /put/0x00{keccak256 of the body}` | 200, empty; the way from the hash to the blob is on disk by then |
//! | 4 | the same with another hash than the body's | 400 |
//! | 5 | `POST /put/0x01…` or another kind | 400: a commitment of ours is not for the client to choose |
//! | 6 | `POST /put/…` that is no hex | 400 |
//! | 7 | no bytes | 400 |
//! | 8 | more than [`BLOB_LEN_MAX`], or 130,672 with a hash | 413 |
//! | 9 | too much is queued | 429 and `Retry-After`: come again |
//! | 10 | DA is down, too few holders signed, or no certificate in time | 503: the batcher falls back to L1 |
//! | 11 | `GET /get/0x01…` | 200 and the blob, raw bytes |
//! | 12 | `GET /get/0x00…` | the same, by its hash |
//! | 13 | a commitment that nobody knows, or whose blob is expired | 404 |
//! | 14 | one of a container that has no such blob, of another layer, or of another length | 418: no server will ever know it, derivation drops it |
//! | 15 | no hex, or without `0x` | 400 |
//! | 16 | DA is down on a get | 500: the node asks again |
//! | 17 | `GET /health` | 200 |
//! | 18 | puts side by side | each its own commitment; they share containers |
//! | 19 | any other path | 400: 404 is said of commitments only |
//!
//! Bodies of errors are `application/problem+json`, for people: clients look at the status alone.
//!
//! # Commitments
//!
//! ```text
//!  0x01 | 0x4c | container id 32 | offset 8 | length 4       46 bytes; in a batcher's transaction
//!  0x00 | keccak256 32                                        behind another 0x01
//! ```
//! `0x4c` is an `L`. Layers in use elsewhere are 0x00 (EigenDA), 0x0a (Avail), 0x0c (Celestia) and 0xff
//! (tests); 0x80 and above begin other things in the places where these bytes may come to stand first.
//!
//! Generic commitments bind the bytes: see [`crate::read`], which checks them before they leave.

pub mod commitment;
pub mod keccak_map;

mod routes;

use core::time::Duration;
use std::sync::Arc;

use lode_proofs::da::Namespace;

use crate::{
    availability::{Availability, BLOB_LEN_MAX, Milestone},
    post::Terms,
    server::{
        bounds::Bounds,
        face::{Face, plain},
        gate::{Gate, Refusal},
        meter::Meter,
    },
};
use keccak_map::KeccakMap;

/// Bytes of a blob that is known by its keccak256: more would not fit a challenge on L1
/// (specs/experimental/alt-da.md, `MAX_INPUT_SIZE`).
pub const KECCAK_LEN_MAX: usize = 130_672;

pub(crate) const NAME: &str = "altda";

/// A put's body is there in pieces, and as they are joined.
const BODY_ROOM: u64 = 2;

/// What the face answers with.
#[derive(Clone)]
pub(crate) struct AltDa<A> {
    availability: A,
    terms: Terms,
    keccaks: Arc<KeccakMap>,
    meter: Meter,
}

/// The bounds that the face has unless others are chosen.
#[must_use]
pub fn bounds() -> Bounds {
    Bounds::of(BLOB_LEN_MAX, BODY_ROOM)
}

/// The terms that it has unless others are chosen: a put answers when the blob is certified, after 30 s at
/// the latest, well within the time that [`bounds`] gives an answer.
#[must_use]
pub fn terms(namespace: Namespace) -> Terms {
    Terms {
        namespace,
        until: Milestone::Certified,
        most: Duration::from_secs(30),
    }
}

/// The face.
pub fn face(
    availability: impl Availability,
    terms: Terms,
    keccaks: Arc<KeccakMap>,
    bounds: Bounds,
    meter: &Meter,
) -> Face {
    let gate = Gate::new(NAME, bounds, meter.clone(), plain);
    let alt_da = AltDa {
        availability,
        terms,
        keccaks,
        meter: meter.clone(),
    };
    Face::new(&gate, routes::router(alt_da), || plain(Refusal::Broken))
}
