//! A state that is walked over is copied whole, wherever the walk is cut; nothing else is taken.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::keccak256;
use alloy_trie::KECCAK_EMPTY;
use proptest::prelude::*;

use super::*;
use crate::{
    apply::{Block, Info, Touched, apply},
    layers::{Layers, Nothing},
    versions::Versions,
};

/// Accounts with few slots, with many, and with none.
fn block(accounts: u64) -> Block {
    let touched = |number: u64| {
        let info = Info {
            nonce: number,
            balance: U256::from(number) << 70,
            code_hash: KECCAK_EMPTY,
        };
        let count = if number == 3 { 300 } else { number % 4 };
        let slots = (0..count).map(|slot| {
            (
                keccak256([slot.to_be_bytes()].concat()),
                U256::from(slot + 1),
            )
        });
        Touched {
            info: Some(info),
            wiped: false,
            slots: slots.collect(),
        }
    };
    let all = (0..accounts).map(|number| (keccak256(number.to_be_bytes()), touched(number)));
    Block {
        accounts: all.collect(),
        code: BTreeMap::new(),
    }
}

/// A state with its root, and the folder that it is in.
fn state(accounts: u64) -> (tempfile::TempDir, Versions, B256) {
    let dir = tempfile::tempdir().unwrap();
    let mut versions = Versions::open(dir.path(), &[], 1 << 20).unwrap();
    let (root, changes) = apply(&Nothing, &block(accounts)).unwrap();
    versions.commit(7, &[&changes], Vec::new()).unwrap();
    (dir, versions, root)
}

/// Everything that a state holds.
fn all(state: &impl Read) -> BTreeMap<Key, Bytes> {
    let keys = state.below(&[]).unwrap().into_iter();
    keys.map(|key| {
        let value = state.get(&key).unwrap().unwrap();
        (key, value)
    })
    .collect()
}

/// Copies page by page, and takes the walk up anew at each; the copy, and how many pages it took.
fn copy(source: &impl Read, root: B256, nodes_max: usize) -> (tempfile::TempDir, Versions, usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut copied = Versions::open(dir.path(), &[], 1 << 20).unwrap();
    let (mut at, mut pages) = (Some(Place::root(None)), 0);
    while let Some(place) = at {
        // Both sides know nothing but the place, and the client what it has.
        let place: Place = place.to_string().parse().unwrap();
        let mut server = Walk::at(root, &place, source).unwrap();
        let page = server.page(source, nodes_max, 1 << 20).unwrap();
        let mut client = Walk::at(root, &place, &copied.latest()).unwrap();
        let (mut entries, mut leaves) = (Vec::new(), Vec::new());
        for node in &page {
            let place = client.accept(node, &mut leaves).unwrap();
            entries.push((place.key(), node.clone()));
        }
        entries.extend(leaves.iter().map(Leaf::entry));
        at = client.next().cloned();
        assert_eq!(server.next(), at.as_ref());
        let mark = at.as_ref().map(ToString::to_string).unwrap_or_default();
        copied.fill(entries, mark.as_bytes()).unwrap();
        assert_eq!(&copied.filled().unwrap().unwrap()[..], mark.as_bytes());
        pages += 1;
    }
    (dir, copied, pages)
}

/// Whatever the size of a page, the copy is the source, to the last byte.
#[test]
fn a_copy_is_whole() {
    let (_dir, source, root) = state(200);
    for nodes_max in [1, 2, 7, 100, usize::MAX] {
        let (_copied_dir, mut copied, pages) = copy(&source.latest(), root, nodes_max);
        assert_eq!(all(&copied.latest()), all(&source.latest()));
        assert!(nodes_max < 1000 || pages == 1);
        copied.commit(7, &[&BTreeMap::new()], Vec::new()).unwrap();
        assert_eq!((copied.tip(), copied.from()), (Some(7), 7));
        assert_eq!(copied.filled().unwrap(), None);
        assert_eq!(all(&copied.latest()), all(&source.latest()));
    }
}

/// Every account and slot is found by its key along a few nodes, and what is not there is not.
#[test]
fn keys_are_found() {
    let (_dir, source, root) = state(60);
    let view = source.latest();
    let mut leaves = Vec::new();
    let mut walk = Walk::new(root);
    for node in Walk::new(root).page(&view, usize::MAX, usize::MAX).unwrap() {
        walk.accept(&node, &mut leaves).unwrap();
    }
    let mut read = 0;
    let mut find = |root, key: &Place| {
        Walk::find::<Error>(root, key, |place| {
            read += 1;
            Ok(place.read(&view)?)
        })
        .unwrap()
    };
    let mut storage = EMPTY_ROOT_HASH;
    for leaf in &leaves {
        let root = match leaf {
            Leaf::Account { account, .. } => {
                storage = account.storage_root;
                root
            }
            Leaf::Slot { .. } => storage,
        };
        assert_eq!(find(root, &leaf.place()).as_ref(), Some(leaf));
        let mut absent = leaf.place();
        absent.path = Nibbles::unpack(keccak256(absent.path.pack()));
        assert_eq!(find(root, &absent), None);
    }
    assert!(
        read < leaves.len() * 12,
        "{read} nodes for {} keys",
        leaves.len()
    );
}

