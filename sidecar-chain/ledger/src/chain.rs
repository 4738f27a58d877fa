//! What never changes of a chain: its rules, and its block zero.
//!
//! A genesis file of ours has a member `lode` in its `config`. Of that the ledger reads `round`: the
//! RLP of block zero's round in hexadecimal, by which block zero carries the first committee.

use alloy_consensus::{BlockBody, EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::{eip1559::BaseFeeParams, eip7685::EMPTY_REQUESTS_HASH};
use alloy_genesis::Genesis;
use alloy_primitives::{B256, Bytes, U256, b256};
use alloy_rlp::Decodable;
use lode_chain_exec::{genesis, spec::Spec};
use lode_chain_state::{
    apply::apply,
    layers::Nothing,
    versions::{self, Changes},
};
use lode_chain_types::{Block, Round};
use serde::Deserialize;

/// Root of a trie without entries: keccak of the RLP of nothing.
pub const EMPTY_ROOT: B256 =
    b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
/// Of a first block under EIP-1559 whose genesis file names none (1 gwei).
const BASE_FEE: u64 = 1_000_000_000;

/// The member of a genesis file's `config` that makes a chain one of ours.
const OURS: &str = "lode";

/// Why a genesis file begins no chain.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `config.lode` is not as it should be.
    #[error("`config.lode`: {0}")]
    Ours(#[from] serde_json::Error),
    /// `config.lode.round` is no round.
    #[error("`config.lode.round` is not the RLP of a round: {0}")]
    Round(#[from] alloy_rlp::Error),
    /// The state could not be made.
    #[error(transparent)]
    State(#[from] versions::Error),
}

#[derive(Deserialize)]
struct Ours {
    round: Bytes,
}

/// A chain's rules and its block zero.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Which rules hold when.
    pub spec: Spec,
    /// Its block zero.
    pub genesis: Block,
    /// What block zero puts into the state.
    pub changes: Changes,
}

impl Chain {
    /// The chain that a genesis file in geth's form begins.
    ///
    /// # Errors
    /// When `config.lode` is there and cannot be read.
    pub fn new(file: &Genesis) -> Result<Chain, Error> {
        let spec = Spec::new(file.config.clone());
        let round = match file.config.extra_fields.get(OURS) {
            Some(ours) => {
                let ours: Ours = serde_json::from_value(ours.clone())?;
                Some(Round::decode(&mut &ours.round[..])?)
            }
            None => None,
        };
        let (state_root, changes) = apply(&Nothing, &genesis::accounts(file))?;
        let mut header = header(file, &spec, state_root);
        if let Some(round) = &round {
            header.parent_beacon_block_root = Some(round.commitment());
        }
        let withdrawals = header.withdrawals_root.map(|_| Vec::new().into());
        let body = BlockBody {
            withdrawals,
            ..BlockBody::default()
        };
        Ok(Chain {
            spec,
            genesis: Block::new(header, body, round.unwrap_or_default()),
            changes,
        })
    }

    /// How base fees follow from use (EIP-1559).
    pub fn base_fee_params(&self) -> BaseFeeParams {
        BaseFeeParams::ethereum()
    }
}

/// Fields appear with the fork that brought them.
fn header(file: &Genesis, spec: &Spec, state_root: B256) -> Header {
    use alloy_hardforks::EthereumHardforks as _;
    let (number, time) = (file.number.unwrap_or(0), file.timestamp);
    let london = spec.is_london_active_at_block(number);
    let shanghai = spec.is_shanghai_active_at_timestamp(time);
    let cancun = spec.is_cancun_active_at_timestamp(time);
    let prague = spec.is_prague_active_at_timestamp(time);
    let named = file
        .base_fee_per_gas
        .and_then(|fee| u64::try_from(fee).ok());
    Header {
        parent_hash: file.parent_hash.unwrap_or(B256::ZERO),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: file.coinbase,
        state_root,
        transactions_root: EMPTY_ROOT,
        receipts_root: EMPTY_ROOT,
        difficulty: file.difficulty,
        number,
        gas_limit: file.gas_limit,
        timestamp: time,
        extra_data: file.extra_data.clone(),
        mix_hash: file.mix_hash,
        nonce: file.nonce.into(),
        base_fee_per_gas: london.then(|| named.unwrap_or(BASE_FEE)),
        withdrawals_root: shanghai.then_some(EMPTY_ROOT),
        blob_gas_used: cancun.then(|| file.blob_gas_used.unwrap_or(0)),
        excess_blob_gas: cancun.then(|| file.excess_blob_gas.unwrap_or(0)),
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: prague.then_some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

/// Difficulty of a block by consensus: there is no work to prove (EIP-3675).
pub const DIFFICULTY: U256 = U256::ZERO;
