//! The lane: appends records to one open segment and commits them in groups.
//!
//! ```text
//!  append ─► open frame ─► writes (512 KiB, in flight while the frame fills) ─► sync ─► latch
//!             closes when nothing is in flight (one small put goes at once), or
//!             when it holds FRAME_MAX bytes and fewer than IN_FLIGHT_MAX frames are in flight
//! ```
//! There is no timer: while one frame syncs the next one gathers, so groups grow with the load.
//! Waits were measured on a disk that takes one write and sync of 400 µs after the other, where
//! groups are all that counts: for those whose puts have just become durable (20 to 500 µs), for
//! the frame that another shard has in flight, for a turn at the disk. None was worth it: clients of
//! two shards come back from both, and never all at once. One shard for all stores 1.4 times as many
//! puts of 4 KiB on such a disk (`benches -- store`, row `lode-one-shard`).
//!
//! Promises: a frame's latch opens with `Ok` only after its bytes and all frames before it are
//! durable, in order. The first failed write or sync fails every frame that is not yet durable and
//! the lane for good; nothing is retried.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    rc::Rc,
    sync::Arc,
};

use lode_world::{File, Queue, World};

use super::{
    segment::{Segment, State},
    writer::{Ready, Writer},
};
use crate::{
    format::{
        footer::{self, ENTRIES_MAX},
        frame::FrameHead,
        page::{self, PAYLOAD_U64},
        record, segment,
    },
    index::Place,
    planted::{self, Bug},
    wait::{Bell, Latch, Permit},
};

/// Bytes after which a frame closes although another one is in flight.
pub const FRAME_MAX: u64 = 16 << 20;
/// A segment has room for at least this many full frames: small ones overlap their commits too.
const FRAMES_MIN: u64 = 16;
/// Frames that write and sync at the same time: three keep a disk with a write cache busy while
/// the oldest one waits for its sync.
pub const IN_FLIGHT_MAX: usize = 3;

/// Bytes of the longest record, and of the padding of the frames that copy a segment.
const RECORD_MAX: u64 = 104 + 256 * 1024;
const PADDING: u64 = 16 * 4096;
const _: () = assert!(record::HEADER + record::PAYLOAD_MAX == 104 + 256 * 1024);

/// What a frame's waiters learn.
pub type Committed = Result<(), Arc<io::Error>>;

/// Buffers of a file that are ready to be written.
type Buffers<F> = Vec<Ready<<F as File>::Buf>>;

/// A record that is on its way: where it will be, and when it is durable.
pub struct Appended {
    /// Where the record will be.
    pub place: Place,
    /// Opens when it is durable, or never will be.
    pub committed: Latch<Committed>,
}

/// Appends to one open segment.
pub struct Lane<W: World> {
    world: W,
    segment: Rc<Segment<W::File>>,
    state: RefCell<LaneState<W::File>>,
    /// Rung when a frame may have to close.
    work: Bell,
    /// Rung when nothing is in flight any more.
    idle: Bell,
    /// Bytes after which a frame closes although another one is in flight.
    frame_max: u64,
    /// Records came since somebody asked.
    touched: Cell<bool>,
    /// Syncs that have not returned.
    syncing: Cell<usize>,
    counters: Rc<Counters>,
}

/// What lanes count.
#[derive(Default)]
pub struct Counters {
    /// Frames committed.
    pub frames: Cell<u64>,
    /// Bytes written to the disk.
    pub written: Cell<u64>,
    /// Writes or syncs that failed.
    pub failures: Cell<u64>,
}

struct LaneState<F: File> {
    writer: Writer<F>,
    open: Option<Rc<Frame>>,
    in_flight: VecDeque<Rc<Frame>>,
    /// Frames opened so far: the number of the next one.
    opened: u32,
    /// Frames durable so far.
    committed: u32,
    chain: u32,
    entries: Vec<footer::Entry>,
    failed: Option<Arc<io::Error>>,
    /// No more records; the segment is about to be closed.
    ended: bool,
}

