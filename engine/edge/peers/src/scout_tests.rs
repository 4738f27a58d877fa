//! What is looked at, in which order and how often, of a flow whose holder says what it is told to say.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use commonware_runtime::{
    Runner as _, Spawner as _, Supervisor as _,
    deterministic::{Context, Runner},
};
use lode_proofs::{ChunkProof, Hash32};
use lode_wire::Slice;

use super::*;
use crate::{
    board::FetchState,
    bounds::{HINTS_MAX, ORDERS_MAX},
    holder::Blob,
};

/// What is missing of each blob, and what was asked.
#[derive(Clone, Default)]
struct Script(Arc<Inside>);

#[derive(Default)]
struct Inside {
    missing: Mutex<BTreeMap<u64, Vec<u64>>>,
    next_seq: AtomicU64,
    looks: AtomicU64,
    broken: AtomicU64,
    /// A client brings a chunk before each look.
    drips: AtomicU64,
}

impl Script {
    fn of(next_seq: u64) -> Script {
        let script = Script::default();
        script.0.next_seq.store(next_seq, Relaxed);
        script
    }

    fn lose(&self, seq: u64, missing: &[u64]) {
        self.0.missing.lock().unwrap().insert(seq, missing.to_vec());
    }

    fn looks(&self) -> u64 {
        self.0.looks.load(Relaxed)
    }
}

impl Holder for Script {
    fn slice(&self) -> Slice {
        Slice::WHOLE
    }

    async fn next_seq(&self) -> Result<u64, HolderError> {
        Ok(self.0.next_seq.load(Relaxed))
    }

    async fn blob(&self, seq: u64) -> Result<Option<Blob>, HolderError> {
        let blob = Blob {
            seq,
            root: Hash32([1; 32]),
            size: 1000 * 262_144,
            start: 0,
        };
        Ok((seq < self.0.next_seq.load(Relaxed)).then_some(blob))
    }

    async fn missing(&self, blob: Blob, limit: usize) -> Result<Vec<u64>, HolderError> {
        self.0.looks.fetch_add(1, Relaxed);
        if self.0.broken.load(Relaxed) > 0 {
            return Err(HolderError("the disk is gone".to_owned()));
        }
        let mut missing = self.0.missing.lock().unwrap();
        let missing = missing.entry(blob.seq).or_default();
        if self.0.drips.load(Relaxed) > 0 && missing.len() > 1 {
            missing.remove(0);
        }
        Ok(missing.iter().copied().take(limit).collect())
    }

    async fn read(
        &self,
        _: Hash32,
        _: u64,
        _: u64,
    ) -> Result<Option<(ChunkProof, Bytes)>, HolderError> {
        Ok(None)
    }

    async fn put(&self, _: ChunkProof, _: Bytes) -> Result<(), HolderError> {
        Ok(())
    }
}

/// No blobs.
const NONE: [u64; 0] = [];

/// A scout at work, and its ends.
struct Scene {
    context: Context,
    counts: Counts,
    board: Board,
    hints: mpsc::Sender<u64>,
    orders: mpsc::Sender<Order>,
    tasks: mpsc::Receiver<Task>,
    filled: mpsc::Sender<Filled>,
    wake: Arc<Notify>,
    grown: mpsc::Sender<Range<u64>>,
}

impl Scene {
    fn new(context: Context, script: &Script) -> Scene {
        let (tasks, tasks_end) = mpsc::channel(TASKS_MAX);
        let (hints, hints_end) = mpsc::channel(HINTS_MAX);
        let (orders, orders_end) = mpsc::channel(ORDERS_MAX);
        let (filled, filled_end) = mpsc::channel(GAPS_MAX);
        let (grown, grown_end) = mpsc::channel(1);
        let (counts, board) = (Counts::default(), Board::default());
        let wake = Arc::new(Notify::new());
        let books = (counts.clone(), board.clone());
        let scout = Scout::new(context.child("clock"), script.clone(), books, tasks);
        let ends = Ends {
            hints: hints_end,
            orders: orders_end,
            filled: filled_end,
            wake: wake.clone(),
            grown: grown_end,
        };
        context.child("scout").spawn(move |_| scout.run(ends));
        Scene {
            context,
            counts,
            board,
            hints,
            orders,
            tasks: tasks_end,
            filled,
            wake,
            grown,
        }
    }

    async fn pass(&self, millis: u64) {
        self.context.sleep(Duration::from_millis(millis)).await;
    }

    /// Numbers of the gaps that were handed on since.
    fn handed_on(&mut self) -> Vec<u64> {
        let opened = std::iter::from_fn(|| self.tasks.try_recv().ok()).map(|task| match task {
            Task::Open(gap) => gap.blob.seq,
            Task::Close(seq) => panic!("{seq} is closed"),
        });
        opened.collect()
    }

    /// The one gap that was closed since.
    fn closed(&mut self) -> u64 {
        let task = self.tasks.try_recv().unwrap();
        let Task::Close(seq) = task else {
            panic!("{task:?}");
        };
        seq
    }

