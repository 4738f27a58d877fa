//! Long keys: the tree of names keeps their order.

use core::ops::Bound;
use std::collections::BTreeSet;

use bytes::Bytes;
use lode_proofs::Hash32;

use super::{names::PART_LEN, *};
use crate::verdict::Verdict;

/// Keys of zero to two parts and a little, which begin each other, in all orders that a byte can have.
fn keys() -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    for parts in 0..3 {
        for tail in [0, 1, 2, PART_LEN - 1] {
            for (fill, end) in [
                (0, 0),
                (0, 1),
                (0, 255),
                (7, 0),
                (7, 7),
                (255, 0),
                (255, 255),
            ] {
                let mut key = vec![fill; parts * PART_LEN + tail];
                if let Some(last) = key.last_mut() {
                    *last = end;
                    keys.insert(key);
                }
            }
        }
    }
    keys
}

/// Every key is found, and has the neighbours that it has in a set, whether the key that is asked for
/// is there or not.
#[test]
fn long_keys_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let stream = StreamId(Hash32([1; 32]));
    let all = keys();
    let there: BTreeSet<&Vec<u8>> = all.iter().step_by(2).collect();
    for (seq, keys) in (0..).zip(there.iter().collect::<Vec<_>>().chunks(5)) {
        let values = keys.iter().map(|key| Value {
            stream,
            key: Bytes::from(key.to_vec()),
            at: 0,
            len: 1,
        });
        let change = Change {
            values: values.collect(),
            values_len: 1,
            ..Change::default()
        };
        let decided = Decided {
            seq,
            print: None,
            marks: Marks::default(),
        };
        let change = Some((&change, &b"v"[..]));
        store.decide(&decided, &Verdict::Commit, change).unwrap();
    }
    let view = store.view();
    for key in &all {
        let found = view.value(stream, key, u64::MAX).unwrap();
        assert_eq!(found.is_some(), there.contains(key));
        for inclusive in [true, false] {
            let from = if inclusive {
                Bound::Included(&key[..])
            } else {
                Bound::Excluded(&key[..])
            };
            let same = |other: &Vec<u8>| inclusive && other == key;
            let up = there.iter().find(|other| same(other) || **other > key);
            let down = there.iter().rfind(|other| same(other) || **other < key);
            for (order, want) in [(Order::Up, up), (Order::Down, down)] {
                let got = view.neighbour(stream, from, order, u64::MAX).unwrap();
                let got = got.map(|(key, _)| key);
                assert_eq!(
                    got.as_ref(),
                    want.copied(),
                    "{order:?} of {} bytes",
                    key.len()
                );
            }
        }
    }
    for (order, want) in [(Order::Up, there.first()), (Order::Down, there.last())] {
        let got = view.neighbour(stream, Bound::Unbounded, order, u64::MAX);
        assert_eq!(got.unwrap().map(|(key, _)| key).as_ref(), want.copied());
    }
    let other = StreamId(Hash32([2; 32]));
    let none = view.neighbour(other, Bound::Unbounded, Order::Up, u64::MAX);
    assert!(none.unwrap().is_none());
}

/// Values that were written before their transaction, which then never came, are gone after a restart.
#[test]
fn loose_pieces_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.begin_stage(7).unwrap();
    store.reader().stage(7, 0, &[1; 3 * PIECE_LEN]).unwrap();
    let pieces = |store: &Store| {
        let view = store.view();
        let loose = view.snapshot.iter(&view.spaces.loose).count();
        (view.snapshot.iter(&view.spaces.pieces).count(), loose)
    };
    assert_eq!(pieces(&store), (3, 1));
    drop(store);
    assert_eq!(pieces(&Store::open(folder.path()).unwrap()), (0, 0));
}
