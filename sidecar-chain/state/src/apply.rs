//! What a block did to accounts becomes what it changes in the state, and the state's root.
//!
//! ```text
//!  accounts' new contents ─► storage tries, one for each ─► trie of accounts ─► root
//!            │                        │                           │
//!            └────────────────────────┴───────────────────────────┴──► Changes, for one commit
//! ```
//! The root is that of the Yellow Paper (§4.1): secure tries, whose keys are keccak hashes; empty
//! storage has no trie, and a slot of zero is no slot.
//!
//! Cost: tries are read and hashed along the changed keys alone; a wiped account's storage is
//! listed whole.

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::{Decodable, encode, encode_fixed_size};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, Nibbles, TrieAccount};

use crate::{
    key::Key,
    trie::{self, Committed, Nodes, Trie},
    versions::{Changes, Error, Read},
};

/// An account but for its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Transactions sent, or contracts made.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// Of its code; that of nothing if it has none.
    pub code_hash: B256,
}

/// What a block left of an account that it touched.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// None: there is no such account any more.
    pub info: Option<Info>,
    /// Its storage of before is gone.
    pub wiped: bool,
    /// Slots that were written, by keccak of their numbers.
    pub slots: BTreeMap<B256, U256>,
}

/// What a block left of all that it touched.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Accounts, by keccak of their addresses.
    pub accounts: BTreeMap<B256, Touched>,
    /// Code that is new, by its keccak.
    pub code: BTreeMap<B256, Bytes>,
}

/// The state's root after `block` on `state`, and all that changes.
///
/// # Errors
/// When the state cannot be read.
pub fn apply(state: &impl Read, block: &Block) -> Result<(B256, Changes), Error> {
    let mut changes = Changes::new();
    let nodes = AccountNodes(state);
    let mut accounts = Trie::open(&nodes).map_err(flat)?;
    for (address, touched) in &block.accounts {
        let before = account(state, address)?;
        let root = before.map_or(EMPTY_ROOT_HASH, |before| before.storage_root);
        let path = Nibbles::unpack(address);
        let storage_root = storage(state, address, touched, root, &mut changes)?;
        let Some(info) = touched.info else {
            accounts.remove(path).map_err(flat)?;
            changes.insert(Key::account(address), None);
            continue;
        };
        let Info {
            nonce,
            balance,
            code_hash,
        } = info;
        let now = encode(TrieAccount::new(nonce, balance, storage_root, code_hash));
        changes.insert(Key::account(address), Some(now.clone().into()));
        accounts.set(path, now).map_err(flat)?;
    }
    let Committed { root, nodes } = accounts.commit();
    let nodes = nodes.into_iter();
    changes.extend(nodes.map(|(path, node)| (Key::node(&path), node)));
    let code = block.code.iter();
    changes.extend(code.map(|(hash, code)| (Key::code(hash), Some(code.clone()))));
    Ok((root, changes))
}

/// An account, by keccak of its address.
///
/// # Errors
/// When the state cannot be read.
pub fn account(state: &impl Read, address: &B256) -> Result<Option<TrieAccount>, Error> {
    let held = state.get(&Key::account(address))?;
    let decoded = held.map(|held| TrieAccount::decode(&mut &held[..]));
    decoded
        .transpose()
        .map_err(|_| Error::Damaged("an account is not RLP"))
}

/// A slot of an account, by keccak of the address and of its number.
///
/// # Errors
/// When the state cannot be read.
pub fn slot(state: &impl Read, address: &B256, slot: &B256) -> Result<U256, Error> {
    let held = state.get(&Key::slot(address, slot))?;
    let value = held.map(|held| U256::try_from_be_slice(&held));
    value
        .unwrap_or(Some(U256::ZERO))
        .ok_or(Error::Damaged("a slot has more than 32 bytes"))
}

/// A contract's code.
///
/// # Errors
/// When the state cannot be read, or never had that code.
pub fn code(state: &impl Read, hash: &B256) -> Result<Bytes, Error> {
    if *hash == KECCAK_EMPTY {
        return Ok(Bytes::new());
    }
    state
        .get(&Key::code(hash))?
        .ok_or(Error::Damaged("code is missing"))
}

/// Nodes that prove an account or its absence (EIP-1186, `accountProof`).
///
/// # Errors
/// When the state cannot be read.
pub fn prove_account(state: &impl Read, address: &B256) -> Result<Vec<Bytes>, Error> {
    trie::prove(&AccountNodes(state), &Nibbles::unpack(address)).map_err(flat)
}

/// Nodes that prove a slot or that it is zero (EIP-1186, `storageProof`).
///
/// # Errors
/// When the state cannot be read.
pub fn prove_slot(state: &impl Read, address: &B256, slot: &B256) -> Result<Vec<Bytes>, Error> {
    let nodes = StorageNodes {
        state,
        address,
        wiped: false,
    };
    trie::prove(&nodes, &Nibbles::unpack(slot)).map_err(flat)
}

/// Changes an account's storage; its root, which was `before`.
fn storage(
    state: &impl Read,
    address: &B256,
    touched: &Touched,
    before: B256,
    changes: &mut Changes,
) -> Result<B256, Error> {
    let wiped = touched.wiped || touched.info.is_none();
    if wiped && before != EMPTY_ROOT_HASH {
        for prefix in [Key::slots(address), Key::storage_nodes(address)] {
            let gone = state.below(&prefix)?.into_iter();
            changes.extend(gone.map(|key| (key, None)));
        }
    }
    if touched.info.is_none() {
        return Ok(EMPTY_ROOT_HASH);
    }
    if touched.slots.is_empty() {
        return Ok(if wiped { EMPTY_ROOT_HASH } else { before });
    }
    let nodes = StorageNodes {
        state,
        address,
        wiped,
    };
    let mut trie = Trie::open(&nodes).map_err(flat)?;
    for (slot, value) in &touched.slots {
        let path = Nibbles::unpack(slot);
        let held = if value.is_zero() {
            trie.remove(path).map_err(flat)?;
            None
        } else {
            let rlp = encode_fixed_size(value).to_vec();
            trie.set(path, rlp).map_err(flat)?;
            Some(value.to_be_bytes_trimmed_vec().into())
        };
        changes.insert(Key::slot(address, slot), held);
    }
    let Committed { root, nodes } = trie.commit();
    let nodes = nodes.into_iter();
    changes.extend(nodes.map(|(path, node)| (Key::storage_node(address, &path), node)));
    Ok(root)
}

/// Nodes of the trie of accounts.
struct AccountNodes<'state, S>(&'state S);

impl<S: Read> Nodes for AccountNodes<'_, S> {
    type Error = Error;

    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, Error> {
        self.0.get(&Key::node(path))
    }
}

/// Nodes of the trie of an account's storage.
struct StorageNodes<'state, S> {
    state: &'state S,
    address: &'state B256,
    /// There are none any more.
    wiped: bool,
}

impl<S: Read> Nodes for StorageNodes<'_, S> {
    type Error = Error;

    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, Error> {
        if self.wiped {
            return Ok(None);
        }
        self.state.get(&Key::storage_node(self.address, path))
    }
}

fn flat(error: trie::Error<Error>) -> Error {
    match error {
        trie::Error::Store(error) => error,
        trie::Error::Damaged { .. } => Error::Damaged("a trie lacks a node"),
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
