//! Lives of stores on simulated machines: each test says what may go wrong, and that nothing else does.
//! `ROWS_SEEDS` runs more seeds than the tests do by themselves.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::life::{Plan, Tally, run, troubled};
use lode_da_rows::planted::Bug;
use lode_world::sim::{Chance, Faults};

fn seeds(few: u64) -> std::ops::Range<u64> {
    let more = std::env::var("ROWS_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    0..more.unwrap_or(few)
}

/// Runs lives, and adds up what they did.
fn lives(plans: impl Iterator<Item = Plan>) -> Tally {
    let mut sum = Tally::default();
    for plan in plans {
        let tally = run(&plan).unwrap_or_else(|finding| panic!("seed {}: {finding}", plan.seed));
        sum.acked += tally.acked;
        sum.extended += tally.extended;
        sum.dropped += tally.dropped;
        sum.expired += tally.expired;
        sum.refused += tally.refused;
        sum.failed += tally.failed;
        sum.full += tally.full;
        sum.compared += tally.compared;
    }
    println!("{sum:?}");
    sum
}

/// After any crash (killed, or without power: writes torn, dropped, kept in any order) every record
/// that was acknowledged is there byte for byte, and every other one whole or not at all.
#[test]
fn acknowledged_records_survive_crashes() {
    let sum = lives(seeds(60).map(Plan::crashes));
    assert!(
        sum.acked > 0 && sum.extended > 0 && sum.dropped > 0 && sum.expired > 0 && sum.compared > 0
    );
}

/// The same where writes, syncs and reads fail, the disk is full now and then, and IOs hang.
#[test]
fn failing_disks_lose_nothing_that_was_acknowledged() {
    let plan = |seed| Plan {
        faults: troubled(seed),
        ..Plan::crashes(seed)
    };
    let sum = lives(seeds(60).map(plan));
    assert!(sum.failed > 0 && sum.full > 0 && sum.acked > 0);
}

/// A disk that is too small refuses records that begin, loses none, and takes more when some expire.
#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let plan = |seed| Plan {
        faults: Faults {
            capacity: 2 << 20,
            ..Faults::crashes()
        },
        ..Plan::crashes(seed)
    };
    let sum = lives(seeds(30).map(plan));
    assert!(sum.full > 0 && sum.acked > 0 && sum.compared > 0);
}

/// Bits flip, pages become unreadable and writes go astray: bytes that are given out are right.
#[test]
fn wrong_bytes_are_never_given_out() {
    let sum = lives(seeds(40).map(rotten));
    assert!(sum.acked > 0 && sum.compared > 0);
}

fn rotten(seed: u64) -> Plan {
    Plan {
        faults: Faults {
            rot: Chance::one_in(30),
            misdirect: Chance::one_in(200),
            read_error_sticky: Chance::one_in(300),
            ..Faults::crashes()
        },
        rotting: true,
        ..Plan::crashes(seed)
    }
}

/// The same seed gives the same run, to the last IO.
#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..5 {
        let plan = Plan {
            faults: troubled(seed),
            ..Plan::crashes(seed)
        };
        assert_eq!(run(&plan), run(&plan));
    }
}

/// Bugs of the kinds that stores have had are all found: so the tests above would find them.
#[test]
fn planted_bugs_are_found() {
    let found = |bug: Bug, plan: fn(u64) -> Plan| {
        let with_bug = |seed| Plan {
            bug: Some(bug),
            ..plan(seed)
        };
        let finding = (0..400).find_map(|seed| Some((seed, run(&with_bug(seed)).err()?)));
        let (seed, finding) = finding.unwrap_or_else(|| panic!("{bug:?} was not found"));
        println!("{bug:?}: seed {seed}: {finding}");
    };
    let failing = |seed| Plan {
        faults: Faults {
            sync_error: Chance::one_in(20),
            ..Faults::crashes()
        },
        ..Plan::crashes(seed)
    };
    found(Bug::AckBeforeSync, Plan::crashes);
    found(Bug::FootBeforeRows, Plan::crashes);
    found(Bug::NameWithoutSync, Plan::crashes);
    found(Bug::SettleWithoutSync, Plan::crashes);
    found(Bug::HeadIsEnough, Plan::crashes);
    found(Bug::RetrySync, failing);
    found(Bug::SkipChecksum, rotten);
}
