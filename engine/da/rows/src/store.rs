//! The store of one executor: what it is opened with, what it knows, and all that it is asked.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::PathBuf,
    rc::Rc,
};

use lode_proofs::{Hash32, da::Statement};
use lode_world::{Disk, World};

use crate::{
    Error, Result,
    append::{self, Appending, Holding, Writing},
    damage::{Book, Damage},
    expire::{self, Freed},
    index::{Index, Listed},
    read, recover,
    recover::Found,
    scrub::{self, Scrubbed},
    segment::Segment,
    supply,
    wait::{Bell, Turn},
};

/// Files that a store keeps open for reading: a fraction of what a process may open.
const FILES_MAX: usize = 512;

/// Most containers that one list holds, so that a reply is below 100 KiB.
pub const LIST_MAX: usize = 2048;

/// How a store is kept. All but the directory may differ from start to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its directory, which is made if it does not exist. One store, and one process, at a time.
    pub dir: PathBuf,
    /// What time it is, in unix seconds; [`RowStore::expire`] tells it later times.
    pub now: u64,
    /// Seconds of a bucket: records that expire in the same one go at the same time, at its end.
    pub bucket_secs: u64,
    /// Longest term that is taken, in seconds from now.
    pub term_secs_max: u64,
    /// Bytes after which a segment takes no further record. One that is longer has its own.
    pub segment_len: u64,
    /// Bytes by which a segment's file grows.
    pub grow_len: u64,
    /// Records that may be written at a time; each holds up to 2.5 MiB of buffers.
    pub appends_max: usize,
    /// Containers that may be held; each takes about 90 bytes of memory.
    pub containers_max: usize,
}

impl Options {
    /// Buckets of an hour, terms of up to 400 days, segments of 1 GiB, 32 records at a time, eight
    /// million containers (720 MB of memory).
    #[must_use]
    pub fn new(dir: PathBuf, now: u64) -> Self {
        Options {
            dir,
            now,
            bucket_secs: 3600,
            term_secs_max: 400 * 24 * 3600,
            segment_len: 1 << 30,
            grow_len: 64 << 20,
            appends_max: 32,
            containers_max: 8 << 20,
        }
    }

    /// When a term that ends at `expiry` is over for its bucket: the next multiple of its seconds.
    pub(crate) fn bucket_end(&self, expiry: u64) -> u64 {
        let span = self.bucket_secs.max(1);
        expiry.div_ceil(span).saturating_mul(span)
    }
}

/// What the parts of a store share.
pub(crate) struct Shared<W: World> {
    pub world: W,
    pub options: Options,
    pub index: RefCell<Index>,
    pub damage: RefCell<Book>,
    /// All segments by their number.
    pub segments: RefCell<BTreeMap<u32, Rc<Segment<W::File>>>>,
    /// Those that take records, by the end of their bucket.
    pub open: RefCell<BTreeMap<u64, Rc<Segment<W::File>>>>,
    pub writing: Writing,
    /// Held while a record is given its place.
    pub turn: Turn,
    /// Takes no more.
    pub closing: Cell<bool>,
    /// Segments being closed.
    pub closing_now: Cell<usize>,
    /// Rung when one was.
    pub closed: Bell,
    now: Cell<u64>,
    next_segment: Cell<u32>,
    next_sequence: Cell<u64>,
    ticks: Cell<u64>,
}

impl<W: World> Shared<W> {
    /// The store's time.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// Time goes on, never back.
    pub fn tell_time(&self, now: u64) {
        self.now.set(self.now.get().max(now));
    }

    /// Refuses terms that have ended, or end too far ahead: their buckets would have no bound.
    pub fn check_term(&self, expiry: u64) -> Result<()> {
        let now = self.now();
        let latest = now.saturating_add(self.options.term_secs_max);
        if self.closing.get() {
            return Err(Error::Closing);
        }
        match expiry {
            expiry if expiry <= now => Err(Error::Expired { expiry, now }),
            expiry if expiry > latest => Err(Error::TooFar { expiry, latest }),
            _ => Ok(()),
        }
    }

    pub fn next_segment(&self) -> u32 {
        self.next_segment.replace(self.next_segment.get() + 1)
    }

    pub fn next_sequence(&self) -> u64 {
        self.next_sequence.replace(self.next_sequence.get() + 1)
    }

    pub fn tick(&self) -> u64 {
        self.ticks.replace(self.ticks.get() + 1)
    }

    /// Whether what is in a segment is durable for sure.
    pub fn is_settled(&self, segment: u32) -> bool {
        let segments = self.segments.borrow();
        segments
            .get(&segment)
            .is_some_and(|segment| segment.settled.get())
    }

