//! The simulator itself: seeds repeat, profiles do what they are there for, and former findings
//! stay fixed.

use sim::{
    fleet::{Fleet, once, twice},
    plan::Profile,
};

/// Two runs of a seed are the same to the last event and the last answer, in every profile.
#[test]
fn a_seed_repeats() {
    for profile in Profile::all() {
        for seed in 0..20 {
            assert_eq!(
                twice(seed, Some(profile)).failure,
                None,
                "{}",
                profile.name()
            );
        }
    }
}

/// Other seeds give other runs: no two of a hundred have the same trace.
#[test]
fn seeds_differ() {
    let mut traces: Vec<u64> = (0..100).map(|seed| once(seed, None, false).trace).collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 100);
}

/// A few hundred seeds meet every crash, fault and kind of damage that the simulator has.
#[test]
fn everything_happens() {
    let fleet = Fleet {
        jobs: 2,
        all: true,
        profile: None,
    };
    let summary = fleet.run(0..600);
    let findings: Vec<String> = summary
        .findings
        .iter()
        .map(|finding| format!("seed {}: {}", finding.seed, finding.what))
        .collect();
    assert_eq!(findings, Vec::<String>::new());
    let tally = summary.tally;
    for fault in [
        "torn writes",
        "lost writes",
        "lost names",
        "stalls",
        "rotten bits",
        "misdirected writes",
        "read errors",
        "write errors",
        "sync errors",
        "full disk",
    ] {
        assert!(tally.count("fault", fault) > 0, "no {fault} in {tally}");
    }
    for damage in [
        "checkpoints",
        "copy of the superblock",
        "footers",
        "copy of segment heads",
        "bit of a segment",
        "dead sector",
        "bit of a file",
    ] {
        assert!(tally.count("damage", damage) > 0, "no {damage} in {tally}");
    }
    for crash in ["kill", "power", "none, the process just ends"] {
        assert!(tally.count("crash", crash) > 0, "no {crash} in {tally}");
    }
    for profile in Profile::all() {
        assert!(
            summary.profiles.contains_key(&profile),
            "{}",
            profile.name()
        );
    }
}
