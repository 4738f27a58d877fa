//! What one client may cost the others: sizes, times and counts of the edge.

use core::time::Duration;

/// Bounds of one executor's edge. Counts and bytes are per executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Time for a complete request head.
    pub head_time: Duration,
    /// Time without a request before a connection is closed.
    pub idle_time: Duration,
    /// Span over which a body or a reply must move at least [`Limits::progress_bytes`]. Only time
    /// in which we wait for the client counts.
    pub progress_time: Duration,
    /// Bytes that must move in [`Limits::progress_time`].
    pub progress_bytes: u64,
    /// Time that a stalled client is left alone while others wait for the credit that it holds.
    pub pressure_time: Duration,
    /// How long a request waits for credit before it is sent away.
    pub credit_time: Duration,
    /// Time for requests in flight to end when the edge stops.
    pub drain_time: Duration,
    /// Bytes of replies in flight, with what the pages that hold them take beside them.
    pub reply_credit: u64,
    /// Bytes of request bodies in flight.
    pub intake_credit: u64,
    /// Bytes of one blob.
    pub blob_len: u64,
    /// Bytes of a request head (request line and headers).
    pub head_len: usize,
    /// Bytes of the body of a request that is not a blob.
    pub small_body_len: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(60),
            progress_time: Duration::from_secs(30),
            progress_bytes: 64 * 1024,
            pressure_time: Duration::from_secs(2),
            credit_time: Duration::from_secs(10),
            drain_time: Duration::from_secs(20),
            reply_credit: 24 * 1024 * 1024,
            intake_credit: 16 * 1024 * 1024,
            blob_len: 2 << 40,
            head_len: 16 * 1024,
            small_body_len: 64 * 1024,
        }
    }
}
