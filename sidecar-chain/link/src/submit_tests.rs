//! However often a blob is asked for, and whenever the program dies, it is paid for once.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use alloy_consensus::Transaction;
use alloy_signer_local::PrivateKeySigner;

use super::*;
use crate::{
    addresses::FLOW,
    flow::SubmitNamed,
    model::{Model, now},
};

const PRICE: u64 = 7;

fn open(model: &Model, store: &Store, fee_max: u64) -> Result<Submitter<Model>, SubmitError> {
    let limits = Limits {
        chain_id: 31_337,
        fee_max: 1_000_000,
        patience_blocks: 3,
    };
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap();
    let fee_max = U256::from(fee_max);
    now(Submitter::open(
        model.clone(),
        store.clone(),
        signer,
        FLOW,
        limits,
        fee_max,
    ))
}

fn model(seed: u64) -> Model {
    let model = Model::new(seed);
    model.mine(&[]);
    (model.0.borrow_mut().price, model.0.borrow_mut().base) = (PRICE, 10);
    model
}

/// Twenty seeds over a node that loses one message of four, and a program that dies at any time.
#[test]
fn paid_for_once() {
    let trees: Vec<BlobTree> = (1..=3)
        .map(|seed| lode_proofs::blob_tree(&vec![seed; 1000 * usize::from(seed)]).unwrap())
        .collect();
    for seed in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let model = model(seed);
        model.0.borrow_mut().loses = 4;
        for turn in 0..200_usize {
            if turn == 150 {
                model.0.borrow_mut().loses = 0;
            }
            if let Ok(mut submitter) = open(&model, &store, 1_000_000) {
                let tree = &trees[turn % trees.len()];
                let _lost = now(submitter.submit(tree, Bytes::new())).is_err();
                let _lost = now(submitter.outcome(tree)).is_err();
            }
            model.mine(&[]);
        }
        let inside = model.0.borrow();
        let sent = inside.blocks.iter().flat_map(|block| &block.transactions);
        let mut paid: Vec<(U256, Bytes)> = sent
            .map(|sent| (sent.value(), sent.input().clone()))
            .collect();
        paid.sort();
        let account = open(&model.clone(), &store, 0).unwrap().account();
        let want = trees.iter().map(|tree| {
            let sectors = U256::from(tree.shape().padded_sectors());
            let call = flow::submit_call(flow::data(tree, Bytes::new()), account);
            (sectors * U256::from(PRICE), call)
        });
        let mut want: Vec<(U256, Bytes)> = want.collect();
        want.sort();
        assert_eq!(paid, want, "seed {seed}");
        assert!(
            paid.iter()
                .all(|(_, call)| call.starts_with(&SubmitNamed::SELECTOR))
        );
    }
}

/// The hash is known when it is broadcast, in every later run too; more than the limit is not paid.
#[test]
fn known_at_once_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let model = model(1);
    let tree = lode_proofs::blob_tree(&[5; 300]).unwrap();
    let mut stingy = open(&model, &store, 2 * PRICE - 1).unwrap();
    let refused = now(stingy.submit(&tree, Bytes::new()));
    assert!(matches!(refused, Err(SubmitError::TooDear { .. })));
    let mut submitter = open(&model, &store, 2 * PRICE).unwrap();
    let intent = now(submitter.submit(&tree, Bytes::new())).unwrap();
    let hash = intent.attempts[0].hash;
    assert_eq!(now(submitter.outcome(&tree)).unwrap(), None);
    model.mine(&[]);
    let mut again = open(&model, &store, 0).unwrap();
    let same = now(again.submit(&tree, Bytes::new())).unwrap();
    assert_eq!(same.attempts[0].hash, hash);
    match now(again.outcome(&tree)).unwrap() {
        Some(Outcome::Done {
            hash: done,
            success: true,
            ..
        }) => assert_eq!(done, hash),
        other => panic!("{other:?}"),
    }
    again.forget(&tree).unwrap();
    let refused = now(again.submit(&tree, Bytes::new()));
    assert!(
        matches!(refused, Err(SubmitError::TooDear { .. })),
        "the name is free"
    );
}
