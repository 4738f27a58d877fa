//! Values as JSON: bytes and hashes as hex, handles as text.

use lode_proofs::Hash32;
use serde::Serialize;
use utoipa::ToSchema;

use crate::availability::{Milestone, Posted, RequestId, Status};

/// How far a request is.
#[derive(Serialize, ToSchema)]
#[schema(as = DaRequest)]
pub struct Request {
    /// What it is asked about by.
    pub request_id: String,
    /// `queued`, `encoding`, `gathering`, `certified`, `settled`, `final`, `unsigned` or `failed`.
    pub status: &'static str,
    /// Where the blob is, from `certified` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<Blob>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where a blob is, and what proves it.
#[derive(Serialize, ToSchema)]
#[schema(as = DaBlob)]
pub struct Blob {
    /// What it is asked for by.
    pub handle: String,
    /// Its container.
    #[schema(value_type = String)]
    pub container: Hash32,
    /// Its place in the container's table.
    pub place: u32,
    /// Whose it is, 58 hex digits.
    pub namespace: String,
    /// Its root.
    #[schema(value_type = String)]
    pub root: Hash32,
    /// Its first byte in the container.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
    /// The chain that knows its holders.
    pub chain_id: u64,
    /// Which committee.
    pub epoch: u64,
    /// Which of its quorums.
    pub quorum: u32,
    /// Until when it is kept, unix seconds, end exclusive.
    pub expiry: u64,
    /// The certificate, hex.
    pub certificate: String,
    /// Its entry under the namespace root, hex.
    pub entry: String,
}

impl Request {
    pub fn new(request: RequestId, status: &Status) -> Request {
        let (name, blob, reason) = match status {
            Status::Queued => ("queued", None, None),
            Status::Encoding => ("encoding", None, None),
            Status::Gathering => ("gathering", None, None),
            Status::Posted(milestone, posted) => (name(*milestone), Some(posted), None),
            Status::Unsigned => ("unsigned", None, None),
            Status::Failed(why) => ("failed", None, Some(why.to_string())),
        };
        Request {
            request_id: request.to_string(),
            status: name,
            blob: blob.map(|posted| Blob::new(posted)),
            reason,
        }
    }
}

impl Blob {
    pub fn new(posted: &Posted) -> Blob {
        Blob {
            handle: posted.handle().to_string(),
            container: posted.container,
            place: posted.place,
            namespace: const_hex::encode(posted.namespace.0),
            root: posted.root,
            offset: posted.offset,
            len: posted.len,
            chain_id: posted.quorum.chain_id,
            epoch: posted.quorum.epoch,
            quorum: posted.quorum.quorum,
            expiry: posted.expiry,
            certificate: const_hex::encode_prefixed(&posted.certificate),
            entry: const_hex::encode_prefixed(&posted.entry),
        }
    }
}

fn name(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Certified => "certified",
        Milestone::Settled => "settled",
        Milestone::Final => "final",
    }
}

/// The milestone of this name.
pub fn milestone(text: &str) -> Option<Milestone> {
    let all = [Milestone::Certified, Milestone::Settled, Milestone::Final];
    all.into_iter().find(|milestone| name(*milestone) == text)
}
