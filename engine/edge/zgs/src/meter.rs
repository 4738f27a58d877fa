//! What is counted of the servers: closed labels, base units, whole numbers. One list feeds both
//! Prometheus' page and `admin_getMetrics`.

use core::fmt;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder},
    metrics::{MetricType, exemplar::Exemplar},
};

use crate::room::Room;

/// Declares an enum whose values are the values of a label.
macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$what])* $value),+ }

        impl $name {
            /// Every value, in order, as text.
            pub const ALL: &[(Self, &'static str)] = &[$((Self::$value, $text)),+];

            fn place(self) -> usize {
                let place = Self::ALL.iter().position(|(value, _)| *value == self);
                place.expect("all of them are listed")
            }
        }
    };
}

label! {
    /// Which server.
    Face {
        /// 0G's storage RPC.
        Json = "json_rpc",
        /// Its gRPC twin.
        Grpc = "grpc",
        /// The operator's.
        Operator = "operator",
    }
}

label! {
    /// Why a request or a call was turned away.
    Reason {
        /// A parameter is none that can be served.
        Params = "params",
        /// The proof does not lead to the root.
        Proof = "proof",
        /// Nothing is left to send.
        Finalized = "finalized",
        /// The chunk is here.
        Duplicate = "duplicate",
        /// Too much is on its way.
        Busy = "busy",
        /// Said in a sentence.
        Sentence = "sentence",
        /// Nothing that the client sends would help.
        Internal = "internal",
        /// More bytes than may be sent.
        TooLong = "too_long",
        /// Bytes or the answer came too late.
        Late = "late",
        /// The bytes end before they should, or are no HTTP.
        Broken = "broken",
        /// Who asks is not the operator.
        Stranger = "stranger",
    }
}

const FACES: usize = 3;
const REASONS: usize = 11;
const _: () = assert!(Face::ALL.len() == FACES && Reason::ALL.len() == REASONS);

/// Numbers of one server.
#[derive(Debug, Default)]
struct OfFace {
    requests: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    connections: AtomicU64,
    accepted: AtomicU64,
    /// Ended because they were idle, slow, or in the way of others.
    ended: AtomicU64,
}

/// All counters, from the start of the process.
#[derive(Debug, Default)]
pub struct Meter {
    faces: [OfFace; FACES],
    refusals: [AtomicU64; REASONS],
    chunks: AtomicU64,
}

impl Meter {
    fn face(&self, face: Face) -> &OfFace {
        &self.faces[face.place()]
    }

    pub(crate) fn request(&self, face: Face) {
        self.face(face).requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn bytes_in(&self, face: Face, count: usize) {
        let count = u64::try_from(count).expect("64-bit");
        self.face(face).bytes_in.fetch_add(count, Relaxed);
    }

    pub(crate) fn bytes_out(&self, face: Face, count: usize) {
        let count = u64::try_from(count).expect("64-bit");
        self.face(face).bytes_out.fetch_add(count, Relaxed);
    }

    pub(crate) fn accepted(&self, face: Face) {
        self.face(face).accepted.fetch_add(1, Relaxed);
        self.face(face).connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn left(&self, face: Face) {
        self.face(face).connections.fetch_sub(1, Relaxed);
    }

    pub(crate) fn ended(&self, face: Face) {
        self.face(face).ended.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.refusals[reason.place()].fetch_add(1, Relaxed);
    }

    pub(crate) fn chunk(&self) {
        self.chunks.fetch_add(1, Relaxed);
    }
}

/// One number at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// Name without prefix; counters get `_total` behind it on the page.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Only ever grows, from the process's start.
    pub counter: bool,
    /// The label, if there is one, and its value.
    pub label: Option<(&'static str, &'static str)>,
    /// The number.
    pub value: u64,
}

/// All numbers of a room, for a page. Numbers of one name follow each other.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Room>);

impl Metrics {
    /// Those of this room.
    #[must_use]
    pub fn of(room: &Arc<Room>) -> Metrics {
        Metrics(Arc::clone(room))
    }

    /// As they are now.
    #[must_use]
    pub fn numbers(&self) -> Vec<Number> {
        let (room, mut list) = (&self.0, Vec::new());
        per_face(&room.meter, &mut list);
        for (reason, text) in Reason::ALL {
            list.push(Number {
                name: "zgs_refusals",
                help: "Requests and calls turned away, by reason",
                counter: true,
                label: Some(("reason", text)),
                value: room.meter.refusals[reason.place()].load(Relaxed),
            });
        }
        let plain = |name, help, counter, value| Number {
            name,
            help,
            counter,
            label: None,
            value,
        };
        let (chunks, held) = (room.meter.chunks.load(Relaxed), &room.admission);
        list.extend([
            plain("zgs_chunks", "Chunks made durable", true, chunks),
            plain(
                "zgs_cached_bytes",
                "Bytes of chunks that wait for their submission",
                false,
                room.cache.lock().len(),
            ),
            plain(
                "zgs_in_flight_bytes",
                "Bytes of memory set aside for requests and answers",
                false,
                held.held(),
            ),
            plain(
                "zgs_in_flight_peak_bytes",
                "Most of them at once",
                false,
                held.peak(),
            ),
        ]);
        list
    }
}

/// Numbers that each server has.
fn per_face(meter: &Meter, list: &mut Vec<Number>) {
    type Read = fn(&OfFace) -> &AtomicU64;
    let rows: [(&str, &str, bool, Read); 6] = [
        ("zgs_requests", "Requests by server", true, |of| {
            &of.requests
        }),
        (
            "zgs_request_bytes",
            "Bytes of bodies of requests",
            true,
            |of| &of.bytes_in,
        ),
        (
            "zgs_answer_bytes",
            "Bytes of bodies of answers",
            true,
            |of| &of.bytes_out,
        ),
        ("zgs_connections", "Open connections", false, |of| {
            &of.connections
        }),
        ("zgs_accepted", "Connections accepted", true, |of| {
            &of.accepted
        }),
        (
            "zgs_ended",
            "Connections ended for being idle, slow or in the way",
            true,
            |of| &of.ended,
        ),
    ];
    for (name, help, counter, read) in rows {
        for ((_, text), of) in Face::ALL.iter().zip(&meter.faces) {
            list.push(Number {
                name,
                help,
                counter,
                label: Some(("face", text)),
                value: read(of).load(Relaxed),
            });
        }
    }
}

/// No label set has exemplars.
type NoLabels = [(&'static str, &'static str); 0];
const NO_EXEMPLAR: Option<&Exemplar<NoLabels, f64>> = None;

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let numbers = self.numbers();
        for family in numbers.chunk_by(|one, other| one.name == other.name) {
            let Number {
                name,
                help,
                counter,
                ..
            } = family[0];
            let kind = if counter {
                MetricType::Counter
            } else {
                MetricType::Gauge
            };
            let mut encoder = encoder.encode_descriptor(name, help, None, kind)?;
            for &Number { label, value, .. } in family {
                match label {
                    None => one(&mut encoder, counter, value)?,
                    Some(label) => one(&mut encoder.encode_family(&[label])?, counter, value)?,
                }
            }
        }
        Ok(())
    }
}

fn one(encoder: &mut MetricEncoder<'_>, counter: bool, value: u64) -> fmt::Result {
    match counter {
        true => encoder.encode_counter(&value, NO_EXEMPLAR),
        false => encoder.encode_gauge(&value),
    }
}
