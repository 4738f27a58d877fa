//! Getting space back: segments that expired as a whole, and segments that are mostly dead.
//!
//! Compaction copies what is still pointed to into the shard's lanes, like any other record, waits
//! until the copies are durable, and only then gives the old file back. A record that cannot be
//! read keeps its segment: nothing that might be repaired is thrown away.
//!
//! A root is held while its record or tombstone is copied, so no put or delete of it can fall
//! between the look and the copy; the copy's sequence number then tells the truth to a replay.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use lode_world::{Queue, World};

use crate::{
    Error, Result,
    format::{
        footer::Entry,
        record::{Kind, MOVED},
    },
    index::Place,
    log::{
        read, replay,
        segment::{Segment, State},
    },
    planted::{self, Bug},
    shard::{Draft, Shard, add},
    space::Need,
    wait::Credit,
};

/// A closed segment is compacted when fewer than this share of its bytes live, in percent.
const LIVE_PERCENT: u64 = 50;
/// Segments cut short by restarts are put together when there are this many.
const SHORT_MAX: usize = 8;
/// Bytes of records that are copied at the same time.
const MOVE_WINDOW: u64 = 8 << 20;
/// A segment counts as short below this share of a whole one.
const SHORT_SHARE: u64 = 4;

/// Frees what can be freed.
pub(crate) async fn run<W: World>(shard: &Rc<Shard<W>>) -> Result<()> {
    let _turn = shard.mend.busy.lock(()).await;
    let epoch = shard.epoch.get();
    let expired: Vec<_> = pick(shard, |segment| {
        segment.expired(epoch) && segment.live.get() == 0
    });
    for number in expired {
        free(shard, number).await?;
    }
    while let Some(number) = next_candidate(shard) {
        if shard.stopping.get() || !compact(shard, number).await? {
            break;
        }
    }
    Ok(())
}

/// Closed segments, all of whose records the catalog knows.
fn pick<W: World>(shard: &Shard<W>, wanted: impl Fn(&Segment<W::File>) -> bool) -> Vec<u32> {
    let catalog = shard.catalog.borrow();
    let closed = catalog
        .segments
        .values()
        .filter(|segment| segment.state.get() == State::Closed && segment.unsettled.get() == 0);
    closed
        .filter(|segment| wanted(segment))
        .map(|segment| segment.number)
        .collect()
}

/// The segment that costs least to free, if one is worth it.
fn next_candidate<W: World>(shard: &Shard<W>) -> Option<u32> {
    let whole = shard.supply.segment_len();
    let short = |segment: &Segment<W::File>| segment.file_len.get() < whole / SHORT_SHARE;
    let worth = |segment: &Segment<W::File>| {
        !segment.stuck.get() && used(segment) * 100 < segment.file_len.get() * LIVE_PERCENT
    };
    let shorts = pick(shard, |segment| short(segment) && !segment.stuck.get());
    let candidates = match pick(shard, worth) {
        none if none.is_empty() && shorts.len() >= SHORT_MAX => shorts,
        candidates => candidates,
    };
    let catalog = shard.catalog.borrow();
    candidates
        .into_iter()
        .min_by_key(|number| used(&catalog.segments[number]))
}

fn used<F>(segment: &Segment<F>) -> u64 {
    segment.live.get() + segment.tombstones.get()
}

/// Copies what lives in a segment and frees it; false if something kept it.
pub(crate) async fn compact<W: World>(shard: &Rc<Shard<W>>, number: u32) -> Result<bool> {
    let Some(segment) = shard.segment(Place {
        segment: number,
        at: 0,
    }) else {
        return Ok(false);
    };
    let entries = match replay::footer(&shard.world, &segment).await {
        Some(footer) => footer.entries,
        None => replay::walk(&segment).await.entries,
    };
    let moved = move_all(shard, &segment, &entries).await?;
    if shard.stopping.get() {
        return Ok(false);
    }
    if segment.live.get() > 0 {
        tracing::warn!(segment = %segment.path.display(), live = segment.live.get(), "segment keeps records that could not be moved");
        segment.stuck.set(true);
        return Ok(true);
    }
    // Tombstones alone, moved from one young segment to the next, would go round for ever.
    drop(segment);
    free(shard, number).await?;
    Ok(moved.tombstones < entries.len())
}

