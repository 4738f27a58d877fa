//! A shard: one log, one catalog, and everything that happens to its blobs. Owned by one executor.
//!
//! | step of the byte | where |
//! |---|---|
//! | admitted, appended, durable | here: [`Shard::append`] |
//! | a blob of one chunk in | [`put`] |
//! | a longer one in, chunk by chunk | [`upload`] |
//! | the same in any order, each chunk with its proof | [`scatter`] |
//! | out, verified, and proven | [`get`] |
//! | away | [`delete`] |
//! | neither here nor away: a write failed | [`doubts`] |
//! | start and stop | [`open`] |
//! | kept in order meanwhile | [`crate::mend`] |

pub mod delete;
pub mod doubts;
pub mod get;
pub mod open;
pub mod put;
pub mod scatter;
pub mod upload;
pub mod wanted;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use lode_world::{Queue, World};

use crate::{
    Error, Result, Root,
    across::ShelfOf,
    catalog::Catalog,
    format::{footer, record, segment::HEADER_PAGES},
    index::Place,
    log::{
        close,
        lane::{self, Counters, Lane},
        read::{PAGE_U64, Verify},
        segment::{Segment, State},
        supply::Supply,
    },
    planted::{self, Bug},
    space::{Need, Space},
    stats::Stats,
    wait::{Bell, Credit, KeyLock, Latch, before_work},
};

/// How long a record waits for credit before its put is refused as busy.
pub const CREDIT_WAIT: Duration = Duration::from_secs(20);
/// A lane's next segment is made when this much of the present one is filled, so that no put
/// waits for it.
const PREPARE_AT_PERCENT: u64 = 75;
/// The bucket of records that never expire.
const FOR_EVER: u32 = 0;
/// Lanes that are open at a time; beyond it the one that was opened first is closed.
const LANES_MAX: usize = 8;

/// One shard.
pub struct Shard<W: World> {
    pub(crate) world: W,
    pub(crate) id: u16,
    pub(crate) dir: PathBuf,
    pub(crate) catalog: RefCell<Catalog<W::File>>,
    /// What others see of the catalog.
    pub(crate) shelf: Arc<ShelfOf<W>>,
    pub(crate) supply: Supply<W>,
    pub(crate) space: Rc<Space<W>>,
    lanes: RefCell<BTreeMap<u32, Rc<Lane<W>>>>,
    lane_change: KeyLock<u32>,
    ready: RefCell<BTreeMap<u32, Rc<Segment<W::File>>>>,
    preparing: RefCell<BTreeSet<u32>>,
    /// Segments whose footers are being written.
    closing: Cell<u32>,
    closed: Bell,
    pub(crate) roots: KeyLock<Root>,
    pub(crate) writers: KeyLock<Root>,
    pub(crate) sessions: RefCell<BTreeMap<u64, upload::Session>>,
    ingest: Credit,
    /// How whole chunks are checked when they are read for a client.
    verify: Verify,
    pub(crate) counters: Rc<Counters>,
    pub(crate) count: Count,
    pub(crate) stopping: Cell<bool>,
    pub(crate) doubts: RefCell<doubts::Doubts>,
    /// Sequence numbers that were given to records which are not durable yet.
    unsettled: RefCell<BTreeSet<u64>>,
    pub(crate) mend: crate::mend::State,
}

/// What a shard counts itself.
#[derive(Default)]
pub(crate) struct Count {
    pub records: Cell<u64>,
    pub record_bytes: Cell<u64>,
    pub corrupt: Cell<u64>,
    pub scrubbed: Cell<u64>,
    pub scrub_passes: Cell<u64>,
    pub moved: Cell<u64>,
    pub torn: Cell<u64>,
    pub replay_micros: Cell<u64>,
}

/// Adds to a counter.
pub(crate) fn add(cell: &Cell<u64>, by: u64) {
    cell.set(cell.get() + by);
}

