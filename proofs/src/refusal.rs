//! Every reason not to accept a proof or a chunk, by name.

use crate::shape::{BlobShape, EmptyBlob};

/// Why a proof, or data under it, is not accepted. None of them can be cured
/// by trying again with the same bytes: ask another holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The blob has no bytes.
    #[error(transparent)]
    EmptyBlob(#[from] EmptyBlob),
    /// The path has another length than this chunk's way up.
    #[error("path has {got} steps, the way up from this chunk has {want}")]
    PathLength {
        /// Steps found.
        got: usize,
        /// Steps this index and size imply.
        want: usize,
    },
    /// The lemma has another length than its path implies.
    #[error("lemma has {got} hashes, {want} belong to its path")]
    LemmaLength {
        /// Hashes found.
        got: usize,
        /// Hashes implied.
        want: usize,
    },
    /// No such chunk holds bytes.
    #[error("chunk {index} is past the end, the blob has {chunks} chunks")]
    IndexOutOfRange {
        /// Index asked for.
        index: u64,
        /// Chunks that hold bytes.
        chunks: u64,
    },
    /// The path leads to another index.
    #[error("step {level} of the path turns the other way than the index says")]
    PathShape {
        /// Which step, from the bottom, from 0.
        level: usize,
    },
    /// The lemma ends with another root than the proof names.
    #[error("the lemma ends with another root than the blob's")]
    LemmaRoot,
    /// A sibling over nothing but padding is not the zero root.
    #[error("sibling {level} covers only padding but is not the zero root")]
    PaddingSibling {
        /// Which sibling, from the bottom, from 0.
        level: usize,
    },
    /// Chunk root and siblings do not lead to the root.
    #[error("chunk root and siblings do not lead to the root")]
    Root,
    /// The proof is about another blob or chunk than asked for.
    #[error("this proof is about another blob or chunk than the one asked for")]
    NotAskedFor,
    /// The chunk's data has another length than the blob's size implies.
    #[error("chunk data has {got} bytes, {want} belong to this chunk")]
    DataLength {
        /// Bytes found.
        got: usize,
        /// Bytes this index and size imply.
        want: usize,
    },
    /// The fill of the last sector is not zero.
    #[error("the last sector is not filled with zeros")]
    Fill,
    /// The data is not what the proof is about.
    #[error("the data does not have the chunk root of the proof")]
    Data,
}

impl Refusal {
    pub(crate) fn unless_index_in(shape: BlobShape, index: u64) -> Result<(), Self> {
        let chunks = shape.chunks();
        if index < chunks {
            Ok(())
        } else {
            Err(Self::IndexOutOfRange { index, chunks })
        }
    }

    pub(crate) fn unless_chunk_len(shape: BlobShape, index: u64, data: &[u8]) -> Result<(), Self> {
        let (got, want) = (data.len(), shape.chunk_len(index));
        if got == want {
            Ok(())
        } else {
            Err(Self::DataLength { got, want })
        }
    }
}
