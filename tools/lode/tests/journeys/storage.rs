//! What 0G's clients do, by our own: submit, upload, ask, download; each submission paid for once, and
//! nothing waits for the chain.

use std::{
    fs,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    chain::{Parts, devnet, devnet_with, free_port, text},
    house::{CHUNK, code, json, noise, root_of, run},
};

/// The first of the accounts that everybody knows.
pub const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// Asks a node's storage RPC.
pub fn ask(url: &str, method: &str, params: Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut answer = ureq::post(url).send_json(&request).unwrap();
    let answer: Value = answer.body_mut().read_json().unwrap();
    assert_eq!(answer["error"], Value::Null, "{method}");
    answer["result"].clone()
}

/// Submits a file through a node.
pub fn submit(dir: &Path, file: &Path, node: &str, zgs: &str, chain: &str) -> Output {
    let key = dir.join("key");
    fs::write(&key, KEY).unwrap();
    let (file, key, state) = (text(file), text(&key), text(&dir.join("state")));
    run(&[
        "submit",
        &file,
        "--json",
        "--node",
        node,
        "--zgs",
        zgs,
        "--chain",
        chain,
        "--private-key",
        &key,
        "--state",
        &state,
    ])
}

/// A file goes into the flow, comes out by every way, and is not paid for again.
#[test]
fn submitted_once() {
    let dir = tempfile::tempdir().unwrap();
    let net = devnet(dir.path());
    let url = |value: &Value| value.as_str().unwrap().to_owned();
    let (node, zgs) = (url(&net.ready["api"]), url(&net.ready["nodes"][0]["zgs"]));
    let (chain, indexer) = (url(&net.ready["chain"]["rpc"]), url(&net.ready["indexer"]));
    let bytes = noise(3, 2 * CHUNK + 777);
    let (file, root) = (dir.path().join("file"), root_of(&bytes));
    fs::write(&file, &bytes).unwrap();

    let first = submit(dir.path(), &file, &node, &zgs, &chain);
    assert_eq!(code(&first), 0, "{first:?}");
    let first = &json(&first)["files"][0];
    assert_eq!(first["root"], json!(root));
    assert_eq!(
        (&first["seq"], &first["existed"]),
        (&json!(0), &json!(false))
    );
    assert!(first["tx"].is_string());
    let info = ask(&zgs, "zgs_getFileInfo", json!([root, true]));
    assert_eq!(
        (&info["finalized"], &info["tx"]["size"]),
        (&json!(true), &json!(bytes.len()))
    );

    let again = submit(dir.path(), &file, &node, &zgs, &chain);
    let again = &json(&again)["files"][0];
    assert_eq!(
        (&again["tx"], &again["existed"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(ask(&zgs, "zgs_getStatus", json!([]))["nextTxSeq"], json!(1));

    let got = run(&["get", &root.to_string(), "--node", &node, "-o", "-"]);
    assert!(got.stdout == bytes, "by our own client");
    until("the indexer knows the node", || {
        let nodes = ask(&indexer, "indexer_getShardedNodes", json!([]));
        nodes["trusted"] != json!([])
    });
    let mut answer = ureq::get(format!("{indexer}/file?root={root}"))
        .call()
        .unwrap();
    let body = answer
        .body_mut()
        .with_config()
        .limit(10 << 20)
        .read_to_vec();
    assert!(body.unwrap() == bytes, "by the indexer");
    let mut answer = ureq::get(format!("{indexer}/v1/files/{root}"))
        .header("range", "bytes=262140-262150")
        .call()
        .unwrap();
    assert_eq!(answer.status(), 206);
    assert_eq!(
        answer.body_mut().read_to_vec().unwrap(),
        bytes[262_140..=262_150]
    );
    net.stop();
}

/// What one node has, the others fetch; one that has lost its disk, and with it its name, is whole again
/// by itself.
#[test]
fn nodes_heal_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let net = devnet_with(dir.path(), &["--nodes", "2"]);
    let url = |value: &Value| value.as_str().unwrap().to_owned();
    let ready = net.ready.clone();
    let node = |number: usize, face: &str| url(&ready["nodes"][number][face]);
    let blobs = [noise(1, 3 * CHUNK + 1), noise(2, 500), noise(3, 2 * CHUNK)];
    let file = dir.path().join("file");
    for blob in &blobs {
        fs::write(&file, blob).unwrap();
        let chain = url(&ready["chain"]["rpc"]);
        let done = submit(dir.path(), &file, &node(0, "rpc"), &node(0, "zgs"), &chain);
        assert_eq!(code(&done), 0, "{done:?}");
    }
    all_are_whole(&node(1, "zgs"), &blobs);
    net.stop();

    fs::remove_dir_all(dir.path().join("net/nodes/1/data")).unwrap();
    let net = devnet_with(dir.path(), &["--nodes", "2"]);
    all_are_whole(&node(1, "zgs"), &blobs);
    for blob in &blobs {
        let root = root_of(blob).to_string();
        let got = run(&["get", &root, "--node", &node(1, "rpc"), "-o", "-"]);
        assert!(
            got.stdout == *blob,
            "from the node that had lost everything"
        );
    }
    until("it counts the other", || {
        ask(&node(1, "zgs"), "zgs_getStatus", json!([]))["connectedPeers"] == json!(1)
    });
    net.stop();
}

/// Waits until something is so.
pub fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a node says that it has all blobs.
fn all_are_whole(zgs: &str, blobs: &[Vec<u8>]) {
    let until = Instant::now() + Duration::from_secs(120);
    for blob in blobs {
        let root = root_of(blob);
        while ask(zgs, "zgs_checkFileFinalized", json!([root])) != json!(true) {
            assert!(Instant::now() < until, "{root} does not come");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The chain dies: everything that it has ordered is told and served as before, by a node that was
/// killed meanwhile too. It returns: the flow goes on.
#[test]
fn nothing_waits_for_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts::new(dir.path());
    let listen = format!("127.0.0.1:{}", free_port());
    let (zgs, flags) = (format!("http://{listen}"), ["--zgs-listen", &listen]);
    let chain = parts.chain();
    let node = parts.node_with(&flags);
    wait_for(&listen);
    let file = dir.path().join("file");
    let blobs = [noise(1, CHUNK + 5), noise(2, 300)];
    fs::write(&file, &blobs[0]).unwrap();
    let done = submit(dir.path(), &file, node.url(), &zgs, &parts.rpc());
    assert_eq!(code(&done), 0, "{done:?}");

    chain.kill();
    node.kill();
    let node = parts.node_with(&flags);
    wait_for(&listen);
    let root = root_of(&blobs[0]);
    let info = ask(&zgs, "zgs_getFileInfo", json!([root, true]));
    assert_eq!(info["finalized"], json!(true));
    let status = ask(&zgs, "zgs_getStatus", json!([]));
    assert_eq!(status["networkIdentity"]["chainId"], json!(31_337));
    let segment = ask(&zgs, "zgs_downloadSegmentWithProof", json!([root, 1]));
    assert_eq!(segment["index"], json!(1));

    let chain = parts.chain();
    fs::write(&file, &blobs[1]).unwrap();
    let done = submit(dir.path(), &file, node.url(), &zgs, &parts.rpc());
    assert_eq!(code(&done), 0, "{done:?}");
    assert_eq!(json(&done)["files"][0]["seq"], json!(1));
    chain.stop();
}

/// Waits until somebody listens.
pub fn wait_for(address: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