/// A record that is about to be written: everything but its sequence number.
pub(crate) struct Draft {
    pub kind: record::Kind,
    pub flags: u8,
    pub blob: u64,
    pub detail: u64,
    pub expiry: u32,
    pub root: Root,
    /// BLAKE3 of the payload where it is known: a copy keeps what its original was given.
    pub check: Option<[u8; 32]>,
    pub payload: Bytes,
}

impl Draft {
    /// Hashes the payload: called where the log copies it next, while it is in this core's cache.
    fn header(&self, sequence: u64) -> record::Header {
        let hash = || *blake3::hash(&self.payload).as_bytes();
        record::Header {
            kind: self.kind,
            flags: self.flags,
            len: u32::try_from(self.payload.len()).expect("at most a chunk"),
            sequence,
            blob: self.blob,
            detail: self.detail,
            expiry: self.expiry,
            root: self.root,
            check: self.check.unwrap_or_else(hash),
        }
    }
}

/// A sequence number in use: checkpoints cover only what is below all of these, and the segments
/// that they are in are not freed.
pub(crate) struct Unsettled<W: World> {
    shard: Rc<Shard<W>>,
    segment: Rc<Segment<W::File>>,
    sequence: u64,
}

impl<W: World> Unsettled<W> {
    fn new(shard: &Rc<Shard<W>>, segment: &Rc<Segment<W::File>>, sequence: u64) -> Self {
        shard.unsettled.borrow_mut().insert(sequence);
        segment.unsettled.set(segment.unsettled.get() + 1);
        Unsettled {
            shard: Rc::clone(shard),
            segment: Rc::clone(segment),
            sequence,
        }
    }
}

impl<W: World> Drop for Unsettled<W> {
    fn drop(&mut self) {
        self.shard.unsettled.borrow_mut().remove(&self.sequence);
        let left = self.segment.unsettled.get() - 1;
        self.segment.unsettled.set(left);
        if left == 0 && self.segment.state.get() == State::Closed {
            self.shard.mend.segment_settled();
        }
    }
}

/// A durable record that the catalog has not been told of.
pub(crate) struct Durable<W: World> {
    pub header: record::Header,
    pub place: Place,
    unsettled: Unsettled<W>,
}

impl<W: World> Durable<W> {
    /// Takes the record into the catalog.
    pub fn apply(self) {
        let Durable {
            header,
            place,
            unsettled,
        } = self;
        let shard = &unsettled.shard;
        shard.catalog.borrow_mut().apply(&header, place);
        let settles = matches!(
            header.kind,
            record::Kind::Single | record::Kind::Manifest | record::Kind::Delete
        );
        // Whatever was in doubt is older than this record; but a copy says what was said before.
        if settles && !header.moved() {
            shard.doubts.borrow_mut().blob_settled(&header.root);
        }
        add(&shard.count.records, 1);
        add(&shard.count.record_bytes, u64::from(header.len));
    }
}

impl<W: World> Shard<W> {
    /// Makes a record durable. The catalog is the caller's to tell.
    pub(crate) async fn append(self: &Rc<Self>, draft: Draft, need: Need) -> Result<Durable<W>> {
        let len = draft.payload.len();
        let permit = self
            .credit(u64::try_from(record::HEADER + len).expect("64-bit"))
            .await?;
        before_work(&self.world, len).await;
        let bucket = self.bucket(draft.expiry);
        let lane = self.lane(bucket, len, need).await?;
        // From here to the lane's frame there is no await: sequence order is log order per lane.
        let sequence = self.next_sequence();
        let header = draft.header(sequence);
        let unsettled = Unsettled::new(self, lane.segment(), sequence);
        let appended = lane.append(&header, &draft.payload, Some(permit));
        drop(draft);
        self.prepare_next(&lane);
        let committed = if header.moved() && planted::is(&self.world, Bug::FreeBeforeCopy) {
            Ok(())
        } else {
            appended.committed.wait().await
        };
        match committed {
            Ok(()) => Ok(Durable {
                header,
                place: appended.place,
                unsettled,
            }),
            Err(source) => Err(Error::WriteFailed {
                path: lane.segment().path.display().to_string(),
                source,
            }),
        }
    }

