//! The counts as a page for Prometheus has them.

use core::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::DescriptorEncoder,
    metrics::{MetricType, exemplar::Exemplar},
};

use crate::status::{Counts, Status};

/// One number, as a metric.
pub struct PeerMetric {
    /// Name without prefix; counters get `_total` behind it.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Only ever grows, from the process's start.
    pub counter: bool,
    /// Where it is.
    pub read: fn(&Status) -> u64,
}

/// Declares the table from lines of name, kind, help.
macro_rules! peer_metrics {
    ($($field:ident as $name:literal $kind:ident $help:literal;)+) => {
        /// Every number of [`Status`]. Taking it apart here makes a new field an error until it has
        /// a line.
        pub const PEER_METRICS: &[PeerMetric] = &[$(PeerMetric {
            name: $name, help: $help, counter: peer_metrics!(@ $kind), read: |status| status.$field,
        }),+];
        const _: fn(&Status) = |Status { $($field: _),+ }| ();
    };
    (@ counter) => { true };
    (@ gauge) => { false };
}

peer_metrics! {
    peers as "peers_here" gauge "Other storage nodes that are here";
    liars as "peers_liars" counter "Other storage nodes that lied and were blocked";
    bytes_in as "peers_received_bytes" counter "Bytes of messages from other nodes";
    bytes_out as "peers_sent_bytes" counter "Bytes of messages to other nodes";
    chunks_fetched as "peers_chunks_fetched" counter "Chunks fetched from others and kept";
    chunks_served as "peers_chunks_served" counter "Chunks sent to others";
    chunks_lacked as "peers_chunks_lacked" counter "Chunks that others wanted and did not get";
    missing as "peers_chunks_missing" gauge "Chunks that are being fetched and did not come yet";
    in_flight as "peers_chunks_in_flight" gauge "Chunks asked for, or on their way into the store";
    in_flight_peak as "peers_chunks_in_flight_peak" gauge "Most of them at once";
    late as "peers_late_requests" counter "Requests that were not answered in time";
    stalled as "peers_stalled_blobs" gauge "Blobs that wait because nobody could help";
    next_seq as "peers_submissions" gauge "Submissions that are known";
    complete_below as "peers_complete_below" gauge "All blobs of submissions below it are complete";
    sweep_at as "peers_sweep_at" gauge "The submission that the sweep of the flow looks at next";
}

/// All of them, for a page.
#[derive(Clone)]
pub struct Metrics(Counts);

impl Metrics {
    pub(crate) fn of(counts: &Counts) -> Metrics {
        Metrics(counts.clone())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.status().fmt(to)
    }
}

/// No label set has exemplars.
const NO_EXEMPLAR: Option<&Exemplar<[(&'static str, &'static str); 0], f64>> = None;

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.0.status();
        for metric in PEER_METRICS {
            let kind = match metric.counter {
                true => MetricType::Counter,
                false => MetricType::Gauge,
            };
            let (name, help, value) = (metric.name, metric.help, (metric.read)(&status));
            let mut encoder = encoder.encode_descriptor(name, help, None, kind)?;
            match metric.counter {
                true => encoder.encode_counter(&value, NO_EXEMPLAR)?,
                false => encoder.encode_gauge(&value)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text, registry::Registry};

    use super::*;
    use crate::status::{add, set};

    /// Every number once, under its name.
    #[test]
    fn page() {
        let counts = Counts::default();
        add(&counts.chunks_fetched, 7);
        set(&counts.peers, 2);
        let mut registry = Registry::with_prefix("lode");
        registry.register_collector(Box::new(Metrics::of(&counts)));
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        for line in ["lode_peers_here 2", "lode_peers_chunks_fetched_total 7"] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
        let types = page.lines().filter(|line| line.starts_with("# TYPE "));
        let mut types: Vec<&str> = types.collect();
        let listed = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!((types.len(), listed), (PEER_METRICS.len(), listed));
    }
}
