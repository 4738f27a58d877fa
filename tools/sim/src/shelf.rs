//! The blobs that clients may store: made once for all seeds, so that a run spends its time in the
//! store and not on making data.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use lode_engine::Root;
use lode_proofs::{BlobHasher, ChunkProof, fold_roots};

/// Bytes of a chunk.
pub const CHUNK: usize = 256 * 1024;

/// A blob with the root that it must get.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its root.
    pub root: Root,
    /// The proof of each chunk.
    pub proofs: Arc<[ChunkProof]>,
}

impl Blob {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        u64::try_from(self.bytes.len()).expect("64-bit")
    }

    /// Its chunks.
    pub fn chunks(&self) -> u64 {
        u64::try_from(self.bytes.len().div_ceil(CHUNK)).expect("64-bit")
    }
}

/// All blobs, by class of size.
pub struct Shelf {
    /// Far below a page up to a few pages; many.
    pub small: Vec<Blob>,
    /// At the edges of sectors, pages, buffers and chunks.
    pub edges: Vec<Blob>,
    /// A chunk, or nearly.
    pub chunks: Vec<Blob>,
    /// Two to six chunks.
    pub long: Vec<Blob>,
}

/// Payload bytes that fill the first page of a frame with one record to the last byte.
const FIRST_PAGE: usize = 4080 - 32 - 104;

impl Shelf {
    /// The shelf, made at the first call: about 14 MB and a tenth of a second.
    pub fn get() -> &'static Shelf {
        static SHELF: OnceLock<Shelf> = OnceLock::new();
        SHELF.get_or_init(Shelf::make)
    }

    fn make() -> Shelf {
        let mut dice = crate::dice::Dice::new(0);
        let mut made = 0;
        let mut make = |sizes: Vec<usize>| -> Vec<Blob> {
            let blobs = sizes.into_iter().map(|size| {
                made += 1;
                blob(made, size)
            });
            blobs.collect()
        };
        let edges = [
            1,
            2,
            31,
            32,
            255,
            256,
            257,
            FIRST_PAGE - 1,
            FIRST_PAGE,
            FIRST_PAGE + 1,
            FIRST_PAGE + 4080 - 104,
            FIRST_PAGE + 4080 - 103,
            4079,
            4080,
            4081,
            4095,
            4096,
            4097,
            15 * 4080,
            16 * 4080 - 136,
            16 * 4080 - 135,
            16 * 4096,
        ];
        let small = (0..400).map(|_| usize::try_from(dice.within(1..=9000)).expect("64-bit"));
        let chunks = [CHUNK; 8].into_iter().chain([
            CHUNK - 1,
            CHUNK - 255,
            CHUNK - 256,
            CHUNK - 4080,
            200_000,
            131_072,
            100_001,
        ]);
        let long = [
            CHUNK + 1,
            CHUNK + 256,
            CHUNK + 5000,
            2 * CHUNK - 1,
            2 * CHUNK,
            2 * CHUNK + 1,
            3 * CHUNK,
            3 * CHUNK + 777,
            4 * CHUNK + 1,
            5 * CHUNK + 100_000,
            CHUNK + 2,
            CHUNK + 70_000,
            2 * CHUNK,
            3 * CHUNK,
        ];
        Shelf {
            small: make(small.collect()),
            edges: make([edges, edges].concat()),
            chunks: make(chunks.collect()),
            long: make(long.to_vec()),
        }
    }
}

/// A blob whose every 8 bytes tell which blob and which place they belong to.
fn blob(number: u64, size: usize) -> Blob {
    let mut dice = crate::dice::Dice::new(number << 32);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&dice.word().to_le_bytes());
    }
    bytes.truncate(size);
    let (mut hasher, mut roots) = (BlobHasher::new(), Vec::new());
    hasher.update_with(&bytes, |_, root| roots.push(root));
    let tree = hasher.finish().expect("no blob is empty");
    roots.extend(tree.last_chunk_root());
    let prove = |chunk| {
        let proof = ChunkProof::build(tree.shape(), chunk, |run| {
            let first = usize::try_from(run.first).expect("64-bit");
            let count = usize::try_from(run.count).expect("64-bit");
            fold_roots(&roots[first..first + count]).expect("a run has chunks")
        });
        proof.expect("it is a chunk of the blob")
    };
    Blob {
        bytes: Bytes::from(bytes),
        root: tree.root(),
        proofs: (0..tree.shape().chunks()).map(prove).collect(),
    }
}
