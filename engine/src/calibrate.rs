//! What the disk can do, measured once when a store is made and kept in its superblock.
//!
//! Takes under a second on a drive that a store should run on, and at most a few: 64 MiB are
//! appended with a sync every 16 MiB, 512 pages are read at random with 16 in flight, and 32 small
//! writes are synced one by one. The file is removed again.

use std::{cell::Cell, path::Path, rc::Rc, time::Duration};

use lode_world::{Disk, File, Open, Queue, World};

use crate::{Error, Result, format::superblock::Calibration, log::read::PAGE_U64, wait::Latch};

const APPEND_LEN: u64 = 64 << 20;
const GROUP_LEN: u64 = 16 << 20;
const WRITE_LEN: usize = 1 << 20;
const WRITE_U64: u64 = 1 << 20;
const READS: u64 = 512;
const READERS: u64 = 16;
const SYNCS: u64 = 32;

/// Measures the disk under `dir`; zeroes where it is too full to tell.
pub(crate) async fn measure<W: World>(world: &W, dir: &Path) -> Result<Calibration> {
    let space = world.disk().space(dir).await.map_err(Error::io(dir))?;
    if space.free < 4 * APPEND_LEN {
        return Ok(Calibration::default());
    }
    let path = dir.join("calibration");
    let disk = world.disk();
    let file = match disk.open(&path, Open::Create).await {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            disk.open(&path, Open::Write).await
        }
        opened => opened,
    };
    let file = file.map_err(Error::io(&path))?;
    let measured = measure_file(world, &file).await.map_err(Error::io(&path));
    drop(file);
    disk.remove(&path).await.map_err(Error::io(&path))?;
    measured
}

async fn measure_file<W: World>(world: &W, file: &W::File) -> std::io::Result<Calibration> {
    file.allocate(APPEND_LEN).await?;
    Ok(Calibration {
        append_rate: append(world, file).await?,
        sync_micros: sync(world, file).await?,
        read_rate: read(world, file).await?,
    })
}

async fn append<W: World>(world: &W, file: &W::File) -> std::io::Result<u64> {
    let started = world.now();
    for group in 0..APPEND_LEN / GROUP_LEN {
        let writes = (0..GROUP_LEN / WRITE_U64).map(|write| {
            let mut buf = file.alloc(WRITE_LEN);
            buf.as_mut().fill(0x5a);
            started_task(
                world,
                file.write(group * GROUP_LEN + write * WRITE_U64, buf),
            )
        });
        for write in writes.collect::<Vec<_>>() {
            write.wait().await.map_err(std::io::Error::from)?;
        }
        file.sync().await?;
    }
    Ok(per_second(APPEND_LEN, world.now() - started))
}

/// Median of single writes with a sync each, in microseconds.
async fn sync<W: World>(world: &W, file: &W::File) -> std::io::Result<u64> {
    let mut spans = Vec::new();
    for write in 0..SYNCS {
        let started = world.now();
        let mut buf = file.alloc(lode_world::ALIGN);
        buf.as_mut().fill(0xa5);
        file.write(write * PAGE_U64, buf).await?;
        file.sync().await?;
        spans.push(world.now() - started);
    }
    spans.sort_unstable();
    Ok(u64::try_from(spans[spans.len() / 2].as_micros()).unwrap_or(u64::MAX))
}

async fn read<W: World>(world: &W, file: &W::File) -> std::io::Result<u64> {
    let started = world.now();
    let next = Rc::new(Cell::new(0));
    let readers = (0..READERS).map(|_| {
        let (file, world, next) = (file.clone(), world.clone(), Rc::clone(&next));
        started_task(&world.clone(), async move {
            while next.replace(next.get() + 1) < READS {
                let page = world.random() % (APPEND_LEN / PAGE_U64);
                file.read(page * PAGE_U64, lode_world::ALIGN).await?;
            }
            Ok(())
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.wait().await.map_err(std::io::Error::from)?;
    }
    Ok(per_second(READS, world.now() - started))
}

/// Runs an IO task beside others; its error keeps its kind.
fn started_task<W: World>(
    world: &W,
    task: impl Future<Output = std::io::Result<()>> + 'static,
) -> Latch<std::result::Result<(), std::io::ErrorKind>> {
    let latch = Latch::new();
    let done = latch.clone();
    world.spawn(Queue::Ingest, async move {
        done.set(task.await.map_err(|error| error.kind()))
    });
    latch
}

fn per_second(count: u64, span: Duration) -> u64 {
    let nanos = span.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}
