//! One round of all jobs on one container.

use std::{mem, time::Duration};

use lode_proofs::da::{Coded, RowVerifier, Verifier, coded::Step, restore, shape::ROWS};

use super::{
    bounds::{self, BLAKE3, MEMCPY, PLAIN, SHA256},
    core::{alone, repeat, repeat_parts, spend},
    made::{Made, QUORUM},
    peer::{Peer, Peers},
};
use crate::{
    error::{Error, Result},
    figures::{Table, Unit},
    gauge::{Bound, Gauges},
    lode::NAME,
    meter::{Meter, Sample},
};

/// Bytes of the shortest container that the project's bounds are for: one that is closed because it
/// is full, at 32 MiB, and ends somewhat before.
const BOUND_LEN: u64 = 31 << 20;
/// MB/s of encoding and committing, by the wall.
const RATE: Bound = Bound::AtLeast(300.0);
/// Processor seconds for a GB of it.
const COST: Bound = Bound::AtMost(3.4);
/// Processor seconds that a holder of 1 % spends on a GB of containers.
const HOLDER_COST: Bound = Bound::AtMost(0.1);
/// No peer should be faster.
const FACTOR: Bound = Bound::AtLeast(1.0);
/// Every so many rows one is the holder's: it has 31 of 3072, a third of them originals.
const HOLDER_STEP: usize = 100;

/// Steps of encoding and committing, their names among the figures, and what bounds them.
const STEPS: [(Step, &str, Option<&str>); 7] = [
    (Step::Parity, "lode parity rows", Some(PLAIN)),
    (Step::OriginalLeaves, "lode original leaves", Some(SHA256)),
    (Step::ParityLeaves, "lode parity leaves", Some(BLAKE3)),
    (Step::RowTree, "lode row tree", None),
    (Step::Namespaces, "lode namespaces", None),
    (Step::Checksums, "lode checksums", None),
    (Step::CheckTree, "lode check tree", None),
];

/// See the file's head.
pub struct Turn<'bench> {
    /// The container's length, as people say it.
    pub label: String,
    /// The container.
    pub made: &'bench Made,
    /// Least processor time of each job.
    pub span: Duration,
    /// Where rates go.
    pub table: &'bench mut Table,
    /// Where the rest goes.
    pub gauges: &'bench mut Gauges,
}

