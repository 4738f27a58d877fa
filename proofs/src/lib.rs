//! What a client, a node, a miner and an auditor must agree on.
//!
//! This crate computes and checks; it never reads, waits, or rolls dice: no
//! IO, no clock, no randomness, no threads, `no_std` with `alloc`.
//!
//! # The sector tree
//!
//! ```text
//!  blob   bytes a client stores                         0G wire: file
//!  sector 256 bytes, one keccak leaf                    0G wire: chunk, entry
//!  chunk  1024 sectors, 256 KiB: unit of storage        0G wire: segment
//!  root   keccak tree over all padded sectors           0G wire: file root
//! ```
//!
//! | rule | source | here |
//! |---|---|---|
//! | leaf, inner node, empty sector | 0G wire, 1.1 | [`keccak`], [`ZERO_ROOTS`] |
//! | flow padding | 0G wire, 1.2 | [`BlobShape`] |
//! | shape of the tree | 0G wire, 1.3; RFC 6962, 2.1 | [`ChunkHasher`], [`BlobHasher`], [`fold_roots`] |
//! | submission nodes, identity | 0G wire, 1.5 | [`BlobTree`] |
//! | chunk proofs, order of checks | 0G wire, 1.6 | [`ChunkProof`], [`Refusal`] |
//! | a path given by its turns | SPEC, Paths | [`leads_to`] |
//! | the flow: rules, places, its tree | 0G wire, 1.5 and 1.7; SPEC, Flow | [`flow`] |
//! | batches of blobs on the chain | [`anchor`] | [`anchor::AnchorTree`], [`anchor::EntryProof`] |
//! | a block of the settlement chain is final | SPEC, Finality | [`finality`], `committee` |
//! | containers of blobs are available | SPEC, Data availability | `da` |
//!
//! # Example
//!
//! A blob comes in as a stream; later one chunk of it is proven to a reader who
//! knows its root and size.
//!
//! ```
//! use lode_proofs::{BlobHasher, BlobId, ChunkHasher, ChunkProof, CHUNK_LEN, fold_roots};
//!
//! let bytes = vec![7; 3 * CHUNK_LEN + 100];
//! let (mut hasher, mut chunk_roots) = (BlobHasher::new(), Vec::new());
//! for piece in bytes.chunks(5000) {
//!     hasher.update_with(piece, |_, root| chunk_roots.push(root));
//! }
//! let tree = hasher.finish()?;
//! chunk_roots.extend(tree.last_chunk_root());
//!
//! let proof = ChunkProof::build(tree.shape(), 3, |run| {
//!     let (first, count) = (run.first as usize, run.count as usize);
//!     fold_roots(&chunk_roots[first..first + count]).expect("a run has chunks")
//! })?;
//! let blob = BlobId { root: tree.root(), shape: tree.shape() };
//! let chunk = ChunkProof::decode(&proof.encode())?.verify_for(blob, 3, &bytes[3 * CHUNK_LEN..])?;
//! assert_eq!(chunk.data, [7; 100]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! "0G wire" is the protocol that 0G's clients, nodes and contracts speak; the
//! vectors beside this crate were made with its own software.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

// In the order in which bytes become roots, and roots proofs.
pub mod keccak;

mod hash32;
mod shape;
mod zero;

mod blob;
mod chunk;
mod crown;

mod path;
mod plan;
mod proof;
mod refusal;

pub mod flow;

pub mod anchor;
#[cfg(feature = "bls")]
pub mod committee;
pub mod finality;

#[cfg(feature = "da")]
pub mod da;

mod encoding;
#[cfg(feature = "serde")]
mod json;

pub use blob::{BlobHasher, BlobTree, MidChunk, blob_tree};
pub use chunk::ChunkHasher;
pub use crown::{SubmissionNode, fold_roots};
pub use encoding::{DecodeError, ProofFile};
pub use hash32::{Hash32, HashTextError};
pub use path::{ChunkRun, fold_runs, leads_to};
pub use plan::ProofPlan;
pub use proof::{BlobId, ChunkProof, VerifiedChunk, WireProof};
pub use refusal::Refusal;
pub use shape::{
    BlobShape, CHUNK_HEIGHT, CHUNK_LEN, EmptyBlob, SECTOR_LEN, SECTORS_PER_CHUNK, chunks,
    padded_chunks, padded_sectors, sectors,
};
pub use zero::ZERO_ROOTS;
