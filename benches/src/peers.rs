//! Other stores, asked for the same job with the settings that suit it best: no compression (the
//! values do not compress), values apart from keys where the store can do that, direct IO where it
//! has it, a block cache of 64 MiB, and a sync for every commit.
//!
//! A peer blocks, so it gets a thread for each request in flight. What it cannot do in parallel it
//! does one after the other: its writes take a single lock of its own in most of them.

mod files;
mod fjall;
mod redb;
#[cfg(feature = "peers-rocksdb")]
mod rocksdb;
mod threads;

use std::path::Path;

use crate::{error::Result, store::Candidate, values::Random};

pub use files::Files;
pub use fjall::Fjall;
pub use redb::Redb;
#[cfg(feature = "peers-rocksdb")]
pub use rocksdb::Rocks;
use threads::Threads;

/// Block cache of every peer that has one, in bytes.
pub const CACHE_LEN: usize = 64 << 20;

/// What keys look like: 32 bytes without order, like a hash.
pub type Key = [u8; 32];

/// A store behind a blocking interface. Dropping it closes it.
pub trait Peer: Sized + Sync {
    /// Name among the figures.
    const NAME: &'static str;

    /// Makes a store in an empty folder.
    ///
    /// # Errors
    /// When it cannot.
    fn open(dir: &Path) -> Result<Self>;

    /// Stores all pairs; they are durable when this returns.
    ///
    /// # Errors
    /// When the store refuses.
    fn put(&self, pairs: &[(Key, &[u8])]) -> Result<()>;

    /// Reads `out.len()` bytes of a value from `offset` on, as cheaply as the store can.
    ///
    /// # Errors
    /// When the store refuses, or has no such value.
    fn read(&self, key: &Key, offset: usize, out: &mut [u8]) -> Result<()>;
}

/// The key of value `index`.
pub fn key_of(index: u64) -> Key {
    let mut random = Random::new(index);
    let mut key = [0; 32];
    for word in key.chunks_mut(8) {
        word.copy_from_slice(&random.word().to_le_bytes());
    }
    key
}

/// Every peer that was compiled in.
pub fn candidates() -> Vec<Candidate> {
    vec![
        #[cfg(feature = "peers-rocksdb")]
        Threads::<Rocks>::candidate(),
        Threads::<Fjall>::candidate(),
        Threads::<Redb>::candidate(),
        Threads::<Files>::candidate(),
    ]
}
