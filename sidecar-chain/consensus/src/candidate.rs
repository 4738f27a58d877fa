//! A block as commonware sees it: with bytes of its codec, a digest, and the parts of its round read
//! once. Its digest is the block's hash, so that votes are on Ethereum headers.

use std::fmt;

use alloy_primitives::{B256, Bytes};
use bytes::BufMut;
use commonware_codec::{
    Buf, Decode, DecodeExt, Encode, EncodeSize, Error as CodecError, RangeCfg, Read, Write,
};
use commonware_consensus::{
    Block as ConsensusBlock, BoundedBlock, CertifiableBlock, Heightable,
    simplex::types::Context as SimplexContext,
    types::{Epoch, Height, Round as ConsensusRound, View},
};
use commonware_cryptography::{
    Digested, Digestible,
    bls12381::primitives::{sharing::ModeVersion, variant::MinSig},
    ed25519::PublicKey,
    sha256,
};
use commonware_glue::dkg::{ReshareBlock, network::Addresses, types};
use lode_chain_types::{Block, block::BLOCK_LEN_MAX};

use crate::committee::VALIDATORS_MAX;

/// What consensus votes on: 32 bytes, here keccak of a header.
pub(crate) type Digest = sha256::Digest;
/// Where a block was proposed, in commonware's words.
pub(crate) type Context = SimplexContext<Digest, PublicKey>;
/// What members say to each other through blocks.
pub(crate) type Payload = types::Payload<MinSig, PublicKey, Addresses<PublicKey>>;

/// Newest way to share a key that is understood.
pub(crate) const SHARING_VERSION: ModeVersion = ModeVersion::v0();

/// A block and what its round says.
#[derive(Clone)]
pub(crate) struct Candidate {
    block: Block,
    leader: PublicKey,
    payload: Option<Payload>,
}

/// Why a block cannot be a candidate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// Its leader is no key.
    #[error("the leader is no public key")]
    Leader,
    /// Its payload is none that a committee writes.
    #[error("the payload cannot be read")]
    Payload,
}

impl Candidate {
    /// Reads the block's round.
    ///
    /// # Errors
    /// When its leader or its payload cannot be read.
    pub(crate) fn new(block: Block) -> Result<Candidate, Error> {
        let round = block.round();
        let leader = PublicKey::decode(round.leader.to_vec()).map_err(|_| Error::Leader)?;
        let payload = read_payload(&round.payload)?;
        Ok(Candidate {
            block,
            leader,
            payload,
        })
    }

    /// The block.
    pub(crate) fn block(&self) -> &Block {
        &self.block
    }

    /// With its digest, which is known.
    pub(crate) fn digested(self) -> Digested<Candidate> {
        let digest = self.digest();
        Digested::precomputed(self, digest)
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "block {} {}",
            self.block.height(),
            self.block.hash()
        )
    }
}

/// A payload's bytes: none for none.
pub(crate) fn write_payload(payload: Option<&Payload>) -> Bytes {
    payload.map_or_else(Bytes::new, |payload| Bytes::from(payload.encode()))
}

/// What [`write_payload`] wrote.
fn read_payload(bytes: &Bytes) -> Result<Option<Payload>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let limits = (VALIDATORS_MAX, SHARING_VERSION);
    let payload = Payload::decode_cfg(bytes.0.clone(), &limits).map_err(|_| Error::Payload)?;
    Ok(Some(payload))
}

/// A block's hash as a digest.
pub(crate) fn digest(hash: B256) -> Digest {
    Digest::from(hash.0)
}

impl Write for Candidate {
    fn write(&self, buffer: &mut impl BufMut) {
        bytes::Bytes::from(self.block.encode()).write(buffer);
    }
}

impl EncodeSize for Candidate {
    fn encode_size(&self) -> usize {
        let len = self.block.encoded_len();
        len.encode_size() + len
    }
}

impl Read for Candidate {
    type Cfg = ();

    fn read_cfg(buffer: &mut impl Buf, (): &()) -> Result<Candidate, CodecError> {
        let bytes = bytes::Bytes::read_cfg(buffer, &RangeCfg::new(0..=BLOCK_LEN_MAX))?;
        let block =
            Block::decode(&bytes).map_err(|error| CodecError::Wrapped("block", Box::new(error)))?;
        Candidate::new(block).map_err(|error| CodecError::Wrapped("round", Box::new(error)))
    }
}

impl Digestible for Candidate {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        digest(self.block.hash())
    }
}

impl Heightable for Candidate {
    fn height(&self) -> Height {
        Height::new(self.block.height())
    }
}

impl ConsensusBlock for Candidate {
    fn parent(&self) -> Digest {
        digest(self.block.parent_hash())
    }
}

impl CertifiableBlock for Candidate {
    type Context = Context;

    fn context(&self) -> Context {
        let round = self.block.round();
        Context {
            round: ConsensusRound::new(Epoch::new(round.epoch), View::new(round.view)),
            leader: self.leader.clone(),
            parent: (View::new(round.parent_view), self.parent()),
        }
    }
}

impl BoundedBlock for Candidate {
    fn max_encode_size((): &()) -> usize {
        BLOCK_LEN_MAX.encode_size() + BLOCK_LEN_MAX
    }
}

impl ReshareBlock for Candidate {
    type Variant = MinSig;
    type PublicKey = PublicKey;
    type Directory = Addresses<PublicKey>;

    fn payload(&self) -> Option<Payload> {
        self.payload.clone()
    }
}

#[cfg(test)]
#[path = "candidate_tests.rs"]
mod tests;
