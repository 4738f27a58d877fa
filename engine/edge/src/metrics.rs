//! `/metrics`: the counters of store and edge, and of what runs beside them, in Prometheus' text form.

use core::fmt;

use lode_engine::stats::Stats;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, text},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Registry,
};

use crate::meter::{Door, Eviction, LATENCY_BOUNDS, STATUS_CLASSES, Sum};

/// Content type of the text form.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One number of the store, as a metric.
pub struct StoreMetric {
    /// Name without prefix; counters get `_total` behind it.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Only ever grows, from the process's start.
    pub counter: bool,
    /// Where it is.
    pub read: fn(&Stats) -> u64,
}

/// Declares the table from lines of name, kind, help.
macro_rules! store_metrics {
    ($($field:ident as $name:literal $kind:ident $help:literal;)+) => {
        /// Every number of the store. Taking `Stats` apart here makes a new field an error until
        /// it has a line.
        pub const STORE_METRICS: &[StoreMetric] = &[$(StoreMetric {
            name: $name, help: $help, counter: store_metrics!(@ $kind), read: |stats| stats.$field,
        }),+];
        const _: fn(&Stats) = |Stats { $($field: _),+ }| ();
    };
    (@ counter) => { true };
    (@ gauge) => { false };
}

store_metrics! {
    blobs as "blobs" gauge "Blobs stored now";
    uploads as "uploads" gauge "Unfinished uploads now";
    chunks as "chunks" gauge "Chunks of stored blobs now";
    blob_bytes as "blob_bytes" gauge "Bytes of stored blobs now";
    index_bytes as "index_bytes" gauge "Memory of the index";
    segments as "segments" gauge "Segment files now";
    segment_bytes as "segment_bytes" gauge "Bytes of segment files now";
    live_bytes as "live_bytes" gauge "Bytes of live records in segments";
    records as "records" counter "Records acknowledged";
    record_bytes as "record_bytes" counter "Payload bytes acknowledged";
    frames as "frames" counter "Frames committed, one sync each";
    written_bytes as "written_bytes" counter "Bytes written to the disk";
    reads as "chunk_reads" counter "Chunk reads served";
    read_bytes as "read_bytes" counter "Bytes served by the store";
    corrupt as "corrupt_records" counter "Damaged records found by reads and scrubs";
    write_failures as "write_failures" counter "Writes or syncs that failed";
    full_refusals as "full_refusals" counter "Puts refused because the disk is full";
    scrubbed_bytes as "scrubbed_bytes" counter "Bytes scrubbed";
    scrub_passes as "scrub_passes" counter "Complete scrub passes";
    segments_freed as "segments_freed" counter "Segments freed by compaction or expiry";
    moved_bytes as "moved_bytes" counter "Bytes copied by compaction";
    torn_bytes as "torn_bytes" gauge "Bytes dropped at the last start as the torn end of the log";
    replay_micros as "replay_microseconds" gauge "Time that the last start took";
    disk_free as "disk_free_bytes" gauge "Bytes free on the filesystem";
    disk_total as "disk_total_bytes" gauge "Bytes of the filesystem";
    read_only as "read_only" gauge "1 while new blobs are refused for lack of space";
    epoch as "epoch" gauge "Epoch that the store was told last";
}

/// All counters at one moment.
#[derive(Debug)]
struct Snapshot {
    stats: Option<Stats>,
    sum: Sum,
}

/// Adds what a part of the node counts to a page; its names must be its own.
pub type MoreMetrics = dyn Fn(&mut Registry) + Send + Sync;

/// Writes everything down. Without `stats` (the store does not answer) the edge's part, `more` and
/// `lode_up 0` remain.
pub(crate) fn encode(
    stats: Option<Stats>,
    sum: Sum,
    more: Option<&MoreMetrics>,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("lode");
    registry.register_collector(Box::new(Snapshot { stats, sum }));
    if let Some(more) = more {
        more(&mut registry);
    }
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(page)
}

/// No label set has exemplars.
type NoLabels = [(&'static str, &'static str); 0];
const NO_EXEMPLAR: Option<&Exemplar<NoLabels, f64>> = None;

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        gauge(
            &mut encoder,
            "up",
            "1 while the store answers",
            u64::from(self.stats.is_some()),
        )?;
        if let Some(stats) = &self.stats {
            for metric in STORE_METRICS {
                let value = (metric.read)(stats);
                match metric.counter {
                    true => counter(&mut encoder, metric.name, metric.help, value)?,
                    false => gauge(&mut encoder, metric.name, metric.help, value)?,
                }
            }
        }
        self.connections(&mut encoder)?;
        self.requests(&mut encoder)?;
        self.latency(&mut encoder)
    }
}

