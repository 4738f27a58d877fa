//! Copying what lives in a segment into the shard's lanes, like any other record.
//!
//! Records that lie close together are read at once and copied at once: so they share a frame, and
//! the copy of a segment of tiny records is not made of padding.
//!
//! A root is held while its record or tombstone is copied, so no put or delete of it can fall
//! between the look and the copy; the copy's sequence number then tells the truth to a replay.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use lode_world::{File, Queue, World};

use crate::{
    Error, Result,
    format::{
        footer::Entry,
        record::{Kind, MOVED},
    },
    log::{
        read::{self, Span},
        segment::Segment,
    },
    planted::{self, Bug},
    shard::{Draft, Shard, add},
    space::Need,
    wait::{Credit, Permit, before_work},
};

/// Bytes of records that are copied at the same time.
const WINDOW: u64 = 8 << 20;
/// The least that a record takes of them: bounds the tasks.
const LEAST: u64 = 1024;
/// Records that are read at once.
const RUN: usize = 1024;
/// Bytes that records which are read at once may span: as many as the longest record has.
const SPAN: u64 = 256 << 10;
/// Dead bytes between two records that are rather read than left out.
pub(super) const GAP: u64 = 32 << 10;

/// What was copied out of a segment.
#[derive(Default)]
pub(super) struct Moved {
    /// Tombstones among it.
    pub(super) tombstones: usize,
    failed: Option<Error>,
}

/// A segment that is being copied.
struct Source<W: World> {
    shard: Rc<Shard<W>>,
    segment: Rc<Segment<W::File>>,
    moved: Rc<RefCell<Moved>>,
}

/// What was read of it at once.
type Read<W> = Option<Rc<Span<<<W as World>::File as File>::Read>>>;

pub(super) fn is_tombstone(entry: &Entry) -> bool {
    matches!(entry.header.kind, Kind::Delete | Kind::Abandon)
}

/// Copies everything that lives in a segment.
pub(super) async fn all<W: World>(
    shard: &Rc<Shard<W>>,
    segment: &Rc<Segment<W::File>>,
    entries: &[Entry],
) -> Result<Moved> {
    let window = Credit::new(WINDOW);
    let moved = Rc::new(RefCell::new(Moved::default()));
    let lives = |entry: &&Entry| is_tombstone(entry) || shard.points_to(entry, segment.number);
    let mut living = entries.iter().filter(lives).copied().peekable();
    while let Some(first) = living.next() {
        let mut run = vec![first];
        while let Some(next) = living.next_if(|next| joins(&run, next)) {
            run.push(next);
        }
        let permit = window.take(cost(&run)).await;
        if shard.stopping.get() || moved.borrow().failed.is_some() {
            break;
        }
        let source = Rc::new(Source {
            shard: Rc::clone(shard),
            segment: Rc::clone(segment),
            moved: Rc::clone(&moved),
        });
        let run = copy_run(source, run, Rc::new(permit));
        shard.world.spawn(Queue::Mend, run);
    }
    window.take(WINDOW).await;
    let mut moved = moved.take();
    moved.failed.take().map_or(Ok(moved), Err)
}

/// Memory that copying a run takes: its records, or what lies between them as well where that is
/// read with them.
fn cost(run: &[Entry]) -> u64 {
    let records = run.iter().map(|entry| entry.header.total_len().max(LEAST));
    records.sum::<u64>().max(span_of(run))
}

fn span_of(run: &[Entry]) -> u64 {
    let (first, last) = (&run[0], &run[run.len() - 1]);
    last.at + last.header.total_len() - first.at
}

/// Whether a record is read and copied together with those of a run before it.
fn joins(run: &[Entry], next: &Entry) -> bool {
    let (first, last) = (&run[0], &run[run.len() - 1]);
    let gap = next.at - (last.at + last.header.total_len());
    let span = next.at + next.header.total_len() - first.at;
    gap <= GAP && span <= SPAN && run.len() < RUN
}

