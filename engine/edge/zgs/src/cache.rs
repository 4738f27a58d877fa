//! Chunks that came before the chain's word of their submission. Bounded in bytes, in blobs and in
//! time; the oldest blob goes first. Each chunk was checked against the root that it came with.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lode_proofs::{BlobId, ChunkProof, Hash32};

/// What a waiting chunk takes beside its bytes, about: its proof and its place.
const OVERHEAD: u64 = 2_048;

/// A chunk with its proof.
pub type Chunk = (ChunkProof, Bytes);

/// Chunks of one blob.
struct Waiting {
    blob: BlobId,
    chunks: BTreeMap<u64, Chunk>,
    bytes: u64,
    since: Instant,
}

/// Chunks of blobs that the chain does not know.
pub struct Cache {
    blobs: BTreeMap<Hash32, Waiting>,
    bytes: u64,
    bytes_max: u64,
    time: Duration,
}

impl Cache {
    /// A cache of so many bytes, kept for so long.
    pub fn new(bytes_max: u64, time: Duration) -> Cache {
        Cache {
            blobs: BTreeMap::new(),
            bytes: 0,
            bytes_max,
            time,
        }
    }

    /// Keeps a chunk; false if it is kept already. Of two sizes under one root the last one counts.
    pub fn put(&mut self, proof: ChunkProof, bytes: Bytes, now: Instant) -> bool {
        self.forget_old(now);
        let blob = proof.blob();
        if self
            .blobs
            .get(&blob.root)
            .is_some_and(|waiting| waiting.blob != blob)
        {
            self.take(&blob.root);
        }
        let waiting = self.blobs.entry(blob.root).or_insert_with(|| Waiting {
            blob,
            chunks: BTreeMap::new(),
            bytes: 0,
            since: now,
        });
        if waiting.chunks.contains_key(&proof.index()) {
            return false;
        }
        let len = u64::try_from(bytes.len()).expect("64-bit") + OVERHEAD;
        waiting.bytes += len;
        self.bytes += len;
        waiting.chunks.insert(proof.index(), (proof, bytes));
        self.make_room(&blob.root);
        true
    }

    /// Takes out the chunks of a blob.
    pub fn take(&mut self, root: &Hash32) -> Vec<Chunk> {
        let Some(waiting) = self.blobs.remove(root) else {
            return Vec::new();
        };
        self.bytes -= waiting.bytes;
        waiting.chunks.into_values().collect()
    }

    /// Bytes that are taken.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Roots of all blobs that wait.
    pub fn roots(&self) -> Vec<Hash32> {
        self.blobs.keys().copied().collect()
    }

    /// Forgets what has waited too long.
    pub fn forget_old(&mut self, now: Instant) {
        let time = self.time;
        let old = |waiting: &Waiting| now.duration_since(waiting.since) >= time;
        let old = self.blobs.iter().filter(|(_, waiting)| old(waiting));
        let old: Vec<Hash32> = old.map(|(root, _)| *root).collect();
        for root in old {
            self.take(&root);
        }
    }

    /// Forgets the oldest blobs, but not `keep`, until there is room.
    fn make_room(&mut self, keep: &Hash32) {
        while self.bytes > self.bytes_max {
            let others = self.blobs.iter().filter(|(root, _)| *root != keep);
            let oldest = others.min_by_key(|(_, waiting)| waiting.since);
            let Some(root) = oldest.map(|(root, _)| *root) else {
                return;
            };
            self.take(&root);
        }
    }
}

#[cfg(test)]
mod tests {
    use lode_proofs::BlobShape;

    use super::*;

    fn chunk(seed: u8, size: u64, index: u64) -> Chunk {
        let shape = BlobShape::new(size).unwrap();
        let leaf = |index| Hash32(lode_proofs::keccak::keccak256(&[seed, index]));
        let leaves: Vec<Hash32> = (0..3).map(leaf).collect();
        let proof = ChunkProof::build(shape, index, |run| {
            let first = usize::try_from(run.first).unwrap();
            let count = usize::try_from(run.count).unwrap();
            lode_proofs::fold_roots(&leaves[first..first + count]).unwrap()
        });
        let bytes = Bytes::from(vec![seed; shape.chunk_len(index)]);
        (proof.unwrap(), bytes)
    }

    fn cache(chunks: u64) -> Cache {
        Cache::new(chunks * (262_144 + OVERHEAD), Duration::from_secs(10))
    }

    /// What was put comes out once, in order, and a chunk counts once.
    #[test]
    fn in_and_out() {
        let (mut cache, now) = (cache(8), Instant::now());
        let chunks: Vec<Chunk> = (0..3).map(|index| chunk(1, 3 * 262_144, index)).collect();
        for (proof, bytes) in chunks.iter().rev() {
            assert!(cache.put(proof.clone(), bytes.clone(), now));
            assert!(!cache.put(proof.clone(), bytes.clone(), now));
        }
        let root = chunks[0].0.blob().root;
        assert_eq!(cache.roots(), [root]);
        assert_eq!(cache.take(&root), chunks);
        assert_eq!((cache.take(&root), cache.bytes), (Vec::new(), 0));
    }

    /// Room is made by the oldest, never by the one that came last; time ends all.
    #[test]
    fn bounded_in_bytes_and_time() {
        let (mut cache, now) = (cache(2), Instant::now());
        for seed in 1..=3 {
            let (proof, bytes) = chunk(seed, 262_144, 0);
            let at = now + Duration::from_secs(seed.into());
            assert!(cache.put(proof, bytes, at));
        }
        let root = |seed| chunk(seed, 262_144, 0).0.blob().root;
        assert!(cache.take(&root(1)).is_empty());
        assert!(cache.bytes <= cache.bytes_max);
        cache.forget_old(now + Duration::from_secs(12));
        assert!(cache.take(&root(2)).is_empty());
        assert_eq!(cache.take(&root(3)).len(), 1);
    }
}
