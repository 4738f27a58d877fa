//! Chunks of the node's slice, as the methods see them: of which submission, and how many are here.
//!
//! A node of the whole flow keeps each blob as the store does: complete, or as an upload whose chunks
//! come in any order. Of a slice the blob never is complete: its chunks stay such an upload, and what
//! proves each of them is kept beside the store, since the chunks that would are elsewhere.

use bytes::{Bytes, BytesMut};
use lode_engine::Error;
use lode_flow::{Piece, PieceError, Pieces, Submission};
use lode_proofs::{BlobId, BlobShape, ChunkProof, SECTOR_LEN};
use lode_wire::Slice;
use tokio::task::spawn_blocking;

use crate::door::Door;

/// Why a chunk was not kept or found.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The store's.
    #[error(transparent)]
    Store(#[from] Error),
    /// Of what proves the chunks of a slice.
    #[error(transparent)]
    Piece(#[from] PieceError),
}

/// What is here of a submission's blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Chunks of the slice that are here. While not all are, chunks that the slice keeps of the blob at
    /// another place of the flow count too.
    pub chunks: u64,
    /// All of them are.
    pub whole: bool,
}

/// The node's chunks.
#[derive(Clone)]
pub struct Shelf {
    door: Door,
    slice: Slice,
    /// Of a slice.
    pieces: Option<Pieces>,
}

impl Shelf {
    /// Keeps the whole flow.
    #[must_use]
    pub fn whole(door: Door) -> Shelf {
        Shelf {
            door,
            slice: Slice::WHOLE,
            pieces: None,
        }
    }

    /// Keeps a slice of it, and in `pieces` what proves its chunks.
    #[must_use]
    pub fn of_slice(door: Door, slice: Slice, pieces: Pieces) -> Shelf {
        let pieces = (slice != Slice::WHOLE).then_some(pieces);
        Shelf {
            door,
            slice,
            pieces,
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
    /// [`ShelfError`].
    pub async fn held(&self, submission: &Submission) -> Result<Held, ShelfError> {
        let Submission { root, size, .. } = *submission;
        let shape = BlobShape::new(size).map_err(|_| Error::Empty)?;
        let wanted = self.slice.chunks(submission.start, shape);
        let whole = Held {
            chunks: wanted,
            whole: true,
        };
        let stored = self.door.stat(root).await?;
        // Of a blob that lies in other slices only there is nothing to wait for.
        if wanted == 0 || stored.is_some_and(|stored| stored.size == size) {
            return Ok(whole);
        }
        let chunks = match &self.pieces {
            None => {
                let progress = self.door.scattered(root).await?;
                let progress = progress.filter(|progress| progress.size == size);
                progress.map_or(0, |progress| progress.chunks)
            }
            Some(pieces) => {
                let count = pieces.count(root)?;
                if count >= wanted {
                    self.count(pieces, submission)?
                } else {
                    count
                }
            }
        };
        match self.pieces {
            Some(_) if chunks == wanted => Ok(whole),
            _ => Ok(Held {
                chunks,
                whole: false,
            }),
        }
    }

    /// Chunks of the slice that are missing of a blob, ascending, at most `limit`.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub async fn missing(
        &self,
        submission: &Submission,
        limit: usize,
    ) -> Result<Vec<u64>, ShelfError> {
        let Submission { root, size, .. } = *submission;
        if self.held(submission).await?.whole {
            return Ok(Vec::new());
        }
        let Some(pieces) = &self.pieces else {
            return Ok(self.door.missing(root, size, 0, limit).await?);
        };
        let mut missing = Vec::new();
        let (chunks, mut from) = (lode_proofs::chunks(size), 0);
        while from < chunks && missing.len() < limit {
            let page = pieces.indices(root, from, lode_flow::INDICES_MAX)?;
            // Without another piece, all that is left is missing.
            let full = page.len() == lode_flow::INDICES_MAX;
            let end = page.last().filter(|_| full).map_or(chunks, |last| last + 1);
            let kept = (from..end).filter(|index| self.slice.keeps(submission.start, *index));
            let lacks = kept.filter(|index| page.binary_search(index).is_err());
            missing.extend(lacks.take(limit - missing.len()));
            from = end;
        }
        Ok(missing)
    }

    /// A whole chunk of a blob with its proof; none if it is not here.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub async fn chunk(
        &self,
        submission: &Submission,
        index: u64,
    ) -> Result<Option<(ChunkProof, Bytes)>, ShelfError> {
        let Submission { root, size, .. } = *submission;
        let shape = BlobShape::new(size).map_err(|_| Error::Empty)?;
        if index >= shape.chunks() {
            return Ok(None);
        }
        let range = 0..shape.chunk_len(index);
        let Some(bytes) = self.door.read(root, index, range).await? else {
            return Ok(None);
        };
        let proof = self.prove(submission, index).await?;
        Ok(proof.map(|proof| (proof, bytes)))
    }