struct Frame {
    committed: Latch<Committed>,
    /// Writes that have not returned.
    writing: Cell<usize>,
    /// No more writes will be added.
    closed: Cell<bool>,
    synced: Cell<bool>,
    bytes: Cell<u64>,
    /// Credit of its records.
    permits: RefCell<Vec<Permit>>,
}

impl<W: World> Lane<W> {
    /// A lane at the start of an empty segment. Its task ends when the lane has ended or failed.
    pub fn start(world: W, segment: Rc<Segment<W::File>>, counters: Rc<Counters>) -> Rc<Lane<W>> {
        let writer = Writer::new(segment.file.clone(), segment.tag, segment::HEADER_PAGES);
        let state = LaneState {
            writer,
            open: None,
            in_flight: VecDeque::new(),
            opened: 0,
            committed: 0,
            chain: 0,
            entries: Vec::new(),
            failed: None,
            ended: false,
        };
        let frame_max = segment.file_len.get() / FRAMES_MIN;
        let lane = Rc::new(Lane {
            world: world.clone(),
            segment,
            state: RefCell::new(state),
            work: Bell::default(),
            idle: Bell::default(),
            frame_max: FRAME_MAX.min(frame_max),
            touched: Cell::new(false),
            syncing: Cell::new(0),
            counters,
        });
        world.spawn(Queue::Ingest, Rc::clone(&lane).close_frames());
        lane
    }

    /// The segment that it fills.
    pub fn segment(&self) -> &Rc<Segment<W::File>> {
        &self.segment
    }

    /// Whether a record with `payload` bytes still fits, and the lane takes records at all.
    pub fn fits(&self, payload: usize) -> bool {
        let state = self.state.borrow();
        if state.failed.is_some() || state.ended || state.entries.len() >= ENTRIES_MAX {
            return false;
        }
        let record = u64::try_from(record::HEADER + payload).expect("64-bit");
        // A frame head and the padding of this frame and the next are below two more pages.
        let pages =
            (record / PAYLOAD_U64) + 3 + u64::from(footer::pages_for(state.entries.len() + 1));
        (u64::from(state.writer.page()) + pages) * super::read::PAGE_U64
            <= self.segment.file_len.get()
    }

    /// Whether no record came since this was asked last.
    pub fn idle(&self) -> bool {
        !self.touched.replace(false)
    }

    /// Bytes of `records` more records that certainly fit; 0 if so many do not.
    pub fn room(&self, records: usize) -> u64 {
        let state = self.state.borrow();
        if state.failed.is_some() || state.ended || state.entries.len() + records > ENTRIES_MAX {
            return 0;
        }
        let footer = footer::pages_for(state.entries.len());
        let filled = u64::from(state.writer.page() + footer) * super::read::PAGE_U64;
        room_after(self.segment.file_len.get(), filled)
    }

    /// Share of the segment that is filled, in percent.
    pub fn filled_percent(&self) -> u64 {
        u64::from(self.state.borrow().writer.page()) * super::read::PAGE_U64 * 100
            / self.segment.file_len.get()
    }

    /// Copies a record into the open frame. The caller has checked that it [`Lane::fits`]; the
    /// permit is given back when the frame is done.
    pub fn append(
        self: &Rc<Self>,
        header: &record::Header,
        payload: &[u8],
        permit: Option<Permit>,
    ) -> Appended {
        assert!(
            header.payload_len() == payload.len(),
            "a header states its payload's length"
        );
        self.touched.set(true);
        let mut ready = Vec::new();
        let mut state = self.state.borrow_mut();
        assert!(
            !state.ended && state.failed.is_none(),
            "the caller asks whether the record fits"
        );
        let frame = state.open_frame(&self.segment, header.sequence, &mut ready);
        let at = state.writer.at();
        state.writer.put(&header.encode(), &mut ready);
        state.writer.put(payload, &mut ready);
        let entry = footer::Entry {
            header: record::Header {
                check: [0; 32],
                ..*header
            },
            at,
        };
        self.segment.note(&entry);
        state.entries.push(entry);
        frame.bytes.set(frame.bytes.get() + header.total_len());
        frame.permits.borrow_mut().extend(permit);
        drop(state);
        self.write(&frame, ready);
        self.work.ring();
        let at = u32::try_from(at).expect("segments are below 4 GiB");
        Appended {
            place: Place {
                segment: self.segment.number,
                at,
            },
            committed: frame.committed.clone(),
        }
    }

