//! What the simulation promises about crashes, faults and repeatability.

use super::*;
use crate::{Disk, File, Open, Queue, World};
use std::{cell::Cell, io};

const PAGE: usize = ALIGN;

async fn create(world: &SimWorld, path: &str) -> SimFile {
    let file = world
        .disk()
        .open(Path::new(path), Open::Create)
        .await
        .unwrap();
    world.disk().sync_dir(Path::new("")).await.unwrap();
    file
}

async fn open(world: &SimWorld, path: &str) -> SimFile {
    world
        .disk()
        .open(Path::new(path), Open::Write)
        .await
        .unwrap()
}

async fn put(file: &SimFile, page: u64, byte: u8) -> io::Result<()> {
    let mut buf = file.alloc(PAGE);
    buf.as_mut().fill(byte);
    file.write(page * on_disk(PAGE), buf).await
}

/// A page as its byte per sector: `[7; 8]` for a page full of 7.
fn sectors(bytes: &[u8]) -> Vec<u8> {
    let sector = |sector: &[u8]| {
        assert!(
            sector.iter().all(|byte| *byte == sector[0]),
            "a sector is torn within"
        );
        sector[0]
    };
    bytes.chunks(512).map(sector).collect()
}

/// Writes 1 and syncs, writes 2 over it without a sync.
fn synced_then_not(sim: &Sim) {
    sim.run(async |world| {
        let file = create(&world, "a").await;
        put(&file, 0, 1).await.unwrap();
        file.sync().await.unwrap();
        put(&file, 0, 2).await.unwrap();
    })
    .unwrap();
}

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

/// The seed picks which ready task runs next: three tasks show all their orders.
#[test]
fn the_seed_picks_the_next_task() {
    let orders: std::collections::BTreeSet<Vec<u8>> = (0..100)
        .map(|seed| {
            let order = Rc::new(RefCell::new(Vec::new()));
            let log = Rc::clone(&order);
            Sim::new(seed, Faults::default())
                .run(async move |world| {
                    for task in 0..3 {
                        let log = Rc::clone(&log);
                        world.spawn(Queue::Serve, async move { log.borrow_mut().push(task) });
                    }
                    world.breathe().await;
                })
                .unwrap();
            order.take()
        })
        .collect();
    assert_eq!(orders.len(), 6, "{orders:?}");
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

/// A seed repeats to the event, a different one does not, and contents count.
#[test]
fn the_seed_decides_everything() {
    let run = |seed: u64, byte: u8| {
        let sim = Sim::new(
            seed,
            Faults {
                rot: Chance::one_in(3),
                ..Faults::crashes()
            },
        );
        sim.run(async |world| {
            let file = create(&world, "a").await;
            for page in 0..8 {
                let (world_, file) = (world.clone(), file.clone());
                world.spawn(Queue::Ingest, async move {
                    world_
                        .sleep(Duration::from_micros(world_.random() % 50))
                        .await;
                    put(&file, page, byte).await.unwrap();
                    file.sync().await.unwrap();
                });
            }
            world.sleep(Duration::from_millis(900)).await;
            file.read(0, 8 * PAGE).await.unwrap();
        })
        .unwrap();
        sim.crash(Crash::Power);
        (sim.trace(), sim.log(), sim.contents("a"))
    };
    for seed in 0..20 {
        assert_eq!(run(seed, 1), run(seed, 1));
        assert_ne!(run(seed, 1).0, run(seed + 1, 1).0);
        assert_ne!(run(seed, 1).0, run(seed, 2).0);
    }
}

/// Random latencies complete IOs out of order; equal ones keep it.
#[test]
fn latencies_decide_the_order_of_completion() {
    let order = |faults: Faults| {
        let done = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&done);
        Sim::new(3, faults)
            .run(async move |world| {
                let file = create(&world, "a").await;
                let mut puts: Vec<_> = (0..6)
                    .map(|page| {
                        (
                            page,
                            Box::pin({
                                let file = file.clone();
                                async move { put(&file, page, 1).await }
                            }),
                        )
                    })
                    .collect();
                std::future::poll_fn(|context| {
                    puts.retain_mut(|(page, put)| {
                        let ready = Future::poll(put.as_mut(), context).is_ready();
                        if ready {
                            log.borrow_mut().push(*page);
                        }
                        !ready
                    });
                    if puts.is_empty() {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await;
            })
            .unwrap();
        done.take()
    };
    assert_eq!(order(Faults::default()), [0, 1, 2, 3, 4, 5]);
    assert_ne!(order(Faults::crashes()), [0, 1, 2, 3, 4, 5]);
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

/// A program that waits for itself is told so, and one that spins is stopped.
#[test]
fn deadlock_and_endless_loops_end() {
    let sim = Sim::new(
        1,
        Faults {
            steps_max: 10_000,
            ..Faults::default()
        },
    );
    let stop = sim.run(async |world| {
        world.spawn(Queue::Mend, std::future::pending());
        std::future::pending::<()>().await;
    });
    assert_eq!(stop, Err(Stop::Deadlock { tasks: 2 }));
    let stop = sim.run(async |world| {
        loop {
            world.breathe().await;
        }
    });
    assert_eq!(stop, Err::<(), _>(Stop::Endless { steps: 10_000 }));
}

/// Breathing lets every other ready task run, whatever the dice say.
#[test]
fn breathing_lets_the_others_run() {
    for seed in 0..50 {
        let ran = Rc::new(Cell::new(0));
        let sim = Sim::new(seed, Faults::default());
        let seen = sim
            .run(async |world| {
                for _ in 0..20 {
                    let ran = Rc::clone(&ran);
                    world.spawn(Queue::Scrub, async move { ran.set(ran.get() + 1) });
                }
                world.breathe().await;
                ran.get()
            })
            .unwrap();
        assert_eq!(seen, 20);
    }
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

/// Two writes in flight to one range are a bug of the program.
#[test]
#[should_panic(expected = "two writes in flight overlap in a: 0..8192 and 4096..8192")]
fn overlapping_writes_are_a_bug() {
    let _ = Sim::new(1, Faults::default()).run(async |world| {
        let file = create(&world, "a").await;
        let mut first = Box::pin(file.write(0, file.alloc(2 * PAGE)));
        let _ = futures_lite::future::poll_once(&mut first).await;
        put(&file, 1, 1).await
    });
}

/// IO at an offset that is no multiple of the page is a bug of the program.
#[test]
#[should_panic(expected = "512 is not a multiple of 4096")]
fn unaligned_io_is_a_bug() {
    let _ = Sim::new(1, Faults::default())
        .run(async |world| create(&world, "a").await.read(512, PAGE).await);
}

/// A file of an earlier run is dead.
#[test]
#[should_panic(expected = "of a run that has ended")]
fn files_die_with_their_run() {
    let sim = Sim::new(1, Faults::default());
    let file = sim.run(async |world| create(&world, "a").await).unwrap();
    sim.crash(Crash::Kill);
    let _ = sim.run(async |_| file.sync().await);
}
