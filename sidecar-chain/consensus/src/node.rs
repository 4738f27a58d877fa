//! A validator on this machine: its own thread, its files and its sockets.

use std::{
    io,
    net::SocketAddr,
    num::NonZeroU64,
    path::PathBuf,
    thread::{self, JoinHandle},
    time::Duration,
};

use commonware_cryptography::{ChaCha20Poly1305, ed25519::PrivateKey};
use commonware_glue::dkg::network::AddressableManager;
use commonware_p2p::authenticated::lookup;
use commonware_runtime::{Quota, Runner as _, Spawner as _, Supervisor as _, tokio};
use commonware_stream::{
    SakeCups,
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZU32, NZUsize};
use futures_channel::oneshot;

use crate::{
    Checkpoint, Committee, Execution, Gossip, Secret,
    channels::{CHANNELS, Channels, message_len_max},
    checkpoint::{self, Anchor},
    committee,
    committee::VALIDATORS_MAX,
    engine::{self, Parts, Timing},
    prune::Keep,
    scheme::NAMESPACE,
    secrets::Secrets,
};

/// Waiting messages of the network's actors.
const MAILBOX_LEN: std::num::NonZeroUsize = NZUsize!(1024);
/// Committees whose members stay connected: the running one, the next two, and one that was late.
const COMMITTEES_CONNECTED: std::num::NonZeroUsize = NZUsize!(4);
/// Time for actors to end by themselves.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// How far clocks of two validators may be apart.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(10);

/// How a validator runs.
#[derive(Clone)]
pub struct Config {
    /// Its keys.
    pub secret: Secret,
    /// Where it listens for others.
    pub listen: SocketAddr,
    /// Folder of its votes, certificates, blocks and shares: of this validator alone.
    pub storage: PathBuf,
    /// Blocks after which the key's shares are renewed and members may change. One number for all
    /// validators of a chain, for ever.
    pub blocks_per_epoch: NonZeroU64,
    /// How long a leader may take for a block: longer than the chain waits when there is no work.
    pub leader_wait: Duration,
    /// Threads for the network and for actors.
    pub threads: usize,
    /// Blocks and certificates below the last one that are kept for validators that were away.
    pub blocks_kept: u64,
    /// The block that execution began with; none if that is the chain's first.
    pub checkpoint: Option<Checkpoint>,
}

/// Why a validator did not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The first block or the keys are not those of a validator.
    #[error(transparent)]
    Committee(#[from] committee::Error),
    /// The block to begin with is not what it should be.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] checkpoint::Error),
    /// Its folder or its thread cannot be had.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// One of its actors failed; the log says which.
    #[error("the validator ended: {0}")]
    Ended(String),
}

