//! What is counted, in Prometheus' form.

use core::fmt;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use bytes::Bytes;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::sync::OwnedSemaphorePermit;

/// Content type of the text form.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels with their values.
type Labels<const COUNT: usize> = [(&'static str, String); COUNT];

/// All counters.
#[derive(Debug)]
pub struct Meters {
    registry: Registry,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections and requests that were turned away, by reason.
    refused: Family<Labels<1>, Counter>,
    requests: Family<Labels<2>, Counter>,
    calls: Family<Labels<1>, Counter>,
    nodes: Family<Labels<2>, Gauge>,
    chunks: Family<Labels<1>, Counter>,
    sent_bytes: Counter,
    held: Gauge,
    held_peak: Gauge<i64, AtomicI64>,
}

/// How a metric is told of to a registry.
macro_rules! register {
    ($registry:ident, $($metric:ident: $help:literal;)+) => {
        $($registry.register(stringify!($metric), $help, $metric.clone());)+
    };
}

impl Meters {
    /// All at zero.
    #[must_use]
    pub fn new() -> Meters {
        let mut registry = Registry::with_prefix("lode_indexer");
        let (connections, held, held_peak) = (Gauge::default(), Gauge::default(), Gauge::default());
        let sent_bytes = Counter::default();
        let refused = Family::<Labels<1>, Counter>::default();
        let requests = Family::<Labels<2>, Counter>::default();
        let calls = Family::<Labels<1>, Counter>::default();
        let nodes = Family::<Labels<2>, Gauge>::default();
        let chunks = Family::<Labels<1>, Counter>::default();
        register! { registry,
            connections: "Open connections";
            refused: "Connections and requests turned away, by reason";
            requests: "Answers by route and class of status";
            calls: "JSON-RPC calls by method";
            nodes: "Storage nodes that are known, by who named them and whether they answer";
            chunks: "Answers of nodes to requests for a chunk, by what became of them";
            sent_bytes: "Bytes of blobs handed to connections";
        }
        registry.register("chunks_held", "Chunks asked for or in memory", held.clone());
        let help = "Most chunks asked for or in memory at once";
        registry.register("chunks_held_peak", help, held_peak.clone());
        Meters {
            registry,
            connections,
            refused,
            requests,
            calls,
            nodes,
            chunks,
            sent_bytes,
            held,
            held_peak,
        }
    }

    /// The page. `nodes` are counts of trusted and discovered nodes that answer, and of those that do not.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn page(&self, nodes: [(bool, bool, i64); 4]) -> Result<String, fmt::Error> {
        for (trusted, alive, count) in nodes {
            let named = if trusted { "operator" } else { "others" };
            let state = if alive { "answers" } else { "silent" };
            let labels = [("named_by", named.to_owned()), ("state", state.to_owned())];
            self.nodes.get_or_create(&labels).set(count);
        }
        let mut page = String::new();
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }

    /// An answer was given.
    pub fn request(&self, route: &str, status: u16) {
        let class = format!("{}xx", status / 100);
        let labels = [("route", route.to_owned()), ("status", class)];
        self.requests.get_or_create(&labels).inc();
    }

    /// A JSON-RPC method was called.
    pub fn call(&self, method: &'static str) {
        self.calls
            .get_or_create(&[("method", method.to_owned())])
            .inc();
    }

    /// Somebody was turned away.
    pub fn refused(&self, reason: &'static str) {
        self.refused
            .get_or_create(&[("reason", reason.to_owned())])
            .inc();
    }

    /// Bytes of a blob were handed to a connection.
    pub fn sent(&self, len: usize) {
        self.sent_bytes
            .inc_by(u64::try_from(len).unwrap_or(u64::MAX));
    }

    /// A node answered a request for a chunk: well, or badly.
    pub fn chunk(&self, bad: Option<&'static str>) {
        let what = bad.unwrap_or("proven").to_owned();
        self.chunks.get_or_create(&[("answer", what)]).inc();
    }

    /// Most chunks that were held at once.
    #[must_use]
    pub fn held_peak(&self) -> i64 {
        self.held_peak.get()
    }
}

impl Default for Meters {
    fn default() -> Self {
        Meters::new()
    }
}

/// The right to have one chunk in memory, counted for as long as it is there.
#[derive(Debug)]
pub struct Held {
    meters: Arc<Meters>,
    _credit: OwnedSemaphorePermit,
}

impl Held {
    /// Begins to count.
    #[must_use]
    pub fn new(meters: Arc<Meters>, credit: OwnedSemaphorePermit) -> Held {
        let now = meters.held.inc() + 1;
        meters.held_peak.inner().fetch_max(now, Ordering::Relaxed);
        Held {
            meters,
            _credit: credit,
        }
    }

    /// These bytes, which count until the last of their copies is gone.
    #[must_use]
    pub fn keep(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Kept { bytes, _held: self })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.meters.held.dec();
    }
}

struct Kept {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
