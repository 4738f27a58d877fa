//! Nodes over real sockets on this machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use futures_lite::future::block_on;
use lode_wire::Slice;
use tempfile::TempDir;

use super::*;
use crate::{
    board::{FetchState, Standing},
    config::{PeerAddress, SERVE_RATE},
    tests::store::{Flow, Store},
};

const CHUNK: usize = 262_144;
/// After which a test is stuck. Nothing is said of how long it takes.
const STUCK: Duration = Duration::from_secs(120);

/// Ports that were free a moment ago, with nodes for them that know each other.
fn configs(home: &Path, count: usize) -> Vec<Config> {
    let local = (Ipv4Addr::LOCALHOST, 0);
    let ports: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind(local).unwrap())
        .collect();
    let nodes: Vec<_> = (0..)
        .zip(ports)
        .map(|(at, port): (u64, _)| (home.join(at.to_string()), port.local_addr().unwrap()))
        .collect();
    let peer = |(dir, listen): &(std::path::PathBuf, SocketAddr)| PeerAddress {
        key: PeerKey::of(&lode_net::identity::open(dir).unwrap().public_key()),
        host: listen.to_string(),
    };
    let peers: Vec<PeerAddress> = nodes.iter().map(peer).collect();
    let config = |(dir, listen): (std::path::PathBuf, SocketAddr)| Config {
        dir,
        listen,
        peers: peers.clone(),
        chain_id: 16_602,
        flow: [9; 20],
        serve_rate: SERVE_RATE,
        threads: 2,
    };
    nodes.into_iter().map(config).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let stuck = Instant::now() + STUCK;
    while !holds() {
        assert!(Instant::now() < stuck, "stuck before {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn two() -> (TempDir, Vec<Config>, Flow, [Store; 2]) {
    let home = tempfile::tempdir().unwrap();
    let configs = configs(home.path(), 2);
    let flow = Flow::default();
    let stores = [0, 1].map(|_| Store::new(&flow, Slice::WHOLE));
    (home, configs, flow, stores)
}

/// Two nodes find each other, exchange what each alone has, and stop.
#[test]
fn two_nodes_exchange_what_they_have() {
    let (_home, configs, flow, stores) = two();
    for size in [100, 3 * CHUNK + 9, 40 * CHUNK] {
        flow.submit(size);
    }
    stores[0].upload(0);
    stores[0].upload(2);
    stores[1].upload(1);
    let nodes: Vec<Handle> = configs
        .into_iter()
        .zip(&stores)
        .map(|(config, store)| Peers::start(config, store.clone()).unwrap())
        .collect();
    until("whole", || stores.iter().all(|store| store.lacks() == 0));
    until("counted", || nodes.iter().all(|node| node.peers() == 1));
    let views: Vec<View> = nodes.iter().map(Handle::view).collect();
    until("told", || {
        views.iter().all(|view| view.holders(2).len() == 1) && views[0].fetches().is_empty()
    });
    let other = &views[0].others()[0];
    assert_eq!(other.key, nodes[1].key());
    assert_eq!(other.host, views[1].listen().to_string());
    assert_eq!(other.standing, Standing::Here);
    assert!(other.since >= views[0].began && other.heard.unwrap() >= other.since);
    assert_eq!(
        views[0].others().len(),
        1,
        "the node itself is none of them"
    );
    assert_eq!(views[0].holders(3), []);
    let state = |seq| views[0].fetching(seq).map(|fetch| fetch.state);
    assert_eq!((state(1), state(0)), (Some(FetchState::Whole), None));
    assert!(!views[0].stop_fetching(1), "nothing of it is fetched");
    let fresh = flow.submit(CHUNK);
    stores[1].upload(fresh);
    views[0].fetch(fresh).unwrap();
    until("whole again", || stores[0].lacks() == 0);
    let status = nodes[0].status();
    assert!(
        status.bytes_out > 40 * 262_144 && status.bytes_in > 3 * 262_144,
        "{status:?}"
    );
    assert_eq!(status.liars, 0);
    for node in nodes {
        assert!(!node.is_ended());
        block_on(node.stop()).unwrap();
    }
    until("nobody listens", || views[0].fetch(100).is_err());
}

/// A node of another chain has the keys and the addresses, and does not get past the handshake.
#[test]
fn another_network_stays_outside() {
    let home = tempfile::tempdir().unwrap();
    let mut configs = configs(home.path(), 3);
    configs[2].chain_id += 1;
    let flow = Flow::default();
    let nodes: Vec<Handle> = configs
        .into_iter()
        .map(|config| Peers::start(config, Store::new(&flow, Slice::WHOLE)).unwrap())
        .collect();
    until("two are here", || {
        nodes[0].peers() == 1 && nodes[1].peers() == 1
    });
    // The third dials twice a second.
    thread::sleep(Duration::from_secs(4));
    let peers: Vec<u64> = nodes.iter().map(Handle::peers).collect();
    assert_eq!(peers, [1, 1, 0]);
    for node in nodes {
        block_on(node.stop()).unwrap();
    }
}

/// What cannot begin says why.
#[test]
fn says_why_it_cannot_begin() {
    let (_home, mut configs, _flow, [store, _]) = two();
    let config = configs.remove(0);
    let error = |config: &Config| Peers::start(config.clone(), store.clone()).err().unwrap();
    let taken = TcpListener::bind(config.listen).unwrap();
    assert!(matches!(error(&config), Error::Listen(_, _)));
    drop(taken);
    let mut twice = config.clone();
    twice.peers.extend(config.peers.clone());
    assert!(matches!(
        error(&twice),
        Error::Others(OthersError::Twice(_))
    ));
    let mut many = config.clone();
    many.peers = (0..=PEERS_MAX)
        .map(|seed| PeerAddress {
            key: PeerKey::of(&PrivateKey::from_seed(u64::try_from(seed).unwrap()).public_key()),
            host: "10.0.0.1:1".to_owned(),
        })
        .collect();
    assert!(matches!(error(&many), Error::TooMany(_)));
    std::fs::write(config.dir.join("peers.key"), "no key").unwrap();
    assert!(matches!(error(&config), Error::Key(_)));
}

/// How fast one node fills another on this machine, checks at both ends included.
#[test]
#[ignore = "a measure: cargo test --release -p lode-peers -- --ignored --nocapture fills_at"]
fn fills_at() {
    const CHUNKS: usize = 1024;
    let (_home, mut configs, flow, stores) = two();
    flow.submit(CHUNKS * CHUNK);
    stores[0].upload(0);
    for config in &mut configs {
        config.serve_rate = u64::MAX;
    }
    let nodes: Vec<Handle> = configs
        .into_iter()
        .zip(&stores)
        .map(|(config, store)| Peers::start(config, store.clone()).unwrap())
        .collect();
    until("begun", || stores[1].puts() > 0);
    let began = Instant::now();
    let rest = u64::try_from(CHUNKS).unwrap() - stores[1].puts();
    until("whole", || nodes[1].status().chunks_fetched == 1024);
    let millis = began.elapsed().as_millis();
    let bytes = u128::from(rest) * 262_144;
    println!(
        "{} MB/s: {bytes} bytes in {millis} ms",
        bytes / 1000 / millis.max(1)
    );
    assert_eq!(stores[1].lacks(), 0);
    for node in nodes {
        block_on(node.stop()).unwrap();
    }
}