    fn next_sequence(&self) -> u64 {
        let mut catalog = self.catalog.borrow_mut();
        let sequence = catalog.next_sequence;
        catalog.next_sequence += 1;
        sequence
    }

    /// Every record below this number is in the catalog.
    pub(crate) fn covered(&self) -> u64 {
        let unsettled = self.unsettled.borrow().first().copied();
        unsettled.unwrap_or_else(|| self.catalog.borrow().next_sequence)
    }

    /// Open segments, and where their records with `sequence` or a later number begin.
    pub(crate) fn open_since(&self, sequence: u64) -> Vec<(u32, Option<u64>)> {
        let lanes = self.lanes.borrow();
        let since = |lane: &Rc<Lane<W>>| (lane.segment().number, lane.since(sequence));
        lanes.values().map(since).collect()
    }

    /// A number for a new blob or upload.
    pub(crate) fn next_blob(&self) -> u64 {
        let mut catalog = self.catalog.borrow_mut();
        let blob = catalog.next_blob;
        catalog.next_blob += 1;
        blob
    }

    async fn credit(&self, bytes: u64) -> Result<crate::wait::Permit> {
        // The timer is made only for those that wait.
        if let Some(permit) = self.ingest.try_take(bytes) {
            return Ok(permit);
        }
        let wait = std::pin::pin!(self.ingest.take(bytes));
        let late = std::pin::pin!(self.world.sleep(CREDIT_WAIT));
        match crate::wait::either(wait, late).await {
            Some(permit) => Ok(permit),
            None => Err(Error::Busy {
                waited_ms: u64::try_from(CREDIT_WAIT.as_millis()).expect("seconds"),
            }),
        }
    }

    /// The bucket of an expiry epoch: few of them, each less than half as long again as what is left
    /// until the epoch.
    fn bucket(&self, expiry: u32) -> u32 {
        let Some(left) = expiry.checked_sub(self.epoch()).filter(|_| expiry != 0) else {
            return expiry;
        };
        let step = (left.max(1).next_power_of_two() / 4).max(1);
        expiry.checked_next_multiple_of(step).unwrap_or(expiry)
    }

    /// Bytes of `records` records that mend can write at least.
    pub(crate) async fn mend_room(&self, records: usize) -> Result<u64> {
        let files = self.supply.files_left().await?;
        let headers = u64::from(HEADER_PAGES) * PAGE_U64;
        let each = lane::room_after(self.supply.segment_len(), headers);
        let lanes = self.lanes.borrow();
        let open = lanes.get(&FOR_EVER).map_or(0, |lane| lane.room(records));
        Ok(open + files * each)
    }

    /// A lane of the bucket that has room for a payload of `len` bytes. When space is short, no segment
    /// is opened for each term of what helps to free space: what has no open lane goes with the
    /// records that never expire.
    async fn lane(self: &Rc<Self>, mut bucket: u32, len: usize, need: Need) -> Result<Rc<Lane<W>>> {
        loop {
            if let Some(lane) = self.open_lane(bucket, len) {
                return Ok(lane);
            }
            let _changing = self.lane_change.lock(bucket).await;
            if let Some(lane) = self.open_lane(bucket, len) {
                return Ok(lane);
            }
            if self.stopping.get() && need == Need::Blob {
                return Err(Error::Closing);
            }
            let ready = self.ready.borrow_mut().remove(&bucket);
            let any = need == Need::Mend && bucket != FOR_EVER && ready.is_none();
            // Of many that wait here, one looks.
            if any && (self.supply.was_short() || self.supply.short().await?) {
                bucket = FOR_EVER;
                continue;
            }
            let segment = match ready {
                Some(segment) => segment,
                None => {
                    let taken = self.supply.take(bucket, need).await;
                    if taken.is_err() && need == Need::Blob {
                        self.mend.space_wanted();
                    }
                    taken?
                }
            };
            self.catalog.borrow_mut().add_segment(Rc::clone(&segment));
            let lane = Lane::start(self.world.clone(), segment, Rc::clone(&self.counters));
            let before = self.lanes.borrow_mut().insert(bucket, lane);
            before
                .into_iter()
                .for_each(|lane| drop(self.end_lane(lane)));
            self.limit_lanes(bucket);
        }
    }

