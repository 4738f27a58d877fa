//! A node's chunks in memory, and a flow of blobs that all nodes know.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use lode_proofs::{
    BlobShape, CHUNK_LEN, ChunkHasher, ChunkProof, ChunkRun, Hash32, blob_tree, fold_roots,
};
use lode_wire::Slice;

use crate::{Blob, Holder, HolderError};

/// A blob of the flow, with all its bytes.
pub(crate) struct Known {
    pub(crate) blob: Blob,
    pub(crate) chunks: Vec<(ChunkProof, Bytes)>,
}

/// The chain: what was submitted. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Flow(Arc<Mutex<Vec<Arc<Known>>>>);

impl Flow {
    /// Submits a blob of that many bytes, different from all others; its number.
    pub(crate) fn submit(&self, size: usize) -> u64 {
        let mut known = self.0.lock().unwrap();
        let seq = u64::try_from(known.len()).unwrap();
        let data: Vec<u8> = (0..size)
            .map(|at| u8::try_from((at * 31 + at / 257 + known.len() * 7) % 251).unwrap())
            .collect();
        let root = blob_tree(&data).unwrap().root();
        let size = u64::try_from(size).unwrap();
        let shape = BlobShape::new(size).unwrap();
        let last = known.last().map(|last| last.blob);
        let end = last.map_or(0, |last| {
            last.start + BlobShape::new(last.size).unwrap().padded_sectors()
        });
        let pieces: Vec<&[u8]> = data.chunks(CHUNK_LEN).collect();
        let proofs = proofs(shape, &pieces);
        let chunks = proofs.into_iter().zip(pieces);
        let chunks = chunks.map(|(proof, bytes)| (proof, Bytes::copy_from_slice(bytes)));
        known.push(Arc::new(Known {
            blob: Blob {
                seq,
                root,
                size,
                start: end.next_multiple_of(1024),
            },
            chunks: chunks.collect(),
        }));
        seq
    }

    pub(crate) fn get(&self, seq: u64) -> Option<Arc<Known>> {
        let at = usize::try_from(seq).unwrap();
        self.0.lock().unwrap().get(at).cloned()
    }

    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.0.lock().unwrap().len()).unwrap()
    }
}

/// The proof of each chunk, each of which is true: its root is the blob's.
fn proofs(shape: BlobShape, pieces: &[&[u8]]) -> Vec<ChunkProof> {
    let mut hasher = ChunkHasher::new();
    let roots: Vec<Hash32> = (0..)
        .zip(pieces)
        .map(|(index, piece)| hasher.root(shape, index, piece).unwrap())
        .collect();
    let count = shape.chunks();
    let root_of = |run: ChunkRun| {
        let first = usize::try_from(run.first).unwrap();
        let count = usize::try_from(run.count).unwrap();
        fold_roots(&roots[first..first + count]).unwrap()
    };
    (0..count)
        .map(|index| ChunkProof::build(shape, index, root_of).unwrap())
        .collect()
}

#[derive(Default)]
struct Inside {
    held: BTreeMap<(Hash32, u64), Bytes>,
    puts: u64,
    reads: u64,
    broken: bool,
    rotten: BTreeSet<(Hash32, u64)>,
}

/// A node's chunks. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct Store {
    flow: Flow,
    slice: Slice,
    inside: Arc<Mutex<Inside>>,
}

impl Store {
    pub(crate) fn new(flow: &Flow, slice: Slice) -> Store {
        Store {
            flow: flow.clone(),
            slice,
            inside: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// A client brings all chunks of its slice of a blob.
    pub(crate) fn upload(&self, seq: u64) {
        let known = self.flow.get(seq).unwrap();
        for (index, (_, bytes)) in (0..).zip(&known.chunks) {
            if self.slice.keeps(known.blob.start, index) {
                let key = (known.blob.root, index);
                self.lock().held.insert(key, bytes.clone());
            }
        }
    }

    /// A client brings one chunk.
    pub(crate) fn upload_chunk(&self, seq: u64, index: usize) {
        let known = self.flow.get(seq).unwrap();
        let key = (known.blob.root, u64::try_from(index).unwrap());
        self.lock().held.insert(key, known.chunks[index].1.clone());
    }

    /// The disk is gone.
    pub(crate) fn wipe(&self) {
        self.lock().held.clear();
    }

    /// The disk takes nothing more.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.lock().broken = broken;
    }

    /// The disk lost a byte, and nobody noticed.
    pub(crate) fn rot(&self, seq: u64, index: u64) {
        let root = self.flow.get(seq).unwrap().blob.root;
        self.lock().rotten.insert((root, index));
    }

    /// Chunks that were put by other nodes.
    pub(crate) fn puts(&self) -> u64 {
        self.lock().puts
    }

    /// Chunks that others asked for.
    pub(crate) fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// Chunks of its slice that it has not, of all blobs; panics at a byte that is not the blob's.
    pub(crate) fn lacks(&self) -> usize {
        let mut lacks = 0;
        for seq in 0..self.flow.len() {
            let known = self.flow.get(seq).unwrap();
            for (index, (_, bytes)) in (0..).zip(&known.chunks) {
                match self.lock().held.get(&(known.blob.root, index)) {
                    Some(held) => assert_eq!(held, bytes, "chunk {index} of {seq} is wrong"),
                    None if self.slice.keeps(known.blob.start, index) => lacks += 1,
                    None => {}
                }
            }
        }
        lacks
    }
}

impl Holder for Store {
    fn slice(&self) -> Slice {
        self.slice
    }

    async fn next_seq(&self) -> Result<u64, HolderError> {
        Ok(self.flow.len())
    }

    async fn blob(&self, seq: u64) -> Result<Option<Blob>, HolderError> {
        Ok(self.flow.get(seq).map(|known| known.blob))
    }

    async fn missing(&self, blob: Blob, limit: usize) -> Result<Vec<u64>, HolderError> {
        let shape = BlobShape::new(blob.size).unwrap();
        let inside = self.lock();
        let missing = (0..shape.chunks()).filter(|index| {
            self.slice.keeps(blob.start, *index) && !inside.held.contains_key(&(blob.root, *index))
        });
        Ok(missing.take(limit).collect())
    }

    async fn read(
        &self,
        root: Hash32,
        size: u64,
        index: u64,
    ) -> Result<Option<(ChunkProof, Bytes)>, HolderError> {
        self.lock().reads += 1;
        let Some(bytes) = self.lock().held.get(&(root, index)).cloned() else {
            return Ok(None);
        };
        let mut known = (0..self.flow.len()).map(|seq| self.flow.get(seq).unwrap());
        let known = known.rfind(|known| known.blob.root == root && known.blob.size == size);
        let Some(known) = known else {
            return Ok(None);
        };
        let proof = known.chunks[usize::try_from(index).unwrap()].0.clone();
        let mut bytes = bytes.to_vec();
        if self.lock().rotten.contains(&(root, index)) {
            bytes[0] ^= 1;
        }
        Ok(Some((proof, bytes.into())))
    }

    async fn put(&self, proof: ChunkProof, bytes: Bytes) -> Result<(), HolderError> {
        proof.verify(&bytes).expect("was checked before");
        let mut inside = self.lock();
        if inside.broken {
            return Err(HolderError("the disk is full".to_owned()));
        }
        inside.puts += 1;
        let key = (proof.blob().root, proof.index());
        inside.held.insert(key, bytes);
        Ok(())
    }
}
