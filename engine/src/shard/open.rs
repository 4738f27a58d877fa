//! A shard's start: checkpoint, then the log after it, then ready. And its stop.
//!
//! ```text
//!  names ─► checkpoint ─► segments it covers: opened, not read
//!                    └──► other segments: footer, or a walk ─► records in order ─► catalog
//!                                                    └─► walked ones get their footer
//! ```
//! A segment without a footer is synced before it is read: after a killed process, what it wrote
//! may sit in the drive's cache, and whoever is told that it is stored must be able to rely on it.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use lode_world::{Disk, File, Open, World};

use super::{Count, Shard};
use crate::{
    Error, Result, Root,
    catalog::Catalog,
    format::{
        checkpoint::SegmentItem,
        footer::Entry,
        frame::FrameHead,
        page::{self, PAGE},
        record::{Header, Kind},
        segment::{HEADER_PAGES, SegmentHead},
        superblock::Superblock,
    },
    index::{Found, Place},
    log::{
        close,
        lane::Counters,
        read::{self, PAGE_U64, Verify},
        replay::{self, Walked, read_page},
        segment::{self, Segment, State},
        supply::{Supply, write_pages},
    },
    mend::checkpoint,
    planted::{self, Bug},
    shelf::Shelf,
    space::Space,
    wait::{Bell, Credit, KeyLock},
};

/// What a shard needs to know of its store.
pub(crate) struct Setup<W: World> {
    pub world: W,
    pub dir: PathBuf,
    pub id: u16,
    pub superblock: Superblock,
    pub space: Rc<Space<W>>,
    pub ingest_credit: u64,
    pub verify: Verify,
}

/// A segment whose records have to be replayed.
struct Source<F> {
    segment: Rc<Segment<F>>,
    /// First sequence number.
    first: u64,
    /// Its records; read when their turn comes.
    entries: Option<VecDeque<Entry>>,
    /// It was walked and needs a footer.
    walked: Option<Walked>,
}

impl<W: World> Shard<W> {
    /// Opens (or makes) the shard in its directory.
    pub(crate) async fn open(setup: Setup<W>) -> Result<Rc<Shard<W>>> {
        let started = setup.world.now();
        let disk = setup.world.disk();
        disk.make_dir(&setup.dir)
            .await
            .map_err(Error::io(&setup.dir))?;
        let shard = Rc::new(Shard::empty(setup));
        let names = disk.list(&shard.dir).await.map_err(Error::io(&shard.dir))?;
        let covered = checkpoint::load(&shard, &names).await?;
        let sources = shard.open_segments(&names, covered.as_ref()).await?;
        shard.catalog.borrow_mut().count_live();
        shard.catalog.borrow_mut().replaying = true;
        let covered = covered.map_or(0, |covered| covered.sequence);
        let walked = shard.replay(sources, covered).await?;
        shard.settle(walked, covered).await?;
        let spent = shard.world.now() - started;
        shard
            .count
            .replay_micros
            .set(u64::try_from(spent.as_micros()).unwrap_or(u64::MAX));
        Ok(shard)
    }

    fn empty(setup: Setup<W>) -> Shard<W> {
        let Setup {
            world,
            dir,
            id,
            superblock,
            space,
            ingest_credit,
            verify,
        } = setup;
        let keys = [world.random(), world.random()];
        let shelf = Arc::new(Shelf::new(keys, superblock.epoch));
        let supply = Supply::new(
            world.clone(),
            dir.clone(),
            id,
            superblock.store,
            superblock.segment_len,
            Rc::clone(&space),
        );
        Shard {
            id,
            dir,
            catalog: RefCell::new(Catalog::new(Arc::clone(&shelf))),
            shelf,
            supply,
            space,
            lanes: RefCell::new(BTreeMap::new()),
            lane_change: KeyLock::default(),
            ready: RefCell::new(BTreeMap::new()),
            preparing: RefCell::new(BTreeSet::new()),
            closing: Cell::new(0),
            closed: Bell::default(),
            roots: KeyLock::default(),
            writers: KeyLock::default(),
            sessions: RefCell::new(BTreeMap::new()),
            ingest: Credit::new(ingest_credit),
            verify,
            counters: Rc::new(Counters::default()),
            count: Count::default(),
            stopping: Cell::new(false),
            doubts: RefCell::default(),
            unsettled: RefCell::new(BTreeSet::new()),
            mend: crate::mend::State::new(),
            world,
        }
    }

