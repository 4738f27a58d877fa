//! Every row of ADMIN.md: one test, of the same name, calls the method and compares the answer with what
//! 0G wire, 3.2 says. And who may call at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jsonrpsee::RpcModule;
use lode_wire::Slice;
use lode_zgs::{
    Alone, Config, Loopback, Network, open_operator,
    operator::{
        Desk, desk,
        network::{
            Client, Connection, ConnectionStatus, Direction, Goal, Location, NetworkInfo, PeerInfo,
            PeerState, RandomState, SerialState, ServiceState, SyncInfo, SyncState, Unwilling,
            Wish,
        },
    },
    serve, serve_operator,
};
use serde_json::{Value, json};
use tokio::{net::UnixStream, sync::watch};
use world::{Blob, Node, http, table_is_true};

/// A network of two, which remembers what was wished.
#[derive(Default)]
struct Two(Mutex<Vec<Wish>>);

impl Network for Two {
    fn this_node(&self) -> NetworkInfo {
        NetworkInfo {
            peer_id: "me".to_owned(),
            listen_addresses: vec!["10.0.0.1:1234".to_owned()],
            total_peers: 2,
            banned_peers: 0,
            disconnected_peers: 1,
            connected_peers: 1,
            connected_outgoing_peers: Some(1),
            connected_incoming_peers: None,
        }
    }

    fn peers(&self) -> BTreeMap<String, PeerInfo> {
        let peer = PeerInfo {
            client: Client::default(),
            connection_status: ConnectionStatus {
                status: Connection::Connected,
                connections_in: None,
                connections_out: Some(1),
                last_seen_secs: 0,
            },
            listening_addresses: vec!["10.0.0.2:1234".to_owned()],
            seen_ips: vec![[10, 0, 0, 2].into()],
            is_trusted: true,
            connection_direction: Some(Direction::Outgoing),
            enr: None,
        };
        BTreeMap::from([("you".to_owned(), peer)])
    }

    fn service(&self) -> ServiceState {
        ServiceState {
            num_syncing: 1,
            catched_up: Some(true),
            auto_sync_serial: Some(SerialState {
                tasks: vec![3],
                next: 4,
                max: 9,
                pendings: BTreeMap::from([(5, "Completed".to_owned())]),
                next_in_db: 3,
            }),
            auto_sync_random: Some(RandomState {
                name: "sweep".to_owned(),
                tasks: vec![7],
                pending_txs: 1,
                ready_txs: 2,
                cached_ready_txs: 3,
            }),
        }
    }

    fn syncs(&self, seq: Option<u64>) -> BTreeMap<u64, SyncInfo> {
        let sync = SyncInfo {
            elapsed_secs: 12,
            peers: BTreeMap::from([(PeerState::Connected, 1), (PeerState::Found, 2)]),
            goal: Goal {
                num_chunks: 2048,
                index_start: 0,
                index_end: 2048,
                all_chunks: true,
            },
            next_chunks: 1024,
            state: SyncState::Downloading {
                peer_id: "you".to_owned(),
                from_chunk: 1024,
                to_chunk: 2048,
            },
        };
        let syncs = BTreeMap::from([(0, sync)]);
        let wanted = |found: &u64| seq.is_none_or(|seq| seq == *found);
        syncs
            .into_iter()
            .filter(|(found, _)| wanted(found))
            .collect()
    }

    fn holders(&self, _seq: u64) -> Vec<Location> {
        vec![Location {
            ip: "10.0.0.2".to_owned(),
            shard_config: Slice::new(1, 2).unwrap(),
        }]
    }

    fn start(&self, wish: Wish) -> Result<(), Unwilling> {
        self.0.lock().unwrap().push(wish);
        match wish {
            Wish::FetchRange { first: 1, .. } => Err(Unwilling::Busy(8)),
            _ => Ok(()),
        }
    }

    fn stop(&self, seq: u64) -> bool {
        seq == 0
    }
}

/// A node with methods of both kinds.
struct World {
    node: Node,
    two: Arc<Two>,
    among: RpcModule<Desk>,
    alone: RpcModule<Desk>,
    asked: watch::Receiver<bool>,
}

impl World {
    fn new() -> World {
        let (node, two) = (Node::new(), Arc::new(Two::default()));
        let network = Arc::clone(&two);
        let (among, asked) = desk(&node.room, network);
        let (alone, _) = desk(&node.room, Arc::new(Alone));
        World {
            node,
            two,
            among,
            alone,
            asked,
        }
    }

    async fn among(&self, method: &str, params: Value) -> Result<Value, Value> {
        call(&self.among, method, params).await
    }

    async fn alone(&self, method: &str, params: Value) -> Result<Value, Value> {
        call(&self.alone, method, params).await
    }

