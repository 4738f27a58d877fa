//! What a node says of a blob that the chain has ordered (0G wire, 3.1: `FileInfo`).

use lode_proofs::Hash32;
use serde::{Deserialize, Serialize};

/// A blob's submission, and how much of it a node has. `finalized` and `pruned` exclude each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInfo {
    /// The submission.
    pub tx: Transaction,
    /// All chunks of the node's slice are here.
    pub finalized: bool,
    /// Chunks came before the submission was seen, and wait in memory.
    pub is_cached: bool,
    /// Chunks that are here.
    pub uploaded_seg_num: u64,
    /// The blob was here and is gone.
    pub pruned: bool,
}

/// A submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// Always empty.
    pub stream_ids: Vec<Hash32>,
    /// Always empty; a list of numbers.
    pub data: Vec<u8>,
    /// Root of the blob.
    pub data_merkle_root: Hash32,
    /// Height plus one, and root, of each subtree, left to right.
    pub merkle_nodes: Vec<(u64, Hash32)>,
    /// First sector in the flow.
    pub start_entry_index: u64,
    /// Bytes.
    pub size: u64,
    /// Number of the submission, from 0.
    pub seq: u64,
}
