//! Rows that a block leaves beside the state, and their bytes.
//!
//! ```text
//!  table      key                     value
//!  headers    height                  RLP of the header
//!  bodies     height                  RLP list: transactions, senders, ommers, withdrawals, round
//!  receipts   height                  RLP list of receipts without blooms
//!  finality   height                  what proves the block final; none where nothing does
//!  hashes     block's hash            height
//!  places     transaction's hash      height ‖ index
//!  logged     address ‖ height        nothing: the block has a log of that address
//!             topic ‖ height          nothing: the block has a log with that first topic
//!  checkpoint name                    what a ledger that did not begin with block zero began with
//! ```
//! Heights are 8 bytes, big-endian, so rows lie in order; indices are 4. An address has 20 bytes and
//! a topic 32, so their keys never meet. A receipt's bloom is computed again when it is read.

use std::collections::BTreeSet;

use alloy_consensus::{
    BlockBody, Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, TxEnvelope,
    TxReceipt, TxType, Typed2718,
};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_primitives::{Address, B256, Bytes, Log};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use lode_chain_state::versions::{Row, Table};
use lode_chain_types::{Block, FINALITY_LEN, Finality, Height, Round};

use crate::error::Error;

/// Names of the tables, in the order of their numbers.
pub const NAMES: [&str; 8] = [
    "headers",
    "bodies",
    "receipts",
    "finality",
    "hashes",
    "places",
    "logged",
    "checkpoint",
];
/// Headers.
pub const HEADERS: Table = Table(0);
/// Bodies.
pub const BODIES: Table = Table(1);
/// Receipts.
pub const RECEIPTS: Table = Table(2);
/// Proofs of finality.
pub const FINALITY: Table = Table(3);
/// Heights of blocks, by hash.
pub const HASHES: Table = Table(4);
/// Places of transactions, by hash.
pub const PLACES: Table = Table(5);
/// Blocks with logs, by address and by first topic.
pub const LOGGED: Table = Table(6);
/// What a ledger began with, if not with block zero.
pub const CHECKPOINT: Table = Table(7);

/// What a block holds beside its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Transactions; uncles and withdrawals where the chain has them.
    pub body: BlockBody<TxEnvelope>,
    /// Who sent each transaction.
    pub senders: Vec<Address>,
    /// Where it was proposed.
    pub round: Round,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In which block.
    pub height: Height,
    /// Which of its transactions.
    pub index: u32,
}

#[derive(RlpEncodable, RlpDecodable)]
struct StoredBody {
    transactions: Vec<TxEnvelope>,
    senders: Vec<Address>,
    ommers: Vec<Header>,
    /// None, or one list.
    withdrawals: Vec<Vec<Withdrawal>>,
    round: Round,
}

#[derive(RlpEncodable, RlpDecodable)]
struct StoredReceipt {
    kind: u8,
    /// One byte that tells success, or a state's root (before Byzantium).
    status: Bytes,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
}

/// All rows of a block.
pub fn rows(
    block: &Block,
    senders: &[Address],
    receipts: &[ReceiptEnvelope],
    finality: Option<&Finality>,
) -> Vec<Row> {
    let height = block.height().to_be_bytes();
    let row = |table, key: &[u8], value| Row {
        table,
        key: key.to_vec(),
        value,
    };
    let mut rows = vec![
        row(HEADERS, &height, alloy_rlp::encode(block.header())),
        row(BODIES, &height, encode_body(block, senders)),
        row(RECEIPTS, &height, encode_receipts(receipts)),
        row(HASHES, &block.hash()[..], height.to_vec()),
    ];
    if let Some(finality) = finality {
        rows.push(row(FINALITY, &height, finality.encode().to_vec()));
    }
    for (index, transaction) in (0_u32..).zip(block.transactions()) {
        let place = [&height[..], &index.to_be_bytes()].concat();
        rows.push(row(PLACES, &transaction.hash()[..], place));
    }
    let mut logged = BTreeSet::new();
    for log in receipts.iter().flat_map(|receipt| receipt.logs()) {
        logged.insert([&log.address[..], &height].concat());
        if let Some(topic) = log.topics().first() {
            logged.insert([&topic[..], &height].concat());
        }
    }
    rows.extend(logged.into_iter().map(|key| row(LOGGED, &key, Vec::new())));
    rows
}