    fn wishes(&self) -> Vec<Wish> {
        self.two.0.lock().unwrap().clone()
    }
}

async fn call(module: &RpcModule<Desk>, method: &str, params: Value) -> Result<Value, Value> {
    let request = String::from_utf8(http::call(method, &params)).unwrap();
    let (answer, _) = module.raw_json_request(&request, 1).await.unwrap();
    let mut answer: Value = serde_json::from_str(answer.get()).unwrap();
    match answer.get_mut("error") {
        Some(error) => Err(error.take()),
        None => Ok(answer["result"].take()),
    }
}

fn internal(data: &str) -> Value {
    json!({"code": -32_603, "message": "Internal error", "data": data})
}

/// The table lists what is served, nothing else, and each row has a test here.
#[tokio::test]
async fn the_table_is_true() {
    let (table, tests) = (include_str!("../ADMIN.md"), include_str!("operator.rs"));
    table_is_true(table, tests, World::new().among.method_names());
}

#[tokio::test]
async fn find_file() {
    let (world, blob) = (World::new(), Blob::new(1, 300));
    world.node.submit(&[&blob]);
    assert_eq!(
        world.among("admin_findFile", json!([0])).await,
        Ok(Value::Null)
    );
    assert_eq!(world.wishes(), [Wish::Find { seq: 0 }]);
    let lone = world.alone("admin_findFile", json!([0])).await;
    assert_eq!(lone, Err(internal("this node speaks to no others")));
    let none = world.among("admin_findFile", json!([1])).await;
    assert_eq!(none, Err(internal("Transaction not found")));
    // What is here need not be looked for.
    let seq = world.node.store(&Blob::new(2, 300)).await;
    assert_eq!(
        world.alone("admin_findFile", json!([seq])).await,
        Ok(Value::Null)
    );
    assert_eq!(world.wishes().len(), 1);
}

#[tokio::test]
async fn shutdown() {
    let world = World::new();
    assert!(!*world.asked.borrow());
    assert_eq!(
        world.among("admin_shutdown", json!([])).await,
        Ok(Value::Null)
    );
    assert!(*world.asked.borrow());
}

#[tokio::test]
async fn start_sync_file() {
    let world = World::new();
    world.node.submit(&[&Blob::new(1, 300)]);
    let start = world.among("admin_startSyncFile", json!([0])).await;
    assert_eq!(start, Ok(Value::Null));
    assert_eq!(world.wishes(), [Wish::Fetch { seq: 0 }]);
    let lone = world.alone("admin_startSyncFile", json!([0])).await;
    assert_eq!(lone, Err(internal("this node speaks to no others")));
    let none = world.among("admin_startSyncFile", json!([7])).await;
    assert_eq!(none, Err(internal("Transaction not found")));
}

#[tokio::test]
async fn start_sync_chunks() {
    let world = World::new();
    world.node.submit(&[&Blob::new(1, 1_000)]);
    let start = |params| world.among("admin_startSyncChunks", params);
    assert_eq!(start(json!([0, 0, 4])).await, Ok(Value::Null));
    let wish = Wish::FetchRange {
        seq: 0,
        first: 0,
        end: 4,
    };
    assert_eq!(world.wishes(), [wish]);
    let range = json!({
        "code": -32_602, "message": "Invalid params: end_index", "data": "invalid chunk index",
    });
    for bad in [json!([0, 2, 2]), json!([0, 3, 2]), json!([0, 0, 5])] {
        assert_eq!(start(bad).await, Err(range.clone()));
    }
    let busy = internal("8 submissions are being fetched already");
    assert_eq!(start(json!([0, 1, 4])).await, Err(busy));
    assert_eq!(start(json!([0])).await.unwrap_err()["code"], json!(-32_602));
}

#[tokio::test]
async fn terminate_sync() {
    let world = World::new();
    for (seq, stopped) in [(0, true), (1, false)] {
        let answer = world.among("admin_terminateSync", json!([seq])).await;
        assert_eq!(answer, Ok(json!(stopped)));
    }
    assert_eq!(
        world.alone("admin_terminateSync", json!([0])).await,
        Ok(json!(false))
    );
}

#[tokio::test]
async fn get_sync_service_state() {
    let world = World::new();
    let state = world.among("admin_getSyncServiceState", json!([])).await;
    let want = json!({
        "numSyncing": 1, "catchedUp": true,
        "autoSyncSerial":
            {"tasks": [3], "next": 4, "max": 9, "pendings": {"5": "Completed"}, "nextInDb": 3},
        "autoSyncRandom":
            {"name": "sweep", "tasks": [7], "pendingTxs": 1, "readyTxs": 2, "cachedReadyTxs": 3},
    });
    assert_eq!(state, Ok(want));
    let nothing = json!({
        "numSyncing": 0, "catchedUp": null, "autoSyncSerial": null, "autoSyncRandom": null,
    });
    let state = world.alone("admin_getSyncServiceState", json!([])).await;
    assert_eq!(state, Ok(nothing));
}

