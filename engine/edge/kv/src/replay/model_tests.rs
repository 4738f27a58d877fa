//! Random flows against the model.

use core::ops::Bound;

use proptest::prelude::*;

use super::*;
use crate::{
    account::Account,
    model::Model,
    script::{Lock, keys},
    store::Order,
};

/// One transaction of a random flow.
#[derive(Clone, Debug)]
struct Step {
    sender: Account,
    tags: Vec<StreamId>,
    draft: Draft,
    there: bool,
    /// Where the node has keys: how it is encrypted.
    lock: Lock,
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
        prop::sample::select(vec![Lock::V1, Lock::V2, Lock::V1, Lock::V2, Lock::Plain]),
    )
        .prop_map(
            |(sender, (version, reads, writes, controls), extra, fits, there, lock)| {
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
                    lock,
                }
            },
        )
}

/// Transactions as a node without keys meets them: none is encrypted.
fn plain(steps: Vec<Step>) -> Vec<Step> {
    let plain = |step| Step {
        lock: Lock::Plain,
        ..step
    };
    steps.into_iter().map(plain).collect()
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
        let bytes = step.lock.close(step.draft.encode().unwrap());
        let tags = tags::of(step.tags.iter().copied());
        let seq = flow.push(step.sender, tags, bytes);
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
        let steps = plain(steps);
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

    /// The same with keys: what they open is as the model says, what they do not changes nothing.
    #[test]
    fn sealed_as_the_model(
        steps in prop::collection::vec(step(), 1..25),
        fuse in 0..12_u64,
    ) {
        let mut world = World::new(None, Rules { keys: keys(), ..rules() });
        tell(&world, &steps, 0, 0);
        world.replay().store.fuse = fuse;
        while let Ok(true) = world.replay().turn() {}
        world.reopen();
        world.settle();
        arrive(&world);
        world.finish();
        let mut model = Model::default();
        for (seq, step) in (0..).zip(&steps) {
            if step.lock == Lock::Plain {
                let why = "DataParseError: Cannot decrypt: not encrypted, or in an unknown way";
                model.refuse(seq, step.sender, &step.tags, why);
            } else {
                model.apply(seq, step.sender, &step.tags, &step.draft);
            }
        }
        agree(&world.view(), &model, u64::try_from(steps.len()).unwrap());
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
        let (steps, others) = (plain(steps), plain(others));
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