fn encode_body(block: &Block, senders: &[Address]) -> Vec<u8> {
    let body = block.body();
    let withdrawals = body.withdrawals.iter();
    alloy_rlp::encode(StoredBody {
        transactions: body.transactions.clone(),
        senders: senders.to_vec(),
        ommers: body.ommers.clone(),
        withdrawals: withdrawals.map(|all| all.to_vec()).collect(),
        round: block.round().clone(),
    })
}

/// A row of [`BODIES`].
///
/// # Errors
/// [`Error::Damaged`].
pub fn decode_body(mut row: &[u8]) -> Result<Body, Error> {
    let stored = StoredBody::decode(&mut row).map_err(|_| Error::Damaged("a block's body"))?;
    let withdrawals = stored.withdrawals.into_iter().next();
    Ok(Body {
        body: BlockBody {
            transactions: stored.transactions,
            ommers: stored.ommers,
            withdrawals: withdrawals.map(Withdrawals::new),
        },
        senders: stored.senders,
        round: stored.round,
    })
}

/// A row of [`HEADERS`].
///
/// # Errors
/// [`Error::Damaged`].
pub fn decode_header(mut row: &[u8]) -> Result<Header, Error> {
    Header::decode(&mut row).map_err(|_| Error::Damaged("a block's header"))
}

fn encode_receipts(receipts: &[ReceiptEnvelope]) -> Vec<u8> {
    let stored: Vec<StoredReceipt> = receipts.iter().map(stored).collect();
    let mut bytes = Vec::new();
    stored.encode(&mut bytes);
    bytes
}

fn stored(receipt: &ReceiptEnvelope) -> StoredReceipt {
    let status = match receipt.status_or_post_state() {
        Eip658Value::Eip658(success) => vec![u8::from(success)],
        Eip658Value::PostState(root) => root.to_vec(),
    };
    StoredReceipt {
        kind: receipt.ty(),
        status: status.into(),
        cumulative_gas_used: receipt.cumulative_gas_used(),
        logs: receipt.logs().to_vec(),
    }
}

/// A row of [`RECEIPTS`].
///
/// # Errors
/// [`Error::Damaged`].
pub fn decode_receipts(mut row: &[u8]) -> Result<Vec<ReceiptEnvelope>, Error> {
    let stored = Vec::<StoredReceipt>::decode(&mut row);
    let stored = stored.map_err(|_| Error::Damaged("a block's receipts"))?;
    stored.into_iter().map(envelope).collect()
}

fn envelope(stored: StoredReceipt) -> Result<ReceiptEnvelope, Error> {
    let status = match &stored.status[..] {
        [success @ (0 | 1)] => Eip658Value::Eip658(*success == 1),
        root => {
            let root = B256::try_from(root).map_err(|_| Error::Damaged("a receipt's status"))?;
            Eip658Value::PostState(root)
        }
    };
    let receipt: ReceiptWithBloom<Receipt> = Receipt {
        status,
        cumulative_gas_used: stored.cumulative_gas_used,
        logs: stored.logs,
    }
    .with_bloom();
    let kind = TxType::try_from(stored.kind).map_err(|_| Error::Damaged("a receipt's type"))?;
    Ok(match kind {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    })
}

/// A row of [`FINALITY`].
///
/// # Errors
/// [`Error::Damaged`].
pub fn decode_finality(row: &[u8]) -> Result<Finality, Error> {
    let proof = (row.len() == FINALITY_LEN).then(|| Finality::decode(row));
    proof.flatten().ok_or(Error::Damaged("a proof of finality"))
}

/// A row of [`HASHES`], and the end of a key of [`LOGGED`].
///
/// # Errors
/// [`Error::Damaged`].
pub fn decode_height(row: &[u8]) -> Result<Height, Error> {
    let height = row.last_chunk().ok_or(Error::Damaged("a block's height"))?;
    Ok(Height::from_be_bytes(*height))
}

/// A row of [`PLACES`].
///
/// # Errors
/// [`Error::Damaged`].
pub fn decode_place(row: &[u8]) -> Result<Place, Error> {
    let damaged = || Error::Damaged("a transaction's place");
    let (height, index) = row.split_first_chunk().ok_or_else(damaged)?;
    Ok(Place {
        height: Height::from_be_bytes(*height),
        index: u32::from_be_bytes(index.try_into().map_err(|_| damaged())?),
    })
}
