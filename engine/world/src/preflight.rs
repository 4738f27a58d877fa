//! Looks at the machine before anything depends on it, and chooses a world.
//!
//! glommio panics or exits where the kernel or a seccomp profile withholds io_uring, so this must
//! come first. Nothing here panics on a strange machine: it says what it found and what to set.

use crate::{ALIGN, memory::Aligned, units::on_disk, uring::SOCKET_MEMORY};
use io_uring::opcode as op;
use rustix::{
    fs::{Mode, OFlags},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Memory for IO per executor in bytes. Holds the write buffers of three frames of 16 MiB and a
/// queue of reads; beyond it buffers come from the heap, at 200 µs for each fresh 256 KiB.
const IO_MEMORY: usize = 64 << 20;

/// glommio refuses to start below this, in bytes.
const MEMLOCK_MIN: u64 = 512 << 10;

const MEMLOCK_CURE: &str = "raise it: LimitMEMLOCK=infinity in systemd, --ulimit memlock=-1 in \
                            docker, or grant CAP_IPC_LOCK";

/// The name of the file that shows whether a filesystem has direct IO; it is gone at once.
const PROBE: &str = "PROBE";

/// glommio registers its memory with three rings, and each counts (source: `Reactor::new`, 0.9.0).
const REGISTRATIONS: usize = 3;

/// Open files below which a store of some terabytes in 256 MiB segments, plus clients, runs dry.
const FILES_MIN: u64 = 16_384;

/// The oldest kernel whose rings are trusted: glommio missed wake-ups from other threads on 5.10.
const KERNEL_MIN: (u32, u32) = (5, 15);

/// Machines with more cores than this are taken to be ours: executors are pinned.
const CORES_SHARED_MAX: usize = 4;

/// Threads of the posix world: keeps a queue of 16 at the disk, where throughput levels off.
const IO_THREADS: usize = 16;

/// Which world to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// [`crate::uring`].
    Uring,
    /// [`crate::posix`].
    Posix,
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Uring => "uring",
            Self::Posix => "posix",
        })
    }
}

impl std::str::FromStr for Backend {
    type Err = io::Error;

    fn from_str(name: &str) -> io::Result<Self> {
        match name {
            "uring" => Ok(Self::Uring),
            "posix" => Ok(Self::Posix),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("no backend is called {name:?}; use uring or posix"),
            )),
        }
    }
}

/// Something that works, but worse than it could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What was found.
    pub what: String,
    /// What to set to be rid of it.
    pub cure: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.what, self.cure)
    }
}

/// What was found and chosen. The fields may be changed before [`crate::launch`].
#[derive(Clone, Debug)]
pub struct Preflight {
    /// The world to run.
    pub backend: Backend,
    /// Why this one, for the log.
    pub why: String,
    /// What would be better set otherwise.
    pub warnings: Vec<Warning>,
    /// Directories whose filesystems the program will use.
    pub dirs: Vec<PathBuf>,
    /// Executors to start, at least 1.
    pub executors: usize,
    /// Cores to pin executors to, one each; empty to let the kernel place them.
    pub cores: Vec<usize>,
    /// Bytes of IO memory per executor ([`Backend::Uring`]).
    pub io_memory: usize,
    /// Whether the kernel may leave what it has done to be fetched, which interrupts nobody
    /// ([`Backend::Uring`]). Before kernel 6.1 it cannot, and completes at once in any case.
    pub defer_completions: bool,
    /// IO threads for all executors together ([`Backend::Posix`]).
    pub io_threads: usize,
}

/// Examines the machine and the filesystems of `dirs` (which must exist and be writable) for
/// `executors` executors. Makes and removes a file in each directory, and raises this process's
/// soft limits of open files and locked memory to the hard ones.
///
/// # Errors
/// A directory that cannot be written; a forced [`Backend::Uring`] where there is no io_uring.
pub fn preflight(
    dirs: &[PathBuf],
    executors: usize,
    force: Option<Backend>,
) -> io::Result<Preflight> {
    assert!(executors > 0, "a program needs an executor");
    let mut warnings = Vec::new();
    let mut indirect = None;
    for dir in dirs {
        let direct = reads_directly(dir)?;
        let kind = filesystem(dir)?;
        if let Some(warning) = kind.warning(dir) {
            warnings.push(warning);
        }
        if !kind.in_memory && !direct {
            indirect = Some(Warning {
                what: format!("{} ({}) has no direct IO", dir.display(), kind.name),
                cure: "put the data on ext4, xfs or btrfs".into(),
            });
        }
    }
    check_files(&mut warnings);
    // Without direct IO the page cache stands between us and the disk, in either world.
    let obstacle = indirect.clone().or_else(uring_obstacle);
    let (backend, why) = match (force, obstacle) {
        (Some(Backend::Posix), _) => {
            warnings.extend(indirect);
            (Backend::Posix, "asked for".into())
        }
        (Some(Backend::Uring), Some(obstacle)) => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                obstacle.to_string(),
            ));
        }
        (Some(Backend::Uring), None) => (Backend::Uring, "asked for".into()),
        (None, Some(obstacle)) => {
            let why = obstacle.what.clone();
            warnings.push(obstacle);
            (Backend::Posix, why)
        }
        (None, None) => {
            let uname = rustix::system::uname();
            let release = uname.release().to_string_lossy();
            (
                Backend::Uring,
                format!("io_uring works on kernel {release}"),
            )
        }
    };
    if backend == Backend::Uring {
        check_memlock(executors, &mut warnings);
    }
    Ok(Preflight {
        backend,
        why,
        warnings,
        dirs: dirs.to_vec(),
        executors,
        cores: choose_cores(executors),
        io_memory: IO_MEMORY,
        defer_completions: true,
        io_threads: IO_THREADS,
    })
}