    /// Opens every segment file; returns those whose records the checkpoint does not cover.
    async fn open_segments(
        &self,
        names: &[String],
        covered: Option<&checkpoint::Covered>,
    ) -> Result<Vec<Source<W::File>>> {
        let disk = self.world.disk();
        let mut sources = Vec::new();
        // A number that a checkpoint knows is not given again, though its file be gone: the next
        // start would take the new file for the one that the checkpoint covers.
        covered
            .into_iter()
            .flat_map(|covered| covered.segments.keys())
            .for_each(|number| self.supply.seen(*number));
        for name in names {
            let path = self.dir.join(name);
            let Some(number) = segment::number(name) else {
                if let Some(number) = segment::free_number(name) {
                    self.supply.seen(number);
                    let len = self.file_len(&path).await?;
                    self.supply.found_free(path, len).await?;
                }
                continue;
            };
            self.supply.seen(number);
            let file = disk
                .open(&path, Open::Write)
                .await
                .map_err(Error::io(&path))?;
            let len = file.len().await.map_err(Error::io(&path))?;
            if let Some(item) = covered.and_then(|covered| covered.segments.get(&number)) {
                self.adopt(covered_segment(item, file, path, len));
                continue;
            }
            match self.identify(&file, &path, number, len).await? {
                Some(segment) => sources.push(self.source(segment).await?),
                None => {
                    drop(file);
                    self.supply
                        .discard(&path, number, len == self.supply.segment_len())
                        .await?;
                }
            }
        }
        Ok(sources)
    }

    async fn file_len(&self, path: &Path) -> Result<u64> {
        let file = self
            .world
            .disk()
            .open(path, Open::Read)
            .await
            .map_err(Error::io(path))?;
        file.len().await.map_err(Error::io(path))
    }

    fn adopt(&self, segment: Segment<W::File>) {
        self.catalog.borrow_mut().add_segment(Rc::new(segment));
    }

    /// Who a segment file is; none if no record was ever acknowledged in it.
    async fn identify(
        &self,
        file: &W::File,
        path: &Path,
        number: u32,
        len: u64,
    ) -> Result<Option<Segment<W::File>>> {
        let pages = u64::from(HEADER_PAGES) + 1;
        if len / PAGE_U64 < pages {
            return Ok(None);
        }
        // One by one: a page that the disk refuses must not take the other copy with it.
        let mut bytes = Vec::with_capacity(usize::try_from(pages).expect("three") * PAGE);
        let mut refused = None;
        for page in 0..pages {
            match read_page(file, page * PAGE_U64).await {
                Ok(read) => bytes.extend_from_slice(read.as_ref()),
                Err(error) => {
                    bytes.extend_from_slice(&[0; PAGE]);
                    refused = Some(error);
                }
            }
        }
        let (tag, bucket) = match SegmentHead::decode(&bytes) {
            Some(head) if head.shard != self.id || head.store != self.supply.store() => {
                return Err(Error::Format {
                    path: path.display().to_string(),
                    why: "the segment belongs to another store or shard; move it back to where it \
                          came from"
                        .to_owned(),
                });
            }
            Some(head) if head.segment == number => (head.tag, head.bucket),
            // Taken from the free files, and the crash came before its new header.
            Some(_) => return Ok(None),
            None => match (tag_of_first_frame(&bytes[2 * PAGE..], number), refused) {
                (Some(tag), _) => (tag, 0),
                // What cannot be read may hold records: it is not thrown away.
                (None, Some(error)) => return Err(Error::io(path)(error)),
                (None, None) => return Ok(None),
            },
        };
        Ok(Some(Segment::new(
            number,
            tag,
            bucket,
            file.clone(),
            path.to_path_buf(),
            len,
        )))
    }

    /// Takes a segment as a source: by its footer, which is read when its turn comes, or by a walk.
    async fn source(&self, segment: Segment<W::File>) -> Result<Source<W::File>> {
        let segment = Rc::new(segment);
        self.catalog.borrow_mut().add_segment(Rc::clone(&segment));
        if let Some(first) = replay::first_sequence(&self.world, &segment).await {
            segment.state.set(State::Closed);
            return Ok(Source {
                segment,
                first,
                entries: None,
                walked: None,
            });
        }
        let mut source = Source {
            segment,
            first: 0,
            entries: None,
            walked: None,
        };
        self.walk(&mut source).await?;
        Ok(source)
    }

