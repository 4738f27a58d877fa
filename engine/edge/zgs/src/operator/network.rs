//! What the operator is told of other nodes and of what is fetched from them (0G wire, 3.2 and 6), and
//! who knows it: whoever carries chunks between nodes. A lone node has [`Alone`].

use std::{collections::BTreeMap, net::IpAddr};

use core::fmt;

use lode_wire::Slice;
use serde::{Serialize, Serializer};

/// Knows of other nodes. Every answer comes at once, from memory; what is started goes on elsewhere.
pub trait Network: Send + Sync {
    /// The node itself, and how many others there are.
    fn this_node(&self) -> NetworkInfo;

    /// The others by their names; at most [`LIST_MAX`].
    fn peers(&self) -> BTreeMap<String, PeerInfo>;

    /// What is fetched without anybody's asking.
    fn service(&self) -> ServiceState;

    /// What is fetched of submissions: of this one, or of all that are being fetched, at most
    /// [`LIST_MAX`]. One that never was fetched is not in it.
    fn syncs(&self, seq: Option<u64>) -> BTreeMap<u64, SyncInfo>;

    /// Nodes that have said that they hold a submission's blob, or their slice of it; at most
    /// [`LIST_MAX`].
    fn holders(&self, seq: u64) -> Vec<Location>;

    /// Starts something.
    ///
    /// # Errors
    /// [`Unwilling`].
    fn start(&self, wish: Wish) -> Result<(), Unwilling>;

    /// Stops fetching a submission's chunks; whether they were being fetched.
    fn stop(&self, seq: u64) -> bool;
}

/// Entries of one list, at most.
pub const LIST_MAX: usize = 4_096;

/// What an operator wants started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Ask the others who holds a submission's blob.
    Find {
        /// The submission.
        seq: u64,
    },
    /// Fetch what is missing of it.
    Fetch {
        /// The submission.
        seq: u64,
    },
    /// Fetch some of it: sectors `first..end`.
    FetchRange {
        /// The submission.
        seq: u64,
        /// The first sector.
        first: u64,
        /// The one behind the last.
        end: u64,
    },
}

/// Why something is not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwilling {
    /// There is nobody to ask.
    #[error("this node speaks to no others")]
    Alone,
    /// So much is being fetched that this must wait.
    #[error("{0} submissions are being fetched already")]
    Busy(u64),
}

/// `admin_getNetworkInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInfo {
    /// This node's name among the others; empty if it has none.
    pub peer_id: String,
    /// Where it listens for them.
    pub listen_addresses: Vec<String>,
    /// Nodes that are known.
    pub total_peers: u64,
    /// Of those, which are not spoken to.
    pub banned_peers: u64,
    /// Which cannot be reached.
    pub disconnected_peers: u64,
    /// Which are connected.
    pub connected_peers: u64,
    /// Of these, which this node called; none if that is not known.
    pub connected_outgoing_peers: Option<u64>,
    /// And which called it.
    pub connected_incoming_peers: Option<u64>,
}

/// One of `admin_getPeers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerInfo {
    /// What it runs.
    pub client: Client,
    /// Whether it is connected.
    pub connection_status: ConnectionStatus,
    /// Where it listens.
    pub listening_addresses: Vec<String>,
    /// Where it came from.
    pub seen_ips: Vec<IpAddr>,
    /// The operator named it.
    pub is_trusted: bool,
    /// Who called whom; none if it is not connected, or that is not known.
    pub connection_direction: Option<Direction>,
    /// Its record, if there is one.
    pub enr: Option<String>,
}

/// What a node runs. Unknown is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Client {
    /// Its version.
    pub version: String,
    /// Its system.
    pub os: String,
    /// The protocol that it speaks.
    pub protocol: String,
    /// As it calls itself.
    pub agent: Option<String>,
}

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Direction {
    /// The other.
    Incoming,
    /// This node.
    Outgoing,
}

/// Whether a node is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// In one word.
    pub status: Connection,
    /// Connections from it; none if it is not known who called.
    pub connections_in: Option<u8>,
    /// Connections to it.
    pub connections_out: Option<u8>,
    /// Seconds since it was there; 0 while it is. One that never was: since this node started.
    pub last_seen_secs: u64,
}

/// See [`ConnectionStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words say it")]
pub enum Connection {
    Connected,
    Disconnecting,
    Disconnected,
    Banned,
    Dialing,
    Unknown,
}