/// Whether direct reads work in `dir`, by a file of its own.
fn reads_directly(dir: &Path) -> io::Result<bool> {
    match probe(dir) {
        // A full disk shows nothing, and must not keep a store from starting.
        Err(error) if is_full(&error) => Ok(true),
        Err(error) => {
            let told = format!("{}: {error}", dir.display());
            Err(io::Error::new(error.kind(), told))
        }
        probed => probed,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn probe(dir: &Path) -> io::Result<bool> {
    let (path, flags) = (dir.join(PROBE), OFlags::RDWR | OFlags::CLOEXEC);
    // One that is there was left by a process that was killed right here.
    let make = flags | OFlags::CREATE | OFlags::TRUNC;
    let file = rustix::fs::open(&path, make, Mode::RUSR | Mode::WUSR)?;
    match fs::remove_file(&path) {
        // Another process was here at the same time.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    let mut page = Aligned::new(ALIGN);
    rustix::io::pwrite(&file, page.bytes(), 0)?;
    // Dirty pages could be read from memory.
    rustix::fs::fsync(&file)?;
    Ok(
        rustix::fs::fcntl_setfl(&file, flags | OFlags::DIRECT).is_ok()
            && rustix::io::pread(&file, page.bytes_mut(), 0).is_ok_and(|count| count == ALIGN),
    )
}

struct Filesystem {
    name: &'static str,
    in_memory: bool,
    lasting: bool,
}

/// The filesystem of `dir`, by the magic number of statfs(2).
fn filesystem(dir: &Path) -> io::Result<Filesystem> {
    let magic = rustix::fs::statfs(dir)?.f_type;
    let (name, in_memory, lasting) = match magic {
        0xef53 => ("ext4", false, true),
        0x5846_5342 => ("xfs", false, true),
        0x9123_683e => ("btrfs", false, true),
        0xf2f5_2010 => ("f2fs", false, true),
        0x2fc1_2fc1 => ("zfs", false, true),
        0x0102_1994 | 0x8584_58f6 => ("tmpfs", true, false),
        0x794c_7630 => ("overlayfs", false, false),
        0x6969 => ("nfs", false, false),
        0x6573_5546 => ("fuse", false, false),
        _ => ("unknown", false, true),
    };
    Ok(Filesystem {
        name,
        in_memory,
        lasting,
    })
}

impl Filesystem {
    fn warning(&self, dir: &Path) -> Option<Warning> {
        (!self.lasting).then(|| Warning {
            what: format!(
                "{} is on {}, where a receipt may promise more than the medium keeps",
                dir.display(),
                self.name
            ),
            cure: "mount a volume with ext4, xfs or btrfs there".into(),
        })
    }
}

/// What stands in the way of io_uring, if anything does.
fn uring_obstacle() -> Option<Warning> {
    if fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|flag| flag.trim() == "2")
    {
        return Some(Warning {
            what: "io_uring is switched off on this machine".into(),
            cure: "set sysctl kernel.io_uring_disabled=0".into(),
        });
    }
    let memlock = raise(Resource::Memlock);
    if memlock < MEMLOCK_MIN {
        return Some(Warning {
            what: format!(
                "io_uring needs {MEMLOCK_MIN} bytes of locked memory, {memlock} are allowed"
            ),
            cure: MEMLOCK_CURE.into(),
        });
    }
    let ring = match io_uring::IoUring::new(2) {
        Ok(ring) => ring,
        Err(error) => {
            return Some(Warning {
                what: format!("io_uring is refused ({error})"),
                cure: "allow io_uring_setup, io_uring_enter and io_uring_register in the \
                       container's seccomp profile, or set sysctl kernel.io_uring_disabled=0"
                    .into(),
            });
        }
    };
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    if kernel_version(&release).is_some_and(|version| version < KERNEL_MIN) {
        return Some(Warning {
            what: format!("the io_uring of kernel {release} is too old to rely on"),
            cure: format!("run kernel {}.{} or later", KERNEL_MIN.0, KERNEL_MIN.1),
        });
    }
    let mut probe = io_uring::Probe::new();
    if let Err(error) = ring.submitter().register_probe(&mut probe) {
        return Some(Warning {
            what: format!("io_uring does not tell its operations ({error})"),
            cure: "allow io_uring_register in the container's seccomp profile".into(),
        });
    }
    let (name, _) = OPERATIONS
        .iter()
        .find(|(_, code)| !probe.is_supported(*code))?;
    Some(Warning {
        what: format!("io_uring lacks the operation {name}"),
        cure: format!("run kernel {}.{} or later", KERNEL_MIN.0, KERNEL_MIN.1),
    })
}

/// What glommio 0.9.0 exits without (`GLOMMIO_URING_OPS`).
const OPERATIONS: [(&str, u8); 23] = [
    ("nop", op::Nop::CODE),
    ("readv", op::Readv::CODE),
    ("writev", op::Writev::CODE),
    ("fsync", op::Fsync::CODE),
    ("read_fixed", op::ReadFixed::CODE),
    ("write_fixed", op::WriteFixed::CODE),
    ("poll_add", op::PollAdd::CODE),
    ("poll_remove", op::PollRemove::CODE),
    ("sendmsg", op::SendMsg::CODE),
    ("recvmsg", op::RecvMsg::CODE),
    ("timeout", op::Timeout::CODE),
    ("timeout_remove", op::TimeoutRemove::CODE),
    ("accept", op::Accept::CODE),
    ("link_timeout", op::LinkTimeout::CODE),
    ("connect", op::Connect::CODE),
    ("fallocate", op::Fallocate::CODE),
    ("openat", op::OpenAt::CODE),
    ("close", op::Close::CODE),
    ("statx", op::Statx::CODE),
    ("read", op::Read::CODE),
    ("write", op::Write::CODE),
    ("send", op::Send::CODE),
    ("recv", op::Recv::CODE),
];

/// Major and minor number of a kernel release such as `6.18.5-cloud`.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Raises a soft limit to the hard one; returns what holds then, `u64::MAX` for no limit.
fn raise(resource: Resource) -> u64 {
    let limit = getrlimit(resource);
    if limit.current != limit.maximum {
        // A refusal leaves the old limit, which the caller judges.
        let _ = setrlimit(
            resource,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        );
    }
    getrlimit(resource).current.unwrap_or(u64::MAX)
}

fn check_files(warnings: &mut Vec<Warning>) {
    let files = raise(Resource::Nofile);
    if files < FILES_MIN {
        warnings.push(Warning {
            what: format!("this process may open {files} files"),
            cure: format!(
                "raise it to {FILES_MIN}: LimitNOFILE in systemd, --ulimit nofile in docker, \
                 ulimit -n in a shell"
            ),
        });
    }
}

fn check_memlock(executors: usize, warnings: &mut Vec<Warning>) {
    let limit = getrlimit(Resource::Memlock).current.unwrap_or(u64::MAX);
    let need = on_disk(executors * (IO_MEMORY + REGISTRATIONS * SOCKET_MEMORY));
    if limit < need && !may_lock_memory() {
        warnings.push(Warning {
            what: format!(
                "this process may lock {limit} bytes of memory, {need} would let io_uring keep \
                 the IO buffers registered (about 15 % more small reads)"
            ),
            cure: MEMLOCK_CURE.into(),
        });
    }
}

/// Whether the process has CAP_IPC_LOCK, which lifts the limit (man capabilities).
fn may_lock_memory() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << CAP_IPC_LOCK) != 0)
}

