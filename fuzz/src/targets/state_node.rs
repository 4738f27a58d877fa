//! Nodes of a state from another validator, and places in a state as text: a node that is taken says
//! only what a state can say, in order, and a place has one spelling.

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_trie::{KECCAK_EMPTY, Nibbles};
use lode_chain_state::{
    apply::{Block, Info, Touched, apply},
    layers::{Layers, Nothing},
    walk::{Leaf, Place, Refused, Walk},
};

use super::Target;

/// Takes a node as the root of a state and as that of a storage, and reads a place.
pub const TARGET: Target = Target {
    name: "state_node",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(place) = text.parse::<Place>()
    {
        assert_eq!(place.to_string(), text, "one spelling each");
    }
    let root = keccak256(data);
    let mut walk = Walk::new(root);
    let mut leaves = Vec::new();
    // The root of an empty trie is no node.
    let Some(first) = walk.next().cloned() else {
        return;
    };
    match walk.accept(data, &mut leaves) {
        Ok(place) => assert_eq!(place, first),
        Err(refused) => {
            assert_eq!(refused, Refused::Form(Box::new(first)));
            assert_eq!(
                walk.next(),
                Some(&Place::root(None)),
                "it stays where it was"
            );
            return;
        }
    }
    assert!(walk.parts_done() <= 1_000_000);
    for leaf in &leaves {
        assert_eq!(leaf.place().path.len(), 64);
        let (key, _) = leaf.entry();
        assert!(key.parts().is_some());
        assert!(
            matches!(leaf, Leaf::Account { .. }),
            "an account's place is no slot's"
        );
    }
    if walk.next().is_some() {
        let again = walk.accept(data, &mut Vec::new());
        assert!(
            matches!(again, Err(Refused::Hash { .. })),
            "no node is in itself"
        );
    }
    // The same bytes as the root of a storage: any key is found or not, and nothing panics.
    let key = Place {
        account: Some(B256::repeat_byte(1)),
        path: Nibbles::unpack(root),
    };
    let found = Walk::find::<Refused>(root, &key, |_| Ok(Bytes::copy_from_slice(data)));
    if let Ok(Some(leaf)) = found {
        assert_eq!(leaf.place(), key);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let touched = |number: u8| Touched {
        info: Some(Info {
            nonce: u64::from(number),
            balance: U256::from(number),
            code_hash: KECCAK_EMPTY,
        }),
        wiped: false,
        slots: (0..number)
            .map(|slot| (keccak256([slot]), U256::from(slot) + U256::from(1)))
            .collect(),
    };
    let block = Block {
        accounts: (0..12)
            .map(|number| (keccak256([number]), touched(number)))
            .collect(),
        code: BTreeMap::new(),
    };
    let (root, changes) = apply(&Nothing, &block).expect("nothing can be read");
    let state = Layers::new(Nothing).with(std::sync::Arc::new(changes));
    let nodes = Walk::new(root).page(&state, usize::MAX, usize::MAX);
    let nodes = nodes.expect("it is all there").into_iter();
    let mut seeds: Vec<Vec<u8>> = nodes.map(|node| node.to_vec()).collect();
    let places = [Place::root(None), Place::root(Some(root))];
    seeds.extend(places.map(|place| place.to_string().into_bytes()));
    seeds.push(b"3af".to_vec());
    seeds
}
