//! The state as revm reads it, and what revm left as the state takes it.

use std::{collections::BTreeMap, fmt};

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::KECCAK_EMPTY;
use lode_chain_state::{
    apply::{self, Block, Info, Touched},
    versions::{self, Read},
};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    database::{BundleAccount, BundleState},
    database_interface::DBErrorMarker,
    state::AccountInfo,
};

/// A state, and the hashes of the blocks before.
pub struct Database<'state, S, H> {
    /// The state.
    pub state: &'state S,
    /// The hash of a block by its number; zero if it is none of the last 256.
    pub hashes: H,
}

impl<S, H> fmt::Debug for Database<'_, S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

/// The state could not be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Failed(#[from] pub versions::Error);

impl DBErrorMarker for Failed {}

impl<S: Read, H: Fn(u64) -> Result<B256, versions::Error>> DatabaseRef for Database<'_, S, H> {
    type Error = Failed;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Failed> {
        let account = apply::account(self.state, &keccak256(address))?;
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Failed> {
        Ok(Bytecode::new_raw(apply::code(self.state, &hash)?))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Failed> {
        let slot = keccak256(B256::from(slot));
        Ok(apply::slot(self.state, &keccak256(address), &slot)?)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Failed> {
        Ok((self.hashes)(number)?)
    }
}

/// What revm left of all that it touched.
pub fn touched(bundle: BundleState) -> Block {
    let mut block = Block::default();
    for (hash, code) in bundle.contracts {
        if hash != KECCAK_EMPTY {
            block.code.insert(hash, code.original_bytes());
        }
    }
    for (address, account) in bundle.state {
        if let Some(touched) = left(account) {
            block.accounts.insert(keccak256(address), touched);
        }
    }
    block
}

/// What is left of an account; none if it was only read.
fn left(account: BundleAccount) -> Option<Touched> {
    let wiped = account.was_destroyed();
    let changed = account
        .storage
        .iter()
        .filter(|(_, slot)| wiped || slot.is_changed());
    let slots: BTreeMap<B256, U256> = changed
        .map(|(slot, held)| (keccak256(B256::from(*slot)), held.present_value))
        .collect();
    if !wiped && slots.is_empty() && account.info == account.original_info {
        return None;
    }
    let info = account.info.map(|info| Info {
        nonce: info.nonce,
        balance: info.balance,
        code_hash: info.code_hash,
    });
    Some(Touched { info, wiped, slots })
}
