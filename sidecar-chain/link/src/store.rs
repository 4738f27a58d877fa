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
    /// The store has lost what other values of it speak of.
    #[error("the link's store is damaged: it has no {key}")]
    Missing {
        /// What is not there.
        key: String,
    },
    /// A test lets it fail.
    #[cfg(test)]
    #[error("the test lets the store fail")]
    Burnt,
}

/// The store.
#[derive(Clone)]
pub struct Store {
    database: Database,
    space: Keyspace,
    /// Writes until it fails.
    #[cfg(test)]
    pub(crate) fuse: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Store {
    /// Opens or creates it in a folder. One process at a time may have it open.
    ///
    /// # Errors
    /// When the store fails, or another process has it.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let database = Database::builder(folder).cache_size(CACHE).open()?;
        let space = database.keyspace("link", KeyspaceCreateOptions::default)?;
        Ok(Store {
            database,
            space,
            #[cfg(test)]
            fuse: std::sync::Arc::new(u64::MAX.into()),
        })
    }

    /// The value of a key, if it has one.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let value = self.space.get(key)?;
        value
            .map(|value| Ok(serde_json::from_slice(&value)?))
            .transpose()
    }

    /// The value of a key that must have one.
    pub(crate) fn need<T: DeserializeOwned>(&self, key: &str) -> Result<T, StoreError> {
        self.get(key)?.ok_or_else(|| StoreError::Missing {
            key: key.to_owned(),
        })
    }

    /// Whether a key has a value.
    pub(crate) fn has(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.space.contains_key(key)?)
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
        self.burn()?;
        let sync = Some(PersistMode::SyncAll);
        let mut batch = self.database.batch().durability(sync);
        batch.remove(&self.space, key);
        Ok(batch.commit()?)
    }

    /// Writes values of one kind, all or none, and waits until they are on the disk.
    pub(crate) fn put<T: Serialize>(&self, values: &[(&str, &T)]) -> Result<(), StoreError> {
        let mut pairs = Pairs::default();
        for (key, value) in values {
            pairs.add(key, value)?;
        }
        self.write(pairs)
    }

    /// Writes values of any kind, all or none, and waits until they are on the disk.
    pub(crate) fn write(&self, pairs: Pairs) -> Result<(), StoreError> {
        if pairs.0.is_empty() {
            return Ok(());
        }
        self.burn()?;
        let sync = Some(PersistMode::SyncAll);
        let mut batch = self.database.batch().durability(sync);
        for (key, value) in pairs.0 {
            batch.insert(&self.space, key, value);
        }
        Ok(batch.commit()?)
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "tests fail here"
    )]
    fn burn(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Fails at the write that the test has chosen, and at all after it.
    #[cfg(test)]
    fn burn(&self) -> Result<(), StoreError> {
        use std::sync::atomic::Ordering::Relaxed;
        let left = self.fuse.load(Relaxed);
        self.fuse.store(left.saturating_sub(1), Relaxed);
        if left == 0 {
            Err(StoreError::Burnt)
        } else {
            Ok(())
        }
    }
}

/// Values to be written together.
#[derive(Default)]
pub(crate) struct Pairs(Vec<(String, Vec<u8>)>);

impl Pairs {
    /// Adds a value.
    pub(crate) fn add<T: Serialize>(&mut self, key: &str, value: &T) -> Result<(), StoreError> {
        self.0.push((key.to_owned(), serde_json::to_vec(value)?));
        Ok(())
    }
}
