//! Replays of flows that a test writes: against the model, through crashes, lies, gaps and
//! replaced submissions.

use core::ops::Bound;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::{
    account::Account,
    model::Model,
    script::{Script, account, control, stream, write},
    store::{Join, Order, View},
    stream::{Draft, Op, Read, StreamId, tags},
};

/// A replay that is turned by hand, and can be killed.
struct World {
    runtime: Runtime,
    folder: TempDir,
    script: Script,
    rules: Rules,
    stop: watch::Sender<bool>,
    replay: Option<Replay<Script>>,
}

impl World {
    fn new(streams: Option<&[StreamId]>, rules: Rules) -> World {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let held = Held {
            all: streams.is_none(),
            streams: streams.unwrap_or_default().iter().copied().collect(),
            joining: Join::new(),
        };
        store.hold(&held, &Marks::default(), &[]).unwrap();
        drop(store);
        let (stop, _) = watch::channel(false);
        let script = Script::default();
        let mut world = World {
            runtime,
            folder,
            script,
            rules,
            stop,
            replay: None,
        };
        world.reopen();
        world
    }

    /// Kills the replay and begins another one on what is on the disk.
    fn reopen(&mut self) {
        self.replay = None;
        let asking = Asking {
            feed: Arc::new(self.script.clone()),
            runtime: self.runtime.handle().clone(),
            stop: self.stop.subscribe(),
            wait: Duration::from_secs(60),
        };
        // What was written beside the replay that was killed may just be ending.
        let store = loop {
            match Store::open(self.folder.path()) {
                Err(StoreError::Store(fjall::Error::Locked)) => std::thread::yield_now(),
                opened => break opened.unwrap(),
            }
        };
        let (tell, _) = watch::channel(Progress::default());
        let replay = Replay::new(asking, store, self.rules.clone(), tell);
        self.replay = Some(replay.unwrap());
    }

    fn replay(&mut self) -> &mut Replay<Script> {
        self.replay.as_mut().unwrap()
    }

    /// Turns until there is nothing to do.
    fn settle(&mut self) {
        while self.replay().turn().unwrap() {}
    }

    /// Turns until nothing waits.
    fn finish(&mut self) {
        self.settle();
        while self.replay().queue.len() > 0 {
            self.settle();
            std::thread::yield_now();
        }
    }

    fn view(&mut self) -> View {
        self.replay().store.view()
    }

    fn result(&mut self, seq: u64) -> Option<String> {
        self.view().result(seq).unwrap()
    }

    fn value(&mut self, of: StreamId, key: &[u8], at: u64) -> Option<(u64, Vec<u8>)> {
        let view = self.view();
        let found = view.value(of, key, at).unwrap()?;
        let bytes = view.bytes(found, 0, usize::MAX >> 1).unwrap();
        Some((found.version, bytes))
    }
}

fn rules() -> Rules {
    Rules {
        patience: None,
        undo_max: 1000,
        poll: Duration::ZERO,
        streams_max: 100,
    }
}

const COMMIT: &str = "Commit";

/// One transaction of a random flow.
#[derive(Clone, Debug)]
struct Step {
    sender: Account,
    tags: Vec<StreamId>,
    draft: Draft,
    there: bool,
}

const KEYS: [&str; 3] = ["a", "ab", "b"];

