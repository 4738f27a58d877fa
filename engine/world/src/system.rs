//! Names, sizes, clocks and chance by plain system calls: what both real worlds share.
//!
//! These calls block, for microseconds as a rule. Worlds make them on helper threads, except the
//! clocks and random numbers.

use crate::{Open, Space};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Opens a file, with O_DIRECT where the filesystem grants it.
pub(crate) fn open(path: &Path, how: Open) -> io::Result<OwnedFd> {
    let flags = match how {
        Open::Read => OFlags::RDONLY,
        Open::Write => OFlags::RDWR,
        Open::Create => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
    };
    let fd = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
    // Not in the flags above: where O_DIRECT is refused, open fails after it has made the file.
    match rustix::fs::fcntl_setfl(&fd, flags | OFlags::DIRECT) {
        // The filesystem has no direct IO. Its page cache serves; syncs keep their promise.
        Ok(()) | Err(Errno::INVAL) => Ok(fd),
        Err(error) => Err(error.into()),
    }
}

/// Names in a directory, sorted. A name that is not UTF-8 comes back with replacement characters:
/// it is none of ours, and refusing to list would be worse.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<String>> {
    let names =
        fs::read_dir(here(dir))?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<String>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Makes a directory and its missing parents, and syncs the parent of each that it made.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> = Vec::new();
    for ancestor in dir.ancestors() {
        if ancestor.as_os_str().is_empty() || ancestor.is_dir() {
            break;
        }
        missing.push(ancestor);
    }
    while let Some(dir) = missing.pop() {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            made => made?,
        }
        sync_dir(dir.parent().unwrap_or(Path::new("/")))?;
    }
    Ok(())
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = fs::File::open(here(dir))?;
    if !dir.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    dir.sync_all()
}

/// Size and free bytes of the filesystem that holds `path`.
pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(here(path))?;
    Ok(Space {
        total: stat.f_blocks * stat.f_frsize,
        free: stat.f_bavail * stat.f_frsize,
    })
}

/// The empty path means the current directory, as the parent of a bare file name.
fn here(dir: &Path) -> PathBuf {
    if dir.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        dir.to_owned()
    }
}

/// Time since some moment before the process began; the same for all threads, never backwards.
pub(crate) fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let secs = u64::try_from(time.tv_sec).expect("the monotonic clock starts at zero");
    let nanos = u32::try_from(time.tv_nsec).expect("nanoseconds are below a billion");
    Duration::new(secs, nanos)
}

/// Seconds since the Unix epoch; zero on a clock set before it.
pub(crate) fn unix_secs() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// 64 bits from the kernel.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    let read = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .expect("getrandom fails only while the machine boots");
    assert_eq!(
        read,
        bytes.len(),
        "getrandom gives up to 256 bytes at once (man getrandom)"
    );
    u64::from_le_bytes(bytes)
}

/// Reserves blocks for `0..len` and makes the file at least that long.
pub(crate) fn allocate(file: impl std::os::fd::AsFd, len: u64) -> io::Result<()> {
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len) {
        // Some network and overlay filesystems cannot reserve. The length is still promised;
        // a full disk then shows in a write.
        Err(Errno::OPNOTSUPP) => {
            if len_of(&file)? < len {
                rustix::fs::ftruncate(&file, len)?;
            }
            Ok(())
        }
        done => Ok(done?),
    }
}

/// Length of an open file.
pub(crate) fn len_of(file: impl std::os::fd::AsFd) -> io::Result<u64> {
    let stat = rustix::fs::fstat(file)?;
    u64::try_from(stat.st_size).map_err(|_| io::Error::other("the file has a negative length"))
}
