//! Validators in one deterministic runtime, on a network of which every delay is drawn from a seed.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use alloy_primitives::B256;
use commonware_cryptography::{Signer as _, ed25519::PublicKey};
use commonware_glue::dkg::network::AddressableManager;
use commonware_p2p::simulated::{self, Link, Network, Oracle, SplitTarget};
use commonware_runtime::{
    Clock as _, Error, Handle, Spawner as _, Supervisor as _, deterministic::Context,
};
use commonware_utils::{NZU64, NZUsize};
use lode_chain_types::{Block, Height};

use super::{
    folder::Folder,
    proof,
    toy::{Members, Toy},
    wires::{self, Peers, Receiver, Sender},
};
use crate::{
    Checkpoint, Committee, Execution as _, Secret,
    channels::{CHANNELS, Channels, message_len_max},
    deal,
    engine::{self, Parts, Timing},
    gossip,
    prune::Keep,
    secrets::Secrets,
};

/// Virtual time after which a cluster that did not get anywhere is said to be stuck.
const STUCK: Duration = Duration::from_secs(600);
/// How long a leader may take.
const LEADER_WAIT: Duration = Duration::from_secs(2);
/// An epoch that no test leaves.
pub(crate) const ENDLESS: NonZeroU64 = NZU64!(1 << 40);

/// Validators and the network between them.
pub(crate) struct Cluster {
    pub(crate) context: Context,
    pub(crate) oracle: Oracle<PublicKey, Context>,
    pub(crate) committee: Committee,
    pub(crate) members: Vec<Member>,
    blocks_per_epoch: NonZeroU64,
    keep: Keep,
    schedule: Members,
    folder: Arc<Folder>,
    link: Link,
    network: Handle<()>,
}

/// One validator.
pub(crate) struct Member {
    pub(crate) secret: Secret,
    pub(crate) toy: Toy,
    /// Where it begins, if not at the chain's first block.
    pub(crate) checkpoint: Option<Checkpoint>,
    running: Option<Handle<Result<(), Error>>>,
    /// Halves of one that is two.
    halves: Vec<Handle<Result<(), Error>>>,
    starts: u64,
}

/// How a cluster is made.
pub(crate) struct Shape {
    /// Validators that exist.
    pub(crate) count: usize,
    /// As many of them are the first committee.
    pub(crate) first: usize,
    pub(crate) link: Link,
    pub(crate) blocks_per_epoch: NonZeroU64,
    /// What of final blocks is kept.
    pub(crate) keep: Keep,
    /// Positions of members of each epoch; none for the first committee for ever.
    pub(crate) schedule: Option<fn(u64) -> Vec<usize>>,
}

/// What is left of a cluster whose power went: chains, and files outside of the runtime.
pub(crate) struct Remains {
    toys: Vec<Toy>,
    folder: Arc<Folder>,
}

impl Cluster {
    /// What the power leaves when it goes.
    pub(crate) fn remains(&self) -> Remains {
        let toys = self.members.iter().map(|member| member.toy.clone());
        Remains {
            toys: toys.collect(),
            folder: self.folder.clone(),
        }
    }

    /// The same members with what is left of them. Nobody runs yet.
    pub(crate) async fn revive(context: Context, shape: Shape, remains: Remains) -> Cluster {
        let mut cluster = Cluster::new(context, shape).await;
        for (member, toy) in cluster.members.iter_mut().zip(remains.toys) {
            toy.crash(0);
            member.toy = toy;
        }
        cluster.folder = remains.folder;
        cluster
    }

