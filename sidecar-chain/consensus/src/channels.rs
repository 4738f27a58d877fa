//! Channels of the network between validators: what goes over each, and how much of it.

use std::num::NonZeroU32;

use commonware_consensus::marshal::{self, standard::Standard};
use commonware_cryptography::{bls12381::primitives::variant::MinSig, ed25519::PublicKey};
use commonware_glue::dkg::{self, orchestrator};
use commonware_p2p::max_message_size;
use commonware_runtime::Quota;

use crate::{
    candidate::{Candidate, Digest},
    committee::VALIDATORS_MAX,
    gossip,
    scheme::Scheme,
};

/// What goes over one channel of the network, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel {
    pub(crate) id: u64,
    pub(crate) quota: Quota,
}

const fn channel(id: u64, per_second: u32, burst: u32) -> Channel {
    let (Some(per_second), Some(burst)) = (NonZeroU32::new(per_second), NonZeroU32::new(burst))
    else {
        panic!("quotas are not zero")
    };
    Channel {
        id,
        quota: Quota::per_second(per_second).allow_burst(burst),
    }
}

/// Every channel, in the order in which [`Channels`] has them. A peer is slowed above its quota, and
/// as much as a burst of each peer is held in memory.
pub(crate) const CHANNELS: [Channel; 7] = [
    channel(0, 4096, 256),
    channel(1, 4096, 256),
    channel(2, 512, 64),
    channel(3, 512, 32),
    channel(4, 512, 32),
    channel(5, 1024, 512),
    channel(6, 128, 16),
];

/// A sender and a receiver for each of [`CHANNELS`].
pub(crate) struct Channels<S, R> {
    pub(crate) votes: (S, R),
    pub(crate) certificates: (S, R),
    pub(crate) requests: (S, R),
    pub(crate) backfill: (S, R),
    pub(crate) blocks: (S, R),
    pub(crate) dealings: (S, R),
    pub(crate) transactions: (S, R),
}

impl<S, R> From<[(S, R); 7]> for Channels<S, R> {
    fn from(pairs: [(S, R); 7]) -> Channels<S, R> {
        let [
            votes,
            certificates,
            requests,
            backfill,
            blocks,
            dealings,
            transactions,
        ] = pairs;
        Channels {
            votes,
            certificates,
            requests,
            backfill,
            blocks,
            dealings,
            transactions,
        }
    }
}

/// Bytes of the largest message.
pub(crate) fn message_len_max() -> u32 {
    let members = VALIDATORS_MAX.get();
    max_message_size(&[
        orchestrator::max_payload_size::<Scheme, Digest>(members),
        marshal::max_payload_size::<Standard<Candidate>, Scheme>(members, &()),
        dkg::max_payload_size::<MinSig, PublicKey>(VALIDATORS_MAX),
        gossip::MESSAGE_LEN_MAX,
    ])
}
