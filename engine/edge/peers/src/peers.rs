//! A node on this machine: its own thread, its identity, its sockets.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use commonware_cryptography::{
    Signer as _,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_macros::select;
use commonware_p2p::{Address, AddressableManager as _, authenticated::lookup};
use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio as runtime};
use commonware_utils::ordered::Map;
use lode_net::{OthersError, Transport};
use tokio::sync::{mpsc, oneshot};

use crate::{
    board::{Board, Busy, Fetching, Other},
    bounds::{BLOCK, HINTS_MAX, MAILBOX_LEN, ORDERS_MAX, PEERS_MAX},
    config::{Config, PeerAddress, PeerKey},
    holder::Holder,
    message::MESSAGE_LEN_MAX,
    meter::Metrics,
    node::{self, CHUNKS, Parts, WORDS, chunks_quota, words_quota},
    scout::Order,
    status::{Counts, Status},
};

/// Time for tasks to end by themselves.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// Why a node did not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the others is not named as nodes are, or twice.
    #[error(transparent)]
    Others(#[from] OthersError),
    /// More others than [`PEERS_MAX`].
    #[error("{0} other nodes, {PEERS_MAX} at most")]
    TooMany(usize),
    /// The node's key cannot be had.
    #[error("the node's key: {0}")]
    Key(#[source] io::Error),
    /// Somebody listens there, or nobody may.
    #[error("cannot listen at {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// There is no thread.
    #[error(transparent)]
    Thread(#[from] io::Error),
    /// One of its tasks ended; the log says which.
    #[error("the node's talk with others ended: {0}")]
    Ended(String),
}

/// What keeps a node whole: see [`Peers::start`].
pub struct Peers;

/// A running node. It stops when this is dropped, but only [`Handle::stop`] waits for it.
pub struct Handle {
    view: View,
    hints: mpsc::Sender<u64>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), Error>>,
    thread: JoinHandle<()>,
}

/// What a running node knows of the others and fetches from them, and the operator's word to it. Clones
/// are of the same node; of one that has stopped they tell what was last. Nothing here waits.
#[derive(Clone)]
pub struct View {
    key: PeerKey,
    listen: SocketAddr,
    others: Arc<[PeerAddress]>,
    began: SystemTime,
    counts: Counts,
    board: Board,
    orders: mpsc::Sender<Order>,
}

impl Peers {
    /// The name of the node of a folder, which is made if there is none.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn key_in(dir: &std::path::Path) -> io::Result<PeerKey> {
        lode_net::identity::name(dir)
    }

    /// Starts to fetch from other nodes what `holder` misses, and to serve them what it has. Must not be
    /// waited for: connections are made when the others are there, for as long as it runs.
    ///
    /// # Errors
    /// When the others cannot be read, the key cannot be read or made, or nobody can listen there.
    pub fn start<H: Holder>(config: Config, holder: H) -> Result<Handle, Error> {
        let signer = lode_net::identity::open(&config.dir).map_err(Error::Key)?;
        let others = others(&config, &signer.public_key())?;
        // The network panics if it cannot listen: an address that is taken should be an error.
        let free = TcpListener::bind(config.listen);
        drop(free.map_err(|error| Error::Listen(config.listen, error))?);

        let key = PeerKey::of(&signer.public_key());
        let (counts, board) = (Counts::default(), Board::default());
        let (hints, hints_end) = mpsc::channel(HINTS_MAX);
        let (orders, orders_end) = mpsc::channel(ORDERS_MAX);
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let machine = Machine {
            signer,
            others,
            counts: counts.clone(),
            board: board.clone(),
            hints: hints_end,
            orders: orders_end,
            stopped,
        };
        let configured = config.peers.iter().filter(|peer| peer.key != key);
        let view = View {
            key,
            listen: config.listen,
            others: configured.cloned().collect(),
            began: SystemTime::now(),
            counts,
            board,
            orders,
        };
        let thread = thread::Builder::new().name("peers".to_owned());
        let thread = thread.spawn(move || {
            // Nobody may be left who wants to know.
            let _gone = end.send(run(&config, machine, holder));
        })?;
        tracing::info!(%key, "keeps whole with other storage nodes");
        Ok(Handle {
            view,
            hints,
            stop,
            ended,
            thread,
        })
    }
}

impl Handle {
    /// The node's name, which the others have to know.
    #[must_use]
    pub fn key(&self) -> PeerKey {
        self.view.key
    }

    /// What the node knows, for whoever wants to know it too.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// How many other nodes are here.
    #[must_use]
    pub fn peers(&self) -> u64 {
        self.status().peers
    }

    /// How the node stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.view.counts.status()
    }

    /// Says that a submission is new, or that some of its blob came or was lost: it is looked at before
    /// others, and if it is complete others are told so. May be said with every chunk. Returns at once. A
    /// hint too many is forgotten: new submissions are counted anyway, and what was lost is found by the
    /// sweep.
    pub fn hint(&self, seq: u64) {
        if self.hints.try_send(seq).is_err() {
            tracing::debug!(seq, "a hint is forgotten");
        }
    }

    /// Whether it ended by itself; [`Self::stop`] then says why.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops, and waits until nothing asks the holder any more and the sockets are closed.
    ///
    /// # Errors
    /// When it had ended before.
    pub async fn stop(self) -> Result<(), Error> {
        // It may have ended already: then its end says why.
        let _ended = self.stop.send(());
        match self.ended.await {
            Ok(ended) => ended,
            Err(_) => Err(Error::Ended("one of its tasks panicked".to_owned())),
        }
    }
}

