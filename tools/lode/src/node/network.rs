//! What the operator is told of the other nodes (0G wire, 3.2), from what the node knows of them.
//!
//! The words are those of 0G's node, whose network finds its members by itself. Ours is configured, so
//! some have nothing to stand for: there is no record of a node (`enr`), a connection is not known to be
//! from or to somebody, and where it came from is not looked at. What is not known is null or empty.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use lode_peers::{FetchState, Fetching, Other, Standing, View, message::VERSION};
use lode_proofs::sectors;
use lode_zgs::{
    Network, Room,
    operator::network::{
        Client, Connection, ConnectionStatus, Goal, Location, NetworkInfo, PeerInfo, PeerState,
        SerialState, ServiceState, SyncInfo, SyncState, Unwilling, Wish,
    },
};

/// Sectors of a chunk.
const SECTORS: u64 = 1024;
const _: () = assert!(lode_proofs::CHUNK_LEN == 1024 * lode_proofs::SECTOR_LEN);

/// The others, if this node speaks to any.
pub struct Among {
    /// What the node knows of them; none of one that speaks to nobody.
    pub view: Option<View>,
    /// The flow, for how long blobs are.
    pub room: Arc<Room>,
    /// The flow is followed up to the chain's end.
    pub caught_up: Arc<AtomicBool>,
}

impl Network for Among {
    fn this_node(&self) -> NetworkInfo {
        let Some(view) = &self.view else {
            return NetworkInfo::default();
        };
        let others = view.others();
        let count = |of: &[Standing]| {
            let standing = others.iter().filter(|other| of.contains(&other.standing));
            counted(standing.count())
        };
        NetworkInfo {
            peer_id: view.key().to_string(),
            listen_addresses: vec![multiaddr(&view.listen().to_string())],
            total_peers: counted(others.len()),
            banned_peers: count(&[Standing::Blocked]),
            disconnected_peers: count(&[Standing::Unheard, Standing::Away]),
            connected_peers: count(&[Standing::Here]),
            connected_outgoing_peers: None,
            connected_incoming_peers: None,
        }
    }

    fn peers(&self) -> BTreeMap<String, PeerInfo> {
        let others = self.view.iter().flat_map(View::others);
        let now = SystemTime::now();
        others
            .map(|other| (other.key.to_string(), peer(&other, now)))
            .collect()
    }

    fn service(&self) -> ServiceState {
        let catched_up = Some(self.caught_up.load(Relaxed));
        let Some(view) = &self.view else {
            return ServiceState {
                catched_up,
                ..ServiceState::default()
            };
        };
        let (fetches, status) = (view.fetches(), view.status());
        let open = fetches.iter();
        let open = open.filter(|fetch| fetch.state == FetchState::Open);
        ServiceState {
            num_syncing: counted(fetches.len()),
            catched_up,
            auto_sync_serial: Some(SerialState {
                tasks: open.map(|fetch| fetch.seq).collect(),
                next: status.sweep_at,
                max: status.next_seq.saturating_sub(1),
                // What is complete out of turn is not written down: the store is asked again.
                pendings: BTreeMap::new(),
                // Nor is the sweep's place: after a start it begins at the first.
                next_in_db: 0,
            }),
            auto_sync_random: None,
        }
    }

    fn syncs(&self, seq: Option<u64>) -> BTreeMap<u64, SyncInfo> {
        let Some(view) = &self.view else {
            return BTreeMap::new();
        };
        let fetches = match seq {
            Some(seq) => view.fetching(seq).into_iter().collect(),
            None => view.fetches(),
        };
        let (others, now) = (view.others(), SystemTime::now());
        let infos = fetches.iter().filter_map(|fetch| {
            // Of a submission that the chain takes back right now there is nothing to tell.
            let submission = self.room.book.submission(fetch.seq).ok()??;
            Some((
                fetch.seq,
                sync(fetch, sectors(submission.size), &others, now),
            ))
        });
        infos.collect()
    }

    fn holders(&self, seq: u64) -> Vec<Location> {
        let holders = self.view.iter().flat_map(|view| view.holders(seq));
        let located = holders.filter_map(|other| {
            Some(Location {
                ip: host_of(&other.host),
                shard_config: other.hello?.slice,
            })
        });
        located.collect()
    }

    fn start(&self, wish: Wish) -> Result<(), Unwilling> {
        let view = self.view.as_ref().ok_or(Unwilling::Alone)?;
        match wish {
            // The others say by themselves which submissions they have, several times a minute.
            Wish::Find { .. } => Ok(()),
            // A part is fetched with the rest: the sweep would bring it anyway.
            Wish::Fetch { seq } | Wish::FetchRange { seq, .. } => {
                let fetched = view.fetch(seq);
                fetched.map_err(|busy| Unwilling::Busy(busy.0))
            }
        }
    }

