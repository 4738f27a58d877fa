//! The header of a genesis block, which no genesis file holds but every member of it decides.

use alloy_consensus::{Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{eip1559::INITIAL_BASE_FEE, eip7685::EMPTY_REQUESTS_HASH};
use alloy_genesis::Genesis;
use alloy_primitives::B256;
use alloy_trie::root::state_root_unhashed;

/// The genesis block lives by rules later than Osaka, whose headers are not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the genesis block lives by rules later than Osaka; use a newer release")]
pub struct Unknown;

/// The header, as geth and all others make it.
///
/// # Errors
/// [`Unknown`].
pub fn header(genesis: &Genesis) -> Result<Header, Unknown> {
    let config = &genesis.config;
    let (number, time) = (genesis.number.unwrap_or(0), genesis.timestamp);
    let since = |fork: Option<u64>| fork.is_some_and(|fork| fork <= time);
    if since(config.amsterdam_time) {
        return Err(Unknown);
    }
    let london = config.is_london_active_at_block(number);
    let base_fee = genesis
        .base_fee_per_gas
        .map_or(Some(INITIAL_BASE_FEE), |fee| fee.try_into().ok());
    let cancun = since(config.cancun_time);
    let accounts = genesis.alloc.clone();
    Ok(Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        beneficiary: genesis.coinbase,
        state_root: state_root_unhashed(accounts),
        difficulty: genesis.difficulty,
        number,
        gas_limit: genesis.gas_limit,
        timestamp: time,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: genesis.nonce.into(),
        base_fee_per_gas: if london {
            Some(base_fee.ok_or(Unknown)?)
        } else {
            None
        },
        withdrawals_root: since(config.shanghai_time).then_some(EMPTY_WITHDRAWALS),
        blob_gas_used: cancun.then_some(genesis.blob_gas_used.unwrap_or(0)),
        excess_blob_gas: cancun.then_some(genesis.excess_blob_gas.unwrap_or(0)),
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: since(config.prague_time).then_some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    })
}