/// Reads the records of a run and copies each in a task of its own.
async fn copy_run<W: World>(source: Rc<Source<W>>, run: Vec<Entry>, permit: Rc<Permit>) {
    let read = read_run(&source, &run).await;
    for entry in run {
        let (source, read, permit) = (Rc::clone(&source), read.clone(), Rc::clone(&permit));
        let world = source.shard.world.clone();
        world.spawn(Queue::Mend, async move {
            let failed = source.moved.borrow().failed.is_some();
            let copied = match is_tombstone(&entry) {
                _ if failed || source.shard.stopping.get() => Ok(false),
                true => copy_tombstone(&source, &entry).await,
                false => copy_record(&source, &entry, read).await.map(|()| false),
            };
            let mut moved = source.moved.borrow_mut();
            match copied {
                Ok(tombstone) => moved.tombstones += usize::from(tombstone),
                Err(error) => moved.failed = Some(error),
            }
            drop(moved);
            // The segment is let go before the last permit says that all is copied.
            drop(source);
            drop(permit);
        });
    }
    drop(source);
    drop(permit);
}

/// Nothing where each record is to be read by itself: also when the disk refuses a page, which may
/// be of one record alone.
async fn read_run<W: World>(source: &Source<W>, run: &[Entry]) -> Read<W> {
    if run.len() == 1 || run.iter().all(is_tombstone) {
        return None;
    }
    let len = usize::try_from(span_of(run)).expect("64-bit");
    let read = read::span(source.segment.life(), run[0].at, len).await;
    before_work(&source.shard.world, len).await;
    read.ok().map(Rc::new)
}

/// Copies a record if it is pointed to.
async fn copy_record<W: World>(source: &Source<W>, entry: &Entry, read: Read<W>) -> Result<()> {
    let Source { shard, segment, .. } = source;
    let header = &entry.header;
    let _held = match header.kind {
        Kind::Single | Kind::Manifest | Kind::Open => Some(shard.roots.lock(header.root).await),
        _ => None,
    };
    if !shard.points_to(entry, segment.number) {
        return Ok(());
    }
    let (world, len) = (&shard.world, header.payload_len());
    let record = match read {
        Some(span) => span.record(world, entry.at, len),
        None => read::record(world, segment.life(), entry.at, len).await,
    };
    let (header, payload) = match record {
        Ok((header, payload)) => (header, payload.share()),
        Err(error) => {
            // Counted and logged; the record stays where it is and so does its segment.
            shard.fault(error, header.root, header.detail);
            return Ok(());
        }
    };
    let draft = Draft {
        kind: header.kind,
        flags: MOVED,
        blob: header.blob,
        detail: header.detail,
        expiry: header.expiry,
        root: header.root,
        check: Some(header.check),
        payload,
    };
    let copy = shard.append(draft, Need::Mend).await?;
    if shard.points_to(entry, segment.number) {
        add(&shard.count.moved, copy.header.total_len());
        copy.apply();
    }
    Ok(())
}

/// Copies a tombstone while something older than it may still be in the log or in the newest
/// checkpoint; whether it was copied. If its root has come back since, the copy remembers by its
/// first number that it is older.
async fn copy_tombstone<W: World>(source: &Source<W>, entry: &Entry) -> Result<bool> {
    let Source { shard, segment, .. } = source;
    let header = &entry.header;
    // An upload that was abandoned has no root. Were it locked all the same, each tombstone would
    // wait for the commit of the one before it, and get a page of its own.
    let _held = match header.kind {
        Kind::Delete => Some(shard.roots.lock(header.root).await),
        _ => None,
    };
    let original = if header.detail == 0 {
        header.sequence
    } else {
        header.detail
    };
    let needed = {
        let catalog = shard.catalog.borrow();
        let others = catalog
            .segments()
            .values()
            .filter(|other| other.number != segment.number);
        let older = others
            .filter(|other| other.first.get() != 0 && other.first.get() < original)
            .count()
            > 0;
        // A checkpoint from before the delete has the blob, though its record be gone.
        let covered = shard.mend.covered.get();
        let unknown = covered != 0 && original >= covered;
        (older || unknown) && !shard.expired(header.expiry)
    };
    if !needed || planted::is(&shard.world, Bug::DropTombstones) {
        return Ok(false);
    }
    let draft = Draft {
        kind: header.kind,
        flags: MOVED,
        blob: header.blob,
        detail: original,
        expiry: header.expiry,
        root: header.root,
        check: None,
        payload: Bytes::new(),
    };
    shard.append(draft, Need::Mend).await?.apply();
    Ok(true)
}
