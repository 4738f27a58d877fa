//! Files by O_DIRECT on the ring of files, in memory registered with it. Calls that are rare go to
//! the executor's one helper thread.

use super::{arena::Memory, flight::Flights, queues::Act, ring::Ring};
use crate::{Buf, Disk, File, Open, Space, check, system, units::on_disk};
use std::{future::Future, io, os::fd::OwnedFd, path::Path, rc::Rc, sync::Arc};

/// Tries at an IO that the kernel cut short. More than one only when a signal came between.
const TRIES_MAX: usize = 3;

/// The names on disk.
#[derive(Clone)]
pub struct UringDisk {
    ring: Rc<Ring>,
    flights: Rc<Flights>,
}

impl UringDisk {
    pub(super) fn new(ring: Rc<Ring>, flights: Rc<Flights>) -> Self {
        Self { ring, flights }
    }

    fn help<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + 'static {
        self.flights
            .fly(async { glommio::executor().spawn_blocking(act).await })
    }
}

impl Disk for UringDisk {
    type File = UringFile;

    fn join(&self, file: Arc<OwnedFd>) -> UringFile {
        UringFile {
            file,
            disk: self.clone(),
        }
    }

    async fn open(&self, path: &Path, how: Open) -> io::Result<UringFile> {
        let path = path.to_owned();
        let file = self.help(move || system::open(&path, how)).await?;
        Ok(UringFile {
            file: Arc::new(file),
            disk: self.clone(),
        })
    }

    async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let dir = dir.to_owned();
        self.help(move || system::list(&dir)).await
    }

    async fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = dir.to_owned();
        self.help(move || system::make_dir(&dir)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.help(move || std::fs::rename(from, to)).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        self.help(move || std::fs::remove_file(path)).await
    }

    async fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = dir.to_owned();
        self.help(move || system::sync_dir(&dir)).await
    }

    async fn space(&self, path: &Path) -> io::Result<Space> {
        let path = path.to_owned();
        self.help(move || system::space(&path)).await
    }
}

/// An open file.
#[derive(Clone)]
pub struct UringFile {
    file: Arc<OwnedFd>,
    disk: UringDisk,
}

impl UringFile {
    fn help<T: Send + 'static>(
        &self,
        act: impl FnOnce(&OwnedFd) -> io::Result<T> + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + 'static {
        let file = Arc::clone(&self.file);
        self.disk.help(move || act(&file))
    }
}

impl File for UringFile {
    type Buf = UringBuf;
    type Read = UringRead;
    type Shared = Arc<OwnedFd>;

    fn share(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.file)
    }

    fn alloc(&self, len: usize) -> UringBuf {
        check::buffer(len);
        UringBuf(self.disk.ring.memory(len))
    }

    fn read(&self, at: u64, len: usize) -> impl Future<Output = io::Result<UringRead>> + 'static {
        check::range(at, len);
        read_exact(self.clone(), at, len)
    }

    fn write(&self, at: u64, buf: UringBuf) -> impl Future<Output = io::Result<()>> + 'static {
        check::range(at, buf.as_ref().len());
        write_all(self.clone(), at, buf.0)
    }

    fn sync(&self) -> impl Future<Output = io::Result<()>> + 'static {
        let sync = self.disk.ring.io(&self.file, Act::Sync);
        async move { sync.await.0.map(|_zero| ()) }
    }

    fn allocate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static {
        check::len(len);
        self.help(move |file| system::allocate(file, len))
    }

    fn truncate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static {
        check::len(len);
        self.help(move |file| Ok(rustix::fs::ftruncate(file, len)?))
    }

    fn len(&self) -> impl Future<Output = io::Result<u64>> + 'static {
        self.help(|file| system::len_of(file))
    }
}

async fn read_exact(file: UringFile, at: u64, len: usize) -> io::Result<UringRead> {
    let ring = &file.disk.ring;
    let mut got = 0;
    for _ in 0..TRIES_MAX {
        let into = ring.memory(len);
        let (moved, memory) = ring.io(&file.file, Act::Read { at, into }).await;
        got = moved?;
        if got == len {
            return Ok(UringRead(memory.expect("a read has memory")));
        }
        if system::len_of(&file.file)? < at + on_disk(len) {
            return Err(check::past_end(at, len, got));
        }
    }
    Err(io::Error::other(format!(
        "the kernel read {got} of {len} bytes at {at}, {TRIES_MAX} times"
    )))
}

async fn write_all(file: UringFile, at: u64, mut from: Memory) -> io::Result<()> {
    let len = from.bytes().len();
    let mut written = 0;
    for _ in 0..TRIES_MAX {
        // Again from the start: the same bytes to the same place do no harm, and the offset stays
        // aligned.
        let write = file.disk.ring.io(&file.file, Act::Write { at, from });
        let (moved, memory) = write.await;
        written = moved?;
        if written == len {
            return Ok(());
        }
        from = memory.expect("a write has memory");
    }
    Err(io::Error::new(
        io::ErrorKind::StorageFull,
        format!("the kernel wrote {written} of {len} bytes at {at}, as it does on a full disk"),
    ))
}

/// Memory to write from: of the executor's arena while that lasts, of the heap after.
pub struct UringBuf(Memory);

impl AsRef<[u8]> for UringBuf {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsMut<[u8]> for UringBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}

impl Buf for UringBuf {
    fn truncate(&mut self, len: usize) {
        check::len(on_disk(len));
        self.0.truncate(len);
    }
}

/// Memory that a read filled; it returns to the arena when dropped.
pub struct UringRead(Memory);

impl AsRef<[u8]> for UringRead {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

#[cfg(test)]
impl UringRead {
    pub(super) fn is_registered(&self) -> bool {
        self.0.is_registered()
    }
}
