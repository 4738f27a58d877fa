//! What a start finds: closed segments tell their records by their lists, others are walked from
//! record to record and closed. No rows are read.
//!
//! A record counts when one of its feet is whole, because feet are written when all else is durable.
//! What a killed process wrote may be visible and not durable: a segment that was not closed is closed
//! before its records count as held, so that a list that was synced names them. Where that fails they
//! are read, but an append of one of them writes it again.

use std::{path::PathBuf, rc::Rc};

use lode_world::{Disk, File, Open, World};

use crate::{
    Error, Result,
    format::{
        FormatError,
        index::{Entry, Index, Pointer},
        page::{self, Kind, PAGE_U64, PAYLOAD, Place as PagePlace},
        segment::{HEADER_PAGES, SegmentHead},
    },
    index::Place,
    planted::{self, Bug},
    read::read_page,
    segment::{Name, Segment, State, parse_name},
    store::Shared,
    supply,
    walk::{self, Walked},
};

/// Faults of files that are told of one by one; there may be as many as files.
pub const FAULTS_MAX: usize = 1000;

/// What a start found.
#[derive(Debug, Default)]
pub struct Found {
    /// Segments that are in use.
    pub segments: u64,
    /// Of these, how many had to be walked.
    pub walked: u64,
    /// Of these, how many could not be closed: what is in them is read, and may not be durable unless
    /// it was acknowledged before.
    pub unsettled: u64,
    /// Files without a record, which were removed.
    pub removed: u64,
    /// Records, also those that a later one of their container replaces.
    pub records: u64,
    /// What is wrong with files: which one, what, and what to do. At most [`FAULTS_MAX`].
    pub faults: Vec<Error>,
    pub(crate) last_segment: u32,
    pub(crate) last_sequence: u64,
}

impl Found {
    fn fault(&mut self, error: Error) {
        tracing::error!(%error, "a file of rows is damaged");
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(error);
        }
    }
}

/// Looks at all files of the directory.
pub async fn run<W: World>(store: &Rc<Shared<W>>) -> Result<Found> {
    let dir = &store.options.dir;
    let disk = store.world.disk();
    // A killed process may have left names that are not durable.
    disk.sync_dir(dir).await.map_err(Error::io(dir))?;
    let mut found = Found::default();
    for name in disk.list(dir).await.map_err(Error::io(dir))? {
        let path = dir.join(&name);
        let (number, closed) = match parse_name(&name) {
            Name::Foreign => continue,
            Name::Strange => {
                let why = "its name is that of no segment; move it elsewhere".to_owned();
                let path = path.display().to_string();
                found.fault(Error::Format { path, why });
                continue;
            }
            Name::Open(number) => (number, false),
            Name::Closed(number) => (number, true),
        };
        found.last_segment = found.last_segment.max(number);
        take_file(store, &mut found, path, number, closed).await?;
    }
    Ok(found)
}

/// Takes one segment file.
async fn take_file<W: World>(
    store: &Rc<Shared<W>>,
    found: &mut Found,
    path: PathBuf,
    number: u32,
    closed: bool,
) -> Result<()> {
    let disk = store.world.disk();
    let opened = disk.open(&path, Open::Write).await;
    let file = match opened {
        Ok(file) => file,
        Err(error) => {
            found.fault(Error::io(&path)(error));
            return Ok(());
        }
    };
    let len = match file.len().await {
        Ok(len) => len / PAGE_U64 * PAGE_U64,
        Err(error) => {
            found.fault(Error::io(&path)(error));
            return Ok(());
        }
    };
    let head = header(&file, &path, number, len).await?;
    let list = match (&head, closed) {
        (Some(head), true) => list(&file, head, len).await,
        _ => None,
    };
    match (head, list) {
        (Some(head), Some(list)) => {
            let end = list.end();
            let segment = Segment::new(number, head.tag, head.until, path, len, end);
            segment.state.set(State::Closed);
            enter(store, found, segment, list.entries);
            Ok(())
        }
        (head, _) => take_walked(store, found, file, path, number, len, head).await,
    }
}

