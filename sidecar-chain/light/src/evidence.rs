//! One file from the committee's certificate down to a fact, and room for what stands on that fact.
//!
//! ```text
//!    0  magic      8  "LODEEVD", 0x01
//!    8  finality 152  see lode_proofs::finality
//!  160  fact       8  1 slot, 2 log
//!       header     b  RLP
//!       slot:  address 20 · slot 32 · value 32 · nonce 8 · balance 32 · storage root 32 ·
//!              code hash 32 · account nodes n · slot nodes n
//!       log:   transaction 8 · log 4 · receipt b · nodes n
//!       rest       b  what stands on the fact
//!    …  check      8  start of keccak256 of all before
//!
//!  b: length 4, bytes        n: count 4, each as b
//! ```
//! Lengths, counts and indices are little-endian; what the EVM has as words stays big-endian. The
//! eighth byte of the magic is the version. Each evidence has exactly one byte string, and the check
//! finds rot; it is no signature.
//!
//! **The rest.** Evidence about a blob goes on below the fact: the fact is a slot of the contract that
//! keeps anchors' roots, and `rest` has an anchor's entry, its path to that root, and the chunk's proof.
//! Who wrote it reads it, against the value that [`Evidence::verify`] gives: here it is only carried.

use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy_trie::TrieAccount;
use lode_proofs::finality::{FINALITY_LEN, Finality};

use crate::{
    FinalBlock, HeaderProof, Refusal, Trust,
    facts::{NODES_MAX, ReceiptProof, SlotProof},
};

/// Bytes of a file: room for a receipt that fills a transaction's gas.
pub const EVIDENCE_LEN_MAX: usize = 4 << 20;

/// What a file holds. Unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The block.
    pub header: HeaderProof,
    /// What is so under it.
    pub fact: Fact,
    /// What stands on the fact, not looked at here.
    pub rest: Bytes,
}

/// What is so under a block. Unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A slot of a contract.
    Slot(SlotProof),
    /// A log of a transaction.
    Log {
        /// The transaction's receipt.
        receipt: ReceiptProof,
        /// Which of its logs, from 0.
        log: u32,
    },
}

/// What a file has proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The block, final.
    pub block: FinalBlock,
    /// What is so under it.
    pub fact: ProvenFact,
}

/// A fact that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProvenFact {
    /// After the block this contract's slot has this value.
    Slot {
        /// The contract.
        address: Address,
        /// The slot.
        slot: B256,
        /// Its value.
        value: U256,
    },
    /// A transaction of the block has emitted this.
    Log(Log),
}

/// Why bytes are no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`EVIDENCE_LEN_MAX`].
    #[error("evidence has {len} bytes, and {EVIDENCE_LEN_MAX} at most")]
    Long {
        /// Its bytes.
        len: usize,
    },
    /// The bytes begin otherwise.
    #[error("these bytes are no evidence; check that it is the right file")]
    Magic,
    /// Another version.
    #[error("version {found} of evidence is not known here; use a newer release to read it")]
    Version {
        /// The version found.
        found: u8,
    },
    /// Bytes are missing, or left over.
    #[error("the evidence ends early, or goes on after its end")]
    Length,
    /// Another kind of fact.
    #[error("facts of kind {found} are not known here")]
    Fact {
        /// The kind found.
        found: u64,
    },
    /// More nodes than a path can have.
    #[error("{found} nodes, where a path has {NODES_MAX} at most")]
    Nodes {
        /// Nodes announced.
        found: u32,
    },
    /// The check does not fit.
    #[error("the check does not fit the bytes; they were damaged, get the evidence again")]
    Check,
}

impl Evidence {
    /// Checks all of it but the rest.
    ///
    /// # Errors
    /// The first [`Refusal`], from the certificate down.
    pub fn verify(&self, trust: &Trust) -> Result<Proven, Refusal> {
        let block = self.header.verify(trust)?;
        let fact = match &self.fact {
            Fact::Slot(proof) => {
                proof.verify(&block)?;
                ProvenFact::Slot {
                    address: proof.address,
                    slot: proof.slot,
                    value: proof.value,
                }
            }
            Fact::Log { receipt, log } => ProvenFact::Log(receipt.verify_log(&block, *log)?),
        };
        Ok(Proven { block, fact })
    }