impl Turn<'_> {
    /// From blobs to a head.
    pub fn encode(&mut self, peers: &Peers) -> Result<()> {
        let (made, span) = (self.made, self.span);
        let sha256 = bounds::sha256(made, span)?;
        let gathered = repeat(span, || {
            let (container, sample) = spend(made.len(), || made.gather());
            same(NAME, Some(container?.rows()), made.container.rows())?;
            Ok(sample)
        })?;
        self.beside("gather blobs of", (SHA256, sha256), NAME, gathered);

        let memcpy = bounds::memcpy(made, span)?;
        let parts = self.parts()?;
        let whole = parts
            .iter()
            .fold(Sample::default(), |sum, part| sum.plus(*part));
        // Each part counts the bytes, all of them go through together.
        let whole = Sample {
            operations: parts[0].operations,
            bytes: parts[0].bytes,
            ..whole
        };
        self.beside("encode and commit", (MEMCPY, memcpy), NAME, whole);
        self.note_parts(sha256, &parts)?;
        let subject = format!("{NAME}, {}", self.label);
        if made.len() >= BOUND_LEN {
            let (what, wall) = (
                "encode and commit, by the wall",
                whole.megabytes_per_second(),
            );
            self.gauges.push(what, &subject, "MB/s", RATE, wall);
        }
        let (cost, bound) = (whole.cpu_seconds_per_gb(), self.bound(COST));
        self.gauges.push(
            "processor time of encoding and committing",
            &subject,
            "CPU s/GB",
            bound,
            cost,
        );
        self.peers("encode and commit", memcpy, whole, peers.encoders(made))
    }

    /// What each step takes while all of them are done.
    fn parts(&self) -> Result<[Sample; STEPS.len()]> {
        let (made, mut memory) = (self.made, Vec::new());
        repeat_parts(self.span, || {
            let mut parts = [Sample::default(); STEPS.len()];
            let (container, before) = (made.container.clone(), mem::take(&mut memory));
            let mut meter = Meter::start();
            let coded = Coded::watched(container, &QUORUM, made.columns, before, &mut |step| {
                let sample = meter_of(&mut meter, made.len());
                let place = STEPS.iter().position(|(known, ..)| *known == step);
                parts[place.expect("every step is known")] = sample;
            });
            if coded.head() != made.coded.head() {
                return Err(Error::subject(NAME)("another head than before"));
            }
            memory = coded.into_memory();
            Ok(parts)
        })
    }

    fn note_parts(&mut self, sha256: Sample, parts: &[Sample]) -> Result<()> {
        let what = "parts of encoding and committing";
        let bounds = [
            (PLAIN, bounds::plain_encode(self.made, self.span)?),
            (SHA256, sha256),
            (BLAKE3, bounds::blake3(self.made, self.span)?),
        ];
        for (subject, bound) in bounds {
            self.note(what, subject, bound);
        }
        for ((_, subject, limit), part) in STEPS.iter().zip(parts) {
            match bounds.iter().find(|(bound, _)| Some(*bound) == *limit) {
                Some((_, bound)) => self.against(what, *bound, subject, *part),
                None => self.note(what, subject, *part),
            }
        }
        Ok(())
    }

    /// From the worst rows back to the originals.
    pub fn restore(&mut self, peers: &Peers) -> Result<()> {
        let (made, span) = (self.made, self.span);
        let what = "restore from the worst rows of";
        let plain = bounds::plain_decode(made, span)?;
        let (worst, width) = (made.worst_rows(), made.container.shape().width());
        let restored = repeat(span, || {
            let (rows, sample) = spend(made.len(), || restore(&worst, width));
            let rows = rows.map_err(Error::subject(NAME))?;
            same(NAME, Some(&rows), made.container.rows())?;
            Ok(sample)
        })?;
        self.beside(what, (PLAIN, plain), NAME, restored);
        self.peers(what, plain, restored, peers.decoders(made)?)
    }

    /// A reader who has all original rows, and checks that they are the container's.
    pub fn read(&mut self) -> Result<()> {
        let (made, span) = (self.made, self.span);
        let sha256 = bounds::sha256(made, span)?;
        let (numbers, rows): (Vec<u16>, Vec<&[u8]>) = made.original_rows().into_iter().unzip();
        let siblings = made.coded.sliver(&numbers).siblings;
        let verifier = verifier(made)?;
        let read = repeat(span, || {
            let (checked, sample) = spend(made.len(), || verifier.rows(&numbers, &rows, &siblings));
            checked.map_err(Error::subject(NAME))?;
            Ok(sample)
        })?;
        self.beside("read and check", (SHA256, sha256), NAME, read);
        Ok(())
    }

    /// A holder of 1 % of the rows, who checks before it signs.
    pub fn hold(&mut self) -> Result<()> {
        let made = self.made;
        let numbers = (0..ROWS).step_by(HOLDER_STEP);
        let numbers: Vec<u16> = numbers
            .map(|row| u16::try_from(row).expect("below 3072"))
            .collect();
        let sliver = made.coded.sliver(&numbers);
        let held = repeat(self.span, || {
            let check = || {
                verifier(made)?
                    .sliver(&numbers, &sliver)
                    .map_err(Error::subject(NAME))
            };
            let (table, sample) = spend(made.len(), check);
            table?;
            Ok(sample)
        })?;
        self.note("check 1 % of the rows of", NAME, held);
        let (cost, bound) = (held.cpu_seconds_per_gb(), self.bound(HOLDER_COST));
        let subject = format!("{NAME}, {}", self.label);
        self.gauges.push(
            "a holder of 1 % of the rows",
            &subject,
            "CPU s/GB",
            bound,
            cost,
        );
        Ok(())
    }

    /// Does peers' jobs, and notes how much faster ours was in this round.
    fn peers(
        &mut self,
        what: &str,
        limit: Sample,
        ours: Sample,
        peers: Vec<Peer<'_>>,
    ) -> Result<()> {
        for mut peer in peers {
            let sample = repeat(self.span, || (peer.work)())?;
            self.against(what, limit, peer.name, sample);
            let subject = format!("{}, {}", peer.name, self.label);
            let factor = peer_factor(ours, sample);
            self.gauges.push(peer.factor, &subject, "×", FACTOR, factor);
        }
        Ok(())
    }

    /// The project's bound, where it is for this length.
    fn bound(&self, bound: Bound) -> Bound {
        if self.made.len() >= BOUND_LEN {
            bound
        } else {
            Bound::None
        }
    }

    fn note(&mut self, what: &str, subject: &str, sample: Sample) {
        let what = format!("{what} {}", self.label);
        self.table
            .push(&what, subject, Unit::Megabytes, alone(sample));
    }

    fn against(&mut self, what: &str, limit: Sample, subject: &str, sample: Sample) {
        let what = format!("{what} {}", self.label);
        let (limit, sample) = (alone(limit), alone(sample));
        self.table
            .push_against(&what, &limit, subject, Unit::Megabytes, sample);
    }

    fn beside(&mut self, what: &str, limit: (&str, Sample), subject: &str, sample: Sample) {
        self.note(what, limit.0, limit.1);
        self.against(what, limit.1, subject, sample);
    }
}

/// What it took since the meter began, which begins anew.
fn meter_of(meter: &mut Meter, bytes: u64) -> Sample {
    let sample = mem::replace(meter, Meter::start()).stop(1, bytes);
    // What the meter itself took is not the next step's.
    *meter = Meter::start();
    sample
}

fn verifier(made: &Made) -> Result<RowVerifier> {
    let verifier = Verifier::new(*made.coded.head(), &QUORUM, made.columns);
    let checked =
        verifier.and_then(|verifier| verifier.with_checks(made.coded.checks().originals()));
    checked.map_err(Error::subject(NAME))
}

fn peer_factor(ours: Sample, peer: Sample) -> f64 {
    alone(ours).megabytes_per_second() / alone(peer).megabytes_per_second()
}

/// Ends the bench when what came out is not what went in.
pub fn same(subject: &'static str, found: Option<&[u8]>, expected: &[u8]) -> Result<()> {
    if found == Some(expected) {
        Ok(())
    } else {
        Err(Error::subject(subject)("other bytes than were coded"))
    }
}
