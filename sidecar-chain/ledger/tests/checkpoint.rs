//! A ledger that begins with a later block is, from that block on, the ledger that has them all.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use alloy_primitives::{Address, B256, Bytes};
use futures_lite::future::block_on;
use lode_chain_ledger::{Checkpoint, Error, Ledger, Staging, checkpoint::Mark};
use lode_chain_state::{
    key::Key,
    versions::Read as _,
    walk::{Leaf, Place, Walk},
};
use lode_chain_types::{Block, Finality};

mod common;
use common::{open, round, transfer};

const TO: Address = Address::repeat_byte(0xaa);

fn finality(block: &Block) -> Finality {
    Finality {
        epoch: 0,
        view: block.round().view,
        parent_view: block.round().parent_view,
        block: block.hash().0,
        vote: [1; 48],
        seed: [2; 48],
    }
}

/// A ledger with so many blocks of transfers, and the blocks.
fn grown(dir: &Path, blocks: u64) -> (Ledger, Vec<Block>) {
    let ledger = open(dir);
    let mut all = vec![ledger.chain().genesis.clone()];
    for height in 0..blocks {
        for from in 1..=10 {
            ledger
                .submit(transfer(from, height, TO), true)
                .unwrap()
                .unwrap();
        }
        let parent = all.last().unwrap();
        let block = block_on(ledger.propose(parent.hash(), round(parent))).unwrap();
        block_on(ledger.finalize(block.clone(), Some(finality(&block)))).unwrap();
        all.push(block);
    }
    (ledger, all)
}

fn mark(block: &Block, next: Option<&Place>) -> Mark {
    Mark {
        header: alloy_rlp::encode(block.header()).into(),
        finality: finality(block),
        next: next.cloned(),
    }
}

/// Copies the state after a block, a few nodes at a time, and opens the folder anew for each page.
fn copy(source: &Ledger, block: &Block, dir: &Path) {
    let state = source.latest().state(block.height()).unwrap();
    let root = block.header().state_root;
    let mut next = Some(Place::root(None));
    while let Some(place) = next {
        let mut staging = Staging::open(dir).unwrap();
        if let Some(mark) = staging.mark().unwrap() {
            assert_eq!(mark.next, Some(place.clone()));
            assert_eq!(mark.finality, finality(block));
        }
        let page = Walk::at(root, &place, &state)
            .unwrap()
            .page(&state, 5, 1 << 20)
            .unwrap();
        let mut walk = Walk::at(root, &place, &staging.state()).unwrap();
        let (mut entries, mut leaves): (Vec<(Key, Bytes)>, _) = (Vec::new(), Vec::new());
        for node in page {
            let place = walk.accept(&node, &mut leaves).unwrap();
            entries.push((place.key(), node));
        }
        entries.extend(leaves.iter().map(Leaf::entry));
        staging.put(entries, &mark(block, walk.next())).unwrap();
        next = walk.next().cloned();
    }
}

fn checkpoint(source: &Ledger, block: &Block, below: &[Block]) -> Checkpoint {
    Checkpoint {
        block: block.clone(),
        receipts: source.latest().receipts(block.height()).unwrap().unwrap(),
        finality: finality(block),
        headers: below
            .iter()
            .rev()
            .map(|block| block.header().clone())
            .collect(),
        boundary: None,
    }
}

/// Begun with block 3, a ledger executes and builds what follows as the other does, and keeps it over a
/// restart; below there are block zero and headers.
#[test]
fn begins_with_a_later_block() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (one, blocks) = grown(dirs[0].path(), 6);
    let dir = dirs[1].path().join("ledger");
    copy(&one, &blocks[3], &dir);
    let staging = Staging::open(&dir).unwrap();
    let begun = checkpoint(&one, &blocks[3], &blocks[..3]);
    staging.install(one.chain(), &begun).unwrap();

    let two = open(&dir);
    let view = two.latest();
    assert_eq!((view.tip(), view.base(), view.from()), (3, 3, 3));
    let origin = view.origin().unwrap().unwrap();
    assert_eq!(
        (origin.block, origin.finality),
        (blocks[3].clone(), finality(&blocks[3]))
    );
    for block in &blocks[..=3] {
        assert_eq!(view.hash(block.height()).unwrap(), Some(block.hash()));
    }
    let whole: Vec<bool> = (0..=3)
        .map(|at| view.block(at).unwrap().is_some())
        .collect();
    assert_eq!(whole, [true, false, false, true]);
    assert_eq!(
        [0, 1, 2, 3].map(|at| view.is_pruned(at)),
        [false, true, true, false]
    );
    assert!(view.state(2).is_err());
    let transaction = *blocks[3].transactions()[4].hash();
    assert_eq!(
        view.transaction(&transaction)
            .unwrap()
            .unwrap()
            .place
            .height,
        3
    );
    drop(view);

    for block in &blocks[4..=5] {
        assert!(block_on(two.verify(block.clone())).unwrap());
        block_on(two.finalize(block.clone(), None)).unwrap();
    }
    // It builds what the other holds to be right.
    two.submit(transfer(1, 5, TO), true).unwrap().unwrap();
    let built = block_on(two.propose(blocks[5].hash(), round(&blocks[5]))).unwrap();
    assert_eq!(built.transactions().len(), 1);
    block_on(two.finalize(blocks[6].clone(), None)).unwrap();
    two.stop();
    drop(two);
    let two = open(&dir);
    let (ours, theirs) = (two.latest(), one.latest());
    assert_eq!((ours.tip(), ours.base()), (6, 3));
    for at in 3..=6 {
        let (ours, theirs) = (ours.state(at).unwrap(), theirs.state(at).unwrap());
        let keys = theirs.below(&[]).unwrap();
        assert_eq!(ours.below(&[]).unwrap(), keys);
        assert!(
            keys.iter()
                .all(|key| ours.get(key).unwrap() == theirs.get(key).unwrap())
        );
    }
    two.stop();
    one.stop();
}

/// A folder that is half filled is no ledger; one that is a ledger is not filled; what is cleared is
/// begun anew.
#[test]
fn half_a_state_is_no_ledger() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (one, blocks) = grown(dirs[0].path(), 3);
    let dir = dirs[1].path().join("ledger");
    copy(&one, &blocks[2], &dir);
    let refused = Ledger::open(&dir, one.chain().clone(), one.options().clone());
    assert!(matches!(refused, Err(Error::Unfinished)));
    assert_eq!(
        Staging::open(&dir).unwrap().mark().unwrap(),
        Some(mark(&blocks[2], None))
    );
    Staging::clear(&dir).unwrap();
    assert!(!dir.exists());
    Staging::clear(&dir).unwrap();
    assert_eq!(Staging::open(&dir).unwrap().mark().unwrap(), None);
    assert!(!Staging::open(&dir).unwrap().has_code(&B256::ZERO).unwrap());

    one.stop();
    drop(one);
    let begun = |result: Result<(), Error>| matches!(result, Err(Error::Begun { tip: 3 }));
    assert!(begun(Staging::open(dirs[0].path()).map(drop)));
    assert!(begun(Staging::clear(dirs[0].path())));
    let one = open(dirs[0].path());
    assert_eq!(one.latest().tip(), 3);
    one.stop();
}
