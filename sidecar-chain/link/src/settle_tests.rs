//! Whatever is lost, and whenever the node dies, each blob is anchored once and can be shown.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering::Relaxed,
};

use lode_proofs::{BlobId, Hash32};

use super::*;
use crate::{
    book::{ANCHOR_BLOBS_MAX, Status},
    model::{Model, now},
};

const BOUNDS: Bounds = Bounds {
    fee_max: 1_000_000,
    patience_blocks: 3,
};

fn signer() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

fn blob(number: u64) -> BlobId {
    let root = keccak256(number.to_be_bytes());
    BlobId::new(Hash32(root.0), number + 1).unwrap()
}

/// A chain with a block, and a store.
fn ground(seed: u64) -> (Model, Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let model = Model::new(seed);
    model.0.borrow_mut().poster = signer().address();
    model.0.borrow_mut().price = 1000;
    model.mine(&[]);
    (model, store, folder)
}

fn settler(model: &Model, store: &Store, book: &Book) -> Result<Settler<Model>, SettleError> {
    now(Settler::open(
        model.clone(),
        store.clone(),
        book,
        signer(),
        BOUNDS,
    ))
}

/// A storage node's blobs: what a shard takes in, in order. A walk since a moment finds the later
/// ones, and some that it has found before.
#[derive(Default)]
struct Shard(Vec<BlobId>);

impl Shard {
    fn since(&self, moment: u64) -> (&[BlobId], u64) {
        let from = usize::try_from(moment).unwrap().saturating_sub(3);
        (&self.0[from..], u64::try_from(self.0.len()).unwrap())
    }
}

/// One round of a node: looks for blobs if none wait, closes, and settles.
fn round(
    shard: &Shard,
    book: &mut Book,
    settler: &mut Settler<Model>,
) -> Result<Turn, SettleError> {
    if book.current().is_none() {
        let (blobs, upto) = shard.since(book.moment(0)?);
        for blob in blobs {
            book.offer(*blob)?;
        }
        book.close(&[(0, upto)])?;
    }
    now(settler.turn(book))
}

/// Every blob is final, its proof leads to a record of the chain, and no two anchors have the same
/// blob: what they cost together is the price of all sectors, once.
fn check(model: &Model, store: &Store, shard: &Shard, context: &str) {
    let book = Book::open(store.clone(), signer().address()).unwrap();
    let mut anchors: BTreeMap<B256, u32> = BTreeMap::new();
    // Each proof takes a tree: of thousands some are looked at.
    let every = 1 + shard.0.len() / 100;
    for (number, blob) in shard.0.iter().enumerate() {
        let status = book.reader().status(&blob.root).unwrap();
        let Status::Final { anchor, .. } = status else {
            panic!("{context}: {status:?}");
        };
        *anchors.entry(anchor.root).or_default() += 1;
        if number % every == 0 {
            let settlement = book.reader().settlement(&blob.root).unwrap().unwrap();
            let head = settlement.anchor.head();
            assert_eq!(settlement.entry.entry.blob, *blob, "{context}");
            settlement.entry.verify(head).unwrap();
            let record = model.0.borrow().records[&settlement.anchor.root];
            let paid = (record.count, record.sectors);
            assert_eq!(paid, (head.count, head.top.sectors), "{context}");
        }
    }
    let inside = model.0.borrow();
    let on_chain: BTreeMap<B256, u32> = inside
        .records
        .iter()
        .map(|(root, record)| (*root, record.count))
        .collect();
    assert_eq!(
        anchors, on_chain,
        "{context}: the chain has other anchors than the books"
    );
    let sectors: u64 = shard.0.iter().map(|blob| blob.shape.padded_sectors()).sum();
    assert_eq!(inside.paid, U256::from(1000 * sectors), "{context}");
}

