//! Where a validator begins that has the state of a later block than the chain's first: at that block,
//! with its certificate, and with what the block before its epoch says of the committee.
//!
//! ```text
//!  boundary ── epoch e ──┬── block ── …
//!   committee,           │   certificate
//!   members of e, e+1 ◄──┘
//! ```
//! Whether the certificate holds is for the caller to check, who had to before taking the state; the
//! library checks it once more and panics if it does not.

use alloy_primitives::B256;
use commonware_codec::DecodeExt as _;
use commonware_consensus::{
    simplex::{
        scheme::bls12381_threshold::vrf::{Certificate, Signature},
        types::{Finalization, Proposal},
    },
    types::{Epoch, Round, View},
};
use commonware_cryptography::{
    Digested,
    bls12381::primitives::variant::{MinSig, Variant},
    ed25519::PublicKey,
};
use commonware_glue::dkg::{
    ReshareBlock as _, network::Addresses, state_sync::StateSync, types::EpochInfo,
};
use lode_chain_types::{Block, Finality, SIGNATURE_LEN};

use crate::{
    Committee, Validator,
    candidate::{Candidate, Digest, Payload},
    committee::{key_of, write_address},
    scheme::Scheme,
};

/// A block that a validator begins with.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The block. Execution has the state after it.
    pub block: Block,
    /// What proves it final.
    pub finality: Finality,
    /// The last block of the epoch before; none in the first epoch.
    pub boundary: Option<Block>,
}

/// Why a validator cannot begin with a block.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The certificate is another block's.
    #[error("the certificate is of block {0}")]
    OtherBlock(B256),
    /// The block is of another epoch than its certificate, or cannot be read.
    #[error("the block is none of epoch {0}")]
    Block(u64),
    /// The certificate's signatures are no points.
    #[error("the certificate cannot be read")]
    Certificate,
    /// The block before the epoch does not say who the committee is.
    #[error("the block before epoch {0} does not say who its committee is")]
    Boundary(u64),
}

pub(crate) type Info = EpochInfo<MinSig, PublicKey, Addresses<PublicKey>>;

/// The same as the library wants it.
#[derive(Clone)]
pub(crate) struct Anchor {
    pub(crate) block: Digested<Candidate>,
    pub(crate) sync: StateSync<Scheme, Digest, MinSig, Addresses<PublicKey>>,
}

impl Checkpoint {
    /// Who is a member in the epochs around the block's, as the block before it says: the lists of
    /// the epoch before, of its own and of the next one. Nothing in the first epoch, whose lists are
    /// in the state that the chain begins with.
    ///
    /// # Errors
    /// [`Error::Boundary`].
    pub fn members(&self) -> Result<Vec<(u64, Vec<Validator>)>, Error> {
        let Some(boundary) = &self.boundary else {
            return Ok(Vec::new());
        };
        let epoch = self.finality.epoch;
        let info = info_of(boundary, epoch)?;
        let listed = |keys: &mut dyn Iterator<Item = &PublicKey>| {
            let all = keys.map(|key| Validator {
                key: key_of(key),
                address: info
                    .directory
                    .get(key)
                    .map_or_else(String::new, write_address),
            });
            all.collect()
        };
        Ok(vec![
            (epoch - 1, listed(&mut info.output.players().iter())),
            (epoch, listed(&mut info.players.iter())),
            (epoch + 1, listed(&mut info.next_players.iter())),
        ])
    }

    /// # Errors
    /// When its parts do not belong together.
    pub(crate) fn anchor(&self, first: &Committee) -> Result<Anchor, Error> {
        let epoch = self.finality.epoch;
        if self.finality.block != self.block.hash().0 {
            return Err(Error::OtherBlock(B256::new(self.finality.block)));
        }
        let candidate = Candidate::new(self.block.clone()).map_err(|_| Error::Block(epoch))?;
        if self.block.round().epoch != epoch {
            return Err(Error::Block(epoch));
        }
        let info = match &self.boundary {
            Some(boundary) => info_of(boundary, epoch)?,
            None if epoch == 0 => first.info().clone(),
            None => return Err(Error::Boundary(epoch)),
        };
        let floor = finalization(&self.finality).ok_or(Error::Certificate)?;
        Ok(Anchor {
            block: candidate.digested(),
            sync: StateSync { info, floor },
        })
    }
}

fn info_of(boundary: &Block, epoch: u64) -> Result<Info, Error> {
    let boundary = Candidate::new(boundary.clone()).map_err(|_| Error::Boundary(epoch))?;
    match boundary.payload() {
        Some(Payload::EpochInfo(info)) if epoch > 0 && info.epoch == Epoch::new(epoch) => Ok(info),
        _ => Err(Error::Boundary(epoch)),
    }
}

/// A certificate in the library's form; none if its signatures are no points.
fn finalization(finality: &Finality) -> Option<Finalization<Scheme, Digest>> {
    let point =
        |bytes: &[u8; SIGNATURE_LEN]| <MinSig as Variant>::Signature::decode(bytes.to_vec()).ok();
    let signature = Signature::<MinSig> {
        vote_signature: point(&finality.vote)?,
        seed_signature: point(&finality.seed)?,
    };
    let round = Round::new(Epoch::new(finality.epoch), View::new(finality.view));
    let parent = View::new(finality.parent_view);
    Some(Finalization {
        proposal: Proposal::new(round, parent, Digest::from(finality.block)),
        certificate: Certificate::from(signature),
    })
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
