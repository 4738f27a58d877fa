//! Every reason not to accept a header or what is said under it, by name.

use alloy_trie::proof::ProofVerificationError;
use lode_proofs::committee::FinalityRefusal;

/// Why something is not accepted. The same bytes can never be: ask somebody else.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than a header is.
    #[error(
        "a header has {len} bytes, where {} at most are one",
        crate::header::HEADER_LEN_MAX
    )]
    HeaderLen {
        /// Bytes found.
        len: usize,
    },
    /// The certificate is about another header.
    #[error("the certificate is about a block with another hash")]
    OtherBlock,
    /// The bytes that were signed are no header.
    #[error("not the RLP of a header: {0}")]
    Header(alloy_rlp::Error),
    /// The certificate does not hold.
    #[error(transparent)]
    Finality(#[from] FinalityRefusal),
    /// More nodes than a path can have.
    #[error("{nodes} nodes, where a path has {} at most", crate::facts::NODES_MAX)]
    Nodes {
        /// Nodes found.
        nodes: usize,
    },
    /// The nodes do not lead from the root to what is claimed.
    #[error("the nodes do not lead from the block's root to the {what}: {why}")]
    Path {
        /// What is claimed.
        what: &'static str,
        /// Where they fail.
        why: Box<ProofVerificationError>,
    },
    /// The bytes under the receipts' root are no receipt.
    #[error("not the encoding of a receipt")]
    Receipt,
    /// The receipt has fewer logs.
    #[error("log {log} of a receipt that has {logs}")]
    Log {
        /// Which log was asked for, from 0.
        log: u32,
        /// How many there are.
        logs: usize,
    },
}
