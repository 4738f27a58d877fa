//! Which chunks were acknowledged, blob by blob. Lives in this process, which nobody kills; every entry
//! is also a line in a file, written before the next request starts.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64},
    },
};

use lode_proofs::{BlobId, BlobShape, EmptyBlob, Hash32};
use lode_wire::Slice;
use serde::Serialize;
use serde_json::json;

use crate::{
    failure::{Failure, Outcome},
    noise::contents,
};

/// A blob that the chain has ordered: its contents are a function of seed and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Seed of its contents.
    pub seed: u64,
    /// Bytes.
    pub size: u64,
    /// Root of its contents.
    pub root: Hash32,
    /// Number of its submission.
    pub seq: u64,
    /// First sector in the flow.
    pub start: u64,
    /// Chunks that were acknowledged, each with the node that was first.
    pub acked: BTreeMap<u64, usize>,
}

impl Blob {
    /// Its bytes, made again.
    pub fn contents(&self) -> Vec<u8> {
        contents(self.seed, self.size)
    }

    /// Root and size, as proofs want them.
    pub fn id(&self) -> Result<BlobId, EmptyBlob> {
        BlobId::new(self.root, self.size)
    }

    /// Its chunks.
    pub fn chunks(&self) -> u64 {
        lode_proofs::chunks(self.size)
    }

    /// Bytes of a chunk.
    pub fn chunk_len(&self, index: u64) -> u64 {
        let len = BlobShape::new(self.size).map_or(0, |shape| shape.chunk_len(index));
        u64::try_from(len).unwrap_or(u64::MAX)
    }

    /// Acknowledged chunks of a slice.
    pub fn acked_in(&self, slice: Slice) -> impl Iterator<Item = u64> + '_ {
        let all = self.acked.keys().copied();
        all.filter(move |index| slice.keeps(self.start, *index))
    }

    /// All of it was acknowledged.
    pub fn is_whole(&self) -> bool {
        self.acked.keys().map(|_| 1).sum::<u64>() == self.chunks()
    }
}

/// What was acknowledged, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Blobs in the flow.
    pub blobs: u64,
    /// Blobs of which all was acknowledged.
    pub whole: u64,
    /// Acknowledged chunks, each node's word for itself.
    pub acks: u64,
    /// Chunks that any node has acknowledged.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The ledger.
pub struct Ledger {
    /// Every blob, in the order of the flow.
    pub blobs: Vec<Blob>,
    acks: u64,
    file: File,
}

impl Ledger {
    /// An empty ledger, and its file.
    pub fn new(path: &Path) -> Outcome<Ledger> {
        let file = File::options().append(true).create_new(true).open(path);
        Ok(Ledger {
            blobs: Vec::new(),
            acks: 0,
            file: file.map_err(Failure::machine(path.display().to_string()))?,
        })
    }

    /// A blob is in the flow; its index here.
    pub fn add(&mut self, blob: Blob) -> Outcome<usize> {
        let Blob {
            seed, size, root, ..
        } = blob;
        self.write(&json!({
            "seq": blob.seq, "root": root, "seed": seed, "size": size, "start": blob.start,
        }))?;
        self.blobs.push(blob);
        Ok(self.blobs.len() - 1)
    }

    /// A node has acknowledged chunks; written down before this returns.
    pub fn ack(&mut self, index: usize, node: usize, chunks: &[u64]) -> Outcome<()> {
        let seq = self.blobs[index].seq;
        self.write(&json!({ "seq": seq, "node": node, "acked": chunks }))?;
        for chunk in chunks {
            self.acks += 1;
            self.blobs[index].acked.entry(*chunk).or_insert(node);
        }
        Ok(())
    }

    /// Whether no earlier submission has the same root.
    pub fn is_first(&self, blob: &Blob) -> bool {
        let mut others = self.blobs.iter();
        !others.any(|other| other.root == blob.root && other.seq < blob.seq)
    }

    fn write(&mut self, line: &serde_json::Value) -> Outcome<()> {
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .map_err(Failure::machine("the ledger's file"))
    }

    /// What was acknowledged so far.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            acks: self.acks,
            ..Counts::default()
        };
        for blob in &self.blobs {
            counts.blobs += 1;
            counts.whole += u64::from(blob.is_whole());
            for chunk in blob.acked.keys() {
                counts.chunks += 1;
                counts.bytes += blob.chunk_len(*chunk);
            }
        }
        counts
    }
}

/// What clients share: the ledger, and their end.
pub struct Shared {
    ledger: Mutex<Ledger>,
    /// All clients end.
    pub over: AtomicBool,
    /// Chunks acknowledged so far, each node's word for itself.
    pub acks: AtomicU64,
    /// Chunks read and compared so far.
    pub reads: AtomicU64,
    /// Their bytes.
    pub read_bytes: AtomicU64,
    /// Of these, chunks that the first node asked could not give, and another one did.
    pub elsewhere: AtomicU64,
}

impl Shared {
    /// Of an empty ledger.
    pub fn new(ledger: Ledger) -> Shared {
        Shared {
            ledger: Mutex::new(ledger),
            over: AtomicBool::new(false),
            acks: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
            elsewhere: AtomicU64::new(0),
        }
    }

    /// Reads the ledger or writes into it.
    pub fn ledger<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        // A thread that panicked ends the run; what it wrote before is whole.
        act(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A copy of all blobs.
    pub fn blobs(&self) -> Vec<Blob> {
        self.ledger(|ledger| ledger.blobs.clone())
    }

    /// A copy of a blob.
    pub fn blob(&self, index: usize) -> Blob {
        self.ledger(|ledger| ledger.blobs[index].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acknowledgements are lines in the file before the next step; a second node's word counts as an
    /// acknowledgement and not as another chunk.
    #[test]
    fn written_down() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let mut ledger = Ledger::new(&path).unwrap();
        let blob = Blob {
            seed: 1,
            size: 3 * 262_144 + 7,
            root: Hash32([7; 32]),
            seq: 5,
            start: 1024,
            acked: BTreeMap::new(),
        };
        let index = ledger.add(blob).unwrap();
        ledger.ack(index, 2, &[0, 3]).unwrap();
        ledger.ack(index, 1, &[3]).unwrap();
        let counts = Counts {
            blobs: 1,
            whole: 0,
            acks: 3,
            chunks: 2,
            bytes: 262_144 + 7,
        };
        assert_eq!(ledger.counts(), counts);
        let odd = Slice::new(1, 2).unwrap();
        assert_eq!(ledger.blobs[0].acked_in(odd).collect::<Vec<_>>(), [0]);
        ledger.ack(index, 0, &[1, 2]).unwrap();
        assert!(ledger.blobs[0].is_whole());
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["start"], 1024);
        assert_eq!(lines[1], json!({"seq": 5, "node": 2, "acked": [0, 3]}));
        assert_eq!(lines.len(), 4);
    }
}
