//! Blobs with their trees, as a node keeps them.

use bytes::Bytes;
use lode_proofs::{BlobHasher, BlobShape, CHUNK_LEN, ChunkProof, Hash32, SECTOR_LEN, fold_roots};
use lode_wire::{FileInfo, Segment, Transaction};
use serde_json::{Value, json};

/// A blob.
#[derive(Debug)]
pub struct Blob {
    pub bytes: Bytes,
    pub shape: BlobShape,
    pub root: Hash32,
    chunk_roots: Vec<Hash32>,
}

/// `size` bytes that differ everywhere, and from one `salt` to the next.
pub fn bytes(size: usize, salt: u64) -> Bytes {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

impl Blob {
    pub fn new(bytes: Bytes) -> Blob {
        let (mut hasher, mut chunk_roots) = (BlobHasher::new(), Vec::new());
        hasher.update_with(&bytes, |_, root| chunk_roots.push(root));
        let tree = hasher.finish().unwrap();
        chunk_roots.extend(tree.last_chunk_root());
        Blob {
            shape: tree.shape(),
            root: tree.root(),
            chunk_roots,
            bytes,
        }
    }

    pub fn of(size: usize, salt: u64) -> Blob {
        Blob::new(bytes(size, salt))
    }

    /// A chunk as nodes send it: in whole sectors, with its proof.
    pub fn segment(&self, index: u64) -> Segment {
        let proof = ChunkProof::build(self.shape, index, |run| {
            let (first, count) = (run.first as usize, run.count as usize);
            fold_roots(&self.chunk_roots[first..first + count]).unwrap()
        });
        let start = index as usize * CHUNK_LEN;
        let end = (start + CHUNK_LEN).min(self.bytes.len());
        let mut data = self.bytes[start..end].to_vec();
        data.resize(data.len().next_multiple_of(SECTOR_LEN), 0);
        Segment {
            root: self.root,
            data: data.into(),
            index,
            proof: proof.unwrap().to_wire(),
            file_size: self.shape.size(),
        }
    }

    pub fn info(&self, seq: u64, start: u64) -> FileInfo {
        FileInfo {
            tx: Transaction {
                stream_ids: vec![],
                data: vec![],
                data_merkle_root: self.root,
                merkle_nodes: vec![],
                start_entry_index: start,
                size: self.shape.size(),
                seq,
            },
            finalized: true,
            is_cached: false,
            uploaded_seg_num: self.shape.chunks(),
            pruned: false,
        }
    }

    /// What `POST /file/segment` takes.
    pub fn relay(&self, index: u64) -> Value {
        let segment = serde_json::to_value(self.segment(index)).unwrap();
        json!({
            "root": segment["root"],
            "index": index,
            "data": segment["data"],
            "proof": segment["proof"],
        })
    }
}