/// An empty state, and one with a single account, are walked over as well.
#[test]
fn small_states() {
    let mut walk = Walk::new(EMPTY_ROOT_HASH);
    assert_eq!(walk.next(), None);
    assert_eq!(walk.accept(&[0x80], &mut Vec::new()), Err(Refused::Beyond));
    let (_dir, source, root) = state(1);
    let (_copied_dir, copied, _) = copy(&source.latest(), root, 1);
    assert_eq!(all(&copied.latest()), all(&source.latest()));
}

/// A page with a node changed, left out, added, or exchanged with its neighbour is refused at that
/// node; so is one of another state, and what comes after the end.
#[test]
fn lies_are_refused() {
    let (_dir, source, root) = state(60);
    let view = source.latest();
    let page = Walk::new(root).page(&view, usize::MAX, usize::MAX).unwrap();
    let refused_at = |page: &[Bytes]| {
        let mut walk = Walk::new(root);
        let taken = |node: &&Bytes| walk.accept(node, &mut Vec::new()).is_ok();
        page.iter().take_while(taken).count()
    };
    assert_eq!(refused_at(&page), page.len());
    for at in [0, 1, 5, page.len() - 1] {
        let mut changed = page.clone();
        let mut node = changed[at].to_vec();
        *node.last_mut().unwrap() ^= 1;
        changed[at] = node.into();
        assert_eq!(refused_at(&changed), at, "changed");
        let mut fewer = page.clone();
        fewer.remove(at);
        assert_eq!(refused_at(&fewer), at, "left out");
        let mut more = page.clone();
        more.insert(at, Bytes::from(vec![0xc0; 40]));
        assert_eq!(refused_at(&more), at, "added");
    }
    let mut swapped = page.clone();
    swapped.swap(4, 5);
    assert_eq!(refused_at(&swapped), 4);
    let mut endless = page.clone();
    endless.push(page[3].clone());
    assert_eq!(refused_at(&endless), page.len());
    let (_other_dir, other, other_root) = state(61);
    let other = Walk::new(other_root)
        .page(&other.latest(), usize::MAX, usize::MAX)
        .unwrap();
    assert_eq!(refused_at(&other), 0);
}

/// Pages keep to both bounds, but for a node that is larger by itself.
#[test]
fn pages_are_bounded() {
    let (_dir, source, root) = state(200);
    let view = source.latest();
    let mut walk = Walk::new(root);
    let mut nodes = 0;
    while walk.next().is_some() {
        let page = walk.page(&view, 50, 1000).unwrap();
        let len: usize = page.iter().map(|node| node.len()).sum();
        assert!(page.len() <= 50 && (len <= 1000 || page.len() == 1));
        assert!(!page.is_empty());
        nodes += page.len();
    }
    let whole = Walk::new(root).page(&view, usize::MAX, usize::MAX).unwrap();
    assert_eq!(nodes, whole.len());
    assert_eq!(walk.parts_done(), 1_000_000);
}

/// A place has one spelling, and other text is none.
#[test]
fn places_are_text() {
    let account = keccak256([1]);
    for place in [
        Place::root(None),
        Place::root(Some(account)),
        "3af".parse().unwrap(),
        format!("{account:x}:0b").parse().unwrap(),
    ] {
        assert_eq!(place.to_string().parse(), Ok(place));
    }
    let long = "0".repeat(65);
    for bad in ["x", "0A", ":", "12:3", "é", long.as_str(), "1 "] {
        assert_eq!(bad.parse::<Place>(), Err(NoPlace), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever place is asked for, a walk is taken up there or behind it, and never before.
    #[test]
    fn any_place_is_taken_up(digits in "[0-9a-f]{0,64}", number in 0..60_u64, deep in any::<bool>()) {
        let (root, changes) = apply(&Nothing, &block(60)).unwrap();
        let view = Layers::new(Nothing).with(Arc::new(changes));
        let account = deep.then(|| keccak256(number.to_be_bytes()));
        let path = digits.parse::<Place>().unwrap().path;
        let place = Place { account, path };
        let walk = Walk::at(root, &place, &view).unwrap();
        if let Some(next) = walk.next() {
            prop_assert!(next.order(&place) != Ordering::Less);
        }
        // It is the first of the whole walk that is not before the place.
        let mut whole = Walk::new(root);
        while let Some(next) = whole.next() && next.order(&place) == Ordering::Less {
            whole.page(&view, 1, usize::MAX).unwrap();
        }
        prop_assert_eq!(walk.next(), whole.next());
    }
}
