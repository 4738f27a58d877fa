//! Where in consensus a block was proposed. The header commits to it where Ethereum's commits to the
//! beacon chain's block (`parent_beacon_block_root`, EIP-4788), so contracts can read it too; its
//! seed becomes the header's `mix_hash`, which contracts know as PREVRANDAO (EIP-4399).

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// Bytes that a payload may have: enough for the dealings of a hundred validators.
pub const PAYLOAD_LEN_MAX: usize = 1 << 20;

/// Where in consensus a block was proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Round {
    /// The committee.
    pub epoch: u64,
    /// The view in that epoch.
    pub view: u64,
    /// The view of the block below.
    pub parent_view: u64,
    /// Public key (ed25519) of who proposed it.
    pub leader: B256,
    /// The committee's signature on the view of the block below: 48 bytes, none above the first
    /// block of a chain. Above the last block of an epoch, of which there may be several views, that
    /// block's own seed once more.
    pub seed: Bytes,
    /// What the committee's members say to each other through blocks: dealings of keys, and who is in
    /// the next epochs. Empty in most blocks.
    pub payload: Bytes,
}

impl Round {
    /// What the header commits to.
    pub fn commitment(&self) -> B256 {
        keccak256(alloy_rlp::encode(self))
    }

    /// Randomness that nobody knew before the block below was voted for; zero without a seed.
    pub fn random(&self) -> B256 {
        if self.seed.is_empty() {
            B256::ZERO
        } else {
            keccak256(&self.seed)
        }
    }
}
