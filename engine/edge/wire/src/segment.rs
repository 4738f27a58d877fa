//! One chunk on its way, with its proof (0G wire, 1.6 and 3.1: `SegmentWithProof`).

use bytes::Bytes;
use lode_proofs::{Hash32, WireProof};
use serde::{Deserialize, Serialize};

/// A chunk of a blob with what leads from it to the blob's root. Unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// The blob's root.
    pub root: Hash32,
    /// The chunk's bytes, filled up to whole sectors with zeros; at most a chunk's.
    #[serde(with = "crate::base64")]
    pub data: Bytes,
    /// Which chunk of the blob.
    pub index: u64,
    /// The way up.
    pub proof: WireProof,
    /// Bytes of the blob.
    pub file_size: u64,
}

/// The way from a sector to the root of the flow (`zgs_getSectorProof`): as a [`WireProof`], with
/// the flow's tree, which is perfect, above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowProof {
    /// The sector's leaf, siblings from bottom to top, the flow's root.
    pub lemma: Vec<Hash32>,
    /// Per step up: true if the running node is the left child.
    pub path: Vec<bool>,
}

/// Sectors that stand alone, without a proof (`zgs_downloadSegment`): whole ones, at most a chunk's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sectors(#[serde(with = "crate::base64")] pub Bytes);
