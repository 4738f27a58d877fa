//! A header and a certificate make a final block.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use lode_proofs::finality::Finality;

use crate::{Refusal, Trust};

/// Bytes of a header: twice what ours take.
pub const HEADER_LEN_MAX: usize = 2048;

/// A header, and what proves its block final. Unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderProof {
    /// The header's RLP.
    pub header: Bytes,
    /// The committee's word.
    pub finality: Finality,
}

/// A block that the committee has finalised. There is no other way to one than [`HeaderProof::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalBlock {
    hash: B256,
    header: Header,
}

impl HeaderProof {
    /// Checks the header against the certificate, and the certificate against the committee's key.
    ///
    /// # Errors
    /// The first [`Refusal`] in the order length, hash, certificate, form.
    pub fn verify(&self, trust: &Trust) -> Result<FinalBlock, Refusal> {
        if self.header.len() > HEADER_LEN_MAX {
            return Err(Refusal::HeaderLen {
                len: self.header.len(),
            });
        }
        let hash = keccak256(&self.header);
        if hash != self.finality.block {
            return Err(Refusal::OtherBlock);
        }
        self.finality.verify(&trust.namespace, &trust.key)?;
        let mut rest = &self.header[..];
        let header = Header::decode(&mut rest).map_err(Refusal::Header)?;
        if !rest.is_empty() {
            return Err(Refusal::Header(alloy_rlp::Error::UnexpectedLength));
        }
        Ok(FinalBlock { hash, header })
    }
}

impl FinalBlock {
    /// Its hash.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// Its time, in seconds since 1970.
    pub fn timestamp(&self) -> u64 {
        self.header.timestamp
    }

    /// Root of all accounts after it.
    pub fn state_root(&self) -> B256 {
        self.header.state_root
    }

    /// Root of its receipts.
    pub fn receipts_root(&self) -> B256 {
        self.header.receipts_root
    }

    /// All of its header.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