fn step() -> impl Strategy<Value = Step> {
    let stream_of = || (1..4_u8).prop_map(stream);
    let key =
        || prop::sample::select(KEYS.to_vec()).prop_map(|key| Bytes::from_static(key.as_bytes()));
    let who = || (1..4_u8).prop_map(account);
    let value = prop::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from);
    let read = (stream_of(), key()).prop_map(|(stream, key)| Read { stream, key });
    let op = prop::sample::select(Op::ALL.to_vec());
    let change = (op, stream_of(), key(), who())
        .prop_map(|(op, stream, key, who)| control(op, stream, &key, who));
    let version = prop_oneof![Just(u64::MAX), Just(u64::MAX), 0..20_u64];
    let draft = (
        version,
        prop::collection::vec(read, 0..2),
        prop::collection::vec((stream_of(), key(), value), 0..3),
        prop::collection::vec(change, 0..4),
    );
    let extra = prop::collection::vec(stream_of(), 0..2);
    (
        who(),
        draft,
        extra,
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.7),
    )
        .prop_map(
            |(sender, (version, reads, writes, controls), extra, fits, there)| {
                let draft = Draft {
                    version,
                    reads,
                    writes,
                    controls,
                };
                let mut tags = extra;
                if fits || tags.is_empty() {
                    tags.extend(tags::streams(&draft.tags()));
                }
                if tags.is_empty() {
                    tags.push(stream(1));
                }
                Step {
                    sender,
                    tags,
                    draft,
                    there,
                }
            },
        )
}

/// Everything that can be asked is as the model says.
fn agree(view: &View, model: &Model, len: u64) {
    for seq in 0..len {
        assert_eq!(
            view.result(seq).unwrap().as_ref(),
            model.results.get(&seq),
            "{seq}"
        );
    }
    let keys = ["a", "aa", "ab", "b", "c"].map(str::as_bytes);
    for at in (0..len).chain([u64::MAX]) {
        for of in (1..4).map(stream) {
            assert_eq!(view.is_new(of, at).unwrap(), model.is_new(of, at));
            agree_on_keys(view, model, of, at);
            for key in keys {
                let special = view.is_special(of, key, at).unwrap();
                assert_eq!(special, model.is_special(of, key, at));
            }
            for who in (1..4).map(account) {
                let (admin, writer) = (view.is_admin(who, of, at), view.is_writer(who, of, at));
                assert_eq!(admin.unwrap(), model.is_admin(who, of, at));
                assert_eq!(writer.unwrap(), model.is_writer(who, of, at));
                for key in keys {
                    let own = view.is_key_writer(who, of, key, at).unwrap();
                    assert_eq!(own, model.is_key_writer(who, of, key, at));
                    let may = view.may_write_key(who, of, key, at).unwrap();
                    assert_eq!(may, model.may_write(who, of, key, at));
                }
            }
        }
    }
}

fn agree_on_keys(view: &View, model: &Model, of: StreamId, at: u64) {
    let all = model.keys(of, at);
    let read = |found| view.bytes(found, 0, 100).unwrap();
    for key in ["a", "aa", "ab", "b", "c"].map(str::as_bytes) {
        let value = view.value(of, key, at).unwrap();
        let value = value.map(|found| (found.version, read(found)));
        assert_eq!(value, model.value(of, key, at));
        for inclusive in [true, false] {
            let from = if inclusive {
                Bound::Included(key)
            } else {
                Bound::Excluded(key)
            };
            let beyond = |other: &[u8]| (inclusive && other == key) || other > key;
            let before = |other: &[u8]| (inclusive && other == key) || other < key;
            let up = all.iter().find(|(other, _)| beyond(other));
            let down = all.iter().rfind(|(other, _)| before(other));
            for (order, want) in [(Order::Up, up), (Order::Down, down)] {
                let got = view.neighbour(of, from, order, at).unwrap();
                let got = got.map(|(key, found)| (key, (found.version, read(found))));
                assert_eq!(got.as_ref(), want, "{order:?} {inclusive} {key:?} {at}");
            }
        }
    }
    for (order, want) in [(Order::Up, all.first()), (Order::Down, all.last())] {
        let got = view.neighbour(of, Bound::Unbounded, order, at).unwrap();
        assert_eq!(got.map(|(key, _)| key).as_ref(), want.map(|(key, _)| key));
    }
}

fn model_of(steps: &[Step]) -> Model {
    let mut model = Model::default();
    for (seq, step) in (0..).zip(steps) {
        model.apply(seq, step.sender, &step.tags, &step.draft);
    }
    model
}

