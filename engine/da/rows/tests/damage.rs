//! Rot, page by page: what it costs, that it is told of, and that it is repaired; and what a start and
//! many buckets cost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{collections::BTreeSet, path::PathBuf};

use common::{Form, Made, made};
use lode_da_rows::{Error, OPEN_MAX, Options, Part, RowStore};
use lode_world::sim::{Crash, Faults, Sim, SimWorld};

const NOW: u64 = 1000;
const DIR: &str = "rows";

fn options() -> Options {
    Options {
        bucket_secs: 100,
        grow_len: 64 << 10,
        ..Options::new(PathBuf::from(DIR), NOW)
    }
}

async fn open(world: SimWorld) -> RowStore<SimWorld> {
    RowStore::open(world, options()).await.unwrap().store
}

async fn append(store: &RowStore<SimWorld>, made: &Made, again: bool) {
    let holding = made.holding.clone();
    let begun = match again {
        false => store.begin(holding).await,
        true => store.begin_again(holding).await,
    };
    let mut appending = begun.unwrap();
    for row in &made.rows {
        appending.push(row).await.unwrap();
    }
    appending.finish().await.unwrap();
}

/// Three records: rows that share pages, rows of several pages, and a list of rows that ends in the
/// second page.
fn three() -> Vec<Made> {
    let form = |width, rows| Form {
        width,
        rows,
        table: 5000,
    };
    vec![
        made(1, NOW + 10, form(320, 60)),
        made(2, NOW + 20, form(8192 + 64, 9)),
        made(3, NOW + 30, form(64, 2400)),
    ]
}

/// A machine with three records in one segment, closed or not.
fn machine(closed: bool) -> (Sim, Vec<Made>) {
    let sim = Sim::new(1, Faults::default());
    let all = three();
    sim.run(async |world| {
        let store = open(world).await;
        for made in &all {
            append(&store, made, false).await;
        }
        if closed {
            store.close().await;
        }
    })
    .unwrap();
    sim.crash(Crash::Kill);
    (sim, all)
}

/// Reads all there is of a record: the numbers of rows that are lost, and the other parts.
async fn losses(store: &RowStore<SimWorld>, made: &Made) -> (BTreeSet<u16>, BTreeSet<Part>) {
    let container = made.container();
    let (mut rows, mut parts) = (BTreeSet::new(), BTreeSet::new());
    let mut note = |error: Error| match error {
        Error::Lost {
            rows: some,
            parts: others,
            ..
        } => {
            rows.extend(some);
            parts.extend(others);
        }
        error => panic!("{error}"),
    };
    match store.table(container).await {
        Ok(table) => assert_eq!(table, made.holding.table),
        Err(error) => note(error),
    }
    match store.checks(container).await {
        Ok(checks) => assert_eq!(checks, made.holding.checks),
        Err(error) => note(error),
    }
    match store.siblings(container).await {
        Ok(siblings) => assert_eq!(siblings, made.holding.siblings),
        Err(error) => note(error),
    }
    match store.row_numbers(container).await {
        Ok(numbers) => assert_eq!(numbers, made.holding.rows),
        Err(error) => {
            return {
                note(error);
                (rows, parts)
            };
        }
    }
    for (row, bytes) in made.holding.rows.iter().zip(&made.rows) {
        match store.row(container, *row).await {
            Ok(read) => assert_eq!(read, *bytes),
            Err(error) => note(error),
        }
    }
    (rows, parts)
}

/// With any one page spoiled or unreadable: all containers are held, what is read is right, what is lost
/// is of the one record whose page it is and at most the rows that a page can hold, a scrub finds the
/// same, and a record that is written again is whole.
fn one_bad_page(closed: bool, unreadable: bool) {
    let (sim, all) = machine(closed);
    let files = sim.files();
    let [(path, len)] = &files[..] else {
        panic!("{files:?}")
    };
    let (mut lost_rows, mut lost_parts) = (0, 0);
    for page in 0..len / 4096 {
        let sim = sim.fork(page);
        let range = page * 4096..(page + 1) * 4096;
        match unreadable {
            true => sim.break_reads(path, range),
            false => drop(sim.flip(path, range)),
        }
        let (rows, parts) = sim
            .run(async |world| {
                let store = open(world).await;
                assert_eq!(store.len(), 3, "page {page}");
                let (mut hurt, mut lost) = (Vec::new(), (0, 0));
                for made in &all {
                    let (rows, parts) = losses(&store, made).await;
                    assert!(rows.len() <= 4096 / made.rows[0].len() + 2, "page {page}");
                    if !rows.is_empty() || !parts.is_empty() {
                        hurt.push(made);
                    }
                    lost = (lost.0 + rows.len(), lost.1 + parts.len());
                }
                assert!(hurt.len() <= 1, "page {page} is of one record");
                check_repair(&store, &hurt).await;
                lost
            })
            .unwrap();
        lost_rows += rows;
        lost_parts += parts;
    }
    assert!(
        lost_rows > 60 + 9 + 2400 && lost_parts > 3,
        "rows that lie in two pages are lost with either"
    );
}

