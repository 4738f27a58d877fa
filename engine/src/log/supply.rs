//! Segment files for a shard's lanes: recycled ones first, new ones while the disk has room.
//!
//! A file goes round: `segment-N` (open, closed) ─► `free-N` ─► `segment-M` with a new tag. Blocks
//! that were written once sync two to three times faster than fresh ones, because no filesystem
//! journal is involved; that is why files are kept. Every step is durable before the next:
//! a file is renamed to `free-N` and the directory synced before it is taken again, and its new
//! header is synced, with its name, before a lane may append.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    path::PathBuf,
    rc::Rc,
};

use lode_world::{Disk, File, Open, World};

use super::segment::{self, Segment};
use crate::{
    Error, Result,
    format::segment::SegmentHead,
    planted::{self, Bug},
    space::{Need, Space},
};

/// Gives lanes their segments.
pub struct Supply<W: World> {
    world: W,
    dir: PathBuf,
    shard: u16,
    store: [u8; 16],
    segment_len: u64,
    space: Rc<Space<W>>,
    next: Cell<u32>,
    free: RefCell<VecDeque<PathBuf>>,
    freed: Cell<u64>,
}

/// Recycled files that a shard keeps; more are removed so that the filesystem sees the space.
const FREE_MAX: usize = 4;

/// Recycled files that it keeps where new blobs are refused for want of space: enough to write
/// tombstones and to compact when a stranger has taken the rest, and no more, because other shards
/// cannot use them.
const FREE_WHEN_SHORT: usize = 1;

/// With fewer segments than these before new blobs are refused, space is tight.
const SPARE: u64 = 4;

impl<W: World> Supply<W> {
    /// A supply for the shard in `dir`, whose next segment is number `next`.
    pub fn new(
        world: W,
        dir: PathBuf,
        shard: u16,
        store: [u8; 16],
        segment_len: u64,
        space: Rc<Space<W>>,
    ) -> Self {
        Supply {
            world,
            dir,
            shard,
            store,
            segment_len,
            space,
            next: Cell::new(1),
            free: RefCell::new(VecDeque::new()),
            freed: Cell::new(0),
        }
    }

    /// Bytes of a new segment.
    pub fn segment_len(&self) -> u64 {
        self.segment_len
    }

    /// The store whose segments these are.
    pub fn store(&self) -> [u8; 16] {
        self.store
    }

    /// Makes sure that `number` is never given again.
    pub fn seen(&self, number: u32) {
        self.next.set(self.next.get().max(number + 1));
    }

    /// Recycled files at hand.
    pub fn free_files(&self) -> usize {
        self.free.borrow().len()
    }

    /// Segments freed since start.
    pub fn freed(&self) -> u64 {
        self.freed.get()
    }

    /// A new, empty, durable segment for records that expire by `bucket`.
    pub async fn take(&self, bucket: u32, need: Need) -> Result<Rc<Segment<W::File>>> {
        self.space.allow(need, self.segment_len).await?;
        let recycled = self.next_recycled();
        let number = self.next.replace(self.next.get() + 1);
        let path = segment::path(&self.dir, number);
        let disk = self.world.disk();
        let file = match &recycled {
            Some(free) => {
                disk.rename(free, &path).await.map_err(Error::io(free))?;
                disk.open(&path, Open::Write)
                    .await
                    .map_err(Error::io(&path))?
            }
            None => disk
                .open(&path, Open::Create)
                .await
                .map_err(|error| self.space.refusal(&path, error))?,
        };
        match self.prepare(&file, &path, number, bucket).await {
            Ok(segment) => Ok(segment),
            Err(error) => {
                drop(file);
                // The file holds nothing: without its name nobody will look for records in it. If
                // the name stays, the next start recycles the file.
                if let Err(left) = disk.remove(&path).await {
                    tracing::warn!(path = %path.display(), error = %left, "unused segment file stays");
                }
                Err(error)
            }
        }
    }

    fn keep_recycled(&self, free: PathBuf) {
        self.free.borrow_mut().push_back(free);
        self.space.recycled(self.segment_len);
    }

    fn next_recycled(&self) -> Option<PathBuf> {
        let free = self.free.borrow_mut().pop_front()?;
        self.space.unrecycled(self.segment_len);
        Some(free)
    }

    /// Whether space is so short that a new segment for blobs would be refused.
    pub async fn short(&self) -> Result<bool> {
        self.space.short(self.segment_len).await
    }

    /// Whether it was so when somebody looked last.
    pub fn was_short(&self) -> bool {
        self.space.was_short(self.segment_len)
    }

