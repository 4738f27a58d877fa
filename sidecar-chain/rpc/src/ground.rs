//! A block and the state after it: what reads and executions stand on.

use std::fmt;

use alloy_consensus::Header;
use alloy_evm::EvmEnv;
use alloy_primitives::{Address, B256, keccak256};
use alloy_trie::TrieAccount;
use lode_chain_exec::{database::Database, spec::Spec};
use lode_chain_ledger::View;
use lode_chain_state::{apply, versions};
use lode_chain_types::Height;
use revm::database::CacheDB;

use crate::{failure::Failure, service::Answer};

/// A block and the state after it.
pub struct Ground {
    /// The chain.
    pub view: View,
    /// The block.
    pub header: Header,
    /// The state after it.
    pub state: versions::View,
}

type Hashes<'ground> = Box<dyn Fn(u64) -> Result<B256, versions::Error> + 'ground>;

/// The state as revm reads it.
pub type Base<'ground> = Database<'ground, versions::View, Hashes<'ground>>;

/// The state with changes on top that are thrown away afterwards.
pub type Overlay<'ground> = CacheDB<Base<'ground>>;

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground")
            .field("height", &self.header.number)
            .finish_non_exhaustive()
    }
}

impl Ground {
    /// A block of a chain that is there.
    ///
    /// # Errors
    /// When its state is not kept, or the store fails.
    pub fn new(view: View, height: Height) -> Answer<Ground> {
        let state = view.state(height)?;
        let header = view
            .header(height)?
            .ok_or_else(|| Failure::server("header not found"))?;
        Ok(Ground {
            view,
            header,
            state,
        })
    }

    /// The block below, and the state before this one.
    ///
    /// # Errors
    /// When there is none, or its state is not kept.
    pub fn below(view: View, height: Height) -> Answer<Ground> {
        let below = height
            .checked_sub(1)
            .ok_or_else(|| Failure::server("genesis is not traceable"))?;
        Ground::new(view, below)
    }

    /// An account; none if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn account(&self, address: Address) -> Answer<Option<TrieAccount>> {
        Ok(apply::account(&self.state, &keccak256(address))?)
    }

    /// The state as revm reads it.
    pub fn base(&self) -> Base<'_> {
        let hashes = |number| Ok(self.view.hash(number)?.unwrap_or(B256::ZERO));
        Database {
            state: &self.state,
            hashes: Box::new(hashes),
        }
    }

    /// The same, with room for changes.
    pub fn overlay(&self) -> Overlay<'_> {
        CacheDB::new(self.base())
    }

    /// The surroundings of this block's transactions.
    pub fn env(&self, spec: &Spec) -> EvmEnv {
        env(&self.header, spec)
    }
}

/// The surroundings of a block's transactions.
pub fn env(header: &Header, spec: &Spec) -> EvmEnv {
    let blobs = spec.blob_params(header.timestamp);
    EvmEnv::for_eth_block(header, spec, spec.chain_id(), blobs)
}
