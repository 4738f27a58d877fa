//! The file that a chain begins with: geth's form, all forks to Osaka from the first block, and a
//! member `lode` in its `config` that holds all that anybody has to trust.
//!
//! ```text
//!  config.lode
//!    namespace        what the committee's signatures are made under
//!    key              the committee's key: 96 bytes
//!    round            RLP of block zero's round, which carries the first committee
//!    blocksPerEpoch   blocks after which members may change
//! ```

use std::collections::BTreeMap;

use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, U256};
use lode_chain_consensus::{Committee, NAMESPACE};
use lode_chain_exec::precompiles;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The member of `config`.
pub const OURS: &str = "lode";

/// What a chain is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its number (EIP-155).
    pub chain_id: u64,
    /// When it begins, in seconds since 1970.
    pub timestamp: u64,
    /// Gas of a block.
    pub gas_limit: u64,
    /// Base fee of the first block, in wei.
    pub base_fee: u64,
    /// Blocks after which members may change.
    pub blocks_per_epoch: u64,
    /// Accounts and contracts there are from the beginning.
    pub accounts: BTreeMap<Address, GenesisAccount>,
}

/// `config.lode`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ours {
    /// What the committee's signatures are made under.
    pub namespace: String,
    /// The committee's key.
    pub key: Bytes,
    /// RLP of block zero's round.
    pub round: Bytes,
    /// Blocks after which members may change.
    pub blocks_per_epoch: u64,
}

/// Why a genesis file is not one of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Of another kind of chain.
    #[error("the genesis file has no `config.lode`: it is of another kind of chain")]
    NotOurs,
    /// Something is missing, or of another form.
    #[error("`config.lode`: {0}")]
    Form(#[from] serde_json::Error),
}

impl Ours {
    /// What a genesis file says of it.
    ///
    /// # Errors
    /// When it is of another kind of chain.
    pub fn of(genesis: &Genesis) -> Result<Ours, Error> {
        let ours = genesis
            .config
            .extra_fields
            .get(OURS)
            .ok_or(Error::NotOurs)?;
        Ok(serde_json::from_value(ours.clone())?)
    }
}

/// The file of a chain with that first committee.
///
/// # Errors
/// None that depend on what is given.
pub fn write(plan: Plan, committee: &Committee) -> Result<Genesis, Error> {
    let namespace = String::from_utf8_lossy(NAMESPACE).into_owned();
    let ours = Ours {
        namespace,
        key: committee.group_key().into(),
        round: alloy_rlp::encode(committee.round()).into(),
        blocks_per_epoch: plan.blocks_per_epoch,
    };
    let mut genesis: Genesis = serde_json::from_value(json!({
        "config": {
            "chainId": plan.chain_id,
            "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
            "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
            "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0,
            OURS: ours,
        },
        "nonce": "0x0", "extraData": "0x", "difficulty": "0x0",
        "mixHash": B256::ZERO, "coinbase": Address::ZERO,
        "timestamp": format!("{:#x}", plan.timestamp),
        "gasLimit": format!("{:#x}", plan.gas_limit),
        "baseFeePerGas": format!("{:#x}", plan.base_fee),
        "alloc": {},
    }))?;
    genesis.alloc = system();
    genesis.alloc.extend(precompiles::accounts());
    genesis.alloc.extend(plan.accounts);
    Ok(genesis)
}

/// Contracts that Ethereum's rules call from block to block.
fn system() -> BTreeMap<Address, GenesisAccount> {
    let contracts = [
        (eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
        (
            eip2935::HISTORY_STORAGE_ADDRESS,
            &eip2935::HISTORY_STORAGE_CODE,
        ),
        (
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
        ),
        (
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
        ),
    ];
    let account = |code: &Bytes| GenesisAccount {
        balance: U256::ZERO,
        nonce: Some(1),
        code: Some(code.clone()),
        ..GenesisAccount::default()
    };
    let accounts = contracts.into_iter();
    accounts
        .map(|(address, code)| (address, account(code)))
        .collect()
}
