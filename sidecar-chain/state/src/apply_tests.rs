//! The state beside a model that holds all accounts, and the foreign roots of it.

use std::sync::Arc;

use alloy_primitives::keccak256;
use alloy_trie::{
    proof::verify_proof,
    root::{state_root, storage_root},
};
use proptest::prelude::*;

use super::*;
use crate::{layers::Layers, versions::Versions};

type Model = BTreeMap<B256, (Info, BTreeMap<B256, U256>)>;

fn hash(number: u8) -> B256 {
    keccak256([number])
}

fn touched() -> impl Strategy<Value = Touched> {
    let info = (any::<u8>(), any::<u64>()).prop_map(|(nonce, balance)| Info {
        nonce: u64::from(nonce),
        balance: U256::from(balance),
        code_hash: KECCAK_EMPTY,
    });
    let slots = prop::collection::btree_map((0..12_u8).prop_map(hash), small(), 0..8);
    let info = prop::option::weighted(0.85, info);
    (info, prop::bool::weighted(0.1), slots).prop_map(|(info, wiped, slots)| Touched {
        info,
        wiped,
        slots,
    })
}

fn small() -> impl Strategy<Value = U256> {
    prop_oneof![Just(0_u64), Just(1), any::<u64>()].prop_map(U256::from)
}

fn block() -> impl Strategy<Value = Block> {
    let address = (0..10_u8).prop_map(hash);
    prop::collection::btree_map(address, touched(), 0..6).prop_map(|accounts| Block {
        accounts,
        code: BTreeMap::new(),
    })
}

fn follow(model: &mut Model, block: &Block) {
    for (address, touched) in &block.accounts {
        let Some(info) = touched.info else {
            model.remove(address);
            continue;
        };
        let account = model.entry(*address).or_insert((info, BTreeMap::new()));
        account.0 = info;
        if touched.wiped {
            account.1.clear();
        }
        for (slot, value) in &touched.slots {
            account.1.insert(*slot, *value);
        }
        account.1.retain(|_, value| !value.is_zero());
    }
}

fn foreign(model: &Model) -> B256 {
    state_root(model.iter().map(|(address, (info, slots))| {
        let root = storage_root(slots.iter().map(|(slot, value)| (*slot, *value)));
        let account = TrieAccount::new(info.nonce, info.balance, root, info.code_hash);
        (*address, account)
    }))
}

/// The whole state as one block.
fn whole(model: &Model) -> Block {
    let accounts = model.iter().map(|(address, (info, slots))| {
        let touched = Touched {
            info: Some(*info),
            wiped: false,
            slots: slots.clone(),
        };
        (*address, touched)
    });
    Block {
        accounts: accounts.collect(),
        code: BTreeMap::new(),
    }
}

fn check(state: &impl Read, model: &Model, root: B256) {
    for address in (0..10).map(hash) {
        let held = model.get(&address);
        let account = account(state, &address).unwrap();
        assert_eq!(
            account.map(|account| account.balance),
            held.map(|held| held.0.balance)
        );
        let proof = prove_account(state, &address).unwrap();
        let rlp = account.map(encode);
        verify_proof(root, Nibbles::unpack(address), rlp, &proof).unwrap();
        let Some(account) = account else { continue };
        for number in (0..12).map(hash) {
            let value = slot(state, &address, &number).unwrap();
            let wanted = held.and_then(|held| held.1.get(&number)).copied();
            assert_eq!(value, wanted.unwrap_or_default());
            let proof = prove_slot(state, &address, &number).unwrap();
            let rlp = Some(value).filter(|value| !value.is_zero()).map(encode);
            let path = Nibbles::unpack(number);
            verify_proof(account.storage_root, path, rlp, &proof).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Over blocks in memory and blocks that are kept: roots are the foreign ones, contents and
    /// proofs those of the model, and nothing is left over of what is gone.
    #[test]
    fn states_agree_with_foreign(blocks in prop::collection::vec((block(), any::<bool>()), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let mut versions = Versions::open(dir.path(), &[], 1 << 20).unwrap();
        let (mut model, mut height) = (Model::new(), 0);
        let mut waiting: Vec<Arc<Changes>> = Vec::new();
        let mut layers = Layers::new(versions.latest());
        for (block, keep) in blocks {
            let (root, changes) = apply(&layers, &block).unwrap();
            follow(&mut model, &block);
            prop_assert_eq!(root, foreign(&model));
            let changes = Arc::new(changes);
            layers = layers.with(Arc::clone(&changes));
            waiting.push(changes);
            check(&layers, &model, root);
            if keep {
                for changes in waiting.drain(..) {
                    versions.commit(height, &[&changes], Vec::new()).unwrap();
                    height += 1;
                }
                layers = Layers::new(versions.latest());
                check(&layers, &model, root);
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let fresh = Versions::open(dir.path(), &[], 1 << 20).unwrap();
        let (_, all) = apply(&fresh.latest(), &whole(&model)).unwrap();
        let wanted = all.iter().filter(|(_, value)| value.is_some());
        let keys = layers.below(&[]).unwrap();
        prop_assert!(keys.iter().eq(wanted.clone().map(|(key, _)| key)));
        for (key, value) in wanted {
            prop_assert_eq!(&layers.get(key).unwrap(), value);
        }
    }
}
