//! Blocks are built, checked by others, kept, and there after a restart.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::{Duration, Instant};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256, keccak256};
use futures_lite::{StreamExt, future::block_on};
use lode_chain_ledger::{Error, Ledger, events::Event};
use lode_chain_state::apply::account;
use lode_chain_types::{Block, Finality, Round};

mod common;
use common::{open, round, transfer};

const TO: Address = Address::repeat_byte(0xaa);

fn propose(ledger: &Ledger, parent: &Block) -> Block {
    block_on(ledger.propose(parent.hash(), round(parent))).expect("a block can be built")
}

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

fn finalize(ledger: &Ledger, block: &Block) {
    block_on(ledger.finalize(block.clone(), Some(finality(block)))).unwrap();
}

fn balance(ledger: &Ledger, at: u64, address: Address) -> U256 {
    let state = ledger.latest().state(at).unwrap();
    account(&state, &keccak256(address))
        .unwrap()
        .map_or(U256::ZERO, |held| held.balance)
}

/// One builds, the other checks, both keep the same; each state and each row is there after a
/// restart without a farewell.
#[test]
fn two_ledgers_agree() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (one, two) = (open(dirs[0].path()), open(dirs[1].path()));
    let mut parent = one.chain().genesis.clone();
    let mut kept = Vec::new();
    for height in 1..=5_u64 {
        for from in 1..=10 {
            let transaction = transfer(from, height - 1, TO);
            one.submit(transaction, true).unwrap().unwrap();
        }
        let block = propose(&one, &parent);
        assert_eq!(block.transactions().len(), 10);
        // As it comes over the wire.
        let received = Block::decode(&block.encode()).unwrap();
        assert!(block_on(two.verify(received.clone())).unwrap());
        finalize(&one, &block);
        finalize(&two, &received);
        kept.push(block.clone());
        parent = block;
    }
    let before = one.latest();
    one.stop();
    drop((one, before));
    let one = open(dirs[0].path());
    for ledger in [&one, &two] {
        let view = ledger.latest();
        assert_eq!(view.tip(), 5);
        for (height, block) in (1_u64..).zip(&kept) {
            let (found, senders) = view.block(height).unwrap().unwrap();
            assert_eq!(found, *block);
            assert_eq!(senders.len(), 10);
            let receipts = view.receipts(height).unwrap().unwrap();
            assert!(receipts.iter().all(|receipt| receipt.status()));
            assert_eq!(receipts.last().unwrap().cumulative_gas_used(), 210_000);
            assert_eq!(view.finality(height).unwrap(), Some(finality(block)));
            let last = view
                .transaction(block.transactions()[9].hash())
                .unwrap()
                .unwrap();
            assert_eq!((last.place.height, last.place.index), (height, 9));
            assert_eq!(balance(ledger, height, TO), U256::from(height * 10));
        }
        assert_eq!(balance(ledger, 0, TO), U256::ZERO);
    }
    // What is kept is acknowledged again, and nothing else of that height is.
    finalize(&one, &kept[2]);
    let other = Header {
        extra_data: vec![1].into(),
        ..kept[2].header().clone()
    };
    let other = Block::new(other, kept[2].body().clone(), Round::default());
    let refused = block_on(one.finalize(other, None));
    assert!(matches!(refused, Err(Error::Conflict { height: 3, .. })));
    one.stop();
    two.stop();
}

/// Blocks are built on blocks that are not final, without their transactions, and only one branch
/// is kept.
#[test]
fn branches_end_when_one_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let genesis = ledger.chain().genesis.clone();
    ledger.submit(transfer(1, 0, TO), true).unwrap().unwrap();
    let first = propose(&ledger, &genesis);
    let rival = block_on(ledger.propose(
        genesis.hash(),
        Round {
            view: 9,
            ..round(&genesis)
        },
    ))
    .unwrap();
    assert_ne!(first.hash(), rival.hash());
    ledger.submit(transfer(1, 1, TO), true).unwrap().unwrap();
    let second = propose(&ledger, &first);
    assert_eq!(second.transactions().len(), 1);
    assert_eq!(ledger.latest().tip(), 0);
    // Without anything new a block comes with the heartbeat, and is empty.
    let third = propose(&ledger, &second);
    assert_eq!(third.transactions().len(), 0);
    for block in [&first, &second, &third] {
        finalize(&ledger, block);
    }
    assert_eq!(balance(&ledger, 3, TO), U256::from(2));
    assert!(!ledger.knows(&rival.hash()).unwrap());
    assert!(ledger.knows(&second.hash()).unwrap());
    assert_eq!(ledger.pool(|pool| pool.status().executable), 0);
    let unknown = block_on(ledger.finalize(rival, None));
    assert!(matches!(unknown, Err(Error::Conflict { .. })));
    ledger.stop();
}

