//! The nodes, and the network between them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use commonware_cryptography::{
    Signer as _,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_p2p::simulated::{self, Control, Link, Network, Oracle, Receiver, Sender};
use commonware_runtime::{
    Clock as _, Handle, Runner as _, Spawner as _, Supervisor as _,
    deterministic::{Context, Runner},
};
use commonware_utils::{NZUsize, Probability};
use lode_proofs::{
    Hash32,
    da::{
        Assignment, Certificate, Container, Namespace, Quorum, Threshold, restore,
        shape::ORIGINAL_ROWS, signing::HolderSecret,
    },
};

use crate::{
    Committee, Committees, Faces, Node, Parts,
    bounds::MESSAGE_LEN_MAX,
    keep::{Keep as _, Memory},
    node::{ROWS, WORDS, quota},
    post::{Posted, RequestId, State, Terms},
};

/// Both ends of a channel.
pub(crate) type Channel = (Sender<PublicKey, Context>, Receiver<PublicKey>);

/// Seconds that containers are kept.
pub(crate) const TERM: u64 = 3600;

/// How a network is made.
#[derive(Clone)]
pub(crate) struct Shape {
    /// Holders; each has as many rows as its share says.
    pub(crate) shares: Vec<usize>,
    /// Mean time on the way in milliseconds, and how far it varies.
    pub(crate) latency: (u64, u64),
    /// Messages of a hundred that arrive.
    pub(crate) arrive: u64,
    /// How often nodes look for lost rows.
    pub(crate) repair: Option<Duration>,
    /// The least number of rows that are signed for.
    pub(crate) threshold: Threshold,
}

impl Shape {
    /// So many equal holders on a good network.
    pub(crate) fn of(holders: usize) -> Shape {
        Shape {
            shares: vec![1; holders],
            latency: (10, 3),
            arrive: 100,
            repair: None,
            threshold: Threshold::LEAST,
        }
    }
}

/// One node.
pub(crate) struct Member {
    pub(crate) keep: Memory,
    pub(crate) secret: Arc<HolderSecret>,
    pub(crate) faces: Option<Faces>,
    running: Option<Handle<()>>,
}

/// The nodes, and the network between them.
pub(crate) struct Net {
    pub(crate) context: Context,
    pub(crate) oracle: Oracle<PublicKey, Context>,
    pub(crate) members: Vec<Member>,
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) committee: Arc<Committee>,
    pub(crate) committees: Committees,
    shape: Shape,
}

/// Runs a test on a network; what the run came to, by which two runs are compared.
pub(crate) fn run<F, Fut>(seed: u64, shape: Shape, test: F) -> String
where
    F: FnOnce(Net) -> Fut,
    Fut: Future<Output = Net>,
{
    Runner::seeded(seed).start(|context| async move {
        let net = test(Net::new(context, shape).await).await;
        net.context.auditor().state()
    })
}

/// Bytes that look like chance.
pub(crate) fn noise(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| byte()).collect::<Vec<u8>>().into()
}

/// Rows in turn, as many to each as its share says.
fn seats(shares: &[usize]) -> Vec<u16> {
    let turn = shares.iter().enumerate();
    let turn = turn.flat_map(|(seat, share)| vec![u16::try_from(seat).unwrap(); *share]);
    turn.collect::<Vec<u16>>()
        .into_iter()
        .cycle()
        .take(3072)
        .collect()
}

impl Net {
    /// Nobody runs yet, and all are linked.
    async fn new(context: Context, shape: Shape) -> Net {
        let count = shape.shares.len();
        let seeds = 0..u64::try_from(count).unwrap();
        let keys: Vec<PublicKey> = seeds
            .map(|seed| PrivateKey::from_seed(seed).public_key())
            .collect();
        let config = simulated::Config {
            max_size: u32::try_from(MESSAGE_LEN_MAX).unwrap(),
            max_peers_per_set: NZUsize!(64),
            disconnect_on_block: true,
            tracked_peer_sets: NZUsize!(1),
        };
        let child = context.child("network");
        let (network, oracle) = Network::new_with_peers(child, config, keys.clone()).await;
        network.start();
        let members: Vec<Member> = (0..count)
            .map(|at| Member {
                keep: Memory::default(),
                secret: HolderSecret::from_seed(&[u8::try_from(at).unwrap(); 32]).into(),
                faces: None,
                running: None,
            })
            .collect();
        let quorum = Quorum {
            chain_id: 31337,
            epoch: 5,
            quorum: 0,
        };
        let assignment = Assignment::new(&seats(&shape.shares)).unwrap();
        let holder_keys = members.iter().map(|member| member.secret.key()).collect();
        let committee = Committee::new(quorum, assignment, holder_keys, keys.clone()).unwrap();
        let committees = Committees::default();
        committees.begin(committee.clone());
        let mut net = Net {
            members,
            context,
            oracle,
            keys,
            committee: committee.into(),
            committees,
            shape,
        };
        let all: Vec<usize> = (0..count).collect();
        net.link(&all, &all).await;
        net
    }

    /// Links two groups.
    pub(crate) async fn link(&mut self, left: &[usize], right: &[usize]) {
        let (latency, jitter) = self.shape.latency;
        let link = Link {
            latency: Duration::from_millis(latency),
            jitter: Duration::from_millis(jitter),
            success_rate: Probability::new(self.shape.arrive, 100.try_into().unwrap()).unwrap(),
        };
        for (from, to) in pairs(left, right) {
            let (from, to) = (self.keys[from].clone(), self.keys[to].clone());
            // One that is there already stays.
            let _there = self.oracle.add_link(from, to, link.clone()).await;
        }
    }

