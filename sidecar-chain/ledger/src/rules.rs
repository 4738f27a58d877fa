//! What a header must be, given the one below and what execution has found.
//!
//! A proposer chooses the time (not before the block below), who gets the fees, the transactions and
//! the round. All else follows, so a block is checked by making its header again and comparing.

use alloy_consensus::{
    BlockBody, EMPTY_OMMER_ROOT_HASH, Header, ReceiptEnvelope, TxEnvelope, TxReceipt,
    proofs::{calculate_receipt_root, calculate_transaction_root},
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bloom};
use lode_chain_exec::execute::Executed;
use lode_chain_types::{Block, Round};

use crate::{
    chain::{Chain, DIFFICULTY, EMPTY_ROOT},
    error::Error,
};

/// What a proposer is free to choose.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// In seconds since 1970.
    pub timestamp: u64,
    /// Who gets the fees.
    pub beneficiary: Address,
}

/// The header of the block after `parent`, before execution.
pub fn begin(chain: &Chain, parent: &Header, choice: Choice, round: &Round) -> Header {
    Header {
        parent_hash: parent.hash_slow(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: choice.beneficiary,
        difficulty: DIFFICULTY,
        number: parent.number + 1,
        gas_limit: parent.gas_limit,
        timestamp: choice.timestamp,
        mix_hash: round.random(),
        base_fee_per_gas: parent.next_block_base_fee(chain.base_fee_params()),
        withdrawals_root: Some(EMPTY_ROOT),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(round.commitment()),
        ..Header::default()
    }
}

/// The header after execution.
pub fn finish(mut header: Header, transactions: &[TxEnvelope], executed: &Executed) -> Header {
    header.transactions_root = calculate_transaction_root(transactions);
    header.receipts_root = calculate_receipt_root(&executed.receipts);
    header.logs_bloom = bloom(&executed.receipts);
    header.state_root = executed.state_root;
    header.gas_used = executed.gas_used;
    header.requests_hash = Some(executed.requests.requests_hash());
    header
}

/// A block of these parts.
pub fn block(header: Header, transactions: Vec<TxEnvelope>, round: Round) -> Block {
    let body = BlockBody {
        transactions,
        ommers: Vec::new(),
        withdrawals: Some(Withdrawals::default()),
    };
    Block::new(header, body, round)
}

/// What can be said of a block before it is executed.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check(chain: &Chain, parent: &Header, block: &Block) -> Result<(), Error> {
    let header = block.header();
    let choice = Choice {
        timestamp: header.timestamp,
        beneficiary: header.beneficiary,
    };
    let wanted = begin(chain, parent, choice, block.round());
    let found = Header {
        transactions_root: B256::ZERO,
        receipts_root: B256::ZERO,
        logs_bloom: Bloom::ZERO,
        state_root: B256::ZERO,
        gas_used: 0,
        requests_hash: None,
        ..header.clone()
    };
    let unset = Header {
        transactions_root: B256::ZERO,
        receipts_root: B256::ZERO,
        state_root: B256::ZERO,
        ..wanted
    };
    let broken = |rule| {
        let height = header.number;
        Err(Error::Invalid { height, rule })
    };
    if header.timestamp < parent.timestamp {
        return broken("its time is before that of the block below");
    }
    if found != unset {
        return broken("its header does not follow from the block below");
    }
    Ok(())
}

/// The header agrees with what execution has found.
///
/// # Errors
/// [`Error::Invalid`].
pub fn agree(header: &Header, executed: &Executed) -> Result<(), Error> {
    let requests = Some(executed.requests.requests_hash());
    let rules = [
        (header.gas_used == executed.gas_used, "its gas"),
        (header.state_root == executed.state_root, "its state_root"),
        (
            header.receipts_root == calculate_receipt_root(&executed.receipts),
            "its receipts_root",
        ),
        (
            header.logs_bloom == bloom(&executed.receipts),
            "its logs_bloom",
        ),
        (
            header.requests_hash.is_none() || header.requests_hash == requests,
            "its requests_hash",
        ),
    ];
    let broken = rules.into_iter().find(|(holds, _)| !holds);
    broken.map_or(Ok(()), |(_, rule)| {
        let height = header.number;
        Err(Error::Invalid { height, rule })
    })
}

fn bloom(receipts: &[ReceiptEnvelope]) -> Bloom {
    let blooms = receipts.iter().map(|receipt| receipt.bloom());
    blooms.fold(Bloom::ZERO, |all, bloom| all | bloom)
}
