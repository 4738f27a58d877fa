//! A thread that stays on one core, and what work takes of it.

use std::{hint::black_box, io, panic, thread, time::Duration};

use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use crate::{
    error::{Error, Result},
    meter::{Meter, Sample},
};

/// Does it on the core that a new thread happens to begin on, which it and its children never leave.
pub fn on_one<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let stay = || {
        let mut core = CpuSet::new();
        core.set(sched_getcpu());
        sched_setaffinity(None, &core).map_err(|error| Error::Io {
            what: "stay on one core".to_owned(),
            source: io::Error::from(error),
        })
    };
    thread::scope(|scope| {
        let done = scope.spawn(|| stay().and_then(|()| work())).join();
        done.unwrap_or_else(|cause| panic::resume_unwind(cause))
    })
}

/// What some work gives, and what it takes; `bytes` of a container went into it.
pub fn spend<T>(bytes: u64, work: impl FnOnce() -> T) -> (T, Sample) {
    let meter = Meter::start();
    let done = black_box(work());
    let sample = meter.stop(1, bytes);
    (done, sample)
}

/// Does it again and again for at least `span` of processor time. The first time does not count: it
/// meets fresh memory and cold tables.
pub fn repeat(span: Duration, mut once: impl FnMut() -> Result<Sample>) -> Result<Sample> {
    let [sum] = repeat_parts(span, || Ok([once()?]))?;
    Ok(sum)
}

/// The same for what has parts, each of which is summed up by itself.
pub fn repeat_parts<const PARTS: usize>(
    span: Duration,
    mut once: impl FnMut() -> Result<[Sample; PARTS]>,
) -> Result<[Sample; PARTS]> {
    once()?;
    let mut sums = once()?;
    while sums.iter().map(|sum| sum.cpu_seconds).sum::<f64>() < span.as_secs_f64() {
        for (sum, part) in sums.iter_mut().zip(once()?) {
            *sum = sum.plus(part);
        }
    }
    Ok(sums)
}

/// The same work, as if the core had been there for it alone: rates become those by processor time.
pub fn alone(sample: Sample) -> Sample {
    Sample {
        seconds: sample.cpu_seconds,
        ..sample
    }
}
