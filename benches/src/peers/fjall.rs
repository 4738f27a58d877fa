//! fjall: an LSM tree with values kept apart in blob files.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use super::{CACHE_LEN, Key, Peer};
use crate::{
    error::{Error, Result},
    meter::bytes_of,
};

/// A database with one keyspace.
pub struct Fjall {
    database: Database,
    values: Keyspace,
}

impl Peer for Fjall {
    const NAME: &'static str = "fjall";

    fn open(dir: &Path) -> Result<Self> {
        let database = Database::builder(dir)
            .cache_size(bytes_of(CACHE_LEN))
            .open();
        let database = database.map_err(Error::subject(Self::NAME))?;
        let options = || {
            let apart = KvSeparationOptions::default().file_target_size(256 << 20);
            KeyspaceCreateOptions::default().with_kv_separation(Some(apart))
        };
        let values = database
            .keyspace("values", options)
            .map_err(Error::subject(Self::NAME))?;
        Ok(Self { database, values })
    }

    fn put(&self, pairs: &[(Key, &[u8])]) -> Result<()> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for (key, value) in pairs {
            batch.insert(&self.values, key.as_slice(), *value);
        }
        batch.commit().map_err(Error::subject(Self::NAME))
    }

    fn read(&self, key: &Key, offset: usize, out: &mut [u8]) -> Result<()> {
        let value = self.values.get(key).map_err(Error::subject(Self::NAME))?;
        let piece = value
            .as_deref()
            .and_then(|value| value.get(offset..offset + out.len()));
        out.copy_from_slice(
            piece
                .ok_or("no such bytes")
                .map_err(Error::subject(Self::NAME))?,
        );
        Ok(())
    }
}
