//! The store: bytes in, durable, indexed, verified, and out again.
//!
//! A [`store::Store`] is one executor's handle on all [shards](shard). The way of a byte:
//!
//! | step | module |
//! |---|---|
//! | cut into chunks, hashed, sent to its shard | [`upload`] |
//! | or in chunks that come in any order with their proofs | [`scatter`] |
//! | admitted against credit and space | [`wait`], [`space`] |
//! | appended, synced, acknowledged | [`log`] in the format of [`format`] |
//! | entered in the index | [`catalog`], [`index`] |
//! | found, read, verified, sent | [`read`], [`shard`]; where that is another executor's, [`across`] |
//! | kept: checkpoints, compaction, expiry, scrub | [`mend`] |
//!
//! Promises, each with a checker in the simulator and a test on real files:
//! - What is acknowledged survives power loss.
//! - Bytes that are not those that were put are never served; damage is an error.
//! - Memory and queues are bounded by [`store::Options`].
//! - A failed write or sync closes its segment for good; nothing is retried on it.
//!
//! The engine knows no chain, no contract, no foreign protocol; it touches disk, time, tasks and
//! chance through [`lode_world::World`] alone. The bytes on disk are drawn in `FORMAT.md`.

mod across;
mod calibrate;
mod catalog;
pub mod error;
mod finish;
pub mod format;
mod fresh;
mod index;
mod info;
mod list;
mod log;
mod mend;
pub mod mesh;
mod piece;
pub mod planted;
mod pool;
mod read;
mod scatter;
mod shard;
mod shelf;
mod space;
pub mod stats;
pub mod store;
pub mod superblock;
mod terms;
mod upload;
mod wait;

pub use error::{Class, Error, Result};
pub use lode_proofs::Hash32 as Root;
pub use piece::{Piece, PieceOf};
pub use pool::ChunkBuf;
