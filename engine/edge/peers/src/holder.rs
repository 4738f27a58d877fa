//! What a node has to say of itself: which part of the flow it keeps, what is missing of it, and the
//! chunks. The store is the caller's; nothing here knows how chunks are kept.

use std::future::Future;

use bytes::Bytes;
use lode_proofs::{BlobShape, ChunkProof, EmptyBlob, Hash32};
use lode_wire::Slice;

/// A blob that the chain has ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Number of its submission.
    pub seq: u64,
    /// Its root.
    pub root: Hash32,
    /// Bytes, not 0.
    pub size: u64,
    /// Its first sector in the flow.
    pub start: u64,
}

impl Blob {
    pub(crate) fn shape(&self) -> Result<BlobShape, EmptyBlob> {
        BlobShape::new(self.size)
    }
}

/// Why the store did not answer. Nobody here could do anything else about it than to try later, so it
/// is a sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HolderError(pub String);

/// A node's chunks. Clones are the same node. Calls come from the peers' own threads, many at a time,
/// as many as [`crate::bounds`] say.
pub trait Holder: Clone + Send + Sync + 'static {
    /// Which part of the flow this node keeps. It does not change while the peers run.
    fn slice(&self) -> Slice;

    /// Submissions that are known: the number of the next one. It falls when the chain takes some back.
    fn next_seq(&self) -> impl Future<Output = Result<u64, HolderError>> + Send;

    /// The blob of a submission; none if there is no such submission, or it is not wanted any more.
    fn blob(&self, seq: u64) -> impl Future<Output = Result<Option<Blob>, HolderError>> + Send;

    /// Chunks of the node's slice of this blob that are not here, at most `limit`, ascending; empty when
    /// all are here.
    fn missing(
        &self,
        blob: Blob,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<u64>, HolderError>> + Send;

    /// A chunk, whole and checked, with its proof; none if it is not here.
    fn read(
        &self,
        root: Hash32,
        size: u64,
        index: u64,
    ) -> impl Future<Output = Result<Option<(ChunkProof, Bytes)>, HolderError>> + Send;

    /// Keeps a chunk. Its bytes are those of the proof, and the proof is of a blob that
    /// [`Self::blob`] named: both were checked. One that is here already is no error.
    fn put(
        &self,
        proof: ChunkProof,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), HolderError>> + Send;
}