    /// Whether it will be so after a few segments more.
    pub async fn tight(&self) -> Result<bool> {
        self.space.short(SPARE * self.segment_len).await
    }

    /// Segments that mend could still get.
    pub async fn files_left(&self) -> Result<u64> {
        let recycled = u64::try_from(self.free_files()).expect("few");
        Ok(recycled + self.space.look().await?.free / self.segment_len)
    }

    /// Gives recycled files beyond those that are kept now back to the filesystem.
    pub async fn trim(&self) -> Result<()> {
        let limit = self.free_limit().await?;
        let disk = self.world.disk();
        while self.free_files() > limit
            && let Some(free) = self.next_recycled()
        {
            disk.remove(&free).await.map_err(Error::io(&free))?;
        }
        Ok(())
    }

    /// Gives a new file its blocks, its header and its name, all durable.
    async fn prepare(
        &self,
        file: &W::File,
        path: &std::path::Path,
        number: u32,
        bucket: u32,
    ) -> Result<Rc<Segment<W::File>>> {
        let tag = self.world.random();
        let head = SegmentHead {
            shard: self.shard,
            segment: number,
            tag,
            bucket,
            file_len: self.segment_len,
            created: self.world.unix_secs(),
            store: self.store,
        };
        let allocated = file.allocate(self.segment_len).await;
        allocated.map_err(|error| self.space.refusal(path, error))?;
        write_pages(file, 0, &head.encode())
            .await
            .map_err(|error| self.space.refusal(path, error))?;
        file.sync().await.map_err(Error::io(path))?;
        if !planted::is(&self.world, Bug::NameWithoutSync) {
            let disk = self.world.disk();
            disk.sync_dir(&self.dir)
                .await
                .map_err(Error::io(&self.dir))?;
        }
        let path = path.to_path_buf();
        Ok(Rc::new(Segment::new(
            number,
            tag,
            bucket,
            file.clone(),
            path,
            self.segment_len,
        )))
    }

    /// Takes the file of a segment that nobody on this executor reads any more: keeps it for recycling
    /// or removes it.
    pub async fn give_back(&self, segment: Segment<W::File>) -> Result<()> {
        let Segment {
            number,
            file,
            path,
            file_len,
            ..
        } = segment;
        drop(file);
        self.freed.set(self.freed.get() + 1);
        self.discard(&path, number, file_len.get() == self.segment_len)
            .await
    }

    /// Takes a file that holds no records.
    pub async fn discard(&self, path: &std::path::Path, number: u32, whole: bool) -> Result<()> {
        let disk = self.world.disk();
        let limit = self.free_limit().await?;
        if !whole || self.free_files() >= limit {
            disk.remove(path).await.map_err(Error::io(path))?;
            disk.sync_dir(&self.dir)
                .await
                .map_err(Error::io(&self.dir))?;
            // Refusals end as soon as there is room again. (Another executor's read that is under way
            // may keep the blocks for a moment: then the next put finds it out.)
            return self.space.look().await.map(drop);
        }
        let free = self.dir.join(format!("free-{number:010}"));
        disk.rename(path, &free).await.map_err(Error::io(path))?;
        disk.sync_dir(&self.dir)
            .await
            .map_err(Error::io(&self.dir))?;
        self.keep_recycled(free);
        Ok(())
    }

    /// How many recycled files may be kept now.
    async fn free_limit(&self) -> Result<usize> {
        match self.short().await? {
            true => Ok(FREE_WHEN_SHORT),
            false => Ok(FREE_MAX),
        }
    }

    /// Takes a `free-N` file that was found at start.
    pub async fn found_free(&self, path: PathBuf, len: u64) -> Result<()> {
        let limit = self.free_limit().await?;
        if len == self.segment_len && self.free_files() < limit {
            self.keep_recycled(path);
            return Ok(());
        }
        self.world
            .disk()
            .remove(&path)
            .await
            .map_err(Error::io(&path))
    }
}

/// Writes whole pages at page `first`, in buffers of up to 1 MiB.
pub async fn write_pages<F: File>(file: &F, first: u32, pages: &[u8]) -> std::io::Result<()> {
    let mut at = u64::from(first) * super::read::PAGE_U64;
    for piece in pages.chunks(1 << 20) {
        let mut buf = file.alloc(piece.len());
        buf.as_mut().copy_from_slice(piece);
        file.write(at, buf).await?;
        at += u64::try_from(piece.len()).expect("64-bit");
    }
    Ok(())
}
