//! What can go wrong in the store, in classes that a caller can act on.
//!
//! Foreign input and a failing disk end here as values; our own bugs end in asserts. Each text
//! names the cause and the cure.

use std::{io, sync::Arc};

use lode_proofs::Refusal;

use crate::Root;

/// The store's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Who has to act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request is wrong; the same request fails again.
    Refused,
    /// The request is right, the moment is wrong; the same request may work later.
    Retry,
    /// Something of ours is broken: an operator has to look.
    Fatal,
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Zero bytes have no sector tree (wire rules, size 0).
    #[error("the blob is empty: a blob has at least one byte")]
    Empty,
    /// The bytes do not have the root that was declared.
    #[error(
        "the bytes have root {computed}, not the declared {declared}; nothing was stored under it"
    )]
    RootMismatch {
        /// What the client declared.
        declared: Root,
        /// What the bytes have.
        computed: Root,
    },
    /// A chunk's bytes are not those that its proof is about.
    #[error("chunk {chunk} of {root} is not taken: {why}; send the bytes that its proof is about")]
    Unproven {
        /// The blob.
        root: Root,
        /// Index of the chunk in it.
        chunk: u64,
        /// What does not fit.
        why: Refusal,
    },
    /// More or fewer bytes than declared.
    #[error("got {got} bytes where {want} were declared")]
    SizeMismatch {
        /// Declared bytes.
        want: u64,
        /// Bytes that came (at least).
        got: u64,
    },
    /// The root is taken: bytes that differ only in zeroes at the end can share one, because the
    /// tree pads with zeroes. A blob is named by root and size together.
    #[error(
        "a blob of {have} bytes with root {root} is stored already, these are {got} bytes: they differ in zeroes at \
         the end; delete that blob first, or keep it"
    )]
    OtherSize {
        /// Root of both.
        root: Root,
        /// Bytes of the stored blob.
        have: u64,
        /// Bytes of the refused one.
        got: u64,
    },
    /// A range that the blob does not have.
    #[error("bytes {start}..{end} are outside the blob's {size} bytes")]
    OutOfRange {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// The blob's size in bytes.
        size: u64,
    },
    /// The expiry lies in the past.
    #[error("expiry epoch {expiry} has passed: the store is at epoch {now}")]
    Expired {
        /// Asked for.
        expiry: u32,
        /// The store's epoch.
        now: u32,
    },
    /// Somebody else is writing this upload.
    #[error("another client is uploading {root} now; ask for its offset and retry")]
    UploadBusy {
        /// The upload's root.
        root: Root,
    },
    /// The disk is too full for new bytes; reads and deletes go on.
    #[error(
        "disk full: {free} bytes free, {reserve} are kept in reserve; \
         delete or expire blobs, or give the directory more space"
    )]
    Full {
        /// Bytes free on the filesystem and in recycled segments.
        free: u64,
        /// Bytes below which new blobs are refused.
        reserve: u64,
    },
    /// The filesystem has no room for the segments of a new store and what it keeps in reserve.
    #[error(
        "{path}: the filesystem has {total} bytes, and {shards} shards with segments of {segment_len} bytes need {need}; \
         choose shorter segments, fewer shards or a larger filesystem"
    )]
    TooSmall {
        /// The data directory.
        path: String,
        /// Bytes of the filesystem.
        total: u64,
        /// Bytes that it needs to have.
        need: u64,
        /// Shards asked for.
        shards: u16,
        /// Bytes of a segment asked for.
        segment_len: u64,
    },
    /// No credit for these bytes within the deadline.
    #[error("the store is busy: no room in the ingest queue for {waited_ms} ms; retry later")]
    Busy {
        /// How long the request waited, in milliseconds.
        waited_ms: u64,
    },
    /// Bytes on disk are not what was written. They are never served.
    #[error(
        "stored bytes of {root}, chunk {chunk}, are damaged: {why}; restore this blob from another copy"
    )]
    Corrupt {
        /// The blob.
        root: Root,
        /// Index of the chunk in it.
        chunk: u64,
        /// Which check failed.
        why: &'static str,
    },
    /// A file or directory of ours is not what this version can open.
    #[error("{path}: {why}")]
    Format {
        /// Which file.
        path: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A write or sync failed; what it covered is not acknowledged and that segment is closed for good.
    #[error(
        "a write to {path} failed and its segment is closed: {source}; the put was not acknowledged, retry it"
    )]
    WriteFailed {
        /// Which file.
        path: String,
        /// The disk's answer.
        source: Arc<io::Error>,
    },
    /// The disk refused to read, list or create.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// The disk's answer.
        source: Arc<io::Error>,
    },
    /// The blob was deleted or expired while it was read.
    #[error("blob {root} was deleted or expired while it was read")]
    Gone {
        /// The blob.
        root: Root,
    },
    /// The store is closing.
    #[error("the store is closing; retry when it is up again")]
    Closing,
}

impl Error {
    /// Who has to act.
    pub fn class(&self) -> Class {
        match self {
            Error::Empty
            | Error::RootMismatch { .. }
            | Error::Unproven { .. }
            | Error::SizeMismatch { .. }
            | Error::OtherSize { .. }
            | Error::OutOfRange { .. }
            | Error::Expired { .. }
            | Error::TooSmall { .. }
            | Error::Gone { .. } => Class::Refused,
            Error::UploadBusy { .. } | Error::Full { .. } | Error::Busy { .. } => Class::Retry,
            Error::WriteFailed { .. } | Error::Closing => Class::Retry,
            Error::Corrupt { .. } | Error::Format { .. } | Error::Io { .. } => Class::Fatal,
        }
    }

    /// Puts a path on a disk error.
    pub(crate) fn io(path: impl AsRef<std::path::Path>) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io {
            path: path.as_ref().display().to_string(),
            source: Arc::new(source),
        }
    }
}
