//! Each fault: what it does, that it is counted, and what stays afterwards.

use super::*;

/// After a failed sync a later one succeeds, yet the data may be gone: at once, or with the power.
#[test]
fn a_failed_sync_forgets_data_that_later_syncs_do_not_bring_back() {
    let (mut durable, mut gone_at_once, mut gone_later) = (0, 0, 0);
    for seed in 0..200 {
        let sim = Sim::new(seed, Faults::default());
        sim.run(async |world| {
            let file = create(&world, "a").await;
            file.allocate(on_disk(PAGE)).await.unwrap();
            file.sync().await.unwrap();
            put(&file, 0, 1).await.unwrap();
        })
        .unwrap();
        sim.set_faults(Faults {
            sync_error: Chance::ALWAYS,
            ..Faults::default()
        });
        let failed = sim
            .run(async |world| open(&world, "a").await.sync().await)
            .unwrap();
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(5));
        sim.set_faults(Faults::default());
        sim.run(async |world| open(&world, "a").await.sync().await)
            .unwrap()
            .unwrap();
        let before = sim.contents("a").unwrap();
        sim.crash(Crash::Power);
        let after = sim.contents("a").unwrap();
        match (before[0], after[0]) {
            (1, 1) => durable += 1,
            (0, 0) => gone_at_once += 1,
            (1, 0) => gone_later += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(sim.damage().is_empty(), after[0] == 1);
    }
    assert!(durable > 20 && gone_at_once > 20 && gone_later > 20);
}

/// Space that a failed sync gave back is free again: a page that is gone takes no block.
#[test]
fn a_failed_sync_frees_what_it_forgets() {
    let mut gone = 0;
    for seed in 0..50 {
        let sim = Sim::new(seed, Faults::default());
        sim.run(async |world| put(&create(&world, "a").await, 0, 1).await)
            .unwrap()
            .unwrap();
        sim.set_faults(Faults {
            sync_error: Chance::ALWAYS,
            ..Faults::default()
        });
        let failed = sim
            .run(async |world| open(&world, "a").await.sync().await)
            .unwrap();
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(5));
        let space = sim
            .run(async |world| world.disk().space(Path::new("")).await)
            .unwrap()
            .unwrap();
        let held = sim.contents("a").unwrap() == vec![1; PAGE];
        assert_eq!(space.total - space.free, on_disk(PAGE) * u64::from(held));
        gone += u32::from(!held);
    }
    assert!((5..45).contains(&gone), "gone in {gone} of 50");
}

/// A lying sync makes nothing durable.
#[test]
fn a_lying_sync_protects_nothing() {
    let lost = (0..100).filter(|seed| {
        let sim = Sim::new(*seed, Faults::default());
        sim.run(async |world| drop(create(&world, "a").await))
            .unwrap();
        sim.set_faults(Faults {
            sync_lie: Chance::ALWAYS,
            ..Faults::default()
        });
        sim.run(async |world| {
            let file = open(&world, "a").await;
            put(&file, 0, 1).await.unwrap();
            file.sync().await.unwrap();
        })
        .unwrap();
        sim.crash(Crash::Power);
        sim.contents("a").unwrap() != vec![1; PAGE]
    });
    assert!((20..95).contains(&lost.count()));
}

/// Rot changes what is read, before and after a power loss, and is on record.
#[test]
fn rot_stays_and_is_recorded() {
    let sim = Sim::new(1, Faults::default());
    synced_then_not(&sim);
    sim.run(async |world| open(&world, "a").await.sync().await)
        .unwrap()
        .unwrap();
    let at = sim.flip("a", 100..200);
    sim.rot("a", 4000..4002);
    let spoilt = sim.contents("a").unwrap();
    let wrong: Vec<u64> = (0..on_disk(PAGE))
        .filter(|at| spoilt[crate::units::in_memory(*at)] != 2)
        .collect();
    assert_eq!(wrong, [at, 4000, 4001]);
    sim.crash(Crash::Power);
    assert_eq!(sim.contents("a").unwrap(), spoilt);
    let record: Vec<u64> = sim.damage().iter().map(|damage| damage.at).collect();
    assert_eq!(record, [at, 4000, 4001]);
}

/// Broken pages fail to read until written; neighbours do not.
#[test]
fn unreadable_pages_heal_when_written() {
    let sim = Sim::new(1, Faults::default());
    synced_then_not(&sim);
    sim.run(async |world| put(&open(&world, "a").await, 1, 3).await)
        .unwrap()
        .unwrap();
    sim.break_reads("a", 0..1);
    sim.run(async |world| {
        let file = open(&world, "a").await;
        for _ in 0..2 {
            let error = file.read(0, 2 * PAGE).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(5));
        }
        assert_eq!(file.read(on_disk(PAGE), PAGE).await.unwrap(), vec![3; PAGE]);
        put(&file, 0, 4).await.unwrap();
        assert_eq!(file.read(0, PAGE).await.unwrap(), vec![4; PAGE]);
    })
    .unwrap();
}

