//! Replays of flows that a test writes: against the model, through crashes, lies, gaps and
//! replaced submissions.

#[path = "model_tests.rs"]
mod against_model;
#[path = "sealed_tests.rs"]
mod sealed;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::{
    script::{Script, account, control, stream, write},
    store::{Join, View},
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
            keys: None,
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
        keys: Keys::default(),
    }
}

const COMMIT: &str = "Commit";

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

/// Who writes special keys counts as a writer for as long as he has one, wherever it was given to him.
#[test]
fn writers_of_keys_are_counted() {
    let mut world = World::new(None, rules());
    let (a, one, two) = (stream(1), account(1), account(2));
    let grant = |op, keys: &[&[u8]]| Draft {
        version: u64::MAX,
        controls: keys.iter().map(|key| control(op, a, key, two)).collect(),
        ..Draft::default()
    };
    let steps = [
        (one, grant(Op::GrantSpecialWrite, &[b"x", b"y"])),
        (one, grant(Op::GrantSpecialWrite, &[b"y"])),
        (one, grant(Op::RevokeSpecialWrite, &[b"x", b"z"])),
        (two, grant(Op::RenounceSpecialWrite, &[b"z"])),
        (two, grant(Op::RenounceSpecialWrite, &[b"y"])),
        (two, grant(Op::RenounceSpecialWrite, &[b"y"])),
    ];
    for (who, draft) in &steps {
        world.script.flow().add(*who, draft);
    }
    world.settle();
    let results: Vec<_> = (0..6).map(|seq| world.result(seq).unwrap()).collect();
    let none = "SenderNoWritePermission";
    assert_eq!(results, [COMMIT, COMMIT, COMMIT, COMMIT, COMMIT, none]);
    let counts = (0..5).map(|at| world.replay().store.view().key_count(two, a, at).unwrap());
    assert_eq!(counts.collect::<Vec<_>>(), [2, 2, 1, 1, 0]);
}

/// What was decided before a kill, and replaced before the next start, is undone, though the replay
/// had not noted that it was past it.
#[test]
fn replaced_while_dead() {
    let mut world = World::new(None, rules());
    let (a, who) = (stream(1), account(1));
    world.script.flow().add(who, &write(a, b"k", b"old"));
    // One write for the verdict, none for the marks after it.
    world.replay().store.fuse = 1;
    assert!(world.replay().turn().is_err());
    world.reopen();
    assert_eq!(world.value(a, b"k", 0), Some((0, b"old".to_vec())));
    world.script.flow().entries.clear();
    world.script.flow().add(who, &write(a, b"k", b"new"));
    world.settle();
    assert_eq!(world.value(a, b"k", 0), Some((0, b"new".to_vec())));
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
    world.finish();
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