    /// Chunks of the slice that are here, one by one.
    fn count(&self, pieces: &Pieces, submission: &Submission) -> Result<u64, PieceError> {
        let (mut from, mut count) = (0, 0);
        loop {
            let page = pieces.indices(submission.root, from, lode_flow::INDICES_MAX)?;
            let Some(last) = page.last() else {
                return Ok(count);
            };
            from = last + 1;
            let kept = |index: &&u64| self.slice.keeps(submission.start, **index);
            count += u64::try_from(page.iter().filter(kept).count()).expect("64-bit");
        }
    }

    /// Makes a chunk durable, and what proves it; whether it was here already.
    ///
    /// # Errors
    /// [`ShelfError`]; [`Error::Unproven`] if the bytes are not those of the proof.
    pub async fn put(&self, proof: ChunkProof, bytes: Bytes) -> Result<bool, ShelfError> {
        let scattered = self.door.scatter(proof.clone(), bytes).await?;
        if let (Some(pieces), None) = (&self.pieces, scattered.stored) {
            // The chunk is durable: now it may be counted.
            let (pieces, root) = (pieces.clone(), proof.blob().root);
            let piece = Piece {
                chunk_root: proof.chunk_root(),
                siblings: proof.siblings().to_vec(),
            };
            let put = spawn_blocking(move || pieces.put(root, proof.index(), &piece)).await;
            put.map_err(|_| Error::Closing)??;
        }
        Ok(scattered.existed)
    }

    /// Sectors `first..end` of a blob, within one chunk, the last one filled up with zeros; none if
    /// they are not here.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub async fn sectors(
        &self,
        submission: &Submission,
        first: u64,
        end: u64,
    ) -> Result<Option<Bytes>, ShelfError> {
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
    /// [`ShelfError`].
    pub async fn prove(
        &self,
        submission: &Submission,
        chunk: u64,
    ) -> Result<Option<ChunkProof>, ShelfError> {
        let Submission { root, size, .. } = *submission;
        if let Some(proof) = self.door.prove(root, chunk).await? {
            return Ok(Some(proof));
        }
        let Some(piece) = self.piece(submission, chunk)? else {
            return Ok(None);
        };
        let blob = BlobId::new(root, size).map_err(|_| Error::Empty)?;
        let Piece {
            chunk_root,
            siblings,
        } = piece;
        let proof = ChunkProof::from_parts(blob, chunk, chunk_root, &siblings);
        let damaged = |_| PieceError::Damaged("a piece that does not lead to its root");
        Ok(Some(proof.map_err(damaged)?))
    }

    fn piece(&self, submission: &Submission, chunk: u64) -> Result<Option<Piece>, PieceError> {
        match &self.pieces {
            Some(pieces) => pieces.get(submission.root, chunk),
            None => Ok(None),
        }
    }
}

const SECTOR: u64 = 256;
const CHUNK: u64 = 262_144;
const _: () = assert!(SECTOR_LEN == 256 && lode_proofs::CHUNK_LEN == 262_144);
