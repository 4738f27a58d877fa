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
//!
//! "0G wire" is the protocol that 0G's clients, nodes and contracts speak; the
//! vectors beside this crate were made with its own software.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

// In the order in which bytes become proofs.
pub mod keccak;

mod hash32;
mod shape;
mod zero;

mod blob;
mod chunk;

mod path;
mod proof;

mod encoding;
#[cfg(feature = "serde")]
mod json;

pub use blob::{BlobHasher, BlobTree, MidChunk, SubmissionNode, blob_tree, fold_roots};
pub use chunk::ChunkHasher;
pub use encoding::{DecodeError, ProofFile};
pub use hash32::{Hash32, HashTextError};
pub use path::ChunkRun;
pub use proof::{BlobId, ChunkProof, ProofPlan, Refusal, VerifiedChunk, WireProof};
pub use shape::{
    BlobShape, CHUNK_HEIGHT, CHUNK_LEN, EmptyBlob, SECTOR_LEN, SECTORS_PER_CHUNK, chunks,
    padded_chunks, padded_sectors, sectors,
};
pub use zero::ZERO_ROOTS;
