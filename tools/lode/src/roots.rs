//! Roots computed here: of a file by all cores, of a stream while it flows.
//!
//! ```text
//!   file   ─► cores take stripes of 4 MiB in turn ─► chunk roots, put in order ─► root
//!   stream ─► chunks ─► cores ─► chunk roots, put in order ─► root
//! ```
//! Memory is a stripe, or a few chunks, per core, whatever the size.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use lode_proofs::{BlobHasher, BlobTree, CHUNK_LEN, ChunkHasher, Hash32};

use crate::source::Source;

/// Bytes of a chunk, as a length in a file.
pub const CHUNK: u64 = 256 * 1024;
const _: () = assert!(CHUNK_LEN == 256 * 1024, "both name one length");

/// Whole chunks that a core reads at once.
const STRIPE: u64 = 16;

/// Cores to hash on.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Root of a file of `size` bytes, at least 1. `done` hears of bytes as they are hashed.
///
/// # Errors
/// The file cannot be read, or has fewer bytes.
pub fn of_file(file: &File, size: u64, done: &(dyn Fn(u64) + Sync)) -> io::Result<BlobTree> {
    of_source(Source::whole(file, size), done)
}

/// Root of at least one byte from anywhere.
///
/// # Errors
/// As [`of_file`].
pub fn of_source(source: Source, done: &(dyn Fn(u64) + Sync)) -> io::Result<BlobTree> {
    of_chunks(source, done, &mut |_| ())
}

/// The same; `each` hears the root of each chunk, in their order.
///
/// # Errors
/// As [`of_file`].
pub fn of_chunks(
    source: Source,
    done: &(dyn Fn(u64) + Sync),
    each: &mut dyn FnMut(Hash32),
) -> io::Result<BlobTree> {
    let size = source.size();
    let stripes = (size / CHUNK).div_ceil(STRIPE);
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut hasher = BlobHasher::new();
    thread::scope(|scope| {
        let (sender, roots) = sync_channel(2 * cores());
        for _ in 0..cores() {
            let (sender, next, failed) = (sender.clone(), &next, &failed);
            scope.spawn(move || {
                let mut core = Core {
                    source,
                    bytes: Vec::new(),
                    hasher: ChunkHasher::new(),
                };
                loop {
                    let stripe = next.fetch_add(1, Relaxed);
                    if stripe >= stripes || failed.load(Relaxed) {
                        return;
                    }
                    let hashed = core.stripe(stripe);
                    let bad = hashed.is_err();
                    failed.fetch_or(bad, Relaxed);
                    if sender.send((stripe, hashed)).is_err() || bad {
                        return;
                    }
                }
            });
        }
        drop(sender);
        collect(&mut hasher, roots, done, each)
    })?;
    let mut rest = vec![0; usize::try_from(size % CHUNK).unwrap_or(0)];
    source.read_exact_at(&mut rest, size - size % CHUNK)?;
    hasher.update(&rest);
    done(size % CHUNK);
    let tree = hasher.finish().map_err(io::Error::other)?;
    if !rest.is_empty() {
        each(tree.last_chunk_root().expect("bytes came last, not a run"));
    }
    Ok(tree)
}

/// Puts stripes of chunk roots in order.
fn collect(
    hasher: &mut BlobHasher,
    roots: Receiver<(u64, io::Result<Vec<Hash32>>)>,
    done: &(dyn Fn(u64) + Sync),
    each: &mut dyn FnMut(Hash32),
) -> io::Result<()> {
    let mut early = BTreeMap::new();
    let mut turn = 0;
    for (stripe, hashed) in roots {
        early.insert(stripe, hashed?);
        while let Some(stripe) = early.remove(&turn) {
            turn += 1;
            for root in stripe {
                hasher.push_chunk_root(root).map_err(io::Error::other)?;
                each(root);
                done(CHUNK);
            }
        }
    }
    Ok(())
}

/// One core at work on a file.
struct Core<'a> {
    source: Source<'a>,
    bytes: Vec<u8>,
    hasher: ChunkHasher,
}

impl Core<'_> {
    /// Roots of the whole chunks of a stripe.
    fn stripe(&mut self, stripe: u64) -> io::Result<Vec<Hash32>> {
        let first = stripe * STRIPE;
        let count = STRIPE.min(self.source.size() / CHUNK - first);
        self.bytes
            .resize(usize::try_from(count * CHUNK).unwrap_or(0), 0);
        self.source.read_exact_at(&mut self.bytes, first * CHUNK)?;
        let (chunks, _) = self.bytes.as_chunks::<CHUNK_LEN>();
        Ok(chunks
            .iter()
            .map(|chunk| self.hasher.whole_root(chunk))
            .collect())
    }
}

