//! Blocks come back as they were, and none under a hash that is not its own.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Bytes, Signature, U256};

use super::*;

fn transaction(nonce: u64) -> TxEnvelope {
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        ..TxEip1559::default()
    };
    let signature = Signature::new(U256::from(nonce + 1), U256::from(2), false);
    TxEnvelope::from(transaction.into_signed(signature))
}

fn block(count: u64) -> (Header, BlockBody<TxEnvelope>, Round) {
    let body = BlockBody {
        transactions: (0..count).map(transaction).collect(),
        ommers: Vec::new(),
        withdrawals: Some(Withdrawals::default()),
    };
    let round = Round {
        epoch: 1,
        view: 70_000,
        parent_view: 69_999,
        leader: B256::repeat_byte(7),
        seed: Bytes::from(vec![9; 48]),
        payload: Bytes::from(vec![1, 2, 3]),
    };
    let header = Header {
        number: 5,
        transactions_root: calculate_transaction_root(&body.transactions),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        base_fee_per_gas: Some(7),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(round.commitment()),
        mix_hash: round.random(),
        ..Header::default()
    };
    (header, body, round)
}

#[test]
fn comes_back() {
    for count in [0, 1, 200] {
        let (header, body, round) = block(count);
        let block = Block::new(header.clone(), body, round);
        let bytes = block.encode();
        assert_eq!(bytes.len(), block.encoded_len());
        let again = Block::decode(&bytes).expect("it was encoded");
        assert_eq!(again, block);
        assert_eq!(again.hash(), header.hash_slow());
    }
}

/// Another transaction, another round or something behind the block is refused.
#[test]
fn nothing_can_be_exchanged() {
    let (header, body, round) = block(3);
    let mut fewer = body.clone();
    fewer.transactions.pop();
    let other = Block::new(header.clone(), fewer, round.clone()).encode();
    assert_eq!(
        Block::decode(&other),
        Err(Error::Other("transactions_root"))
    );

    let moved = Round {
        view: round.view + 1,
        ..round.clone()
    };
    let other = Block::new(header.clone(), body.clone(), moved).encode();
    assert_eq!(
        Block::decode(&other),
        Err(Error::Other("parent_beacon_block_root"))
    );

    let mut longer = Block::new(header, body, round).encode();
    longer.push(0);
    assert!(matches!(Block::decode(&longer), Err(Error::Rlp(_))));
    assert!(matches!(
        Block::decode(&vec![0; BLOCK_LEN_MAX + 1]),
        Err(Error::Long { .. })
    ));
}

/// Other bytes for the same transactions are refused, as there is one encoding of a block only.
#[test]
fn has_one_encoding() {
    let (header, body, round) = block(1);
    let bytes = Block::new(header, body.clone(), round).encode();
    let raw = body.transactions[0].encoded_2718();
    // The transaction is a short string in a short list: both have a head of one byte.
    let len = u8::try_from(raw.len()).expect("it is short");
    let string = [&[0x80 + len], &raw[..]].concat();
    let at = bytes
        .windows(string.len())
        .position(|window| window == string);
    let at = at.expect("it holds the transaction");
    let mut shorter = bytes.clone();
    shorter[at] -= 1;
    let refused = || Err(Error::Rlp(alloy_rlp::Error::Custom("not as it is encoded")));
    assert_eq!(Block::decode(&shorter), refused());
    let mut bare = bytes.clone();
    bare.remove(at);
    // The list of transactions and the whole are shorter by the head.
    bare[at - 1] -= 1;
    let len = u16::try_from(bare.len() - 3).expect("it is short");
    bare[1..3].copy_from_slice(&len.to_be_bytes());
    assert_eq!(Block::decode(&bare), refused());
    assert!(Block::decode(&bytes).is_ok());
}
