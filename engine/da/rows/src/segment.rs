//! A segment file that is in use, and what is known of it without reading it.

use std::{
    cell::{Cell, RefCell},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use lode_proofs::Hash32;
use lode_world::{Disk, File, Open, World};

use crate::{
    Error, Result,
    commit::Commits,
    extents::Extents,
    format::{
        index::{self, ENTRIES_MAX, Entry},
        page::{PAGE_NUMBER_END, PAGE_U64},
    },
    wait::Bell,
};

/// What may be done with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Records are added.
    Open,
    /// Those that have begun are finished, none begins.
    Retiring,
    /// Only read.
    Closed,
    /// A write or sync failed, or it could not be read whole: what is known of it is read, nothing is
    /// added, and the next start looks at all of it again.
    Failed,
    /// Its time is over.
    Ended,
}

/// A segment in use.
pub struct Segment<F: File> {
    /// Number in the store, never used twice.
    pub number: u32,
    /// Tag of its own pages.
    pub tag: u64,
    /// When all its records have expired, in unix seconds.
    pub until: u64,
    /// What may be done with it.
    pub state: Cell<State>,
    /// Its path.
    pub path: RefCell<PathBuf>,
    /// Its file, while it is open.
    pub file: RefCell<Option<F>>,
    /// When it was asked for last, in askings.
    pub used: Cell<u64>,
    /// Bytes of the file.
    pub len: Cell<u64>,
    /// What its records are known by was synced for sure: a killed process may have left some that
    /// were not.
    pub settled: Cell<bool>,
    /// Which of its pages are taken.
    pub extents: RefCell<Extents>,
    /// Its records so far, while it takes any.
    pub entries: RefCell<Vec<Entry>>,
    /// Records that have begun and not ended.
    pub pending: Cell<usize>,
    /// Rung when one has ended.
    pub ended: Bell,
    /// Records that wait to become durable.
    pub commits: Commits<F>,
    /// Why it failed.
    failure: RefCell<Option<Arc<io::Error>>>,
}

impl<F: File> Segment<F> {
    /// A segment whose file is known to have pages up to `end`.
    pub fn new(number: u32, tag: u64, until: u64, path: PathBuf, len: u64, end: u32) -> Self {
        Segment {
            number,
            tag,
            until,
            state: Cell::new(State::Open),
            path: RefCell::new(path),
            file: RefCell::new(None),
            used: Cell::new(0),
            len: Cell::new(len),
            settled: Cell::new(true),
            extents: RefCell::new(Extents::new(end)),
            entries: RefCell::new(Vec::new()),
            pending: Cell::new(0),
            ended: Bell::default(),
            commits: Commits::default(),
            failure: RefCell::new(None),
        }
    }

    /// Whether a record of `pages` pages can begin in it. Any can in an empty one.
    pub fn fits(&self, pages: u32, segment_len: u64) -> bool {
        if self.state.get() != State::Open {
            return false;
        }
        let records = self.entries.borrow().len() + self.pending.get();
        let limit = match records {
            0 => u64::from(PAGE_NUMBER_END),
            _ => segment_len / PAGE_U64,
        };
        let list = u64::from(index::pages_for(records + 1)) + 1;
        let limit = u32::try_from(limit.saturating_sub(list)).unwrap_or(PAGE_NUMBER_END);
        records < ENTRIES_MAX && self.extents.borrow().fits(pages, limit)
    }

    /// Bytes that the file needs for all that is taken and the list of its records.
    pub fn need(&self) -> u64 {
        let records = self.entries.borrow().len() + self.pending.get();
        let list = index::pages_for(records) + 1;
        (u64::from(self.extents.borrow().end()) + u64::from(list)) * PAGE_U64
    }

    /// Nothing more is added: a write or sync failed.
    pub fn fail(&self, error: io::Error) -> Arc<io::Error> {
        let path = self.path.borrow().display().to_string();
        tracing::error!(path, %error, "a write of rows failed: the segment takes no more");
        let error = Arc::new(error);
        self.failure.borrow_mut().get_or_insert(Arc::clone(&error));
        if self.state.get() != State::Ended {
            self.state.set(State::Failed);
        }
        error
    }

    /// Why a record that has begun cannot go on, if so.
    ///
    /// # Errors
    /// [`Error::WriteFailed`], [`Error::Expired`], [`Error::Closing`]
    pub fn check(&self) -> Result<()> {
        match self.state.get() {
            State::Open | State::Retiring => Ok(()),
            State::Closed => Err(Error::Closing),
            State::Ended => Err(Error::Expired {
                expiry: self.until,
                now: self.until,
            }),
            State::Failed => Err(self.failure()),
        }
    }

    /// The failed write or sync.
    fn failure(&self) -> Error {
        let path = self.path.borrow().display().to_string();
        let source = self.failure.borrow().clone();
        let unread = || Arc::new(io::Error::other("it could not be read whole at start"));
        let source = source.unwrap_or_else(unread);
        Error::WriteFailed { path, source }
    }

    /// Remembers a record that is durable.
    pub fn add(&self, container: Hash32, expiry: u64, sequence: u64, first: u32, pages: u32) {
        self.entries.borrow_mut().push(Entry {
            container,
            sequence,
            expiry,
            first,
            pages,
        });
    }

    /// Whether its file may be closed: nobody is about to write it.
    pub fn is_at_rest(&self) -> bool {
        let over = [State::Closed, State::Failed].contains(&self.state.get());
        over && self.pending.get() == 0
    }

    /// Opens the file for reading, unless it is open.
    pub async fn opened<W: World<File = F>>(&self, world: &W) -> io::Result<F> {
        let open = self.file.borrow().clone();
        if let Some(file) = open {
            return Ok(file);
        }
        let path = self.path.borrow().clone();
        let file = world.disk().open(&path, Open::Read).await?;
        *self.file.borrow_mut() = Some(file.clone());
        Ok(file)
    }
}

/// Name of a segment that takes records, or took them when its process ended.
pub fn open_name(number: u32) -> String {
    format!("open-{number:010}")
}

/// Name of a segment whose list of records is durable.
pub fn closed_name(number: u32) -> String {
    format!("closed-{number:010}")
}

/// What a file's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A segment that took records when its process ended.
    Open(u32),
    /// A segment whose list of records is durable.
    Closed(u32),
    /// Looks like one of ours, and is none.
    Strange,
    /// Not ours.
    Foreign,
}

/// Reads a file's name.
pub fn parse_name(name: &str) -> Name {
    let number = |digits: &str| {
        let number = (digits.len() == 10).then(|| digits.parse::<u32>().ok())?;
        // The last number has none after it: no segment ever gets it.
        number.filter(|number| *number != u32::MAX)
    };
    match name.split_once('-') {
        Some(("open", digits)) => number(digits).map_or(Name::Strange, Name::Open),
        Some(("closed", digits)) => number(digits).map_or(Name::Strange, Name::Closed),
        _ => Name::Foreign,
    }
}

/// Writes whole pages at page `first`, in buffers of up to 1 MiB.
pub async fn write_pages<F: File>(file: &F, first: u32, pages: &[u8]) -> io::Result<()> {
    let mut at = u64::from(first) * PAGE_U64;
    for piece in pages.chunks(1 << 20) {
        let mut buf = file.alloc(piece.len());
        buf.as_mut().copy_from_slice(piece);
        file.write(at, buf).await?;
        at += u64::try_from(piece.len()).expect("64-bit");
    }
    Ok(())
}

/// Path of a segment in a store's directory.
pub fn path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(open_name(number))
}