/// A root that is computed while bytes flow by.
pub struct StreamRoot {
    hasher: BlobHasher,
    pending: Vec<u8>,
    jobs: Option<SyncSender<(u64, Vec<u8>)>>,
    results: Receiver<(u64, Hash32, Vec<u8>)>,
    cores: Vec<JoinHandle<()>>,
    given: u64,
    taken: u64,
    early: BTreeMap<u64, Hash32>,
    spare: Vec<Vec<u8>>,
    depth: u64,
}

impl StreamRoot {
    /// Nothing yet.
    pub fn new() -> Self {
        let count = cores();
        let depth = 2 * count + 2;
        let (jobs, taking) = sync_channel::<(u64, Vec<u8>)>(depth);
        let (giving, results) = sync_channel(depth);
        let taking = Arc::new(Mutex::new(taking));
        let core = |_| {
            let (taking, giving) = (taking.clone(), giving.clone());
            thread::spawn(move || hash_chunks(&taking, &giving))
        };
        StreamRoot {
            hasher: BlobHasher::new(),
            pending: Vec::with_capacity(CHUNK_LEN),
            jobs: Some(jobs),
            results,
            cores: (0..count).map(core).collect(),
            given: 0,
            taken: 0,
            early: BTreeMap::new(),
            spare: Vec::new(),
            depth: u64::try_from(depth).unwrap_or(1),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = bytes.len().min(CHUNK_LEN - self.pending.len());
            self.pending.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.pending.len() == CHUNK_LEN {
                self.hand_over();
            }
        }
    }

    fn hand_over(&mut self) {
        // As many chunks are out as both queues hold: wait for one, and use its memory again.
        while self.given - self.taken >= self.depth {
            self.take_one();
        }
        let mut next = self
            .spare
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(CHUNK_LEN));
        next.clear();
        let full = std::mem::replace(&mut self.pending, next);
        let jobs = self.jobs.as_ref().expect("taken only by finish");
        jobs.send((self.given, full))
            .expect("cores end only when the jobs do");
        self.given += 1;
    }

    fn take_one(&mut self) {
        let (index, root, memory) = self.results.recv().expect("a chunk is out");
        self.spare.push(memory);
        self.early.insert(index, root);
        while let Some(root) = self.early.remove(&self.taken) {
            self.taken += 1;
            self.hasher
                .push_chunk_root(root)
                .expect("only whole chunks came before");
        }
    }

    /// The tree over all bytes; none if there were none.
    pub fn finish(mut self) -> Option<BlobTree> {
        drop(self.jobs.take());
        while self.taken < self.given {
            self.take_one();
        }
        for core in self.cores {
            core.join().expect("a core only hashes");
        }
        self.hasher.update(&self.pending);
        self.hasher.finish().ok()
    }
}

fn hash_chunks(
    taking: &Mutex<Receiver<(u64, Vec<u8>)>>,
    giving: &SyncSender<(u64, Hash32, Vec<u8>)>,
) {
    let mut hasher = ChunkHasher::new();
    loop {
        let job = taking.lock().expect("no core panics with the lock").recv();
        let Ok((index, bytes)) = job else { return };
        let chunk: &[u8; CHUNK_LEN] = bytes.as_slice().try_into().expect("a whole chunk");
        let root = hasher.whole_root(chunk);
        if giving.send((index, root, bytes)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;
    use lode_proofs::blob_tree;
    use std::io::Write;

    /// Both ways give the root that one core computes over the bytes in memory, around every
    /// boundary of chunk and stripe.
    #[test]
    fn agree() {
        for size in [
            1,
            255,
            256 * 1024 - 1,
            256 * 1024,
            256 * 1024 + 1,
            5_000_003,
            16 * 256 * 1024,
            17 * 256 * 1024 + 9,
        ] {
            let bytes = noise(7, size);
            let want = blob_tree(&bytes).unwrap();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let hashed = AtomicU64::new(0);
            let size = u64::try_from(size).unwrap();
            let count = |bytes| {
                hashed.fetch_add(bytes, Relaxed);
            };
            assert_eq!(of_file(&file, size, &count).unwrap(), want);
            assert_eq!(hashed.into_inner(), size);
            for step in [1000, 300_000, bytes.len()] {
                let mut stream = StreamRoot::new();
                bytes.chunks(step).for_each(|part| stream.update(part));
                assert_eq!(stream.finish().unwrap(), want);
            }
        }
        assert!(StreamRoot::new().finish().is_none());
    }

    /// A file that is shorter than it was said to be is an error, not another root.
    #[test]
    fn short() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&noise(1, 600_000)).unwrap();
        for size in [600_001, 900_000, 1 << 30] {
            let error = of_file(&file, size, &|_| ()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