/// For forty seeds: a node that dies at any write and at any message, over a chain that loses a
/// message of four and raises its fees, anchors each blob exactly once, and can show it.
#[test]
fn each_blob_is_anchored_once() {
    for seed in 0..40 {
        let (model, store, _folder) = ground(seed);
        (model.0.borrow_mut().loses, model.0.borrow_mut().base) = (4, 10);
        let mut shard = Shard::default();
        let mut open: Option<(Book, Settler<Model>)> = None;
        for turn in 0..500 {
            let calm = turn >= 400;
            if calm {
                model.0.borrow_mut().loses = 0;
            } else if model.random(3) == 0 {
                let next = u64::try_from(shard.0.len()).unwrap();
                shard
                    .0
                    .extend((0..model.random(5)).map(|more| blob(next + more)));
            }
            if open.is_none() || (!calm && model.random(6) == 0) {
                store.fuse.store(u64::MAX, Relaxed);
                let book = Book::open(store.clone(), signer().address()).unwrap();
                open = settler(&model, &store, &book)
                    .ok()
                    .map(|settler| (book, settler));
                if !calm && model.random(2) == 0 {
                    store.fuse.store(model.random(8), Relaxed);
                }
            }
            if let Some((book, settler)) = &mut open {
                let died = round(&shard, book, settler).is_err() && store.fuse.load(Relaxed) == 0;
                if died {
                    open = None;
                }
            }
            model.0.borrow_mut().base = 10 + u128::from(model.random(80));
            model.mine(&[]);
        }
        check(&model, &store, &shard, &format!("seed {seed}"));
    }
}

/// While the chain is away nothing is lost and nothing piles up: when it is back, all that came
/// meanwhile is in as many anchors as it takes, not in one for each round.
#[test]
fn the_chain_is_away() {
    let (model, store, _folder) = ground(1);
    let mut book = Book::open(store.clone(), signer().address()).unwrap();
    let mut settler = settler(&model, &store, &book).unwrap();
    let mut shard = Shard::default();
    model.0.borrow_mut().loses = 1;
    for number in 0..100 {
        shard.0.push(blob(number));
        assert!(round(&shard, &mut book, &mut settler).is_err());
        assert!(matches!(
            book.reader().status(&blob(number).root).unwrap(),
            Status::Pending | Status::Sent(_)
        ));
    }
    model.0.borrow_mut().loses = 0;
    for _ in 0..8 {
        round(&shard, &mut book, &mut settler).unwrap();
        model.mine(&[]);
    }
    check(&model, &store, &shard, "after the chain was away");
    assert_eq!(model.0.borrow().records.len(), 2);
}

/// An anchor that is reverted, here because the price rose, and one whose nonce somebody else took
/// are sent again under the terms of then; before that, the chain is asked whether it has them.
#[test]
fn reverted_and_taken() {
    let (model, store, _folder) = ground(2);
    let mut book = Book::open(store.clone(), signer().address()).unwrap();
    let mut settler = settler(&model, &store, &book).unwrap();
    let mut shard = Shard::default();
    shard.0.push(blob(0));
    model.0.borrow_mut().price = 900;
    assert_eq!(round(&shard, &mut book, &mut settler).unwrap(), Turn::Waits);
    model.0.borrow_mut().price = 1000;
    model.mine(&[]);
    assert_eq!(
        round(&shard, &mut book, &mut settler).unwrap(),
        Turn::Failed
    );
    assert_eq!(book.current().unwrap().failures, 1);
    assert_eq!(round(&shard, &mut book, &mut settler).unwrap(), Turn::Waits);
    // Another transaction of the account comes before it.
    let other = {
        let mut inside = model.0.borrow_mut();
        let key = *inside.pool.keys().next().unwrap();
        inside.pool.remove(&key).unwrap();
        let signed = other_transaction(key.1);
        inside.pool.insert(key, signed.clone());
        signed
    };
    model.mine(&[]);
    assert_eq!(
        round(&shard, &mut book, &mut settler).unwrap(),
        Turn::Failed
    );
    assert_eq!(book.current().unwrap().failures, 2);
    assert_eq!(round(&shard, &mut book, &mut settler).unwrap(), Turn::Waits);
    model.mine(&[]);
    assert_eq!(
        round(&shard, &mut book, &mut settler).unwrap(),
        Turn::Progress
    );
    assert_eq!(round(&shard, &mut book, &mut settler).unwrap(), Turn::Idle);
    check(&model, &store, &shard, "after reverts");
    let mined: BTreeSet<B256> = model
        .0
        .borrow()
        .blocks
        .iter()
        .flat_map(|block| block.transactions.iter().map(|sent| *sent.tx_hash()))
        .collect();
    assert!(mined.contains(other.tx_hash()));
}

