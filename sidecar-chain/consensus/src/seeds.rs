//! The randomness of every view: the committee's signature on epoch and view, which comes with each
//! certificate. A block carries that of the view of the block below, so its proposer must have it.
//!
//! It always does: a block is built on one that was notarized and certified, or made final, and of
//! both the engine reports the certificate, before or shortly after it asks for a block. After a
//! restart it reports again what its journal holds, which reaches back below the last final view.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::Bytes;
use commonware_actor::Feedback;
use commonware_codec::{DecodeExt, Encode};
use commonware_consensus::{
    Automaton, CertifiableAutomaton, Handoff, Relay, Reporter,
    simplex::{
        scheme::bls12381_threshold::vrf::{Certificate, Seed},
        types::Activity,
    },
    types::Round,
};
use commonware_cryptography::bls12381::primitives::variant::{MinSig, Variant};
use commonware_utils::{channel::oneshot, sync::Mutex};
use futures_channel::oneshot as wake;
use lode_chain_types::SIGNATURE_LEN;

use crate::{candidate::Digest, scheme::Scheme};

/// Views whose seeds are held. A parent is never further below than the views that failed in a row,
/// and who has not seen its certificate asks the archive.
const SEEDS_MAX: usize = 4096;

/// Seeds of the newest views. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Seeds(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    known: BTreeMap<Round, Bytes>,
    waiting: Vec<wake::Sender<()>>,
}

impl Seeds {
    /// The seed of a view, as soon as a certificate of it was seen.
    pub(crate) async fn of(&self, round: Round) -> Bytes {
        loop {
            let woken = {
                let mut inner = self.0.lock();
                if let Some(seed) = inner.known.get(&round) {
                    return seed.clone();
                }
                let (sender, receiver) = wake::channel();
                inner.waiting.retain(|waiting| !waiting.is_canceled());
                inner.waiting.push(sender);
                receiver
            };
            // A dropped sender only means to look again.
            let _ = woken.await;
        }
    }

    /// Whether the seed of a view is known.
    pub(crate) fn has(&self, round: Round) -> bool {
        self.0.lock().known.contains_key(&round)
    }

    /// Whether `seed` is the committee's signature on this view. There is but one such signature, so
    /// where the view's certificate was seen, which is nearly always, they are only compared.
    pub(crate) fn agree(&self, group: &Scheme, round: Round, seed: &Bytes) -> bool {
        let known = self.0.lock().known.get(&round).cloned();
        known.map_or_else(|| is_seed(group, round, seed), |known| known == *seed)
    }

    /// A certificate of this view was seen.
    pub(crate) fn learn(&self, round: Round, certificate: &Certificate<MinSig>) {
        let Some(signature) = certificate.get() else {
            return;
        };
        let seed = Bytes::from(signature.seed_signature.encode());
        let mut inner = self.0.lock();
        inner.known.insert(round, seed);
        while inner.known.len() > SEEDS_MAX {
            inner.known.pop_first();
        }
        for waiting in inner.waiting.drain(..) {
            // Who no longer waits needs no seed.
            let _ = waiting.send(());
        }
    }
}

/// Whether `seed` is the committee's signature on this view: a pairing, which is a millisecond.
fn is_seed(scheme: &Scheme, round: Round, seed: &Bytes) -> bool {
    if seed.len() != SIGNATURE_LEN {
        return false;
    }
    let Ok(signature) = <MinSig as Variant>::Signature::decode(seed.0.clone()) else {
        return false;
    };
    Seed::<MinSig>::new(round, signature).verify(scheme)
}

/// An automaton whose certificates are also shown to [`Seeds`].
#[derive(Clone)]
pub(crate) struct Watched<A> {
    inner: A,
    seeds: Seeds,
}

impl<A> Watched<A> {
    pub(crate) fn new(inner: A, seeds: Seeds) -> Watched<A> {
        Watched { inner, seeds }
    }
}

impl<A: Automaton> Automaton for Watched<A> {
    type Context = A::Context;
    type Digest = A::Digest;

    fn propose(
        &mut self,
        context: A::Context,
    ) -> impl Future<Output = oneshot::Receiver<A::Digest>> + Send {
        self.inner.propose(context)
    }

    fn verify(
        &mut self,
        context: A::Context,
        payload: A::Digest,
    ) -> impl Future<Output = oneshot::Receiver<bool>> + Send {
        self.inner.verify(context, payload)
    }
}

impl<A: CertifiableAutomaton> CertifiableAutomaton for Watched<A> {
    fn prepare(
        &mut self,
        context: A::Context,
    ) -> impl Future<Output = oneshot::Receiver<Handoff<A::Digest>>> + Send {
        self.inner.prepare(context)
    }

    fn certify(
        &mut self,
        round: Round,
        payload: A::Digest,
    ) -> impl Future<Output = oneshot::Receiver<bool>> + Send {
        self.inner.certify(round, payload)
    }
}

impl<A: Relay> Relay for Watched<A> {
    type Digest = A::Digest;
    type PublicKey = A::PublicKey;
    type Plan = A::Plan;

    fn broadcast(&mut self, payload: A::Digest, plan: A::Plan) -> Feedback {
        self.inner.broadcast(payload, plan)
    }
}

impl<A: Reporter<Activity = Activity<Scheme, Digest>>> Reporter for Watched<A> {
    type Activity = A::Activity;

    fn report(&mut self, activity: A::Activity) -> Feedback {
        match &activity {
            Activity::Notarization(seen) | Activity::Certification(seen) => {
                self.seeds.learn(seen.proposal.round, &seen.certificate);
            }
            Activity::Finalization(seen) => {
                self.seeds.learn(seen.proposal.round, &seen.certificate);
            }
            _ => {}
        }
        self.inner.report(activity)
    }
}