    /// A segment's file, opened if need be; the one that was read longest ago is closed for it.
    pub async fn file(&self, segment: &Segment<W::File>) -> std::io::Result<W::File> {
        segment.used.set(self.tick());
        if segment.file.borrow().is_none() {
            self.close_one();
        }
        segment.opened(&self.world).await
    }

    fn close_one(&self) {
        // What is being closed is about to be renamed.
        if self.closing_now.get() > 0 {
            return;
        }
        let segments = self.segments.borrow();
        let may_close =
            |segment: &&Rc<Segment<_>>| segment.file.borrow().is_some() && segment.is_at_rest();
        let open: Vec<&Rc<Segment<_>>> = segments.values().filter(may_close).collect();
        let oldest = open.iter().min_by_key(|segment| segment.used.get());
        if let Some(oldest) = oldest.filter(|_| open.len() >= FILES_MAX) {
            oldest.file.take();
        }
    }
}

/// What one executor keeps of containers. Cloning is cheap; all clones are one store.
pub struct RowStore<W: World>(pub(crate) Rc<Shared<W>>);

impl<W: World> Clone for RowStore<W> {
    fn clone(&self) -> Self {
        RowStore(Rc::clone(&self.0))
    }
}

/// An opened store, and what was found.
pub struct Opened<W: World> {
    /// The store.
    pub store: RowStore<W>,
    /// What its files held.
    pub found: Found,
}

impl<W: World> RowStore<W> {
    /// Opens the store of a directory. Cost: three reads for each segment that was closed, one for
    /// every record of one that was not.
    ///
    /// # Errors
    /// [`Error::Io`] where the directory cannot be read; [`Error::Format`] where a segment is of another
    /// version. Files that are damaged are told of in [`Found::faults`] and do not keep it from opening.
    pub async fn open(world: W, options: Options) -> Result<Opened<W>> {
        let disk = world.disk();
        let made = disk.make_dir(&options.dir).await;
        made.map_err(Error::io(&options.dir))?;
        let store = Rc::new(Shared {
            now: Cell::new(options.now),
            world,
            options,
            index: RefCell::default(),
            damage: RefCell::default(),
            segments: RefCell::default(),
            open: RefCell::default(),
            writing: Writing::default(),
            turn: Turn::default(),
            closing: Cell::new(false),
            closing_now: Cell::new(0),
            closed: Bell::default(),
            next_segment: Cell::new(1),
            next_sequence: Cell::new(1),
            ticks: Cell::new(0),
        });
        let found = recover::run(&store).await?;
        store.next_segment.set(found.last_segment + 1);
        store.next_sequence.set(found.last_sequence + 1);
        let store = RowStore(store);
        Ok(Opened { store, found })
    }

    /// Begins a record. Its rows are pushed in the order of `holding.rows`.
    ///
    /// # Errors
    /// [`Error::Held`] if it is there (nothing is written), [`Error::Appending`], [`Error::Malformed`],
    /// [`Error::Expired`], [`Error::TooFar`], [`Error::Busy`], [`Error::TooMany`], [`Error::Full`],
    /// [`Error::WriteFailed`], [`Error::Io`], [`Error::Closing`]
    pub async fn begin(&self, holding: Holding) -> Result<Appending<W>> {
        append::begin(&self.0, holding, false).await
    }

    /// Begins a record in place of the one that is held, which is forgotten when this one is durable:
    /// to repair, or for a longer term.
    ///
    /// # Errors
    /// Those of [`RowStore::begin`], [`Error::NotHeld`] and [`Error::NotLater`] in place of `Held`.
    pub async fn begin_again(&self, holding: Holding) -> Result<Appending<W>> {
        append::begin(&self.0, holding, true).await
    }

    /// Keeps a container longer: writes its record into the later bucket, and forgets the old one when
    /// that is durable.
    ///
    /// # Errors
    /// Those of [`RowStore::begin_again`], and [`Error::Lost`] if something of it is damaged.
    pub async fn extend(&self, container: Hash32, expiry: u64) -> Result<()> {
        expire::extend(&self.0, container, expiry).await
    }

    /// Tells the store what time it is, in unix seconds, and removes the segments whose buckets have
    /// ended. Until then records are read although their term is over. Whoever reads a removed file
    /// ends that in peace.
    ///
    /// # Errors
    /// [`Error::Io`]: some files could not be removed, and are tried again the next time; their records
    /// are forgotten in any case.
    pub async fn expire(&self, now: u64) -> Result<Freed> {
        expire::expire(&self.0, now).await
    }