    fn open_lane(&self, bucket: u32, len: usize) -> Option<Rc<Lane<W>>> {
        self.lanes
            .borrow()
            .get(&bucket)
            .filter(|lane| lane.fits(len))
            .map(Rc::clone)
    }

    /// Closes the oldest lane when there are too many.
    fn limit_lanes(self: &Rc<Self>, keep: u32) {
        let oldest = {
            let lanes = self.lanes.borrow();
            let others = lanes.iter().filter(|(bucket, _)| **bucket != keep);
            let oldest = others
                .min_by_key(|(_, lane)| lane.segment().number)
                .map(|(bucket, _)| *bucket);
            oldest.filter(|_| lanes.len() > LANES_MAX)
        };
        if let Some(bucket) = oldest {
            let lane = self.lanes.borrow_mut().remove(&bucket);
            lane.into_iter().for_each(|lane| drop(self.end_lane(lane)));
        }
    }

    /// Closes a lane's segment in the background; the latch opens when that is over.
    fn end_lane(self: &Rc<Self>, lane: Rc<Lane<W>>) -> Latch<()> {
        self.closing.set(self.closing.get() + 1);
        let (shard, over) = (Rc::clone(self), Latch::new());
        let done = over.clone();
        self.world.spawn(Queue::Ingest, async move {
            shard.close_lane(&lane).await;
            shard.closing.set(shard.closing.get() - 1);
            shard.closed.ring();
            shard.mend.segment_closed();
            done.set(());
        });
        over
    }

    /// Closes the lanes that `over` picks, and waits until that is over.
    pub(crate) async fn end_lanes(self: &Rc<Self>, over: impl Fn(&Lane<W>) -> bool) {
        let ended: Vec<_> = self
            .lanes
            .borrow_mut()
            .extract_if(.., |_, lane| over(lane))
            .map(|(_, lane)| lane)
            .collect();
        let closing: Vec<_> = ended.into_iter().map(|lane| self.end_lane(lane)).collect();
        for closed in closing {
            closed.wait().await;
        }
    }

