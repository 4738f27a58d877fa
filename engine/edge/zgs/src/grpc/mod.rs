//! The gRPC twin of `zgs_uploadSegmentsByTxSeq` (0G wire, 3.1): the same chunks, bytes as they are. What
//! is checked, and in which words it is refused, is [`crate::intake`]'s; how much is read at once and
//! how long it may take are the JSON server's bounds, and the memory is shared with it.
//!
//! | status | when |
//! |---|---|
//! | `ALREADY_EXISTS` | nothing is left to send, or the chunk is here |
//! | `INVALID_ARGUMENT` | a field is none that can be served: size, index, data, proof, root |
//! | `RESOURCE_EXHAUSTED` | too much is on its way: come again; or the message is too long |
//! | `DEADLINE_EXCEEDED` | the message or the answer came too late |
//! | `FAILED_PRECONDITION` | the blob was pruned, and all else that is said in one sentence |
//! | `INTERNAL` | the node cannot read its own books |
//!
//! The message is the text that clients match, word for word.

pub mod codec;
pub mod message;
mod twin;

pub use twin::Twin;

/// Types of `proto/zgs_grpc.proto`, a client and a server.
#[allow(
    missing_docs,
    clippy::all,
    clippy::as_conversions,
    clippy::allow_attributes_without_reason,
    reason = "made from the .proto, whose comments are the documentation"
)]
pub mod proto {
    tonic::include_proto!("zgs_grpc");

    /// The file itself, as reflection tells it.
    pub const DESCRIPTORS: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/zgs_grpc_descriptor.bin"));
}
