//! Appending a record: its place is taken at once, its rows are written as they come, and it is held
//! when all of it is durable.
//!
//! ```text
//!  begin ── refused, or a place ─► push, push, … ─► finish ─► held
//!             └────────── dropped: the place is free again ──────┘
//! ```
//! In memory are at most [`WRITES_MAX`] buffers of 512 KiB of each record, and the one being filled:
//! whoever pushes waits for the disk.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use lode_proofs::{
    Hash32,
    da::{Statement, shape::ORIGINAL_ROWS, table::TABLE_LEN_MAX},
};
use lode_world::{File, Queue, World};

use crate::{
    Error, Result,
    commit::{self, Pending},
    format::{
        outline::{self, Outline, SIBLINGS_MAX},
        page::PAYLOAD,
    },
    segment::Segment,
    store::Shared,
    supply,
    wait::Bell,
    writer::{Ready, Writer},
};

/// Writes of one record that may be under way: enough to keep a disk busy by one appender alone.
pub const WRITES_MAX: usize = 4;

/// What a holder keeps of a container besides the rows themselves. What it says has been verified by
/// whoever appends it: here only lengths are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// What the holder signs. Its expiry decides when the record goes.
    pub statement: Statement,
    /// The holder's rows, ascending.
    pub rows: Vec<u16>,
    /// The hashes beside them.
    pub siblings: Vec<Hash32>,
    /// Checksums of the original rows: 2048 bytes for each column.
    pub checks: Vec<u8>,
    /// The container's table.
    pub table: Vec<u8>,
}

impl Holding {
    /// The container.
    #[must_use]
    pub fn container(&self) -> Hash32 {
        self.statement.head.id()
    }

    /// The outline of its record, without a place.
    pub(crate) fn outline(&self) -> Result<Outline> {
        let head = &self.statement.head;
        let malformed = |why| Error::Malformed {
            container: head.id(),
            why,
        };
        if !outline::are_rows(&self.rows) {
            return Err(malformed(
                "row numbers have to ascend, be some, and be below 3072",
            ));
        }
        if self.siblings.len() > SIBLINGS_MAX {
            return Err(malformed("more hashes beside the rows than a tree has"));
        }
        if self.checks.len() != 2 * ORIGINAL_ROWS * usize::from(head.columns) {
            return Err(malformed("checksums have 2048 bytes for each column"));
        }
        if self.table.len() > TABLE_LEN_MAX {
            return Err(malformed("the table is longer than any"));
        }
        let count = |len: usize| u32::try_from(len).expect("bounded above");
        let outline = Outline {
            statement: self.statement,
            rows: u16::try_from(self.rows.len()).expect("at most 3072"),
            table_len: count(self.table.len()),
            siblings: count(self.siblings.len()),
            segment: 0,
            segment_tag: 0,
            first: 0,
            sequence: 0,
        };
        // What is written must be what can be read.
        let same = outline::decode_statement(&self.statement.encode(), head.columns);
        same.map_err(|_why| malformed("its head is that of no container"))?;
        outline
            .check()
            .map_err(|_why| malformed("no record is that long"))?;
        Ok(outline)
    }

    /// What stands before the rows.
    fn encode(&self, outline: &Outline) -> Vec<u8> {
        let mut bytes = outline.encode().to_vec();
        bytes.extend_from_slice(&outline::encode_rows(&self.rows));
        for hash in &self.siblings {
            bytes.extend_from_slice(&hash.0);
        }
        bytes.extend_from_slice(&self.checks);
        bytes.extend_from_slice(&self.table);
        bytes
    }
}

/// Containers that are being written, each by one appender.
#[derive(Clone, Default)]
pub struct Writing(Rc<RefCell<BTreeSet<Hash32>>>);

/// A container is being written until this is dropped.
struct Claim {
    writing: Writing,
    container: Hash32,
}

impl Writing {
    /// Records being written.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn claim(&self, container: Hash32) -> Result<Claim> {
        match self.0.borrow_mut().insert(container) {
            true => Ok(Claim {
                writing: self.clone(),
                container,
            }),
            false => Err(Error::Appending { container }),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.writing.0.borrow_mut().remove(&self.container);
    }
}

/// A record's place in a segment. It is given back when nobody uses it any more, unless the record
/// is held by then.
pub struct Flight<F: File> {
    segment: Rc<Segment<F>>,
    first: u32,
    pages: u32,
    kept: Cell<bool>,
    /// Writes under way.
    writing: Cell<usize>,
    /// Rung when one has ended.
    written: Bell,
    claim: RefCell<Option<Claim>>,
}

impl<F: File> Flight<F> {
    /// Takes a place in a segment that has room for it.
    pub fn take(segment: &Rc<Segment<F>>, pages: u32) -> Rc<Self> {
        let first = segment.extents.borrow_mut().take(pages);
        segment.pending.set(segment.pending.get() + 1);
        Rc::new(Flight {
            segment: Rc::clone(segment),
            first,
            pages,
            kept: Cell::new(false),
            writing: Cell::new(0),
            written: Bell::default(),
            claim: RefCell::new(None),
        })
    }

    /// The segment.
    pub fn segment(&self) -> &Rc<Segment<F>> {
        &self.segment
    }

    /// The record is held: its place is its own for good.
    pub fn keep(&self) {
        self.kept.set(true);
    }
}

impl<F: File> Drop for Flight<F> {
    fn drop(&mut self) {
        if !self.kept.get() {
            let mut extents = self.segment.extents.borrow_mut();
            extents.give(self.first, self.pages);
        }
        self.segment.pending.set(self.segment.pending.get() - 1);
        self.segment.ended.ring();
    }
}

