//! How the actors of one validator are put together. The network and the runtime are given, so that
//! the same validator runs on sockets and in simulations.
//!
//! ```text
//!  votes, certificates, requests ── orchestrator ── simplex, one engine per epoch
//!                                                     │ propose, verify, certify, report
//!                                          Watched(Deferred(reshare::Application(Adapter)))
//!                                                     │
//!  blocks, backfill ──────────────── buffer, marshal ─┤
//!                                        │ final blocks
//!  dealings ─────────── resharing ◄──────┼──► Inbox ── Execution
//! ```

use std::{num::NonZeroU64, time::Duration};

use commonware_consensus::{Reporters, types::Epoch};
use commonware_cryptography::ed25519::PublicKey;
use commonware_glue::dkg::{
    SecretStore as _,
    fence::Fence,
    network::{Addresses, Manager},
};
use commonware_p2p::{Blocker, Receiver, Sender};
use commonware_runtime::{Clock, Error, Handle, Metrics, Network, Spawner, Storage};
use rand_core::CryptoRng;

use crate::{
    Committee, Execution, Gossip, Secret, actors::Actors, channels::Channels, checkpoint::Anchor,
    delivery, prune::Keep, secrets::Secrets,
};

/// How long consensus waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// For a leader's block.
    pub(crate) leader: Duration,
    /// For an answer from a peer.
    pub(crate) fetch: Duration,
}

/// What a validator is made of.
pub(crate) struct Parts<X, M, B> {
    pub(crate) execution: X,
    pub(crate) committee: Committee,
    /// Where it begins, if not at the chain's first block.
    pub(crate) anchor: Option<Anchor>,
    pub(crate) secret: Secret,
    pub(crate) secrets: Secrets,
    pub(crate) manager: M,
    pub(crate) blocker: B,
    pub(crate) gossip: Gossip,
    pub(crate) timing: Timing,
    pub(crate) blocks_per_epoch: NonZeroU64,
    pub(crate) keep: Keep,
    /// What its files are named with, where several validators share a disk.
    pub(crate) prefix: String,
}

/// Runs a validator until one of its actors ends, which none does by itself.
///
/// # Errors
/// When one of them fails.
pub(crate) async fn run<E, X, M, B, S, R>(
    context: E,
    mut parts: Parts<X, M, B>,
    channels: Channels<S, R>,
) -> Result<(), Error>
where
    E: Spawner + Metrics + Clock + Storage + Network + CryptoRng,
    X: Execution,
    M: Manager<PublicKey = PublicKey, Directory = Addresses<PublicKey>> + Clone + Sync,
    B: Blocker<PublicKey = PublicKey> + Sync,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    keep_first_share(&mut parts.secrets, &parts.secret).await;
    let actors = Actors::new(&context, &parts);
    let (marshal_actor, marshal) = actors.marshal().await;
    let sync = actors.sync().await;
    let (fence, gate) = Fence::new();
    let (resharing, reshare) = actors.resharing(&marshal, sync.clone(), fence, channels.dealings);
    let application = actors.application(&marshal, reshare.clone());
    let voting = (channels.votes, channels.certificates, channels.requests);
    let (orchestrating, orchestrator) =
        actors.orchestrator(&marshal, application, sync, gate, voting);
    let (buffering, buffer) = actors.buffer(channels.blocks);
    let resolver = actors.resolver(channels.backfill);
    let (inbox, outbox) = delivery::channel();
    let reporters = Reporters::from((inbox, Reporters::from((orchestrator, reshare))));
    let marshalling = marshal_actor.start(reporters, buffer, resolver);
    let pruner = actors.pruner("pruner");
    drop(actors);

    let Parts {
        execution, gossip, ..
    } = parts;
    let transactions = channels.transactions;
    let delivering = context
        .child("delivery")
        .spawn(move |clock| outbox.run(clock, execution, marshal, pruner));
    let gossiping = context
        .child("gossip")
        .spawn(move |clock| gossip.run(clock, transactions));
    Handle::select([
        buffering,
        resharing,
        orchestrating,
        marshalling,
        delivering,
        gossiping,
    ])
    .await
}

/// The share that came with the first committee is kept with those that follow it.
async fn keep_first_share(secrets: &mut Secrets, secret: &Secret) {
    let first = Epoch::zero();
    let share = secret
        .share()
        .expect("it was read before the validator began");
    if let Some(share) = share
        && secrets.get_share(first).await.is_none()
    {
        secrets.put_share(first, share).await;
    }
}