fn tell(world: &World, steps: &[Step], from: usize, mark: u8) {
    let mut flow = world.script.flow();
    flow.entries.truncate(from);
    for step in &steps[from..] {
        let seq = flow.tagged(step.sender, &step.tags, &step.draft);
        flow.at(seq).there = step.there;
        flow.at(seq).submission.transaction.0[0] = mark;
    }
}

fn arrive(world: &World) {
    let mut flow = world.script.flow();
    flow.entries.iter_mut().for_each(|entry| entry.there = true);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Random transactions, whose bytes come late and out of order, through a kill at any write: in the
    /// end everything is as if they had been replayed one after the other.
    #[test]
    fn as_the_model(
        steps in prop::collection::vec(step(), 1..25),
        fuses in prop::collection::vec(0..12_u64, 0..4),
    ) {
        let mut world = World::new(None, rules());
        tell(&world, &steps, 0, 0);
        for fuse in fuses {
            world.replay().store.fuse = fuse;
            while let Ok(true) = world.replay().turn() {}
            world.reopen();
        }
        world.settle();
        world.reopen();
        world.settle();
        arrive(&world);
        world.finish();
        agree(&world.view(), &model_of(&steps), u64::try_from(steps.len()).unwrap());
        world.reopen();
        agree(&world.view(), &model_of(&steps), u64::try_from(steps.len()).unwrap());
    }

    /// The chain replaces the end of the flow, before or after it was decided, and with a kill in
    /// between: what was replaced leaves no trace.
    #[test]
    fn replaced(
        steps in prop::collection::vec(step(), 2..16),
        others in prop::collection::vec(step(), 1..16),
        from in any::<prop::sample::Index>(),
        fuse in 0..20_u64,
    ) {
        let mut world = World::new(None, rules());
        tell(&world, &steps, 0, 0);
        world.settle();
        let from = from.index(steps.len());
        let mut replaced = steps[..from].to_vec();
        replaced.extend(others);
        tell(&world, &replaced, from, 1);
        arrive(&world);
        world.replay().store.fuse = fuse;
        while let Ok(true) = world.replay().turn() {}
        world.reopen();
        world.settle();
        world.replay().review().unwrap();
        world.finish();
        let len = u64::try_from(replaced.len()).unwrap();
        if replaced.len() >= steps.len() {
            agree(&world.view(), &model_of(&replaced), len);
        } else {
            // A shorter flow looks as one that lags, but for what differs.
            world.replay().review().unwrap();
            world.settle();
            agree(&world.view(), &model_of(&replaced), len);
        }
    }
}

/// What one transaction waits for holds up its own streams, and no other.
#[test]
fn waits_alone() {
    let mut world = World::new(None, rules());
    let (a, b, who) = (stream(1), stream(2), account(1));
    {
        let mut flow = world.script.flow();
        let gap = flow.add(who, &write(a, b"k", b"1"));
        flow.at(gap).there = false;
        flow.add(who, &write(a, b"k", b"2"));
        flow.add(who, &write(b, b"k", b"3"));
        // Reads of a stream that stands still wait with it; what only comes after goes on.
        let mut reads = write(b, b"l", b"4");
        reads.reads = vec![Read {
            stream: a,
            key: Bytes::from_static(b"k"),
        }];
        reads.version = 0;
        flow.add(who, &reads);
        flow.add(who, &write(stream(3), b"k", b"5"));
    }
    world.settle();
    let results: Vec<_> = (0..5).map(|seq| world.result(seq)).collect();
    let commit = Some(COMMIT.to_owned());
    assert_eq!(results, [None, None, commit.clone(), None, commit.clone()]);
    assert_eq!(world.replay().marks.low, 0);
    world.script.flow().at(0).there = true;
    world.finish();
    let results: Vec<_> = (0..5).map(|seq| world.result(seq)).collect();
    let conflict = Some("VersionConfliction".to_owned());
    assert_eq!(
        results,
        [
            commit.clone(),
            commit.clone(),
            commit.clone(),
            conflict,
            commit
        ]
    );
    assert_eq!(world.value(a, b"k", u64::MAX), Some((1, b"2".to_vec())));
    assert_eq!(world.replay().marks.low, 5);
}

