//! How many bytes a second somebody gets: a bucket that fills at a rate, and holds a burst.

use std::time::{Duration, SystemTime};

/// Bytes that were taken, as the time when all of them are paid for at the rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: u64,
    burst: Duration,
    paid: SystemTime,
}

impl Bucket {
    /// A full bucket of `burst` bytes that fills with `rate` bytes a second, at least one.
    pub(crate) fn new(rate: u64, burst: u64) -> Bucket {
        let rate = rate.max(1);
        Bucket {
            rate,
            burst: time_of(burst, rate),
            paid: SystemTime::UNIX_EPOCH,
        }
    }

    /// Takes bytes; returns how long to wait before they are used. In any time span, no more are used
    /// than the burst, the rate over the span, and the last that was taken.
    pub(crate) fn take(&mut self, now: SystemTime, bytes: u64) -> Duration {
        let full = now.checked_sub(self.burst);
        let from = self.paid.max(full.unwrap_or(SystemTime::UNIX_EPOCH));
        self.paid = from + time_of(bytes, self.rate);
        from.duration_since(now).unwrap_or(Duration::ZERO)
    }
}

/// Time in which so many bytes come at a rate.
fn time_of(bytes: u64, rate: u64) -> Duration {
    let (whole, rest) = (bytes / rate, bytes % rate);
    let nanos = u128::from(rest) * 1_000_000_000 / u128::from(rate);
    let nanos = u32::try_from(nanos).expect("less than a second");
    Duration::new(whole, nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whoever takes without end gets the burst, and then the rate: no span of time has more.
        #[test]
        fn no_span_has_more(
            rate in 1000u64..1_000_000,
            burst in 0u64..100_000,
            asks in proptest::collection::vec((0u64..2000, 1u64..10_000), 1..60),
        ) {
            let mut bucket = Bucket::new(rate, burst);
            let mut now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
            let mut uses = Vec::new();
            for (pause, bytes) in asks {
                now += Duration::from_millis(pause);
                now += bucket.take(now, bytes);
                uses.push((now, bytes));
            }
            for (first, (since, _)) in uses.iter().enumerate() {
                let mut sum = 0u64;
                for (until, bytes) in &uses[first..] {
                    let span = until.duration_since(*since).unwrap().as_nanos();
                    let most = u128::from(burst + 1) * 1_000_000_000 + span * u128::from(rate);
                    let used = u128::from(sum) * 1_000_000_000;
                    prop_assert!(used <= most, "{sum} bytes in {span} ns");
                    sum += bytes;
                }
            }
        }
    }

    /// Whoever asks for less than the rate never waits.
    #[test]
    fn is_free_below_the_rate() {
        let mut bucket = Bucket::new(1000, 100);
        let mut now = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        for _ in 0..100 {
            assert_eq!(bucket.take(now, 90), Duration::ZERO);
            now += Duration::from_millis(100);
        }
    }
}