    /// Cuts all links between two groups.
    pub(crate) async fn cut(&mut self, left: &[usize], right: &[usize]) {
        for (from, to) in pairs(left, right) {
            let (from, to) = (self.keys[from].clone(), self.keys[to].clone());
            let _gone = self.oracle.remove_link(from, to).await;
        }
    }

    /// A peer's own ends of the network: words, rows.
    pub(crate) async fn ends(&self, at: usize) -> (Control<PublicKey, Context>, [Channel; 2]) {
        let control = self.oracle.control(self.keys[at].clone());
        let words = control.register(WORDS, quota()).await.unwrap();
        let rows = control.register(ROWS, quota()).await.unwrap();
        (control, [words, rows])
    }

    /// Starts a node, with what its store has.
    pub(crate) async fn start(&mut self, at: usize) {
        let (blocker, [words, rows]) = self.ends(at).await;
        let parts = Parts {
            me: self.keys[at].clone(),
            secret: self.members[at].secret.clone(),
            keep: self.members[at].keep.clone(),
            committees: self.committees.clone(),
            blocker,
            terms: Terms {
                term: TERM,
                threshold: self.shape.threshold,
            },
            repair: self.shape.repair,
        };
        let context = self.context.child("node").with_attribute("at", at);
        let (node, faces) = Node::new(parts, &context);
        let member = &mut self.members[at];
        member.faces = Some(faces);
        member.running = Some(context.spawn(move |context| node.run(context, (words, rows))));
    }

    /// Starts all nodes but some.
    pub(crate) async fn start_but(&mut self, out: &[usize]) {
        for at in 0..self.members.len() {
            if !out.contains(&at) {
                self.start(at).await;
            }
        }
    }

    /// Ends a node at once, whatever it does.
    pub(crate) fn kill(&mut self, at: usize) {
        self.members[at].running.take().unwrap().abort();
    }

    pub(crate) fn faces(&self, at: usize) -> Faces {
        self.members[at].faces.clone().unwrap()
    }

    /// Posts a blob to a node.
    pub(crate) fn post(&self, at: usize, namespace: u8, blob: &Bytes) -> RequestId {
        let faces = self.faces(at);
        let now = self.context.current();
        let posted = faces
            .poster
            .post(Namespace([namespace; 29]), blob.clone(), now);
        posted.unwrap()
    }

    /// What a request comes to.
    pub(crate) async fn end(&self, at: usize, id: RequestId) -> State {
        self.faces(at).poster.end(id).await.unwrap()
    }

    /// Waits for a certificate, and checks it and the rows of those who signed it.
    pub(crate) async fn certified(&self, at: usize, id: RequestId, blob: &Bytes) -> Arc<Posted> {
        match self.end(at, id).await {
            State::Certified(posted) => {
                self.check(&posted, blob);
                posted
            }
            other => panic!("no certificate: {other:?}"),
        }
    }

    /// A certificate holds, and any 1024 rows of its signers have the blob.
    pub(crate) fn check(&self, posted: &Posted, blob: &Bytes) {
        let holders = self.committee.holders();
        let read = Certificate::decode(&posted.certificate, holders.assignment()).unwrap();
        read.verify(holders, self.shape.threshold).unwrap();
        assert_eq!(read.statement, posted.statement);
        let id = posted.statement.head.id();
        let mut rows: Vec<(u16, Bytes)> = Vec::new();
        for seat in read.seats() {
            let theirs = self.committee.rows(seat);
            let kept = self.members[seat].keep.rows(id, theirs);
            let kept = futures_util::FutureExt::now_or_never(kept)
                .unwrap()
                .unwrap();
            let kept = kept.unwrap_or_else(|| panic!("seat {seat} has signed, and has nothing"));
            let width = posted.statement.head.shape.width();
            rows.extend(
                theirs
                    .iter()
                    .zip(kept.chunks_exact(width))
                    .map(|(row, bytes)| (*row, Bytes::copy_from_slice(bytes))),
            );
        }
        // The last of them have the fewest originals.
        rows.sort_by_key(|(row, _)| std::cmp::Reverse(*row));
        rows.truncate(ORIGINAL_ROWS);
        let rows: Vec<(u16, &[u8])> = rows.iter().map(|(row, bytes)| (*row, &bytes[..])).collect();
        let shape = posted.statement.head.shape;
        let restored = restore(&rows, shape.width()).unwrap();
        let container = Container::from_rows(shape, restored).unwrap();
        assert!(container.blob(posted.place).unwrap() == blob);
    }

    /// Reads a blob at a node.
    pub(crate) async fn read(&self, at: usize, posted: &Posted) -> Bytes {
        let reader = self.faces(at).reader;
        let known = reader.container(posted.statement.head.id()).await.unwrap();
        reader.blob(&known, posted.place).await.unwrap()
    }

    /// How many nodes keep a container.
    pub(crate) fn kept(&self, container: Hash32) -> usize {
        let kept = self.members.iter();
        kept.filter(|member| member.keep.statement(container).is_some())
            .count()
    }

    /// Waits.
    pub(crate) async fn pass(&self, secs: u64) {
        self.context.sleep(Duration::from_secs(secs)).await;
    }
}

fn pairs(left: &[usize], right: &[usize]) -> Vec<(usize, usize)> {
    let across = |(from, to): (usize, usize)| [(from, to), (to, from)];
    let all = left
        .iter()
        .flat_map(|from| right.iter().map(move |to| (*from, *to)));
    all.filter(|(from, to)| from != to)
        .flat_map(across)
        .collect()
}
