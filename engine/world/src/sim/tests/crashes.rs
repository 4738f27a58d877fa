//! What kills and power losses leave.

use super::*;

/// Power loss takes unsynced writes for some seeds and keeps them for others; synced ones stay.
#[test]
fn power_loses_only_the_unsynced() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let sim = Sim::new(
            seed,
            Faults {
                torn: Chance::one_in(2),
                ..Faults::default()
            },
        );
        synced_then_not(&sim);
        sim.crash(Crash::Power);
        seen.insert(sectors(&sim.contents("a").unwrap()));
    }
    assert!(
        seen.contains(&vec![1; 8]) && seen.contains(&vec![2; 8]),
        "kept and lost"
    );
    assert!(
        seen.contains(&vec![2, 2, 2, 1, 1, 1, 1, 1]),
        "torn as a prefix"
    );
    let is_subset = |page: &Vec<u8>| page.windows(2).any(|pair| pair == [1, 2]);
    assert!(seen.iter().any(is_subset), "torn as a subset");
    assert!(
        seen.iter().flatten().all(|byte| [1, 2].contains(byte)),
        "nothing else"
    );
}

/// Of several unsynced writes power may keep any: all, none, the first, only the last.
#[test]
fn power_keeps_any_subset_of_writes() {
    let seen: std::collections::BTreeSet<Vec<u8>> = (0..300)
        .map(|seed| {
            let sim = Sim::new(seed, Faults::default());
            sim.run(async |world| {
                let file = create(&world, "a").await;
                file.allocate(3 * on_disk(PAGE)).await.unwrap();
                file.sync().await.unwrap();
                for page in 0..3 {
                    put(&file, page, 1).await.unwrap();
                }
            })
            .unwrap();
            sim.crash(Crash::Power);
            sim.contents("a")
                .unwrap()
                .chunks(PAGE)
                .map(|page| page[0])
                .collect()
        })
        .collect();
    assert_eq!(seen.len(), 8, "{seen:?}");
}

/// A sync covers the writes that had returned when it began, and not those that it overtakes.
#[test]
fn a_sync_covers_only_what_had_returned() {
    let lost = (0..100).filter(|seed| {
        let sim = Sim::new(*seed, Faults::default());
        sim.run(async |world| {
            let file = create(&world, "a").await;
            file.allocate(2 * on_disk(PAGE)).await.unwrap();
            put(&file, 0, 1).await.unwrap();
            // A write takes a quarter of a sync's time here, so it returns while the sync runs.
            let mut sync = Box::pin(file.sync());
            assert!(futures_lite::future::poll_once(&mut sync).await.is_none());
            put(&file, 1, 2).await.unwrap();
            assert!(futures_lite::future::poll_once(&mut sync).await.is_none());
            sync.await.unwrap();
        })
        .unwrap();
        sim.crash(Crash::Power);
        let bytes = sim.contents("a").unwrap();
        assert_eq!(bytes[0], 1, "synced before");
        bytes[PAGE] == 0
    });
    assert!((20..95).contains(&lost.count()));
}

/// A kill keeps every completed write, and a power loss after it may still take it.
#[test]
fn kill_keeps_what_completed_and_power_may_take_it_later() {
    let mut lost = 0;
    for seed in 0..100 {
        let sim = Sim::new(seed, Faults::default());
        synced_then_not(&sim);
        sim.crash(Crash::Kill);
        assert_eq!(sim.contents("a").unwrap(), vec![2; PAGE]);
        sim.run(async |world| {
            let bytes = open(&world, "a").await.read(0, PAGE).await.unwrap();
            assert_eq!(bytes, vec![2; PAGE]);
        })
        .unwrap();
        sim.crash(Crash::Power);
        lost += u32::from(sim.contents("a").unwrap() == vec![1; PAGE]);
    }
    assert!((10..90).contains(&lost), "lost in {lost} of 100");
}