    /// Writes the footer of a lane's segment. A segment that cannot be closed is served as it is
    /// and replayed by the next start.
    async fn close_lane(&self, lane: &Rc<Lane<W>>) {
        let segment = lane.segment();
        let closed = match lane.end().await {
            Ok((entries, page)) if !entries.is_empty() => {
                close::close(segment, entries, page).await.map_err(Arc::new)
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = closed {
            segment.state.set(State::Failed);
            tracing::error!(segment = %segment.path.display(), %error, "segment stays without a footer");
        }
    }

    /// Gets the next segment of a lane ready while the present one still has room.
    fn prepare_next(self: &Rc<Self>, lane: &Rc<Lane<W>>) {
        let bucket = lane.segment().bucket;
        if lane.filled_percent() < PREPARE_AT_PERCENT
            || self.ready.borrow().contains_key(&bucket)
            || !self.preparing.borrow_mut().insert(bucket)
        {
            return;
        }
        let shard = Rc::clone(self);
        self.world.spawn(Queue::Ingest, async move {
            // A refusal is told to the put that needs the segment, when there is one.
            let segment = shard.supply.take(bucket, Need::Blob).await;
            shard.preparing.borrow_mut().remove(&bucket);
            match segment {
                Ok(segment) => drop(shard.ready.borrow_mut().insert(bucket, segment)),
                Err(_) => shard.mend.space_wanted(),
            }
        });
    }

    /// Closes all lanes and waits until their footers are durable.
    pub(crate) async fn close_lanes(self: &Rc<Self>) {
        let lanes = std::mem::take(&mut *self.lanes.borrow_mut());
        for lane in lanes.into_values() {
            drop(self.end_lane(lane));
        }
        while self.closing.get() > 0 {
            self.closed.wait().await;
        }
    }

    /// Whether a bucket has an open lane.
    pub(crate) fn has_lane(&self, bucket: u32) -> bool {
        self.lanes.borrow().contains_key(&bucket)
    }

    /// Gives back the segments that were prepared for the buckets that `over` picks.
    pub(crate) async fn drop_ready(&self, over: impl Fn(u32) -> bool) -> Result<()> {
        let dropped: Vec<_> = self
            .ready
            .borrow_mut()
            .extract_if(.., |bucket, _| over(*bucket))
            .map(|(_, segment)| segment)
            .collect();
        for segment in dropped {
            if let Some(segment) = Rc::into_inner(segment) {
                self.supply.give_back(segment).await?;
            }
        }
        Ok(())
    }

    /// Forgets everything, for a checkpoint that turned out to be damaged half-way.
    pub(crate) fn clear_catalog(&self) {
        let keys = [self.world.random(), self.world.random()];
        self.shelf.clear(keys);
        *self.catalog.borrow_mut() = Catalog::new(Arc::clone(&self.shelf));
    }

    /// The epoch that the shard is at.
    pub(crate) fn epoch(&self) -> u32 {
        self.shelf.epoch()
    }

    /// The segment of a place.
    pub(crate) fn segment(&self, place: Place) -> Option<Rc<Segment<W::File>>> {
        self.catalog
            .borrow()
            .segments()
            .get(&place.segment)
            .map(Rc::clone)
    }

    /// Whether a footer entry's record is still pointed to.
    pub(crate) fn points_to(&self, entry: &footer::Entry, segment: u32) -> bool {
        let at = u32::try_from(entry.at).expect("segments are below 4 GiB");
        self.catalog
            .borrow()
            .points_to(&entry.header, Place { segment, at })
    }

    /// Counters and gauges of this shard.
    pub(crate) fn stats(&self) -> Stats {
        let catalog = self.catalog.borrow();
        let totals = catalog.index().totals();
        let (reads, read_bytes) = self.shelf.reads();
        let count = &self.count;
        let lengths = catalog
            .segments()
            .values()
            .map(|segment| segment.file_len.get());
        let free =
            u64::try_from(self.supply.free_files()).expect("64-bit") * self.supply.segment_len();
        Stats {
            blobs: totals.blobs,
            uploads: u64::try_from(catalog.uploads.len()).expect("64-bit"),
            chunks: totals.chunks,
            blob_bytes: totals.bytes,
            index_bytes: catalog.index().memory(),
            segments: u64::try_from(catalog.segments().len()).expect("64-bit"),
            segment_bytes: lengths.sum::<u64>() + free,
            live_bytes: catalog
                .segments()
                .values()
                .map(|segment| segment.live.get())
                .sum(),
            records: count.records.get(),
            record_bytes: count.record_bytes.get(),
            frames: self.counters.frames.get(),
            written_bytes: self.counters.written.get(),
            reads,
            read_bytes,
            corrupt: count.corrupt.get(),
            write_failures: self.counters.failures.get(),
            full_refusals: 0,
            scrubbed_bytes: count.scrubbed.get(),
            scrub_passes: count.scrub_passes.get(),
            segments_freed: self.supply.freed(),
            moved_bytes: count.moved.get(),
            torn_bytes: count.torn.get(),
            replay_micros: count.replay_micros.get(),
            disk_free: 0,
            disk_total: 0,
            read_only: 0,
            epoch: u64::from(self.epoch()),
        }
    }
}

#[cfg(test)]
mod tests;