/// Without permission nobody holds up a stream, whatever he does not upload.
#[test]
fn strangers_hold_up_nothing() {
    let mut world = World::new(None, rules());
    let a = stream(1);
    {
        let mut flow = world.script.flow();
        flow.add(account(1), &write(a, b"k", b"1"));
        let seq = flow.add(account(2), &write(a, b"k", b"2"));
        flow.at(seq).there = false;
        flow.add(account(1), &write(a, b"k", b"3"));
    }
    world.settle();
    assert_eq!(world.result(1).unwrap(), "SenderNoWritePermission");
    assert_eq!(world.view().claimed(9).unwrap(), [a]);
    assert_eq!(world.value(a, b"k", u64::MAX), Some((2, b"3".to_vec())));
}

/// With patience bytes are given up when the flow has come far enough, not before, and for good.
#[test]
fn patience_is_counted_in_the_flow() {
    let mut world = World::new(
        None,
        Rules {
            patience: Some(30),
            ..rules()
        },
    );
    let (a, who) = (stream(1), account(1));
    {
        let mut flow = world.script.flow();
        let gap = flow.add(who, &write(a, b"k", b"1"));
        flow.at(gap).there = false;
        flow.add(who, &write(a, b"k", b"2"));
        flow.add(who, &write(stream(2), b"k", b"3"));
    }
    world.settle();
    assert_eq!(world.result(0), None);
    // Block 30: ten for each submission.
    world.script.flow().add(who, &write(stream(2), b"k", b"4"));
    world.settle();
    assert_eq!(world.result(0).unwrap(), "DataUnavailable");
    assert_eq!(world.result(1).unwrap(), COMMIT);
    assert_eq!(world.view().lost(0, 10).unwrap(), [0]);
    world.script.flow().at(0).there = true;
    world.settle();
    world.reopen();
    world.settle();
    assert_eq!(world.result(0).unwrap(), "DataUnavailable");
}

/// A node that fails or lies is no reason to give up, however far the flow is.
#[test]
fn lies_are_no_reason_to_give_up() {
    let mut world = World::new(
        None,
        Rules {
            patience: Some(0),
            ..rules()
        },
    );
    let (a, who) = (stream(1), account(1));
    world.script.flow().lies = true;
    world.script.flow().add(who, &write(a, b"k", b"1"));
    world.script.flow().add(who, &write(a, b"k", b"2"));
    world.settle();
    assert_eq!(world.result(0), None);
    world.script.flow().lies = false;
    world.finish();
    assert_eq!(world.result(0).unwrap(), COMMIT);
    assert_eq!(world.value(a, b"k", u64::MAX), Some((1, b"2".to_vec())));
}

/// What others have given up is not asked for.
#[test]
fn follows_what_was_given_up() {
    let mut world = World::new(None, rules());
    let (a, who) = (stream(1), account(1));
    world.script.flow().add(who, &write(a, b"k", b"1"));
    world.script.flow().at(0).submission.given_up = true;
    world.settle();
    assert_eq!(world.result(0).unwrap(), "DataUnavailable");
    assert_eq!(world.script.flow().asked, 0);
}

