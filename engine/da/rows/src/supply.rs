//! Gives records their places: segments are made, grown, left to finish, and closed here.
//!
//! ```text
//!  open-N ── takes records of one bucket ─► left to finish ─► list, cut, pointer, sync ─► closed-N
//! ```
//! There is one open segment for each bucket of expiries that records come for, at most
//! [`OPEN_MAX`]: for a further one the segment that was asked for longest ago is closed, and a later
//! record of its bucket begins another. A file grows in steps before anything is written into them,
//! with room for its list, so that a full disk refuses records that begin and no others.

use std::{path::Path, rc::Rc};

use lode_world::{Disk, File, Open, Queue, World};

use crate::{
    Error, Result,
    append::Flight,
    format::{
        index::{Index, Pointer},
        page::{self, Kind, PAGE, PAGE_U64, Place},
        segment::{HEADER_PAGES, SegmentHead},
    },
    planted::{self, Bug},
    segment::{self, Segment, State, write_pages},
    store::Shared,
};

/// Open segments of a store, and so buckets that grow at a time: two days of hours. Most records come
/// for one or two buckets.
pub const OPEN_MAX: usize = 48;

/// Takes a place of `pages` pages in the open segment of an expiry's bucket.
pub async fn place<W: World>(
    store: &Rc<Shared<W>>,
    expiry: u64,
    pages: u32,
) -> Result<Rc<Flight<W::File>>> {
    let _turn = store.turn.take().await;
    if store.closing.get() {
        return Err(Error::Closing);
    }
    let until = store.options.bucket_end(expiry);
    let known = store.open.borrow().get(&until).cloned();
    let segment_len = store.options.segment_len;
    let segment = match known {
        Some(segment) if segment.fits(pages, segment_len) => segment,
        known => {
            if let Some(full) = known {
                retire(store, &full);
            }
            make_room(store);
            make(store, until, pages).await?
        }
    };
    // While the segment was made, its bucket may have ended: no expiry has seen it yet.
    let now = store.now();
    if segment.until <= now {
        return Err(Error::Expired { expiry, now });
    }
    segment.used.set(store.tick());
    let flight = Flight::take(&segment, pages);
    grow(store, &segment, segment.need()).await?;
    Ok(flight)
}

/// Makes the file at least `need` bytes long; by a step if there is room for one.
async fn grow<W: World>(store: &Shared<W>, segment: &Segment<W::File>, need: u64) -> Result<()> {
    if need <= segment.len.get() {
        return Ok(());
    }
    let file = segment.file.borrow().clone();
    let file = file.expect("a segment that takes records has its file open");
    let step = step(segment.len.get(), need, store.options.grow_len);
    let path = segment.path.borrow().clone();
    let len = match file.allocate(step).await {
        Ok(()) => step,
        Err(_short) => {
            let exact = file.allocate(need).await;
            exact.map_err(|error| Error::growing(&path, need, error))?;
            need
        }
    };
    segment.len.set(len.max(segment.len.get()));
    Ok(())
}

/// The length to grow to from `len`: whole steps, at least `need`.
fn step(len: u64, need: u64, grow_len: u64) -> u64 {
    let grow_len = grow_len.max(PAGE_U64).next_multiple_of(PAGE_U64);
    len + (need - len).next_multiple_of(grow_len)
}

/// Makes the segment that was asked for longest ago finish, if there are as many as may be.
fn make_room<W: World>(store: &Rc<Shared<W>>) {
    let oldest = {
        let open = store.open.borrow();
        let oldest = open.values().min_by_key(|segment| segment.used.get());
        oldest.filter(|_| open.len() >= OPEN_MAX).cloned()
    };
    if let Some(segment) = oldest {
        retire(store, &segment);
    }
}

/// A new segment, whose name and header are durable.
async fn make<W: World>(
    store: &Rc<Shared<W>>,
    until: u64,
    pages: u32,
) -> Result<Rc<Segment<W::File>>> {
    let number = store.next_segment();
    let path = segment::path_of(&store.options.dir, number);
    let disk = store.world.disk();
    let file = disk
        .open(&path, Open::Create)
        .await
        .map_err(|error| Error::growing(&path, PAGE_U64, error))?;
    let head = SegmentHead {
        number,
        tag: store.world.random(),
        until,
        created: store.world.unix_secs(),
    };
    match prepare(store, &file, &path, &head, pages).await {
        Ok(len) => {
            let made = Segment::new(number, head.tag, until, path, len, HEADER_PAGES);
            *made.file.borrow_mut() = Some(file);
            let made = Rc::new(made);
            store.segments.borrow_mut().insert(number, Rc::clone(&made));
            store.open.borrow_mut().insert(until, Rc::clone(&made));
            Ok(made)
        }
        Err(error) => {
            drop(file);
            // It holds nothing. If the name stays, the next start removes it.
            if let Err(left) = disk.remove(&path).await {
                tracing::warn!(path = %path.display(), error = %left, "unused segment of rows stays");
            }
            Err(error)
        }
    }
}

