//! What stores blobs, as the faces see it: the one trait between them, its words, and its errors.
//!
//! ```text
//!  post ─► queued ─► encoding ─► gathering ─► certified ─► settled ─► final
//!                                    │            enough holders   in a   which is
//!                                    │            have signed      block  final
//!                                    ├─► unsigned     too few signed in time
//!                                    └─► failed       any other end
//! ```
//! Who implements it promises: a blob that was certified is given back until its expiry; `find` and
//! `show` say the same of it for ever. The faces do not believe it: [`crate::read`] checks what is handed
//! out against the handle that it was asked for by.

use core::{future::Future, ops::Range, time::Duration};
use std::sync::Arc;

use bytes::Bytes;
use lode_proofs::{
    Hash32,
    da::{
        Namespace, Quorum,
        committee::{Committee, Seats},
        shape::CONTAINER_LEN_MAX,
        signing::SigningRefusal,
        table::table_len,
    },
};

use crate::handle::Handle;

/// Bytes of the longest blob: a container of one, without its table.
pub const BLOB_LEN_MAX: u64 = CONTAINER_LEN_MAX - TABLE_OF_ONE;

/// Bytes of the table of one blob ([D-3]).
const TABLE_OF_ONE: u64 = 128;
const _: () = assert!(table_len(1) == 128, "else blobs are refused that fit");

/// What stores blobs. Clones are the same store.
pub trait Availability: Clone + Send + Sync + 'static {
    /// Takes a blob in: of 1 to [`BLOB_LEN_MAX`] bytes. Answers when it is queued. The same blob twice
    /// is two requests.
    ///
    /// # Errors
    /// [`PostError`]; nothing is stored then.
    fn post(
        &self,
        namespace: Namespace,
        blob: Bytes,
    ) -> impl Future<Output = Result<RequestId, PostError>> + Send;

    /// How far a request is.
    ///
    /// # Errors
    /// [`StatusError`]
    fn status(
        &self,
        request: RequestId,
    ) -> impl Future<Output = Result<Status, StatusError>> + Send;

    /// The same, as soon as the milestone is reached or never will be, and after `most` in any case.
    ///
    /// # Errors
    /// [`StatusError`]
    fn wait(
        &self,
        request: RequestId,
        until: Milestone,
        most: Duration,
    ) -> impl Future<Output = Result<Status, StatusError>> + Send;

    /// Where a blob is, with the proof that it is there.
    ///
    /// # Errors
    /// [`GetError`]
    fn find(&self, handle: Handle) -> impl Future<Output = Result<Arc<Posted>, GetError>> + Send;

    /// The bytes of a blob.
    ///
    /// # Errors
    /// [`GetError`]
    fn get(&self, handle: Handle) -> impl Future<Output = Result<Bytes, GetError>> + Send;

    /// Evidence, as `lode_proofs::da` encodes it.
    ///
    /// # Errors
    /// [`GetError`]
    fn show(&self, evidence: Evidence) -> impl Future<Output = Result<Bytes, GetError>> + Send;

    /// Who holds a quorum's rows; none if there is no such quorum and never will be. Whoever cannot tell,
    /// because the chain may still name it, says [`GetError::Unavailable`].
    ///
    /// # Errors
    /// [`GetError`]
    fn members(
        &self,
        quorum: Quorum,
    ) -> impl Future<Output = Result<Option<Arc<Members>>, GetError>> + Send;
}

/// Who holds a quorum's rows, and what binds it: what contracts know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    seats: Seats,
    committee: Committee,
}

impl Members {
    /// Those of these seats. Cost: 20 µs or so a seat.
    ///
    /// # Errors
    /// [`SigningRefusal::Key`] if a key is no point, or they are each other's opposites.
    pub fn new(seats: Seats) -> Result<Members, SigningRefusal> {
        let committee = seats.committee()?;
        Ok(Members { seats, committee })
    }