    /// Where its records with `sequence` or a later number begin in the stream; none if it has none.
    /// A lane that takes no more records tells the start: it may have given its entries away.
    pub fn since(&self, sequence: u64) -> Option<u64> {
        let state = self.state.borrow();
        if state.ended || state.failed.is_some() {
            return Some(0);
        }
        let before = |entry: &footer::Entry| entry.header.sequence < sequence;
        let first = state.entries.partition_point(before);
        state.entries.get(first).map(|entry| entry.at)
    }

    /// Takes no more records, waits until all are durable and returns the footer's entries with
    /// the first page after them.
    pub async fn end(&self) -> Result<(Vec<footer::Entry>, u32), Arc<io::Error>> {
        self.state.borrow_mut().ended = true;
        self.work.ring();
        loop {
            {
                let mut state = self.state.borrow_mut();
                if let Some(error) = &state.failed {
                    return Err(Arc::clone(error));
                }
                if state.open.is_none() && state.in_flight.is_empty() {
                    return Ok((std::mem::take(&mut state.entries), state.writer.page()));
                }
            }
            self.idle.wait().await;
        }
    }

    /// Closes frames as they become due, after every other ready task had its chance to append.
    async fn close_frames(self: Rc<Self>) {
        loop {
            self.work.wait().await;
            while let Some((frame, ready)) = self.close_due() {
                self.write(&frame, ready);
                frame.closed.set(true);
                self.sync_if_written(&frame);
            }
            let state = self.state.borrow();
            let over = state.ended && state.open.is_none() && state.in_flight.is_empty();
            if state.failed.is_some() || over {
                return;
            }
        }
    }

    /// Takes the open frame if it is time to close it.
    fn close_due(&self) -> Option<(Rc<Frame>, Buffers<W::File>)> {
        let mut state = self.state.borrow_mut();
        let frame = state.open.as_ref()?;
        let full = frame.bytes.get() >= self.frame_max && state.in_flight.len() < IN_FLIGHT_MAX;
        if state.failed.is_some() || !(full || state.in_flight.is_empty()) {
            return None;
        }
        let frame = state.open.take()?;
        let mut ready = Vec::new();
        state.writer.end_frame(&mut ready);
        state.in_flight.push_back(Rc::clone(&frame));
        Some((frame, ready))
    }

    /// Starts the writes of a frame.
    fn write(self: &Rc<Self>, frame: &Rc<Frame>, ready: Buffers<W::File>) {
        for Ready { at, buf } in ready {
            frame.writing.set(frame.writing.get() + 1);
            let len = u64::try_from(buf.as_ref().len()).expect("64-bit");
            self.counters.written.set(self.counters.written.get() + len);
            let write = self.segment.file.write(at, buf);
            let (frame, lane) = (Rc::clone(frame), Rc::clone(self));
            self.world.spawn(Queue::Ingest, async move {
                let result = write.await;
                frame.writing.set(frame.writing.get() - 1);
                match result {
                    Ok(()) => lane.sync_if_written(&frame),
                    Err(error) => lane.fail(error),
                }
            });
        }
    }