#[tokio::test]
async fn get_sync_status() {
    let world = World::new();
    let status = world.among("admin_getSyncStatus", json!([0])).await;
    let want = "Downloading { peer_id: you, from_chunk: 1024, to_chunk: 2048 }";
    assert_eq!(status, Ok(json!(want)));
    let status = world.among("admin_getSyncStatus", json!([1])).await;
    assert_eq!(status, Ok(json!("unknown")));
    let texts = [
        SyncState::Idle,
        SyncState::FindingPeers,
        SyncState::FoundPeers,
        SyncState::ConnectingPeers,
        SyncState::AwaitingOutgoingConnection,
        SyncState::AwaitingDownload,
        SyncState::Completed,
    ];
    // 0G's words for these are the names themselves.
    for state in texts {
        assert_eq!(state.to_string(), format!("{state:?}"));
    }
}

#[tokio::test]
async fn get_sync_info() {
    let world = World::new();
    let want = json!({"0": {
        "elapsedSecs": 12, "peers": {"Connected": 1, "Found": 2},
        "goal": {"numChunks": 2048, "indexStart": 0, "indexEnd": 2048, "allChunks": true},
        "nextChunks": 1024,
        "state": "Downloading { peer_id: you, from_chunk: 1024, to_chunk: 2048 }",
    }});
    for params in [json!([]), json!([null]), json!([0])] {
        let info = world.among("admin_getSyncInfo", params).await;
        assert_eq!(info, Ok(want.clone()));
    }
    let info = world.among("admin_getSyncInfo", json!([1])).await;
    assert_eq!(info, Ok(json!({})));
    assert_eq!(
        world.alone("admin_getSyncInfo", json!([])).await,
        Ok(json!({}))
    );
}

#[tokio::test]
async fn get_network_info() {
    let world = World::new();
    let info = world.among("admin_getNetworkInfo", json!([])).await;
    let want = json!({
        "peerId": "me", "listenAddresses": ["10.0.0.1:1234"], "totalPeers": 2, "bannedPeers": 0,
        "disconnectedPeers": 1, "connectedPeers": 1, "connectedOutgoingPeers": 1,
        "connectedIncomingPeers": null,
    });
    assert_eq!(info, Ok(want));
    let info = world
        .alone("admin_getNetworkInfo", json!([]))
        .await
        .unwrap();
    assert_eq!(info["totalPeers"], json!(0));
    assert_eq!(info["listenAddresses"], json!([]));
}

#[tokio::test]
async fn get_peers() {
    let world = World::new();
    let peers = world.among("admin_getPeers", json!([])).await;
    let want = json!({"you": {
        "client": {"version": "", "os": "", "protocol": "", "agent": null},
        "connectionStatus":
            {"status": "connected", "connectionsIn": null, "connectionsOut": 1, "lastSeenSecs": 0},
        "listeningAddresses": ["10.0.0.2:1234"], "seenIps": ["10.0.0.2"], "isTrusted": true,
        "connectionDirection": "Outgoing", "enr": null,
    }});
    assert_eq!(peers, Ok(want));
    assert_eq!(
        world.alone("admin_getPeers", json!([])).await,
        Ok(json!({}))
    );
}

#[tokio::test]
async fn get_file_location() {
    let world = World::new();
    world.node.submit(&[&Blob::new(1, 300)]);
    let half = json!([{"ip": "10.0.0.2", "shardConfig": {"shardId": 1, "numShard": 2}}]);
    let some = world
        .among("admin_getFileLocation", json!([0, false]))
        .await;
    assert_eq!(some, Ok(half));
    let all = world.among("admin_getFileLocation", json!([0, true])).await;
    assert_eq!(all, Ok(Value::Null), "half of it is not all");
    let none = world
        .among("admin_getFileLocation", json!([1, false]))
        .await;
    assert_eq!(none, Err(internal("tx not found")));
    let lone = world
        .alone("admin_getFileLocation", json!([0, false]))
        .await;
    assert_eq!(lone, Ok(json!([])));
}

#[tokio::test]
async fn get_metrics() {
    let world = World::new();
    world.node.store(&Blob::new(1, 300)).await;
    let all = world.among("admin_getMetrics", json!([])).await.unwrap();
    assert_eq!(all["zgs_chunks"], json!("counter 1"));
    assert_eq!(all["zgs_in_flight_bytes"], json!("gauge 0"));
    assert_eq!(all["zgs_requests.grpc"], json!("counter 0"));
    let some = world
        .among("admin_getMetrics", json!(["zgs_refusals"]))
        .await;
    let names: Vec<String> = some.unwrap().as_object().unwrap().keys().cloned().collect();
    assert_eq!(names.len(), 11);
    assert!(names.iter().all(|name| name.starts_with("zgs_refusals.")));
}

