//! What an indexer says of nodes (0G wire, 3.4).

use serde::{Deserialize, Serialize};

use crate::slice::Slice;

/// A node and the slice that it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardedNode {
    /// Where its storage RPC is.
    pub url: String,
    /// What it keeps.
    pub config: Slice,
    /// How long it took to answer, in milliseconds.
    pub latency: i64,
    /// When it was found, in seconds of Unix time.
    pub since: i64,
}

/// All nodes that an indexer knows. Never null: clients of either kind read both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardedNodes {
    /// Those that its operator named.
    #[serde(default)]
    pub trusted: Vec<ShardedNode>,
    /// Those that it was told of.
    #[serde(default)]
    pub discovered: Vec<ShardedNode>,
}
