//! Wall time, processor time and bytes moved of a piece of work, for the whole process: threads,
//! and the kernel threads that io_uring keeps for it, included. Of this process or of another one,
//! which a client of it times.

use std::{fs, io, time::Duration, time::Instant};

use rustix::{
    param::clock_ticks_per_second,
    time::{ClockId, clock_gettime},
};

/// A running measurement.
pub struct Meter {
    wall: Instant,
    cpu: Duration,
    moved: Moved,
}

/// What a piece of work did and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Operations done.
    pub operations: u64,
    /// Payload bytes moved; 0 where that says nothing.
    pub bytes: u64,
    /// Bytes this process fetched from the disk.
    pub bytes_read: u64,
    /// Bytes this process sent to the disk.
    pub bytes_written: u64,
    /// Wall time.
    pub seconds: f64,
    /// Processor time, user and system, of all threads.
    pub cpu_seconds: f64,
}

impl Meter {
    /// Starts measuring.
    pub fn start() -> Self {
        Self {
            moved: Moved::so_far("self"),
            cpu: cpu_time(),
            wall: Instant::now(),
        }
    }

    /// Stops, after `operations` that moved `bytes`.
    pub fn stop(self, operations: u64, bytes: u64) -> Sample {
        let seconds = self.wall.elapsed().as_secs_f64();
        let cpu_seconds = cpu_time().saturating_sub(self.cpu).as_secs_f64();
        let moved = Moved::so_far("self");
        Sample {
            operations,
            bytes,
            bytes_read: moved.read.saturating_sub(self.moved.read),
            bytes_written: moved.written.saturating_sub(self.moved.written),
            seconds,
            cpu_seconds,
        }
    }
}

/// A running measurement of what another process spends.
pub struct Watched {
    process: String,
    cpu: Duration,
    moved: Moved,
}

impl Watched {
    /// Starts measuring.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn start(pid: u32) -> io::Result<Self> {
        let process = pid.to_string();
        Ok(Self {
            cpu: cpu_time_of(&process)?,
            moved: Moved::so_far(&process),
            process,
        })
    }

    /// Stops: the work that this process timed as `own`, at the other's cost. Processor time comes
    /// in ticks of 10 ms, so the work should take many of them.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn stop(self, own: Sample) -> io::Result<Sample> {
        let cpu = cpu_time_of(&self.process)?.saturating_sub(self.cpu);
        let moved = Moved::so_far(&self.process);
        Ok(Sample {
            bytes_read: moved.read.saturating_sub(self.moved.read),
            bytes_written: moved.written.saturating_sub(self.moved.written),
            cpu_seconds: cpu.as_secs_f64(),
            ..own
        })
    }
}

/// Processor time of each thread of a process, user and system, by its name without numbers: threads
/// of one kind are one. Those that have ended are not among them.
///
/// # Errors
/// When there is no such process.
pub fn threads_of(pid: u32) -> io::Result<Vec<(String, Duration)>> {
    let mut threads = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while it is looked at.
        let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else {
            continue;
        };
        let name = stat
            .split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(") "));
        if let (Some((name, _)), Some(ticks)) = (name, ticks(&stat)) {
            let name = name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '-');
            threads.push((name.to_owned(), of_ticks(ticks)));
        }
    }
    Ok(threads)
}

/// The most memory that a process has had at once, in bytes (VmHWM of proc_pid_status(5)).
///
/// # Errors
/// When there is no such process.
pub fn peak_memory(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| io::Error::other("the kernel tells no peak of memory"))
}

impl Sample {
    /// This work and more of it.
    pub fn plus(self, more: Self) -> Self {
        Self {
            operations: self.operations + more.operations,
            bytes: self.bytes + more.bytes,
            bytes_read: self.bytes_read + more.bytes_read,
            bytes_written: self.bytes_written + more.bytes_written,
            seconds: self.seconds + more.seconds,
            cpu_seconds: self.cpu_seconds + more.cpu_seconds,
        }
    }

    /// 10^6 bytes per second.
    pub fn megabytes_per_second(&self) -> f64 {
        float(self.bytes) / 1e6 / self.seconds
    }

    /// Operations per second.
    pub fn operations_per_second(&self) -> f64 {
        float(self.operations) / self.seconds
    }

    /// Processor seconds for 10^9 bytes of payload.
    pub fn cpu_seconds_per_gb(&self) -> f64 {
        self.cpu_seconds / (float(self.bytes) / 1e9)
    }

    /// Processor microseconds for one operation.
    pub fn cpu_micros_per_operation(&self) -> f64 {
        self.cpu_seconds * 1e6 / float(self.operations.max(1))
    }

    /// Bytes fetched from the disk for each byte of payload. Near 0 for reads, they were not cold.
    pub fn read_amplification(&self) -> f64 {
        float(self.bytes_read) / float(self.bytes)
    }

