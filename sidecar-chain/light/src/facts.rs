//! What is so under a final block: an account, a slot of a contract, a receipt, a log. Each comes with
//! the nodes of Ethereum's tries from the root down, as `eth_getProof` gives them.

use alloy_consensus::ReceiptEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256};
pub use alloy_trie::TrieAccount;
use alloy_trie::{Nibbles, proof::verify_proof};

use crate::{FinalBlock, Refusal};

/// Nodes of the longest path: one for each half byte of a hashed key, and a leaf.
pub const NODES_MAX: usize = 65;

/// An account as it is after a block. Unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// Whose.
    pub address: Address,
    /// What it holds; none if there is no such account.
    pub account: Option<TrieAccount>,
    /// From the state's root down.
    pub nodes: Vec<Bytes>,
}

/// A slot of a contract's storage as it is after a block. Unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotProof {
    /// The contract.
    pub address: Address,
    /// What its account holds.
    pub account: TrieAccount,
    /// From the state's root down to the account.
    pub account_nodes: Vec<Bytes>,
    /// The slot.
    pub slot: B256,
    /// What it holds; 0 if it was never written.
    pub value: U256,
    /// From the account's storage root down.
    pub slot_nodes: Vec<Bytes>,
}

/// A receipt of a transaction of a block. Unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptProof {
    /// Which transaction of the block, from 0.
    pub transaction: u64,
    /// The receipt as it stands in the trie (EIP-2718).
    pub receipt: Bytes,
    /// From the receipts' root down.
    pub nodes: Vec<Bytes>,
}

impl AccountProof {
    /// Checks that the account is so after `block`.
    ///
    /// # Errors
    /// [`Refusal::Nodes`], [`Refusal::Path`].
    pub fn verify(&self, block: &FinalBlock) -> Result<(), Refusal> {
        let value = self.account.as_ref().map(alloy_rlp::encode);
        let key = keccak256(self.address);
        walk(
            "account",
            block.state_root(),
            key.as_slice(),
            value,
            &self.nodes,
        )
    }
}

impl SlotProof {
    /// Checks that the contract's slot is so after `block`.
    ///
    /// # Errors
    /// [`Refusal::Nodes`], [`Refusal::Path`].
    pub fn verify(&self, block: &FinalBlock) -> Result<(), Refusal> {
        let (root, key) = (block.state_root(), keccak256(self.address));
        let account = Some(alloy_rlp::encode(self.account));
        walk(
            "account",
            root,
            key.as_slice(),
            account,
            &self.account_nodes,
        )?;
        let key = keccak256(self.slot);
        // A slot that holds nothing is not in the trie.
        let value = (!self.value.is_zero()).then(|| alloy_rlp::encode(self.value));
        let root = self.account.storage_root;
        walk("slot", root, key.as_slice(), value, &self.slot_nodes)
    }
}

impl ReceiptProof {
    /// Checks that the receipt is that of the transaction, and reads it.
    ///
    /// # Errors
    /// [`Refusal::Nodes`], [`Refusal::Path`], [`Refusal::Receipt`].
    pub fn verify(&self, block: &FinalBlock) -> Result<ReceiptEnvelope, Refusal> {
        let key = alloy_rlp::encode(self.transaction);
        let (root, value) = (block.receipts_root(), Some(self.receipt.to_vec()));
        walk("receipt", root, &key, value, &self.nodes)?;
        ReceiptEnvelope::decode_2718_exact(&self.receipt).map_err(|_| Refusal::Receipt)
    }

    /// As [`Self::verify`], and takes one log out of it; `log` counts within the receipt.
    ///
    /// # Errors
    /// As [`Self::verify`], and [`Refusal::Log`].
    pub fn verify_log(&self, block: &FinalBlock, log: u32) -> Result<Log, Refusal> {
        let receipt = self.verify(block)?;
        let found = usize::try_from(log)
            .ok()
            .and_then(|log| receipt.logs().get(log));
        found.cloned().ok_or(Refusal::Log {
            log,
            logs: receipt.logs().len(),
        })
    }
}

/// The slot of `key` in a Solidity mapping that stands at `slot` (Solidity documentation, "Layout of
/// state variables in storage").
pub fn mapping_slot(key: B256, slot: u64) -> B256 {
    let slot = B256::from(U256::from(slot));
    keccak256([key, slot].concat())
}

/// Checks that `nodes` lead from `root` along `key` to `value`, or to nothing if there is none.
fn walk(
    what: &'static str,
    root: B256,
    key: &[u8],
    value: Option<Vec<u8>>,
    nodes: &[Bytes],
) -> Result<(), Refusal> {
    if nodes.len() > NODES_MAX {
        return Err(Refusal::Nodes { nodes: nodes.len() });
    }
    let key = Nibbles::unpack(key);
    verify_proof(root, key, value, nodes).map_err(|why| Refusal::Path {
        what,
        why: Box::new(why),
    })
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
