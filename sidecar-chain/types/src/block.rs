//! A block: an Ethereum header, transactions, and the round it was proposed in.
//!
//! ```text
//!  RLP list ┬ header         its keccak is the block's hash, and what validators vote on
//!           ├ transactions   bound by transactions_root
//!           └ round          bound by parent_beacon_block_root
//! ```
//! Uncles and withdrawals are bound to be none. Decoding checks these bonds, so that a block from a
//! stranger cannot be kept under a hash that is not its own.

use std::sync::Arc;

use alloy_consensus::{
    BlockBody, EMPTY_OMMER_ROOT_HASH, Header, TxEnvelope, proofs::calculate_transaction_root,
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::EMPTY_ROOT_HASH;

use crate::{Height, Round, round::PAYLOAD_LEN_MAX};

/// Bytes of an encoded block: more is neither proposed nor taken.
pub const BLOCK_LEN_MAX: usize = 4 << 20;

/// A block. Cloning it is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    hash: B256,
    header: Header,
    body: BlockBody<TxEnvelope>,
    round: Round,
}

/// Why bytes are no block.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// They are no RLP of a block.
    #[error("not the RLP of a block: {0}")]
    Rlp(#[from] alloy_rlp::Error),
    /// Longer than [`BLOCK_LEN_MAX`].
    #[error("a block has {len} bytes, and {BLOCK_LEN_MAX} at most")]
    Long {
        /// Its bytes.
        len: usize,
    },
    /// The header commits to something else.
    #[error("the header's {0} is not that of the block")]
    Other(&'static str),
}

impl Block {
    /// A block of parts that belong together. Nothing is checked.
    pub fn new(header: Header, body: BlockBody<TxEnvelope>, round: Round) -> Block {
        let hash = header.hash_slow();
        Block(Arc::new(Inner {
            hash,
            header,
            body,
            round,
        }))
    }

    /// Keccak of the header.
    pub fn hash(&self) -> B256 {
        self.0.hash
    }

    /// Its number.
    pub fn height(&self) -> Height {
        self.0.header.number
    }

    /// The block below.
    pub fn parent_hash(&self) -> B256 {
        self.0.header.parent_hash
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// Its transactions; uncles and withdrawals where it is of another chain.
    pub fn body(&self) -> &BlockBody<TxEnvelope> {
        &self.0.body
    }

    /// Its transactions.
    pub fn transactions(&self) -> &[TxEnvelope] {
        &self.0.body.transactions
    }

    /// Where it was proposed.
    pub fn round(&self) -> &Round {
        &self.0.round
    }

    /// As it is sent and stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.list().encode(&mut bytes);
        self.encode_parts(&mut bytes);
        bytes
    }

    /// Bytes of [`Self::encode`].
    pub fn encoded_len(&self) -> usize {
        self.list().length_with_payload()
    }

    /// Reads what was encoded, and nothing behind it.
    ///
    /// # Errors
    /// When it is no block, or its parts are not those that the header commits to.
    pub fn decode(whole: &[u8]) -> Result<Block, Error> {
        let mut bytes = whole;
        if bytes.len() > BLOCK_LEN_MAX {
            return Err(Error::Long { len: bytes.len() });
        }
        let mut parts = alloy_rlp::Header::decode_bytes(&mut bytes, true)?;
        let header = Header::decode(&mut parts)?;
        let transactions = Vec::<TxEnvelope>::decode(&mut parts)?;
        let round = Round::decode(&mut parts)?;
        if !bytes.is_empty() || !parts.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength.into());
        }
        let body = BlockBody {
            transactions,
            ommers: Vec::new(),
            withdrawals: Some(Withdrawals::default()),
        };
        check(&header, &body, &round)?;
        let block = Block::new(header, body, round);
        // The decoder of transactions in a list takes them without the string around them, too, and
        // with any length of it. Bytes that differ from the encoding are another block's or nobody's.
        if block.encode() != whole {
            return Err(alloy_rlp::Error::Custom("not as it is encoded").into());
        }
        Ok(block)
    }

    fn list(&self) -> alloy_rlp::Header {
        let Inner {
            header,
            body,
            round,
            ..
        } = &*self.0;
        let payload_length = header.length() + body.transactions.length() + round.length();
        alloy_rlp::Header {
            list: true,
            payload_length,
        }
    }

    fn encode_parts(&self, bytes: &mut Vec<u8>) {
        self.0.header.encode(bytes);
        self.0.body.transactions.encode(bytes);
        self.0.round.encode(bytes);
    }
}

/// The header commits to all that came with it.
fn check(header: &Header, body: &BlockBody<TxEnvelope>, round: &Round) -> Result<(), Error> {
    let bound = |holds: bool, what| {
        if holds {
            Ok(())
        } else {
            Err(Error::Other(what))
        }
    };
    let transactions = calculate_transaction_root(&body.transactions);
    bound(
        header.transactions_root == transactions,
        "transactions_root",
    )?;
    let committed = header.parent_beacon_block_root == Some(round.commitment());
    bound(committed, "parent_beacon_block_root")?;
    bound(
        round.payload.len() <= PAYLOAD_LEN_MAX,
        "payload's length (1 MiB at most)",
    )?;
    bound(header.ommers_hash == EMPTY_OMMER_ROOT_HASH, "ommers_hash")?;
    let none = header.withdrawals_root == Some(EMPTY_ROOT_HASH);
    bound(none, "withdrawals_root")
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
