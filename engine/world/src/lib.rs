//! Disk, time, tasks and chance behind one seam.
//!
//! The engine is generic over [`World`] and touches nothing else that could differ between two
//! runs. Three worlds implement it:
//!
//! | world | runs on | chosen |
//! |---|---|---|
//! | [`uring`] | one pinned glommio executor per core with a ring for files, O_DIRECT, io_uring | when [`preflight`] allows |
//! | [`posix`] | one single-threaded executor per core and a bounded pool of IO threads, O_DIRECT | where io_uring is forbidden |
//! | [`sim`] | one seeded, single-threaded executor over a disk made of memory that tears, drops, rots and fails | in tests |
//!
//! All three pass one suite, [`conformance`]. A world never learns what a byte means.
//!
//! Promises shared by every world:
//! - Offsets and lengths of file IO are multiples of [`ALIGN`]; anything else is a bug and asserts.
//! - A read returns exactly the bytes asked for, or an error ([`io::ErrorKind::UnexpectedEof`] past the end).
//! - A write is whole or an error. It survives power loss only after a [`File::sync`] that began
//!   after the write had returned.
//! - A new, renamed or removed name survives power loss only after [`Disk::sync_dir`].
//! - After a failed write or sync the file's unsynced bytes are unknown for good; do not retry.
//! - Futures run on the executor that made them: nothing here is `Send`, nothing locks. An open file
//!   may be shared: every executor reads and writes it through a handle of its own ([`Disk::join`]).

mod check;
pub mod conformance;
mod launch;
mod memory;
pub mod posix;
mod preflight;
pub mod sim;
mod system;
mod units;
pub mod uring;

pub use launch::{Running, launch};
pub use preflight::{Backend, Preflight, Warning, preflight};

use std::{future::Future, io, net::SocketAddr, path::Path, time::Duration};

/// Unit of file IO in bytes: every offset and length is a multiple of it.
/// 4 KiB is the largest logical block of the drives in use and the page that checksums cover.
pub const ALIGN: usize = 4096;

/// Which share of an executor a task gets. The order is the order of precedence under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Replies to clients that wait; latency counts.
    Serve,
    /// Bytes on their way into the log.
    Ingest,
    /// Compaction, checkpoints, expiry.
    Mend,
    /// Reading everything once in a while; yields to all others.
    Scrub,
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Must exist; only reads are allowed.
    Read,
    /// Must exist; reads and writes.
    Write,
    /// Must not exist ([`io::ErrorKind::AlreadyExists`]); reads and writes.
    Create,
}

/// Bytes of a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes of the whole filesystem.
    pub total: u64,
    /// Bytes that this process may still use.
    pub free: u64,
}

/// One executor's view of everything outside the program's own memory. Cloning is cheap.
pub trait World: Clone + 'static {
    /// An open file.
    type File: File;
    /// The names on disk.
    type Disk: Disk<File = Self::File>;

    /// Which bug the program shall have, by a number of the program's own, so that a test sees
    /// whether its checkers catch it. [`sim`] alone can plant one: elsewhere this is none while
    /// the program is compiled, and what asks for it is compiled away.
    const PLANTED: Option<fn(&Self) -> u32> = None;

    /// Monotonic time since an arbitrary origin. In [`sim`] it is virtual.
    fn now(&self) -> Duration;

    /// Seconds since the Unix epoch, for stamps that people read; may jump. In [`sim`] it is virtual.
    fn unix_secs(&self) -> u64;

    /// 64 random bits: from the system, or from the seed.
    fn random(&self) -> u64;

    /// Completes no earlier than `span` from now.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + 'static;

    /// Lets every other ready task run once. Long loops call it between pieces of about 100 µs.
    fn breathe(&self) -> impl Future<Output = ()> + 'static;

    /// Starts `task` on this executor, detached: nobody waits for it, and it ends with the executor.
    fn spawn(&self, queue: Queue, task: impl Future<Output = ()> + 'static);

    /// The names on disk.
    fn disk(&self) -> Self::Disk;
}

