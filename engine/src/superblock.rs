//! The data directory's superblock: made once, read at every start, rewritten copy by copy.

use std::path::{Path, PathBuf};

use lode_world::{Disk, File, Open, World};

use crate::{
    Error, Result,
    format::superblock::{COPIES, Superblock},
    log::{read::PAGE_U64, supply::write_pages},
    space,
    store::Options,
};

/// Path of the superblock.
pub fn path(dir: &Path) -> PathBuf {
    dir.join("SUPER")
}

/// Reads the superblock, or makes a new store where the directory has none.
pub(crate) async fn load_or_make<W: World>(world: &W, options: &Options) -> Result<Superblock> {
    let disk = world.disk();
    disk.make_dir(&options.dir)
        .await
        .map_err(Error::io(&options.dir))?;
    let names = disk
        .list(&options.dir)
        .await
        .map_err(Error::io(&options.dir))?;
    if names.iter().any(|name| name == "SUPER") {
        return settle(world, &options.dir).await;
    }
    if names.iter().any(|name| name.starts_with("shard-")) {
        let why = "the directory has shards but no SUPER; restore SUPER from a backup".to_owned();
        return Err(Error::Format {
            path: path(&options.dir).display().to_string(),
            why,
        });
    }
    make(world, options).await
}

/// Reads the superblock of a store that is being opened, and makes what was read durable: a killed
/// process may have left its name or a new generation in the drive's cache, or a sync that failed
/// may have dropped it. Copies that differ are all written again; while they are the same, at least
/// two of them were synced.
async fn settle<W: World>(world: &W, dir: &Path) -> Result<Superblock> {
    world.disk().sync_dir(dir).await.map_err(Error::io(dir))?;
    let bytes = read_copies(world, dir).await?;
    let superblock = decode(dir, &bytes)?;
    if (0..COPIES)
        .flat_map(|copy| superblock.encode(copy))
        .ne(bytes)
    {
        rewrite(world, dir, &superblock).await?;
    }
    Ok(superblock)
}

/// Raises the epoch durably, and returns it; an earlier one than the last changes nothing. One at
/// a time.
pub(crate) async fn set_epoch<W: World>(world: &W, dir: &Path, epoch: u32) -> Result<u32> {
    let mut superblock = load(world, dir).await?;
    if epoch > superblock.epoch {
        superblock.epoch = epoch;
        superblock.generation += 1;
        rewrite(world, dir, &superblock).await?;
    }
    Ok(superblock.epoch)
}

/// Reads an existing superblock.
pub async fn load<W: World>(world: &W, dir: &Path) -> Result<Superblock> {
    decode(dir, &read_copies(world, dir).await?)
}

fn decode(dir: &Path, bytes: &[u8]) -> Result<Superblock> {
    let format = |error: crate::format::superblock::SuperError| Error::Format {
        path: path(dir).display().to_string(),
        why: error.to_string(),
    };
    Superblock::decode(bytes).map_err(format)
}

async fn read_copies<W: World>(world: &W, dir: &Path) -> Result<Vec<u8>> {
    let path = path(dir);
    let file = world
        .disk()
        .open(&path, Open::Read)
        .await
        .map_err(Error::io(&path))?;
    let mut bytes = Vec::new();
    for copy in 0..COPIES {
        // A copy that cannot be read is one that is not whole.
        match file
            .read(u64::from(copy) * PAGE_U64, lode_world::ALIGN)
            .await
        {
            Ok(page) => bytes.extend_from_slice(page.as_ref()),
            Err(_) => bytes.extend_from_slice(&[0; lode_world::ALIGN]),
        }
    }
    Ok(bytes)
}

/// Makes a new store.
async fn make<W: World>(world: &W, options: &Options) -> Result<Superblock> {
    let shards = options.shards.max(1);
    let found = world.disk().space(&options.dir).await;
    let found = found.map_err(Error::io(&options.dir))?;
    let need = space::smallest(shards, options.segment_len);
    if found.total < need {
        return Err(Error::TooSmall {
            path: options.dir.display().to_string(),
            total: found.total,
            need,
            shards,
            segment_len: options.segment_len,
        });
    }
    let superblock = Superblock {
        shards,
        generation: 1,
        segment_len: options.segment_len,
        store: (u128::from(world.random()) << 64 | u128::from(world.random())).to_le_bytes(),
        created: world.unix_secs(),
        epoch: 0,
        disk: crate::calibrate::measure(world, &options.dir).await?,
    };
    let new = options.dir.join("SUPER.new");
    let disk = world.disk();
    let file = match disk.open(&new, Open::Create).await {
        // A start that was interrupted left it behind.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            disk.open(&new, Open::Write).await
        }
        opened => opened,
    };
    let file = file.map_err(Error::io(&new))?;
    for copy in 0..COPIES {
        write_pages(&file, copy, &superblock.encode(copy))
            .await
            .map_err(Error::io(&new))?;
    }
    file.sync().await.map_err(Error::io(&new))?;
    drop(file);
    disk.rename(&new, &path(&options.dir))
        .await
        .map_err(Error::io(&new))?;
    disk.sync_dir(&options.dir)
        .await
        .map_err(Error::io(&options.dir))?;
    Ok(superblock)
}

/// Replaces the superblock, two copies at a time, so that a whole one exists at every moment.
async fn rewrite<W: World>(world: &W, dir: &Path, superblock: &Superblock) -> Result<()> {
    let path = path(dir);
    let file = world
        .disk()
        .open(&path, Open::Write)
        .await
        .map_err(Error::io(&path))?;
    for pair in [[0, 1], [2, 3]] {
        for copy in pair {
            write_pages(&file, copy, &superblock.encode(copy))
                .await
                .map_err(Error::io(&path))?;
        }
        file.sync().await.map_err(Error::io(&path))?;
    }
    Ok(())
}
