//! What is counted of all faces, for Prometheus: closed labels, base units.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

type Labels<const COUNT: usize> = [(&'static str, &'static str); COUNT];

/// All counters. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    requests: Family<Labels<2>, Counter>,
    refused: Family<Labels<2>, Counter>,
    request_bytes: Family<Labels<1>, Counter>,
    answer_bytes: Family<Labels<1>, Counter>,
    connections: Family<Labels<1>, Gauge>,
    ended: Family<Labels<1>, Counter>,
    posts: Family<Labels<2>, Counter>,
}

impl Meter {
    /// Has a registry tell of them. Names get no prefix here: the registry may have one.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("da");
        registry.register(
            "requests",
            "Answers by face and class of status",
            self.requests.clone(),
        );
        registry.register(
            "refused",
            "Connections and requests turned away, by reason",
            self.refused.clone(),
        );
        registry.register(
            "request_bytes",
            "Bytes of bodies of requests",
            self.request_bytes.clone(),
        );
        registry.register(
            "answer_bytes",
            "Bytes of bodies of answers",
            self.answer_bytes.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "ended",
            "Connections ended for being idle, or slow to fetch an answer",
            self.ended.clone(),
        );
        registry.register(
            "posts",
            "Blobs handed in, by what became of them",
            self.posts.clone(),
        );
    }

    pub(crate) fn request(&self, face: &'static str, status: u16) {
        let class = match status {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        let labels = [("face", face), ("status", class)];
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn refused(&self, face: &'static str, reason: &'static str) {
        let labels = [("face", face), ("reason", reason)];
        self.refused.get_or_create(&labels).inc();
    }

    pub(crate) fn bytes_in(&self, face: &'static str, count: usize) {
        let count = u64::try_from(count).expect("64-bit");
        self.request_bytes
            .get_or_create(&[("face", face)])
            .inc_by(count);
    }

    pub(crate) fn bytes_out(&self, face: &'static str, count: usize) {
        let count = u64::try_from(count).expect("64-bit");
        self.answer_bytes
            .get_or_create(&[("face", face)])
            .inc_by(count);
    }

    pub(crate) fn came(&self, face: &'static str) {
        self.connections.get_or_create(&[("face", face)]).inc();
    }

    pub(crate) fn left(&self, face: &'static str) {
        self.connections.get_or_create(&[("face", face)]).dec();
    }

    pub(crate) fn ended(&self, face: &'static str) {
        self.ended.get_or_create(&[("face", face)]).inc();
    }

    pub(crate) fn posted(&self, face: &'static str, outcome: &'static str) {
        let labels = [("face", face), ("outcome", outcome)];
        self.posts.get_or_create(&labels).inc();
    }

    /// Open connections of a face.
    #[must_use]
    pub fn open(&self, face: &'static str) -> i64 {
        self.connections.get_or_create(&[("face", face)]).get()
    }
}
