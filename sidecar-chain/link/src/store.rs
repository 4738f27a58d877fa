//! What has to survive a restart: cursors of watches and intents of senders, in a small store on
//! disk. What a call has written is on the disk when it returns, all of it or nothing.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use serde::{Serialize, de::DeserializeOwned};

/// Bytes that the store may keep in memory.
const CACHE: u64 = 8 << 20;

/// Why something was not stored or not read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store below failed: what was written before is there after the next start.
    #[error("the link's store failed: {0}")]
    Store(#[from] fjall::Error),
    /// The store holds what this program did not write.
    #[error("the link's store is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
}

/// The store.
#[derive(Clone)]
pub struct Store {
    database: Database,
    space: Keyspace,
}

impl Store {
    /// Opens or creates it in a folder. One process at a time may have it open.
    ///
    /// # Errors
    /// When the store fails, or another process has it.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let database = Database::builder(folder).cache_size(CACHE).open()?;
        let space = database.keyspace("link", KeyspaceCreateOptions::default)?;
        Ok(Store { database, space })
    }

    /// The value of a key, if it has one.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let value = self.space.get(key)?;
        value
            .map(|value| Ok(serde_json::from_slice(&value)?))
            .transpose()
    }

    /// All values of keys that begin with `prefix`, in the keys' order.
    pub(crate) fn all<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<T>, StoreError> {
        let found = self.space.prefix(prefix);
        found
            .map(|entry| Ok(serde_json::from_slice(&entry.value()?)?))
            .collect()
    }

    /// Removes a key.
    pub(crate) fn remove(&self, key: &str) -> Result<(), StoreError> {
        let sync = Some(PersistMode::SyncAll);
        let mut batch = self.database.batch().durability(sync);
        batch.remove(&self.space, key);
        Ok(batch.commit()?)
    }

    /// Writes values, all or none, and waits until they are on the disk.
    pub(crate) fn put<T: Serialize>(&self, values: &[(&str, &T)]) -> Result<(), StoreError> {
        let sync = Some(PersistMode::SyncAll);
        let mut batch = self.database.batch().durability(sync);
        for (key, value) in values {
            batch.insert(&self.space, *key, serde_json::to_vec(value)?);
        }
        Ok(batch.commit()?)
    }
}