/// A core for each executor where the machine seems to be ours, none where it is small or shared.
fn choose_cores(executors: usize) -> Vec<usize> {
    let Ok(allowed) = rustix::thread::sched_getaffinity(None) else {
        return Vec::new();
    };
    let cores: Vec<usize> = (0..rustix::thread::CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect();
    if cores.len() <= CORES_SHARED_MAX || cores.len() < executors {
        return Vec::new();
    }
    cores.into_iter().take(executors).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kernel releases of several vendors are understood, and nonsense is not.
    #[test]
    fn kernel_releases() {
        assert_eq!(kernel_version("6.18.5"), Some((6, 18)));
        assert_eq!(kernel_version("5.10.0-23-cloud-amd64"), Some((5, 10)));
        assert_eq!(kernel_version("5.15"), Some((5, 15)));
        assert_eq!(kernel_version("next"), None);
    }

    /// A forced backend is taken or refused, never replaced.
    #[test]
    fn a_forced_backend_is_obeyed() {
        let dir = crate::launch::tests::Scratch::new("preflight");
        let dirs = [dir.path().to_owned()];
        let posix = preflight(&dirs, 3, Some(Backend::Posix)).unwrap();
        assert_eq!((posix.backend, posix.executors), (Backend::Posix, 3));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "files left");
        match (
            preflight(&dirs, 1, Some(Backend::Uring)),
            preflight(&dirs, 1, None).unwrap(),
        ) {
            (Ok(forced), free) => {
                assert_eq!(
                    (forced.backend, free.backend),
                    (Backend::Uring, Backend::Uring)
                );
            }
            (Err(refused), free) => {
                assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
                assert_eq!(free.backend, Backend::Posix);
                assert!(free.warnings.iter().any(|warning| !warning.cure.is_empty()));
            }
        }
    }

    /// A directory that is not there is an error that names it.
    #[test]
    fn a_missing_directory_is_named() {
        let error = preflight(&["/no/such/place".into()], 1, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("/no/such/place"), "{error}");
    }
}