/// The page for Prometheus has the same numbers, each name once.
#[tokio::test]
async fn the_page_is_whole() {
    let node = Node::new();
    node.store(&Blob::new(1, 300)).await;
    let again = node.call("zgs_uploadSegment", json!([Blob::new(1, 300).segment(0)]));
    assert!(again.await.is_err());
    let mut registry = prometheus_client::registry::Registry::with_prefix("lode");
    registry.register_collector(Box::new(lode_zgs::Metrics::of(&node.room)));
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
    for line in [
        "lode_zgs_chunks_total 1",
        "lode_zgs_refusals_total{reason=\"finalized\"} 1",
        "lode_zgs_connections{face=\"json_rpc\"} 0",
        "# TYPE lode_zgs_in_flight_bytes gauge",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
    let names = page.lines().filter(|line| line.starts_with("# TYPE "));
    let mut names: Vec<&str> = names.collect();
    let listed = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), listed);
}

fn served(change: impl FnOnce(&mut Config)) -> Node {
    Node::with(change)
}

/// Through the socket the operator's methods are answered, and the word of the operator's reaches the
/// node; the socket is gone afterwards.
#[tokio::test]
async fn by_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("operator.sock");
    let node = served(|config| config.operator.socket = Some(path.clone()));
    let operator = serve_operator(&node.room, Arc::new(Alone), [7; 32])
        .await
        .unwrap();
    assert_eq!(operator.socket(), Some(&*path));
    assert_eq!(operator.address(), None);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let mut asked = operator.shutdown();
    let shutdown = http::post(&http::call("admin_shutdown", &json!([])));
    let (status, body) = http::exchange(&mut stream, &shutdown).await.unwrap();
    assert_eq!(status, 200);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({"jsonrpc": "2.0", "id": 1, "result": null}));
    assert!(*asked.wait_for(|asked| *asked).await.unwrap());
    // Methods of strangers are not here, and neither are the miner's.
    for method in ["zgs_getStatus", "miner_start"] {
        let call = http::post(&http::call(method, &json!([])));
        let (_, body) = http::exchange(&mut stream, &call).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], json!(-32_601));
    }
    drop(stream);
    operator.stop().await;
    assert!(!path.exists());
    // Doors that were opened and never served at leave nothing behind either.
    let opened = open_operator(&node.room.config.operator, [7; 32]).await;
    assert!(opened.is_ok() && path.exists());
    drop(opened);
    assert!(!path.exists());
}

/// A port answers whoever knows the word, and nobody else; not even other machines may try.
#[tokio::test]
async fn by_the_port() {
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    let port = |address: [u8; 4]| {
        Some(Loopback {
            address: (address, 0).into(),
            token_file: token_file.clone(),
        })
    };
    let node = served(|config| config.operator.loopback = port([127, 0, 0, 1]));
    let operator = serve_operator(&node.room, Arc::new(Alone), [0xab; 32])
        .await
        .unwrap();
    let address = operator.address().unwrap();
    let word = std::fs::read_to_string(&token_file).unwrap();
    assert_eq!(word, "ab".repeat(32));
    let call = http::call("admin_getNetworkInfo", &json!([]));
    let with = |line: &str| http::post_with(line, &call);
    let known = with(&format!("Authorization: Bearer {word}\r\n"));
    assert_eq!(http::ask(address, &known).await.unwrap().0, 200);
    let short = &word[1..];
    for line in [
        "",
        "Authorization: Bearer \r\n",
        &format!("Authorization: Bearer {short}\r\n"),
    ] {
        assert_eq!(
            http::ask(address, &with(line)).await.unwrap().0,
            401,
            "{line}"
        );
    }
    operator.stop().await;
    let node = served(|config| config.operator.loopback = port([0, 0, 0, 0]));
    let refused = serve_operator(&node.room, Arc::new(Alone), [7; 32]).await;
    assert_eq!(
        refused.err().unwrap().kind(),
        std::io::ErrorKind::InvalidInput
    );
}

/// Without a word of the operator's there is no door; strangers do not find the methods.
#[tokio::test]
async fn closed_by_default() {
    let node = Node::new();
    let operator = serve_operator(&node.room, Arc::new(Alone), [7; 32])
        .await
        .unwrap();
    assert_eq!((operator.socket(), operator.address()), (None, None));
    let handle = serve(Arc::clone(&node.room)).await.unwrap();
    for name in World::new().among.method_names().chain(["miner_start"]) {
        let answer = http::rpc(handle.address(), name, &json!([0])).await;
        assert_eq!(answer["error"]["code"], json!(-32_601), "{name}");
    }
}
