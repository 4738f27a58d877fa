//! Which storage nodes there are, and which of them answer.
//!
//! ```text
//!  operator ─► trusted ──┐    one task per node: ask, note, pause
//!  add(url) ─► discovered┤      answers   ─► listed, asked again after about 5 s
//!  peers of trusted ─► ──┘      is silent ─► left out, asked again after 1, 2, 4 … 60 s
//! ```
//!
//! Nothing waits for a node: who asks the directory gets what was last heard. A trusted node is never
//! forgotten; a discovered one is, after [`FORGOTTEN_AFTER`] failures in a row, so that the list does
//! not fill with the dead. A discovered node of another network than the trusted ones is as good as
//! silent.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use lode_wire::{NetworkIdentity, ShardedNode, ShardedNodes, Slice, Status};
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    client::{Client, Dialer, Error},
    config::{Config, DISCOVERED_MAX, TRUSTED_MAX},
    machine::Machine,
};

/// What a node last said.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which slice it keeps.
    pub slice: Slice,
    /// How far it is.
    pub status: Status,
    /// Time of an answer, in milliseconds.
    pub latency: i64,
}

/// A node that is known.
#[derive(Debug)]
pub struct Node {
    client: Client,
    trusted: bool,
    /// When it was named, in seconds of Unix time.
    since: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    report: Option<Report>,
    /// It answered the last time.
    alive: bool,
}

/// A node that answers.
#[derive(Clone, Debug)]
pub struct Live {
    /// Where to ask it.
    pub client: Client,
    /// What it said.
    pub report: Report,
    /// Whether the operator named it.
    pub trusted: bool,
    since: i64,
}

/// Why a node is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Its URL is none.
    #[error(transparent)]
    Client(#[from] Error),
    /// There are as many as there may be.
    #[error("no room for more than {0} nodes")]
    Full(usize),
}

/// All nodes that are known. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Directory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    nodes: RwLock<Vec<Arc<Node>>>,
    dialer: Dialer,
    machine: Machine,
    pause: Duration,
    pause_max: Duration,
    probes: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Failures in a row after which a discovered node is forgotten: about a quarter of an hour.
pub const FORGOTTEN_AFTER: u32 = 20;
/// Peers of one node that are looked at.
const PEERS_MAX: usize = 256;
/// Questions about peers are rarer than those about health.
const PEERS_EVERY: u32 = 12;
/// Nodes that are asked at once.
const PROBES_MAX: usize = 64;
/// Pause after the first failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// After as many doublings the longest pause is reached, whatever it is.
const DOUBLINGS_MAX: u32 = 16;

impl Directory {
    /// Begins to ask the nodes of a configuration, by connections of `dialer`. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`AddError`].
    pub fn start(config: &Config, dialer: Dialer, machine: Machine) -> Result<Directory, AddError> {
        let directory = Directory(Arc::new(Shared {
            nodes: RwLock::default(),
            dialer,
            machine,
            pause: config.probe_pause,
            pause_max: config.probe_pause_max,
            probes: Semaphore::new(PROBES_MAX),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }));
        for url in &config.nodes {
            directory.take_in(url, true)?;
        }
        Ok(directory)
    }

    /// Takes in a node that the operator does not vouch for. False if it is known.
    ///
    /// # Errors
    /// [`AddError`].
    pub fn add(&self, url: &str) -> Result<bool, AddError> {
        self.take_in(url, false)
    }

    /// Trusted nodes that answer, in the operator's order.
    #[must_use]
    pub fn trusted(&self) -> Vec<Live> {
        self.live(true)
    }

    /// Discovered nodes that answer, in the order in which they were found.
    #[must_use]
    pub fn discovered(&self) -> Vec<Live> {
        self.live(false)
    }

    /// All that answer, as clients are told.
    #[must_use]
    pub fn sharded(&self) -> ShardedNodes {
        let listed = |nodes: Vec<Live>| nodes.iter().map(Live::listed).collect();
        ShardedNodes {
            trusted: listed(self.trusted()),
            discovered: listed(self.discovered()),
        }
    }

    /// All that are known, with the last word of each, and whether it answers now.
    #[must_use]
    pub fn known(&self) -> Vec<(Arc<Node>, Option<Report>, bool)> {
        let nodes = self.0.list();
        let told = |node: Arc<Node>| {
            let state = node.state();
            let (report, alive) = (state.report.clone(), state.alive);
            drop(state);
            (node, report, alive)
        };
        nodes.into_iter().map(told).collect()
    }

    /// Stops asking, and returns when nobody is being asked.
    pub async fn stop(&self) {
        self.abandon();
        self.0.tasks.wait().await;
    }

    /// Stops asking.
    pub fn abandon(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
    }

    fn live(&self, trusted: bool) -> Vec<Live> {
        let nodes = self.0.list();
        let wanted = nodes.iter().filter(|node| node.trusted == trusted);
        wanted.filter_map(|node| node.live()).collect()
    }

    fn take_in(&self, url: &str, trusted: bool) -> Result<bool, AddError> {
        let client = self.0.dialer.node(url)?;
        let node = Arc::new(Node {
            client,
            trusted,
            since: seconds(self.0.machine.now()),
            state: Mutex::default(),
        });
        let mut nodes = self.0.nodes.write().unwrap_or_else(PoisonError::into_inner);
        if nodes.iter().any(|other| other.client.url() == url) {
            return Ok(false);
        }
        let max = if trusted { TRUSTED_MAX } else { DISCOVERED_MAX };
        if nodes
            .iter()
            .filter(|other| other.trusted == trusted)
            .count()
            >= max
        {
            return Err(AddError::Full(max));
        }
        nodes.push(Arc::clone(&node));
        drop(nodes);
        let watch = watch(self.clone(), node);
        let stop = self.0.stop.clone();
        self.0
            .tasks
            .spawn(async move { stop.run_until_cancelled(watch).await });
        Ok(true)
    }

