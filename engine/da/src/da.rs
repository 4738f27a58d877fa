//! A node on this machine: its own thread, its sockets.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use commonware_cryptography::{
    Signer as _,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_macros::select;
use commonware_p2p::{Address, AddressableManager as _, authenticated::lookup};
use commonware_runtime::{
    Handle as TaskHandle, Runner as _, Spawner as _, Supervisor as _, tokio as runtime,
};
use commonware_utils::ordered::Map;
use lode_net::{OthersError, PeerAddress, Transport, others};
use lode_proofs::{
    Hash32,
    da::{Certificate, Namespace, Threshold, signing::HolderSecret},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Committees,
    bounds::{BLOCK, MAILBOX_LEN, MESSAGE_LEN_MAX, PEERS_MAX},
    keep::Keep,
    node::{Faces, Node, Parts, ROWS, WORDS, quota},
    post::{PostError, Poster, RequestId, Terms},
    read::Reader,
    repair::{MendError, Mender},
};

/// Time for tasks to end by themselves.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// Orders to repair that wait.
const MENDS_MAX: usize = 16;
/// What handshakes are bound to, with the chain.
const NAMESPACE: &[u8] = b"LODE_DA_1";

/// How a node speaks to others.
pub struct Config {
    /// Its key on the network.
    pub signer: PrivateKey,
    /// What it signs rows with.
    pub secret: HolderSecret,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The chain whose committees hold.
    pub chain_id: u64,
    /// The other nodes. More may come, and some go, by [`Da::track`].
    pub peers: Vec<PeerAddress>,
    /// How long, and by how many, what is posted here is kept.
    pub terms: Terms,
    /// How often it looks for containers that have lost rows, if it does.
    pub repair: Option<Duration>,
    /// Threads; at least 1. One codes or checks about 400 MB a second.
    pub threads: usize,
}

/// Why a node did not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the others is not named as nodes are, or twice.
    #[error(transparent)]
    Others(#[from] OthersError),
    /// More others than [`PEERS_MAX`].
    #[error("{0} other nodes, {PEERS_MAX} at most")]
    TooMany(usize),
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

/// A running node. It stops when this is dropped, but only [`Da::stop`] waits for it.
pub struct Da {
    me: PublicKey,
    faces: Faces,
    committees: Committees,
    mends: mpsc::Sender<Mend>,
    tracks: mpsc::Sender<Map<PublicKey, Address>>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), Error>>,
    thread: JoinHandle<()>,
}

/// What a node does for its own: clones are of one node, and may be used from any thread and runtime.
#[derive(Clone)]
pub struct Service {
    poster: Poster,
    /// Reads blobs.
    pub reader: Reader,
    mends: mpsc::Sender<Mend>,
    /// The committees that are known.
    pub committees: Committees,
}

struct Mend {
    container: Hash32,
    expiry: Option<u64>,
    threshold: Threshold,
    done: oneshot::Sender<Result<Certificate, MendError>>,
}

impl Da {
    /// Starts a node that keeps its rows in `keep`. Must not be waited for: connections are made when the
    /// others are there, for as long as it runs.
    ///
    /// # Errors
    /// When the others cannot be read, or nobody can listen there.
    pub fn start<K: Keep>(config: Config, keep: K, committees: Committees) -> Result<Da, Error> {
        let me = config.signer.public_key();
        let peers = bounded(&config.peers, &me)?;
        // The network panics if it cannot listen: an address that is taken should be an error.
        let free = TcpListener::bind(config.listen);
        drop(free.map_err(|error| Error::Listen(config.listen, error))?);
        let (began, begun) = std::sync::mpsc::channel();
        let (mends, mends_end) = mpsc::channel(MENDS_MAX);
        let (tracks, tracks_end) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let machine = Machine {
            config,
            me: me.clone(),
            peers,
            committees: committees.clone(),
            mends: mends_end,
            tracks: tracks_end,
            stopped,
        };
        let thread = thread::Builder::new().name("da".to_owned());
        let thread = thread.spawn(move || {
            let ended = machine.run(keep, move |faces| {
                // Who starts it waits for this.
                let _gone = began.send(faces);
            });
            // Nobody may be left who wants to know.
            let _gone = end.send(ended);
        })?;
        let faces = begun.recv();
        let faces = faces.map_err(|_| Error::Ended("it did not begin".to_owned()))?;
        Ok(Da {
            me,
            faces,
            committees,
            mends,
            tracks,
            stop,
            ended,
            thread,
        })
    }

    /// The node's name.
    #[must_use]
    pub const fn me(&self) -> &PublicKey {
        &self.me
    }

    /// What it does for its own.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            poster: self.faces.poster.clone(),
            reader: self.faces.reader.clone(),
            mends: self.mends.clone(),
            committees: self.committees.clone(),
        }
    }

    /// Speaks to these nodes from now on, and to no others.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub async fn track(&self, peers: &[PeerAddress]) -> Result<(), Error> {
        let peers = bounded(peers, &self.me)?;
        let sent = self.tracks.send(peers).await;
        sent.map_err(|_| Error::Ended("it has stopped".to_owned()))
    }

    /// Whether it ended by itself; [`Self::stop`] then says why.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops, and waits until nothing asks the store any more and the sockets are closed.
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

