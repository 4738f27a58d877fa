//! The bench of data availability: what it takes to code a container of blobs, to commit to it, to
//! check a holder's share of it, and to get it back, on one core.
//!
//! | job | limit |
//! |---|---|
//! | encode and commit: a closed container to its head, parity rows in memory used before | memcpy of the container |
//! | its parts, as they follow each other in that job | for parity rows reed-solomon-simd over whole rows, for leaves SHA-256 or BLAKE3 alone of as many bytes |
//! | gather blobs: their roots, and a copy into a container | SHA-256 alone |
//! | restore from 1024 parity rows | reed-solomon-simd over whole rows |
//! | read the original rows and check them | SHA-256 alone |
//! | check the rows of a holder of 1 % of them, 31 of 3072 | a bound for 32 MiB |
//!
//! All rates are of the container's own bytes, whatever a job makes of them (BLAKE3 alone hashes
//! twice as many, as there is twice as much parity), and are by processor time: the thread stays on
//! one core, which others may want too. The wall's rate is shown where the project has a bound for
//! it. Every job is done once before it is measured, and what comes out of it is compared.
//!
//! With the feature `peers-da` stand beside it, in the same rounds: cells and proofs of PeerDAS by
//! c-kzg and rust_eth_kzg, and commonware-coding's ReedSolomon. What they promise differs. KZG proves
//! each cell to anybody, without a quorum; 31 of 32 bytes of its blobs carry data, all are counted.
//! commonware's shards lead to a root, and only who has decoded them knows that they are a code's.
//!
//! Intel's ISA-L is missing, as no crate builds it with a C compiler alone: `erasure-isa-l` 0.3.0,
//! `isal-rs` and `isal-sys` 0.5.3 ask for autoreconf (and then nasm), `isa-l` 0.2.0 for an installed
//! library.

mod bounds;
mod core;
mod made;
mod peer;
mod turn;

use std::time::Duration;

use self::{made::Made, peer::Peers, turn::Turn};
use crate::{
    error::Result,
    figures::{self, Figure, Table},
    gauge::{self, Gauge, Gauges},
    meter::float,
};

/// Lengths of containers where none is asked for.
pub const LENS: [u64; 3] = [1 << 20, 32 << 20, 128 << 20];

/// How much of everything.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of each container, from 64 KiB to 128 MiB.
    pub lens: Vec<u64>,
    /// Least processor time of each job in each round.
    pub span: Duration,
    /// Rounds over all jobs.
    pub rounds: u32,
}

/// What was measured.
pub struct Found {
    /// Rates.
    pub figures: Vec<Figure>,
    /// What is held to a bound, and how much slower peers are.
    pub gauges: Vec<Gauge>,
}

/// Runs all jobs on one core. Takes up to 1.5 GiB of memory for the longest container.
///
/// # Errors
/// A length that no container has, what a peer refuses, and any wrong byte.
pub fn run(settings: &Settings) -> Result<Found> {
    core::on_one(|| rounds(settings))
}

fn rounds(settings: &Settings) -> Result<Found> {
    let peers = Peers::new();
    let (mut table, mut gauges) = (Table::default(), Gauges::default());
    for len in &settings.lens {
        let made = Made::new(*len)?;
        for round in 0..settings.rounds {
            eprintln!(
                "{}, round {} of {}",
                label(*len),
                round + 1,
                settings.rounds
            );
            let mut turn = Turn {
                label: label(*len),
                made: &made,
                span: settings.span,
                table: &mut table,
                gauges: &mut gauges,
            };
            turn.encode(&peers)?;
            turn.restore(&peers)?;
            turn.read()?;
            turn.hold()?;
        }
    }
    Ok(Found {
        figures: table.figures(),
        gauges: gauges.all(),
    })
}

/// Prints rates, then the rest.
pub fn print(found: &Found) {
    figures::print(&found.figures);
    gauge::print(&found.gauges);
}

/// A length as people say it.
fn label(len: u64) -> String {
    match len >> 20 {
        0 => format!("{:.0} KiB", float(len) / 1024.0),
        _ => format!("{:.0} MiB", float(len) / f64::from(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Settings, label, run};
    use crate::error::Error;

    /// Proves that every job is done for every length, beside its limit, and that peers come out
    /// with a factor each.
    #[test]
    fn runs_tiny() {
        let found = run(&Settings {
            lens: vec![64 << 10, 1 << 20],
            span: Duration::ZERO,
            rounds: 1,
        })
        .unwrap();
        for label in ["64 KiB", "1 MiB"] {
            let of = |what: &str| {
                let what = format!("{what} {label}");
                let figures = found.figures.iter().filter(|figure| figure.what == what);
                figures
                    .map(|figure| figure.subject.clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(of("encode and commit")[..2], ["memcpy", "lode"]);
            assert_eq!(of("parts of encoding and committing").len(), 10);
            assert_eq!(of("gather blobs of").len(), 2);
            assert_eq!(of("restore from the worst rows of")[1], "lode");
            assert_eq!(of("read and check").len(), 2);
            assert_eq!(of("check 1 % of the rows of"), ["lode"]);
        }
        assert!(found.figures.iter().all(|figure| figure.rounds.len() == 1));
        let peers = found.figures.iter().filter(|figure| {
            figure.what == "encode and commit 1 MiB"
                && !["memcpy", "lode"].contains(&&*figure.subject)
        });
        assert_eq!(
            peers.count(),
            if cfg!(feature = "peers-da") { 4 } else { 0 }
        );
    }

    /// Proves that a length is said rightly, and that one without room for the table is refused.
    #[test]
    fn lengths() {
        assert_eq!(label(64 << 10), "64 KiB");
        assert_eq!(label(128 << 20), "128 MiB");
        for len in [0, 1, 65_535, (128 << 20) + 1, u64::MAX] {
            let end = run(&Settings {
                lens: vec![len],
                span: Duration::ZERO,
                rounds: 1,
            });
            assert!(matches!(end, Err(Error::Usage(_))), "{len}");
        }
    }
}
