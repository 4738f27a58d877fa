//! A storage node without a chain: a store on real files, a book that the test writes, and all
//! methods, asked as text.

#![allow(dead_code, reason = "each test uses some of it")]

pub mod http;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

use bytes::Bytes;
use jsonrpsee::RpcModule;
use lode_engine::{
    mesh::Mesh,
    store::{Options, Store},
};
use lode_flow::{Block, Book, Pieces, Submission, Tags};
use lode_proofs::{
    BlobHasher, BlobTree, ChunkProof, Hash32,
    flow::{Extent, FlowShape},
    fold_roots,
};
use lode_wire::{NetworkIdentity, ProtocolVersion, Segment, Slice};
use lode_world::{Backend, Net, Program, Running, launch, preflight};
use lode_zgs::{Asks, Config, Room, door, module, shelf::Shelf};
use serde_json::{Value, json};

/// Bytes of a chunk.
pub const CHUNK: usize = 256 * 1024;
/// Executors.
const EXECUTORS: usize = 2;

/// A node.
pub struct Node {
    pub room: Arc<Room>,
    pub module: RpcModule<Room>,
    stop: async_channel::Sender<()>,
    running: Option<Running>,
    _dir: Option<tempfile::TempDir>,
}

#[derive(Clone)]
struct Serve {
    dir: PathBuf,
    mesh: Mesh,
    asks: Asks,
    ready: mpsc::Sender<()>,
    stopped: async_channel::Receiver<()>,
}

impl Program for Serve {
    async fn run<W: Net>(self, world: W, index: usize) {
        let options = Options {
            segment_len: 4 << 20,
            reserve_percent: 0,
            scrub_rate: 0,
            ..Options::new(self.dir, EXECUTORS)
        };
        let opened = Store::open(world.clone(), options, self.mesh, index).await;
        let store = opened.unwrap();
        self.asks.answer(&world, &store);
        self.ready.send(()).unwrap();
        // Closing the channel is the signal.
        assert!(self.stopped.recv().await.is_err());
        store.close().await.unwrap();
    }
}

impl Node {
    /// A new one.
    pub fn new() -> Node {
        let dir = tempfile::tempdir().unwrap();
        let mut node = Node::open(dir.path(), |_| ());
        node._dir = Some(dir);
        node
    }

    /// A new one with other choices.
    pub fn with(change: impl FnOnce(&mut Config)) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let mut node = Node::open(dir.path(), change);
        node._dir = Some(dir);
        node
    }

    /// A new one of a slice.
    pub fn of_slice(slice: Slice) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let mut node = Node::open_slice(dir.path(), slice, |_| ());
        node._dir = Some(dir);
        node
    }

    /// One in a folder, of the whole flow.
    pub fn open(dir: &Path, change: impl FnOnce(&mut Config)) -> Node {
        Node::open_slice(dir, Slice::WHOLE, change)
    }

    /// One in a folder.
    pub fn open_slice(dir: &Path, slice: Slice, change: impl FnOnce(&mut Config)) -> Node {
        let (data, book) = (dir.join("data"), Book::open(dir.join("flow")).unwrap());
        std::fs::create_dir_all(&data).unwrap();
        let pieces = Pieces::open(dir.join("pieces")).unwrap();
        let (door, asks) = door();
        let (ready, is_ready) = mpsc::channel();
        let (stop, stopped) = async_channel::bounded(1);
        let dirs = std::slice::from_ref(&data);
        let found = preflight(dirs, EXECUTORS, Some(Backend::Posix)).unwrap();
        let program = Serve {
            dir: data.clone(),
            mesh: Mesh::new(EXECUTORS),
            asks,
            ready,
            stopped,
        };
        let running = launch(&found, program).unwrap();
        for _ in 0..EXECUTORS {
            is_ready.recv().unwrap();
        }
        let mut config = Config::new(NetworkIdentity {
            chain_id: 31_337,
            flow_address: format!("0x{}", "f1".repeat(20)),
            p2p_protocol_version: ProtocolVersion {
                major: 0,
                minor: 4,
                build: 0,
            },
        });
        config.address.set_port(0);
        change(&mut config);
        let room = Room::new(config, book, Shelf::of_slice(door, slice, pieces));
        Node {
            module: module(Arc::clone(&room)),
            room,
            stop,
            running: Some(running),
            _dir: None,
        }
    }

    /// Calls a method; the result, or the error.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let (answer, _) = self
            .module
            .raw_json_request(&request.to_string(), 1)
            .await
            .unwrap();
        let mut answer: Value = serde_json::from_str(answer.get()).unwrap();
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        }
    }

    /// The chain takes blobs in one block.
    pub fn submit(&self, blobs: &[&Blob]) -> Vec<u64> {
        let book = &self.room.book;
        let block = book.synced().unwrap().map_or(1, |block| block.number + 1);
        let mut shape = FlowShape::new(book.length().unwrap()).unwrap();
        let mut list = Vec::new();
        for (seq, blob) in (book.next_seq().unwrap()..).zip(blobs) {
            let submission = blob.submission(seq, shape, block);
            let extent = Extent::of(&[5; 20], submission.size, &submission.nodes).unwrap();
            shape = shape.after(shape.place(extent).unwrap());
            list.push(submission);
        }
        let number = u8::try_from(block).unwrap();
        let hash = [number; 32];
        book.append(
            &list,
            Block {
                number: block,
                hash,
            },
        )
        .unwrap();
        list.iter().map(|submission| submission.seq).collect()
    }

    /// The chain takes a blob, and all its chunks come.
    pub async fn store(&self, blob: &Blob) -> u64 {
        let seq = self.submit(&[blob])[0];
        let segments: Vec<Segment> = (0..blob.chunks())
            .map(|index| blob.segment(index))
            .collect();
        let sent = self.call("zgs_uploadSegmentsByTxSeq", json!([segments, seq]));
        assert_eq!(sent.await, Ok(Value::Null));
        seq
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(running) = self.running.take() {
            let joined = running.join();
            if !thread::panicking() {
                joined.unwrap();
            }
        }
    }
}

