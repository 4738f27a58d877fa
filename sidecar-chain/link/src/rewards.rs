//! Statements of who earned what: one root over (account, all that it earned since the beginning),
//! as OpenZeppelin's StandardMerkleTree builds it.
//!
//! ```text
//!  leaf   keccak(keccak(abi.encode(account, earned)))
//!  inner  keccak(smaller child | larger child)
//!  nodes  [ top, …, leaf of the largest hash, …, leaf of the smallest hash ]    children of i: 2i+1, 2i+2
//! ```

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};

use crate::abi::Rewards;

/// Accounts of a statement, at most: a proof has 24 hashes or less.
pub const CLAIMS_MAX: usize = 1 << 24;

/// All nodes over the claims of one statement.
#[derive(Clone, Debug)]
pub struct RewardTree {
    nodes: Vec<B256>,
    /// For each claim, in the order given, the node that is its leaf.
    leaves: Vec<usize>,
}

impl RewardTree {
    /// The tree over claims; none for no claims or more than [`CLAIMS_MAX`].
    pub fn new(claims: &[(Address, U256)]) -> Option<Self> {
        if claims.is_empty() || claims.len() > CLAIMS_MAX {
            return None;
        }
        let mut sorted: Vec<(B256, usize)> = claims.iter().map(leaf).zip(0..).collect();
        sorted.sort_unstable();
        let total = 2 * claims.len() - 1;
        let mut nodes = vec![B256::ZERO; total];
        let mut leaves = vec![0; claims.len()];
        for (rank, (hash, claim)) in sorted.into_iter().enumerate() {
            nodes[total - 1 - rank] = hash;
            leaves[claim] = total - 1 - rank;
        }
        for at in (0..claims.len() - 1).rev() {
            nodes[at] = join(nodes[2 * at + 1], nodes[2 * at + 2]);
        }
        Some(RewardTree { nodes, leaves })
    }

    /// What is published.
    pub fn root(&self) -> B256 {
        self.nodes[0]
    }

    /// What proves claim number `claim`; none past the last.
    pub fn proof(&self, claim: usize) -> Option<Vec<B256>> {
        let mut at = *self.leaves.get(claim)?;
        let mut proof = Vec::new();
        while at > 0 {
            // A left child has an odd number, and its sibling the next.
            proof.push(self.nodes[if at % 2 == 1 { at + 1 } else { at - 1 }]);
            at = (at - 1) / 2;
        }
        Some(proof)
    }
}

/// The call that pays an account what it has earned and not had.
pub fn claim_call(account: Address, earned: U256, proof: Vec<B256>) -> Bytes {
    let call = Rewards::claimCall {
        account,
        earned,
        proof,
    };
    call.abi_encode().into()
}

/// The call that states what was earned by the end of an epoch, `total` wei in all.
pub fn publish_call(epoch: u64, root: B256, total: u128) -> Bytes {
    let call = Rewards::publishCall {
        asked: epoch,
        root,
        total,
    };
    call.abi_encode().into()
}

fn leaf(claim: &(Address, U256)) -> B256 {
    keccak256(keccak256(claim.abi_encode()))
}

fn join(a: B256, b: B256) -> B256 {
    keccak256([a.min(b), a.max(b)].concat())
}

#[cfg(test)]
#[path = "rewards_tests.rs"]
mod tests;