/// A running validator. It stops when this is dropped.
pub struct Node {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

/// Starts a validator of the chain that `execution` has, from where it was left.
///
/// # Errors
/// When the chain's first block carries no committee, a key cannot be read, or its folder cannot be
/// made.
pub fn start<X: Execution>(config: Config, execution: X, gossip: Gossip) -> Result<Node, Error> {
    let committee = Committee::of(&execution.genesis())?;
    // Read here so that a bad share is an error and not a panic of an actor.
    config.secret.share()?;
    let checkpoint = config.checkpoint.as_ref();
    let anchor = checkpoint
        .map(|checkpoint| checkpoint.anchor(&committee))
        .transpose()?;
    let secrets = Secrets::open(&config.storage.join("secrets"))?;
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new()
        .name("consensus".to_owned())
        .spawn(move || {
            run(
                config,
                (committee, anchor),
                secrets,
                execution,
                gossip,
                stopped,
            )
        })?;
    Ok(Node {
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl Node {
    /// Stops the validator and waits until its files are closed.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn stop(mut self) -> Result<(), Error> {
        self.end()
    }

    /// Waits until the validator ends by itself, which it does only if one of its actors fails.
    ///
    /// # Errors
    /// What it ended with.
    pub fn wait(mut self) -> Result<(), Error> {
        self.join()
    }

    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn end(&mut self) -> Result<(), Error> {
        if let Some(stop) = self.stop.take() {
            // Its thread may have ended already; joining it says how.
            let _ = stop.send(());
        }
        self.join()
    }

    fn join(&mut self) -> Result<(), Error> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        match thread.join() {
            Ok(ended) => ended,
            Err(_) => Err(Error::Ended("one of its actors panicked".to_owned())),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "validator ended");
        }
    }
}

fn run<X: Execution>(
    config: Config,
    (committee, anchor): (Committee, Option<Anchor>),
    secrets: Secrets,
    execution: X,
    gossip: Gossip,
    stopped: oneshot::Receiver<()>,
) -> Result<(), Error> {
    let runtime = tokio::Config::new()
        .with_worker_threads(config.threads.max(1))
        .with_tcp_nodelay(Some(true))
        .with_storage_directory(config.storage.join("files"));
    tokio::Runner::new(runtime).start(|context| async move {
        let (mut network, oracle) = lookup::Network::new(context.child("network"), peers(&config));
        let channels = CHANNELS.map(|channel| network.register(channel.id, channel.quota));
        let channels = Channels::from(channels);
        let network = network.start();
        let parts = Parts {
            execution,
            committee,
            anchor,
            secret: config.secret,
            secrets,
            manager: AddressableManager::new(oracle.clone()),
            blocker: oracle,
            gossip,
            timing: Timing {
                leader: config.leader_wait,
                fetch: config.leader_wait,
            },
            blocks_per_epoch: config.blocks_per_epoch,
            keep: Keep::of_node(config.blocks_kept),
            prefix: String::new(),
        };
        let validator = context
            .child("validator")
            .spawn(move |context| engine::run(context, parts, channels));
        let ended = async {
            let ended = futures_lite::future::or(
                async { validator.await.map_err(|error| error.to_string()) },
                async {
                    let network = network.await.map_err(|error| error.to_string());
                    network.map(|()| Ok(()))
                },
            );
            match ended.await {
                Ok(Ok(())) => Err(Error::Ended("one of its actors stopped".to_owned())),
                Ok(Err(error)) => Err(Error::Ended(error.to_string())),
                Err(error) => Err(Error::Ended(error)),
            }
        };
        let stopped = async {
            // A dropped sender stops it as well.
            let _ = stopped.await;
            Ok(())
        };
        let ended = futures_lite::future::or(ended, stopped).await;
        // What does not end in time is ended with the runtime: everything that matters is on disk.
        if context
            .child("stop")
            .stop(0, Some(STOP_WAIT))
            .await
            .is_err()
        {
            tracing::debug!("actors did not end in time");
        }
        ended
    })
}

type Handshake = SakeCups<PrivateKey, ChaCha20Poly1305>;

/// The network: only members connect, each proves its key, and all is encrypted.
fn peers(config: &Config) -> lookup::Config<Handshake> {
    let handshake = Cups::new(
        Sake {
            signer: config.secret.signer(),
            synchrony_bound: CLOCKS_APART_MAX,
            max_handshake_age: CLOCKS_APART_MAX,
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    // A peer set is the members of three committees, and this validator.
    let members = usize::try_from(VALIDATORS_MAX.get()).expect("a hundred fits");
    let peers_max = NZUsize!(3 * members + 1);
    lookup::Config {
        handshake,
        namespace: [NAMESPACE, b"_NETWORK"].concat(),
        listen: config.listen,
        allow_private_ips: true,
        allow_dns: true,
        // A peer proves its key; where it comes from may be another address than where it listens.
        bypass_ip_check: true,
        max_message_size: message_len_max(),
        max_peers_per_set: peers_max,
        mailbox_size: MAILBOX_LEN,
        send_batch_size: NZUsize!(8),
        handshake_timeout: Duration::from_secs(5),
        dial_timeout: Duration::from_secs(5),
        peer_connection_cooldown: Duration::from_millis(500),
        max_concurrent_handshakes: NZU32!(512),
        allowed_handshake_rate_per_ip: Quota::per_second(NZU32!(64)),
        allowed_handshake_rate_per_subnet: Quota::per_second(NZU32!(256)),
        ping_frequency: Duration::from_secs(10),
        dial_frequency: Duration::from_millis(100),
        tracked_peer_sets: COMMITTEES_CONNECTED,
        block_duration: Duration::from_secs(3600),
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