async fn check_repair(store: &RowStore<SimWorld>, hurt: &[&Made]) {
    let known = store.damaged();
    assert_eq!(
        known,
        hurt.iter().map(|made| made.container()).collect::<Vec<_>>()
    );
    let damage = hurt.first().map(|made| store.damage(&made.container()));
    let scrubbed = store.scrub(0).await;
    assert_eq!(
        (scrubbed.records, scrubbed.damaged),
        (3, u64::try_from(hurt.len()).unwrap())
    );
    assert_eq!(
        damage,
        hurt.first().map(|made| store.damage(&made.container())),
        "a scrub finds what reads find"
    );
    for made in hurt {
        append(store, made, true).await;
        assert_eq!(losses(store, made).await, Default::default());
        assert!(store.damage(&made.container()).is_empty());
    }
    assert_eq!(store.scrub(1 << 30).await.damaged, 0);
}

#[test]
fn rot_in_a_closed_segment_costs_its_rows() {
    one_bad_page(true, false);
}

#[test]
fn rot_in_an_open_segment_costs_its_rows() {
    one_bad_page(false, false);
}

#[test]
fn unreadable_pages_of_a_closed_segment_cost_their_rows() {
    one_bad_page(true, true);
}

#[test]
fn unreadable_pages_of_an_open_segment_cost_their_rows() {
    one_bad_page(false, true);
}

/// A record that was repaired is the one that a start finds, whichever order its two copies lie in.
#[test]
fn the_later_record_counts_after_a_start() {
    let (sim, all) = machine(true);
    let (path, _) = sim.files().swap_remove(0);
    sim.rot(&path, 4096 * 40..4096 * 41);
    let again = sim.run(async |world| {
        let store = open(world).await;
        let mut hurt = Vec::new();
        for made in &all {
            if losses(&store, made).await != Default::default() {
                append(&store, made, true).await;
                hurt.push(made.container());
            }
        }
        hurt.len()
    });
    assert_eq!(again, Ok(1));
    sim.crash(Crash::Power);
    sim.run(async |world| {
        let store = open(world).await;
        for made in &all {
            assert_eq!(losses(&store, made).await, Default::default());
        }
    })
    .unwrap();
}

/// A start reads no rows: a few IOs for a closed segment, a few more for each record of another, however
/// long they are.
#[test]
fn a_start_reads_no_rows() {
    for (closed, ios_max) in [(true, 12), (false, 40)] {
        let sim = Sim::new(3, Faults::default());
        let form = Form {
            width: 64 << 10,
            rows: 400,
            table: 0,
        };
        sim.run(async |world| {
            let store = open(world).await;
            append(&store, &made(1, NOW + 1, form), false).await;
            append(&store, &made(2, NOW + 1, form), false).await;
            if closed {
                store.close().await;
            }
        })
        .unwrap();
        sim.crash(Crash::Kill);
        let before = sim.counts().ios;
        let held = sim.run(async |world| open(world).await.len());
        assert_eq!(held, Ok(2));
        let ios = sim.counts().ios - before;
        assert!(ios <= ios_max, "{ios} IOs, closed: {closed}");
    }
}

/// More buckets than may be open: all are held, and each goes at its end with all its bytes.
#[test]
fn buckets_go_one_by_one() {
    let sim = Sim::new(4, Faults::crashes());
    let buckets = u64::try_from(OPEN_MAX).unwrap() + 12;
    let form = Form {
        width: 64,
        rows: 3,
        table: 77,
    };
    let all: Vec<Made> = (0..buckets)
        .map(|bucket| made(bucket, NOW + 100 * bucket + 50, form))
        .collect();
    sim.run(async |world| {
        let store = open(world).await;
        for made in &all {
            append(&store, made, false).await;
        }
        // The first buckets' segments were closed to make room.
        append(&store, &made(1000, NOW + 50, form), false).await;
        let late = made(1001, NOW + 401 * 24 * 3600, form);
        assert!(matches!(
            store.begin(late.holding).await.err(),
            Some(Error::TooFar { .. })
        ));
        store.close().await;
    })
    .unwrap();
    let sizes = |sim: &Sim| sim.files().iter().map(|(_, len)| len).sum::<u64>();
    for (gone, made) in (1..).zip(&all) {
        let before = sizes(&sim);
        let freed = sim.run(async |world| {
            let store = open(world).await;
            let early = store.expire(made.holding.statement.expiry).await.unwrap();
            assert_eq!(early.segments, 0, "not before its bucket ends");
            assert!(store.holds(&made.container()));
            store.expire(NOW + 100 * gone).await.unwrap()
        });
        let freed = freed.unwrap();
        assert_eq!(freed.containers, 1 + u64::from(gone == 1));
        sim.crash(Crash::Power);
        assert_eq!(sizes(&sim), before - freed.bytes);
    }
    assert_eq!(sim.files().len(), 0);
}

/// Records that are begun and dropped over and over take no more room than one.
#[test]
fn dropped_records_leave_their_room() {
    let sim = Sim::new(5, Faults::default());
    let form = Form {
        width: 4096,
        rows: 100,
        table: 0,
    };
    sim.run(async |world| {
        let store = open(world.clone()).await;
        append(&store, &made(1, NOW + 1, form), false).await;
        for number in 2..50 {
            let made = made(number, NOW + 1, form);
            let mut appending = store.begin(made.holding).await.unwrap();
            for row in &made.rows {
                appending.push(row).await.unwrap();
            }
            drop(appending);
            lode_world::World::sleep(&world, std::time::Duration::from_secs(1)).await;
        }
        append(&store, &made(50, NOW + 1, form), false).await;
        assert_eq!(store.len(), 2);
    })
    .unwrap();
    let len: u64 = sim.files().iter().map(|(_, len)| len).sum();
    assert!(len < 1_100_000, "{len} bytes for two records of 440,000");
}
