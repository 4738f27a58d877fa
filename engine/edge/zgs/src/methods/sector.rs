//! From a sector up to the flow's root: within its chunk by the bytes, within its blob by the proof
//! of the chunk, above that by the flow's book.
//!
//! ```text
//!  leaf ─ siblings in the chunk ─ siblings in the node ─ siblings in the flow ─ root
//!         hashed here             the chunk's proof      Book::path
//! ```

use bytes::{Bytes, BytesMut};
use lode_flow::{Holder, Submission};
use lode_proofs::{
    CHUNK_HEIGHT, Hash32, SECTOR_LEN, ZERO_ROOTS, chunks,
    flow::Subtree,
    fold_roots,
    keccak::{Backend, keccak256},
    sectors,
};
use lode_wire::FlowProof;

use super::Answer;
use crate::{refusal::Refusal, room::Room};

/// The way from a sector to a root of the flow, or to the present one.
pub async fn proof(room: &Room, sector: u64, root: Option<Hash32>) -> Answer<FlowProof> {
    let (leaf, height, mut siblings) = match room.book.covering(sector)? {
        Some(holder) => {
            let (leaf, siblings) = within_node(room, &holder, sector - holder.first).await?;
            (leaf, holder.node.height, siblings)
        }
        // The flow begins with 32 zero bytes that are the hash of nothing (0G wire, 1.7).
        None if sector == 0 => (Hash32([0; 32]), 0, Vec::new()),
        None => (ZERO_ROOTS[0], 0, Vec::new()),
    };
    let subtree = Subtree::holding(sector, height)
        .ok_or_else(|| Refusal::param("sector_index", "past the end of the flow"))?;
    let above = room.book.path(subtree, root)?;
    siblings.extend(above.siblings);
    let path = (0..siblings.len()).map(|level| sector >> level & 1 == 0);
    let path = path.collect();
    let lemma = [vec![leaf], siblings, vec![above.root]].concat();
    Ok(FlowProof { lemma, path })
}

/// Leaf and siblings of sector `at` of a node, up to the node.
async fn within_node(room: &Room, holder: &Holder, at: u64) -> Answer<(Hash32, Vec<Hash32>)> {
    let Holder {
        submission,
        node,
        first,
    } = holder;
    let begin = first - submission.start;
    let low = node.height.min(CHUNK_HEIGHT);
    // The part of the node that is one chunk's.
    let part = begin + (at >> low << low);
    let missing = || {
        let why = format!("the bytes of submission {} are not here", submission.seq);
        Refusal::Sentence(why)
    };
    let bytes = bytes(room, submission, part, part + (1 << low)).await?;
    let bytes = bytes.ok_or_else(missing)?;
    let leaves = bytes
        .chunks(SECTOR_LEN)
        .map(|sector| Hash32(keccak256(sector)))
        .collect();
    let turn = usize::try_from(begin + at - part).expect("within a chunk");
    let (leaf, mut siblings) = climb(leaves, turn);
    if node.height > CHUNK_HEIGHT {
        let chunk = (begin + at) >> CHUNK_HEIGHT;
        let height = node.height - CHUNK_HEIGHT;
        let above = above_chunk(room, submission, chunk, height).await?;
        siblings.extend(above.ok_or_else(missing)?);
    }
    Ok((leaf, siblings))
}

/// A leaf of a perfect tree and its siblings.
fn climb(mut level: Vec<Hash32>, mut turn: usize) -> (Hash32, Vec<Hash32>) {
    let (leaf, mut siblings) = (level[turn], Vec::new());
    while level.len() > 1 {
        siblings.push(level[turn ^ 1]);
        let pairs = level.chunks_exact(2);
        level = pairs.map(|pair| parent(pair[0], pair[1])).collect();
        turn >>= 1;
    }
    (leaf, siblings)
}

/// Siblings of a chunk, from its root up `height` levels, all of them within one node of the blob.
/// Chunks that are padding have no proof of their own: theirs shares its upper end with that of the
/// last chunk that holds bytes.
async fn above_chunk(
    room: &Room,
    submission: &Submission,
    chunk: u64,
    height: u8,
) -> Answer<Option<Vec<Hash32>>> {
    let last = chunks(submission.size) - 1;
    let Some(proof) = room.shelf.prove(submission, chunk.min(last)).await? else {
        return Ok(None);
    };
    let known = proof.siblings();
    if chunk <= last {
        return Ok(Some(known[..usize::from(height)].to_vec()));
    }
    let mut siblings = Vec::new();
    let (mut running, mut at, mut of) = (proof.chunk_root(), last, chunk);
    for level in 0..height {
        let (zero, known) = (
            ZERO_ROOTS[usize::from(CHUNK_HEIGHT + level)],
            known[usize::from(level)],
        );
        siblings.push(match () {
            // The ways have met.
            () if at == of => known,
            () if at ^ 1 == of => running,
            // All around is padding: whatever holds bytes lies to the left of where they meet.
            () => zero,
        });
        running = match at & 1 {
            0 => parent(running, known),
            _ => parent(known, running),
        };
        (at, of) = (at >> 1, of >> 1);
    }
    Ok(Some(siblings))
}

/// Root of a chunk of a blob, which is padding behind the last one; none if it is not here.
pub async fn chunk_root(
    room: &Room,
    submission: &Submission,
    chunk: u64,
) -> Answer<Option<Hash32>> {
    if chunk >= chunks(submission.size) {
        return Ok(Some(ZERO_ROOTS[usize::from(CHUNK_HEIGHT)]));
    }
    let Some(bytes) = bytes(
        room,
        submission,
        chunk << CHUNK_HEIGHT,
        (chunk + 1) << CHUNK_HEIGHT,
    )
    .await?
    else {
        return Ok(None);
    };
    let leaves: Vec<Hash32> = bytes
        .chunks(SECTOR_LEN)
        .map(|sector| Hash32(keccak256(sector)))
        .collect();
    Ok(fold_roots(&leaves))
}

/// Sectors `first..end` of a blob, within one chunk, padding included; none if they are not here.
pub async fn bytes(
    room: &Room,
    submission: &Submission,
    first: u64,
    end: u64,
) -> Answer<Option<Bytes>> {
    let real = sectors(submission.size);
    let len = usize::try_from(end - first).expect("at most a chunk") * SECTOR_LEN;
    let mut filled = BytesMut::new();
    if first < real {
        let Some(bytes) = room.shelf.sectors(submission, first, end.min(real)).await? else {
            return Ok(None);
        };
        filled.extend_from_slice(&bytes);
    }
    filled.resize(len, 0);
    Ok(Some(filled.freeze()))
}

fn parent(left: Hash32, right: Hash32) -> Hash32 {
    Hash32(Backend::best().hash_pair(&[left.0, right.0]))
}
