//! Which keys an epoch is run with: who is a member, what a member signs with, and who is next.

use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};

use commonware_consensus::{simplex::scheme::bls12381_threshold::vrf, types::Epoch};
use commonware_cryptography::{
    bls12381::primitives::variant::MinSig,
    certificate::{Provider, Scoped},
    ed25519::PublicKey,
};
use commonware_glue::dkg::{self, network::Addresses, types::SchemeInfo};
use commonware_p2p::Address;
use commonware_utils::{ordered::Set, sync::Mutex};

use crate::{Execution, committee};

/// What all that consensus signs begins with.
pub const NAMESPACE: &[u8] = b"_LODE_CHAIN";

/// How votes are signed: shares of one key, with randomness in every certificate.
pub(crate) type Scheme = vrf::Scheme<PublicKey, MinSig>;

/// Epochs whose schemes are held: the running one, the next, and those whose last messages come in.
const SCHEMES_MAX: usize = 8;
/// Epochs that are looked back for a member's address.
const EPOCHS_BACK_MAX: u64 = 64;

/// The schemes of the newest epochs. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Schemes(Arc<Mutex<BTreeMap<Epoch, Arc<Scheme>>>>);

impl Provider for Schemes {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        self.scheme(epoch).map(Scoped::scheme)
    }

    fn scheme(&self, epoch: Epoch) -> Option<Arc<Scheme>> {
        self.0.lock().get(&epoch).cloned()
    }
}

impl dkg::Registrar for Schemes {
    type Variant = MinSig;
    type PublicKey = PublicKey;

    async fn register(&self, epoch: Epoch, info: SchemeInfo<MinSig, PublicKey>) {
        let mut schemes = self.0.lock();
        schemes.insert(epoch, Arc::new(scheme(info)));
        while schemes.len() > SCHEMES_MAX {
            schemes.pop_first();
        }
    }
}

fn scheme(info: SchemeInfo<MinSig, PublicKey>) -> Scheme {
    match info {
        SchemeInfo::Verifier {
            participants,
            sharing,
        } => Scheme::verifier(NAMESPACE, participants, sharing),
        SchemeInfo::Member {
            participants,
            sharing,
            public_key,
        } => Scheme::member(NAMESPACE, participants, sharing, &public_key)
            .expect("a member is one of the participants"),
        SchemeInfo::Signer {
            participants,
            sharing,
            share,
        } => Scheme::signer(NAMESPACE, participants, sharing, share)
            .expect("the share is one of this key"),
    }
}

/// Says who is in which committee, as the chain decided.
#[derive(Clone)]
pub(crate) struct Roster<X> {
    execution: X,
    first: Arc<Vec<(PublicKey, Address)>>,
    blocks_per_epoch: NonZeroU64,
}

impl<X: Execution> Roster<X> {
    /// `first` is the first committee, which goes on if the chain names nobody.
    pub(crate) fn new(
        execution: X,
        first: Vec<committee::Validator>,
        blocks_per_epoch: NonZeroU64,
    ) -> Roster<X> {
        Roster {
            execution,
            first: Arc::new(committee::usable(first)),
            blocks_per_epoch,
        }
    }

    /// The committee of an epoch is decided by the first block of the epoch two before: it is in the
    /// last block of that one, and needs the next to get its shares.
    async fn members(&self, epoch: u64) -> Vec<(PublicKey, Address)> {
        let decided = epoch
            .saturating_sub(2)
            .saturating_mul(self.blocks_per_epoch.get());
        let members = committee::usable(self.execution.committee(epoch, decided).await);
        if members.is_empty() {
            tracing::warn!(
                epoch,
                "the chain names no usable validator: the first go on"
            );
            return self.first.to_vec();
        }
        members
    }

    async fn address(&self, epoch: u64, peer: &PublicKey) -> Address {
        let newest = epoch.saturating_add(1);
        for back in 0..=EPOCHS_BACK_MAX.min(newest) {
            let members = self.members(newest - back).await;
            if let Some((_, address)) = members.into_iter().find(|(key, _)| key == peer) {
                return address;
            }
        }
        let first = self.first.iter().find(|(key, _)| key == peer);
        // Nobody can be dialled there. Such a member can still dial others.
        let nowhere = Address::Symmetric(([0, 0, 0, 0], 0).into());
        first.map_or(nowhere, |(_, address)| address.clone())
    }
}

impl<X: Execution> dkg::ParticipantsProvider for Roster<X> {
    type PublicKey = PublicKey;
    type Directory = Addresses<PublicKey>;

    async fn participants(&mut self, epoch: Epoch) -> Set<PublicKey> {
        let members = self.members(epoch.get()).await;
        Set::from_iter_dedup(members.into_iter().map(|(key, _)| key))
    }

    async fn directory(&mut self, epoch: Epoch, peers: Set<PublicKey>) -> Addresses<PublicKey> {
        let mut addresses = Vec::with_capacity(peers.len());
        for peer in peers.iter() {
            addresses.push((peer.clone(), self.address(epoch.get(), peer).await));
        }
        addresses.into_iter().collect()
    }
}