/// A misdirected write leaves its own place as it was and spoils another, and says where.
#[test]
fn a_misdirected_write_lands_elsewhere() {
    let sim = Sim::new(5, Faults::default());
    sim.run(async |world| {
        let file = create(&world, "a").await;
        for page in 0..16 {
            put(&file, page, 1).await.unwrap();
        }
    })
    .unwrap();
    sim.set_faults(Faults {
        misdirect: Chance::ALWAYS,
        ..Faults::default()
    });
    sim.run(async |world| put(&open(&world, "a").await, 3, 2).await)
        .unwrap()
        .unwrap();
    let bytes = sim.contents("a").unwrap();
    let hit = bytes
        .chunks(PAGE)
        .position(|page| page == vec![2; PAGE])
        .unwrap();
    assert_ne!(hit, 3);
    assert!(
        bytes
            .chunks(PAGE)
            .enumerate()
            .all(|(page, b)| page == hit || b == vec![1; PAGE])
    );
    let record: Vec<(u64, DamageKind)> = sim.damage().iter().map(|d| (d.at, d.kind)).collect();
    let page = |page: usize| on_disk(page * PAGE);
    assert_eq!(
        record,
        [
            (page(3), DamageKind::Missed),
            (page(hit), DamageKind::Overwritten)
        ]
    );
}

/// The disk fills, says so with StorageFull, keeps what it has, and has room after a removal.
#[test]
fn a_full_disk_refuses_and_recovers() {
    let capacity = 8 * on_disk(PAGE);
    let sim = Sim::new(
        1,
        Faults {
            capacity,
            ..Faults::default()
        },
    );
    sim.run(async |world| {
        let disk = world.disk();
        let kept = create(&world, "kept").await;
        put(&kept, 0, 1).await.unwrap();
        let file = create(&world, "a").await;
        let error = file.allocate(capacity).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        file.allocate(capacity - on_disk(PAGE)).await.unwrap();
        assert_eq!(disk.space(Path::new("")).await.unwrap().free, 0);
        put(&file, 0, 7).await.unwrap();
        let error = put(&kept, 1, 1).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        disk.remove(Path::new("a")).await.unwrap();
        assert_eq!(
            put(&kept, 1, 1).await.unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        drop(file);
        put(&kept, 1, 1).await.unwrap();
        assert_eq!(
            disk.space(Path::new("")).await.unwrap(),
            crate::Space {
                total: capacity,
                free: capacity - 2 * on_disk(PAGE),
            }
        );
    })
    .unwrap();
    assert_eq!(sim.counts().fulls, 3);
}

/// EIO on a write leaves the page old, new or mixed; each fault is counted.
#[test]
fn a_failed_write_leaves_anything() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let sim = Sim::new(seed, Faults::default());
        synced_then_not(&sim);
        let torn = Chance::one_in(2);
        sim.set_faults(Faults {
            write_error: Chance::ALWAYS,
            torn,
            ..Faults::default()
        });
        let error = sim
            .run(async |world| put(&open(&world, "a").await, 0, 3).await)
            .unwrap();
        assert_eq!(error.unwrap_err().raw_os_error(), Some(5));
        assert_eq!(sim.counts().write_errors, 1);
        seen.insert(sectors(&sim.contents("a").unwrap()));
    }
    assert!(seen.contains(&vec![2; 8]) && seen.contains(&vec![3; 8]) && seen.len() > 10);
}

/// Chance strikes as often as asked, is counted, and a transient error passes.
#[test]
fn faults_strike_by_chance_and_are_counted() {
    let sim = Sim::new(9, Faults::default());
    synced_then_not(&sim);
    let once_in_four = Chance::one_in(4);
    sim.set_faults(Faults {
        read_error: once_in_four,
        rot: once_in_four,
        stall: once_in_four,
        full: once_in_four,
        ..Faults::default()
    });
    let (errors, full) = sim
        .run(async |world| {
            let (mut errors, mut full) = (0, 0);
            let file = open(&world, "a").await;
            for page in 1..=400 {
                match file.read(0, PAGE).await {
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(5));
                        errors += 1;
                    }
                }
                if let Err(error) = file.allocate(page * on_disk(PAGE)).await {
                    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                    full += 1;
                }
            }
            (errors, full)
        })
        .unwrap();
    let counts = sim.counts();
    assert_eq!((counts.read_errors, counts.fulls), (errors, full));
    assert_eq!(sim.damage().len(), usize::try_from(counts.rots).unwrap());
    for struck in [
        counts.read_errors,
        counts.fulls,
        counts.rots,
        counts.stalls / 2,
    ] {
        assert!((60..140).contains(&struck), "{counts:?}");
    }
    let flipped: u32 = sim.contents("a").unwrap()[..PAGE]
        .iter()
        .map(|byte| (byte ^ 2).count_ones())
        .sum();
    assert!(flipped > 0 && u64::from(flipped) <= counts.rots);
    sim.set_faults(Faults {
        read_error_sticky: Chance::ALWAYS,
        ..Faults::default()
    });
    let sticky = sim
        .run(async |world| open(&world, "a").await.read(0, PAGE).await)
        .unwrap();
    assert_eq!(sticky.unwrap_err().raw_os_error(), Some(5));
    sim.set_faults(Faults::default());
    let still = sim
        .run(async |world| open(&world, "a").await.read(0, PAGE).await)
        .unwrap();
    assert_eq!(still.unwrap_err().raw_os_error(), Some(5));
}
