//! Encrypted transactions: what opens, what does not, and values that are too many for one batch.

use lode_wire::cipher::Key;

use super::*;
use crate::script::{Lock, keys};

fn with(keys: Keys) -> World {
    World::new(None, Rules { keys, ..rules() })
}

fn push(world: &World, lock: Lock, draft: &Draft) -> u64 {
    let bytes = lock.close(draft.encode().unwrap());
    world.script.flow().push(account(1), draft.tags(), bytes)
}

/// A node opens what its keys are for, says why of the rest, and is none the worse for it.
#[test]
fn what_opens() {
    let a = stream(1);
    let values = [b"v1", b"v2", b"v0"].map(|value| write(a, b"k", value));
    let refused = |why: &str| format!("DataParseError: Cannot decrypt: {why}");
    let (neither, both) = (refused("not encrypted, or in an unknown way"), keys());
    let symmetric = Keys {
        private: None,
        ..both.clone()
    };
    let private = Keys {
        symmetric: None,
        ..both.clone()
    };
    let cases = [
        (both, [COMMIT, COMMIT, &neither], 1),
        (symmetric, [COMMIT, &refused("no private key"), &neither], 0),
        (
            private,
            [&refused("no key of version 1"), COMMIT, &neither],
            1,
        ),
    ];
    for (keys, want, newest) in cases {
        let mut world = with(keys);
        for (lock, draft) in [Lock::V1, Lock::V2, Lock::Plain].into_iter().zip(&values) {
            push(&world, lock, draft);
        }
        world.settle();
        let results: Vec<_> = (0..3).map(|seq| world.result(seq).unwrap()).collect();
        assert_eq!(results, want);
        let (version, _) = world.value(a, b"k", u64::MAX).unwrap();
        assert_eq!(version, newest);
    }
}

/// With a wrong key, or none, an encrypted transaction is noise, and noise changes nothing.
#[test]
fn noise() {
    let a = stream(1);
    let wrong = Keys {
        symmetric: Some(Key::new([4; 32])),
        private: None,
    };
    for keys in [wrong, Keys::default()] {
        let mut world = with(keys);
        push(&world, Lock::V1, &write(a, b"k", b"1"));
        world.settle();
        let result = world.result(0).unwrap();
        assert!(result.starts_with("DataParseError: "), "{result}");
        assert!(!result.contains("decrypt"), "{result}");
        assert_eq!(world.value(a, b"k", u64::MAX), None);
        assert_eq!(world.view().claimed(9).unwrap(), []);
    }
}

/// Bytes that are no header, or end in it: the sector's zeros count to it, as in 0G.
#[test]
fn hostile_headers() {
    let mut world = with(keys());
    let (who, tags) = (account(1), tags::of([stream(1)]));
    for bytes in [
        vec![3; 300],
        vec![1],
        vec![1; 17],
        vec![1; 256],
        vec![2; 50],
        vec![2],
    ] {
        world.script.flow().push(who, tags.clone(), bytes);
    }
    // The point at infinity, and one beside the curve.
    let mut beside = vec![2, 2];
    beside.extend_from_slice(&[0xff; 48]);
    world.script.flow().push(who, tags, beside);
    push(&world, Lock::V2, &write(stream(1), b"k", b"1"));
    world.settle();
    let results: Vec<_> = (0..8).map(|seq| world.result(seq).unwrap()).collect();
    let refused = |why: &str| format!("DataParseError: Cannot decrypt: {why}");
    assert_eq!(results[0], refused("not encrypted, or in an unknown way"));
    for noise in &results[1..4] {
        assert!(
            noise.starts_with("DataParseError: ") && !noise.contains("decrypt"),
            "{noise}"
        );
    }
    let point = refused("no public key in the header");
    assert_eq!(results[5..7], [point.clone(), point]);
    assert_eq!(results[7], COMMIT);
}

/// Behind an encrypted transaction there is noise, not zeros: a list that is missing is none.
#[test]
fn nothing_follows() {
    let mut world = with(keys());
    let draft = write(stream(1), b"k", b"1");
    let whole = draft.encode().unwrap();
    let cut = whole[..whole.len() - 4].to_vec();
    for bytes in [Lock::V1.close(cut), Lock::V1.close(whole)] {
        world.script.flow().push(account(1), draft.tags(), bytes);
    }
    world.settle();
    let cut = world.result(0).unwrap();
    assert!(cut.starts_with("DataParseError: "), "{cut}");
    assert_eq!(world.result(1).unwrap(), COMMIT);
}

/// Values that are too many for one batch, through a kill and a gap.
#[test]
fn large_values() {
    for lock in [Lock::V1, Lock::V2] {
        let mut world = with(keys());
        let a = stream(1);
        let large: Vec<u8> = (0..=250).cycle().take(9_000_001).collect();
        let mut draft = write(a, b"large", &large);
        let tail = (Bytes::from_static(b"tail"), Bytes::from_static(b"after"));
        draft.writes.push((a, tail.0, tail.1));
        let seq = push(&world, lock, &draft);
        world.settle();
        world.reopen();
        world.script.flow().at(seq).there = false;
        world.settle();
        world.script.flow().at(seq).there = true;
        world.finish();
        assert_eq!(world.result(seq).unwrap(), COMMIT);
        assert!(world.value(a, b"large", u64::MAX) == Some((0, large)));
        let tail = world.value(a, b"tail", u64::MAX);
        assert_eq!(tail, Some((0, b"after".to_vec())));
    }
}
