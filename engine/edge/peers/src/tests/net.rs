//! The nodes, and the network between them.

use std::time::Duration;

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
use lode_wire::Slice;
use tokio::sync::mpsc;

use super::store::{Flow, Store};
use crate::{
    SERVE_RATE, Status,
    board::Board,
    bounds::{HINTS_MAX, ORDERS_MAX},
    message::MESSAGE_LEN_MAX,
    node::{self, CHUNKS, Parts, WORDS, chunks_quota, words_quota},
    scout::Order,
    status::Counts,
};

/// Virtual time after which a network that did not get anywhere is said to be stuck.
const STUCK: Duration = Duration::from_secs(3600);

/// Both ends of a channel.
pub(crate) type Channel = (Sender<PublicKey, Context>, Receiver<PublicKey>);

/// How a network is made.
#[derive(Clone)]
pub(crate) struct Shape {
    /// Slices of the nodes.
    pub(crate) slices: Vec<Slice>,
    /// Peers besides, which a test plays itself.
    pub(crate) guests: usize,
    /// Mean time on the way, and how far it varies.
    pub(crate) latency: (u64, u64),
    /// Messages of a hundred that arrive.
    pub(crate) arrive: u64,
    /// Bytes a second for each peer.
    pub(crate) rate: u64,
}

impl Shape {
    /// Nodes that keep these slices of a count, on a good network.
    pub(crate) fn of(slices: &[u64], count: u64) -> Shape {
        let slices = slices.iter().map(|id| Slice::new(*id, count).unwrap());
        Shape {
            slices: slices.collect(),
            guests: 0,
            latency: (20, 5),
            arrive: 100,
            rate: SERVE_RATE,
        }
    }
}

/// One node.
pub(crate) struct Node {
    pub(crate) store: Store,
    counts: Counts,
    pub(crate) board: Board,
    hints: Option<mpsc::Sender<u64>>,
    orders: Option<mpsc::Sender<Order>>,
    running: Option<Handle<()>>,
}

impl Node {
    pub(crate) fn status(&self) -> Status {
        self.counts.status()
    }

    pub(crate) fn hint(&self, seq: u64) {
        let hints = self.hints.as_ref().unwrap();
        hints.try_send(seq).unwrap();
    }

    pub(crate) fn order(&self, order: Order) {
        self.orders.as_ref().unwrap().try_send(order).unwrap();
    }
}

/// The nodes, and the network between them. Guests come after nodes.
pub(crate) struct Net {
    pub(crate) context: Context,
    pub(crate) oracle: Oracle<PublicKey, Context>,
    pub(crate) flow: Flow,
    pub(crate) nodes: Vec<Node>,
    pub(crate) keys: Vec<PublicKey>,
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

impl Net {
    /// Nobody runs yet, and all are linked.
    async fn new(context: Context, shape: Shape) -> Net {
        let count = shape.slices.len() + shape.guests;
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
        let flow = Flow::default();
        let nodes = shape.slices.iter().map(|slice| Node {
            store: Store::new(&flow, *slice),
            counts: Counts::default(),
            board: Board::default(),
            hints: None,
            orders: None,
            running: None,
        });
        let mut net = Net {
            nodes: nodes.collect(),
            context,
            oracle,
            flow,
            keys,
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

    /// A peer's own ends of the network: words, chunks.
    pub(crate) async fn ends(&self, at: usize) -> (Control<PublicKey, Context>, [Channel; 2]) {
        let control = self.oracle.control(self.keys[at].clone());
        let words = control.register(WORDS, words_quota()).await.unwrap();
        let chunks = control.register(CHUNKS, chunks_quota()).await.unwrap();
        (control, [words, chunks])
    }

    /// Starts a node, with nothing in its memory.
    pub(crate) async fn start(&mut self, at: usize) {
        let (blocker, [words, chunks]) = self.ends(at).await;
        let (hints, hints_end) = mpsc::channel(HINTS_MAX);
        let (orders, orders_end) = mpsc::channel(ORDERS_MAX);
        let rate = self.shape.rate;
        let node = &mut self.nodes[at];
        node.counts = Counts::default();
        node.board = Board::default();
        (node.hints, node.orders) = (Some(hints), Some(orders));
        let parts = Parts {
            holder: node.store.clone(),
            blocker,
            counts: node.counts.clone(),
            board: node.board.clone(),
            hints: hints_end,
            orders: orders_end,
            rate,
        };
        let context = self.context.child("node").with_attribute("at", at);
        let running = context.spawn(move |context| node::run(context, parts, (words, chunks)));
        node.running = Some(running);
    }

    /// Starts all nodes.
    pub(crate) async fn start_all(&mut self) {
        for at in 0..self.nodes.len() {
            self.start(at).await;
        }
    }

    /// Ends a node at once, whatever it does.
    pub(crate) fn kill(&mut self, at: usize) {
        self.nodes[at].running.take().unwrap().abort();
    }

    /// Waits.
    pub(crate) async fn pass(&self, secs: u64) {
        self.context.sleep(Duration::from_secs(secs)).await;
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Net) -> bool) {
        let stuck = self.context.current() + STUCK;
        while !holds(self) {
            let status: Vec<Status> = self.nodes.iter().map(Node::status).collect();
            assert!(
                self.context.current() < stuck,
                "stuck before {what}: {status:#?}"
            );
            self.context.sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until nodes have all that they should have.
    pub(crate) async fn until_whole(&self, nodes: &[usize]) {
        self.until("whole", |net| {
            nodes.iter().all(|at| net.nodes[*at].store.lacks() == 0)
        })
        .await;
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
