//! The contracts as they stand in a genesis file: code, first state, and the stakes of the first
//! validators. No constructor runs and no key could change this later than the genesis does.

use std::collections::BTreeMap;

use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, U256, keccak256};
use lode_proofs::da::{draw::STAKES_END, shape::HOLDERS_MAX};

use crate::{
    addresses::{ANCHORS, BEACON, COMMITTEE, DA_CERTIFICATES, DA_SIGNERS, FLOW, MARKET, REWARDS},
    da::Holder,
    storage::{Contract, mapped, word},
};

/// Longest endpoint of a validator, in bytes (`ENDPOINT_MAX`).
pub const ENDPOINT_MAX: usize = 128;
/// Validators that can be registered (`VALIDATORS_MAX`).
pub const VALIDATORS_MAX: usize = 256;
/// Members of a committee, at most (`SEATS_MAX`).
pub const SEATS_MAX: u64 = 128;
/// Blocks of an epoch of the flow, at most (`BLOCKS_PER_EPOCH_MAX`).
pub const FLOW_EPOCH_BLOCKS_MAX: u16 = 8191;
/// Blocks of a slot of the beacon, at most (`BLOCKS_PER_SLOT_MAX`).
pub const BEACON_SLOT_BLOCKS_MAX: u64 = 4096;
/// Epochs between a change of stake and its effect (`LEAD`).
pub const COMMITTEE_LEAD: u64 = 2;
/// Epochs that stake may take to leave, at most: with more, a sum in the contract could overflow.
pub const UNBOND_EPOCHS_MAX: u32 = u32::MAX;

/// What differs between chains.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Holds every administrative role, and grants them to others.
    pub admin: Address,
    /// Publishes statements of rewards.
    pub publisher: Address,
    /// Wei for a sector of 256 bytes.
    pub price_per_sector: u128,
    /// Blocks of a mining epoch, 1 to [`FLOW_EPOCH_BLOCKS_MAX`].
    pub flow_epoch_blocks: u16,
    /// Blocks of a slot of randomness, 1 to [`BEACON_SLOT_BLOCKS_MAX`].
    pub beacon_slot_blocks: u64,
    /// Blocks of an epoch of the committee, 1 or more.
    pub committee_epoch_blocks: u64,
    /// Epochs from unbonding to withdrawal, more than [`COMMITTEE_LEAD`], at most
    /// [`UNBOND_EPOCHS_MAX`].
    pub unbond_epochs: u64,
    /// Members of a committee, 1 to [`SEATS_MAX`].
    pub seats: u64,
    /// Least stake, in wei, 1 or more.
    pub stake_min: u128,
    /// Who validates from the first block.
    pub validators: Vec<Validator>,
}

/// A validator of the genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Who may add to the stake and take it back.
    pub owner: Address,
    /// Ed25519 public key.
    pub key: B256,
    /// Wei.
    pub stake: u128,
    /// Host and port.
    pub endpoint: String,
}

/// What differs between chains in data availability.
#[derive(Clone, Debug)]
pub struct DaSettings {
    /// Blocks of an epoch, no fewer than of a slot of the beacon.
    pub epoch_blocks: u64,
    /// Epochs from unbonding to withdrawal, more than [`COMMITTEE_LEAD`], at most
    /// [`UNBOND_EPOCHS_MAX`].
    pub unbond_epochs: u64,
    /// Least stake, in wei, 1 or more.
    pub stake_min: u128,
    /// Who holds from the first block. Nobody checks here that their keys were proven: a genesis file
    /// is trusted as it is.
    pub holders: Vec<Holder>,
}

impl Settings {
    /// Data availability in the epochs of the committee, or in longer ones where those are shorter than
    /// a slot of the beacon, for the same stakes, and held by nobody yet.
    #[must_use]
    pub fn da(&self) -> DaSettings {
        DaSettings {
            epoch_blocks: self.committee_epoch_blocks.max(self.beacon_slot_blocks),
            unbond_epochs: self.unbond_epochs,
            stake_min: self.stake_min,
            holders: Vec::new(),
        }
    }
}

