//! Why somebody does not get what he asked for. One list for all doors: 0G's REST says it with its codes
//! ([`crate::gateway::envelope`]), ours with HTTP's ([`crate::gateway::problem`]).

use crate::fetch::Missing;

/// Why there is no answer, or no blob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A parameter is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// No node knows the blob.
    #[error("no node knows this blob")]
    Unknown,
    /// The blob was there and is gone.
    #[error("all nodes have pruned this blob")]
    Pruned,
    /// The blob is ordered, but its bytes are not all there yet.
    #[error("no node has all chunks of its slice of this blob yet")]
    NotFinal,
    /// Nodes that answer do not have all chunks between them.
    #[error("chunk {index} is at no node that answers")]
    Incomplete {
        /// The first such chunk.
        index: u64,
    },
    /// No node answered.
    #[error("no storage node answers")]
    Silent,
    /// A chunk cannot be had.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A blob that is looked into is no folder.
    #[error("not a folder: {0}")]
    NotFolder(String),
    /// The folder has no such path.
    #[error("no such path in the folder: {0}")]
    NoPath(String),
    /// Longer than what is read as a whole.
    #[error("{size} bytes, where at most {max} are read")]
    TooLong {
        /// Bytes.
        size: u64,
        /// The bound.
        max: u64,
    },
    /// Nodes did not take a chunk.
    #[error("{0}")]
    NotTaken(String),
    /// Too much to do.
    #[error("too many {0} at once")]
    Crowded(&'static str),
}