impl Snapshot {
    fn connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sum = &self.sum;
        gauge(
            encoder,
            "http_connections",
            "Open connections",
            sum.connections,
        )?;
        gauge(
            encoder,
            "http_reply_held_bytes",
            "Bytes of replies in flight",
            sum.reply_held,
        )?;
        gauge(
            encoder,
            "http_intake_held_bytes",
            "Bytes of bodies in flight",
            sum.intake_held,
        )?;
        counter(
            encoder,
            "http_accepted",
            "Connections accepted",
            sum.accepted,
        )?;
        let help = "Connections ended by the node, by reason";
        let mut family = encoder.encode_descriptor("http_evicted", help, None, COUNTER)?;
        for ((_, reason), count) in Eviction::ALL.iter().zip(sum.evictions) {
            let labels = [("reason", *reason)];
            family
                .encode_family(&labels)?
                .encode_counter(&count, NO_EXEMPLAR)?;
        }
        Ok(())
    }

    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests by route and class of status";
        let mut family = encoder.encode_descriptor("http_requests", help, None, COUNTER)?;
        for ((_, route), door) in Door::ALL.iter().zip(&self.sum.doors) {
            for (status, count) in STATUS_CLASSES.iter().zip(door.by_status) {
                let labels = [("route", *route), ("status", *status)];
                family
                    .encode_family(&labels)?
                    .encode_counter(&count, NO_EXEMPLAR)?;
            }
        }
        let help = "Bytes of request bodies by route";
        self.per_route(encoder, "http_request_bytes", help, |at| {
            self.sum.doors[at].in_bytes
        })?;
        let help = "Bytes of response bodies by route";
        self.per_route(encoder, "http_response_bytes", help, |at| {
            self.sum.doors[at].out_bytes
        })
    }

    fn per_route(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        read: impl Fn(usize) -> u64,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, COUNTER)?;
        for (at, (_, route)) in Door::ALL.iter().enumerate() {
            let labels = [("route", *route)];
            family
                .encode_family(&labels)?
                .encode_counter(&read(at), NO_EXEMPLAR)?;
        }
        Ok(())
    }

    fn latency(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Time from a request's head to the last byte of its answer, by route";
        let name = "http_request_duration_seconds";
        let kind = MetricType::Histogram;
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for ((_, route), door) in Door::ALL.iter().zip(&self.sum.doors) {
            let bounds = LATENCY_BOUNDS.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(door.buckets).collect();
            let count = door.buckets.iter().sum();
            let labels = [("route", *route)];
            let mut metric: MetricEncoder<'_> = family.encode_family(&labels)?;
            metric.encode_histogram::<NoLabels>(door.seconds, count, &buckets, None)?;
        }
        Ok(())
    }
}

const COUNTER: MetricType = MetricType::Counter;

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, COUNTER)?;
    metric.encode_counter(&value, NO_EXEMPLAR)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    metric.encode_gauge(&value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Meter;
    use core::time::Duration;

    /// Names, labels and values come out as documented, and nothing is listed twice.
    #[test]
    fn page() {
        let stats = Stats {
            blobs: 3,
            records: 5,
            ..Stats::default()
        };
        let meter = Meter::default();
        meter.request(Door::Get, 200, Duration::from_micros(150), 7);
        meter.request(Door::Get, 200, Duration::from_secs(100), 7);
        meter.evicted(Eviction::Head);
        let more = |registry: &mut Registry| {
            let sum = Sum::default();
            let more = registry.sub_registry_with_prefix("more");
            more.register_collector(Box::new(Snapshot { stats: None, sum }));
        };
        let page = encode(Some(stats), Sum::of([&meter]), Some(&more)).unwrap();
        for line in [
            "lode_up 1",
            "lode_more_up 0",
            "lode_blobs 3",
            "lode_records_total 5",
            "lode_http_evicted_total{reason=\"head\"} 1",
            "lode_http_requests_total{route=\"get\",status=\"2xx\"} 2",
            "lode_http_requests_total{route=\"put\",status=\"5xx\"} 0",
            "lode_http_response_bytes_total{route=\"get\"} 14",
            "lode_http_request_duration_seconds_bucket{le=\"0.0002\",route=\"get\"} 1",
            "lode_http_request_duration_seconds_bucket{le=\"30.0\",route=\"get\"} 1",
            "lode_http_request_duration_seconds_bucket{le=\"+Inf\",route=\"get\"} 2",
            "lode_http_request_duration_seconds_count{route=\"get\"} 2",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
        let mut names: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .collect();
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed);
        assert!(page.ends_with("# EOF\n"));
    }

    /// Without the store the page says so and still shows the edge.
    #[test]
    fn down() {
        let page = encode(None, Sum::default(), None).unwrap();
        assert!(page.contains("lode_up 0"));
        assert!(page.contains("lode_http_connections 0"));
        assert!(!page.contains("lode_blobs"));
    }
}