/// Settings that the contracts would have refused.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// A number out of its range.
    #[error("{setting} is {found}, and may be {low} to {high}")]
    OutOfRange {
        /// Which setting.
        setting: &'static str,
        /// What it is.
        found: u128,
        /// The least it may be.
        low: u128,
        /// The most it may be.
        high: u128,
    },
    /// Two validators or holders with one owner or one key, or a key of zeros.
    #[error("validator or holder {owner}: owner and key must be its own")]
    NotUnique {
        /// Whose.
        owner: Address,
    },
    /// The stakes of validators add up to 2^128 wei or more, or those of holders to 2^110 or more.
    #[error("the stakes together are too large")]
    Stakes,
}

/// Accounts for a genesis file: the contracts, and the one that keeps block hashes (EIP-2935),
/// which the flow and the beacon ask. Every account has nonce 1 and code.
///
/// # Errors
/// Says which setting the contracts would have refused.
pub fn accounts(settings: &Settings) -> Result<BTreeMap<Address, GenesisAccount>, GenesisError> {
    accounts_with(settings, &settings.da())
}

/// The same with settings of its own for data availability.
///
/// # Errors
/// Says which setting the contracts would have refused.
pub fn accounts_with(
    settings: &Settings,
    da: &DaSettings,
) -> Result<BTreeMap<Address, GenesisAccount>, GenesisError> {
    check(settings)?;
    let held = check_da(settings, da)?;
    let stakes = settings.validators.iter().map(|validator| validator.stake);
    let staked = stakes
        .into_iter()
        .try_fold(0u128, u128::checked_add)
        .ok_or(GenesisError::Stakes)?;
    let history = GenesisAccount::default()
        .with_nonce(Some(1))
        .with_code(Some(HISTORY_STORAGE_CODE.clone()));
    Ok(BTreeMap::from([
        (FLOW, account(flow(settings), 0)),
        (MARKET, account(market(settings), 0)),
        (ANCHORS, account(anchors(), 0)),
        (COMMITTEE, account(committee(settings), staked)),
        (BEACON, account(beacon(settings), 0)),
        (REWARDS, account(rewards(settings), 0)),
        (DA_SIGNERS, account(da_signers(da), held)),
        (DA_CERTIFICATES, account(da_certificates(), 0)),
        (HISTORY_STORAGE_ADDRESS, history),
    ]))
}

fn account(contract: Contract, balance: u128) -> GenesisAccount {
    GenesisAccount::default()
        .with_nonce(Some(1))
        .with_balance(U256::from(balance))
        .with_code(Some(contract.code()))
        .with_storage(Some(contract.storage()))
}

fn flow(settings: &Settings) -> Contract {
    let mut contract = Contract::new(include_str!("../../contracts/artifacts/Flow.json"));
    contract.set("_market", number(MARKET));
    contract.set("_blocksPerEpoch", U256::from(settings.flow_epoch_blocks));
    // The length is the lowest part of the tail. One sector, of zeros, is there from the start.
    contract.set("_end", U256::ONE);
    contract.grant(B256::ZERO, settings.admin);
    contract.grant(keccak256("PAUSER_ROLE"), settings.admin);
    contract
}

fn market(settings: &Settings) -> Contract {
    let mut contract = Contract::new(include_str!("../../contracts/artifacts/Market.json"));
    contract.set("pricePerSector", U256::from(settings.price_per_sector));
    contract.set("flow", number(FLOW));
    contract.set("anchors", number(ANCHORS));
    contract.set("rewards", number(REWARDS));
    contract.grant(B256::ZERO, settings.admin);
    contract.grant(keccak256("PARAMS_ADMIN_ROLE"), settings.admin);
    contract
}

fn anchors() -> Contract {
    let mut contract = Contract::new(include_str!("../../contracts/artifacts/Anchors.json"));
    contract.set("market", number(MARKET));
    contract
}

