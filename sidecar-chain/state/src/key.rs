//! The keys of the state. None is the beginning of another, and all keys of one account's storage
//! lie together.
//!
//! ```text
//!  1 account   keccak(address)                         nonce, balance, code hash, storage root
//!  2 slot      keccak(address) ‖ keccak(slot)          value without leading zeros
//!  3 node      len ‖ path                              RLP of a node of the accounts' trie
//!  4 node      keccak(address) ‖ len ‖ path            RLP of a node of an account's storage trie
//!  5 code      keccak(code)                            code
//! ```
//! `path` is packed, two nibbles to a byte and the last one padded with a zero; `len` counts nibbles.

use alloy_primitives::B256;
use alloy_trie::Nibbles;

/// A key of the state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

impl Key {
    /// An account.
    pub fn account(address: &B256) -> Key {
        Key([&[1], &address[..]].concat())
    }

    /// A slot of an account's storage.
    pub fn slot(address: &B256, slot: &B256) -> Key {
        Key([&[2], &address[..], &slot[..]].concat())
    }

    /// A node of the trie of accounts.
    pub fn node(path: &Nibbles) -> Key {
        let mut key = vec![3];
        push(&mut key, path);
        Key(key)
    }

    /// A node of the trie of an account's storage.
    pub fn storage_node(address: &B256, path: &Nibbles) -> Key {
        let mut key = [&[4], &address[..]].concat();
        push(&mut key, path);
        Key(key)
    }

    /// A contract's code.
    pub fn code(hash: &B256) -> Key {
        Key([&[5], &hash[..]].concat())
    }

    /// What all slots of an account begin with.
    pub fn slots(address: &B256) -> Vec<u8> {
        [&[2], &address[..]].concat()
    }

    /// What all nodes of an account's storage trie begin with.
    pub fn storage_nodes(address: &B256) -> Vec<u8> {
        [&[4], &address[..]].concat()
    }

    /// A key that was stored.
    pub(crate) fn stored(key: &[u8]) -> Key {
        Key(key.to_vec())
    }

    /// Which kind of the list above it is, and its one or two hashes; none for a node.
    pub fn parts(&self) -> Option<(u8, B256, Option<B256>)> {
        let (kind, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first_chunk::<32>()?;
        let second = match (kind, rest) {
            (1 | 5, []) => None,
            (2, rest) => Some(B256::try_from(rest).ok()?),
            _ => return None,
        };
        Some((*kind, B256::from(*first), second))
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn push(key: &mut Vec<u8>, path: &Nibbles) {
    key.push(u8::try_from(path.len()).expect("a path has 64 nibbles at most"));
    key.extend_from_slice(&path.pack());
}