/// The header, by either copy; none if both are damaged, or the file was being made.
async fn header<F: File>(
    file: &F,
    path: &std::path::Path,
    number: u32,
    len: u64,
) -> Result<Option<SegmentHead>> {
    for page in 0..HEADER_PAGES {
        if u64::from(page + 1) * PAGE_U64 > len {
            break;
        }
        let Ok(read) = read_page(file, page).await else {
            continue;
        };
        match SegmentHead::read(read.as_ref(), page) {
            Ok(head) if head.number == number => return Ok(Some(head)),
            Err(error @ FormatError::Version { .. }) => {
                return Err(Error::Format {
                    path: path.display().to_string(),
                    why: format!("{error}; use the program that wrote it, or a later one"),
                });
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The list of a closed segment, if it is whole.
async fn list<F: File>(file: &F, head: &SegmentHead, len: u64) -> Option<Index> {
    let last = u32::try_from((len / PAGE_U64).checked_sub(1)?).ok()?;
    let place = |page, kind| PagePlace {
        tag: head.tag,
        page,
        kind,
    };
    let read = read_page(file, last).await.ok()?;
    page::check(read.as_ref(), place(last, Kind::IndexPointer)).ok()?;
    let pointer = Pointer::decode(&read.as_ref()[..PAYLOAD]).ok()?;
    let inside = pointer.first.checked_add(pointer.pages) == Some(last);
    (inside && pointer.segment == head.number).then_some(())?;
    let mut bytes = Vec::new();
    for page in pointer.first..last {
        let read = read_page(file, page).await.ok()?;
        bytes.extend_from_slice(read.as_ref());
    }
    let bytes = page::join(&bytes, place(pointer.first, Kind::Index)).ok()?;
    let list = Index::decode(&bytes).ok()?;
    (list.segment == head.number && list.end() <= pointer.first).then_some(list)
}

/// Takes a segment without a list: finds its records, and closes it.
async fn take_walked<W: World>(
    store: &Rc<Shared<W>>,
    found: &mut Found,
    file: W::File,
    path: PathBuf,
    number: u32,
    len: u64,
    head: Option<SegmentHead>,
) -> Result<()> {
    found.walked += 1;
    let trusting = planted::is(&store.world, Bug::HeadIsEnough);
    let walked = walk::walk(&file, number, head.map(|head| head.tag), len, trusting).await;
    if let Some(fault) = fault_of(&path, head.as_ref(), &walked) {
        found.fault(fault);
    }
    let nothing = walked.entries.is_empty() && walked.unreadable == 0;
    if nothing && (head.is_some() || !walked.ours) {
        drop(file);
        // Nothing in it was ever acknowledged. If the name stays, the next start removes it.
        if let Err(error) = store.world.disk().remove(&path).await {
            found.fault(Error::io(&path)(error));
        }
        found.removed += 1;
        return Ok(());
    }
    let tag = head.map_or(walked.tag, |head| head.tag);
    let last = walked.entries.iter().map(|entry| entry.expiry).max();
    let until = head.map_or(store.options.bucket_end(last.unwrap_or(u64::MAX)), |head| {
        head.until
    });
    let segment = Segment::new(number, tag, until, path, len, walked.end);
    *segment.file.borrow_mut() = Some(file);
    let segment = Rc::new(segment);
    segment.entries.borrow_mut().clone_from(&walked.entries);
    let whole = head.is_some() && walked.unreadable == 0;
    settle(store, &segment, whole).await;
    enter(store, found, segment, walked.entries);
    Ok(())
}

/// Closes a walked segment, so that what it holds is durable for sure; not where something could not
/// be read, since what is there would be cut off.
async fn settle<W: World>(store: &Rc<Shared<W>>, segment: &Rc<Segment<W::File>>, whole: bool) {
    segment.settled.set(false);
    if planted::is(&store.world, Bug::SettleWithoutSync) {
        segment.settled.set(true);
        segment.state.set(State::Closed);
        return;
    }
    segment.state.set(State::Closed);
    let closed = match whole {
        true => supply::write_list(store, segment).await,
        false => Err(std::io::Error::other("something of it could not be read")),
    };
    if let Err(error) = closed {
        let path = segment.path.borrow().display().to_string();
        tracing::warn!(path, %error, "a segment of rows stays open; the next start tries again");
        segment.state.set(State::Failed);
    }
}

/// What is wrong with a file, if anything.
fn fault_of(path: &std::path::Path, head: Option<&SegmentHead>, walked: &Walked) -> Option<Error> {
    let why = match head {
        None if walked.ours => {
            "its header is damaged, or that of another file; what records it has are kept until the last has expired"
        }
        _ if walked.unreadable > 0 => {
            "the disk refuses some of its pages; look at the disk, records may be missing"
        }
        _ => return None,
    };
    Some(Error::Format {
        path: path.display().to_string(),
        why: why.to_owned(),
    })
}

/// Enters a segment and its records.
fn enter<W: World>(
    store: &Shared<W>,
    found: &mut Found,
    segment: impl Into<Rc<Segment<W::File>>>,
    entries: Vec<Entry>,
) {
    let segment = segment.into();
    found.segments += 1;
    found.unsettled += u64::from(!segment.settled.get());
    let mut index = store.index.borrow_mut();
    for entry in entries {
        found.records += 1;
        found.last_sequence = found.last_sequence.max(entry.sequence);
        index.found(
            entry.container,
            Place {
                sequence: entry.sequence,
                expiry: entry.expiry,
                segment: segment.number,
                first: entry.first,
                pages: entry.pages,
            },
        );
    }
    store.segments.borrow_mut().insert(segment.number, segment);
}