fn committee(settings: &Settings) -> Contract {
    let mut contract = Contract::new(include_str!("../../contracts/artifacts/Committee.json"));
    contract.set(
        "blocksPerEpoch",
        U256::from(settings.committee_epoch_blocks),
    );
    contract.set("unbondEpochs", U256::from(settings.unbond_epochs));
    contract.set("seats", U256::from(settings.seats));
    contract.set("stakeMin", U256::from(settings.stake_min));
    let (owners, _) = contract.variable("_owners");
    let (validators, _) = contract.variable("_validators");
    let (owner_of, _) = contract.variable("_ownerOf");
    for validator in &settings.validators {
        let place = contract.push(owners, number(validator.owner));
        contract.put(mapped(validator.key, owner_of), 0, number(validator.owner));
        // struct Validator: key | stake, stakeNext | stakeLater, since, place | leaving … | endpoint
        let first = mapped(word(validator.owner), validators);
        let stake = U256::from(validator.stake);
        contract.put(first, 0, U256::from_be_bytes(validator.key.0));
        contract.put(first + U256::from(1), 0, stake | (stake << 128));
        contract.put(first + U256::from(2), 0, stake | (place << 192));
        contract.text(first + U256::from(4), &validator.endpoint);
    }
    contract
}

fn beacon(settings: &Settings) -> Contract {
    let mut contract = Contract::new(include_str!("../../contracts/artifacts/Beacon.json"));
    contract.set("blocksPerSlot", U256::from(settings.beacon_slot_blocks));
    contract
}

fn rewards(settings: &Settings) -> Contract {
    let mut contract = Contract::new(include_str!("../../contracts/artifacts/Rewards.json"));
    contract.grant(B256::ZERO, settings.admin);
    contract.grant(keccak256("PUBLISHER_ROLE"), settings.publisher);
    contract
}

fn da_signers(da: &DaSettings) -> Contract {
    let mut contract = Contract::new(include_str!("../../contracts/artifacts/DaSigners.json"));
    contract.set("blocksPerEpoch", U256::from(da.epoch_blocks));
    contract.set("unbondEpochs", U256::from(da.unbond_epochs));
    contract.set("stakeMin", U256::from(da.stake_min));
    contract.set("beacon", number(BEACON));
    contract.set("registrations", U256::from(da.holders.len()));
    let [list, holders, number_of, key_numbers] =
        ["_listed", "_holders", "numberOf", "_numberOfKey"].map(|label| contract.variable(label).0);
    contract.put(list, 0, U256::from(da.holders.len()));
    for (before, holder) in da.holders.iter().enumerate() {
        let place = U256::from(before) + U256::ONE;
        contract.small(list, before, 32, place);
        contract.put(mapped(word(holder.owner), number_of), 0, place);
        let key_hash = keccak256(holder.key.0);
        contract.put(mapped(key_hash, key_numbers), 0, place);
        // struct Holder: owner, since, place | stake, stakeNext | stakeLater, leaving | leavesAt |
        // peerKey | key … | socket …
        let first = mapped(place.into(), holders);
        let stake = U256::from(holder.stake);
        contract.put(first, 0, number(holder.owner) | (place << 224));
        contract.put(first + U256::from(1), 0, stake | (stake << 128));
        contract.put(first + U256::from(2), 0, stake);
        contract.put(first + U256::from(4), 0, holder.peer_key.into());
        contract.bytes(first + U256::from(5), &holder.key.0);
        contract.text(first + U256::from(6), &holder.socket);
    }
    contract
}

fn da_certificates() -> Contract {
    let mut contract = Contract::new(include_str!(
        "../../contracts/artifacts/DaCertificates.json"
    ));
    contract.set("signers", number(DA_SIGNERS));
    contract
}

fn number(account: Address) -> U256 {
    U256::from_be_bytes(word(account).0)
}

