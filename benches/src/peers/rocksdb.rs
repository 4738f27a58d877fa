//! RocksDB with BlobDB: an LSM tree with values kept apart in blob files, read and compacted with
//! direct IO.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::{CACHE_LEN, Key, Peer};
use crate::error::{Error, Result};

/// A database with one column family.
pub struct Rocks(DB);

impl Peer for Rocks {
    const NAME: &'static str = "RocksDB (BlobDB)";

    fn open(dir: &Path) -> Result<Self> {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(CACHE_LEN));
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::None);
        options.set_enable_blob_files(true);
        options.set_min_blob_size(1024);
        options.set_blob_file_size(256 << 20);
        options.set_blob_compression_type(DBCompressionType::None);
        options.set_use_direct_reads(true);
        options.set_use_direct_io_for_flush_and_compaction(true);
        options.set_max_background_jobs(4);
        DB::open(&options, dir)
            .map(Self)
            .map_err(Error::subject(Self::NAME))
    }

    fn put(&self, pairs: &[(Key, &[u8])]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in pairs {
            batch.put(key, value);
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.0
            .write_opt(batch, &options)
            .map_err(Error::subject(Self::NAME))
    }

    fn read(&self, key: &Key, offset: usize, out: &mut [u8]) -> Result<()> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        let value = self
            .0
            .get_pinned_opt(key, &options)
            .map_err(Error::subject(Self::NAME))?;
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
