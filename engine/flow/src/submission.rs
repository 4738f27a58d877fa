//! What was submitted to the flow: one event of the chain, as values.

use lode_proofs::{Hash32, SubmissionNode, keccak::keccak256};

/// Bytes of tags that are kept. Tags name the streams of a key-value store, 32 bytes each, so this is
/// room for 2047 of them; the chain itself takes as many as fit into a transaction, megabytes of zeros
/// for little, from anybody.
pub const TAGS_LEN_MAX: usize = 64 << 10;

/// A block of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A submission that the chain has ordered (0G wire, 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its number, from 0, without gaps: `submissionIndex`, `txSeq`.
    pub seq: u64,
    /// Root of the blob, the fold of the nodes.
    pub root: Hash32,
    /// Bytes.
    pub size: u64,
    /// Its first sector in the flow.
    pub start: u64,
    /// Perfect subtrees of the blob, left to right, one to four.
    pub nodes: Vec<SubmissionNode>,
    /// The name that the caller gave, which nobody checks.
    pub submitter: [u8; 20],
    /// Who sent it, by whom all authority is judged: who called the flow, where it logs that, or else
    /// who signed the transaction.
    pub sender: [u8; 20],
    /// What the client attached.
    pub tags: Tags,
    /// The block that it is in.
    pub block: u64,
    /// Hash of the transaction that it is in.
    pub transaction: [u8; 32],
}

/// What a client attached to a submission: up to [`TAGS_LEN_MAX`] bytes, or the length and the digest
/// of more.
///
/// Longer tags are not cut: half a list of streams says something else than the list. They are not a
/// reason to refuse the submission either, since all that the chain has taken has its place. They are
/// forgotten, but for what tells whether two are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags(pub(crate) Form);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// At most [`TAGS_LEN_MAX`] bytes.
    Kept(Vec<u8>),
    /// More bytes: how many, and their keccak-256.
    Dropped { len: u64, digest: Hash32 },
}

impl Tags {
    /// Keeps tags, or what is kept of them.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        if bytes.len() <= TAGS_LEN_MAX {
            return Self(Form::Kept(bytes));
        }
        Self(Form::Dropped {
            len: u64::try_from(bytes.len()).expect("memory is below 2^64 bytes"),
            digest: Hash32(keccak256(&bytes)),
        })
    }

    /// The tags; none if they were too long to be kept.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Kept(bytes) => Some(bytes),
            Form::Dropped { .. } => None,
        }
    }
}