/// The bounds that `initialize` and `register` hold to.
fn check(settings: &Settings) -> Result<(), GenesisError> {
    let ranges = [
        (
            "flow_epoch_blocks",
            settings.flow_epoch_blocks.into(),
            1,
            FLOW_EPOCH_BLOCKS_MAX.into(),
        ),
        (
            "beacon_slot_blocks",
            settings.beacon_slot_blocks.into(),
            1,
            BEACON_SLOT_BLOCKS_MAX.into(),
        ),
        (
            "committee_epoch_blocks",
            settings.committee_epoch_blocks.into(),
            1,
            u64::MAX.into(),
        ),
        (
            "unbond_epochs",
            settings.unbond_epochs.into(),
            u128::from(COMMITTEE_LEAD) + 1,
            UNBOND_EPOCHS_MAX.into(),
        ),
        ("seats", settings.seats.into(), 1, SEATS_MAX.into()),
        ("stake_min", settings.stake_min, 1, u128::MAX),
        (
            "validators",
            count(settings.validators.len()),
            0,
            count(VALIDATORS_MAX),
        ),
    ];
    for (setting, found, low, high) in ranges {
        in_range(setting, found, low, high)?;
    }
    let mut owners = BTreeMap::new();
    let mut keys = BTreeMap::new();
    for validator in &settings.validators {
        let owner = validator.owner;
        in_range("stake", validator.stake, settings.stake_min, u128::MAX)?;
        in_range(
            "endpoint's length",
            count(validator.endpoint.len()),
            1,
            count(ENDPOINT_MAX),
        )?;
        let again = owners.insert(owner, ()).is_some() || keys.insert(validator.key, ()).is_some();
        if again || validator.key.is_zero() {
            return Err(GenesisError::NotUnique { owner });
        }
    }
    Ok(())
}

/// The bounds that `initialize` and `register` of DaSigners hold to; what is staked there.
fn check_da(settings: &Settings, da: &DaSettings) -> Result<u128, GenesisError> {
    let ranges = [
        (
            "da.epoch_blocks",
            da.epoch_blocks.into(),
            settings.beacon_slot_blocks.into(),
            u64::MAX.into(),
        ),
        (
            "da.unbond_epochs",
            da.unbond_epochs.into(),
            u128::from(COMMITTEE_LEAD) + 1,
            UNBOND_EPOCHS_MAX.into(),
        ),
        ("da.stake_min", da.stake_min, 1, STAKES_END - 1),
        ("da.holders", count(da.holders.len()), 0, count(HOLDERS_MAX)),
    ];
    for (setting, found, low, high) in ranges {
        in_range(setting, found, low, high)?;
    }
    let mut owners = BTreeMap::new();
    let mut keys = BTreeMap::new();
    let mut sum: u128 = 0;
    for holder in &da.holders {
        let owner = holder.owner;
        in_range("stake", holder.stake, da.stake_min, STAKES_END - 1)?;
        in_range(
            "socket's length",
            count(holder.socket.len()),
            1,
            count(ENDPOINT_MAX),
        )?;
        let again = owners.insert(owner, ()).is_some() || keys.insert(holder.key.0, ()).is_some();
        if again || holder.peer_key.is_zero() {
            return Err(GenesisError::NotUnique { owner });
        }
        let added = sum.checked_add(holder.stake);
        sum = added
            .filter(|sum| *sum < STAKES_END)
            .ok_or(GenesisError::Stakes)?;
    }
    Ok(sum)
}

fn in_range(setting: &'static str, found: u128, low: u128, high: u128) -> Result<(), GenesisError> {
    let wrong = GenesisError::OutOfRange {
        setting,
        found,
        low,
        high,
    };
    (low..=high).contains(&found).then_some(()).ok_or(wrong)
}

fn count(len: usize) -> u128 {
    u128::try_from(len).expect("a length fits 128 bits")
}

#[cfg(test)]
#[path = "genesis_tests.rs"]
mod tests;