/// A feed that is dead, confused or behind changes nothing; when it is back the replay goes on.
#[test]
fn feed_that_lags_or_fails() {
    let mut world = World::new(None, rules());
    let (a, who) = (stream(1), account(1));
    for value in [b"1", b"2", b"3"] {
        world.script.flow().add(who, &write(a, b"k", value));
    }
    world.script.flow().known = Some(2);
    world.settle();
    assert_eq!(world.replay().marks.next, 2);
    world.script.flow().known = Some(1);
    world.settle();
    world.replay().review().unwrap();
    assert_eq!(world.replay().marks.next, 2);
    world.script.flow().known = None;
    world.script.flow().dead = true;
    world.settle();
    world.script.flow().dead = false;
    world.script.flow().confused = true;
    world.settle();
    assert_eq!(world.replay().marks.next, 2);
    world.script.flow().confused = false;
    world.settle();
    assert_eq!(world.value(a, b"k", u64::MAX), Some((2, b"3".to_vec())));
    assert_eq!(world.value(a, b"k", 1), Some((1, b"2".to_vec())));
}

/// What is too old to be undone ends the replay, instead of holding what is not true.
#[test]
fn replaced_too_deep() {
    let mut world = World::new(
        None,
        Rules {
            undo_max: 3,
            ..rules()
        },
    );
    let (a, who) = (stream(1), account(1));
    for _ in 0..6 {
        world.script.flow().add(who, &write(a, b"k", b"1"));
    }
    world.settle();
    for seq in 2..6 {
        world.script.flow().at(seq).submission.transaction.0[0] = 1;
    }
    assert!(matches!(world.replay().turn(), Err(Ended::TooDeep(3))));
    for seq in 2..4 {
        world.script.flow().at(seq).submission.transaction.0[0] = 7;
    }
    world.settle();
    assert_eq!(world.replay().marks.next, 6);
}

/// Streams that are not held are passed, and so is what names one of them; a stream that is added has
/// its past replayed, while the others go on.
#[test]
fn streams_join() {
    let (a, b, who) = (stream(1), stream(2), account(1));
    let mut world = World::new(Some(&[a]), rules());
    let both = Draft {
        writes: vec![
            (a, Bytes::from_static(b"x"), Bytes::from_static(b"1")),
            (b, Bytes::from_static(b"x"), Bytes::from_static(b"1")),
        ],
        version: u64::MAX,
        ..Draft::default()
    };
    {
        let mut flow = world.script.flow();
        flow.add(who, &write(a, b"k", b"0"));
        flow.add(who, &write(b, b"k", b"1"));
        flow.add(who, &both);
        flow.push(who, b"no tags of streams".to_vec(), vec![1]);
        let gap = flow.add(who, &write(b, b"late", b"4"));
        flow.at(gap).there = false;
    }
    world.settle();
    let results: Vec<_> = (0..5).map(|seq| world.result(seq).is_some()).collect();
    assert_eq!(results, [true, false, false, false, false]);
    world.replay().store.reader().want(b, 100).unwrap();
    world.reopen();
    world.settle();
    world.script.flow().add(who, &both);
    world.settle();
    world.reopen();
    world.settle();
    // Of the past only what named no older stream; what comes after waits for what b waits for.
    let results: Vec<_> = (0..6).map(|seq| world.result(seq).is_some()).collect();
    assert_eq!(results, [true, true, false, false, false, false]);
    world.script.flow().at(4).there = true;
    world.finish();
    assert_eq!(world.result(4).unwrap(), COMMIT);
    assert_eq!(world.result(5).unwrap(), COMMIT);
    assert_eq!(world.value(b, b"k", u64::MAX), Some((1, b"1".to_vec())));
    assert_eq!(world.value(a, b"x", u64::MAX), Some((5, b"1".to_vec())));
    let held = world.view().held().unwrap().unwrap();
    assert_eq!(held.streams, [a, b].into());
    assert!(held.joining.is_empty() && world.view().wanted(9).unwrap().is_empty());
}

/// Reads of a stream that is not held are refused as 0G refuses them.
#[test]
fn reads_of_strange_streams() {
    let (a, who) = (stream(1), account(1));
    let mut world = World::new(Some(&[a]), rules());
    let mut draft = write(a, b"k", b"1");
    draft.reads = vec![Read {
        stream: stream(9),
        key: Bytes::from_static(b"k"),
    }];
    world.script.flow().tagged(who, &[a], &draft);
    world.settle();
    assert_eq!(world.result(0).unwrap(), "TagsMismatch");
}

