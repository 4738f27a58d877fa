//! 0G's `disperser.Disperser` and `retriever.Retriever` over gRPC, byte for byte (da.md, 1.1 and 5.4; the
//! files in `proto/` say what the messages are). Clients of 0G DA work against it unmodified.
//!
//! | what a blob is | status |
//! |---|---|
//! | queued, being coded, being signed, certified | `PROCESSING` |
//! | its certificate is in a block | `CONFIRMED`, with root, epoch and quorum |
//! | that block is final | `FINALIZED`, the same |
//! | too few holders signed | `INSUFFICIENT_SIGNATURES` |
//! | any other end | `FAILED` |
//!
//! Where 0G's server says no, this one does so in the same words under the same code, `UNKNOWN`:
//!
//! | method | when | code and message |
//! |---|---|---|
//! | `DisperseBlob` | no bytes | `UNKNOWN` "blob size must be greater than 0" |
//! | | more than 32,505,852 | `UNKNOWN` "blob size cannot exceed 31744 KiB" |
//! | | too much is queued | `UNKNOWN` "request ratelimited" |
//! | | nothing is taken in | `UNAVAILABLE` |
//! | `GetBlobStatus` | no request id | `UNKNOWN` "invalid request: request_id must not be empty" |
//! | | one of another form | `UNKNOWN` "invalid metadata key: …" |
//! | | nobody knows it | `NOT_FOUND` (0G's says `PROCESSING` for ever) |
//! | `RetrieveBlob` | a root that has not 32 bytes | `UNKNOWN` "parameter StorageRoot len is not accepted" |
//! | | no such blob, or expired | `NOT_FOUND` |
//! | | holders do not answer | `UNAVAILABLE`, `DEADLINE_EXCEEDED` |
//! | any | too much is under way | `RESOURCE_EXHAUSTED`, as 0G's retriever |
//!
//! `storage_root` is the blob's root of ours ([D-5]), not a root of 0G's encoding: clients pass it on as
//! they got it. A blob is retrieved without the padding that 0G's comes with.

mod service;

use axum::response::Response;
use lode_proofs::da::Namespace;
use tonic::{Code, Status, service::Routes};

use crate::{
    availability::Availability,
    server::{
        bounds::Bounds,
        face::Face,
        gate::{Gate, Refusal},
        meter::Meter,
    },
};

/// Bytes of the longest blob that 0G's disperser takes: 1024 × 1024 scalars of 31 bytes, less 4 for the
/// length.
pub const BLOB_LEN_MAX: usize = 32_505_852;

/// Bytes of the longest message that is read: a blob that is somewhat too long is told so in 0G's words,
/// one that is much too long is not read.
const MESSAGE_LEN_MAX: usize = 33 << 20;

/// A body is there as it came, and as tonic put it together; an answer as the blob, and encoded.
const BODY_ROOM: u64 = 2;

const NAME: &str = "grpc";

/// Types of `proto/`, clients and servers.
#[allow(
    missing_docs,
    clippy::all,
    clippy::as_conversions,
    clippy::allow_attributes_without_reason,
    reason = "made from the .proto files, whose comments are the documentation"
)]
pub mod proto {
    pub mod disperser {
        tonic::include_proto!("disperser");
    }
    pub mod retriever {
        tonic::include_proto!("retriever");
    }

    /// The files themselves, as reflection tells of them.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/da_descriptor.bin"));
}

/// The bounds that the face has unless others are chosen. A connection may fill its window, 16 MiB, while its
/// requests wait for room: so many of them fill 1 GiB.
#[must_use]
pub fn bounds() -> Bounds {
    let message = u64::try_from(MESSAGE_LEN_MAX).expect("64-bit");
    Bounds {
        connections_max: 64,
        ..Bounds::of(message + 5, BODY_ROOM)
    }
}

/// The face: both services, reflection, and gRPC's health service, as 0G's server has them. Blobs are of
/// this namespace.
///
/// # Errors
/// When the descriptors that reflection tells of are none.
pub async fn face(
    availability: impl Availability,
    namespace: Namespace,
    bounds: Bounds,
    meter: &Meter,
) -> Result<Face, tonic_reflection::server::Error> {
    let mut gate = Gate::new(NAME, bounds, meter.clone(), refuse);
    gate.grpc = true;
    let service = service::Service {
        availability,
        namespace,
        meter: meter.clone(),
    };
    let disperser = proto::disperser::disperser_server::DisperserServer::new(service.clone());
    let retriever = proto::retriever::retriever_server::RetrieverServer::new(service);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    for name in ["", "disperser.Disperser", "retriever.Retriever"] {
        reporter
            .set_service_status(name, tonic_health::ServingStatus::Serving)
            .await;
    }
    let routes = Routes::new(disperser.max_decoding_message_size(MESSAGE_LEN_MAX))
        .add_service(retriever)
        // Older clients ask for the alpha, newer ones for the first version.
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(health);
    let routes = routes.prepare().into_axum_router();
    Ok(Face::of_grpc(&gate, routes))
}

fn refuse(refusal: Refusal) -> Response {
    let code = match refusal {
        Refusal::TooLong | Refusal::Busy => Code::ResourceExhausted,
        Refusal::Late | Refusal::Slow => Code::DeadlineExceeded,
        Refusal::Broken => Code::Cancelled,
    };
    Status::new(code, refusal.to_string()).into_http()
}
