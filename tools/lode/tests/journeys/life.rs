//! A node's life: starting, stopping, dying, and starting again.

use std::{fs, time::Duration};

use crate::house::{CHUNK, Node, code, json, lode, noise, root_of, run};

/// SIGTERM lets the request in flight end, refuses new ones, and ends well; all is there again.
#[test]
fn graceful_stop() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let kept = noise(1, 2_000_000);
    node.put(&kept);
    let bytes = noise(2, 3_000_000);
    let mut raw = node.connect();
    raw.head(
        "PUT",
        "/v1/blobs",
        &[("content-length", &bytes.len().to_string())],
    );
    raw.write(&bytes[..1_000_000]);
    std::thread::sleep(Duration::from_millis(100));
    node.signal("TERM");
    std::thread::sleep(Duration::from_millis(300));
    raw.write(&bytes[1_000_000..]);
    assert_eq!(raw.answer("PUT").status, 201);
    assert_eq!(node.wait(), Some(0));
    let node = Node::start(dir.path(), &[]);
    assert_eq!(node.get(&root_of(&kept).to_string()), kept);
    assert_eq!(node.get(&root_of(&bytes).to_string()), bytes);
}

/// A stop does not wait for ever for a client that does nothing; a second signal not at all.
#[test]
fn impatient_stop() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--drain-time", "500ms"]);
    let mut stuck = node.connect();
    stuck.head("PUT", "/v1/blobs", &[("content-length", "1000000")]);
    std::thread::sleep(Duration::from_millis(100));
    node.signal("TERM");
    assert_eq!(node.wait(), Some(0));
    let node = Node::start(dir.path(), &["--drain-time", "60s"]);
    let mut stuck = node.connect();
    stuck.head("PUT", "/v1/blobs", &[("content-length", "1000000")]);
    std::thread::sleep(Duration::from_millis(100));
    node.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    node.signal("INT");
    assert_eq!(node.wait(), Some(130));
}

/// What was acknowledged before SIGKILL is there after it, on either world.
#[test]
fn kill() {
    for backend in ["auto", "posix"] {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &["--backend", backend]);
        let blobs: Vec<Vec<u8>> = [10, CHUNK, 5_000_000].map(|size| noise(3, size)).into();
        blobs
            .iter()
            .for_each(|bytes| assert!(!node.put(bytes).is_empty()));
        node.kill();
        let node = Node::start(dir.path(), &["--backend", backend]);
        for bytes in &blobs {
            assert_eq!(&node.get(&root_of(bytes).to_string()), bytes, "{backend}");
        }
    }
}

/// A directory has one node, a port has one node; both clashes say what to do.
#[test]
fn clashes() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let data = dir.path().join("data");
    let same_dir = run(&[
        "node",
        "--dir",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(code(&same_dir), 1);
    let words = String::from_utf8_lossy(&same_dir.stderr).into_owned();
    assert!(words.contains(&node.pid().to_string()), "{words}");
    let address = node.url().strip_prefix("http://").unwrap();
    let other = dir.path().join("other");
    let same_port = run(&[
        "node",
        "--dir",
        other.to_str().unwrap(),
        "--listen",
        address,
    ]);
    assert_eq!(code(&same_port), 1);
    let words = String::from_utf8_lossy(&same_port.stderr).into_owned();
    assert!(
        words.contains(address) && words.contains("--listen"),
        "{words}"
    );
    let no_dir = run(&["node"]);
    assert_eq!(code(&no_dir), 2);
    assert!(String::from_utf8_lossy(&no_dir.stderr).contains("--dir"));
}

/// The ready line says where the node is and what it runs with.
#[test]
fn ready_line() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--shards", "1", "--log", "warn"]);
    let ready = node.ready();
    assert!(!node.url().ends_with(":0"));
    assert_eq!(ready["pid"], node.pid());
    assert_eq!(ready["shards"], 1);
    assert_eq!(ready["settings"]["log"], "warn");
    assert!(["uring", "posix"].contains(&ready["backend"].as_str().unwrap()));
    let config = dir.path().join("lode.toml");
    fs::write(&config, format!("node = {:?}\n", node.url())).unwrap();
    let stat = lode()
        .args(["stat", "--json", "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(json(&stat)["blobs"], 0);
}

/// The demo loses nothing and says so; its folder is gone afterwards.
#[test]
fn demo() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, noise(4, 3_000_000)).unwrap();
    let within = dir.path().join("within");
    fs::create_dir(&within).unwrap();
    let told = run(&[
        "demo",
        "--json",
        "--size",
        "64MiB",
        "--within",
        within.to_str().unwrap(),
        file.to_str().unwrap(),
    ]);
    assert_eq!(code(&told), 0, "{told:?}");
    let facts = json(&told);
    assert_eq!(facts["ok"], true);
    assert_eq!(facts["got_back"]["bytes"], 3_000_000);
    let number = |fact: &serde_json::Value| fact.as_u64().unwrap();
    let (acked, size) = (
        number(&facts["killed"]["acked"]),
        number(&facts["killed"]["size"]),
    );
    assert!(acked > 0 && acked < size, "killed in the middle");
    assert!(number(&facts["resumed"]["at"]) >= acked);
    assert_eq!(
        number(&facts["resumed"]["at"]) + number(&facts["resumed"]["sent"]),
        size
    );
    assert_eq!(facts["proofs"]["checked"], facts["proofs"]["flips_noticed"]);
    assert_eq!(fs::read_dir(&within).unwrap().count(), 0);
    let bad = run(&["demo", dir.path().to_str().unwrap()]);
    assert_eq!(code(&bad), 2, "a directory is no file");
}
