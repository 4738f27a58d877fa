//! Members that do what they must not: vote for everything, be two at once, propose rubbish, send
//! rubbish.

use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_consensus::simplex::types::{Finalize, Notarize, Nullify, Proposal, Vote};
use commonware_p2p::{
    Receiver as _, Recipients, Sender as _, simulated::SplitTarget, utils::mux::Muxer,
};
use commonware_runtime::{Clock as _, Spawner as _, Supervisor as _};
use rand_core::Rng as _;

use super::{cluster::Cluster, toy::Toy, wires};
use crate::{
    candidate::Digest,
    scheme::{NAMESPACE, Scheme},
};

/// A member that answers every vote it sees with the same vote, a conflicting one, one for no block
/// at all, and one to make the block final.
pub(crate) async fn vote_for_all(cluster: &Cluster, at: usize) {
    let [votes, ..] = cluster.register(at).await;
    let (mux, mut epochs) = Muxer::new(cluster.context.child("votes"), votes.0, votes.1);
    mux.start();
    let (mut sender, mut receiver) = epochs.register(0).await.expect("the first epoch");
    let output = &cluster.committee.info().output;
    let share = cluster.members[at]
        .secret
        .share()
        .expect("a share")
        .expect("a member");
    let scheme = Scheme::signer(
        NAMESPACE,
        output.players().clone(),
        output.public().clone(),
        share,
    );
    let scheme = scheme.expect("a share of this key");
    cluster.context.child("traitor").spawn(move |_| async move {
        while let Ok((_, message)) = receiver.recv().await {
            let Ok(vote) = Vote::<Scheme, Digest>::decode(message) else {
                continue;
            };
            for vote in answers(&scheme, &vote) {
                sender.send(Recipients::All, vote.encode(), true);
            }
        }
    });
}

fn answers(scheme: &Scheme, vote: &Vote<Scheme, Digest>) -> Vec<Vote<Scheme, Digest>> {
    let proposal = match vote {
        Vote::Notarize(notarize) => notarize.proposal.clone(),
        Vote::Finalize(finalize) => finalize.proposal.clone(),
        Vote::Nullify(_) => return Vec::new(),
    };
    let mut other = proposal.payload.0;
    other[0] ^= 1;
    let other = Proposal::new(proposal.round, proposal.parent, Digest::from(other));
    [
        Notarize::sign(scheme, other.clone()).map(Vote::Notarize),
        Notarize::sign(scheme, proposal.clone()).map(Vote::Notarize),
        Nullify::sign::<Digest>(scheme, proposal.round).map(Vote::Nullify),
        Finalize::sign(scheme, other).map(Vote::Finalize),
        Finalize::sign(scheme, proposal).map(Vote::Finalize),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A member that is two at once: each with the same keys, its own blocks and its own memory. One
/// speaks with the first peers, the other with the rest, and both with those between.
pub(crate) async fn be_two(cluster: &mut Cluster, at: usize, seed: u64) {
    let target = |peer: usize| match (seed >> (2 * peer)) & 3 {
        0 => SplitTarget::Primary,
        1 => SplitTarget::Secondary,
        _ => SplitTarget::Both,
    };
    let peers = cluster.peers(at, &target);
    let (first, second) = wires::halve(&cluster.context, cluster.register(at).await, &peers);
    let toy = cluster.members[at].toy.clone();
    let other = cluster.twin(at);
    cluster.keep(at, "left", toy, first);
    cluster.keep(at, "right", other, second);
}

/// A member that sends bytes of no meaning on every channel: of any length, and what it has heard with
/// a bit of it changed.
pub(crate) async fn babble(cluster: &Cluster, at: usize) {
    for (channel, (mut sender, mut receiver)) in cluster.register(at).await.into_iter().enumerate()
    {
        let context = cluster
            .context
            .child("babbler")
            .with_attribute("channel", channel);
        context.spawn(move |mut context| async move {
            loop {
                context.sleep(BABBLE_EVERY).await;
                let len = context.next_u32() % BABBLE_LEN_MAX;
                let mut noise = vec![0; usize::try_from(len).expect("it is small")];
                context.fill_bytes(&mut noise);
                sender.send(Recipients::All, noise, false);
                let heard = futures_lite::future::poll_once(receiver.recv()).await;
                if let Some(Ok((_, message))) = heard {
                    let mut message = message.as_ref().to_vec();
                    let place = usize::try_from(context.next_u32()).expect("it fits");
                    if let Some(byte) = place
                        .checked_rem(message.len())
                        .and_then(|place| message.get_mut(place))
                    {
                        *byte ^= 1 << (context.next_u32() % 8);
                    }
                    sender.send(Recipients::All, message, false);
                }
            }
        });
    }
}

/// How often one that babbles does, and bytes of it.
const BABBLE_EVERY: std::time::Duration = std::time::Duration::from_millis(20);
const BABBLE_LEN_MAX: u32 = 512;

/// A member that follows the protocol and builds blocks that break the rules.
pub(crate) fn lie(toy: &Toy) {
    toy.lie();
}