    /// Nobody runs yet.
    pub(crate) async fn new(context: Context, shape: Shape) -> Cluster {
        let addresses: Vec<String> = (0..shape.count)
            .map(|at| format!("10.0.0.{}:3000", at + 1))
            .collect();
        let (committee, secrets) =
            deal(B256::repeat_byte(7), &addresses[..shape.first]).expect("the addresses are good");
        let late = (shape.first..shape.count).map(|at| Secret {
            key: B256::repeat_byte(u8::try_from(at).expect("few") + 100),
            share: None,
        });
        let secrets: Vec<Secret> = secrets.into_iter().chain(late).collect();
        let everybody: Vec<_> = secrets
            .iter()
            .zip(&addresses)
            .map(|(secret, address)| crate::Validator {
                key: secret.public_key(),
                address: address.clone(),
            })
            .collect();
        let (positions, first) = (shape.schedule, shape.first);
        let schedule: Members = Arc::new(move |epoch| {
            let positions = positions.map_or_else(|| (0..first).collect(), |of| of(epoch));
            positions
                .into_iter()
                .map(|at: usize| everybody[at].clone())
                .collect()
        });
        let (network, oracle) = Network::new(
            context.child("network"),
            simulated::Config {
                max_size: message_len_max(),
                max_peers_per_set: NZUsize!(64),
                disconnect_on_block: false,
                tracked_peer_sets: NZUsize!(8),
            },
        );
        let members = secrets
            .into_iter()
            .enumerate()
            .map(|(at, secret)| Member {
                secret,
                toy: Toy::new(
                    &committee,
                    schedule.clone(),
                    &[u8::try_from(at).expect("few")],
                ),
                checkpoint: None,
                running: None,
                halves: Vec::new(),
                starts: 0,
            })
            .collect();
        let network = network.start();
        Cluster {
            context,
            oracle,
            committee,
            members,
            blocks_per_epoch: shape.blocks_per_epoch,
            keep: shape.keep,
            schedule,
            folder: Arc::new(Folder::new()),
            link: shape.link,
            network,
        }
    }

    pub(crate) fn key(&self, at: usize) -> PublicKey {
        self.members[at].secret.signer().public_key()
    }

    /// Connects all to all. Only the wires: whom a validator listens to is for it to say.
    pub(crate) async fn connect(&self) {
        let all: Vec<usize> = (0..self.members.len()).collect();
        for &from in &all {
            self.link(&[from], &all).await;
        }
    }

    pub(crate) async fn link(&self, from: &[usize], to: &[usize]) {
        for (from, to) in pairs(from, to) {
            let link = self.link.clone();
            // They may be connected already.
            let _ = self
                .oracle
                .add_link(self.key(from), self.key(to), link)
                .await;
        }
    }

    /// Cuts the wires between two groups, both ways.
    pub(crate) async fn cut(&self, left: &[usize], right: &[usize]) {
        for (from, to) in pairs(left, right).chain(pairs(right, left)) {
            let _ = self.oracle.remove_link(self.key(from), self.key(to)).await;
        }
    }

    /// Starts a validator, or starts it again.
    pub(crate) async fn start(&mut self, at: usize) {
        let peers = self.peers(at, &|_| SplitTarget::Primary);
        let (channels, _) = wires::halve(&self.context, self.register(at).await, &peers);
        let name = format!("member-{at}");
        let toy = self.members[at].toy.clone();
        let running = self.run(at, &name, toy, channels);
        self.members[at].running = Some(running);
    }

    pub(crate) async fn start_all(&mut self) {
        for at in 0..self.members.len() {
            self.start(at).await;
        }
    }

    /// The channels of one validator.
    pub(crate) async fn register(&self, at: usize) -> [(Sender, Receiver); 7] {
        let control = self.oracle.control(self.key(at));
        let mut channels = Vec::new();
        for channel in CHANNELS {
            let pair = control.register(channel.id, channel.quota).await;
            channels.push(pair.expect("the network runs"));
        }
        channels
            .try_into()
            .unwrap_or_else(|_| unreachable!("one pair for each channel"))
    }

    /// Which half of a validator each of its peers speaks with.
    pub(crate) fn peers(&self, at: usize, target: &dyn Fn(usize) -> SplitTarget) -> Peers {
        let peers = (0..self.members.len()).filter(|peer| *peer != at);
        peers.map(|peer| (self.key(peer), target(peer))).collect()
    }