/// Asserts that a table of methods lists what is served and nothing else, and that each row names a test
/// of `tests` that calls its method.
pub fn table_is_true<'a>(table: &str, tests: &str, served: impl Iterator<Item = &'a str>) {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<(&str, &str)> = rows
        .map(|row| {
            let (name, rest) = row.split_once('`').unwrap();
            (name, rest.rsplit('`').nth(1).unwrap())
        })
        .collect();
    let mut names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let mut served: Vec<&str> = served.collect();
    served.sort_unstable();
    assert_eq!(names, served);
    for (name, test) in rows {
        let is_there = tests.contains(&format!("async fn {test}()"));
        assert!(is_there, "{name} has no test {test}");
        let is_called = tests.contains(&format!("\"{name}\""));
        assert!(is_called, "{name} is not called");
    }
}

/// A blob with all that a client knows of it.
pub struct Blob {
    pub bytes: Bytes,
    pub tree: BlobTree,
    pub leaves: Vec<Hash32>,
}

impl Blob {
    /// Bytes that follow from a seed.
    pub fn new(seed: u64, len: usize) -> Blob {
        let mut bytes = Vec::with_capacity(len + 32);
        let mut word = [seed.to_le_bytes(), len.to_le_bytes()].concat();
        while bytes.len() < len {
            word = lode_proofs::keccak::keccak256(&word).to_vec();
            bytes.extend_from_slice(&word);
        }
        bytes.truncate(len);
        Blob::of(bytes)
    }

    /// These bytes.
    pub fn of(bytes: Vec<u8>) -> Blob {
        let (mut hasher, mut leaves) = (BlobHasher::new(), Vec::new());
        hasher.update_with(&bytes, |_, root| leaves.push(root));
        let tree = hasher.finish().unwrap();
        leaves.extend(tree.last_chunk_root());
        Blob {
            bytes: bytes.into(),
            tree,
            leaves,
        }
    }

    pub fn root(&self) -> Hash32 {
        self.tree.root()
    }

    pub fn size(&self) -> u64 {
        self.tree.shape().size()
    }

    pub fn chunks(&self) -> u64 {
        self.tree.shape().chunks()
    }

    pub fn proof(&self, index: u64) -> ChunkProof {
        let proof = ChunkProof::build(self.tree.shape(), index, |run| {
            let first = usize::try_from(run.first).unwrap();
            let count = usize::try_from(run.count).unwrap();
            fold_roots(&self.leaves[first..first + count]).unwrap()
        });
        proof.unwrap()
    }

    /// A chunk, as clients send it.
    pub fn segment(&self, index: u64) -> Segment {
        let at = usize::try_from(index).unwrap() * CHUNK;
        let mut data = self.bytes[at..self.bytes.len().min(at + CHUNK)].to_vec();
        data.resize(data.len().next_multiple_of(256), 0);
        Segment {
            root: self.root(),
            data: data.into(),
            index,
            proof: self.proof(index).to_wire(),
            file_size: self.size(),
        }
    }

    fn submission(&self, seq: u64, shape: FlowShape, block: u64) -> Submission {
        let nodes = self.tree.submission_nodes().to_vec();
        let extent = Extent::of(&[5; 20], self.size(), &nodes).unwrap();
        Submission {
            seq,
            root: self.root(),
            size: self.size(),
            start: shape.place(extent).unwrap().start,
            nodes,
            submitter: [5; 20],
            sender: [6; 20],
            tags: Tags::new(vec![1, 2, 3]),
            block,
            transaction: [9; 32],
        }
    }
}