/// A record that is being written. Dropping it leaves nothing behind.
pub struct Appending<W: World> {
    store: Rc<Shared<W>>,
    flight: Rc<Flight<W::File>>,
    outline: Outline,
    tag: u64,
    file: W::File,
    writer: Writer<W::File>,
    /// Payload of the head page.
    payload: Vec<u8>,
    /// Rows that have come.
    rows: usize,
}

/// Takes a place for a record and writes what stands before its rows; `again` in place of one that
/// is held.
pub async fn begin<W: World>(
    store: &Rc<Shared<W>>,
    holding: Holding,
    again: bool,
) -> Result<Appending<W>> {
    let mut outline = holding.outline()?;
    let container = outline.container();
    store.check_term(outline.statement.expiry)?;
    check_held(store, &outline, again)?;
    let appends = store.writing.len();
    if appends >= store.options.appends_max {
        return Err(Error::Busy { appends });
    }
    let claim = store.writing.claim(container)?;
    let flight = supply::place(store, outline.statement.expiry, outline.pages()).await?;
    *flight.claim.borrow_mut() = Some(claim);
    let segment = Rc::clone(&flight.segment);
    segment.check()?;
    outline.segment = segment.number;
    outline.segment_tag = segment.tag;
    outline.first = flight.first;
    outline.sequence = store.next_sequence();
    let tag = store.world.random();
    let file = segment.file.borrow().clone();
    let file = file.expect("a segment that takes records has its file open");
    let head = holding.encode(&outline);
    let mut payload = head[..head.len().min(PAYLOAD)].to_vec();
    payload.resize(PAYLOAD, 0);
    let mut appending = Appending {
        store: Rc::clone(store),
        writer: Writer::new(file.clone(), outline, tag),
        flight,
        outline,
        tag,
        file,
        payload,
        rows: 0,
    };
    let mut ready = Vec::new();
    appending.writer.put(&head, &mut ready);
    appending.writer.pad(&mut ready);
    appending.write(ready).await?;
    Ok(appending)
}

/// Whether a record of this container may be written.
fn check_held<W: World>(store: &Shared<W>, outline: &Outline, again: bool) -> Result<()> {
    let container = outline.container();
    let index = store.index.borrow();
    let held = index.get(&container);
    match held {
        Some(place) if !again && store.is_settled(place.segment) => Err(Error::Held {
            container,
            expiry: place.expiry,
        }),
        Some(place) if again && outline.statement.expiry < place.expiry => Err(Error::NotLater {
            container,
            expiry: outline.statement.expiry,
            have: place.expiry,
        }),
        None if again => Err(Error::NotHeld { container }),
        None if index.len() + store.writing.len() >= store.options.containers_max => {
            Err(Error::TooMany {
                containers: index.len(),
            })
        }
        _ => Ok(()),
    }
}

impl<W: World> Appending<W> {
    /// The container.
    #[must_use]
    pub fn container(&self) -> Hash32 {
        self.outline.container()
    }

    /// Writes the next row, in the order of the holding's numbers.
    ///
    /// # Errors
    /// [`Error::RowLength`], [`Error::RowCount`], [`Error::WriteFailed`], [`Error::Expired`],
    /// [`Error::Closing`]; the record cannot be finished after any of them but the first.
    pub async fn push(&mut self, row: &[u8]) -> Result<()> {
        let (got, want) = (row.len(), self.outline.width());
        let container = self.container();
        if got != want {
            return Err(Error::RowLength {
                container,
                got,
                want,
            });
        }
        let want = usize::from(self.outline.rows);
        if self.rows == want {
            let got = want + 1;
            return Err(Error::RowCount {
                container,
                got,
                want,
            });
        }
        self.flight.segment.check()?;
        self.rows += 1;
        let mut ready = Vec::new();
        self.writer.put(row, &mut ready);
        if self.rows == want {
            self.writer.pad(&mut ready);
        }
        self.write(ready).await
    }

    /// Makes the record durable; when this returns, it is held. It is also made durable where this is
    /// no longer waited for.
    ///
    /// # Errors
    /// [`Error::RowCount`], [`Error::WriteFailed`], [`Error::Expired`], [`Error::Closing`]: it is not held.
    pub async fn finish(self) -> Result<()> {
        let want = usize::from(self.outline.rows);
        if self.rows < want {
            return Err(Error::RowCount {
                container: self.container(),
                got: self.rows,
                want,
            });
        }
        assert!(self.writer.is_full(), "all rows fill all pages");
        self.written(0).await?;
        let (reply, answer) = async_channel::bounded(1);
        let record = Pending {
            flight: self.flight,
            outline: self.outline,
            tag: self.tag,
            payload: self.payload,
            reply,
        };
        commit::submit(&self.store, record);
        answer.recv().await.unwrap_or(Err(Error::Closing))
    }

    /// Starts writes, and waits while too many are under way.
    async fn write(&self, ready: Vec<Ready<<W::File as File>::Buf>>) -> Result<()> {
        if ready.is_empty() {
            return Ok(());
        }
        for Ready { at, buf } in ready {
            self.written(WRITES_MAX - 1).await?;
            let flight = Rc::clone(&self.flight);
            flight.writing.set(flight.writing.get() + 1);
            let write = self.file.write(at, buf);
            self.store.world.spawn(Queue::Ingest, async move {
                if let Err(error) = write.await {
                    flight.segment.fail(error);
                }
                flight.writing.set(flight.writing.get() - 1);
                flight.written.ring();
            });
        }
        // What was copied and summed took about 100 µs for each buffer.
        self.store.world.breathe().await;
        Ok(())
    }

    /// Waits until at most `most` writes are under way.
    async fn written(&self, most: usize) -> Result<()> {
        while self.flight.writing.get() > most {
            self.flight.written.wait().await;
        }
        self.flight.segment.check()
    }
}
