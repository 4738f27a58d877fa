//! What a verifier trusts, all of it read from a genesis file in geth's form:
//!
//! ```text
//!  { "config": { "chainId": …, "lode": { "namespace": "text", "key": "0x… 96 bytes",
//!                                        "round": "0x…" }, … }, … }
//! ```
//! The genesis block commits to the round, which carries the first committee.
//! The key is the committee's as a whole and outlives its members. The namespace goes into what they
//! sign; whoever makes a chain puts something into it that no other chain has.

use alloy_genesis::Genesis;
use alloy_primitives::{B256, Bytes, keccak256};
use lode_proofs::committee::{GroupKey, KEY_LEN, PointRefusal};
use serde::Deserialize;

use crate::genesis;

/// What a verifier trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The chain's number (EIP-155).
    pub chain_id: u64,
    /// Hash of the genesis block: the chain's name that nobody can choose.
    pub genesis: B256,
    /// What the committee's signatures are made under.
    pub namespace: Vec<u8>,
    /// The committee's key.
    pub key: GroupKey,
}

/// Why a genesis file is nothing to trust in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than [`GENESIS_LEN_MAX`].
    #[error("a genesis file has {len} bytes, and {GENESIS_LEN_MAX} at most")]
    Len {
        /// Its bytes.
        len: usize,
    },
    /// No genesis file in geth's form.
    #[error("not a genesis file: {0}")]
    Json(#[from] serde_json::Error),
    /// The genesis file of another kind of chain.
    #[error("`config` has no `lode`: this is the genesis file of another kind of chain")]
    NotOurs,
    /// A key of another length.
    #[error("`config.lode.key` has {len} bytes, a key has {KEY_LEN}")]
    KeyLen {
        /// Bytes found.
        len: usize,
    },
    /// A key that is no point to verify with.
    #[error("`config.lode.key` is {0}")]
    Key(#[from] PointRefusal),
    /// No namespace, or a longer one than certificates can be checked under on chain.
    #[error("`config.lode.namespace` has {len} bytes, a namespace has 1 to {NAMESPACE_LEN_MAX}")]
    NamespaceLen {
        /// Bytes found.
        len: usize,
    },
    /// The genesis block's header is of a kind that this release does not know.
    #[error(transparent)]
    Genesis(#[from] genesis::Unknown),
}

/// `config.lode`. Other members are for those who run the chain.
#[derive(Deserialize)]
struct Ours {
    namespace: String,
    key: Bytes,
    /// RLP of the genesis block's round: its header commits to it, where Ethereum's is zero.
    round: Option<Bytes>,
}

impl Trust {
    /// Reads a genesis file. Cost: a root over all of its accounts.
    ///
    /// # Errors
    /// When it is none, or not one of ours.
    pub fn read(file: &[u8]) -> Result<Trust, Error> {
        if file.len() > GENESIS_LEN_MAX {
            return Err(Error::Len { len: file.len() });
        }
        Trust::of(&serde_json::from_slice(file)?)
    }

    /// The same of a genesis file that was read already.
    ///
    /// # Errors
    /// When it is not one of ours.
    pub fn of(genesis: &Genesis) -> Result<Trust, Error> {
        let ours = genesis.config.extra_fields.get(OURS);
        let ours: Ours = serde_json::from_value(ours.ok_or(Error::NotOurs)?.clone())?;
        let key: &[u8; KEY_LEN] = ours.key[..].try_into().map_err(|_| Error::KeyLen {
            len: ours.key.len(),
        })?;
        let namespace = ours.namespace.into_bytes();
        if namespace.is_empty() || namespace.len() > NAMESPACE_LEN_MAX {
            return Err(Error::NamespaceLen {
                len: namespace.len(),
            });
        }
        let mut first = genesis::header(genesis)?;
        if let Some(round) = &ours.round {
            first.parent_beacon_block_root = Some(keccak256(round));
        }
        Ok(Trust {
            chain_id: genesis.config.chain_id,
            genesis: first.hash_slow(),
            namespace,
            key: GroupKey::new(key)?,
        })
    }
}

/// Bytes of a genesis file: more is not read.
pub const GENESIS_LEN_MAX: usize = 64 << 20;
/// Bytes of a namespace.
pub const NAMESPACE_LEN_MAX: usize = 64;
/// The member of `config` that makes a chain one of ours.
const OURS: &str = "lode";

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
