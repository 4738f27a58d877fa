//! From a blob's keccak256 to its place, on disk: rollups keep nothing but the hash, so what is
//! acknowledged here must be known after a loss of power.
//!
//! ```text
//!  key    keccak256 32
//!  value  place 44 | expiry 8, unix seconds, big-endian
//! ```
//! Values are 52 bytes and are looked up one at a time, so memory does not grow with them; those of expired
//! blobs go when the map is opened.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use lode_proofs::Hash32;

use crate::handle::{Handle, PLACE_LEN, decode_place, encode_place};

/// Memory for what was read: a look-up costs a disk read without it.
const CACHE: u64 = 16 << 20;

/// See the file's head.
pub struct KeccakMap {
    database: Database,
    places: Keyspace,
}

/// Why the map does not answer.
#[derive(Debug, thiserror::Error)]
pub enum KeccakMapError {
    /// The store below fails.
    #[error("the map of keccak hashes: {0}")]
    Store(#[from] fjall::Error),
    /// A value that was never written.
    #[error("the map of keccak hashes has a value that is none")]
    Value,
}

impl KeccakMap {
    /// Opens or creates it in a folder. One process at a time may have it open. Cost: a look at every
    /// value.
    ///
    /// # Errors
    /// When the store fails, or another process has it.
    pub fn open(folder: &Path, now: u64) -> Result<KeccakMap, KeccakMapError> {
        let database = Database::builder(folder).cache_size(CACHE).open()?;
        let places = database.keyspace("places", KeyspaceCreateOptions::default)?;
        let map = KeccakMap { database, places };
        map.sweep(now)?;
        Ok(map)
    }

    /// Forgets what is expired.
    fn sweep(&self, now: u64) -> Result<(), KeccakMapError> {
        for pair in self.places.iter() {
            let (key, value) = pair.into_inner()?;
            let (_, expiry) = read(&value)?;
            if expiry <= now {
                self.places.remove(key)?;
            }
        }
        Ok(())
    }

    /// Makes a place known. Durable when this returns; it blocks until then.
    ///
    /// # Errors
    /// When it is not.
    pub fn put(&self, hash: Hash32, place: &Handle, expiry: u64) -> Result<(), KeccakMapError> {
        let place = encode_place(place).ok_or(KeccakMapError::Value)?;
        let value = [&place[..], &expiry.to_be_bytes()].concat();
        self.places.insert(hash.0, value)?;
        self.database.persist(PersistMode::SyncAll)?;
        Ok(())
    }

    /// The place of a blob. Blocks while the disk reads.
    ///
    /// # Errors
    /// When the store fails.
    pub fn get(&self, hash: Hash32) -> Result<Option<Handle>, KeccakMapError> {
        let value = self.places.get(hash.0)?;
        value.map(|value| Ok(read(&value)?.0)).transpose()
    }
}

/// A place and its expiry.
fn read(value: &[u8]) -> Result<(Handle, u64), KeccakMapError> {
    let (place, expiry) = value
        .split_at_checked(PLACE_LEN)
        .ok_or(KeccakMapError::Value)?;
    let expiry: [u8; 8] = expiry.try_into().map_err(|_| KeccakMapError::Value)?;
    let place = decode_place(place).map_err(|_| KeccakMapError::Value)?;
    Ok((place, u64::from_be_bytes(expiry)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn place(seed: u8) -> Handle {
        Handle::Place {
            container: Hash32([seed; 32]),
            offset: 128 + 64 * u64::from(seed),
            len: 1 + u64::from(seed),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// After any puts, and after it is opened again, the map is what a map in memory is, less what is
        /// expired.
        #[test]
        fn is_a_map(
            puts in prop::collection::vec((0_u8..8, any::<u8>(), 1_u64..20), 1..40),
            now in 0_u64..20,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let mut model = BTreeMap::new();
            let map = KeccakMap::open(folder.path(), 0).expect("a map");
            for (key, seed, expiry) in puts {
                map.put(Hash32([key; 32]), &place(seed), expiry).expect("a put");
                model.insert(key, (place(seed), expiry));
                prop_assert_eq!(map.get(Hash32([key; 32])).expect("a get"), Some(place(seed)));
            }
            drop(map);
            model.retain(|_, (_, expiry)| *expiry > now);
            let map = KeccakMap::open(folder.path(), now).expect("a map");
            for key in 0..8 {
                let found = map.get(Hash32([key; 32])).expect("a get");
                prop_assert_eq!(found, model.get(&key).map(|(place, _)| *place));
            }
        }
    }
}
