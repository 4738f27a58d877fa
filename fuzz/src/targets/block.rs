//! Blocks of the settlement chain: what decodes is the only encoding of itself, under its own hash.

use alloy_consensus::{BlockBody, Header, TxEnvelope, proofs::calculate_transaction_root};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::EMPTY_ROOT_HASH;
use lode_chain_types::{Block, Round};

use super::{Target, transaction::transactions};

/// Reads a block.
pub const TARGET: Target = Target {
    name: "block",
    run,
    seeds,
    repair: Some(repair),
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    let Ok(block) = Block::decode(data) else {
        return;
    };
    assert_eq!(block.encoded_len(), data.len());
    assert_eq!(block.encode(), data, "one encoding each");
    assert_eq!(block.hash(), keccak256(alloy_rlp::encode(block.header())));
}

fn seeds() -> Vec<Vec<u8>> {
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
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        base_fee_per_gas: Some(7),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        mix_hash: round.random(),
        requests_hash: Some(B256::repeat_byte(4)),
        ..Header::default()
    };
    let full = bind(header.clone(), transactions(), round);
    vec![full, bind(header, Vec::new(), Round::default())]
}

/// Encodes a block whose header commits to what comes with it.
fn bind(mut header: Header, transactions: Vec<TxEnvelope>, round: Round) -> Vec<u8> {
    header.transactions_root = calculate_transaction_root(&transactions);
    header.parent_beacon_block_root = Some(round.commitment());
    let body = BlockBody {
        transactions,
        ommers: Vec::new(),
        withdrawals: Some(Withdrawals::default()),
    };
    Block::new(header, body, round).encode()
}

/// Lets the header commit to what a mutation has made of the rest, if that still can be read.
fn repair(bytes: &mut Vec<u8>) {
    if let Some(bound) = parts(bytes) {
        *bytes = bound;
    }
}

fn parts(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut parts = alloy_rlp::Header::decode_bytes(&mut bytes, true).ok()?;
    let header = Header::decode(&mut parts).ok()?;
    let transactions = Vec::<TxEnvelope>::decode(&mut parts).ok()?;
    Some(bind(header, transactions, Round::decode(&mut parts).ok()?))
}