    fn state(&self, seq: u64) -> Option<FetchState> {
        self.board.fetch(seq).map(|fetch| fetch.state)
    }

    fn end(&self, seq: u64, kept: u64, given_up: u64) {
        let filled = Filled {
            seq,
            kept,
            given_up,
        };
        self.filled.try_send(filled).unwrap();
    }
}

fn scene<F, Fut>(script: &Script, test: F)
where
    F: FnOnce(Scene) -> Fut,
    Fut: Future<Output = ()>,
{
    Runner::seeded(1).start(|context| test(Scene::new(context, script)));
}

/// Old ones come from the first on, as many as may be open; a fresh one goes before the rest of them,
/// and the newest before the others.
#[test]
fn goes_in_order() {
    let script = Script::of(100);
    for seq in 0..200 {
        script.lose(seq, &[seq]);
    }
    scene(&script.clone(), |mut scene| async move {
        scene.pass(1000).await;
        let open: Vec<u64> = (0..64).collect();
        assert_eq!(scene.handed_on(), open);
        script.0.next_seq.store(103, Relaxed);
        scene.pass(10_000).await;
        assert_eq!(scene.handed_on(), NONE, "no more than may be open");
        for seq in 0..5 {
            scene.end(seq, 0, 1);
        }
        scene.pass(1000).await;
        assert_eq!(
            scene.handed_on(),
            [64, 65, 66, 67, 68],
            "a client may be at the fresh ones"
        );
        for seq in 5..8 {
            scene.end(seq, 0, 1);
        }
        scene.pass(10).await;
        // The others wait for their second turn.
        assert_eq!(scene.handed_on(), [69, 70, 71]);
        scene.pass(5000).await;
        for seq in 8..12 {
            scene.end(seq, 0, 1);
        }
        scene.pass(10).await;
        assert_eq!(scene.handed_on(), [102, 101, 100, 0]);
    });
}

/// While chunks of a fresh blob keep coming it is left alone, but not for ever.
#[test]
fn leaves_clients_alone_for_a_minute() {
    let script = Script::of(0);
    script.lose(0, &(0..100).collect::<Vec<_>>());
    script.0.drips.store(1, Relaxed);
    scene(&script.clone(), |mut scene| async move {
        scene.pass(600).await;
        script.0.next_seq.store(1, Relaxed);
        scene.pass(55_000).await;
        assert_eq!(scene.handed_on(), NONE);
        scene.pass(10_000).await;
        assert_eq!(scene.handed_on(), [0]);
    });
}

/// The waits of a blob that nobody can help with double up to a minute; progress begins them anew, and
/// a peer that comes ends them, and so does one that has it by now.
#[test]
fn waits_longer_each_time() {
    let script = Script::of(1);
    script.lose(0, &[0, 1]);
    scene(&script.clone(), |mut scene| async move {
        scene.pass(10).await;
        for wait in [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            assert_eq!(scene.handed_on(), [0]);
            scene.end(0, 0, 2);
            scene.pass(wait - 10).await;
            assert_eq!(scene.handed_on(), NONE, "before {wait} ms");
            scene.pass(20).await;
        }
        assert_eq!(scene.handed_on(), [0]);
        assert_eq!(scene.counts.status().stalled, 0);
        scene.end(0, 1, 1);
        scene.pass(10).await;
        assert_eq!(scene.counts.status().stalled, 1);
        scene.pass(2000).await;
        assert_eq!(scene.handed_on(), [0], "there was progress");
        scene.end(0, 0, 1);
        scene.pass(100).await;
        scene.wake.notify_one();
        scene.pass(10).await;
        assert_eq!(scene.handed_on(), [0], "somebody came");
        scene.end(0, 0, 1);
        scene.pass(100).await;
        scene.grown.try_send(1..9).unwrap();
        scene.pass(10).await;
        assert_eq!(scene.handed_on(), NONE, "of another");
        scene.grown.try_send(0..1).unwrap();
        scene.pass(10).await;
        assert_eq!(scene.handed_on(), [0], "somebody has it by now");
    });
}

/// A whole flow is looked at once, at a bounded pace, and then again after an hour: what was lost
/// without a hint is found then.
#[test]
fn sweeps_at_a_pace() {
    let script = Script::of(10_000);
    scene(&script.clone(), |mut scene| async move {
        scene.pass(1000).await;
        assert!(
            script.looks() <= 101 * u64::from(SWEEP_STEP),
            "{}",
            script.looks()
        );
        scene.pass(1000).await;
        assert_eq!(
            (script.looks(), scene.counts.status().complete_below),
            (10_000, 10_000)
        );
        scene.pass(600_000).await;
        assert_eq!(script.looks(), 10_000, "nothing is to be done");
        script.lose(7, &[1]);
        scene.pass(3_200_000).await;
        assert_eq!(scene.handed_on(), [7]);
        assert_eq!(scene.counts.status().complete_below, 7);
    });
}

