//! Whatever is lost, and whenever the sender dies, each wish is done once.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use alloy_consensus::Transaction;

use super::*;
use crate::model::{Model, now};

fn limits() -> Limits {
    Limits {
        chain_id: 31_337,
        fee_max: 1_000_000,
        patience_blocks: 3,
    }
}

fn signer() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

fn wish(number: u64) -> Wish {
    Wish {
        to: Address::repeat_byte(9),
        value: U256::from(number),
        data: Bytes::from(number.to_be_bytes().to_vec()),
        gas_limit: 100_000,
    }
}

fn name(number: u64) -> B256 {
    B256::from(U256::from(number + 1))
}

/// How often each wish is in the chain.
fn done(model: &Model) -> BTreeMap<U256, usize> {
    let mut counts = BTreeMap::new();
    for block in &model.0.borrow().blocks {
        for transaction in &block.transactions {
            *counts.entry(transaction.value()).or_default() += 1;
        }
    }
    counts
}

/// For forty seeds: a sender that dies at any time over a node that loses one message of four
/// and raises its fee does each of ten wishes exactly once, and knows where.
#[test]
fn each_wish_is_done_once() {
    for seed in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let model = Model::new(seed);
        model.mine(&[]);
        (model.0.borrow_mut().loses, model.0.borrow_mut().base) = (4, 10);
        let mut open = None;
        for turn in 0..400 {
            if turn == 300 {
                model.0.borrow_mut().loses = 0;
            }
            if open.is_none() || model.random(5) == 0 {
                open = now(Sender::open(
                    model.clone(),
                    store.clone(),
                    signer(),
                    limits(),
                ))
                .ok();
            }
            let Some(sender) = &mut open else { continue };
            let number = model.random(10);
            let number = if turn >= 300 { turn % 10 } else { number };
            let _ = now(sender.send(name(number), wish(number)));
            if model.random(2) == 0 {
                let _ = now(sender.tend());
            }
            let base = 10 + u128::from(model.random(80));
            model.0.borrow_mut().base = base;
            model.mine(&[]);
        }
        let expected = (0..10).map(|number| (U256::from(number), 1)).collect();
        assert_eq!(done(&model), expected, "seed {seed}");
        let mut sender = open.unwrap();
        now(sender.tend()).unwrap();
        for number in 0..10 {
            check_ended(&model, &sender.intent(name(number)).unwrap().unwrap());
        }
    }
}

fn check_ended(model: &Model, intent: &Intent) {
    let Some(Outcome::Done { hash, block, .. }) = intent.outcome else {
        panic!("{intent:?}")
    };
    let inside = model.0.borrow();
    let block = &inside.blocks[usize::try_from(block).unwrap()];
    assert!(
        block
            .transactions
            .iter()
            .any(|sent| *sent.tx_hash() == hash)
    );
}

/// What waits for long gets a higher fee, under its nonce, until the limit; never another nonce.
#[test]
fn raises_the_fee_under_the_same_nonce() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let model = Model::new(1);
    model.mine(&[]);
    model.0.borrow_mut().base = 10;
    let mut sender = now(Sender::open(model.clone(), store, signer(), limits())).unwrap();
    let first = now(sender.send(name(1), wish(1))).unwrap();
    assert_eq!((first.nonce, first.attempts[0].fee), (0, 21));
    model.0.borrow_mut().base = 200;
    for _ in 0..4 {
        model.mine(&[]);
    }
    now(sender.tend()).unwrap();
    let second = sender.intent(name(1)).unwrap().unwrap();
    assert_eq!((second.nonce, second.attempts.len()), (0, 2));
    assert_eq!(second.attempts[1].fee, 401);
    model.mine(&[]);
    let ended = now(sender.tend()).unwrap();
    let Some(Outcome::Done { hash, .. }) = ended[0].outcome else {
        panic!("done")
    };
    assert_eq!(hash, second.attempts[1].hash);
    assert_eq!(done(&model)[&U256::from(1)], 1);
}

/// A name stands for one wish; asked again it gives the same intent, and another wish is refused.
#[test]
fn a_name_is_one_wish() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let model = Model::new(1);
    model.mine(&[]);
    let mut sender = now(Sender::open(model.clone(), store, signer(), limits())).unwrap();
    let first = now(sender.send(name(1), wish(1))).unwrap();
    assert_eq!(now(sender.send(name(1), wish(1))).unwrap(), first);
    let error = now(sender.send(name(1), wish(2))).unwrap_err();
    assert!(matches!(error, SendError::OtherWish { .. }));
    sender.forget(name(1)).unwrap();
    assert_eq!(
        sender.intent(name(1)).unwrap(),
        Some(first),
        "it still waits"
    );
}

/// A nonce that somebody else used ends the intent, and nothing is sent in its place.
#[test]
fn a_taken_nonce_ends_the_intent() {
    let model = Model::new(1);
    model.mine(&[]);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let open = |folder: &tempfile::TempDir| {
        let store = Store::open(folder.path()).unwrap();
        now(Sender::open(model.clone(), store, signer(), limits())).unwrap()
    };
    let (mut ours, mut other) = (open(&folders[0]), open(&folders[1]));
    now(other.send(name(2), wish(2))).unwrap();
    model.mine(&[]);
    now(ours.send(name(1), wish(1))).unwrap();
    let ended = now(ours.tend()).unwrap();
    assert_eq!(ended[0].outcome, Some(Outcome::Taken));
    model.mine(&[]);
    assert_eq!(
        done(&model).keys().copied().collect::<Vec<_>>(),
        [U256::from(2)]
    );
}

/// Too many at once and too high a fee are refused before anything is promised.
#[test]
fn bounds_hold() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let model = Model::new(1);
    model.mine(&[]);
    let mut sender = now(Sender::open(model.clone(), store, signer(), limits())).unwrap();
    model.0.borrow_mut().base = 2_000_000;
    let error = now(sender.send(name(0), wish(0))).unwrap_err();
    assert!(matches!(error, SendError::TooDear { .. }));
    assert_eq!(sender.intent(name(0)).unwrap(), None);
    model.0.borrow_mut().base = 1;
    for number in 0..64 {
        now(sender.send(name(number), wish(number))).unwrap();
    }
    let error = now(sender.send(name(64), wish(64))).unwrap_err();
    assert!(matches!(error, SendError::TooMany));
}
