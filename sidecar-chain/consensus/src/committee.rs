//! Validators, the first committee, and how its key is dealt for development.
//!
//! A chain's first block carries its first committee: the public half of the shared key, who has
//! shares of it, and where they listen. Whoever has that block needs no other root of trust.

use std::{net::SocketAddr, num::NonZeroU32};

use alloy_primitives::{B256, Bytes};
use commonware_codec::{DecodeExt, Encode};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    Signer as _,
    bls12381::{
        dkg::feldman_desmedt,
        primitives::{group::Share, sharing::Mode, variant::MinSig},
    },
    ed25519::{PrivateKey, PublicKey},
    transcript::{Transcript, Version},
};
use commonware_glue::dkg::{
    network::Addresses,
    types::{EpochInfo, EpochOutcome},
};
use commonware_math::algebra::Random as _;
use commonware_p2p::{Address, Ingress};
use commonware_utils::{Hostname, N3f1, NZU32, ordered::Set};
use lode_chain_types::{Block, Round};
use serde::{Deserialize, Serialize};

use crate::candidate::{Candidate, Payload, write_payload};

/// Members of one committee.
pub const VALIDATORS_MAX: NonZeroU32 = NZU32!(100);
/// Bytes of a committee's key: a point of G2, compressed.
pub const GROUP_KEY_LEN: usize = 96;

/// How shares of a key are numbered.
pub(crate) const SHARING_MODE: Mode = Mode::NonZeroCounter;

/// Who validates, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Its public key (ed25519).
    pub key: B256,
    /// `host:port`; a numeric host saves the look-up of its name.
    pub address: String,
}

/// What a validator keeps to itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Seed of its key (ed25519).
    pub key: B256,
    /// Its share of the first committee's key, if it is a member.
    pub share: Option<Bytes>,
}

/// The first committee of a chain.
#[derive(Clone, Debug)]
pub struct Committee {
    info: EpochInfo<MinSig, PublicKey, Addresses<PublicKey>>,
}

/// Why there is no committee.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Of nobody, or of more than [`VALIDATORS_MAX`].
    #[error("a committee has 1 to {VALIDATORS_MAX} members, not {0}")]
    Members(usize),
    /// An address that cannot be used.
    #[error("`{0}` is no `host:port`")]
    Address(String),
    /// A first block that carries none, or none that can be read.
    #[error("the first block carries no committee")]
    Genesis,
    /// A share that cannot be read.
    #[error("the share cannot be read")]
    Share,
}

impl Secret {
    /// The key under which others know it.
    pub fn public_key(&self) -> B256 {
        key_of(&self.signer().public_key())
    }

    pub(crate) fn signer(&self) -> PrivateKey {
        PrivateKey::decode(self.key.to_vec()).expect("every 32 bytes are the seed of a key")
    }

    pub(crate) fn share(&self) -> Result<Option<Share>, Error> {
        self.share
            .as_ref()
            .map(|share| Share::decode(share.0.clone()).map_err(|_| Error::Share))
            .transpose()
    }
}

impl Committee {
    /// The committee that a chain begins with.
    ///
    /// # Errors
    /// When the block carries none.
    pub fn of(genesis: &Block) -> Result<Committee, Error> {
        let genesis = Candidate::new(genesis.clone()).map_err(|_| Error::Genesis)?;
        match commonware_glue::dkg::ReshareBlock::payload(&genesis) {
            Some(Payload::EpochInfo(info)) if info.epoch == Epoch::zero() => Ok(Committee { info }),
            _ => Err(Error::Genesis),
        }
    }

    /// The round of the chain's first block: by it the block carries this committee.
    pub fn round(&self) -> Round {
        let first = self.info.players.iter().next();
        Round {
            leader: first.map_or(B256::ZERO, key_of),
            payload: write_payload(Some(&Payload::EpochInfo(self.info.clone()))),
            ..Round::default()
        }
    }

    /// The key by which blocks are checked for as long as the chain lives.
    pub fn group_key(&self) -> [u8; GROUP_KEY_LEN] {
        let key = self.info.output.public().public().encode();
        key.as_ref().try_into().expect("a point of G2 has 96 bytes")
    }

