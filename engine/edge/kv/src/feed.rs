//! Where submissions and their bytes come from.

use bytes::Bytes;
use lode_proofs::Hash32;

use crate::account::Account;

/// A blob as the chain has ordered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its number in the flow, from 0.
    pub seq: u64,
    /// The blob's root.
    pub root: Hash32,
    /// Bytes of the blob.
    pub size: u64,
    /// Its tags, which say which streams it touches.
    pub tags: Bytes,
    /// Who signed the chain's transaction. Never the submitter that the event names: anybody can
    /// name anybody there (0G wire, 0: fact 8).
    pub sender: Account,
    /// The chain's block that it is in.
    pub block: u64,
    /// The chain's transaction that it is of.
    pub transaction: Hash32,
    /// Those whom this feed follows have given up waiting for its bytes.
    pub given_up: bool,
}

/// Why a feed has no answer.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// It could not be asked, or did not answer in time. Passes.
    #[error("cannot ask the node: {0}")]
    Unreachable(String),
    /// It refused.
    #[error("the node refused: {message} ({code})")]
    Refused {
        /// Its code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// What it said is not what was asked for, or has no sense.
    #[error("the node's answer makes no sense: {0}")]
    Senseless(String),
    /// Bytes that are not those of the blob.
    #[error("the node sent bytes that are not the blob's: {0}")]
    Lie(#[from] lode_proofs::Refusal),
}

/// A node that knows the flow, or what stands in for one.
///
/// A feed may lag and may fail; it must not tell another order than the chain's. Where the chain
/// replaces submissions (a reorganisation), it tells the new ones under the old numbers.
pub trait Feed: Send + Sync + 'static {
    /// Submissions from number `from` on, that one first, in order and without a gap, at most `limit`.
    /// An empty list if there are none yet.
    fn submissions(
        &self,
        from: u64,
        limit: u64,
    ) -> impl Future<Output = Result<Vec<Submission>, FeedError>> + Send;

    /// The bytes of chunk `index` of a submission's blob, proven against its root, without the zeros
    /// that fill its last sector. None if they are not there yet.
    fn chunk(
        &self,
        of: &Submission,
        index: u64,
    ) -> impl Future<Output = Result<Option<Bytes>, FeedError>> + Send;
}
