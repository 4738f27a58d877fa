//! What a node says of itself (0G wire, 3.1: `zgs_getStatus`).

use lode_proofs::Hash32;
use serde::{Deserialize, Serialize};

/// How far a node is, and of which network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Nodes it is connected to.
    pub connected_peers: u64,
    /// The block of the chain up to which it has followed the flow.
    pub log_sync_height: u64,
    /// That block's hash.
    pub log_sync_block: Hash32,
    /// Number of the next submission: one more than the newest that it knows.
    pub next_tx_seq: u64,
    /// Which network it is of.
    pub network_identity: NetworkIdentity,
}

/// What two nodes must have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkIdentity {
    /// The chain.
    pub chain_id: u64,
    /// The flow's contract there: "0x" and 40 hex digits.
    pub flow_address: String,
    /// The protocol between nodes.
    pub p2p_protocol_version: ProtocolVersion,
}

/// A version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolVersion {
    /// Changes when old and new do not understand each other.
    pub major: u8,
    /// Changes with what is added.
    pub minor: u8,
    /// Changes with what is mended.
    pub build: u8,
}
