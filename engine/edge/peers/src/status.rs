//! What an operator wants to know, counted where it happens.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// How a node stands with the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Nodes that are here: they said so within the last ten seconds.
    pub peers: u64,
    /// Bytes of messages that came.
    pub bytes_in: u64,
    /// Bytes of messages that went out.
    pub bytes_out: u64,
    /// Chunks that came from others and were kept.
    pub chunks_fetched: u64,
    /// Chunks that were sent to others.
    pub chunks_served: u64,
    /// Chunks that others asked for and that were not here, or not in time.
    pub chunks_lacked: u64,
    /// Chunks known to be missing: of the blobs that are being filled, those that nobody has brought.
    pub missing: u64,
    /// Blobs that wait because nobody could help.
    pub stalled: u64,
    /// Chunks asked for, or on their way into the store.
    pub in_flight: u64,
    /// The most of these there ever were.
    pub in_flight_peak: u64,
    /// Requests that were not answered in time.
    pub late: u64,
    /// Nodes that lied, and are not spoken to any more.
    pub liars: u64,
    /// Submissions that are known here.
    pub next_seq: u64,
    /// All blobs of submissions below it are complete here.
    pub complete_below: u64,
    /// The submission that the sweep of the flow looks at next.
    pub sweep_at: u64,
}

/// The counts; clones are the same ones.
#[derive(Clone, Default)]
pub(crate) struct Counts(Arc<Inside>);

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) peers: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) chunks_fetched: AtomicU64,
    pub(crate) chunks_served: AtomicU64,
    pub(crate) chunks_lacked: AtomicU64,
    pub(crate) missing: AtomicU64,
    pub(crate) stalled: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) in_flight_peak: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) liars: AtomicU64,
    pub(crate) next_seq: AtomicU64,
    pub(crate) complete_below: AtomicU64,
    pub(crate) sweep_at: AtomicU64,
}

impl std::ops::Deref for Counts {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.0
    }
}

impl Counts {
    pub(crate) fn status(&self) -> Status {
        Status {
            peers: self.peers.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            chunks_fetched: self.chunks_fetched.load(Relaxed),
            chunks_served: self.chunks_served.load(Relaxed),
            chunks_lacked: self.chunks_lacked.load(Relaxed),
            missing: self.missing.load(Relaxed),
            stalled: self.stalled.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            in_flight_peak: self.in_flight_peak.load(Relaxed),
            late: self.late.load(Relaxed),
            liars: self.liars.load(Relaxed),
            next_seq: self.next_seq.load(Relaxed),
            complete_below: self.complete_below.load(Relaxed),
            sweep_at: self.sweep_at.load(Relaxed),
        }
    }
}

/// A length as it is counted.
pub(crate) fn counted(len: usize) -> u64 {
    u64::try_from(len).expect("memory is below 2^64 bytes")
}

/// Adds to a count.
pub(crate) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Relaxed);
}

/// Sets a count.
pub(crate) fn set(count: &AtomicU64, to: u64) {
    count.store(to, Relaxed);
}
