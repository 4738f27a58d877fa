//! All chunk roots of one blob, and the proof of any chunk from them.
//!
//! ```text
//!   level 2        r0-3                 runs of 4 chunks
//!   level 1     r0-1   r2-3             runs of 2
//!   level 0    r0  r1  r2  r3  r4       chunks; r4 is in no pair, so it goes no higher
//! ```
//! Memory: 64 bytes for each chunk, 16 MiB for a blob of 64 GiB. A proof then costs a look per level,
//! where folding the chunk roots anew would cost a hash for every other chunk.

use std::io;

use lode_proofs::{BlobId, ChunkProof, Hash32, Refusal, fold_roots};

use crate::{roots, source::Source};

/// The roots.
#[derive(Debug)]
pub struct Crown {
    blob: BlobId,
    levels: Vec<Vec<Hash32>>,
}

impl Crown {
    /// Of what a source has, at least one byte. `done` hears of bytes as they are hashed.
    ///
    /// # Errors
    /// The source cannot be read, or has fewer bytes than it says.
    pub fn of_source(
        source: Source,
        done: &(dyn Fn(u64) + Sync),
    ) -> io::Result<(lode_proofs::BlobTree, Crown)> {
        let mut chunks = Vec::new();
        let tree = roots::of_chunks(source, done, &mut |root| chunks.push(root))?;
        let blob = BlobId {
            root: tree.root(),
            shape: tree.shape(),
        };
        Ok((tree, Crown::new(blob, chunks)))
    }

    /// From the roots of all chunks that hold bytes.
    fn new(blob: BlobId, chunks: Vec<Hash32>) -> Crown {
        let mut levels = vec![chunks];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let pairs = level.chunks_exact(2);
            let above = pairs.map(|pair| fold_roots(pair).expect("a pair has a root"));
            let above = above.collect();
            levels.push(above);
        }
        Crown { blob, levels }
    }

    /// Root and size of the blob.
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// The proof of a chunk.
    ///
    /// # Errors
    /// [`Refusal::IndexOutOfRange`].
    pub fn prove(&self, index: u64) -> Result<ChunkProof, Refusal> {
        ChunkProof::build(self.blob.shape, index, |run| {
            let level = run.count.trailing_zeros();
            self.at(level, run.first / run.count)
        })
    }

    fn at(&self, level: u32, index: u64) -> Hash32 {
        let level = usize::try_from(level).expect("32 bits fit");
        self.levels[level][usize::try_from(index).expect("chunks in memory")]
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lode_proofs::ChunkHasher;

    use super::*;
    use crate::noise::noise;

    /// Every chunk's proof leads to the root and fits its bytes, around every shape of the tree.
    #[test]
    fn proves_each() {
        const CHUNK: usize = 262_144;
        for size in [
            1,
            256,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            3 * CHUNK,
            4 * CHUNK + 256,
            7 * CHUNK + 100_000,
            16 * CHUNK,
            17 * CHUNK + 1,
            33 * CHUNK,
        ] {
            let bytes = noise(5, size);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let source = Source::whole(&file, u64::try_from(size).unwrap());
            let (tree, crown) = Crown::of_source(source, &|_| ()).unwrap();
            assert_eq!(tree, lode_proofs::blob_tree(&bytes).unwrap());
            for (index, chunk) in (0..).zip(bytes.chunks(CHUNK)) {
                let proof = crown.prove(index).unwrap();
                assert_eq!(proof.chunk_root(), crown.at(0, index));
                let again = ChunkProof::from_wire(crown.blob(), index, &proof.to_wire()).unwrap();
                again
                    .verify_with(&mut ChunkHasher::new(), chunk)
                    .unwrap_or_else(|refusal| panic!("{size} {index}: {refusal}"));
            }
            let past = tree.shape().chunks();
            assert!(crown.prove(past).is_err());
        }
    }
}
