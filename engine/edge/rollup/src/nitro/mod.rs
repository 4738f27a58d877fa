//! Arbitrum Nitro's `daprovider_*` over JSON-RPC (da.md, 1.8; nitro, `daprovider/server` and
//! `daprovider/daclient` of 2026-04): a Nitro node reads, writes and proves its batches through it.
//!
//! | method | parameters | result |
//! |---|---|---|
//! | `getSupportedHeaderBytes` | | `{"headerBytes": "0x01"}` |
//! | `getMaxMessageSize` | | `{"maxSize": n}` |
//! | `store` | message, timeout | `{"serialized-da-cert": "0x…"}` |
//! | `startChunkedStore` | timestamp, chunks, chunk size, size, timeout, signature | `{"BatchId": "0x…"}` |
//! | `sendChunk` | id, number, chunk, signature | null |
//! | `commitChunkedStore` | id, signature | as `store` |
//! | `recoverPayload` | batch, block hash, message | `{"Payload": base64}` |
//! | `collectPreimages` | the same | `{"Preimages": {"3": {"0x…": base64}}}` |
//! | `recoverPayloadAndPreimages` | the same | both |
//! | `generateReadPreimageProof` | offset, certificate | `{"proof": "0x…"}` |
//! | `generateCertificateValidityProof` | certificate | `{"proof": "0x0101"}`, `{"proof": "0x0001"}` |
//!
//! Numbers and bytes are hex as go-ethereum writes them; `Payload` and preimages are Go's `[]byte`. A
//! field that would be empty is left out, as Go does. A preimage of type 3 has the name keccak256 of
//! the certificate, and is the blob.
//!
//! # Texts that Nitro looks for
//!
//! | text | when | what the node does |
//! |---|---|---|
//! | `certificate validation failed` | a certificate that no contract would take | the batch is empty |
//! | `DA provider requests fallback to next writer` | DA is down, unsigned, failed or late | posts elsewhere |
//! | `message too large for current DA backend` | more than `maxSize` | builds a smaller batch |
//!
//! Any other error, such as a blob that cannot be reached at the moment or a queue that is full, is one to
//! try again. The verdict on a certificate depends on its bytes and on who its quorum's holders are, and
//! on nothing else: not on the time, and not on whether the blob can be had. The contract's does so too.
//!
//! # Certificates and proofs, as `DaProofValidator.sol` takes them
//!
//! All numbers big-endian, no ABI. Nitro puts length and certificate in front of what this server returns
//! (`validator/proofenhancement`), so the contract's `proof` is:
//!
//! | part | bytes | what |
//! |---|---|---|
//! | Nitro's | 8 | length of the certificate below |
//! | certificate ([D-39]) | 2 | 0x01, a provider's certificate; 0x4c, ours |
//! | | 2 | length c of the DA certificate |
//! | | 4 | length a of what is absent |
//! | | 342 | the committee ([D-36]), whose hash the contract knows |
//! | | 128 | the DA certificate's signature as a point |
//! | | c | the DA certificate ([D-25]) |
//! | | a | the seats that have not signed, and the nodes beside them ([D-37]) |
//! | | 89 + 32 s | the blob's entry under the namespace root ([D-22], last sentence): number of blobs 4, place 4, 1 as 4 bytes, entry 77, s hashes |
//! | of `generateReadPreimageProof` | 16 | ends of the range: the offset, and 32 more or the blob's end |
//! | | ≤ 2048 | the pieces of 1 KiB that it lies in |
//! | | 32 each | the nodes beside them ([D-30], as `BlobRange::encode`) |
//! | of `generateCertificateValidityProof` | 1 | 1 if it is right, 0 if not: what Nitro's prover claims |
//! | | 1 | 0x01: the layout; nobody looks at it |
//!
//! At an offset behind the blob's end there is nothing to show: this server's part is empty, and so is what
//! the contract returns. What decides on a certificate stands in the certificate and not in the proof:
//! somebody who lies cannot change the verdict by what he brings.
//!
//! # Where it differs from Nitro's server
//!
//! - A replayed `startChunkedStore` is not refused: signatures are hashes that anybody computes, so equal
//!   requests of one second may be honest; a replay takes one of the few places, for a minute.
//! - A message whose `timeout` is after the certificate's expiry is an error: it would be lost before.

pub mod certificate;
pub mod jwt;

mod methods;
mod rpc;
mod stream;
pub mod wire;

use core::time::Duration;
use std::sync::Arc;

use lode_proofs::da::Namespace;

use crate::{
    availability::{Availability, BLOB_LEN_MAX, Milestone},
    machine::Machine,
    post::Terms,
    server::{
        bounds::Bounds,
        face::{Face, plain},
        gate::{Gate, Refusal},
        meter::Meter,
    },
};
use jwt::Secret;
use stream::Streams;

pub(crate) const NAME: &str = "nitro";

/// Bytes of a request unless others are chosen: as go-ethereum's servers, 5 MiB.
pub const BODY_LEN: u64 = 5 << 20;

/// Bytes of JSON around a message.
const ENVELOPE_LEN: u64 = 4 << 10;

/// A body is there as it came, as parameters, and half of it as bytes.
const BODY_ROOM: u64 = 3;

/// Choices.
#[derive(Clone)]
pub struct Config {
    /// Whose blobs, what a store waits for, and how long.
    pub terms: Terms,
    /// Bytes of a message. Default: what [`BODY_LEN`] has room for in one call. Raise it with the bound of
    /// bodies, or for clients that store in chunks.
    pub message_len_max: u64,
    /// Who knows this secret may ask; without one, everybody.
    pub secret: Option<Secret>,
}

impl Config {
    /// The defaults, for a namespace: certified within a minute.
    #[must_use]
    pub fn new(namespace: Namespace) -> Config {
        Config {
            terms: Terms {
                namespace,
                until: Milestone::Certified,
                most: Duration::from_secs(60),
            },
            message_len_max: (BODY_LEN - ENVELOPE_LEN) / 2,
            secret: None,
        }
    }
}

/// The bounds that the face has unless others are chosen. A store is answered after its certificate.
#[must_use]
pub fn bounds() -> Bounds {
    Bounds {
        answer_begins_max: Duration::from_secs(120),
        ..Bounds::of(BODY_LEN, BODY_ROOM)
    }
}

/// What the methods are of.
pub(crate) struct Nitro<A> {
    availability: A,
    config: Config,
    streams: Streams,
    meter: Meter,
}

/// The face: JSON-RPC at `POST /`.
pub fn face(
    availability: impl Availability,
    mut config: Config,
    bounds: Bounds,
    machine: &Machine,
    meter: &Meter,
) -> Face {
    config.message_len_max = config.message_len_max.min(BLOB_LEN_MAX);
    let body_len_max = bounds.body_len_max;
    let gate = Gate::new(NAME, bounds, meter.clone(), plain);
    let secret = config.secret.clone();
    let nitro = Arc::new(Nitro {
        streams: Streams::new(machine.clone(), config.message_len_max),
        availability,
        config,
        meter: meter.clone(),
    });
    let rpc = rpc::Rpc::new(&nitro, body_len_max, secret, machine.clone());
    Face::new(&gate, rpc::router(rpc), || plain(Refusal::Broken))
}
