//! What can go wrong with rows, in classes that a caller can act on.
//!
//! Foreign input and a failing disk end here as values; our own bugs end in asserts. Each text names
//! the cause and the cure.

use std::{io, path::Path, sync::Arc};

use lode_proofs::Hash32;

use crate::format::outline::Part;

/// The store's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Who has to act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request is wrong; the same request fails again.
    Refused,
    /// The request is right, the moment is wrong; the same request may work later.
    Retry,
    /// Something of ours is broken: an operator has to look, or rows have to be fetched again.
    Fatal,
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It is there already, and durable: nothing was written.
    #[error("container {container} is held already, until {expiry}; nothing was written")]
    Held {
        /// Which one.
        container: Hash32,
        /// Until when it is held, in unix seconds.
        expiry: u64,
    },
    /// Somebody else is writing it now.
    #[error("container {container} is being written now; ask again when that has ended")]
    Appending {
        /// Which one.
        container: Hash32,
    },
    /// The store does not have it, or no longer.
    #[error("container {container} is not held here; ask another holder")]
    NotHeld {
        /// Which one.
        container: Hash32,
    },
    /// The holder does not have this row of it.
    #[error(
        "row {row} of container {container} is not held here; ask the holder that it is given to"
    )]
    NoRow {
        /// Which container.
        container: Hash32,
        /// Which row.
        row: u16,
    },
    /// What came does not make a record.
    #[error("container {container}: {why}; send what its holder was given")]
    Malformed {
        /// Which container.
        container: Hash32,
        /// What does not fit.
        why: &'static str,
    },
    /// A row has another length than all rows of the container.
    #[error("a row of {got} bytes, container {container} has rows of {want}")]
    RowLength {
        /// Which container.
        container: Hash32,
        /// Bytes that came.
        got: usize,
        /// Bytes of its rows.
        want: usize,
    },
    /// More or fewer rows than were announced.
    #[error(
        "{got} rows of container {container} came where {want} were announced; nothing was stored"
    )]
    RowCount {
        /// Which container.
        container: Hash32,
        /// Rows that came, at least.
        got: usize,
        /// Rows that were announced.
        want: usize,
    },
    /// The term has ended.
    #[error("the term ended at {expiry}, and it is {now}")]
    Expired {
        /// When, in unix seconds.
        expiry: u64,
        /// The store's time, in unix seconds.
        now: u64,
    },
    /// The term ends later than this store takes terms: buckets would have no bound.
    #[error(
        "a term until {expiry} is too long: this store takes terms until {latest}; ask for a shorter one and extend it"
    )]
    TooFar {
        /// Asked for, in unix seconds.
        expiry: u64,
        /// Latest that is taken, in unix seconds.
        latest: u64,
    },
    /// A term cannot be made shorter.
    #[error(
        "container {container} is held until {have}, and a term until {expiry} is no longer one"
    )]
    NotLater {
        /// Which container.
        container: Hash32,
        /// Asked for, in unix seconds.
        expiry: u64,
        /// What it has, in unix seconds.
        have: u64,
    },
    /// More rows at once than a read may hold in memory.
    #[error("{asked} bytes of rows in one read, {most} at most; read fewer rows at a time")]
    TooMuch {
        /// Bytes asked for.
        asked: u64,
        /// Bytes that a read returns at most.
        most: u64,
    },
    /// As many records are being written as may be.
    #[error("{appends} records are being written, which is the limit; retry when one has ended")]
    Busy {
        /// Records being written.
        appends: usize,
    },
    /// The index in memory is full.
    #[error(
        "{containers} containers are held, which is the limit of the index; raise it, or let some expire"
    )]
    TooMany {
        /// Containers held.
        containers: usize,
    },
    /// The disk has no room; nothing that is there was touched.
    #[error(
        "no room for {bytes} bytes in {path}: let containers expire, or give the directory more space"
    )]
    Full {
        /// The file that was to grow.
        path: String,
        /// Bytes that it was to have.
        bytes: u64,
    },
    /// Bytes on disk are not what was written. They are never given out.
    #[error(
        "of container {container} {} rows and {} other parts are damaged on disk; fetch them from other holders and \
         write the record again", rows.len(), parts.len()
    )]
    Lost {
        /// Which container.
        container: Hash32,
        /// Numbers of the rows that this request found lost.
        rows: Vec<u16>,
        /// What else it found lost; with [`Part::RowNumbers`] no row can be found.
        parts: Vec<Part>,
    },
    /// A file or directory of ours is not what this version can read.
    #[error("{path}: {why}")]
    Format {
        /// Which file.
        path: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A write or sync failed: that segment takes no more, and what it covered is not held. After the next
    /// start it may be, whole: the disk may have taken what it said that it had not.
    #[error(
        "a write to {path} failed and nothing is added to it any more: {source}; the record is not held, send it again"
    )]
    WriteFailed {
        /// Which file.
        path: String,
        /// The disk's answer.
        source: Arc<io::Error>,
    },
    /// The disk refused to read, list or create.
    #[error("{path}: {source}; look at the disk and at the rights of the file")]
    Io {
        /// Which file.
        path: String,
        /// The disk's answer.
        source: Arc<io::Error>,
    },
    /// The store is closing.
    #[error("the store of rows is closing; retry when it is up again")]
    Closing,
}

impl Error {
    /// Who has to act.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Error::Held { .. }
            | Error::NotHeld { .. }
            | Error::NoRow { .. }
            | Error::Malformed { .. }
            | Error::RowLength { .. }
            | Error::RowCount { .. }
            | Error::Expired { .. }
            | Error::TooFar { .. }
            | Error::NotLater { .. }
            | Error::TooMuch { .. } => Class::Refused,
            Error::Appending { .. }
            | Error::Busy { .. }
            | Error::TooMany { .. }
            | Error::Full { .. }
            | Error::WriteFailed { .. }
            | Error::Closing => Class::Retry,
            Error::Lost { .. } | Error::Format { .. } | Error::Io { .. } => Class::Fatal,
        }
    }

    /// Puts a path on a disk error.
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io {
            path: path.as_ref().display().to_string(),
            source: Arc::new(source),
        }
    }

    /// A disk error of a file that was to have `bytes` bytes.
    pub(crate) fn growing(path: &Path, bytes: u64, source: io::Error) -> Error {
        let path = path.display().to_string();
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        match full.contains(&source.kind()) {
            true => Error::Full { path, bytes },
            false => Error::Io {
                path,
                source: Arc::new(source),
            },
        }
    }
}
