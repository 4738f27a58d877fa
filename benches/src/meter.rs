//! Wall time, processor time and bytes written of a piece of work, for the whole process: threads,
//! and the kernel threads that io_uring keeps for it, included.

use std::{fs, time::Duration, time::Instant};

use rustix::time::{ClockId, clock_gettime};

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
            moved: Moved::so_far(),
            cpu: cpu_time(),
            wall: Instant::now(),
        }
    }

    /// Stops, after `operations` that moved `bytes`.
    pub fn stop(self, operations: u64, bytes: u64) -> Sample {
        let seconds = self.wall.elapsed().as_secs_f64();
        let cpu_seconds = cpu_time().saturating_sub(self.cpu).as_secs_f64();
        let moved = Moved::so_far();
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

/// What this process made storage move, as proc_pid_io(5) counts it; 0 where the kernel does not.
#[derive(Clone, Copy)]
struct Moved {
    read: u64,
    written: u64,
}

impl Moved {
    fn so_far() -> Self {
        let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
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
    use super::{Meter, Sample, float};

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