    /// The one byte string of this evidence.
    ///
    /// # Panics
    /// When a part has 4 GiB.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.header.finality.encode());
        let kind = match self.fact {
            Fact::Slot(_) => SLOT,
            Fact::Log { .. } => LOG,
        };
        bytes.extend_from_slice(&kind.to_le_bytes());
        put(&mut bytes, &self.header.header);
        match &self.fact {
            Fact::Slot(proof) => put_slot(&mut bytes, proof),
            Fact::Log { receipt, log } => {
                bytes.extend_from_slice(&receipt.transaction.to_le_bytes());
                bytes.extend_from_slice(&log.to_le_bytes());
                put(&mut bytes, &receipt.receipt);
                put_nodes(&mut bytes, &receipt.nodes);
            }
        }
        put(&mut bytes, &self.rest);
        bytes.extend_from_slice(&check(&bytes));
        bytes
    }

    /// Reads what was encoded; nothing is checked but its form. Takes no more memory than `bytes` has.
    ///
    /// # Errors
    /// When it has another form.
    pub fn decode(bytes: &[u8]) -> Result<Evidence, DecodeError> {
        if bytes.len() > EVIDENCE_LEN_MAX {
            return Err(DecodeError::Long { len: bytes.len() });
        }
        let mut rest = Reader(bytes);
        let magic: [u8; 8] = rest.array()?;
        if magic[..7] != MAGIC[..7] {
            return Err(DecodeError::Magic);
        }
        if magic[7] != MAGIC[7] {
            return Err(DecodeError::Version { found: magic[7] });
        }
        let (checked, found) = bytes.split_last_chunk().ok_or(DecodeError::Length)?;
        if check(checked) != *found {
            return Err(DecodeError::Check);
        }
        let finality: [u8; FINALITY_LEN] = rest.array()?;
        let finality = Finality::decode(&finality).ok_or(DecodeError::Length)?;
        let kind = u64::from_le_bytes(rest.array()?);
        let header = rest.bytes()?;
        let fact = match kind {
            SLOT => Fact::Slot(rest.slot()?),
            LOG => rest.log()?,
            found => return Err(DecodeError::Fact { found }),
        };
        let below = rest.bytes()?;
        if rest.0.len() != CHECK_LEN {
            return Err(DecodeError::Length);
        }
        Ok(Evidence {
            header: HeaderProof { header, finality },
            fact,
            rest: below,
        })
    }
}

/// What is left to read.
struct Reader<'bytes>(&'bytes [u8]);

impl Reader<'_> {
    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], DecodeError> {
        let (front, after) = self.0.split_first_chunk().ok_or(DecodeError::Length)?;
        self.0 = after;
        Ok(*front)
    }

    fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let len = u32::from_le_bytes(self.array()?);
        let len = usize::try_from(len).map_err(|_| DecodeError::Length)?;
        let (front, after) = self.0.split_at_checked(len).ok_or(DecodeError::Length)?;
        self.0 = after;
        Ok(Bytes::copy_from_slice(front))
    }

    fn nodes(&mut self) -> Result<Vec<Bytes>, DecodeError> {
        let found = u32::from_le_bytes(self.array()?);
        match usize::try_from(found) {
            Ok(count) if count <= NODES_MAX => (0..count).map(|_| self.bytes()).collect(),
            _ => Err(DecodeError::Nodes { found }),
        }
    }

    fn slot(&mut self) -> Result<SlotProof, DecodeError> {
        Ok(SlotProof {
            address: Address::new(self.array()?),
            slot: B256::new(self.array()?),
            value: U256::from_be_bytes::<WORD_LEN>(self.array()?),
            account: TrieAccount {
                nonce: u64::from_le_bytes(self.array()?),
                balance: U256::from_be_bytes::<WORD_LEN>(self.array()?),
                storage_root: B256::new(self.array()?),
                code_hash: B256::new(self.array()?),
            },
            account_nodes: self.nodes()?,
            slot_nodes: self.nodes()?,
        })
    }

    fn log(&mut self) -> Result<Fact, DecodeError> {
        let transaction = u64::from_le_bytes(self.array()?);
        let log = u32::from_le_bytes(self.array()?);
        let receipt = ReceiptProof {
            transaction,
            receipt: self.bytes()?,
            nodes: self.nodes()?,
        };
        Ok(Fact::Log { receipt, log })
    }
}

fn put_slot(bytes: &mut Vec<u8>, proof: &SlotProof) {
    bytes.extend_from_slice(proof.address.as_slice());
    bytes.extend_from_slice(proof.slot.as_slice());
    bytes.extend_from_slice(&proof.value.to_be_bytes::<WORD_LEN>());
    bytes.extend_from_slice(&proof.account.nonce.to_le_bytes());
    bytes.extend_from_slice(&proof.account.balance.to_be_bytes::<WORD_LEN>());
    bytes.extend_from_slice(proof.account.storage_root.as_slice());
    bytes.extend_from_slice(proof.account.code_hash.as_slice());
    put_nodes(bytes, &proof.account_nodes);
    put_nodes(bytes, &proof.slot_nodes);
}

fn put_nodes(bytes: &mut Vec<u8>, nodes: &[Bytes]) {
    bytes.extend_from_slice(&count(nodes.len()).to_le_bytes());
    for node in nodes {
        put(bytes, node);
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&count(part.len()).to_le_bytes());
    bytes.extend_from_slice(part);
}

fn count(items: usize) -> u32 {
    u32::try_from(items).expect("no part has 4 GiB")
}

fn check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let digest = keccak256(bytes);
    core::array::from_fn(|at| digest[at])
}

const MAGIC: [u8; 8] = *b"LODEEVD\x01";
const CHECK_LEN: usize = 8;
const WORD_LEN: usize = 32;
const SLOT: u64 = 1;
const LOG: u64 = 2;

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