    /// Syncs a closed frame once its last write has returned.
    fn sync_if_written(self: &Rc<Self>, frame: &Rc<Frame>) {
        if !frame.closed.get() || frame.writing.get() > 0 || self.state.borrow().failed.is_some() {
            return;
        }
        if planted::is(&self.world, Bug::AckBeforeSync) {
            frame.synced.set(true);
            return self.publish();
        }
        let sync = self.segment.file.sync();
        let (frame, lane) = (Rc::clone(frame), Rc::clone(self));
        self.syncing.set(self.syncing.get() + 1);
        self.world.spawn(Queue::Ingest, async move {
            let mut synced = sync.await;
            if synced.is_err() && planted::is(&lane.world, Bug::RetrySync) {
                synced = lane.segment.file.sync().await;
            }
            lane.syncing.set(lane.syncing.get() - 1);
            // A sync of a later frame that failed first may have dropped this frame's bytes, and
            // only it was told so. If it has returned, it is heard before anyone relies on them.
            if synced.is_ok() && lane.syncing.get() > 0 {
                lane.world.breathe().await;
            }
            match synced {
                Ok(()) => {
                    frame.synced.set(true);
                    lane.publish();
                }
                Err(error) => lane.fail(error),
            }
        });
    }

    /// Tells the waiters of every frame that is durable together with all before it.
    fn publish(&self) {
        loop {
            let frame = {
                let mut state = self.state.borrow_mut();
                if state.failed.is_some()
                    || !state
                        .in_flight
                        .front()
                        .is_some_and(|frame| frame.synced.get())
                {
                    break;
                }
                state.committed += 1;
                state.in_flight.pop_front()
            };
            let Some(frame) = frame else { break };
            self.counters.frames.set(self.counters.frames.get() + 1);
            frame.finish(Ok(()));
        }
        self.work.ring();
        self.idle.ring();
    }

    /// Ends the lane: what is not durable by now never counts.
    fn fail(&self, error: io::Error) {
        self.counters.failures.set(self.counters.failures.get() + 1);
        let (frames, error) = {
            let mut state = self.state.borrow_mut();
            let error = Arc::clone(state.failed.get_or_insert_with(|| Arc::new(error)));
            let mut frames: Vec<_> = state.in_flight.drain(..).collect();
            frames.extend(state.open.take());
            (frames, error)
        };
        if self.segment.state.replace(State::Failed) != State::Failed {
            tracing::error!(segment = %self.segment.path.display(), %error, "segment closed after a failed write");
        }
        for frame in frames {
            frame.finish(Err(Arc::clone(&error)));
        }
        self.work.ring();
        self.idle.ring();
    }
}

/// Bytes of records that certainly fit into `file_len` bytes of which some are filled: a record of
/// full length may have to stay out at the end, and every frame may end in padding.
pub fn room_after(file_len: u64, filled: u64) -> u64 {
    let left = file_len.saturating_sub(filled + RECORD_MAX + PADDING);
    left / super::read::PAGE_U64 * PAYLOAD_U64
}

impl<F: File> LaneState<F> {
    /// The open frame; opens one if there is none.
    fn open_frame(
        &mut self,
        segment: &Segment<F>,
        sequence: u64,
        ready: &mut Buffers<F>,
    ) -> Rc<Frame> {
        if let Some(frame) = &self.open {
            return Rc::clone(frame);
        }
        let head = FrameHead {
            number: self.opened,
            segment: segment.number,
            committed: self.committed,
            sequence,
            chain: self.chain,
        };
        self.opened += 1;
        self.chain = head.checksum();
        debug_assert!(
            page::offset_in_page(self.writer.at()) == 0,
            "a frame begins a page"
        );
        self.writer.put(&head.encode(), ready);
        let frame = Rc::new(Frame {
            committed: Latch::new(),
            writing: Cell::new(0),
            closed: Cell::new(false),
            synced: Cell::new(false),
            bytes: Cell::new(0),
            permits: RefCell::new(Vec::new()),
        });
        self.open = Some(Rc::clone(&frame));
        frame
    }
}

impl Frame {
    fn finish(&self, result: Committed) {
        self.permits.borrow_mut().clear();
        self.committed.set(result);
    }
}
