//! redb: a copy-on-write B-tree in one file.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use super::{CACHE_LEN, Key, Peer};
use crate::error::{Error, Result};

const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");

/// A database with one table.
pub struct Redb(Database);

impl Peer for Redb {
    const NAME: &'static str = "redb";

    fn open(dir: &Path) -> Result<Self> {
        let database = Database::builder()
            .set_cache_size(CACHE_LEN)
            .create(dir.join("values.redb"));
        database.map(Self).map_err(Error::subject(Self::NAME))
    }

    fn put(&self, pairs: &[(Key, &[u8])]) -> Result<()> {
        let mut write = self.0.begin_write().map_err(Error::subject(Self::NAME))?;
        write
            .set_durability(Durability::Immediate)
            .map_err(Error::subject(Self::NAME))?;
        let mut table = write
            .open_table(VALUES)
            .map_err(Error::subject(Self::NAME))?;
        for (key, value) in pairs {
            table
                .insert(key.as_slice(), *value)
                .map_err(Error::subject(Self::NAME))?;
        }
        drop(table);
        write.commit().map_err(Error::subject(Self::NAME))
    }

    fn read(&self, key: &Key, offset: usize, out: &mut [u8]) -> Result<()> {
        let read = self.0.begin_read().map_err(Error::subject(Self::NAME))?;
        let table = read
            .open_table(VALUES)
            .map_err(Error::subject(Self::NAME))?;
        let value = table
            .get(key.as_slice())
            .map_err(Error::subject(Self::NAME))?;
        let piece = value
            .as_ref()
            .and_then(|value| value.value().get(offset..offset + out.len()));
        out.copy_from_slice(
            piece
                .ok_or("no such bytes")
                .map_err(Error::subject(Self::NAME))?,
        );
        Ok(())
    }
}
