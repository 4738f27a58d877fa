//! The state before the first block.

use std::collections::BTreeMap;

use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{U256, keccak256};
use alloy_trie::KECCAK_EMPTY;
use lode_chain_state::apply::{Block, Info, Touched};

/// What a genesis file puts into an empty state.
pub fn accounts(genesis: &Genesis) -> Block {
    let mut block = Block::default();
    for (address, account) in &genesis.alloc {
        let code = account.code.as_ref().filter(|code| !code.is_empty());
        let code_hash = code.map_or(KECCAK_EMPTY, keccak256);
        if let Some(code) = code {
            block.code.insert(code_hash, code.clone());
        }
        let info = Info {
            nonce: account.nonce.unwrap_or(0),
            balance: account.balance,
            code_hash,
        };
        let touched = Touched {
            info: Some(info),
            wiped: false,
            slots: slots(account),
        };
        block.accounts.insert(keccak256(address), touched);
    }
    block
}

fn slots(account: &GenesisAccount) -> BTreeMap<alloy_primitives::B256, U256> {
    let storage = account.storage.iter().flatten();
    storage
        .map(|(slot, value)| (keccak256(slot), U256::from_be_bytes(value.0)))
        .collect()
}
