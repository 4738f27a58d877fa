//! Chunks to nodes, as 0G's clients send them: to replicas of the slice that each chunk is of, up to ten
//! in a call, and to another replica where one is away.
//!
//! An acknowledgement counts if one and the same process knew the submission before and answered: chunks
//! of a submission that a node does not know wait in its memory, and that is no promise.

use std::{
    collections::BTreeSet,
    sync::atomic::Ordering::{Relaxed, SeqCst},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lode_proofs::{BlobId, ChunkHasher, ChunkProof, Hash32, Refusal, fold_roots};
use lode_wire::{Segment, Slice};

use super::{
    ledger::{Blob, Shared},
    nodes::Face,
    zgs::{Method, Taken, Zgs},
};
use crate::{
    client::Trouble,
    failure::{Failure, Outcome},
    noise::Noise,
};

/// Chunks in a call, at most: what 0G's clients send.
const BATCH_MAX: u64 = 10;
/// Pause before replicas that are all away are tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// One client.
pub struct Uploader<'a> {
    faces: &'a [Face],
    clients: Vec<Zgs>,
    shared: &'a Shared,
    to_all: u64,
    dice: Noise,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// Acknowledged, and written down.
    Acknowledged,
    /// The node is away, busy, or does not know the submission yet; or nobody knows which process
    /// answered.
    NotNow,
}

impl<'a> Uploader<'a> {
    /// A client whose choices come from a seed. Of a hundred blobs, it sends `to_all` to every replica;
    /// the others to one of each slice, and nodes do the rest.
    pub fn new(faces: &'a [Face], shared: &'a Shared, to_all: u64, seed: u64) -> Uploader<'a> {
        Uploader {
            faces,
            clients: faces.iter().map(|face| Zgs::new(face.zgs)).collect(),
            shared,
            to_all,
            dice: Noise::new(seed),
        }
    }

    /// Sends these chunks of a blob until a replica of each has acknowledged it, or nobody has taken any
    /// for `patience`. Returns how many nobody took.
    pub fn upload(
        &mut self,
        index: usize,
        wanted: &BTreeSet<u64>,
        patience: Duration,
    ) -> Outcome<u64> {
        let blob = self.shared.blob(index);
        let segments = Segments::of(&blob)?;
        let to_all = self.dice.chance(self.to_all);
        let mut left = wanted.clone();
        let mut end = Instant::now() + patience;
        loop {
            for batch in self.batches(&blob, &left) {
                let taken = self.send(index, &blob, &segments, &batch, to_all)?;
                if taken {
                    batch.chunks.iter().for_each(|chunk| {
                        left.remove(chunk);
                    });
                    end = Instant::now() + patience;
                }
            }
            let waits = !left.is_empty() && !self.shared.over.load(Relaxed);
            if !waits || Instant::now() >= end {
                return Ok(left.iter().map(|_| 1).sum());
            }
            thread::sleep(PAUSE);
        }
    }

    /// Chunks in diced portions, each of one slice.
    fn batches(&mut self, blob: &Blob, left: &BTreeSet<u64>) -> Vec<Batch> {
        let mut slices: Vec<Slice> = Vec::new();
        for face in self.faces {
            if !slices.contains(&face.slice) {
                slices.push(face.slice);
            }
        }
        let mut batches = Vec::new();
        for slice in slices {
            let own = left.iter().copied();
            let own: Vec<u64> = own.filter(|at| slice.keeps(blob.start, *at)).collect();
            let mut rest = &own[..];
            while !rest.is_empty() {
                let most = usize::try_from(self.dice.between(1, BATCH_MAX)).unwrap_or(1);
                let (chunks, more) = rest.split_at(most.min(rest.len()));
                let chunks = chunks.to_vec();
                batches.push(Batch { slice, chunks });
                rest = more;
            }
        }
        batches
    }

    /// Sends a batch to one replica of its slice, or to all; whether any took it.
    fn send(
        &mut self,
        index: usize,
        blob: &Blob,
        segments: &Segments,
        batch: &Batch,
        to_all: bool,
    ) -> Outcome<bool> {
        let mut taken = false;
        let is_first = self.shared.ledger(|ledger| ledger.is_first(blob));
        for node in replicas(self.faces, batch.slice, &mut self.dice) {
            let method = match self.dice.below(3) {
                0 => Method::BySeq,
                // A root that was submitted before names the earlier submission, and its slices.
                1 if is_first => Method::ByRoot,
                _ => Method::Many,
            };
            match self.send_to(node, blob, segments, batch, method) {
                Ok(Sent::Acknowledged) => {
                    let written = self
                        .shared
                        .ledger(|ledger| ledger.ack(index, node, &batch.chunks));
                    written?;
                    let count = batch.chunks.iter().map(|_| 1).sum();
                    self.shared.acks.fetch_add(count, SeqCst);
                    taken = true;
                    if !to_all {
                        break;
                    }
                }
                Ok(Sent::NotNow) | Err(Trouble::Lost(_)) => {}
                Err(trouble) => {
                    let what = format!("storage node {node}, upload of {}: {trouble}", blob.root);
                    return Err(Failure::Node(what));
                }
            }
        }
        Ok(taken)
    }

    fn send_to(
        &self,
        node: usize,
        blob: &Blob,
        segments: &Segments,
        batch: &Batch,
        method: Method,
    ) -> Result<Sent, Trouble> {
        let (face, zgs) = (&self.faces[node], &self.clients[node]);
        let process = face.starts();
        if zgs.info(blob.seq)?.is_none() {
            return Ok(Sent::NotNow);
        }
        let list = batch.chunks.iter().map(|chunk| segments.segment(*chunk));
        let list = list
            .collect::<Result<Vec<Segment>, Refusal>>()
            .map_err(|why| Trouble::Strange(format!("no proof: {why}")))?;
        match zgs.upload(&list, blob.seq, method)? {
            Taken::Acknowledged if face.starts() == process => Ok(Sent::Acknowledged),
            _ => Ok(Sent::NotNow),
        }
    }
}

