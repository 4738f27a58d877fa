//! Files by pread and pwrite, with O_DIRECT where the filesystem grants it.

use super::jobs::{JobBuf, Jobs};
use crate::{ALIGN, Buf, Disk, File, Open, Space, check, system, units::on_disk};
use rustix::io::Errno;
use std::{future::Future, io, os::fd::OwnedFd, path::Path, sync::Arc};

/// The names on disk.
#[derive(Clone)]
pub struct PosixDisk {
    jobs: Arc<Jobs>,
}

impl PosixDisk {
    pub(super) fn new(jobs: Arc<Jobs>) -> Self {
        Self { jobs }
    }
}

impl Disk for PosixDisk {
    type File = PosixFile;

    fn join(&self, file: Arc<OwnedFd>) -> PosixFile {
        PosixFile {
            fd: file,
            jobs: Arc::clone(&self.jobs),
        }
    }

    async fn open(&self, path: &Path, how: Open) -> io::Result<PosixFile> {
        let path = path.to_owned();
        let fd = self.jobs.run(move || system::open(&path, how)).await?;
        Ok(PosixFile {
            fd: Arc::new(fd),
            jobs: Arc::clone(&self.jobs),
        })
    }

    async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let dir = dir.to_owned();
        self.jobs.run(move || system::list(&dir)).await
    }

    async fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = dir.to_owned();
        self.jobs.run(move || system::make_dir(&dir)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.jobs.run(move || std::fs::rename(from, to)).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        self.jobs.run(move || std::fs::remove_file(path)).await
    }

    async fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = dir.to_owned();
        self.jobs.run(move || system::sync_dir(&dir)).await
    }

    async fn space(&self, path: &Path) -> io::Result<Space> {
        let path = path.to_owned();
        self.jobs.run(move || system::space(&path)).await
    }
}

/// An open file.
#[derive(Clone)]
pub struct PosixFile {
    fd: Arc<OwnedFd>,
    jobs: Arc<Jobs>,
}

impl PosixFile {
    fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&OwnedFd) -> io::Result<T> + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + 'static {
        let (fd, jobs) = (Arc::clone(&self.fd), Arc::clone(&self.jobs));
        async move { jobs.run(move || act(&fd)).await }
    }
}

impl File for PosixFile {
    type Buf = PosixBuf;
    type Read = PosixBuf;
    type Shared = Arc<OwnedFd>;

    fn share(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.fd)
    }

    fn alloc(&self, len: usize) -> PosixBuf {
        check::buffer(len);
        PosixBuf(self.jobs.alloc(len))
    }

    fn read(&self, at: u64, len: usize) -> impl Future<Output = io::Result<PosixBuf>> + 'static {
        check::range(at, len);
        let jobs = Arc::clone(&self.jobs);
        self.run(move |fd| {
            let mut buf = jobs.alloc(len);
            read_exact(fd, at, buf.bytes_mut())?;
            Ok(PosixBuf(buf))
        })
    }

    fn write(&self, at: u64, buf: PosixBuf) -> impl Future<Output = io::Result<()>> + 'static {
        check::range(at, buf.as_ref().len());
        self.run(move |fd| write_all(fd, at, buf.as_ref()))
    }

    fn sync(&self) -> impl Future<Output = io::Result<()>> + 'static {
        self.run(|fd| Ok(rustix::fs::fdatasync(fd)?))
    }

    fn allocate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static {
        check::len(len);
        self.run(move |fd| system::allocate(fd, len))
    }

    fn truncate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static {
        check::len(len);
        self.run(move |fd| Ok(rustix::fs::ftruncate(fd, len)?))
    }

    fn len(&self) -> impl Future<Output = io::Result<u64>> + 'static {
        self.run(|fd| system::len_of(fd))
    }
}

/// The kernel may move less than asked for: at the end of the file, near a signal, or past 2 GiB.
fn read_exact(fd: &OwnedFd, at: u64, buf: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        let count = match rustix::io::pread(fd, &mut buf[done..], at + on_disk(done)) {
            Err(Errno::INTR) => continue,
            count => count?,
        };
        done += count;
        // An unaligned count ends a file of unaligned length; asking again would be EINVAL.
        if count == 0 || !count.is_multiple_of(ALIGN) && done < buf.len() {
            return Err(check::past_end(at, buf.len(), done));
        }
    }
    Ok(())
}

fn write_all(fd: &OwnedFd, at: u64, buf: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match rustix::io::pwrite(fd, &buf[done..], at + on_disk(done)) {
            Err(Errno::INTR) => {}
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            // What is left shows the reason: a full disk or a broken one.
            count => done += count?,
        }
    }
    Ok(())
}

/// Memory to write from or that a read filled; it is reused when dropped.
pub struct PosixBuf(JobBuf);

impl AsRef<[u8]> for PosixBuf {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsMut<[u8]> for PosixBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}

impl Buf for PosixBuf {
    fn truncate(&mut self, len: usize) {
        check::len(on_disk(len));
        self.0.truncate(len);
    }
}