/// Values that are too many for one batch are written beside the replay, through a kill and a gap, and
/// parts of them can be read.
#[test]
fn large_values() {
    let mut world = World::new(None, rules());
    let (a, who) = (stream(1), account(1));
    let mut large = vec![0; 9_000_001];
    for (place, byte) in large.iter_mut().enumerate() {
        *byte = u8::try_from(place / 7 % 251).unwrap();
    }
    let mut draft = write(a, b"large", &large);
    draft.writes.insert(
        0,
        (
            a,
            Bytes::from_static(b"small"),
            Bytes::from_static(b"before"),
        ),
    );
    draft
        .writes
        .push((a, Bytes::from_static(b"tail"), Bytes::from_static(b"after")));
    world.script.flow().add(who, &draft);
    world.script.flow().add(who, &write(stream(2), b"k", b"1"));
    world.settle();
    assert_eq!(world.result(1).unwrap(), COMMIT);
    world.reopen();
    world.finish();
    assert_eq!(world.result(0).unwrap(), COMMIT);
    assert_eq!(world.value(a, b"large", u64::MAX), Some((0, large.clone())));
    assert_eq!(
        world.value(a, b"small", u64::MAX),
        Some((0, b"before".to_vec()))
    );
    assert_eq!(
        world.value(a, b"tail", u64::MAX),
        Some((0, b"after".to_vec()))
    );
    let view = world.view();
    let found = view.value(a, b"large", 0).unwrap().unwrap();
    for (from, len) in [
        (0, 1),
        (65_530, 20),
        (262_143, 70_000),
        (8_999_999, 100),
        (9_000_001, 5),
    ] {
        let at = usize::try_from(from).unwrap();
        let want = &large[at..large.len().min(at + len)];
        assert_eq!(view.bytes(found, from, len).unwrap(), want);
    }
    // Replaced, nothing of it is left, not even loose pieces.
    world.script.flow().entries.truncate(0);
    world.script.flow().add(who, &write(a, b"k", b"2"));
    world.script.flow().add(who, &write(a, b"k", b"3"));
    world.finish();
    world.replay().review().unwrap();
    world.finish();
    assert_eq!(world.value(a, b"large", u64::MAX), None);
    assert_eq!(world.value(a, b"k", u64::MAX), Some((1, b"3".to_vec())));
}

/// Bytes that are no transaction are refused, and the next one is none the worse.
#[test]
fn hostile_bytes() {
    let mut world = World::new(None, rules());
    let (a, who) = (stream(1), account(1));
    let tags = tags::of([a]);
    {
        let mut flow = world.script.flow();
        let mut long = vec![0; 8];
        long.extend_from_slice(&65_537_u32.to_be_bytes());
        let mut cut = vec![0; 8];
        cut.extend_from_slice(&65_536_u32.to_be_bytes());
        for bytes in [long, cut, vec![0xff; 300]] {
            flow.push(who, tags.clone(), bytes);
        }
        // Lists that end early are filled by the zeros of the last sector.
        flow.push(who, tags.clone(), vec![0]);
        let whole = write(a, b"k", b"v").encode().unwrap();
        flow.push(who, tags.clone(), whole[..whole.len() - 4].to_vec());
    }
    world.settle();
    let results: Vec<_> = (0..5).map(|seq| world.result(seq).unwrap()).collect();
    let too_long = "DataParseError: Stream read/write/access_control list too long";
    let invalid = "DataParseError: Invalid stream data";
    assert_eq!(results, [too_long, invalid, too_long, COMMIT, COMMIT]);
    assert_eq!(world.value(a, b"k", u64::MAX), Some((4, b"v".to_vec())));
}
