//! Makes records durable, many by each sync.
//!
//! ```text
//!  rows written ─► sync ─► feet written ─► sync ─► held, and the appender hears it
//!                  └─ the same sync does the feet of the records before ─┘
//! ```
//! A record's feet are written only when its rows are durable. So a foot that is found after a crash
//! says that all pages of its record are: what is damaged then is rot and is told of, and no row has
//! to be read to know what is there. The price is a second sync for a record that comes alone; under
//! load each sync serves the rows of some records and the feet of others.
//!
//! There is no timer: while a sync is under way the next group gathers. After a failed write or sync
//! the segment takes no more, and whoever waits is told; nothing is tried again.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
};

use async_channel::Sender;
use lode_world::{File, Queue, World};

use crate::{
    Error, Result,
    append::Flight,
    format::outline::Outline,
    index::Place,
    planted::{self, Bug},
    segment::{Segment, State},
    store::Shared,
    wait::Bell,
    writer::{self, Ready},
};

/// Records of a segment that wait to become durable.
pub struct Commits<F: File> {
    ready: RefCell<Vec<Pending<F>>>,
    running: Cell<bool>,
    idle: Bell,
}

/// A record whose rows have been written.
pub struct Pending<F: File> {
    /// Its place in the segment.
    pub flight: Rc<Flight<F>>,
    /// What it is.
    pub outline: Outline,
    /// Tag of its pages.
    pub tag: u64,
    /// Payload of its head page, and of its feet.
    pub payload: Vec<u8>,
    /// Hears how it ended.
    pub reply: Sender<Result<()>>,
}

impl<F: File> Default for Commits<F> {
    fn default() -> Self {
        Commits {
            ready: RefCell::new(Vec::new()),
            running: Cell::new(false),
            idle: Bell::default(),
        }
    }
}

impl<F: File> Commits<F> {
    /// Waits until nothing is being made durable.
    pub async fn idle(&self) {
        while self.running.get() {
            self.idle.wait().await;
        }
    }
}

/// Makes a record durable, together with others that are ready.
pub fn submit<W: World>(store: &Rc<Shared<W>>, record: Pending<W::File>) {
    let segment = Rc::clone(record.flight.segment());
    segment.commits.ready.borrow_mut().push(record);
    if !segment.commits.running.replace(true) {
        let run = run(Rc::clone(store), segment);
        store.world.spawn(Queue::Ingest, run);
    }
}

/// Syncs until nothing is left to do.
async fn run<W: World>(store: Rc<Shared<W>>, segment: Rc<Segment<W::File>>) {
    let mut footed = Vec::new();
    loop {
        // Every other task that is ready may add its record to this sync.
        store.world.breathe().await;
        let ready = segment.commits.ready.take();
        if ready.is_empty() && footed.is_empty() {
            break;
        }
        footed = round(&store, &segment, ready, footed).await;
    }
    segment.commits.running.set(false);
    segment.commits.idle.ring();
}

/// One sync: the records with feet are held after it, the others get theirs and are returned.
async fn round<W: World>(
    store: &Rc<Shared<W>>,
    segment: &Rc<Segment<W::File>>,
    ready: Vec<Pending<W::File>>,
    footed: Vec<Pending<W::File>>,
) -> Vec<Pending<W::File>> {
    let early = planted::is(&store.world, Bug::FootBeforeRows);
    let mut synced = segment.check().map_err(Refusal::Known);
    if synced.is_ok() && early {
        synced = write_feet(store, segment, &ready)
            .await
            .map_err(Refusal::Io);
    }
    if synced.is_ok() {
        synced = sync(store, segment).await.map_err(Refusal::Io);
    }
    if let Err(refusal) = synced {
        let error = refusal.into_error(segment);
        tell(ready.into_iter().chain(footed), &error);
        return Vec::new();
    }
    for record in footed {
        publish(store, segment, record);
    }
    if early {
        return ready;
    }
    match write_feet(store, segment, &ready).await {
        Ok(()) => ready,
        Err(failed) => {
            tell(ready, &Refusal::Io(failed).into_error(segment));
            Vec::new()
        }
    }
}

/// Why a round ended early.
enum Refusal {
    /// The segment took no more before.
    Known(Error),
    /// It failed now.
    Io(io::Error),
}

impl Refusal {
    fn into_error<F: File>(self, segment: &Segment<F>) -> Error {
        match self {
            Refusal::Known(error) => error,
            Refusal::Io(error) => Error::WriteFailed {
                path: segment.path.borrow().display().to_string(),
                source: segment.fail(error),
            },
        }
    }
}

fn tell<F: File>(records: impl IntoIterator<Item = Pending<F>>, error: &Error) {
    for record in records {
        // Its appender may have gone.
        let _ = record.reply.try_send(Err(error.clone()));
    }
}

async fn sync<W: World>(store: &Shared<W>, segment: &Segment<W::File>) -> io::Result<()> {
    if planted::is(&store.world, Bug::AckBeforeSync) {
        return Ok(());
    }
    let file = segment.file.borrow().clone();
    let file = file.expect("a segment that takes records has its file open");
    let synced = file.sync().await;
    if synced.is_err() && planted::is(&store.world, Bug::RetrySync) {
        return file.sync().await;
    }
    synced
}

/// Writes the feet of records, all at once.
async fn write_feet<W: World>(
    store: &Shared<W>,
    segment: &Segment<W::File>,
    records: &[Pending<W::File>],
) -> io::Result<()> {
    let file = segment.file.borrow().clone();
    let file = file.expect("a segment that takes records has its file open");
    let (told, heard) = async_channel::unbounded();
    for record in records {
        let Ready { at, buf } = writer::feet(&file, &record.outline, record.tag, &record.payload);
        let write = file.write(at, buf);
        let (told, flight) = (told.clone(), Rc::clone(&record.flight));
        store.world.spawn(Queue::Ingest, async move {
            let written = write.await;
            drop(flight);
            // The round waits for as many answers as there are records.
            let _ = told.try_send(written);
        });
    }
    let mut all = Ok(());
    for _ in records {
        let written = heard.recv().await;
        all = all.and(written.expect("this end of the channel is held here too"));
    }
    all
}

/// Enters a record that is durable in the index, and tells its appender.
fn publish<W: World>(store: &Shared<W>, segment: &Segment<W::File>, record: Pending<W::File>) {
    if segment.state.get() == State::Ended {
        return tell([record], &segment.check().expect_err("its time is over"));
    }
    let outline = &record.outline;
    let (container, pages) = (outline.container(), outline.pages());
    let place = Place {
        sequence: outline.sequence,
        expiry: outline.statement.expiry,
        segment: segment.number,
        first: outline.first,
        pages,
    };
    record.flight.keep();
    segment.add(container, place.expiry, place.sequence, place.first, pages);
    store.index.borrow_mut().put(container, place);
    store.damage.borrow_mut().remove(&container);
    // Its appender may have gone: the record is held all the same.
    let _ = record.reply.try_send(Ok(()));
}
