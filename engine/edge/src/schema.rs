//! The JSON that the API speaks, as types that clients may share.

use lode_engine::store::{BlobInfo, Stored, UploadInfo};
use lode_proofs::chunks;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A stored blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Blob {
    /// Root of the sector tree, `0x` and 64 hexadecimal digits.
    pub root: String,
    /// Bytes.
    pub size: u64,
    /// Chunks of 262144 bytes, the last one may be shorter.
    pub chunks: u64,
    /// First epoch in which the blob may be gone; null: it stays until it is deleted.
    pub expiry: Option<u32>,
    /// The blob was there before this put. Only in answers to puts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existed: Option<bool>,
}

impl Blob {
    /// Describes a blob that is there.
    pub fn found(info: BlobInfo) -> Self {
        let BlobInfo { root, size, expiry } = info;
        Blob {
            root: root.to_string(),
            size,
            chunks: chunks(size),
            expiry,
            existed: None,
        }
    }

    /// Describes a blob that was put.
    pub fn stored(stored: Stored) -> Self {
        let Stored {
            root,
            size,
            expiry,
            existed,
        } = stored;
        Blob {
            existed: Some(existed),
            ..Blob::found(BlobInfo { root, size, expiry })
        }
    }
}

/// One page of all blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// In root order.
    pub blobs: Vec<Blob>,
    /// Ask for the next page with `?after=` this root; null: this was the last page.
    pub next: Option<String>,
}

/// What a client declares when it begins or resumes an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadWish {
    /// Root that the bytes will have.
    pub root: String,
    /// Bytes.
    pub size: u64,
    /// First epoch in which the blob may be gone, from 1; null: it stays until it is deleted. An
    /// upload that is there already keeps its own.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub expiry: Option<u32>,
}

/// An upload and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadState {
    /// Declared root.
    pub root: String,
    /// Declared bytes.
    pub size: u64,
    /// Durable bytes from the start: send the rest from here.
    pub offset: u64,
    /// All bytes are durable and bound to the root.
    pub stored: bool,
    /// First epoch in which the upload, or the blob that it became, may be gone; null: it stays
    /// until it is deleted.
    #[serde(default)]
    pub expiry: Option<u32>,
}

impl UploadState {
    /// Describes an upload, or the blob that it became.
    pub fn new(info: UploadInfo, stored: bool) -> Self {
        UploadState {
            root: info.root.to_string(),
            size: info.size,
            offset: info.offset,
            stored,
            expiry: info.expiry,
        }
    }
}

/// The store's coarse clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EpochState {
    /// Blobs whose expiry is this epoch or an earlier one are gone. It only rises.
    pub epoch: u32,
}

/// How far the settlement of a blob is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnchorState {
    /// Root of the blob.
    pub root: String,
    /// How far.
    pub state: AnchorStep,
    /// Root of the anchor that has it; null while it is pending. So below.
    pub anchor: Option<String>,
    /// Blobs of the anchor.
    pub blobs: Option<u32>,
    /// The transaction that was sent for the anchor last.
    pub tx: Option<String>,
    /// The block that has settled it.
    pub block: Option<u64>,
    /// The block whose certificate shows it.
    pub certified: Option<u64>,
    /// Why nothing is settled just now, if so: then the steps that are missing wait for that.
    pub trouble: Option<String>,
}

/// The steps of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnchorStep {
    /// In no anchor yet.
    Pending,
    /// In an anchor that is on its way to the chain, or waits for it.
    Sent,
    /// A block has settled the anchor.
    Anchored,
    /// There is a certificate that shows it to everybody.
    Final,
}

/// A chunk proof: the 0G wire's `lemma` and `path`, and what they are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofJson {
    /// Root of the blob.
    pub root: String,
    /// Bytes of the blob.
    pub size: u64,
    /// Which chunk, from 0.
    pub index: u64,
    /// Chunk root, siblings bottom to top, blob root; only the root if there is one chunk.
    pub lemma: Vec<String>,
    /// Per level, bottom to top: the running node is the left child.
    pub path: Vec<bool>,
}

/// One named check of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Which part.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Whether the node is not ready without it.
    pub required: bool,
    /// What was seen.
    pub detail: String,
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Every required check is ok.
    pub ready: bool,
    /// All checks.
    pub checks: Vec<Check>,
}

/// The answer of `/v1/scrub` when the pass is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scrubbed {
    /// Bytes read and checked.
    pub bytes: u64,
    /// Damaged records found during the pass.
    pub corrupt: u64,
}