    /// Keys and rows.
    #[must_use]
    pub const fn seats(&self) -> &Seats {
        &self.seats
    }

    /// What binds them.
    #[must_use]
    pub const fn committee(&self) -> &Committee {
        &self.committee
    }
}

/// What a post is asked about by. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub [u8; 32]);

/// What a caller may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// Enough holders have signed: the blob is available. Its chain may still not know.
    Certified,
    /// The certificate is in a block.
    Settled,
    /// That block is final.
    Final,
}

/// How far a blob is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits for its container to be closed.
    Queued,
    /// Its container is being coded.
    Encoding,
    /// Holders check and sign.
    Gathering,
    /// It is available.
    Posted(Milestone, Arc<Posted>),
    /// Too few holders signed for it in time.
    Unsigned,
    /// It will not be stored, and why.
    Failed(Arc<str>),
}

/// Where a blob is, for ever, and the proof of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its container.
    pub container: Hash32,
    /// Its place in the container's table.
    pub place: u32,
    /// Whose it is.
    pub namespace: Namespace,
    /// `blob_root` of its bytes ([D-5]).
    pub root: Hash32,
    /// Its first byte in the container.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
    /// Whose holders signed.
    pub quorum: Quorum,
    /// Until when it is kept, in unix seconds, end exclusive.
    pub expiry: u64,
    /// The certificate ([D-25]).
    pub certificate: Bytes,
    /// Its entry and the hashes beside it ([D-22], last sentence): leads to the namespace root.
    pub entry: Bytes,
}

impl Posted {
    /// What it is asked for by.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::Place {
            container: self.container,
            offset: self.offset,
            len: self.len,
        }
    }
}

/// What can be shown of what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A container's certificate ([D-25]).
    Certificate(Hash32),
    /// A row with its checksums and their paths ([D-24]).
    Sample(Hash32, u16),
    /// All blobs of a namespace in a container ([D-22]).
    Namespace(Hash32, Namespace),
    /// A range of a blob under its root ([D-30]). Not empty, and within the blob.
    Range(Handle, Range<u64>),
}

/// Why a blob is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// Zero bytes are no blob.
    #[error("a blob has at least one byte")]
    Empty,
    /// It fits no container.
    #[error("a blob of {len} bytes, {BLOB_LEN_MAX} is the most")]
    TooLong {
        /// Its bytes.
        len: u64,
    },
    /// Too much is queued: the same blob may be taken in later.
    #[error("too much is queued; try again")]
    Overloaded,
    /// Nothing is taken in at the moment, and nobody knows for how long: whoever can falls back to
    /// another place for its data.
    #[error("data availability is down: {0}")]
    Unavailable(Arc<str>),
}

/// Why nothing is said of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// No such request, or one of long ago.
    #[error("no such request, or one of long ago")]
    Unknown,
    /// Nothing can be said at the moment.
    #[error("data availability is down: {0}")]
    Unavailable(Arc<str>),
}

/// Why there is no blob, or no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// No such container, or no blob of this root in the quorum.
    #[error("not found")]
    NotFound,
    /// The container is there and has no such blob, row or range: whoever made the handle lied.
    #[error("the container has nothing at this place")]
    Absent,
    /// It was kept until its expiry.
    #[error("expired")]
    Expired,
    /// It cannot be had at the moment.
    #[error("data availability is down: {0}")]
    Unavailable(Arc<str>),
    /// Holders did not answer in time.
    #[error("holders did not answer in time")]
    TimedOut,
    /// The store handed out what is not what it was asked for.
    #[error("what the store gave is not what was asked for: {0}")]
    Untrue(Arc<str>),
}

impl Status {
    /// Whether somebody who waits for this need not wait any longer.
    #[must_use]
    pub fn ends(&self, until: Milestone) -> bool {
        match self {
            Status::Queued | Status::Encoding | Status::Gathering => false,
            Status::Posted(milestone, _) => *milestone >= until,
            Status::Unsigned | Status::Failed(_) => true,
        }
    }
}
