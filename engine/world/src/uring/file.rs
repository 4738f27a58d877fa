//! Files by O_DIRECT on the ring, in memory registered with it.

use super::{
    flight::{Flight, Flights},
    into_io,
};
use crate::{ALIGN, Buf, Disk, File, Open, Space, check, system, units::on_disk};
use glommio::io::{DmaBuffer, DmaFile, OpenOptions, ReadResult};
use std::{
    future::Future,
    io,
    os::fd::{AsRawFd, BorrowedFd},
    path::Path,
    rc::Rc,
};

/// Tries at an IO that the kernel cut short. More than one only when a signal came between.
const TRIES_MAX: usize = 3;

/// The names on disk. Calls that the ring lacks go to the executor's one helper thread.
#[derive(Clone)]
pub struct UringDisk {
    flights: Rc<Flights>,
}

impl UringDisk {
    pub(super) fn new(flights: Rc<Flights>) -> Self {
        Self { flights }
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

    /// Panics inside glommio when another thread removes the file at the same moment: it looks
    /// the path up twice. Names belong to one executor.
    async fn open(&self, path: &Path, how: Open) -> io::Result<UringFile> {
        let path = path.to_owned();
        let open = async move {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .write(how != Open::Read)
                .create_new(how == Open::Create);
            options.dma_open(path).await.map_err(into_io)
        };
        let file = Rc::new(self.flights.fly(open).await?);
        Ok(UringFile {
            file,
            flights: Rc::clone(&self.flights),
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
    file: Rc<DmaFile>,
    flights: Rc<Flights>,
}

impl UringFile {
    fn fly<T, F>(&self, act: impl FnOnce(Rc<DmaFile>) -> F) -> Flight<F>
    where
        F: Future<Output = io::Result<T>> + 'static,
    {
        self.flights.fly(act(Rc::clone(&self.file)))
    }
}

impl File for UringFile {
    type Buf = UringBuf;
    type Read = UringRead;

    fn alloc(&self, len: usize) -> UringBuf {
        check::buffer(len);
        UringBuf(self.file.alloc_dma_buffer(len))
    }

    fn read(&self, at: u64, len: usize) -> impl Future<Output = io::Result<UringRead>> + 'static {
        check::range(at, len);
        self.fly(move |file| read_exact(file, at, len))
    }

    fn write(&self, at: u64, buf: UringBuf) -> impl Future<Output = io::Result<()>> + 'static {
        check::range(at, buf.as_ref().len());
        self.fly(move |file| write_all(file, at, buf.0))
    }

    fn sync(&self) -> impl Future<Output = io::Result<()>> + 'static {
        self.fly(|file| async move { file.fdatasync().await.map_err(into_io) })
    }

    fn allocate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static {
        check::len(len);
        self.fly(move |file| async move {
            let allocated = file.pre_allocate(len, false).await.map_err(into_io);
            match allocated {
                // A filesystem that cannot reserve: the plain call knows what to do.
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                    system::allocate(borrow(&file), len)
                }
                allocated => allocated,
            }
        })
    }

    fn truncate(&self, len: u64) -> impl Future<Output = io::Result<()>> + 'static {
        check::len(len);
        self.fly(move |file| async move { file.truncate(len).await.map_err(into_io) })
    }

    fn len(&self) -> impl Future<Output = io::Result<u64>> + 'static {
        self.fly(|file| async move { system::len_of(borrow(&file)) })
    }
}

/// The descriptor of an open file, for a system call.
fn borrow(file: &DmaFile) -> BorrowedFd<'_> {
    // SAFETY: the descriptor stays open while `file` lives, and the borrow ends before it.
    // JUSTIFICATION: glommio 0.9.0 implements no `AsFd`; its own `file_size` asks by path, which
    // a rename makes stale.
    unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) }
}

async fn read_exact(file: Rc<DmaFile>, at: u64, len: usize) -> io::Result<UringRead> {
    let mut got = 0;
    for _ in 0..TRIES_MAX {
        let read = file.read_at_aligned(at, len).await.map_err(into_io)?;
        got = read.len();
        if got == len {
            return Ok(UringRead(read));
        }
        if system::len_of(borrow(&file))? < at + on_disk(len) {
            return Err(check::past_end(at, len, got));
        }
    }
    Err(io::Error::other(format!(
        "the kernel read {got} of {len} bytes at {at}, {TRIES_MAX} times"
    )))
}

async fn write_all(file: Rc<DmaFile>, at: u64, buf: DmaBuffer) -> io::Result<()> {
    let len = buf.len();
    let buf = Rc::new(buf);
    let mut written = 0;
    for _ in 0..TRIES_MAX {
        // Again from the start: the same bytes to the same place do no harm, and the offset stays
        // aligned.
        written = file
            .write_rc_at(Rc::clone(&buf), at)
            .await
            .map_err(into_io)?;
        if written == len {
            return Ok(());
        }
    }
    Err(io::Error::new(
        io::ErrorKind::StorageFull,
        format!("the kernel wrote {written} of {len} bytes at {at}, as it does on a full disk"),
    ))
}

/// Memory to write from: of the executor's arena while that lasts, of the heap after.
pub struct UringBuf(DmaBuffer);

impl AsRef<[u8]> for UringBuf {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl AsMut<[u8]> for UringBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.as_bytes_mut()
    }
}

impl Buf for UringBuf {
    fn truncate(&mut self, len: usize) {
        check::len(on_disk(len));
        assert!(
            len <= self.0.len(),
            "truncate to {len} bytes would grow a buffer"
        );
        self.0.trim_to_size(len);
    }
}

/// Memory that a read filled; it returns to the arena when dropped.
pub struct UringRead(ReadResult);

impl AsRef<[u8]> for UringRead {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

const _: () = assert!(ALIGN == 4096, "glommio aligns its memory to 4096 bytes");
