//! What a put or a get cannot do without, each part alone and by the plainest code, on one core:
//! a node that cost no more than these parts together would have nothing left to save.

use std::{
    hint::black_box,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use lode_proofs::ChunkHasher;
use rustix::time::{ClockId, clock_gettime};

use crate::{
    error::{Error, Result},
    meter::{Meter, Sample, bytes_of},
    values::{CHUNK_LEN, PAGE_LEN, Values},
};

/// Values that are taken in turn: 64 MiB, more than a core's cache holds.
const VALUES: u64 = 256;

/// The sector tree's step for each chunk.
pub fn tree(values: &Values, span: Duration) -> Sample {
    let mut hasher = ChunkHasher::new();
    each(values, span, |chunk| {
        black_box(hasher.whole_root(chunk));
    })
}

/// Checksums of each chunk's pages, by which a get verifies what it has read.
pub fn checksums(values: &Values, span: Duration) -> Sample {
    each(values, span, |chunk| {
        for page in chunk.chunks(PAGE_LEN) {
            black_box(crc32c::crc32c(page));
        }
    })
}

/// BLAKE3 of each chunk, by which a get verifies what it has read with `--verify hash`.
pub fn blake3(values: &Values, span: Duration) -> Sample {
    each(values, span, |chunk| {
        black_box(blake3::hash(chunk));
    })
}

fn each(values: &Values, span: Duration, mut act: impl FnMut(&[u8; CHUNK_LEN])) -> Sample {
    let chunks: Vec<Box<[u8; CHUNK_LEN]>> = (0..VALUES)
        .filter_map(|index| values.value(index, CHUNK_LEN).try_into().ok())
        .collect();
    let meter = Meter::start();
    let end = Instant::now() + span;
    let mut count = 0;
    for chunk in chunks.iter().cycle() {
        act(chunk);
        count += 1;
        if Instant::now() >= end {
            break;
        }
    }
    meter.stop(count, count * bytes_of(CHUNK_LEN))
}

/// Sending chunks of memory through a loopback socket to a reader that only reads, at the sender's
/// cost. The kernel does most of a receiver's work in the sender's call, here as in a node.
///
/// # Errors
/// When there are no sockets.
pub fn send(values: &Values, span: Duration) -> Result<Sample> {
    let failed = || Error::io("send through", std::path::Path::new("loopback"));
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    let mut reader = TcpStream::connect(address).map_err(failed())?;
    let (mut sender, _) = listener.accept().map_err(failed())?;
    let reading = thread::spawn(move || {
        let mut buffer = vec![0; CHUNK_LEN];
        while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    let chunk = values.value(0, CHUNK_LEN);
    let (meter, cpu) = (Meter::start(), thread_cpu_time());
    let end = Instant::now() + span;
    let mut count = 0;
    let mut sent = Ok(());
    while sent.is_ok() && (count == 0 || Instant::now() < end) {
        sent = sender.write_all(&chunk);
        count += 1;
    }
    let cpu = thread_cpu_time().saturating_sub(cpu);
    let all = meter.stop(count, count * bytes_of(CHUNK_LEN));
    drop(sender);
    // It reads until the sender is gone, and has nothing to say.
    let _panicked = reading.join().is_err();
    sent.map_err(failed())?;
    Ok(Sample {
        cpu_seconds: cpu.as_secs_f64(),
        ..all
    })
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{blake3, checksums, send, tree};
    use crate::values::{CHUNK_LEN, Values};

    /// Proves that each part is done at least once, and costs something where it is long enough to
    /// tell.
    #[test]
    fn every_part_is_done() {
        let (values, span) = (Values::new(1), Duration::from_millis(50));
        for sample in [
            tree(&values, span),
            checksums(&values, span),
            blake3(&values, span),
            send(&values, span).unwrap(),
        ] {
            assert!(
                sample.operations > 0 && sample.cpu_seconds > 0.0,
                "{sample:?}"
            );
            let chunk = u64::try_from(CHUNK_LEN).unwrap();
            assert_eq!(sample.bytes, sample.operations * chunk);
        }
        let least = send(&values, Duration::ZERO).unwrap();
        assert_eq!(least.operations, 1);
    }
}
