//! Getting space back: segments that expired as a whole, and segments that are mostly dead.
//!
//! Compaction copies what is still pointed to into the shard's lanes, like any other record, waits
//! until the copies are durable, and only then gives the old file back. A record that cannot be
//! read keeps its segment: nothing that might be repaired is thrown away.
//!
//! When space is tight the bar is lower: a segment is compacted for a sixteenth of its length, the
//! one that costs least first, as long as its copies certainly have room. When blobs are refused,
//! what was made ready for later is given back, and so are lanes that are idle or hold dead
//! records: closed, they are cut to what they hold, and count as well.
//!
//! A root is held while its record or tombstone is copied, so no put or delete of it can fall
//! between the look and the copy; the copy's sequence number then tells the truth to a replay.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use lode_world::{Queue, World};

use crate::{
    Error, Result,
    format::{
        footer::{self, Entry},
        record::{Kind, MOVED},
    },
    index::Place,
    log::{
        lane::Lane,
        read::{self, Verify},
        replay,
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
/// Bytes of a record in a footer.
const FOOTER_ENTRY: u64 = 80;
const _: () = assert!(footer::ENTRY == 80);
/// A segment counts as short below this share of a whole one.
const SHORT_SHARE: u64 = 4;

/// When space is tight this share of a whole segment is worth a compaction: 1 in so many.
const GAIN_SHARE: u64 = 16;

/// Frees what can be freed.
pub(crate) async fn run<W: World>(shard: &Rc<Shard<W>>) -> Result<()> {
    let _turn = shard.mend.busy.lock(()).await;
    let epoch = shard.epoch();
    // Nobody puts records of these terms any more.
    let over = |bucket: u32| bucket != 0 && bucket <= epoch;
    shard.end_lanes(|lane| over(lane.segment().bucket)).await;
    let unused = |bucket: u32| over(bucket) || !shard.has_lane(bucket);
    shard.drop_ready(unused).await?;
    free_expired(shard).await?;
    if shard.supply.short().await? {
        give_back(shard).await?;
    }
    loop {
        let tight = shard.supply.tight().await?;
        let Some(number) = next_candidate(shard, tight) else {
            return Ok(());
        };
        if shard.stopping.get() || !compact(shard, number, tight).await? {
            return Ok(());
        }
    }
}

/// Gives back what the shard has for later.
async fn give_back<W: World>(shard: &Rc<Shard<W>>) -> Result<()> {
    shard.drop_ready(|_| true).await?;
    shard.supply.trim().await?;
    // A lane that is closed without a file for another one leaves no place for tombstones.
    if shard.supply.files_left().await? == 0 {
        return Ok(());
    }
    let (least, kept) = (least_gain(shard), Kept::now(shard));
    let dead = |lane: &Lane<W>| lane.segment().dead(kept.of(lane.segment()));
    shard
        .end_lanes(|lane| lane.idle() || dead(lane) >= least)
        .await;
    Ok(())
}

/// Frees segments whose every record has expired.
async fn free_expired<W: World>(shard: &Rc<Shard<W>>) -> Result<()> {
    let epoch = shard.epoch();
    let expired = pick(shard, |segment| {
        segment.expired(epoch) && segment.live.get() == 0
    });
    for number in expired {
        free(shard, number).await?;
    }
    Ok(())
}

/// Whether space is tight, and a new checkpoint would let many tombstones go: those that may be
/// all that keeps the blobs of the newest one away.
pub(crate) async fn wants_checkpoint<W: World>(shard: &Rc<Shard<W>>) -> Result<bool> {
    if !shard.supply.tight().await? {
        return Ok(false);
    }
    let (covered, coverable) = (shard.mend.covered.get(), shard.covered());
    let catalog = shard.catalog.borrow();
    let young = catalog.segments().values().filter(|segment| {
        let last = segment.last.get();
        covered != 0 && covered <= last && last < coverable
    });
    let tombstones: u64 = young.map(|segment| segment.tombstones.get()).sum();
    Ok(tombstones >= least_gain(shard))
}

fn least_gain<W: World>(shard: &Shard<W>) -> u64 {
    shard.supply.segment_len() / GAIN_SHARE
}

fn segment_of<W: World>(shard: &Shard<W>, number: u32) -> Option<Rc<Segment<W::File>>> {
    shard.segment(Place {
        segment: number,
        at: 0,
    })
}

/// Closed segments, all of whose records the catalog knows.
fn pick<W: World>(shard: &Shard<W>, wanted: impl Fn(&Segment<W::File>) -> bool) -> Vec<u32> {
    let catalog = shard.catalog.borrow();
    let closed = catalog
        .segments()
        .values()
        .filter(|segment| segment.state.get() == State::Closed && segment.unsettled.get() == 0);
    closed
        .filter(|segment| wanted(segment))
        .map(|segment| segment.number)
        .collect()
}

/// The segment that costs least to free, if one is worth it.
fn next_candidate<W: World>(shard: &Shard<W>, tight: bool) -> Option<u32> {
    let whole = shard.supply.segment_len();
    let least = match tight {
        true => least_gain(shard),
        false => u64::MAX,
    };
    let short = |segment: &Segment<W::File>| segment.file_len.get() < whole / SHORT_SHARE;
    let kept = Kept::now(shard);
    let worth = |segment: &Segment<W::File>| {
        let used = kept.of(segment);
        let sparse = used * 100 < segment.file_len.get() * LIVE_PERCENT;
        !segment.stuck.get() && (sparse || segment.dead(used) >= least)
    };
    let shorts = pick(shard, |segment| short(segment) && !segment.stuck.get());
    let candidates = match pick(shard, worth) {
        none if none.is_empty() && shorts.len() >= SHORT_MAX => shorts,
        candidates => candidates,
    };
    let catalog = shard.catalog.borrow();
    candidates
        .into_iter()
        .min_by_key(|number| kept.of(&catalog.segments()[number]))
}

/// What has to be kept of a segment that is freed: live records, and tombstones for which there
/// may be something older.
struct Kept {
    /// First sequence number of the oldest segment, with its number, and of the next one.
    oldest: (u64, u32),
    second: u64,
    /// The newest checkpoint covers the records below this number; 0 without one.
    covered: u64,
}

impl Kept {
    fn now<W: World>(shard: &Shard<W>) -> Kept {
        let catalog = shard.catalog.borrow();
        let segments = catalog.segments().values();
        let mut firsts: Vec<(u64, u32)> = segments
            .map(|segment| (segment.first.get(), segment.number))
            .filter(|(first, _)| *first != 0)
            .collect();
        firsts.sort_unstable();
        let nth = |index: usize| firsts.get(index).copied().unwrap_or((u64::MAX, 0));
        Kept {
            oldest: nth(0),
            second: nth(1).0,
            covered: shard.mend.covered.get(),
        }
    }

    /// Bytes to be kept of a segment.
    fn of<F>(&self, segment: &Segment<F>) -> u64 {
        let other = match segment.number == self.oldest.1 {
            true => self.second,
            false => self.oldest.0,
        };
        let last = segment.last.get();
        let needless = other > last && (self.covered == 0 || last < self.covered);
        let tombstones = if needless {
            0
        } else {
            segment.tombstones.get()
        };
        segment.live.get() + tombstones
    }
}

/// Copies what lives in a segment and frees it; false if there is no use in going on.
pub(crate) async fn compact<W: World>(
    shard: &Rc<Shard<W>>,
    number: u32,
    tight: bool,
) -> Result<bool> {
    let Some(segment) = segment_of(shard, number) else {
        return Ok(false);
    };
    let entries = match replay::footer(&shard.world, &segment).await {
        Some(footer) => footer.entries,
        None => replay::walk(&segment).await.entries,
    };
    let tombstones = entries.iter().filter(|entry| is_tombstone(entry));
    let tombstones = tombstones.map(|entry| entry.header.total_len()).sum();
    if segment.tombstones.replace(tombstones) < tombstones {
        // A checkpoint does not remember them: with them it may not be the best one any more.
        return Ok(true);
    }
    if tight && !has_room(shard, &segment, &entries).await? {
        return Ok(false);
    }
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

/// Whether everything that lives in a segment can certainly be copied.
async fn has_room<W: World>(
    shard: &Rc<Shard<W>>,
    segment: &Segment<W::File>,
    entries: &[Entry],
) -> Result<bool> {
    let lives = |entry: &&Entry| is_tombstone(entry) || shard.points_to(entry, segment.number);
    let lengths = entries.iter().filter(lives);
    let lengths = lengths.map(|entry| entry.header.total_len() + FOOTER_ENTRY);
    Ok(lengths.sum::<u64>() <= shard.mend_room(entries.len()).await?)
}

fn is_tombstone(entry: &Entry) -> bool {
    matches!(entry.header.kind, Kind::Delete | Kind::Abandon)
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
        let tombstone = is_tombstone(entry);
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
    let len = header.payload_len();
    let (header, payload) =
        match read::record(&shard.world, segment.life(), entry.at, len, Verify::Hash).await {
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

/// Takes a segment that nothing points to out of the shard and gives its file back.
async fn free<W: World>(shard: &Rc<Shard<W>>, number: u32) -> Result<()> {
    let Some(mut segment) = shard.catalog.borrow_mut().take_segment(number) else {
        return Ok(());
    };
    // Readers of this executor that found it before it was taken out still hold it; those of others
    // may read on, and see by the tag when it begins another life.
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
    if epoch > shard.epoch() {
        shard.shelf.set_epoch(epoch);
        let sessions = shard.sessions.borrow();
        let mut catalog = shard.catalog.borrow_mut();
        catalog.drop_expired(epoch);
        catalog.drop_expired_uploads(epoch, |blob| sessions.contains_key(&blob));
    }
    run(shard).await
}