    fn stop(&self, seq: u64) -> bool {
        self.view
            .as_ref()
            .is_some_and(|view| view.stop_fetching(seq))
    }
}

fn peer(other: &Other, now: SystemTime) -> PeerInfo {
    let status = match other.standing {
        Standing::Here => Connection::Connected,
        Standing::Away => Connection::Disconnected,
        Standing::Blocked => Connection::Banned,
        // It is called twice a second until it is there.
        Standing::Unheard => Connection::Dialing,
    };
    let is_here = other.standing == Standing::Here;
    let seen = other.heard.unwrap_or(other.since);
    // None of it is there if it is not here.
    let connections = (!is_here).then_some(0);
    PeerInfo {
        client: Client {
            protocol: other
                .hello
                .map_or_else(String::new, |_| PROTOCOL.to_owned()),
            ..Client::default()
        },
        connection_status: ConnectionStatus {
            status,
            connections_in: connections,
            connections_out: connections,
            last_seen_secs: if is_here { 0 } else { secs(seen, now) },
        },
        listening_addresses: vec![multiaddr(&other.host)],
        seen_ips: Vec::new(),
        is_trusted: true,
        connection_direction: None,
        enr: None,
    }
}

/// What all who are heard speak: messages of another version are not read.
const PROTOCOL: &str = "lode-peers/1";
const _: () = assert!(VERSION == 1);

fn sync(fetch: &Fetching, sectors: u64, others: &[Other], now: SystemTime) -> SyncInfo {
    let in_blob = |chunk: u64| chunk.saturating_mul(SECTORS).min(sectors);
    let asked = |other: &Other| fetch.from.iter().any(|asked| asked.peer == other.key);
    let mut peers = BTreeMap::new();
    for other in others {
        if asked(other) || other.holds(fetch.seq) {
            let state = match other.standing {
                Standing::Here => PeerState::Connected,
                _ => PeerState::Disconnected,
            };
            *peers.entry(state).or_insert(0) += 1;
        }
    }
    let helped = peers.contains_key(&PeerState::Connected);
    let state = match (fetch.state, fetch.from.first()) {
        (FetchState::Asked, _) => SyncState::Idle,
        (FetchState::Open, Some(asked)) => SyncState::Downloading {
            peer_id: asked.peer.to_string(),
            from_chunk: in_blob(asked.first),
            to_chunk: in_blob(asked.end),
        },
        (FetchState::Open, None) if helped => SyncState::AwaitingDownload,
        (FetchState::Open | FetchState::Waits { .. }, _) => SyncState::FindingPeers,
        (FetchState::Whole, _) => SyncState::Completed,
        (FetchState::Stopped, _) => SyncState::Failed {
            reason: "stopped by the operator".to_owned(),
        },
    };
    let done = fetch.state == FetchState::Whole;
    SyncInfo {
        elapsed_secs: secs(fetch.since, now),
        peers,
        goal: Goal {
            num_chunks: sectors,
            index_start: 0,
            index_end: sectors,
            all_chunks: true,
        },
        next_chunks: match fetch.first {
            _ if done => sectors,
            first => first.map_or(0, in_blob),
        },
        state,
    }
}

/// Seconds between two moments, down; 0 if the clock was set back.
fn secs(from: SystemTime, to: SystemTime) -> u64 {
    to.duration_since(from).unwrap_or(Duration::ZERO).as_secs()
}

fn counted(len: usize) -> u64 {
    u64::try_from(len).expect("64-bit")
}

/// `HOST:PORT` as 0G's nodes write an address.
fn multiaddr(host: &str) -> String {
    match (host.parse::<SocketAddr>(), host.rsplit_once(':')) {
        (Ok(SocketAddr::V4(at)), _) => format!("/ip4/{}/tcp/{}", at.ip(), at.port()),
        (Ok(SocketAddr::V6(at)), _) => format!("/ip6/{}/tcp/{}", at.ip(), at.port()),
        (Err(_), Some((name, port))) => format!("/dns/{name}/tcp/{port}"),
        // Nodes are configured with a port.
        (Err(_), None) => host.to_owned(),
    }
}

/// `HOST:PORT` without the port.
fn host_of(host: &str) -> String {
    match (host.parse::<SocketAddr>(), host.rsplit_once(':')) {
        (Ok(at), _) => at.ip().to_string(),
        (Err(_), Some((name, _))) => name.to_owned(),
        (Err(_), None) => host.to_owned(),
    }
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
