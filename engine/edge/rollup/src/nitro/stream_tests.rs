//! Messages in chunks against what a naive receiver would make of them, and every bound.

use core::time::Duration;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use proptest::prelude::*;

use super::*;

fn streams() -> (Streams, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&now);
    let machine = Machine::new(move || Duration::from_secs(clock.load(Relaxed)), [7; 32]);
    (Streams::new(machine, 1 << 20), now)
}

fn sign(bytes: &[u8], numbers: &[u64]) -> Vec<u8> {
    let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
    let bytes: Vec<u8> = bytes.iter().copied().chain(numbers).collect();
    Keccak256::digest(bytes).to_vec()
}

fn plan(chunk_len: u64, len: u64) -> Plan {
    Plan {
        timestamp: 1_000,
        chunks: len.div_ceil(chunk_len),
        chunk_len,
        len,
        timeout: 5,
    }
}

fn begin(streams: &Streams, plan: &Plan) -> Result<u64, StreamError> {
    let numbers = [
        plan.timestamp,
        plan.chunks,
        plan.chunk_len,
        plan.len,
        plan.timeout,
    ];
    streams.begin(plan, &sign(&[], &numbers))
}

fn take(streams: &Streams, name: u64, number: u64, chunk: &[u8]) -> Result<(), StreamError> {
    let signature = sign(chunk, &[name, number]);
    streams.take(name, number, chunk.to_vec(), &signature)
}

fn finish(streams: &Streams, name: u64) -> Result<(Vec<u8>, u64), StreamError> {
    streams.finish(name, &sign(&[], &[name]))
}

proptest! {
    /// In whatever order chunks come, and however often, the message is what was sent.
    #[test]
    fn any_order(
        message in prop::collection::vec(any::<u8>(), 1..200),
        chunk_len in 1_usize..50,
        seed: u64,
    ) {
        let (streams, _) = streams();
        let plan = plan(
            u64::try_from(chunk_len).expect("small"),
            u64::try_from(message.len()).expect("small"),
        );
        let name = begin(&streams, &plan).expect("a place");
        let mut chunks: Vec<(u64, &[u8])> = (0..).zip(message.chunks(chunk_len)).collect();
        chunks.extend(chunks.clone());
        chunks.sort_by_key(|(number, _)| (number.wrapping_add(1)).wrapping_mul(seed | 1));
        for (number, chunk) in chunks {
            prop_assert_eq!(take(&streams, name, number, chunk), Ok(()));
        }
        prop_assert_eq!(finish(&streams, name), Ok((message, 5)));
        prop_assert_eq!(finish(&streams, name), Err(StreamError::Unknown(name)));
    }
}

/// Messages whose numbers do not fit, whose hashes are others, or which are of another time.
#[test]
fn refused() {
    let (streams, _) = streams();
    let good = plan(10, 25);
    for bad in [
        Plan { chunks: 2, ..good },
        Plan {
            chunk_len: 0,
            ..good
        },
        Plan {
            len: 0,
            chunks: 0,
            ..good
        },
        Plan {
            chunk_len: 1,
            len: 65_537,
            chunks: 65_537,
            ..good
        },
        Plan {
            chunks: u64::MAX,
            ..good
        },
    ] {
        let refused = begin(&streams, &bad);
        assert!(matches!(refused, Err(StreamError::Plan { .. })), "{bad:?}");
    }
    let long = plan(1 << 20, (1 << 20) + 1);
    assert_eq!(begin(&streams, &long), Err(StreamError::TooLong));
    for timestamp in [699, 1_301] {
        let bad = Plan { timestamp, ..good };
        assert_eq!(begin(&streams, &bad), Err(StreamError::Old));
    }
    let unsigned = streams.begin(&good, &[0; 32]);
    assert_eq!(unsigned, Err(StreamError::Signature));
}

/// Chunks that are none of a message, and messages that are not whole, or not any more.
#[test]
fn chunks_are_checked() {
    let (streams, now) = streams();
    let good = plan(10, 25);
    let name = begin(&streams, &good).expect("a place");
    let range = take(&streams, name, 3, &[0; 10]);
    assert!(matches!(range, Err(StreamError::Range { .. })));
    for (number, len) in [(0, 9), (0, 11), (2, 10), (2, 0)] {
        let refused = take(&streams, name, number, &vec![0; len]);
        assert!(matches!(refused, Err(StreamError::Length { .. })));
    }
    let unsigned = streams.take(name, 0, vec![0; 10], &sign(&[0; 10], &[name, 1]));
    assert_eq!(unsigned, Err(StreamError::Signature));
    assert_eq!(take(&streams, name, 0, &[0; 10]), Ok(()));
    let incomplete = StreamError::Incomplete {
        message: name,
        got: 1,
        want: 3,
    };
    assert_eq!(finish(&streams, name), Err(incomplete));

    let name = begin(&streams, &good).expect("a place");
    assert_eq!(take(&streams, name, 0, &[0; 10]), Ok(()));
    assert_eq!(take(&streams, name, 0, &[1; 10]), Err(StreamError::Other));
    assert_eq!(
        take(&streams, name, 0, &[0; 10]),
        Err(StreamError::Unknown(name))
    );

    let name = begin(&streams, &good).expect("a place");
    now.store(1_059, Relaxed);
    assert_eq!(take(&streams, name, 0, &[0; 10]), Ok(()));
    now.store(1_118, Relaxed);
    assert_eq!(take(&streams, name, 1, &[0; 10]), Ok(()));
    now.store(1_178, Relaxed);
    assert_eq!(
        take(&streams, name, 2, &[0; 5]),
        Err(StreamError::Unknown(name))
    );
}

/// There are ten at once, and no more bytes than are set aside; places come back with time.
#[test]
fn bounded() {
    let (streams, now) = streams();
    let small = plan(10, 25);
    for _ in 0..10 {
        begin(&streams, &small).expect("a place");
    }
    assert_eq!(begin(&streams, &small), Err(StreamError::Full(10)));
    now.store(1_060, Relaxed);
    begin(&streams, &small).expect("a place");
    let mut few = Streams::new(streams.machine.clone(), 1 << 20);
    few.len_max = 2 << 20;
    let large = plan(1 << 20, 1 << 20);
    begin(&few, &large).expect("room");
    begin(&few, &large).expect("room");
    assert_eq!(begin(&few, &small), Err(StreamError::Full(2)));
}