impl View {
    /// The node's name.
    #[must_use]
    pub fn key(&self) -> PeerKey {
        self.key
    }

    /// Where it listens for the others.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// How the node stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.counts.status()
    }

    /// The same for a page, as long as anybody reads it.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.counts)
    }

    /// The others, in the order in which they are configured, as they were at most
    /// [`TICK_EVERY`](crate::bounds::TICK_EVERY) ago. Who connected to whom is not known: both dial.
    #[must_use]
    pub fn others(&self) -> Vec<Other> {
        self.board.others(&self.others, self.began)
    }

    /// The others that have said that they have their slice of a submission. A node tells only below
    /// which submission it has all, so one that lacks an earlier one is not among them.
    #[must_use]
    pub fn holders(&self, seq: u64) -> Vec<Other> {
        let mut others = self.others();
        others.retain(|other| other.holds(seq));
        others
    }

    /// All submissions that are being fetched, ascending; at most as many as
    /// [`bounds`](crate::bounds) let be asked for, open or waiting. What is asked of whom is as it was
    /// at most [`TICK_EVERY`](crate::bounds::TICK_EVERY) ago.
    #[must_use]
    pub fn fetches(&self) -> Vec<Fetching> {
        self.board.fetches()
    }

    /// What is fetched of a submission, or was: the last
    /// [`ENDED_MAX`](crate::bounds::ENDED_MAX) that ended are remembered. None if it never was.
    #[must_use]
    pub fn fetching(&self, seq: u64) -> Option<Fetching> {
        self.board.fetch(seq)
    }

    /// Fetches what is missing of a submission before others, without leaving it to a client first; one
    /// that was stopped goes on.
    ///
    /// # Errors
    /// When too many wait already, or the node has stopped.
    pub fn fetch(&self, seq: u64) -> Result<(), Busy> {
        let tell = || self.orders.try_send(Order::Fetch(seq)).is_ok();
        self.board.ask(seq, SystemTime::now(), tell)
    }

    /// Stops fetching a submission until [`Self::fetch`] wants it again or the node starts anew; whether
    /// it was being fetched. Chunks that have come already are kept.
    #[must_use]
    pub fn stop_fetching(&self, seq: u64) -> bool {
        let tell = || self.orders.try_send(Order::Stop(seq)).is_ok();
        self.board.stop(seq, tell)
    }
}

/// The other nodes, without this one.
fn others(config: &Config, me: &PublicKey) -> Result<Map<PublicKey, Address>, Error> {
    let others = lode_net::others(&config.peers, me)?;
    match others.len() > PEERS_MAX {
        true => Err(Error::TooMany(others.len())),
        false => Ok(others),
    }
}

/// What a node's thread begins with.
struct Machine {
    signer: PrivateKey,
    others: Map<PublicKey, Address>,
    counts: Counts,
    board: Board,
    hints: mpsc::Receiver<u64>,
    orders: mpsc::Receiver<Order>,
    stopped: oneshot::Receiver<()>,
}

fn run<H: Holder>(config: &Config, machine: Machine, holder: H) -> Result<(), Error> {
    let runner = runtime::Config::new()
        .with_worker_threads(config.threads.max(1))
        .with_tcp_nodelay(Some(true));
    runtime::Runner::new(runner).start(|context| async move {
        let transport = Transport {
            signer: machine.signer,
            namespace: config.namespace(),
            listen: config.listen,
            nodes: NonZeroUsize::MIN.saturating_add(machine.others.len()),
            message_len_max: MESSAGE_LEN_MAX,
            mailbox_len: MAILBOX_LEN,
            block: BLOCK,
        };
        let (mut network, mut oracle) =
            lookup::Network::new(context.child("network"), transport.config());
        if !oracle.track(0, machine.others).accepted() {
            return Err(Error::Ended("the network takes no peers".to_owned()));
        }
        let words = network.register(WORDS, words_quota());
        let chunks = network.register(CHUNKS, chunks_quota());
        let network = network.start();
        let parts = Parts {
            holder,
            blocker: oracle,
            counts: machine.counts,
            board: machine.board,
            hints: machine.hints,
            orders: machine.orders,
            rate: config.serve_rate,
        };
        let node = context.child("node");
        let node = node.spawn(move |context| node::run(context, parts, (words, chunks)));
        let ended = select! {
            _ = machine.stopped => Ok(()),
            ended = node => Err(Error::Ended(format!("its tasks: {ended:?}"))),
            ended = network => Err(Error::Ended(format!("the network: {ended:?}"))),
        };
        // What does not end in time is ended with the runtime: a chunk that is not stored is asked for
        // again after the next start.
        if context
            .child("stop")
            .stop(0, Some(STOP_WAIT))
            .await
            .is_err()
        {
            tracing::debug!("tasks did not end in time");
        }
        ended
    })
}

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