    /// Its members.
    pub fn validators(&self) -> Vec<Validator> {
        let members = self.info.output.players().iter();
        members
            .map(|member| Validator {
                key: key_of(member),
                address: self
                    .info
                    .directory
                    .get(member)
                    .map_or_else(String::new, write_address),
            })
            .collect()
    }

    pub(crate) fn info(&self) -> &EpochInfo<MinSig, PublicKey, Addresses<PublicKey>> {
        &self.info
    }
}

/// Keys for as many validators as there are addresses, in the order of these, all drawn from
/// `randomness`: whoever knows it knows every key, so it is for development only.
///
/// # Errors
/// When an address is none, or there are none or too many.
pub fn deal(randomness: B256, addresses: &[String]) -> Result<(Committee, Vec<Secret>), Error> {
    let mut transcript = Transcript::new(b"lode development keys", Version::V1);
    transcript.commit(randomness.as_slice());
    let signers: Vec<PrivateKey> = {
        let mut noise = transcript.noise(b"validators");
        let signer = |_| PrivateKey::random(&mut noise);
        addresses.iter().map(signer).collect()
    };
    let directory: Vec<(PublicKey, Address)> = signers
        .iter()
        .zip(addresses)
        .map(|(signer, address)| Ok((signer.public_key(), read_address(address)?)))
        .collect::<Result<_, Error>>()?;
    let players = Set::from_iter_dedup(signers.iter().map(PrivateKey::public_key));
    check_len(players.len())?;
    let noise = transcript.noise(b"shares");
    let (output, shares) =
        feldman_desmedt::deal::<MinSig, _, N3f1>(noise, SHARING_MODE, players.clone())
            .map_err(|_| Error::Members(addresses.len()))?;
    let secrets = signers.iter().map(|signer| Secret {
        key: B256::from_slice(&signer.encode()),
        share: shares
            .get_value(&signer.public_key())
            .map(|share| Bytes::from(share.encode())),
    });
    let info = EpochInfo {
        outcome: EpochOutcome::Success,
        epoch: Epoch::zero(),
        output,
        players: players.clone(),
        next_players: players,
        directory: directory.into_iter().collect(),
    };
    Ok((Committee { info }, secrets.collect()))
}

fn check_len(len: usize) -> Result<(), Error> {
    match u32::try_from(len) {
        Ok(count) if (1..=VALIDATORS_MAX.get()).contains(&count) => Ok(()),
        _ => Err(Error::Members(len)),
    }
}

/// A public key's bytes.
pub(crate) fn key_of(key: &PublicKey) -> B256 {
    B256::from_slice(&key.encode())
}

/// An address as the network wants it. A name is looked up at each dial.
pub(crate) fn read_address(address: &str) -> Result<Address, Error> {
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return Ok(Address::Symmetric(socket));
    }
    let bad = || Error::Address(address.to_owned());
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let host = Hostname::new(host).map_err(|_| bad())?;
    let port = port.parse().map_err(|_| bad())?;
    Ok(Address::Asymmetric {
        ingress: Ingress::Dns { host, port },
        egress: SocketAddr::from(([0, 0, 0, 0], 0)),
    })
}

/// An address as it is written down.
pub(crate) fn write_address(address: &Address) -> String {
    match address.ingress() {
        Ingress::Socket(socket) => socket.to_string(),
        Ingress::Dns { host, port } => format!("{}:{port}", host.as_str()),
    }
}

/// Whose key is one and whose address is one, each once, and as many as a committee may have: what
/// is left of a list that strangers wrote.
pub(crate) fn usable(validators: Vec<Validator>) -> Vec<(PublicKey, Address)> {
    let mut usable: Vec<(PublicKey, Address)> = Vec::new();
    for validator in validators {
        let key = PublicKey::decode(validator.key.to_vec());
        let (Ok(key), Ok(address)) = (key, read_address(&validator.address)) else {
            tracing::debug!(key = %validator.key, "validator left out: no key or no address");
            continue;
        };
        let full = check_len(usable.len() + 1).is_err();
        if !full && !usable.iter().any(|(other, _)| *other == key) {
            usable.push((key, address));
        }
    }
    usable
}

const _: () = assert!(
    VALIDATORS_MAX.get() <= 100,
    "dealings of more members do not fit a block's payload"
);

#[cfg(test)]
#[path = "committee_tests.rs"]
mod tests;