impl Service {
    /// Takes a blob.
    ///
    /// # Errors
    /// [`PostError`]
    pub fn post(&self, namespace: Namespace, blob: Bytes) -> Result<RequestId, PostError> {
        self.poster.post(namespace, blob, SystemTime::now())
    }

    /// How requests stand.
    #[must_use]
    pub const fn poster(&self) -> &Poster {
        &self.poster
    }

    /// Restores a container and brings it to its holders again, for longer if `expiry` says so.
    ///
    /// # Errors
    /// [`MendError`]
    pub async fn mend(
        &self,
        container: Hash32,
        expiry: Option<u64>,
        threshold: Threshold,
    ) -> Result<Certificate, MendError> {
        let (done, mended) = oneshot::channel();
        let mend = Mend {
            container,
            expiry,
            threshold,
            done,
        };
        let stopped = crate::read::ReadError::Stopped;
        let sent = self.mends.send(mend).await;
        sent.map_err(|_| stopped.clone())?;
        mended.await.unwrap_or(Err(stopped.into()))
    }
}

fn bounded(peers: &[PeerAddress], me: &PublicKey) -> Result<Map<PublicKey, Address>, Error> {
    let others = others(peers, me)?;
    match others.len() > PEERS_MAX {
        true => Err(Error::TooMany(others.len())),
        false => Ok(others),
    }
}

/// What a node's thread begins with.
struct Machine {
    config: Config,
    me: PublicKey,
    peers: Map<PublicKey, Address>,
    committees: Committees,
    mends: mpsc::Receiver<Mend>,
    tracks: mpsc::Receiver<Map<PublicKey, Address>>,
    stopped: oneshot::Receiver<()>,
}

impl Machine {
    fn run<K: Keep>(
        self,
        keep: K,
        began: impl FnOnce(Faces) + Send + 'static,
    ) -> Result<(), Error> {
        let runner = runtime::Config::new()
            .with_worker_threads(self.config.threads.max(1))
            .with_tcp_nodelay(Some(true));
        runtime::Runner::new(runner).start(|context| async move {
            let Machine {
                config,
                me,
                peers,
                committees,
                mends,
                tracks,
                stopped,
            } = self;
            let transport = Transport {
                signer: config.signer,
                namespace: [NAMESPACE, &config.chain_id.to_be_bytes()].concat(),
                listen: config.listen,
                nodes: NonZeroUsize::MIN.saturating_add(PEERS_MAX),
                message_len_max: MESSAGE_LEN_MAX,
                mailbox_len: MAILBOX_LEN,
                block: BLOCK,
            };
            let child = context.child("network");
            let (mut network, mut oracle) = lookup::Network::new(child, transport.config());
            if !oracle.track(0, peers).accepted() {
                return Err(Error::Ended("the network takes no peers".to_owned()));
            }
            let words = network.register(WORDS, quota());
            let rows = network.register(ROWS, quota());
            let network = network.start();
            let parts = Parts {
                me,
                secret: config.secret.into(),
                keep,
                committees,
                blocker: oracle.clone(),
                terms: config.terms,
                repair: config.repair,
            };
            let (node, faces) = Node::new(parts, &context);
            let mender = faces.mender.clone();
            began(faces);
            let helping = helpers(&context, mender, oracle, (mends, tracks));
            let running = context.child("node");
            let node = running.spawn(move |context| node.run(context, (words, rows)));
            let ended = select! {
                _ = stopped => Ok(()),
                ended = node => Err(Error::Ended(format!("its tasks: {ended:?}"))),
                ended = network => Err(Error::Ended(format!("the network: {ended:?}"))),
            };
            helping.into_iter().for_each(|task| task.abort());
            // What does not end in time is ended with the runtime: a sliver that is not stored is offered
            // again.
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
}

/// What is done beside the node: other nodes are spoken to when there are others, containers are repaired
/// when somebody wants it.
fn helpers(
    context: &runtime::Context,
    mender: Mender,
    mut oracle: lookup::Oracle<PublicKey>,
    (mut mends, mut tracks): (
        mpsc::Receiver<Mend>,
        mpsc::Receiver<Map<PublicKey, Address>>,
    ),
) -> [TaskHandle<()>; 2] {
    let tracking = context.child("track").spawn(move |_| async move {
        let mut set = 0;
        while let Some(peers) = tracks.recv().await {
            set += 1;
            if !oracle.track(set, peers).accepted() {
                tracing::error!("the network does not take the nodes that are now");
            }
        }
    });
    let mending = context.child("mend").spawn(move |context| async move {
        while let Some(mend) = mends.recv().await {
            let (container, expiry) = (mend.container, mend.expiry);
            let mended = mender
                .mend(&context, container, expiry, mend.threshold)
                .await;
            // Who asked may have gone.
            let _gone = mend.done.send(mended);
        }
    });
    [tracking, mending]
}

#[cfg(test)]
#[path = "da_tests.rs"]
mod tests;
