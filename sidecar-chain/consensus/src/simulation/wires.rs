//! The network's channels, each of which may be split between two validators that are one to others.

use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    Recipients,
    simulated::{self, SplitOrigin, SplitSender, SplitTarget},
};
use commonware_runtime::{IoBuf, Supervisor as _, deterministic::Context};

/// What sends on a channel of the simulated network.
pub(crate) type Sender = simulated::Sender<PublicKey, Context>;
/// What receives from it.
pub(crate) type Receiver = simulated::Receiver<PublicKey>;
/// One half of a channel.
pub(crate) type Half<F> = (SplitSender<PublicKey, Context, F>, Receiver);

/// What decides who gets a message of a half.
pub(crate) trait Forward: simulated::SplitForwarder<PublicKey> {}
impl<F: simulated::SplitForwarder<PublicKey>> Forward for F {}

/// Which half each peer speaks with.
pub(crate) type Peers = Vec<(PublicKey, SplitTarget)>;

/// Two halves of each channel.
pub(crate) fn halve(
    context: &Context,
    channels: [(Sender, Receiver); 7],
    peers: &Peers,
) -> (
    [Half<impl Forward + use<>>; 7],
    [Half<impl Forward + use<>>; 7],
) {
    let mut first = Vec::new();
    let mut second = Vec::new();
    for (sender, receiver) in channels {
        let (left, right) = split(context, sender, receiver, peers);
        first.push(left);
        second.push(right);
    }
    let (first, second) = (first.try_into().ok(), second.try_into().ok());
    let seven = "one for each channel";
    (first.expect(seven), second.expect(seven))
}

fn split(
    context: &Context,
    sender: Sender,
    receiver: Receiver,
    peers: &Peers,
) -> (Half<impl Forward + use<>>, Half<impl Forward + use<>>) {
    let table = peers.clone();
    let (left, right) = sender.split_with(
        move |origin: SplitOrigin, recipients: &Recipients<PublicKey>, _: &IoBuf| {
            let chosen: Vec<PublicKey> = table
                .iter()
                .filter(|(_, target)| hears(*target, origin))
                .map(|(peer, _)| peer.clone())
                .filter(|peer| is_among(peer, recipients))
                .collect();
            (!chosen.is_empty()).then_some(Recipients::Some(chosen))
        },
    );
    let table = peers.clone();
    let (near, far) = receiver.split_with(
        context.child("split"),
        move |message: &(PublicKey, IoBuf)| {
            let found = table.iter().find(|(peer, _)| *peer == message.0);
            found.map_or(SplitTarget::None, |(_, target)| *target)
        },
    );
    ((left, near), (right, far))
}

fn hears(target: SplitTarget, origin: SplitOrigin) -> bool {
    matches!(
        (target, origin),
        (SplitTarget::Both, _)
            | (SplitTarget::Primary, SplitOrigin::Primary)
            | (SplitTarget::Secondary, SplitOrigin::Secondary)
    )
}

fn is_among(peer: &PublicKey, recipients: &Recipients<PublicKey>) -> bool {
    match recipients {
        Recipients::All => true,
        Recipients::Some(some) => some.contains(peer),
        Recipients::One(one) => one == peer,
    }
}