/// Names: files and directories. Paths are as the caller gives them.
pub trait Disk: Clone + 'static {
    /// An open file.
    type File: File;

    /// A file that another executor of this world has open.
    fn join(&self, file: <Self::File as File>::Shared) -> Self::File;

    /// Opens a file for direct IO.
    fn open(&self, path: &Path, how: Open) -> impl Future<Output = io::Result<Self::File>>;

    /// Names in a directory (files and directories, without `.` and `..`), sorted.
    fn list(&self, dir: &Path) -> impl Future<Output = io::Result<Vec<String>>>;

    /// Makes a directory and its missing parents; succeeds when it exists. Syncs what it made.
    fn make_dir(&self, dir: &Path) -> impl Future<Output = io::Result<()>>;

    /// Renames within one directory, replacing the target atomically.
    fn rename(&self, from: &Path, to: &Path) -> impl Future<Output = io::Result<()>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> impl Future<Output = io::Result<()>>;

    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> impl Future<Output = io::Result<()>>;

    /// Size and free bytes of the filesystem that holds `path`.
    fn space(&self, path: &Path) -> impl Future<Output = io::Result<Space>>;
}

/// An open file. Reads and writes may overlap in time; overlapping writes to one range are a bug.
/// The handle closes when its last clone is dropped and no IO is in flight.
#[allow(
    clippy::len_without_is_empty,
    reason = "asking the filesystem whether a file is empty is asking for its length"
)]
pub trait File: Clone + 'static {
    /// Memory to write from: aligned to [`ALIGN`] and, where the world can, registered.
    type Buf: Buf;
    /// Memory that a read filled.
    type Read: AsRef<[u8]> + 'static;
    /// What another executor needs to use this open file too ([`Disk::join`]).
    type Shared: Clone + Send + Sync + 'static;

    /// Shares the open file with other executors.
    fn share(&self) -> Self::Shared;

    /// A buffer of `len` bytes (a multiple of [`ALIGN`], at most 1 MiB); contents are unspecified.
    fn alloc(&self, len: usize) -> Self::Buf;

    /// Reads exactly `len` bytes at `at`.
    fn read(&self, at: u64, len: usize) -> impl Future<Output = io::Result<Self::Read>> + 'static;

    /// Writes all of `buf` at `at`.
    fn write(&self, at: u64, buf: Self::Buf) -> impl Future<Output = io::Result<()>> + 'static;

    /// Makes every write that has returned survive power loss (fdatasync).
    fn sync(&self) -> impl Future<Output = io::Result<()>> + 'static;

    /// Reserves blocks for `0..len` and makes the file at least that long; the new range reads as
    /// zeroes. Here, not in `write`, is where a full disk should show ([`io::ErrorKind::StorageFull`]).
    fn allocate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static;

    /// Cuts the file to `len` bytes, giving blocks back.
    fn truncate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static;

    /// Length of the file in bytes.
    fn len(&self) -> impl Future<Output = io::Result<u64>> + 'static;
}

/// Memory for direct IO.
pub trait Buf: AsRef<[u8]> + AsMut<[u8]> + 'static {
    /// Keeps the first `len` bytes (a multiple of [`ALIGN`], at most the present length).
    fn truncate(&mut self, len: usize);
}

/// TCP on the executor's own ring or reactor. A separate trait: the simulation has no sockets.
pub trait Net: World {
    /// A listening socket.
    type Listener: 'static;
    /// A connected socket. `poll_write_vectored` is real (one system call), TCP_NODELAY is set.
    type Stream: futures_lite::AsyncRead + futures_lite::AsyncWrite + Unpin + 'static;

    /// Listens on `addr` with SO_REUSEPORT, so that every executor may listen on the same port.
    fn listen(&self, addr: SocketAddr) -> io::Result<Self::Listener>;

    /// Where a listener listens: the real port when 0 was asked for.
    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// The next connection.
    fn accept(
        &self,
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>>;
}

/// What every executor of a launched world runs. A trait because a closure cannot be generic.
pub trait Program: Clone + Send + 'static {
    /// Runs on executor `index` of `0..executors`; the executor ends when this returns.
    fn run<W: Net>(self, world: W, index: usize) -> impl Future<Output = ()>;
}
