//! Where and when a figure was taken. A figure without this cannot be repeated, so every result
//! carries it. What the system does not tell is left empty, never guessed.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

/// The machine, its disk and the program's origin.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Seconds since the Unix epoch.
    pub unix_seconds: u64,
    /// Name of the processor.
    pub cpu: String,
    /// Threads it runs at once, as this process may use them.
    pub cores: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Kind of the filesystem that was measured.
    pub filesystem: String,
    /// Its device, with what the kernel says of it.
    pub disk: String,
    /// Compiler.
    pub rustc: String,
    /// Commit, with `+` where the work tree differs from it.
    pub commit: String,
    /// Load average over 1, 5 and 15 minutes before the run.
    pub load: String,
}

impl Machine {
    /// Looks around; `dir` is the folder that will be measured.
    pub fn look(dir: &Path) -> Self {
        let (filesystem, disk) = disk_of(dir);
        Self {
            unix_seconds: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
            kernel: read("/proc/sys/kernel/osrelease"),
            filesystem,
            disk,
            rustc: output("rustc", &["--version"]),
            commit: commit(),
            load: read("/proc/loadavg")
                .split(' ')
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).map_or(String::new(), |text| text.trim().to_owned())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

fn commit() -> String {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = !output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    format!("{commit}{}", if changed { "+" } else { "" })
}

/// The value of the first `key : value` line.
fn field(text: &str, key: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(key));
    line.and_then(|line| line.split_once(':'))
        .map_or(String::new(), |(_, value)| value.trim().to_owned())
}

fn memory_bytes(meminfo: &str) -> u64 {
    let kilobytes = field(meminfo, "MemTotal")
        .trim_end_matches(" kB")
        .parse::<u64>();
    kilobytes.map_or(0, |kilobytes| kilobytes * 1024)
}

/// Kind and device of the filesystem that holds `dir`.
fn disk_of(dir: &Path) -> (String, String) {
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let Some(mount) = mount_of(&read("/proc/self/mountinfo"), &dir) else {
        return (String::new(), String::new());
    };
    let queue = format!("/sys/dev/block/{}/queue", mount.device);
    // A partition's queue is its disk's.
    let parent = format!("/sys/dev/block/{}/../queue", mount.device);
    let queue = if Path::new(&queue).exists() {
        queue
    } else {
        parent
    };
    let known: Vec<String> = [
        "rotational",
        "write_cache",
        "logical_block_size",
        "nr_requests",
        "scheduler",
    ]
    .iter()
    .map(|name| (name, read(format!("{queue}/{name}"))))
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| format!("{name}={value}"))
    .collect();
    (
        mount.kind,
        format!("{} {}", mount.source, known.join(" "))
            .trim()
            .to_owned(),
    )
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    kind: String,
    source: String,
}

/// The mount with the longest point above `dir`, from the lines of proc_pid_mountinfo(5).
fn mount_of(mountinfo: &str, dir: &Path) -> Option<Mount> {
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let mut right = right.split(' ');
        let mount = Mount {
            device: (*left.get(2)?).to_owned(),
            kind: right.next()?.to_owned(),
            source: right.next()?.to_owned(),
        };
        let point = Path::new(left.get(4)?);
        dir.starts_with(point)
            .then(|| (point.components().count(), mount))
    };
    // Of two mounts on one point the later one is seen.
    mountinfo
        .lines()
        .filter_map(parse)
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, mount)| mount)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Machine, field, memory_bytes, mount_of};

    /// Proves that the closest mount wins, not the first or one with a similar name.
    #[test]
    fn finds_the_closest_mount() {
        let info = "1 0 254:0 / / rw - ext4 /dev/vda rw\n\
                    2 1 0:21 / /data rw shared:1 - tmpfs tmpfs rw\n\
                    3 2 259:1 / /data/disk rw - xfs /dev/nvme0n1p1 rw";
        let kind = |dir| mount_of(info, Path::new(dir)).unwrap().kind;
        assert_eq!(kind("/data/disk/x"), "xfs");
        assert_eq!(kind("/data/disks"), "tmpfs");
        assert_eq!(kind("/home"), "ext4");
    }

    /// Proves the reading of the two line formats.
    #[test]
    fn reads_fields() {
        assert_eq!(field("a : 1\nmodel name\t: X Y\n", "model name"), "X Y");
        assert_eq!(memory_bytes("MemTotal:       16 kB"), 16_384);
    }

    /// Proves that a real machine tells at least its kernel and its cores.
    #[test]
    fn looks_around() {
        let machine = Machine::look(Path::new("."));
        assert!(
            machine.cores > 0 && !machine.kernel.is_empty() && machine.memory_bytes > 0,
            "{machine:?}"
        );
    }
}
