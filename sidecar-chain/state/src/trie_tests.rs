//! The trie beside a foreign one, which builds every root anew from sorted keys.

use std::convert::Infallible;

use alloy_trie::{HashBuilder, proof::verify_proof};
use proptest::prelude::*;

use super::*;

/// Nodes in memory.
#[derive(Clone, Debug, Default, PartialEq)]
struct Memory(BTreeMap<Nibbles, Bytes>);

impl Nodes for Memory {
    type Error = Infallible;

    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, Infallible> {
        Ok(self.0.get(path).cloned())
    }
}

impl Memory {
    /// Makes changes in one commit; the root.
    fn change(&mut self, changes: &[(Nibbles, Option<Vec<u8>>)]) -> B256 {
        let mut trie = Trie::open(self).unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => trie.set(*key, value.clone()).unwrap(),
                None => trie.remove(*key).unwrap(),
            }
        }
        let Committed { root, nodes } = trie.commit();
        for (path, node) in nodes {
            match node {
                Some(rlp) => self.0.insert(path, rlp),
                None => self.0.remove(&path),
            };
        }
        root
    }
}

type Model = BTreeMap<Nibbles, Vec<u8>>;

fn foreign_root(model: &Model) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in model {
        builder.add_leaf(*key, value);
    }
    builder.root()
}

/// Keys that share long prefixes: a handful of nibbles of 64 differ.
fn key() -> impl Strategy<Value = Nibbles> {
    let places = prop::sample::select(vec![0_usize, 1, 2, 31, 60, 62, 63]);
    prop::collection::vec((places, 0..4_u8), 0..5).prop_map(|set| {
        let mut key = [0_u8; 64];
        for (place, nibble) in set {
            key[place] = nibble;
        }
        Nibbles::from_nibbles(key)
    })
}

/// Values of all kinds of length: short ones make nodes that lie inside their parents.
fn change() -> impl Strategy<Value = (Nibbles, Option<Vec<u8>>)> {
    let value = prop_oneof![
        prop::collection::vec(1..=0x7f_u8, 1..2),
        prop::collection::vec(any::<u8>(), 1..90),
    ];
    (key(), prop::option::weighted(0.6, value))
}

proptest! {
    /// However changes come, the root is the foreign one's, and the nodes are those of a trie that
    /// was built at once: none is missing and none is left over.
    #[test]
    fn changes_agree_with_foreign(
        batches in prop::collection::vec(prop::collection::vec(change(), 0..12), 1..8),
    ) {
        let (mut memory, mut model) = (Memory::default(), Model::new());
        for batch in batches {
            for (key, value) in &batch {
                match value {
                    Some(value) => model.insert(*key, value.clone()),
                    None => model.remove(key),
                };
            }
            prop_assert_eq!(memory.change(&batch), foreign_root(&model));
            let mut whole = Memory::default();
            let all: Vec<_> = model.iter().map(|(key, value)| (*key, Some(value.clone()))).collect();
            whole.change(&all);
            prop_assert_eq!(&memory, &whole);
        }
    }

    /// Every key that is there and every other is proven to the foreign verifier; with another
    /// value it is not.
    #[test]
    fn proofs_convince_foreign(
        changes in prop::collection::vec(change(), 1..20),
        asked in prop::collection::vec(key(), 1..6),
    ) {
        let (mut memory, mut model) = (Memory::default(), Model::new());
        let root = memory.change(&changes);
        for (key, value) in changes {
            match value {
                Some(value) => model.insert(key, value),
                None => model.remove(&key),
            };
        }
        for key in model.keys().copied().chain(asked) {
            let proof = prove(&memory, &key).unwrap();
            let value = model.get(&key).cloned();
            verify_proof(root, key, value.clone(), &proof).unwrap();
            let other = value.map_or(Some(vec![1]), |_| None);
            prop_assert!(verify_proof(root, key, other, &proof).is_err());
        }
    }
}

/// A store that lost a node, or holds bytes that are none, is told from an empty one.
#[test]
fn damage_is_told() {
    let mut memory = Memory::default();
    let keys: Vec<Nibbles> = (0..32_u8)
        .map(|at| Nibbles::unpack(keccak256([at])))
        .collect();
    let changes: Vec<_> = keys.iter().map(|key| (*key, Some(vec![7; 40]))).collect();
    memory.change(&changes);
    let path = *memory.0.keys().nth(3).unwrap();
    let key = *keys.iter().find(|key| key.starts_with(&path)).unwrap();
    for node in [None, Some(Bytes::from_static(&[0xc1]))] {
        let mut damaged = memory.clone();
        match node {
            Some(node) => damaged.0.insert(path, node),
            None => damaged.0.remove(&path),
        };
        let mut trie = Trie::open(&damaged).unwrap();
        assert_eq!(trie.set(key, vec![1]), Err(Error::Damaged { path }));
        assert_eq!(prove(&damaged, &key), Err(Error::Damaged { path }));
    }
}
