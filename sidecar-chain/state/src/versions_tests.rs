//! The map beside a model that keeps every version whole.

use proptest::prelude::*;

use super::*;

fn key(number: u8) -> Key {
    // Of all kinds: their lengths differ.
    let hash = alloy_primitives::B256::with_last_byte(number / 4);
    match number % 4 {
        0 => Key::account(&hash),
        1 => Key::slot(&hash, &hash),
        2 => Key::node(&alloy_trie::Nibbles::from_nibbles(vec![
            1;
            usize::from(number)
        ])),
        _ => Key::code(&hash),
    }
}

fn change() -> impl Strategy<Value = (u8, Option<Bytes>)> {
    let value = prop::collection::vec(any::<u8>(), 0..5).prop_map(Bytes::from);
    (0..24_u8, prop::option::weighted(0.7, value))
}

fn check(versions: &Versions, model: &BTreeMap<Height, BTreeMap<Key, Bytes>>) {
    for (height, held) in model {
        let view = versions.at(*height);
        if *height < versions.from() {
            assert!(matches!(view, Err(Error::NotKept { .. })));
            continue;
        }
        let view = view.unwrap();
        for number in 0..24 {
            let found = view.get(&key(number)).unwrap();
            assert_eq!(found.as_ref(), held.get(&key(number)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every version that is kept reads as it was, before and after a restart, however many blocks
    /// are written at once, whatever is forgotten meanwhile, however little is held in memory; and
    /// what is forgotten leaves nothing behind.
    #[test]
    fn versions_are_as_they_were(
        first in 0..1000_u64,
        memory in prop::sample::select(vec![0, 20_000, 1 << 20]),
        groups in prop::collection::vec(
            (prop::collection::vec(prop::collection::vec(change(), 0..12), 1..4), 0..8_u64),
            1..8,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut versions = Versions::open(dir.path(), &[], memory).unwrap();
        let (mut model, mut last, mut height) = (BTreeMap::new(), BTreeMap::new(), first);
        for (group, forget) in groups {
            let group: Vec<Changes> = group
                .into_iter()
                .map(|block| block.into_iter().map(|(at, value)| (key(at), value)).collect())
                .collect();
            let blocks: Vec<&Changes> = group.iter().collect();
            versions.commit(height, &blocks, Vec::new()).unwrap();
            for changes in group {
                for (key, value) in changes {
                    match value {
                        Some(value) => last.insert(key, value),
                        None => last.remove(&key),
                    };
                }
                model.insert(height, last.clone());
                height += 1;
            }
            if forget == 0 {
                versions.forget(height.saturating_sub(3)).unwrap();
            }
            check(&versions, &model);
        }
        let from = versions.from();
        drop(versions);
        let mut versions = Versions::open(dir.path(), &[], memory).unwrap();
        prop_assert_eq!(versions.from(), from);
        check(&versions, &model);
        versions.forget(Height::MAX).unwrap();
        check(&versions, &model);
        prop_assert_eq!(versions.spaces.before.iter().count(), 0);
        prop_assert_eq!(versions.spaces.log.iter().count(), 0);
    }
}

/// Rows come and go with the tip that wrote them, in the order of their keys.
#[test]
fn rows_are_of_their_tip() {
    let dir = tempfile::tempdir().unwrap();
    let mut versions = Versions::open(dir.path(), &["one", "two"], 0).unwrap();
    let row = |table, key: &[u8], value: &[u8]| Row {
        table: Table(table),
        key: key.to_vec(),
        value: value.to_vec(),
    };
    let none = Changes::new();
    let rows = vec![row(0, b"b", b"1"), row(0, b"a", b"2"), row(1, b"b", b"3")];
    versions.commit(0, &[&none], rows).unwrap();
    let held = |view: &View, table, key: &str| {
        let row = view.row(Table(table), key).unwrap();
        row.unwrap().to_vec()
    };
    let old = versions.latest();
    versions
        .commit(1, &[&none], vec![row(0, b"b", b"4")])
        .unwrap();
    assert_eq!(held(&old, 0, "b"), b"1");
    drop((versions, old));

    let versions = Versions::open(dir.path(), &["one", "two"], 0).unwrap();
    let view = versions.latest();
    assert_eq!(held(&view, 0, "a"), b"2");
    assert_eq!(held(&view, 0, "b"), b"4");
    assert_eq!(held(&view, 1, "b"), b"3");
    assert!(view.row(Table(1), "a").unwrap().is_none());
    let keys = view.keys::<&str, _>(Table(0), ..);
    let keys: Vec<_> = keys.map(|key| key.unwrap().to_vec()).collect();
    assert_eq!(keys, [b"a", b"b"]);
}

/// A view stays what it was while blocks are added.
#[test]
fn views_do_not_move() {
    let dir = tempfile::tempdir().unwrap();
    let mut versions = Versions::open(dir.path(), &[], 1 << 20).unwrap();
    assert!(matches!(versions.at(0), Err(Error::NotKept { .. })));
    let one = |value: u8| Changes::from([(key(0), Some(Bytes::from(vec![value])))]);
    versions.commit(7, &[&one(7)], Vec::new()).unwrap();
    let views = [versions.latest(), versions.at(7).unwrap()];
    versions.commit(8, &[&one(8)], Vec::new()).unwrap();
    for view in views {
        assert_eq!(view.get(&key(0)).unwrap(), Some(vec![7].into()));
    }
}

/// Only the next block is taken, and nothing of another is kept.
#[test]
fn blocks_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut versions = Versions::open(dir.path(), &[], 1 << 20).unwrap();
    let one = |value: u8| Changes::from([(key(0), Some(Bytes::from(vec![value])))]);
    versions.commit(3, &[&one(3)], Vec::new()).unwrap();
    for height in [2, 3, 5] {
        let refused = versions.commit(height, &[&one(9)], Vec::new());
        assert!(matches!(refused, Err(Error::NotNext { tip: Some(3), .. })));
    }
    assert_eq!(
        versions.latest().get(&key(0)).unwrap(),
        Some(vec![3].into())
    );
}
