//! Seeds, orders, ends of runs, and misuse.

use super::*;

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