/// What was copied out of a segment.
#[derive(Default)]
struct Moved {
    tombstones: usize,
    failed: Option<Error>,
}

/// Copies everything that lives, many records at a time, so that they share commits.
async fn move_all<W: World>(
    shard: &Rc<Shard<W>>,
    segment: &Rc<Segment<W::File>>,
    entries: &[Entry],
) -> Result<Moved> {
    let window = Credit::new(MOVE_WINDOW);
    let moved = Rc::new(RefCell::new(Moved::default()));
    for entry in entries {
        let tombstone = matches!(entry.header.kind, Kind::Delete | Kind::Abandon);
        if !tombstone && !shard.points_to(entry, segment.number) {
            continue;
        }
        let permit = window.take(entry.header.total_len()).await;
        if shard.stopping.get() || moved.borrow().failed.is_some() {
            break;
        }
        let (shard, segment, entry) = (Rc::clone(shard), Rc::clone(segment), *entry);
        let moved = Rc::clone(&moved);
        shard.world.clone().spawn(Queue::Mend, async move {
            let result = match tombstone {
                true => move_tombstone(&shard, &segment, &entry).await,
                false => move_record(&shard, &segment, &entry).await.map(|()| false),
            };
            drop(segment);
            let mut moved = moved.borrow_mut();
            match result {
                Ok(tombstone) => moved.tombstones += usize::from(tombstone),
                Err(error) => moved.failed = Some(error),
            }
            drop(permit);
        });
    }
    window.take(MOVE_WINDOW).await;
    let mut moved = moved.take();
    moved.failed.take().map_or(Ok(moved), Err)
}

/// Copies a record if it is pointed to.
async fn move_record<W: World>(
    shard: &Rc<Shard<W>>,
    segment: &Rc<Segment<W::File>>,
    entry: &Entry,
) -> Result<()> {
    let header = &entry.header;
    let _held = match header.kind {
        Kind::Single | Kind::Manifest | Kind::Open => Some(shard.roots.lock(header.root).await),
        _ => None,
    };
    if !shard.points_to(entry, segment.number) {
        return Ok(());
    }
    let (header, payload) =
        match read::record(&shard.world, segment, entry.at, header.payload_len()).await {
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
async fn move_tombstone<W: World>(
    shard: &Rc<Shard<W>>,
    segment: &Rc<Segment<W::File>>,
    entry: &Entry,
) -> Result<bool> {
    let header = &entry.header;
    let _held = shard.roots.lock(header.root).await;
    let original = if header.detail == 0 {
        header.sequence
    } else {
        header.detail
    };
    let needed = {
        let catalog = shard.catalog.borrow();
        let others = catalog
            .segments
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

/// Takes a segment that nothing points to out of the shard and gives its file back.
async fn free<W: World>(shard: &Rc<Shard<W>>, number: u32) -> Result<()> {
    let Some(mut segment) = shard.catalog.borrow_mut().segments.remove(&number) else {
        return Ok(());
    };
    // Readers that found it before it was taken out still hold it.
    let segment = loop {
        match Rc::try_unwrap(segment) {
            Ok(segment) => break segment,
            Err(shared) => segment = shared,
        }
        shard.world.sleep(std::time::Duration::from_millis(1)).await;
    };
    shard.supply.give_back(segment).await
}

/// Drops what has expired by `epoch` and frees its segments.
pub(crate) async fn set_epoch<W: World>(shard: &Rc<Shard<W>>, epoch: u32) -> Result<()> {
    if epoch > shard.epoch.get() {
        shard.epoch.set(epoch);
        let sessions = shard.sessions.borrow();
        let mut catalog = shard.catalog.borrow_mut();
        catalog.drop_expired(epoch);
        catalog.drop_expired_uploads(epoch, |blob| sessions.contains_key(&blob));
    }
    run(shard).await
}