/// A crash in the middle of a write lets it land wholly, in part or not at all.
#[test]
fn a_write_in_flight_lands_wholly_partly_or_not_at_all() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let faults = Faults {
            torn: Chance::one_in(2),
            ..Faults::default()
        };
        let sim = Sim::new(seed, faults.clone());
        sim.run(async |world| put(&create(&world, "a").await, 0, 1).await.unwrap())
            .unwrap();
        sim.set_faults(Faults {
            crash_after_ios: Some(2),
            ..faults
        });
        let stop = sim.run(async |world| put(&open(&world, "a").await, 0, 2).await);
        assert_eq!(stop.unwrap_err(), Stop::Crashed);
        sim.crash(Crash::Kill);
        seen.insert(sectors(&sim.contents("a").unwrap()));
    }
    assert!(seen.contains(&vec![1; 8]) && seen.contains(&vec![2; 8]) && seen.len() > 10);
}

/// A crash in the middle of a write through a handle that only reads changes nothing.
#[test]
fn a_refused_write_in_flight_does_not_land() {
    for seed in 0..50 {
        let sim = Sim::new(seed, Faults::default());
        sim.run(async |world| put(&create(&world, "a").await, 0, 1).await)
            .unwrap()
            .unwrap();
        sim.set_faults(Faults {
            crash_after_ios: Some(2),
            ..Faults::default()
        });
        let stop = sim.run(async |world| {
            let reader = world.disk().open(Path::new("a"), Open::Read).await;
            put(&reader.unwrap(), 0, 2).await
        });
        assert_eq!(stop.unwrap_err(), Stop::Crashed);
        sim.crash(Crash::Kill);
        assert_eq!(sim.contents("a").unwrap(), vec![1; PAGE]);
    }
}

/// Names survive power loss as a prefix of their history, and wholly after a directory sync.
#[test]
fn unsynced_names_survive_as_a_prefix() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let sim = Sim::new(seed, Faults::default());
        sim.run(async |world| {
            let disk = world.disk();
            create(&world, "kept").await;
            disk.open(Path::new("a"), Open::Create).await.unwrap();
            disk.rename(Path::new("a"), Path::new("b")).await.unwrap();
            disk.remove(Path::new("kept")).await.unwrap();
            disk.open(Path::new("c"), Open::Create).await.unwrap();
        })
        .unwrap();
        sim.crash(Crash::Power);
        let names: Vec<String> = sim.files().into_iter().map(|(path, _)| path).collect();
        seen.insert(names.join(" "));
    }
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(seen, ["a kept", "b", "b c", "b kept", "kept"]);
}

/// Lengths and allocations fall back too, and contents past the end go with them.
#[test]
fn unsynced_lengths_may_fall_back() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let sim = Sim::new(seed, Faults::default());
        sim.run(async |world| {
            let file = create(&world, "a").await;
            file.allocate(4 * on_disk(PAGE)).await.unwrap();
            put(&file, 3, 9).await.unwrap();
            file.sync().await.unwrap();
            file.truncate(on_disk(PAGE)).await.unwrap();
            file.allocate(2 * on_disk(PAGE)).await.unwrap();
        })
        .unwrap();
        sim.crash(Crash::Power);
        let bytes = sim.contents("a").unwrap();
        seen.insert((bytes.len() / PAGE, *bytes.last().unwrap()));
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        [(1, 0), (2, 0), (4, 9)]
    );
}

/// A dropped write goes on: its bytes land as if it had been awaited.
#[test]
fn a_dropped_write_still_lands() {
    let sim = Sim::new(1, Faults::default());
    sim.run(async |world| {
        let file = create(&world, "a").await;
        let mut write = Box::pin(put(&file, 0, 1));
        let _ = futures_lite::future::poll_once(&mut write).await;
        drop(write);
        world.sleep(Duration::from_millis(1)).await;
        assert_eq!(file.read(0, PAGE).await.unwrap(), vec![1; PAGE]);
    })
    .unwrap();
}

/// A fork shares the past and nothing of the future.
#[test]
fn a_fork_leaves_the_original_alone() {
    let sim = Sim::new(1, Faults::default());
    synced_then_not(&sim);
    let outcomes: std::collections::BTreeSet<u8> = (0..50)
        .map(|seed| {
            let fork = sim.fork(seed);
            fork.crash(Crash::Power);
            fork.rot("a", 4095..4096);
            fork.contents("a").unwrap()[0]
        })
        .collect();
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(sim.contents("a").unwrap(), vec![2; PAGE]);
}
