//! The operator's calls: who the others are, what is fetched from them, and the end of a node.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
};

use lode_peers::Peers;
use serde_json::{Value, json};

use crate::{
    chain::{Parts, free_port, text},
    house::{CHUNK, Node, code, noise, root_of, run},
    storage::{ask, submit, until, wait_for},
};

/// Asks through the operator's socket.
fn call(socket: &Path, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let answer: Value = serde_json::from_str(body).unwrap();
    assert_eq!(answer["error"], Value::Null, "{method}");
    answer["result"].clone()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Two nodes that name each other, and the chain that they follow.
struct Two<'a> {
    parts: &'a Parts<'a>,
    folder: PathBuf,
    zgs: [String; 2],
    peers: [String; 2],
    keys: [String; 2],
    /// The operator's port of the first, and the file of its word.
    door: String,
    token: PathBuf,
    /// The operator's socket of the second.
    socket: PathBuf,
}

impl Two<'_> {
    fn new<'a>(dir: &Path, parts: &'a Parts<'a>) -> Two<'a> {
        let address = || format!("127.0.0.1:{}", free_port());
        let folder = dir.join("two");
        let key = |data: &Path| Peers::key_in(data).unwrap().to_string();
        Two {
            parts,
            zgs: [address(), address()],
            peers: [address(), address()],
            keys: [key(&dir.join("data")), key(&folder.join("data"))],
            folder,
            door: address(),
            token: dir.join("token"),
            socket: dir.join("operator.sock"),
        }
    }

    /// Flags of the one or the other.
    fn flags(&self, at: usize) -> Vec<String> {
        let both = self.keys.iter().zip(&self.peers);
        let both: Vec<String> = both.map(|(key, host)| format!("{key}@{host}")).collect();
        let mut flags = vec!["--zgs-listen".to_owned(), self.zgs[at].clone()];
        flags.extend(["--peers-listen".to_owned(), self.peers[at].clone()]);
        flags.extend(["--peers".to_owned(), both.join(",")]);
        flags.push("--operator-listen".to_owned());
        match at {
            0 => {
                flags.push(self.door.clone());
                flags.extend(["--operator-token".to_owned(), text(&self.token)]);
            }
            _ => flags.push(format!("unix:{}", self.socket.display())),
        }
        flags
    }

    fn start_first(&self) -> Node {
        let flags = self.flags(0);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let node = self.parts.node_with(&flags);
        wait_for(&self.zgs[0]);
        node
    }

    fn start_second(&self) -> Node {
        let (flags, rpc) = (self.flags(1), self.parts.rpc());
        let mut all = vec!["--shards", "1", "--chain", &rpc];
        all.extend(flags.iter().map(String::as_str));
        Node::start(&self.folder, &all)
    }
}

/// Two nodes. The operator of the second hears of the first before it is there and after; stops a fetch,
/// which then stays stopped, and starts it again; and ends the node.
#[test]
fn the_operator_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts::new(dir.path());
    let chain = parts.chain();
    let two = Two::new(dir.path(), &parts);
    let one = two.start_first();
    let (blob, file) = (noise(5, 3 * CHUNK + 1), dir.path().join("file"));
    fs::write(&file, &blob).unwrap();
    let zgs = format!("http://{}", two.zgs[0]);
    let done = submit(dir.path(), &file, one.url(), &zgs, &parts.rpc());
    assert_eq!(code(&done), 0, "{done:?}");
    by_the_port(&two.door, &two.token);
    one.signal("TERM");
    assert_eq!(one.wait(), Some(0));

    let node = two.start_second();
    assert_eq!(mode(&two.socket), 0o600);
    let operator = |method: &str, params| call(&two.socket, method, params);
    alone(&operator, &two.keys[0]);
    assert_eq!(operator("admin_terminateSync", json!([0])), json!(true));
    assert_eq!(operator("admin_terminateSync", json!([0])), json!(false));
    let one = two.start_first();
    stopped(&operator);

    assert_eq!(operator("admin_startSyncFile", json!([0])), Value::Null);
    until("all of it is here", || {
        operator("admin_getSyncStatus", json!([0])) == json!("Completed")
    });
    let (zgs, root) = (format!("http://{}", two.zgs[1]), root_of(&blob));
    let whole = ask(&zgs, "zgs_checkFileFinalized", json!([root]));
    assert_eq!(whole, json!(true));
    among(&operator, &node, &two.keys[0], &two.keys[1]);

    assert_eq!(operator("admin_shutdown", json!([])), Value::Null);
    assert_eq!(node.wait(), Some(0));
    assert!(!two.socket.exists());
    drop(one);
    chain.stop();
}

