//! Getting space back: segments that expired as a whole, and segments that are mostly dead.
//!
//! Compaction copies what is still pointed to ([`copy`]), waits until the copies are durable, and
//! only then gives the old file back. While there is space it begins only where copies take much less
//! than what they are copied from, or many short segments are put together: else it would begin again
//! with what it has made. A record that cannot be read keeps its segment: nothing that might be
//! repaired is thrown away.
//!
//! When space is tight the bar is lower: a segment is compacted for a sixteenth of its length, the
//! one that costs least first, as long as its copies certainly have room. When blobs are refused,
//! what was made ready for later is given back, and so are lanes that are idle or hold dead
//! records: closed, they are cut to what they hold, and count as well.

use std::{collections::BTreeMap, rc::Rc};

use lode_world::World;

use super::copy;
use crate::{
    Result,
    format::{
        footer::{self, Entry},
        record,
    },
    index::Place,
    log::{
        lane::Lane,
        read::PAGE_U64,
        replay,
        segment::{Segment, State},
    },
    shard::Shard,
};

/// A closed segment is compacted when copies of what lives take less than this share of its bytes, in
/// percent.
const LIVE_PERCENT: u64 = 50;
/// Segments of one bucket that were cut short by restarts are put together when there are this many.
const SHORT_MAX: usize = 8;
/// Bytes of the shortest segment: its header, a frame, its footer and the pointer to it.
const SEGMENT_LEAST: u64 = 5 * PAGE_U64;
/// A segment counts as short below this share of the bytes and of the records of a whole one.
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
    // What puts add meanwhile waits for the next round: a checkpoint comes between them.
    let segments = shard.catalog.borrow().segments().len();
    for _ in 0..=segments {
        let tight = shard.supply.tight().await?;
        let Some(number) = next_candidate(shard, tight) else {
            return Ok(());
        };
        if shard.stopping.get() || !compact(shard, number, tight).await? {
            return Ok(());
        }
    }
    shard.mend.bytes_died();
    Ok(())
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
    let kept = Kept::now(shard);
    let worth = |segment: &Segment<W::File>| {
        let used = kept.of(segment);
        let len = segment.file_len.get();
        let sparse = used == 0 || copied(segment, used) * 100 < len * LIVE_PERCENT;
        !segment.stuck.get() && (sparse || segment.dead(used) >= least)
    };
    let candidates = match pick(shard, worth) {
        none if none.is_empty() => shorts(shard, whole),
        candidates => candidates,
    };
    let catalog = shard.catalog.borrow();
    candidates
        .into_iter()
        .min_by_key(|number| kept.of(&catalog.segments()[number]))
}

/// Most bytes that the copies take of what is used in a segment: records and their part of a footer.
/// Padding comes to it: at most a page for each [`copy::GAP`] that was copied from, an eighth; but for
/// tombstones of one root, which are committed one after the other.
fn copied<F>(segment: &Segment<F>, used: u64) -> u64 {
    let least = u64::try_from(record::HEADER).expect("64-bit");
    let most = u64::try_from(footer::ENTRIES_MAX).expect("64-bit");
    let records = segment.records_most().min(used / least).min(most);
    used + records * footer::ENTRY_U64 + SEGMENT_LEAST
}

/// The segments of a bucket that has enough that were cut short: as long as the epoch stays, their
/// copies go into one lane. Of several buckets each would become a short segment again, and so on.
fn shorts<W: World>(shard: &Shard<W>, whole: u64) -> Vec<u32> {
    let shorts = pick(shard, |segment| {
        short(segment, whole) && !segment.stuck.get()
    });
    let mut by_bucket = BTreeMap::<u32, Vec<u32>>::new();
    let catalog = shard.catalog.borrow();
    for number in shorts {
        let bucket = catalog.segments()[&number].bucket;
        by_bucket.entry(bucket).or_default().push(number);
    }
    let enough = by_bucket
        .into_values()
        .find(|shorts| shorts.len() >= SHORT_MAX);
    enough.unwrap_or_default()
}

/// Whether a restart, not its fill, ended a segment: few bytes, and few records, for of tiny ones a
/// segment holds so many that it ends at a small part of its length.
fn short<F>(segment: &Segment<F>, whole: u64) -> bool {
    let most = u64::try_from(footer::ENTRIES_MAX).expect("64-bit");
    let (len, records) = (segment.file_len.get(), segment.records_most());
    len < whole / SHORT_SHARE && records < most / SHORT_SHARE
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
    let tombstones = entries.iter().filter(|entry| copy::is_tombstone(entry));
    let tombstones = tombstones.map(|entry| entry.header.total_len()).sum();
    if segment.tombstones.replace(tombstones) < tombstones {
        // A checkpoint does not remember them: with them it may not be the best one any more.
        return Ok(true);
    }
    if tight && !has_room(shard, &segment, &entries).await? {
        return Ok(false);
    }
    let moved = copy::all(shard, &segment, &entries).await?;
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
    let lives =
        |entry: &&Entry| copy::is_tombstone(entry) || shard.points_to(entry, segment.number);
    let lengths = entries.iter().filter(lives);
    let lengths = lengths.map(|entry| entry.header.total_len() + footer::ENTRY_U64);
    Ok(lengths.sum::<u64>() <= shard.mend_room(entries.len()).await?)
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
        shard.doubts.borrow_mut().drop_expired(epoch);
    }
    run(shard).await
}