    /// Runs a validator with the keys of one, on channels of any kind.
    pub(crate) fn run<S, R>(
        &mut self,
        at: usize,
        name: &str,
        toy: Toy,
        channels: [(S, R); 7],
    ) -> Handle<Result<(), Error>>
    where
        S: commonware_p2p::Sender<PublicKey = PublicKey>,
        R: commonware_p2p::Receiver<PublicKey = PublicKey>,
    {
        let member = &mut self.members[at];
        member.starts += 1;
        let folder = self.folder.path().join(name);
        let (gossip, _) = gossip::gossip();
        let checkpoint = member.checkpoint.as_ref();
        let anchor = checkpoint.map(|checkpoint| checkpoint.anchor(&self.committee));
        let parts = Parts {
            execution: toy,
            committee: self.committee.clone(),
            anchor: anchor.map(|anchor| anchor.expect("its parts belong together")),
            secret: member.secret.clone(),
            secrets: Secrets::open(&folder).expect("a folder of its own"),
            manager: AddressableManager::new(self.oracle.socket_manager()),
            blocker: self.oracle.control(self.key(at)),
            gossip,
            timing: Timing {
                leader: LEADER_WAIT,
                fetch: LEADER_WAIT / 4,
            },
            blocks_per_epoch: self.blocks_per_epoch,
            keep: self.keep,
            prefix: format!("{name}-"),
        };
        let starts = self.members[at].starts;
        self.context
            .child("member")
            .with_attribute("name", name)
            .with_attribute("start", starts)
            .spawn(move |context| engine::run(context, parts, Channels::from(channels)))
    }

    /// Runs one half of a member that is two.
    pub(crate) fn keep<S, R>(&mut self, at: usize, name: &str, toy: Toy, channels: [(S, R); 7])
    where
        S: commonware_p2p::Sender<PublicKey = PublicKey>,
        R: commonware_p2p::Receiver<PublicKey = PublicKey>,
    {
        let half = self.run(at, name, toy, channels);
        self.members[at].halves.push(half);
    }

    /// A chain that builds other blocks than the member's.
    pub(crate) fn twin(&self, at: usize) -> Toy {
        Toy::new(
            &self.committee,
            self.schedule.clone(),
            &[u8::try_from(at).expect("few"), 1],
        )
    }

    /// Ends a validator at once; its chain forgets what was not final, and of that the last blocks.
    pub(crate) async fn crash(&mut self, at: usize, lost: usize) {
        let running = self.members[at].running.take().expect("it runs");
        running.abort();
        // Only then is nobody left who could still write into the chain. How it ended is no news.
        let _ = running.await;
        self.members[at].toy.crash(lost);
    }

    pub(crate) fn height(&self, at: usize) -> Height {
        self.members[at].toy.height()
    }

    /// Waits until each of these validators has a chain of that height.
    pub(crate) async fn reach(&self, members: &[usize], height: Height) {
        let start = self.context.current();
        while members.iter().any(|&at| self.height(at) < height) {
            self.context.sleep(Duration::from_millis(100)).await;
            let passed = self.context.current().duration_since(start);
            let heights: Vec<_> = members.iter().map(|&at| self.height(at)).collect();
            assert!(
                passed.expect("time goes on") < STUCK,
                "stuck below {height}: {heights:?}"
            );
        }
    }

    /// Nobody's chain differs from another's as far as both go, and every proof holds.
    pub(crate) fn check(&self, members: &[usize]) {
        let chains: Vec<Vec<Block>> = members
            .iter()
            .map(|&at| self.members[at].toy.chain())
            .collect();
        for (left, right) in pairs(members, members).map(|(left, right)| {
            (
                self.members[left].toy.chain(),
                self.members[right].toy.chain(),
            )
        }) {
            let common = left.len().min(right.len());
            assert_eq!(left[..common], right[..common], "two chains");
        }
        assert_eq!(chains.len(), members.len());
        let group = self.committee.group_key();
        for finality in self.members[members[0]].toy.finalities().values() {
            assert!(proof::holds(&group, finality), "a proof that does not hold");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.network.abort();
        for member in &mut self.members {
            if let Some(running) = member.running.take() {
                running.abort();
            }
            for half in member.halves.drain(..) {
                half.abort();
            }
        }
    }
}

fn pairs<'a>(from: &'a [usize], to: &'a [usize]) -> impl Iterator<Item = (usize, usize)> + 'a {
    from.iter()
        .flat_map(move |&from| to.iter().map(move |&to| (from, to)))
        .filter(|(from, to)| from != to)
}