/// The fetch stays stopped though somebody came who has it all.
fn stopped(operator: &impl Fn(&str, Value) -> Value) {
    until("the holder is known", || {
        operator("admin_getFileLocation", json!([0, true])) != Value::Null
    });
    let held = json!([{"ip": "127.0.0.1", "shardConfig": {"shardId": 0, "numShard": 1}}]);
    let locations = operator("admin_getFileLocation", json!([0, false]));
    assert_eq!(locations, held);
    assert_eq!(operator("admin_findFile", json!([0])), Value::Null);
    let status = operator("admin_getSyncStatus", json!([0]));
    assert_eq!(status, json!("Failed { reason: stopped by the operator }"));
}

/// Nobody else is there: what is submitted is looked for, and the other is called.
fn alone(operator: &impl Fn(&str, Value) -> Value, other: &str) {
    until("it is looked for", || {
        operator("admin_getSyncStatus", json!([0])) == json!("FindingPeers")
    });
    let info = operator("admin_getSyncInfo", json!([]));
    let goal = json!({"numChunks": 3073, "indexStart": 0, "indexEnd": 3073, "allChunks": true});
    assert_eq!(info["0"]["goal"], goal);
    assert_eq!(info["0"]["peers"], json!({}));
    let state = operator("admin_getSyncServiceState", json!([]));
    assert_eq!(state["numSyncing"], json!(1));
    assert_eq!(state["autoSyncSerial"]["max"], json!(0));
    let peers = operator("admin_getPeers", json!([]));
    assert_eq!(peers[other]["connectionStatus"]["status"], json!("dialing"));
    assert_eq!(peers.as_object().unwrap().len(), 1);
    let network = operator("admin_getNetworkInfo", json!([]));
    let counts = (&network["totalPeers"], &network["disconnectedPeers"]);
    assert_eq!(counts, (&json!(1), &json!(1)));
    let nowhere = operator("admin_getFileLocation", json!([0, false]));
    assert_eq!(nowhere, json!([]));
}

/// The other is there, and all has come from it.
fn among(operator: &impl Fn(&str, Value) -> Value, node: &Node, other: &str, me: &str) {
    let peers = operator("admin_getPeers", json!([]));
    let peer = &peers[other];
    assert_eq!(peer["connectionStatus"]["status"], json!("connected"));
    assert_eq!(peer["connectionStatus"]["lastSeenSecs"], json!(0));
    assert_eq!(peer["isTrusted"], json!(true));
    let network = operator("admin_getNetworkInfo", json!([]));
    assert_eq!(network["peerId"], json!(me));
    assert_eq!(network["connectedPeers"], json!(1));
    assert_eq!(operator("admin_getSyncInfo", json!([])), json!({}));
    until("nothing is to be done", || {
        let state = operator("admin_getSyncServiceState", json!([]));
        (&state["numSyncing"], &state["catchedUp"]) == (&json!(0), &json!(true))
    });
    let metrics = operator("admin_getMetrics", json!(["zgs_requests.operator"]));
    assert_eq!(metrics.as_object().unwrap().len(), 1);
    assert!(node.metric("lode_zgs_requests_total{face=\"operator\"}") > 10);
    assert_eq!(node.metric("lode_peers_here"), 1);
    assert_eq!(node.metric("lode_peers_chunks_fetched_total"), 4);
    assert_eq!(node.metric("lode_peers_submissions"), 1);
}

/// The port's word is made for its owner alone, and nobody is answered without it.
fn by_the_port(door: &str, token: &Path) {
    assert_eq!(mode(token), 0o600);
    let url = format!("http://{door}");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "admin_getPeers", "params": []});
    let stranger = ureq::post(&url).send_json(&body);
    let refused = matches!(stranger, Err(ureq::Error::StatusCode(401)));
    assert!(refused, "{stranger:?}");
    let word = format!("Bearer {}", fs::read_to_string(token).unwrap());
    let known = ureq::post(&url).header("Authorization", word);
    assert_eq!(known.send_json(&body).unwrap().status(), 200);
}

/// A door that others could open too is refused before anything is started, and it is said why.
#[test]
fn no_open_door() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "ab".repeat(32)).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let (data, word) = (text(&dir.path().join("data")), text(&token));
    let busy = dir.path().join("busy");
    fs::write(&busy, "a file").unwrap();
    let busy = format!("unix:{}", busy.display());
    let start = |more: &[&str]| {
        let flags = ["node", "--dir", &data, "--listen", "127.0.0.1:0", "--chain"];
        let url = ["http://127.0.0.1:1", "--zgs-listen", "127.0.0.1:0"];
        run(&[&flags[..], &url, more].concat())
    };
    let port = ["--operator-listen", "127.0.0.1:0"];
    for (more, exit, says) in [
        (vec!["--operator-listen", "0.0.0.0:0"], 2, "machine alone"),
        (port.to_vec(), 2, "operator_token is not set"),
        (
            [&port[..], &["--operator-token", &word]].concat(),
            1,
            "mode must be 0600",
        ),
        (vec!["--operator-listen", &busy], 1, "is no socket"),
    ] {
        let refused = start(&more);
        assert_eq!(code(&refused), exit, "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(says), "{said}");
    }
}