    /// Whether a container is held.
    #[must_use]
    pub fn holds(&self, container: &Hash32) -> bool {
        self.0.index.borrow().get(container).is_some()
    }

    /// Until when a container is held, in unix seconds; none if it is not.
    #[must_use]
    pub fn expiry(&self, container: &Hash32) -> Option<u64> {
        let place = self.0.index.borrow().get(container)?;
        Some(place.expiry)
    }

    /// Containers held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.index.borrow().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The containers after one, or from the first on, by their ids: at most `most`, and at most
    /// [`LIST_MAX`].
    #[must_use]
    pub fn list(&self, after: Option<Hash32>, most: usize) -> Vec<Listed> {
        let index = self.0.index.borrow();
        let listed = index.after(after, most.min(LIST_MAX));
        listed
            .map(|(container, place)| Listed {
                container,
                expiry: place.expiry,
            })
            .collect()
    }

    /// What the holder signed. One read.
    ///
    /// # Errors
    /// [`Error::NotHeld`], [`Error::Lost`], [`Error::Io`]
    pub async fn statement(&self, container: Hash32) -> Result<Statement> {
        let record = read::record(&self.0, container).await?;
        Ok(record.statement())
    }

    /// Which rows are held of a container, ascending. One read, or two of long lists.
    ///
    /// # Errors
    /// Those of [`RowStore::statement`].
    pub async fn row_numbers(&self, container: Hash32) -> Result<Vec<u16>> {
        read::record(&self.0, container).await?.row_numbers().await
    }

    /// All that a record has besides rows: at most 600 KiB.
    ///
    /// # Errors
    /// Those of [`RowStore::statement`].
    pub async fn holding(&self, container: Hash32) -> Result<Holding> {
        read::record(&self.0, container).await?.holding().await
    }

    /// The container's table.
    ///
    /// # Errors
    /// Those of [`RowStore::statement`].
    pub async fn table(&self, container: Hash32) -> Result<Vec<u8>> {
        read::record(&self.0, container).await?.table().await
    }

    /// The checksums of the original rows.
    ///
    /// # Errors
    /// Those of [`RowStore::statement`].
    pub async fn checks(&self, container: Hash32) -> Result<Vec<u8>> {
        read::record(&self.0, container).await?.checks().await
    }

    /// The hashes beside the holder's rows.
    ///
    /// # Errors
    /// Those of [`RowStore::statement`].
    pub async fn siblings(&self, container: Hash32) -> Result<Vec<Hash32>> {
        read::record(&self.0, container).await?.siblings().await
    }

    /// One row. Two reads.
    ///
    /// # Errors
    /// Those of [`RowStore::rows`].
    pub async fn row(&self, container: Hash32, row: u16) -> Result<Vec<u8>> {
        let mut rows = self.rows(container, &[row]).await?;
        Ok(rows.pop().expect("one row for each number"))
    }

    /// Several rows of a container, in the order asked for; at most [`crate::READ_MAX`] bytes at a time.
    ///
    /// # Errors
    /// [`Error::NotHeld`], [`Error::NoRow`], [`Error::TooMuch`], [`Error::Io`]; [`Error::Lost`] names
    /// those of the rows that are damaged: the others can be read.
    pub async fn rows(&self, container: Hash32, rows: &[u16]) -> Result<Vec<Vec<u8>>> {
        read::record(&self.0, container).await?.rows(rows).await
    }

    /// What is known to be lost of a container.
    #[must_use]
    pub fn damage(&self, container: &Hash32) -> Damage {
        self.0.damage.borrow().of(container)
    }

    /// The containers of which something is known to be lost.
    #[must_use]
    pub fn damaged(&self) -> Vec<Hash32> {
        self.0.damage.borrow().containers()
    }

    /// Reads and checks everything once, at up to `rate` bytes a second (0: as fast as the disk).
    pub async fn scrub(&self, rate: u64) -> Scrubbed {
        scrub::run(&self.0, rate).await
    }

    /// Takes no more records, gives up those that have not been finished, and closes all segments, so
    /// that the next start is quick. Reads go on.
    pub async fn close(&self) {
        let store = &self.0;
        store.closing.set(true);
        // Whoever has its turn may still make a segment.
        let turn = store.turn.take().await;
        drop(turn);
        let segments: Vec<_> = store.segments.borrow().values().cloned().collect();
        for segment in segments {
            supply::close(store, &segment).await;
        }
        store.open.borrow_mut().clear();
        while store.closing_now.get() > 0 {
            store.closed.wait().await;
        }
    }
}