    /// Bytes sent to the disk for each byte of payload.
    pub fn write_amplification(&self) -> f64 {
        float(self.bytes_written) / float(self.bytes)
    }
}

/// The nearest float: both halves convert exactly, and only the sum rounds.
pub fn float(number: u64) -> f64 {
    let low = u32::try_from(number & u64::from(u32::MAX)).expect("masked to 32 bits");
    let high = u32::try_from(number >> 32).expect("32 bits are left");
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// A length in memory as a number of bytes.
pub fn bytes_of(len: usize) -> u64 {
    u64::try_from(len).expect("usize has at most 64 bits")
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("processor time is not negative");
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Processor time of a process and all its threads, user and system.
fn cpu_time_of(process: &str) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let ticks = ticks(&stat).ok_or_else(|| io::Error::other("a process without its times"))?;
    Ok(of_ticks(ticks))
}

fn of_ticks(ticks: u64) -> Duration {
    let per_second = clock_ticks_per_second().max(1);
    let rest = ticks % per_second * 1_000_000_000 / per_second;
    Duration::from_secs(ticks / per_second) + Duration::from_nanos(rest)
}

/// The fields utime and stime of proc_pid_stat(5), 14 and 15. The name before them may hold
/// anything, even parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, from_third) = stat.rsplit_once(") ")?;
    let mut times = from_third.split(' ').skip(14 - 3);
    let mut next = || times.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// What a process made storage move, as proc_pid_io(5) counts it; 0 where the kernel does not.
#[derive(Clone, Copy)]
struct Moved {
    read: u64,
    written: u64,
}

impl Moved {
    fn so_far(process: &str) -> Self {
        let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
        let count = |name| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|count| count.trim().parse().ok())
                .unwrap_or(0)
        };
        Self {
            read: count("read_bytes: "),
            written: count("write_bytes: "),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Meter, Sample, Watched, cpu_time, float, peak_memory, threads_of, ticks};

    /// Proves that the conversion is exact where a float is, and rounds to the nearest beyond.
    #[test]
    fn converts_exactly() {
        assert_eq!(float(0), 0.0);
        assert_eq!(float((1 << 53) - 1), 9_007_199_254_740_991.0);
        assert_eq!(float(u64::MAX), 18_446_744_073_709_551_615.0);
    }

    /// Proves that work of another thread is counted.
    #[test]
    fn counts_other_threads() {
        let meter = Meter::start();
        std::thread::spawn(|| {
            (0..20_000_000_u64).fold(1, |sum, next| std::hint::black_box(sum ^ next))
        })
        .join()
        .unwrap();
        let sample = meter.stop(1, 1);
        assert!(sample.cpu_seconds > 0.0, "{sample:?}");
        assert!(sample.seconds > 0.0, "{sample:?}");
    }

    /// Proves that another process's account has what was spent, and keeps what was timed here.
    #[test]
    fn watches_a_process() {
        let watched = Watched::start(std::process::id()).unwrap();
        let before = cpu_time();
        while cpu_time() < before + Duration::from_millis(100) {}
        let own = Sample {
            operations: 7,
            seconds: 2.0,
            ..Sample::default()
        };
        let sample = watched.stop(own).unwrap();
        assert!(sample.cpu_seconds >= 0.08, "{sample:?}");
        assert_eq!((sample.operations, sample.seconds), (7, 2.0));
        assert!(peak_memory(std::process::id()).unwrap() > 1 << 20);
        let threads = threads_of(std::process::id()).unwrap();
        let sum: Duration = threads.iter().map(|(_, time)| *time).sum();
        assert!(sum >= Duration::from_millis(80), "{threads:?}");
        assert!(Watched::start(u32::MAX).is_err() && peak_memory(u32::MAX).is_err());
    }

    /// Proves that times are found behind any name, and that a line without them is refused.
    #[test]
    fn finds_the_times() {
        let line = "7 (a) R 1) S 1 1 1 0 -1 4194560 100 200 0 0 31 11 5 5 20 0 3 0 99";
        assert_eq!(ticks(line), Some(42));
        assert_eq!(ticks("7 (a) S 1 1"), None);
    }

    /// Proves the arithmetic of the rates on round numbers.
    #[test]
    fn derives_rates() {
        let sample = Sample {
            operations: 10,
            bytes: 2_000_000,
            bytes_read: 1_000_000,
            bytes_written: 3_000_000,
            seconds: 2.0,
            cpu_seconds: 1.0,
        };
        assert_eq!(sample.megabytes_per_second(), 1.0);
        assert_eq!(sample.operations_per_second(), 5.0);
        assert_eq!(sample.cpu_seconds_per_gb(), 500.0);
        assert_eq!(sample.cpu_micros_per_operation(), 100_000.0);
        assert_eq!(sample.write_amplification(), 1.5);
        assert_eq!(sample.read_amplification(), 0.5);
        assert_eq!(sample.plus(sample).operations, 20);
    }
}