    /// Reads a source's records page by page.
    async fn walk(&self, source: &mut Source<W::File>) -> Result<()> {
        let segment = &source.segment;
        if !planted::is(&self.world, Bug::ReplayWithoutSync) {
            segment
                .file
                .sync()
                .await
                .map_err(Error::io(&segment.path))?;
        }
        let walked = replay::walk(segment).await;
        super::add(&self.count.torn, walked.torn_bytes);
        if walked.unreadable_pages > 0 {
            super::add(&self.count.corrupt, walked.unreadable_pages);
            tracing::error!(
                segment = %segment.path.display(), pages = walked.unreadable_pages,
                "pages cannot be read; the segment stays as it is for the next start to try again"
            );
        }
        if walked.rotten_pages > 0 {
            super::add(&self.count.corrupt, walked.rotten_pages);
            tracing::error!(
                segment = %segment.path.display(), pages = walked.rotten_pages,
                "acknowledged pages are damaged; the records in them are lost here"
            );
        }
        walked.entries.iter().for_each(|entry| segment.note(entry));
        source.first = walked
            .entries
            .first()
            .map_or(0, |entry| entry.header.sequence);
        source.entries = Some(walked.entries.iter().copied().collect());
        // A footer would end the log where the disk refused to read on.
        if walked.unreadable_pages == 0 {
            source.walked = Some(walked);
        } else {
            segment.state.set(State::Failed);
        }
        Ok(())
    }

    /// Reads the records of a source whose turn has come. What rests on its footer from now on rests
    /// on the disk.
    async fn load(&self, source: &mut Source<W::File>) -> Result<()> {
        let pointer = replay::pointer(&source.segment).await;
        match pointer.zip(replay::footer(&self.world, &source.segment).await) {
            Some((pointer, footer)) => {
                let segment = &source.segment;
                close::again(segment, &pointer)
                    .await
                    .map_err(Error::io(&segment.path))?;
                footer.entries.iter().for_each(|entry| segment.note(entry));
                source.entries = Some(footer.entries.into());
            }
            // Its head was whole, the rest is not: the frames tell the same.
            None => self.walk(source).await?,
        }
        Ok(())
    }

    /// Applies all records from `from` on, in sequence. Returns the sources that were walked.
    async fn replay(
        &self,
        mut sources: Vec<Source<W::File>>,
        from: u64,
    ) -> Result<Vec<Source<W::File>>> {
        let order = |sequence: u64| match planted::is(&self.world, Bug::ReplayOutOfOrder) {
            true => 0,
            false => sequence,
        };
        let mut heap: BinaryHeap<_> = sources
            .iter()
            .zip(0_usize..)
            .map(|(source, index)| Reverse((order(source.first), index)))
            .collect();
        let mut steps = 0_u32;
        while let Some(Reverse((_, index))) = heap.pop() {
            let source = &mut sources[index];
            if source.entries.is_none() {
                self.load(source).await?;
            }
            let entries = source.entries.as_mut().expect("it was just loaded");
            if let Some(entry) = entries.pop_front()
                && entry.header.sequence >= from
            {
                let at = u32::try_from(entry.at).expect("segments are below 4 GiB");
                let place = Place {
                    segment: source.segment.number,
                    at,
                };
                self.catalog.borrow_mut().apply(&entry.header, place);
                if entry.header.kind == Kind::Delete && entry.header.moved() {
                    self.bury_again(&entry.header).await;
                }
            }
            if let Some(next) = entries.front() {
                heap.push(Reverse((order(next.header.sequence), index)));
            }
            steps += 1;
            if steps.is_multiple_of(1024) {
                self.world.breathe().await;
            }
        }
        sources.retain(|source| source.walked.is_some());
        Ok(sources)
    }

    /// A tombstone that compaction copied removes its blob only if that was put before the first
    /// tombstone: it may have come back since.
    async fn bury_again(&self, tombstone: &Header) {
        let Some(place) = self.place_of(&tombstone.root) else {
            return;
        };
        // A checkpoint may know a record whose segment was freed after the delete.
        if self.segment(place).is_none() || self.put_before(tombstone).await == Some(true) {
            self.catalog.borrow_mut().remove(&tombstone.root);
        }
    }

    /// The record that makes a blob exist.
    fn place_of(&self, root: &Root) -> Option<Place> {
        match self.catalog.borrow().index().get(root)? {
            Found::Single { place, .. } => Some(place),
            Found::Long { long, .. } => Some(long.manifest),
        }
    }

    /// Whether the blob of a tombstone's root was put before it was deleted; none if there is none
    /// or its record cannot be read.
    async fn put_before(&self, tombstone: &Header) -> Option<bool> {
        let place = self.place_of(&tombstone.root)?;
        let segment = self.segment(place)?;
        let sequence = read::sequence(&self.world, segment.life(), u64::from(place.at))
            .await
            .ok()?;
        let deleted = match tombstone.detail {
            0 => tombstone.sequence,
            first => first,
        };
        Some(sequence < deleted)
    }