/// After a block with many transactions the next one gathers for a while, unless consensus has
/// something to be carried. The time counts from when the block was there, a little before this
/// thread hears of it: the longest of some is taken.
#[test]
fn a_busy_chain_gathers() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut parent = ledger.chain().genesis.clone();
    let mut gathered = Duration::ZERO;
    for first in (0..84).step_by(21) {
        for (nonce, from) in (0..20).flat_map(|nonce| (1..=10).map(move |from| (nonce, from))) {
            let transaction = transfer(from, first + nonce, TO);
            ledger.submit(transaction, true).unwrap().unwrap();
        }
        let busy = propose(&ledger, &parent);
        let there = Instant::now();
        assert_eq!(busy.transactions().len(), 200);
        for from in 1..=10 {
            let transaction = transfer(from, first + 20, TO);
            ledger.submit(transaction, true).unwrap().unwrap();
        }
        parent = propose(&ledger, &busy);
        gathered = gathered.max(there.elapsed());
        assert!(parent.transactions().len() <= 10);
        finalize(&ledger, &busy);
        finalize(&ledger, &parent);
        while ledger.pool(|pool| pool.status().executable) > 0 {
            parent = propose(&ledger, &parent);
            finalize(&ledger, &parent);
        }
    }
    assert!(gathered >= Duration::from_millis(10), "{gathered:?}");
    let carrying = Round {
        payload: vec![1].into(),
        ..round(&parent)
    };
    let carried = block_on(ledger.propose(parent.hash(), carrying)).unwrap();
    assert_eq!(carried.transactions().len(), 0);
    ledger.stop();
}

/// Whatever is changed in a block's header, it is refused; so is a parent that is not known.
#[test]
fn wrong_blocks_are_refused() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (one, two) = (open(dirs[0].path()), open(dirs[1].path()));
    let genesis = one.chain().genesis.clone();
    one.submit(transfer(1, 0, TO), true).unwrap().unwrap();
    let block = propose(&one, &genesis);
    let changes: [fn(&mut Header); 12] = [
        |header| header.state_root = B256::repeat_byte(1),
        |header| header.receipts_root = B256::repeat_byte(1),
        |header| header.gas_used += 1,
        |header| header.gas_limit += 1,
        |header| header.base_fee_per_gas = Some(1),
        |header| header.timestamp = 0,
        |header| header.number += 1,
        |header| header.mix_hash = B256::ZERO,
        |header| header.parent_beacon_block_root = Some(B256::ZERO),
        |header| header.extra_data = vec![1].into(),
        |header| header.requests_hash = Some(B256::ZERO),
        |header| header.logs_bloom.0[0] = 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut header = block.header().clone();
        change(&mut header);
        let wrong = Block::new(header, block.body().clone(), block.round().clone());
        let holds = block_on(two.verify(wrong)).unwrap();
        assert!(!holds, "change {number}");
    }
    assert!(block_on(two.verify(block.clone())).unwrap());
    let orphan = propose(&one, &propose(&one, &block));
    let answer = block_on(two.verify(orphan));
    assert!(answer.is_err(), "nothing can be said without the parent");
    one.stop();
    two.stop();
}

/// Listeners hear of transactions and of blocks, in order, and readers see a block when they do.
#[test]
fn listeners_hear_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut events = ledger.listen();
    let genesis = ledger.chain().genesis.clone();
    let transaction = transfer(3, 0, TO);
    let hash = transaction.hash();
    ledger.submit(transaction, true).unwrap().unwrap();
    let Some(Event::Pending(pending)) = block_on(events.next()) else {
        panic!("the transaction comes first");
    };
    assert_eq!(pending.hash(), hash);
    let block = propose(&ledger, &genesis);
    finalize(&ledger, &block);
    let Some(Event::Block(committed)) = block_on(events.next()) else {
        panic!("then the block");
    };
    assert_eq!(committed.block, block);
    assert_eq!(ledger.latest().tip(), 1);
    ledger.stop();
    assert!(block_on(events.next()).is_none());
    assert!(ledger.is_stopped());
}