/// Chunks of one slice.
struct Batch {
    slice: Slice,
    chunks: Vec<u64>,
}

/// Nodes of a slice, in diced order.
pub fn replicas(faces: &[Face], slice: Slice, dice: &mut Noise) -> Vec<usize> {
    let all = faces.iter().enumerate();
    let mut own: Vec<usize> = all
        .filter(|(_, face)| face.slice == slice)
        .map(|(node, _)| node)
        .collect();
    shuffle(&mut own, dice);
    own
}

/// Another order (Fisher and Yates).
pub fn shuffle<T>(list: &mut [T], dice: &mut Noise) {
    for last in (1..list.len()).rev() {
        if let Some(other) = dice.index(last + 1) {
            list.swap(last, other);
        }
    }
}

/// A blob, ready to be sent.
struct Segments {
    id: BlobId,
    bytes: Bytes,
    roots: Vec<Hash32>,
}

impl Segments {
    fn of(blob: &Blob) -> Outcome<Segments> {
        let bytes = Bytes::from(blob.contents());
        let id = blob.id().map_err(Failure::machine("a blob"))?;
        let mut hasher = ChunkHasher::new();
        let chunks = (0..).zip(bytes.chunks(lode_proofs::CHUNK_LEN));
        let roots = chunks.map(|(index, chunk)| hasher.root(id.shape, index, chunk));
        Ok(Segments {
            id,
            roots: roots
                .collect::<Result<_, _>>()
                .map_err(Failure::machine("roots of chunks"))?,
            bytes,
        })
    }

    fn segment(&self, index: u64) -> Result<Segment, Refusal> {
        let BlobId { root, shape } = self.id;
        let at = |chunk: u64| usize::try_from(chunk).expect("the blob is in memory");
        let proof = ChunkProof::build(shape, index, |run| {
            let roots = &self.roots[at(run.first)..at(run.first + run.count)];
            fold_roots(roots).expect("a run has chunks")
        })?;
        let first = at(index) * lode_proofs::CHUNK_LEN;
        let end = first + shape.chunk_len(index);
        let mut sectors = self.bytes[first..end].to_vec();
        sectors.resize(sectors.len().next_multiple_of(lode_proofs::SECTOR_LEN), 0);
        Ok(Segment {
            root,
            data: sectors.into(),
            index,
            proof: proof.to_wire(),
            file_size: shape.size(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lode_proofs::blob_tree;

    use super::*;
    use crate::noise::contents;

    /// What is sent is what a node checks: bytes and proof of every chunk lead to the root.
    #[test]
    fn segments_hold() {
        for size in [1, 256, 262_143, 262_145, 5 * 262_144, 1_500_000] {
            let tree = blob_tree(&contents(size, size)).unwrap();
            let blob = Blob {
                seed: size,
                size,
                root: tree.root(),
                seq: 0,
                start: 0,
                acked: BTreeMap::new(),
            };
            let (segments, id) = (Segments::of(&blob).unwrap(), blob.id().unwrap());
            for index in 0..blob.chunks() {
                let segment = segments.segment(index).unwrap();
                let proof = ChunkProof::from_wire(id, index, &segment.proof).unwrap();
                let sectors = proof.verify_sectors(&mut ChunkHasher::new(), &segment.data);
                assert!(sectors.is_ok(), "{size} {index}");
            }
            assert!(segments.segment(blob.chunks()).is_err());
        }
    }

    /// Every order comes, and nothing is lost by it.
    #[test]
    fn all_orders() {
        let mut dice = Noise::new(3);
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            let mut list = [0, 1, 2];
            shuffle(&mut list, &mut dice);
            seen.insert(list);
        }
        assert_eq!(seen.len(), 6);
    }
}