/// What the operator wants is not left to a client, and goes before all others; what he has stopped is
/// closed and not begun again by any way, until he wants it.
#[test]
fn the_operator_is_heard() {
    let script = Script::of(100);
    for seq in 0..200 {
        script.lose(seq, &[seq]);
    }
    scene(&script.clone(), |mut scene| async move {
        scene.pass(1000).await;
        scene.handed_on();
        script.0.next_seq.store(103, Relaxed);
        scene.pass(1000).await;
        for seq in [99, 101] {
            scene.orders.try_send(Order::Fetch(seq)).unwrap();
        }
        scene.end(0, 0, 1);
        scene.end(1, 0, 1);
        scene.pass(10).await;
        assert_eq!(scene.handed_on(), [99, 101]);
        assert_eq!(scene.state(99), Some(FetchState::Open));

        scene.orders.try_send(Order::Stop(101)).unwrap();
        scene.pass(10).await;
        assert_eq!(scene.closed(), 101);
        scene.end(101, 0, 1);
        scene.hints.try_send(101).unwrap();
        scene.pass(70_000).await;
        // Hints, second turns and the sweep have all come by; some of what is open ends.
        let handed_on = scene.handed_on();
        assert!(!handed_on.contains(&101), "{handed_on:?}");
        assert_eq!(scene.state(101), Some(FetchState::Stopped));
        scene.orders.try_send(Order::Fetch(101)).unwrap();
        scene.pass(10).await;
        scene.end(2, 0, 1);
        scene.pass(10).await;
        assert_eq!(scene.handed_on(), [101]);
        assert_eq!(scene.state(101), Some(FetchState::Open));
        // A client has brought it meanwhile.
        script.lose(101, &[]);
        scene.end(101, 1, 0);
        scene.pass(10).await;
        assert_eq!(scene.state(101), Some(FetchState::Whole));
    });
}

/// Of what is submitted and whole others can be told at once, without a count or a sweep in between;
/// while chunks come, each with a hint, it is neither taken from the client nor looked at each time.
#[test]
fn what_is_whole_is_known_at_once() {
    let script = Script::of(0);
    scene(&script.clone(), |mut scene| async move {
        scene.pass(10).await;
        script.lose(0, &[0, 1]);
        script.0.next_seq.store(1, Relaxed);
        scene.hints.try_send(0).unwrap();
        scene.pass(10).await;
        assert_eq!(scene.counts.status().next_seq, 1);
        let looks = script.looks();
        for _ in 0..200 {
            scene.hints.try_send(0).unwrap();
            scene.pass(10).await;
        }
        let pauses = 2000 / HINT_PAUSE.as_millis();
        assert!(u128::from(script.looks() - looks) <= pauses + 1);
        assert_eq!(scene.handed_on(), NONE);
        script.lose(0, &[]);
        scene.hints.try_send(0).unwrap();
        scene.pass(110).await;
        assert_eq!(scene.counts.status().complete_below, 1);
        assert_eq!(scene.state(0), None, "nothing was fetched");
    });
}

/// What the chain took back is forgotten, and what it put in its place is looked at.
#[test]
fn follows_the_chain_back() {
    let script = Script::of(10);
    scene(&script.clone(), |mut scene| async move {
        scene.pass(1000).await;
        assert_eq!(scene.counts.status().complete_below, 10);
        script.0.next_seq.store(5, Relaxed);
        scene.pass(1000).await;
        let status = scene.counts.status();
        assert_eq!((status.next_seq, status.complete_below), (5, 5));
        script.lose(5, &[3]);
        script.0.next_seq.store(6, Relaxed);
        scene.pass(5000).await;
        assert_eq!(scene.handed_on(), [5]);
        assert_eq!(scene.counts.status().complete_below, 5);
    });
}

/// A store that does not answer is asked again, not without end; when it answers all is found.
#[test]
fn a_store_that_fails_is_not_pressed() {
    let script = Script::of(1000);
    script.lose(3, &[0]);
    script.0.broken.store(1, Relaxed);
    scene(&script.clone(), |mut scene| async move {
        for seq in 0..10 {
            scene.hints.try_send(seq).unwrap();
        }
        scene.pass(300_000).await;
        // Ten hints each three seconds, and the sweep each thirty.
        assert!(script.looks() < 1100, "{}", script.looks());
        assert_eq!(scene.handed_on(), NONE);
        script.0.broken.store(0, Relaxed);
        scene.pass(10_000).await;
        assert_eq!(scene.handed_on(), [3]);
    });
}

/// A holder that misses what is not its own is a bug, and is not taken for a peer's lie.
#[test]
#[should_panic(expected = "the holder misses what is not its own")]
fn asserts_what_the_holder_says() {
    let script = Script::of(1);
    script.lose(0, &[1000]);
    scene(&script, |scene| async move { scene.pass(1000).await });
}