    /// Ends the start: footers for walked segments, and nothing left that nobody can finish.
    async fn settle(&self, walked: Vec<Source<W::File>>, covered: u64) -> Result<()> {
        for Source {
            segment, walked, ..
        } in walked
        {
            let mut walked = walked.expect("only walked sources are left");
            self.forget_failed(&segment, &mut walked, covered).await;
            if walked.entries.is_empty() {
                self.catalog.borrow_mut().take_segment(segment.number);
                if let Some(segment) = Rc::into_inner(segment) {
                    self.supply.give_back(segment).await?;
                }
                continue;
            }
            if planted::is(&self.world, Bug::ReplayWithoutSync) {
                continue;
            }
            close_walked(&self.world, &segment, walked)
                .await
                .map_err(Error::io(&segment.path))?;
        }
        let mut catalog = self.catalog.borrow_mut();
        catalog.replaying = false;
        catalog.prune_uploads();
        let undeclared = catalog
            .uploads
            .iter()
            .filter(|(_, upload)| upload.declared.is_none());
        let undeclared: Vec<u64> = undeclared.map(|(blob, _)| *blob).collect();
        for blob in undeclared {
            catalog.forget(blob);
        }
        catalog.drop_expired(self.epoch());
        catalog.drop_expired_uploads(self.epoch(), |_| false);
        let lost = catalog.lost();
        if lost > 0 {
            super::add(&self.count.corrupt, lost);
            tracing::error!(
                shard = self.id,
                records = lost,
                "records point to segment files that are missing"
            );
        }
        Ok(())
    }

    /// Keeps records out of the footer that the checkpoint says are none: their writes failed, the
    /// store went on without them, and without this they would come true when the log is next
    /// read without the checkpoint.
    async fn forget_failed(&self, segment: &Segment<W::File>, walked: &mut Walked, covered: u64) {
        let mut kept = Vec::with_capacity(walked.entries.len());
        for entry in walked.entries.drain(..) {
            let header = &entry.header;
            let counts = header.sequence >= covered
                || match header.kind {
                    Kind::Abandon => true,
                    Kind::Delete => self.put_before(header).await != Some(true),
                    _ => self.points_to(&entry, segment.number),
                };
            if counts {
                kept.push(entry);
            }
        }
        walked.entries = kept;
    }

    /// Stops taking bytes, waits for what is on its way, closes segments and writes a checkpoint.
    pub(crate) async fn close(self: Rc<Self>) -> Result<()> {
        self.stopping.set(true);
        self.close_lanes().await;
        self.drop_ready(|_| true).await?;
        checkpoint::write(&self).await
    }
}

/// Closes a segment that was walked.
///
/// Frames that no later frame calls durable are written once more first: a sync that failed before
/// the process ended may have dropped them although reads still see them, and no later sync would
/// tell (man fsync, NOTES). Nothing may rest on them before that.
async fn close_walked<W: World>(
    world: &W,
    segment: &Segment<W::File>,
    walked: Walked,
) -> std::io::Result<()> {
    let mut page = walked.uncertain_page;
    if page < walked.end_page && !planted::is(world, Bug::TrustUncertain) {
        while page < walked.end_page {
            let count = (walked.end_page - page).min(REWRITE_PAGES);
            let len = usize::try_from(count).expect("at most 256") * PAGE;
            let bytes = segment.file.read(u64::from(page) * PAGE_U64, len).await?;
            write_pages(&segment.file, page, bytes.as_ref()).await?;
            page += count;
        }
        segment.file.sync().await?;
    }
    close::close(segment, walked.entries, walked.end_page).await
}

/// Pages that are written again at a time: 1 MiB.
const REWRITE_PAGES: u32 = 256;

fn covered_segment<F>(item: &SegmentItem, file: F, path: PathBuf, len: u64) -> Segment<F> {
    let segment = Segment::new(item.number, item.tag, item.bucket, file, path, len);
    segment.remember(item);
    segment.state.set(State::Closed);
    segment
}

/// The tag of a segment whose header pages are damaged, from its first frame.
fn tag_of_first_frame(page: &[u8], number: u32) -> Option<u64> {
    let place = page::open(page).ok()?;
    let head = FrameHead::decode(page)?;
    (place.kind == page::Kind::FrameHead && place.page == HEADER_PAGES && head.segment == number)
        .then_some(place.tag)
}