fn other_transaction(nonce: u64) -> alloy_consensus::TxEnvelope {
    use alloy_consensus::{SignableTransaction, TxEip1559};
    use alloy_network::TxSignerSync;
    let mut transaction = TxEip1559 {
        chain_id: 31_337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000,
        to: alloy_primitives::TxKind::Call(Address::repeat_byte(9)),
        ..TxEip1559::default()
    };
    let signature = signer().sign_transaction_sync(&mut transaction).unwrap();
    transaction.into_signed(signature).into()
}

/// What the chain has settled already is not sent again, though the books know nothing of it.
#[test]
fn settled_before() {
    let (model, store, _folder) = ground(3);
    let mut book = Book::open(store.clone(), signer().address()).unwrap();
    let mut settler = settler(&model, &store, &book).unwrap();
    let mut shard = Shard::default();
    shard.0.push(blob(0));
    book.offer(blob(0)).unwrap();
    book.close(&[]).unwrap();
    let anchor = book.current().unwrap();
    let record = Record {
        index: 0,
        count: 1,
        sectors: anchor.sectors,
        block: 0,
    };
    model.0.borrow_mut().records.insert(anchor.root, record);
    model.0.borrow_mut().paid = U256::from(1000 * anchor.sectors);
    assert_eq!(now(settler.turn(&mut book)).unwrap(), Turn::Progress);
    assert_eq!(now(settler.turn(&mut book)).unwrap(), Turn::Idle);
    assert!(model.0.borrow().pool.is_empty());
    check(&model, &store, &shard, "settled before");
}

/// A blob counts as final only when its anchor can be shown.
#[test]
fn without_certificates() {
    let (model, store, _folder) = ground(4);
    let mut book = Book::open(store.clone(), signer().address()).unwrap();
    let mut settler = settler(&model, &store, &book).unwrap();
    let mut shard = Shard::default();
    shard.0.push(blob(0));
    model.0.borrow_mut().uncertified = true;
    for _ in 0..4 {
        round(&shard, &mut book, &mut settler).unwrap();
        model.mine(&[]);
    }
    let root = blob(0).root;
    assert!(matches!(
        book.reader().status(&root).unwrap(),
        Status::Anchored(_)
    ));
    assert!(book.reader().settlement(&root).unwrap().is_none());
    model.0.borrow_mut().uncertified = false;
    round(&shard, &mut book, &mut settler).unwrap();
    check(&model, &store, &shard, "with certificates again");
}

/// More blobs than an anchor holds take several, and the moment of the store is kept only when
/// none of them lies open any more.
#[test]
fn more_than_an_anchor_holds() {
    let (model, store, _folder) = ground(5);
    let count = u64::try_from(ANCHOR_BLOBS_MAX).unwrap() + 1;
    let shard = Shard((0..count).map(blob).collect());
    let mut book = Book::open(store.clone(), signer().address()).unwrap();
    let mut settler = settler(&model, &store, &book).unwrap();
    round(&shard, &mut book, &mut settler).unwrap();
    assert_eq!(book.moment(0).unwrap(), 0);
    assert_eq!(
        usize::try_from(book.current().unwrap().count).unwrap(),
        ANCHOR_BLOBS_MAX
    );
    // A crash here: the last blob is found again.
    drop((book, settler));
    let mut book = Book::open(store.clone(), signer().address()).unwrap();
    let mut settler = self::settler(&model, &store, &book).unwrap();
    for _ in 0..6 {
        round(&shard, &mut book, &mut settler).unwrap();
        model.mine(&[]);
    }
    assert_eq!(book.moment(0).unwrap(), count);
    check(&model, &store, &shard, "two anchors");
}

/// Books that have settled on one chain by one account settle on no other and by no other.
#[test]
fn one_home() {
    let (model, store, _folder) = ground(6);
    let book = Book::open(store.clone(), signer().address()).unwrap();
    settler(&model, &store, &book).unwrap();
    let other = Model::new(99);
    other.mine(&[]);
    assert!(matches!(
        settler(&other, &store, &book),
        Err(SettleError::Book(BookError::OtherHome { .. }))
    ));
    let refused = Book::open(store.clone(), Address::ZERO);
    assert!(matches!(refused, Err(BookError::OtherHome { .. })));
    settler(&model, &store, &book).unwrap();
}