/// Gives a new file its blocks, its header and its name, all durable; returns its length.
async fn prepare<W: World>(
    store: &Shared<W>,
    file: &W::File,
    path: &Path,
    head: &SegmentHead,
    pages: u32,
) -> Result<u64> {
    let need = u64::from(HEADER_PAGES + pages + 2) * PAGE_U64;
    let step = step(0, need, store.options.grow_len);
    let len = match file.allocate(step).await {
        Ok(()) => step,
        Err(_short) => {
            let exact = file.allocate(need).await;
            exact.map_err(|error| Error::growing(path, need, error))?;
            need
        }
    };
    let written = write_pages(file, 0, &head.pages()).await;
    written.map_err(|error| Error::growing(path, need, error))?;
    file.sync().await.map_err(Error::io(path))?;
    if !planted::is(&store.world, Bug::NameWithoutSync) {
        let synced = store.world.disk().sync_dir(&store.options.dir).await;
        synced.map_err(Error::io(&store.options.dir))?;
    }
    Ok(len)
}

/// No record begins in the segment any more; it is closed when those that have begun have ended.
pub fn retire<W: World>(store: &Rc<Shared<W>>, segment: &Rc<Segment<W::File>>) {
    let mine = |open: &Rc<Segment<_>>| Rc::ptr_eq(open, segment);
    let mut open = store.open.borrow_mut();
    if open.get(&segment.until).is_some_and(mine) {
        open.remove(&segment.until);
    }
    drop(open);
    if segment.state.get() != State::Open {
        return;
    }
    segment.state.set(State::Retiring);
    let (store, segment) = (Rc::clone(store), Rc::clone(segment));
    let world = store.world.clone();
    world.spawn(Queue::Mend, async move {
        while segment.pending.get() > 0 && segment.state.get() == State::Retiring {
            segment.ended.wait().await;
        }
        close(&store, &segment).await;
    });
}

/// Writes the list of a segment's records and makes it immutable. Records that have begun and not
/// been finished are given up. A failure is not the end of anything: the next start closes it.
pub async fn close<W: World>(store: &Shared<W>, segment: &Segment<W::File>) {
    segment.commits.idle().await;
    if segment.check().is_err() {
        return;
    }
    segment.state.set(State::Closed);
    store.closing_now.set(store.closing_now.get() + 1);
    let path = segment.path.borrow().clone();
    if let Err(error) = write_list(store, segment).await
        && segment.state.get() != State::Ended
    {
        tracing::warn!(path = %path.display(), %error, "a segment of rows was not closed; the next start does it");
    }
    store.closing_now.set(store.closing_now.get() - 1);
    store.closed.ring();
}

/// Writes the list after the last record, cuts the file, writes the pointer, and renames it.
pub async fn write_list<W: World>(
    store: &Shared<W>,
    segment: &Segment<W::File>,
) -> std::io::Result<()> {
    let file = segment.file.borrow().clone();
    let file = file.expect("a segment is open until it is closed");
    let disk = store.world.disk();
    let mut entries = segment.entries.take();
    if entries.is_empty() {
        segment.state.set(State::Ended);
        store.segments.borrow_mut().remove(&segment.number);
        let path = segment.path.borrow().clone();
        return disk.remove(&path).await;
    }
    entries.sort_unstable_by_key(|entry| entry.first);
    let list = Index {
        segment: segment.number,
        entries,
    };
    // Behind everything that was taken: given-up records may have writes under way.
    let first = segment.extents.borrow().end().max(list.end());
    let place = |page, kind| Place {
        tag: segment.tag,
        page,
        kind,
    };
    let pages = page::paginate(&list.encode(), place(first, Kind::Index));
    write_pages(&file, first, &pages).await?;
    let count = u32::try_from(pages.len() / PAGE).expect("lists are short");
    let last = first + count;
    let len = u64::from(last + 1) * PAGE_U64;
    // The list is durable before anything is cut, and what is cut holds no record.
    file.sync().await?;
    file.truncate(len).await?;
    let pointer = Pointer {
        segment: segment.number,
        first,
        pages: count,
    };
    let pointer = page::paginate(&pointer.encode(), place(last, Kind::IndexPointer));
    write_pages(&file, last, &pointer).await?;
    file.sync().await?;
    segment.len.set(len);
    segment.settled.set(true);
    let from = segment.path.borrow().clone();
    let to = store.options.dir.join(segment::closed_name(segment.number));
    if segment.state.get() == State::Ended {
        return Ok(());
    }
    // The name is not synced: should it be lost, the next start walks the records once more.
    disk.rename(&from, &to).await?;
    *segment.path.borrow_mut() = to;
    Ok(())
}
