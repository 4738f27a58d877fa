//! Tasks, time, chance and wake-ups.

use super::{Breach, Nonconforming, Verdict, ensure, named};
use crate::{Disk, File, Open, Queue, World, units::in_memory};
use std::{
    cell::{Cell, RefCell},
    path::Path,
    rc::Rc,
    time::Duration,
};

/// Tasks of all queues run and finish, also those that tasks spawn.
pub(super) async fn queues<W: World>(world: &W) -> Verdict {
    let (done, results) = async_channel::bounded(64);
    for queue in [Queue::Scrub, Queue::Mend, Queue::Ingest, Queue::Serve] {
        let (world_, done) = (world.clone(), done.clone());
        world.spawn(queue, async move {
            for child in 0..8 {
                let done = done.clone();
                // There is a place for every message; nobody listening fails below.
                world_.spawn(queue, async move {
                    let _ = done.try_send((queue, child));
                });
            }
        });
    }
    drop(done);
    let mut seen = Vec::new();
    while let Ok(message) = results.recv().await {
        seen.push(message);
    }
    for queue in [Queue::Scrub, Queue::Mend, Queue::Ingest, Queue::Serve] {
        for child in 0..8 {
            let times = seen
                .iter()
                .filter(|message| **message == (queue, child))
                .count();
            ensure(times == 1, || {
                format!("{queue:?} child {child} ran {times} times")
            })?;
        }
    }
    Ok(())
}

/// Timers fire no earlier than asked and in the order of their deadlines; the clock does not go back.
pub(super) async fn timers<W: World>(world: &W) -> Verdict {
    let begin = world.now();
    let fired = Rc::new(RefCell::new(Vec::new()));
    // A first sleep may be slow on some worlds; let it be this one.
    world.sleep(Duration::from_millis(1)).await;
    for millis in [90, 30, 60] {
        let sleep = world.sleep(Duration::from_millis(millis));
        let fired = Rc::clone(&fired);
        world.spawn(Queue::Serve, async move {
            sleep.await;
            fired.borrow_mut().push(millis);
        });
    }
    let before = world.now();
    world.sleep(Duration::from_millis(150)).await;
    let after = world.now();
    ensure(before >= begin, || "the clock went back".into())?;
    ensure(after - before >= Duration::from_millis(150), || {
        format!("150 ms took {:?}", after - before)
    })?;
    // Those that the machine was too slow for come in order too.
    while fired.borrow().len() < 3 {
        world.sleep(Duration::from_millis(5)).await;
    }
    let fired = fired.take();
    ensure(fired == [30, 60, 90], || {
        format!("fired in the order {fired:?}")
    })
}

/// A task that breathes in a loop keeps neither others from finishing, nor a timer from firing, nor
/// an IO from completing, for as long as it goes on.
pub(super) async fn breathing<W: World>(world: &W, dir: &Path) -> Verdict {
    for _ in 0..10 {
        let finished = Rc::new(Cell::new(false));
        let flag = Rc::clone(&finished);
        let world_ = world.clone();
        world.spawn(Queue::Serve, async move {
            for _ in 0..10 {
                world_.breathe().await;
            }
            flag.set(true);
        });
        while !finished.get() {
            world.breathe().await;
        }
    }
    let awaited = Rc::new(Cell::new(0));
    let (flag, sleep) = (Rc::clone(&awaited), world.sleep(Duration::from_millis(1)));
    world.spawn(Queue::Mend, async move {
        sleep.await;
        flag.set(flag.get() + 1);
    });
    let path = dir.join("breathing");
    let file = world.disk().open(&path, Open::Create).await?;
    let (flag, sync) = (Rc::clone(&awaited), file.sync());
    world.spawn(Queue::Scrub, async move {
        // Whether it works is for other checks to say.
        let _ = sync.await;
        flag.set(flag.get() + 1);
    });
    while awaited.get() < 2 {
        world.breathe().await;
    }
    world.disk().remove(&path).await?;
    Ok(())
}

/// Random numbers differ, and the calendar is past the day this was written.
pub(super) async fn chance<W: World>(world: &W) -> Verdict {
    let mut drawn: Vec<u64> = (0..100).map(|_| world.random()).collect();
    drawn.sort_unstable();
    drawn.dedup();
    ensure(drawn.len() == 100, || {
        format!("{} different numbers of 100", drawn.len())
    })?;
    let secs = world.unix_secs();
    ensure(secs > 1_750_000_000, || {
        format!("the calendar stands at {secs}")
    })
}

/// Checks that other threads can wake this executor while it sleeps and while it works. Not for
/// the simulation, which has no other threads.
///
/// # Errors
/// Says what was seen.
pub async fn threads<W: World>(world: &W) -> Result<(), Nonconforming> {
    wakeups(world)
        .await
        .map_err(named("wake-ups from other threads"))
}

async fn wakeups<W: World>(world: &W) -> Verdict {
    const ROUNDS: u64 = 2000;
    let (ask, asked) = async_channel::bounded::<u64>(16);
    let (answer, answers) = async_channel::bounded::<u64>(16);
    let echo = std::thread::spawn(move || {
        while let Ok(number) = asked.recv_blocking() {
            if number % 500 == 0 {
                // Long enough for the executor to park.
                std::thread::sleep(Duration::from_millis(20));
            }
            if answer.send_blocking(number + 1).is_err() {
                return;
            }
        }
    });
    let gone = |_| Breach::Broken("the other thread is gone".into());
    for number in 0..ROUNDS {
        ask.send(number)
            .await
            .map_err(|_| Breach::Broken("the other thread is gone".into()))?;
        let answer = answers.recv().await.map_err(gone)?;
        ensure(answer == number + 1, || {
            format!("{number} was answered by {answer}")
        })?;
    }
    let burst = in_memory(ROUNDS);
    let (sent, received) = (ask.clone(), answers);
    world.spawn(Queue::Ingest, async move {
        for number in 0..ROUNDS {
            // The receiver below notices missing answers.
            let _ = sent.send(2 * number + 1).await;
        }
    });
    let mut sum = 0;
    for _ in 0..burst {
        sum += received.recv().await.map_err(gone)?;
    }
    ensure(sum == ROUNDS * (ROUNDS + 1), || {
        format!("a burst summed to {sum}")
    })?;
    drop(ask);
    echo.join()
        .map_err(|_| Breach::Broken("the other thread panicked".into()))
}