    /// Peers of a trusted node, which may send anything.
    fn take_in_peers(&self, peers: Vec<String>) {
        for url in peers.into_iter().take(PEERS_MAX) {
            if let Err(error) = self.add(&url) {
                tracing::debug!(%error, "a peer is not taken in");
            }
        }
    }
}

impl Shared {
    fn list(&self) -> Vec<Arc<Node>> {
        self.nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn forget(&self, node: &Arc<Node>) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|other| !Arc::ptr_eq(other, node));
    }

    fn pause_after(&self, failures: u32) -> Duration {
        match failures {
            0 => self.pause,
            _ => {
                let doublings = (failures - 1).min(DOUBLINGS_MAX);
                let first = FIRST_PAUSE.min(self.pause_max);
                first.saturating_mul(1 << doublings).min(self.pause_max)
            }
        }
    }

    /// Whether a trusted node is of this network, whatever became of it since.
    fn is_ours(&self, network: &NetworkIdentity) -> bool {
        let trusted = |node: &Arc<Node>| node.trusted && node.is_of(network);
        self.list().iter().any(trusted)
    }
}

/// Asks one node for as long as the service runs, or the node is remembered.
async fn watch(directory: Directory, node: Arc<Node>) {
    let shared = &directory.0;
    let mut dice = shared.machine.dice();
    let (mut failures, mut round) = (0_u32, 0_u32);
    loop {
        let alive = match probe(shared, &node).await {
            Ok(report) => node.heard(Some(report)),
            Err(why) => {
                tracing::debug!(url = node.client.url(), why, "node does not answer");
                node.heard(None)
            }
        };
        failures = if alive { 0 } else { failures.saturating_add(1) };
        if !node.trusted && failures >= FORGOTTEN_AFTER {
            shared.forget(&node);
            return;
        }
        if alive && node.trusted {
            if round.is_multiple_of(PEERS_EVERY) {
                ask_for_peers(&directory, &node).await;
            }
            round = round.wrapping_add(1);
        }
        sleep(dice.around(shared.pause_after(failures))).await;
    }
}

async fn ask_for_peers(directory: &Directory, node: &Node) {
    match node.client.peers().await {
        Ok(peers) => directory.take_in_peers(peers),
        // Most nodes do not know the question.
        Err(error) if error.is_method_missing() => {}
        Err(error) => tracing::debug!(url = node.client.url(), %error, "peers are not told"),
    }
}

/// Asks a node who it is. The text says why it does not count.
async fn probe(shared: &Shared, node: &Node) -> Result<Report, String> {
    let _turn = shared
        .probes
        .acquire()
        .await
        .map_err(|error| error.to_string())?;
    let begin = shared.machine.now();
    let slice = node
        .client
        .slice()
        .await
        .map_err(|error| error.to_string())?;
    let took = shared.machine.now().saturating_sub(begin);
    let status = node
        .client
        .status()
        .await
        .map_err(|error| error.to_string())?;
    if !node.trusted && !shared.is_ours(&status.network_identity) {
        return Err("of another network than the trusted nodes".to_owned());
    }
    Ok(Report {
        slice,
        status,
        latency: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
    })
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

impl Node {
    /// Its URL, as it was given.
    #[must_use]
    pub fn url(&self) -> &str {
        self.client.url()
    }

    /// The host in its URL.
    #[must_use]
    pub fn host(&self) -> &str {
        self.client.host()
    }

    /// Whether the operator named it.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// When it was named, in seconds of Unix time.
    #[must_use]
    pub fn since(&self) -> i64 {
        self.since
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A report is replaced as a whole, so no panic leaves half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a question brought. Tells whether the node answers.
    fn heard(&self, report: Option<Report>) -> bool {
        let alive = report.is_some();
        let mut state = self.state();
        if state.alive != alive {
            let url = self.client.url();
            match alive {
                true => tracing::info!(url, trusted = self.trusted, "node answers"),
                false => tracing::info!(url, trusted = self.trusted, "node is silent"),
            }
        }
        state.alive = alive;
        if report.is_some() {
            state.report = report;
        }
        alive
    }

    fn live(&self) -> Option<Live> {
        let state = self.state();
        let report = state.report.clone().filter(|_| state.alive)?;
        Some(Live {
            client: self.client.clone(),
            report,
            trusted: self.trusted,
            since: self.since,
        })
    }

    fn is_of(&self, network: &NetworkIdentity) -> bool {
        let state = self.state();
        state.report.as_ref().is_some_and(|report| {
            let ours = &report.status.network_identity;
            let same_flow = ours
                .flow_address
                .eq_ignore_ascii_case(&network.flow_address);
            ours.chain_id == network.chain_id && same_flow
        })
    }
}

impl Live {
    /// As clients are told.
    #[must_use]
    pub fn listed(&self) -> ShardedNode {
        ShardedNode {
            url: self.client.url().to_owned(),
            config: self.report.slice,
            latency: self.report.latency,
            since: self.since,
        }
    }
}
