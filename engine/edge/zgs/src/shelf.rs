//! Chunks of the node's slice, as the methods see them: of which submission, and how many are here.

use bytes::{Bytes, BytesMut};
use lode_engine::{Error, Result};
use lode_flow::Submission;
use lode_proofs::{BlobShape, ChunkProof, SECTOR_LEN};
use lode_wire::Slice;

use crate::door::Door;

/// What is here of a submission's blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Chunks of the slice that are here.
    pub chunks: u64,
    /// All of them are.
    pub whole: bool,
}

/// The node's chunks.
#[derive(Clone)]
pub struct Shelf {
    door: Door,
    slice: Slice,
}

impl Shelf {
    /// Keeps the whole flow.
    #[must_use]
    pub fn whole(door: Door) -> Shelf {
        Shelf {
            door,
            slice: Slice::WHOLE,
        }
    }

    /// Which part of the flow is kept.
    #[must_use]
    pub fn slice(&self) -> Slice {
        self.slice
    }

    /// What is here of a blob.
    ///
    /// # Errors
    /// The store's.
    pub async fn held(&self, submission: &Submission) -> Result<Held> {
        let Submission { root, size, .. } = *submission;
        let shape = BlobShape::new(size).map_err(|_| Error::Empty)?;
        let stored = self.door.stat(root).await?;
        if stored.is_some_and(|stored| stored.size == size) {
            return Ok(Held {
                chunks: shape.chunks(),
                whole: true,
            });
        }
        let progress = self.door.scattered(root).await?;
        let progress = progress.filter(|progress| progress.size == size);
        Ok(Held {
            chunks: progress.map_or(0, |progress| progress.chunks),
            whole: false,
        })
    }

    /// Makes a chunk durable; whether it was here already.
    ///
    /// # Errors
    /// The store's; [`Error::Unproven`] if the bytes are not those of the proof.
    pub async fn put(&self, proof: ChunkProof, bytes: Bytes) -> Result<bool> {
        Ok(self.door.scatter(proof, bytes).await?.existed)
    }

    /// Sectors `first..end` of a blob, within one chunk, the last one filled up with zeros; none if
    /// they are not here.
    ///
    /// # Errors
    /// The store's.
    pub async fn sectors(
        &self,
        submission: &Submission,
        first: u64,
        end: u64,
    ) -> Result<Option<Bytes>> {
        let (from, to) = (first * SECTOR, end * SECTOR);
        let to_have = to.min(submission.size);
        let chunk = from / CHUNK;
        let within = |at: u64| usize::try_from(at - chunk * CHUNK).expect("within a chunk");
        let range = within(from)..within(to_have);
        let Some(bytes) = self.door.read(submission.root, chunk, range).await? else {
            return Ok(None);
        };
        if to == to_have {
            return Ok(Some(bytes));
        }
        let mut filled = BytesMut::from(&bytes[..]);
        filled.resize(within(to) - within(from), 0);
        Ok(Some(filled.freeze()))
    }

    /// Proof of a chunk; none if it is not here.
    ///
    /// # Errors
    /// The store's.
    pub async fn prove(&self, submission: &Submission, chunk: u64) -> Result<Option<ChunkProof>> {
        self.door.prove(submission.root, chunk).await
    }
}

const SECTOR: u64 = 256;
const CHUNK: u64 = 262_144;
const _: () = assert!(SECTOR_LEN == 256 && lode_proofs::CHUNK_LEN == 262_144);