/// `admin_getSyncServiceState`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceState {
    /// Submissions that are being fetched.
    pub num_syncing: u64,
    /// The flow is followed up to the chain's end; none if that is not watched.
    pub catched_up: Option<bool>,
    /// The sweep in order, if there is one.
    pub auto_sync_serial: Option<SerialState>,
    /// The sweep without order, if there is one.
    pub auto_sync_random: Option<RandomState>,
}

/// A sweep through the flow in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SerialState {
    /// Submissions that are being fetched.
    pub tasks: Vec<u64>,
    /// The next one.
    pub next: u64,
    /// The last one that there is.
    pub max: u64,
    /// What became of those that are done before an earlier one is.
    pub pendings: BTreeMap<u64, String>,
    /// The next one after a restart.
    pub next_in_db: u64,
}

/// A sweep without order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RandomState {
    /// Its name.
    pub name: String,
    /// Submissions that are being fetched.
    pub tasks: Vec<u64>,
    /// Submissions that wait for somebody who has them.
    pub pending_txs: u64,
    /// Submissions that somebody has.
    pub ready_txs: u64,
    /// Those of them that are in memory.
    pub cached_ready_txs: u64,
}

/// One of `admin_getSyncInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncInfo {
    /// Seconds since it began.
    pub elapsed_secs: u64,
    /// Nodes that it is fetched from, by what they are doing.
    pub peers: BTreeMap<PeerState, u64>,
    /// What is to be fetched.
    pub goal: Goal,
    /// The next sector.
    pub next_chunks: u64,
    /// What is going on.
    pub state: SyncState,
}

/// What a node that chunks are fetched from is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs, reason = "the words say it")]
pub enum PeerState {
    Found,
    Connecting,
    Connected,
    Disconnecting,
    Disconnected,
}

/// What is to be fetched, in sectors (0G's chunks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Goal {
    /// Sectors of the blob.
    pub num_chunks: u64,
    /// The first that is wanted.
    pub index_start: u64,
    /// The one behind the last.
    pub index_end: u64,
    /// All that the node keeps of the blob is wanted.
    pub all_chunks: bool,
}

/// What is going on with a submission that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// Nothing yet.
    Idle,
    /// Nobody is known who has it.
    FindingPeers,
    /// Somebody is.
    FoundPeers,
    /// Somebody is called.
    ConnectingPeers,
    /// All calls that may be made are made.
    AwaitingOutgoingConnection,
    /// Those who have it are busy.
    AwaitingDownload,
    /// It comes.
    Downloading {
        /// From whom.
        peer_id: String,
        /// The first sector asked for.
        from_chunk: u64,
        /// The one behind the last.
        to_chunk: u64,
    },
    /// It is here.
    Completed,
    /// It is not, and is not asked for any more.
    Failed {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for SyncState {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            SyncState::Idle => "Idle",
            SyncState::FindingPeers => "FindingPeers",
            SyncState::FoundPeers => "FoundPeers",
            SyncState::ConnectingPeers => "ConnectingPeers",
            SyncState::AwaitingOutgoingConnection => "AwaitingOutgoingConnection",
            SyncState::AwaitingDownload => "AwaitingDownload",
            SyncState::Downloading {
                peer_id,
                from_chunk,
                to_chunk,
            } => {
                return write!(
                    to,
                    "Downloading {{ peer_id: {peer_id}, from_chunk: {from_chunk}, to_chunk: {to_chunk} }}"
                );
            }
            SyncState::Completed => "Completed",
            SyncState::Failed { reason } => return write!(to, "Failed {{ reason: {reason} }}"),
        };
        to.write_str(word)
    }
}

impl Serialize for SyncState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One of `admin_getFileLocation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Where it is: its address without a port, or its name where it is known by one.
    pub ip: String,
    /// What it keeps of the flow.
    pub shard_config: Slice,
}

/// The network of a node that speaks to no others.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Network for Alone {
    fn this_node(&self) -> NetworkInfo {
        NetworkInfo::default()
    }

    fn peers(&self) -> BTreeMap<String, PeerInfo> {
        BTreeMap::new()
    }

    fn service(&self) -> ServiceState {
        ServiceState::default()
    }

    fn syncs(&self, _seq: Option<u64>) -> BTreeMap<u64, SyncInfo> {
        BTreeMap::new()
    }

    fn holders(&self, _seq: u64) -> Vec<Location> {
        Vec::new()
    }

    fn start(&self, _wish: Wish) -> Result<(), Unwilling> {
        Err(Unwilling::Alone)
    }

    fn stop(&self, _seq: u64) -> bool {
        false
    }
}
