//! What an executor's edge counts: atomics of its own, written by one thread, summed at a scrape.

use core::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds of the latency buckets in seconds; one more bucket has no bound.
pub const LATENCY_BOUNDS: [f64; 14] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
];

/// Which group of routes a request belongs to: the `route` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `PUT`, `POST /v1/blobs`.
    Put,
    /// `GET`, `HEAD /v1/blobs/{root}`.
    Get,
    /// `DELETE /v1/blobs/{root}`.
    Delete,
    /// `GET /v1/blobs`.
    List,
    /// `GET /v1/blobs/{root}/proof/{chunk}`.
    Proof,
    /// All of `/v1/uploads`.
    Upload,
    /// What the tokio side serves, and what nobody does.
    Other,
}

impl Door {
    /// All of them, in the order of [`Door::index`].
    pub const ALL: [(Door, &'static str); 7] = [
        (Door::Put, "put"),
        (Door::Get, "get"),
        (Door::Delete, "delete"),
        (Door::List, "list"),
        (Door::Proof, "proof"),
        (Door::Upload, "upload"),
        (Door::Other, "other"),
    ];

    fn index(self) -> usize {
        match self {
            Door::Put => 0,
            Door::Get => 1,
            Door::Delete => 2,
            Door::List => 3,
            Door::Proof => 4,
            Door::Upload => 5,
            Door::Other => 6,
        }
    }
}

/// Why a connection was ended by us: the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// No complete request head in time.
    Head,
    /// No next request in time.
    Idle,
    /// A body too slow.
    Body,
    /// A reply taken too slowly.
    Reply,
    /// Held credit that others waited for, without moving.
    Pressure,
    /// Silent in a full house, or refused at its door.
    Crowd,
}

impl Eviction {
    /// All of them, in the order of [`Eviction::index`].
    pub const ALL: [(Eviction, &'static str); 6] = [
        (Eviction::Head, "head"),
        (Eviction::Idle, "idle"),
        (Eviction::Body, "body"),
        (Eviction::Reply, "reply"),
        (Eviction::Pressure, "pressure"),
        (Eviction::Crowd, "crowd"),
    ];

    fn index(self) -> usize {
        match self {
            Eviction::Head => 0,
            Eviction::Idle => 1,
            Eviction::Body => 2,
            Eviction::Reply => 3,
            Eviction::Pressure => 4,
            Eviction::Crowd => 5,
        }
    }
}

/// Classes of the `status` label: `1xx` to `5xx`.
pub const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Debug, Default)]
struct DoorMeter {
    by_status: [AtomicU64; 5],
    buckets: [AtomicU64; 15],
    micros: AtomicU64,
    in_bytes: AtomicU64,
    out_bytes: AtomicU64,
}

/// One executor's counters.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    doors: [DoorMeter; 7],
    evictions: [AtomicU64; 6],
    connections: AtomicU64,
    accepted: AtomicU64,
    reply_held: AtomicU64,
    intake_held: AtomicU64,
}

impl Meter {
    /// A request is over: its answer's last byte was handed over, or the connection ended.
    pub fn request(&self, door: Door, status: u16, span: Duration, sent: u64) {
        let meter = &self.doors[door.index()];
        let class = usize::from((status / 100).clamp(1, 5) - 1);
        meter.by_status[class].fetch_add(1, Relaxed);
        let seconds = span.as_secs_f64();
        let bucket = LATENCY_BOUNDS.iter().position(|bound| seconds <= *bound);
        meter.buckets[bucket.unwrap_or(LATENCY_BOUNDS.len())].fetch_add(1, Relaxed);
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        meter.micros.fetch_add(micros, Relaxed);
        meter.out_bytes.fetch_add(sent, Relaxed);
    }

    /// Bytes of a request body came in.
    pub fn took(&self, door: Door, bytes: u64) {
        self.doors[door.index()].in_bytes.fetch_add(bytes, Relaxed);
    }

    /// We ended a connection.
    pub fn evicted(&self, reason: Eviction) {
        self.evictions[reason.index()].fetch_add(1, Relaxed);
    }

    /// A connection was accepted.
    pub fn accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    /// Gauges of now.
    pub fn gauges(&self, connections: u64, reply_held: u64, intake_held: u64) {
        self.connections.store(connections, Relaxed);
        self.reply_held.store(reply_held, Relaxed);
        self.intake_held.store(intake_held, Relaxed);
    }
}

/// A door's counters, summed over executors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct DoorSum {
    pub by_status: [u64; 5],
    /// Requests per latency bucket, not cumulative.
    pub buckets: [u64; 15],
    pub seconds: f64,
    pub in_bytes: u64,
    pub out_bytes: u64,
}

/// All counters, summed over executors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    pub doors: [DoorSum; 7],
    pub evictions: [u64; 6],
    pub connections: u64,
    pub accepted: u64,
    pub reply_held: u64,
    pub intake_held: u64,
}

impl Sum {
    /// Adds the meters of all executors up.
    pub fn of<'a>(meters: impl IntoIterator<Item = &'a Meter>) -> Self {
        let mut sum = Sum::default();
        for meter in meters {
            sum.add(meter);
        }
        sum
    }

    fn add(&mut self, meter: &Meter) {
        for (sum, door) in self.doors.iter_mut().zip(&meter.doors) {
            add_all(&mut sum.by_status, &door.by_status);
            add_all(&mut sum.buckets, &door.buckets);
            sum.seconds += Duration::from_micros(door.micros.load(Relaxed)).as_secs_f64();
            sum.in_bytes += door.in_bytes.load(Relaxed);
            sum.out_bytes += door.out_bytes.load(Relaxed);
        }
        add_all(&mut self.evictions, &meter.evictions);
        self.connections += meter.connections.load(Relaxed);
        self.accepted += meter.accepted.load(Relaxed);
        self.reply_held += meter.reply_held.load(Relaxed);
        self.intake_held += meter.intake_held.load(Relaxed);
    }
}

fn add_all<const N: usize>(sums: &mut [u64; N], counters: &[AtomicU64; N]) {
    for (sum, counter) in sums.iter_mut().zip(counters) {
        *sum += counter.load(Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two executors' counts add up under the right labels.
    #[test]
    fn sums() {
        let (one, two) = (Meter::default(), Meter::default());
        one.request(Door::Get, 206, Duration::from_micros(150), 10);
        two.request(Door::Get, 404, Duration::from_secs(60), 5);
        two.took(Door::Put, 7);
        two.evicted(Eviction::Crowd);
        one.gauges(1, 2, 3);
        two.gauges(10, 20, 30);
        let sum = Sum::of([&one, &two]);
        let get = &sum.doors[Door::Get.index()];
        assert_eq!(get.by_status, [0, 1, 0, 1, 0]);
        assert_eq!((get.buckets[1], get.buckets[14]), (1, 1));
        assert_eq!(get.out_bytes, 15);
        assert!((get.seconds - 60.00015).abs() < 1e-9);
        assert_eq!(sum.doors[Door::Put.index()].in_bytes, 7);
        assert_eq!(sum.evictions, [0, 0, 0, 0, 0, 1]);
        assert_eq!(
            (sum.connections, sum.reply_held, sum.intake_held),
            (11, 22, 33)
        );
    }

    /// The tables of labels are in the order of the indexes that they are read by.
    #[test]
    fn tables() {
        for (at, (door, _)) in Door::ALL.iter().enumerate() {
            assert_eq!(door.index(), at);
        }
        for (at, (eviction, _)) in Eviction::ALL.iter().enumerate() {
            assert_eq!(eviction.index(), at);
        }
    }
}
