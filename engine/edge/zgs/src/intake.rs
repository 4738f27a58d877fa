//! A chunk in: checked in the order that 0G's nodes check (0G wire, 1.6), then durable, or kept for
//! the submission that is still to come. Whatever a chunk came as, JSON or gRPC, it goes through here.

use std::time::Instant;

use bytes::Bytes;
use lode_flow::Submission;
use lode_proofs::{BlobId, ChunkHasher, ChunkProof, Refusal as Unproven, SECTOR_LEN};
use lode_wire::{Segment, text};

use crate::{refusal::Refusal, room::Room};

/// Takes a chunk of a submission, or of one that is not known yet.
pub async fn take(
    room: &Room,
    segment: Segment,
    submission: Option<&Submission>,
) -> Result<(), Refusal> {
    if segment.data.is_empty() || !segment.data.len().is_multiple_of(SECTOR_LEN) {
        return Err(Refusal::param("data", text::DATA_LENGTH));
    }
    match submission {
        Some(submission) => {
            fits(room, &segment, submission).await?;
            let (proof, bytes) = proven(&segment)?;
            if !room.shelf.slice().keeps(submission.start, proof.index()) {
                // Clients send a chunk to the nodes of its slice; what others get they need not keep.
                return Ok(());
            }
            store(room, proof, bytes).await?;
            room.tell(submission.seq);
            Ok(())
        }
        None => keep(room, segment).await,
    }
}

/// Takes chunks of a submission by its number. Those that are here already are passed over, and so are
/// those that come after the one that made the blob whole.
pub async fn take_all_of(room: &Room, segments: Vec<Segment>, seq: u64) -> Result<(), Refusal> {
    let submission = room.book.submission(seq)?;
    let mut some = false;
    for segment in segments {
        match take(room, segment, submission.as_ref()).await {
            Ok(()) => some = true,
            Err(refusal) if refusal.is_duplicate() => {}
            Err(refusal) if some && refusal.is_finalized() => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(())
}

/// What the submission has to say about a chunk.
async fn fits(room: &Room, segment: &Segment, submission: &Submission) -> Result<(), Refusal> {
    if segment.root != submission.root {
        return Err(Refusal::Internal(text::ANOTHER_ROOT.to_owned()));
    }
    if segment.file_size != submission.size {
        return Err(Refusal::param("file_size", text::FILE_SIZE));
    }
    if room.shelf.held(submission).await?.whole {
        return Err(Refusal::param("root", text::FINALIZED));
    }
    Ok(())
}

/// The proof of a chunk, which leads to the root that it came with, and its bytes without the fill of
/// the last sector. That the bytes are those of the proof is for the store to check, where they go.
fn proven(segment: &Segment) -> Result<(ChunkProof, Bytes), Refusal> {
    let Segment {
        root,
        data,
        index,
        proof,
        file_size,
    } = segment;
    let blob =
        BlobId::new(*root, *file_size).map_err(|_| Refusal::param("file_size", "file is empty"))?;
    if *index >= blob.shape.chunks() {
        return Err(Refusal::param("index", text::INDEX));
    }
    let len = blob.shape.chunk_len(*index);
    if data.len() != len.next_multiple_of(SECTOR_LEN) {
        return Err(Refusal::param("data", text::DATA_LENGTH));
    }
    let proof = ChunkProof::from_wire(blob, *index, proof).map_err(unproven)?;
    if data[len..].iter().any(|byte| *byte != 0) {
        return Err(unproven(Unproven::Fill));
    }
    Ok((proof, data.slice(..len)))
}

fn unproven(why: Unproven) -> Refusal {
    Refusal::param("proof", format!("{}: {why}", text::PROOF))
}

async fn store(room: &Room, proof: ChunkProof, bytes: Bytes) -> Result<(), Refusal> {
    let Ok(_turn) = room.writes.try_acquire() else {
        return Err(Refusal::too_many(crate::room::WRITES_MAX));
    };
    match room.shelf.put(proof, bytes).await? {
        true => Err(Refusal::Sentence(text::DUPLICATE.to_owned())),
        false => {
            room.meter.chunk();
            Ok(())
        }
    }
}

/// Keeps a chunk whose submission is not known.
async fn keep(room: &Room, segment: Segment) -> Result<(), Refusal> {
    if segment.file_size > room.config.cached_blob_max {
        return Err(Refusal::param("file_size", text::LARGE_CACHE));
    }
    let (proof, bytes) = proven(&segment)?;
    proof
        .verify_with(&mut ChunkHasher::new(), &bytes)
        .map_err(unproven)?;
    let kept = room.cache.lock().put(proof, bytes, Instant::now());
    // The chain's word may have come between the look for it and this.
    if let Some(submission) = room.submission_of(segment.root)? {
        flush(room, &submission).await;
    }
    match kept {
        true => Ok(()),
        false => Err(Refusal::Sentence(text::DUPLICATE.to_owned())),
    }
}

/// Stores what waited for a submission.
pub async fn flush(room: &Room, submission: &Submission) {
    let chunks = room.cache.lock().take(&submission.root);
    for (proof, bytes) in chunks {
        let (index, size) = (proof.index(), proof.blob().shape.size());
        if size != submission.size || !room.shelf.slice().keeps(submission.start, index) {
            continue;
        }
        match room.shelf.put(proof, bytes).await {
            Ok(true) => {}
            Ok(false) => {
                room.meter.chunk();
                room.tell(submission.seq);
            }
            Err(error) => {
                tracing::warn!(root = %submission.root, index, %error, "a chunk that waited is lost");
            }
        }
    }
}
