//! Blobs over nodes that keep slices of the flow: each gets its part, a node that dies in the middle is
//! replaced, what is there is not sent again, and what comes back is proven chunk by chunk.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use serde_json::{Value, json};

use crate::{
    chain::{Parts, devnet_with, free_port, text},
    house::{CHUNK, Node, code, json, noise, root_of, run},
    storage::{KEY, ask, wait_for},
};

/// Submits a file to the nodes that these flags name.
fn submit(dir: &Path, file: &Path, chain: &str, nodes: &[&str]) -> Output {
    let key = dir.join("key");
    fs::write(&key, KEY).unwrap();
    let (file, key, state) = (text(file), text(&key), text(&dir.join("state")));
    let mut arguments = vec!["submit", &file, "--json", "--chain", chain];
    arguments.extend(["--private-key", &key, "--state", &state]);
    arguments.extend(nodes);
    run(&arguments)
}

/// A submission's only file, as the command tells of it.
fn entry(done: &Output) -> Value {
    assert_eq!(code(done), 0, "{done:?}");
    json(done)["files"][0].clone()
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Nodes by either face, or by an indexer: each gets its slice once, and gives it back. Where nobody keeps
/// a slice that is said, and nothing is paid.
#[test]
fn each_gets_its_part() {
    let dir = tempfile::tempdir().unwrap();
    let net = devnet_with(dir.path(), &["--nodes", "2", "--slices", "2"]);
    let url = |value: &Value| value.as_str().unwrap().to_owned();
    let node = |number: usize, face: &str| url(&net.ready["nodes"][number][face]);
    let (chain, indexer) = (url(&net.ready["chain"]["rpc"]), url(&net.ready["indexer"]));
    let (first, second) = (node(0, "rpc"), node(1, "zgs"));
    let file = dir.path().join("file");
    let bytes = noise(21, 9 * CHUNK + 777);
    fs::write(&file, &bytes).unwrap();

    let alone = submit(dir.path(), &file, &chain, &["--node", &first]);
    assert_eq!(code(&alone), 2, "{alone:?}");
    let lack = "slice 1 of 2 of the flow is kept by 0 of the nodes that answer";
    assert!(says(&alone).contains(lack), "{alone:?}");
    let both = ["--node", &first, "--node", &second];
    let twice = [&both[..], &["--replicas", "2"]].concat();
    let twice = submit(dir.path(), &file, &chain, &twice);
    assert_eq!(code(&twice), 2, "{twice:?}");
    let status = ask(&second, "zgs_getStatus", json!([]));
    assert_eq!(status["nextTxSeq"], json!(0), "nothing was paid");

    let done = entry(&submit(dir.path(), &file, &chain, &both));
    let root = root_of(&bytes).to_string();
    assert_eq!(done["root"], json!(root));
    assert_eq!(done["sent"], json!(bytes.len()), "each chunk once");
    assert_eq!(done["lost"], json!([]));
    for number in 0..2 {
        let info = ask(&node(number, "zgs"), "zgs_getFileInfo", json!([root, true]));
        assert_eq!(info["finalized"], json!(true), "{info}");
        assert_eq!(info["uploadedSegNum"], json!(5), "{info}");
    }
    let again = entry(&submit(dir.path(), &file, &chain, &["--indexer", &indexer]));
    assert_eq!((&again["sent"], &again["tx"]), (&json!(0), &Value::Null));

    // One chunk has one place: a node that keeps nothing of a blob waits for nothing.
    for size in [1, CHUNK] {
        let bytes = noise(22, size);
        fs::write(&file, &bytes).unwrap();
        let done = entry(&submit(dir.path(), &file, &chain, &["--indexer", &indexer]));
        assert_eq!(done["sent"], json!(size));
    }

    for nodes in [&both[..], &["--indexer", &indexer]] {
        let arguments = [&["get", &root, "-o", "-"], nodes].concat();
        let got = run(&arguments);
        assert!(got.stdout == bytes, "{nodes:?} {}", says(&got));
        let arguments = [&arguments[..], &["--range", "262140-600000"]].concat();
        let got = run(&arguments);
        assert!(
            got.stdout == bytes[262_140..=600_000],
            "{nodes:?} {}",
            says(&got)
        );
    }
    let half = run(&["get", &root, "-o", "-", "--zgs", &second]);
    assert_eq!(code(&half), 5, "{half:?}");
    let lack = "slice 0 of 2 of the flow is kept by 0";
    assert!(says(&half).contains(lack), "{half:?}");
    let none = "11".repeat(32);
    let none = run(&["get", &none, "-o", "-", "--indexer", &indexer]);
    assert_eq!(code(&none), 3, "{none:?}");
    net.stop();
}

/// A place between a client and a node where the node is killed once so many bytes have passed.
struct Gallows {
    url: String,
    passed: Arc<AtomicUsize>,
    dead: Arc<AtomicBool>,
}

impl Gallows {
    fn before(node: &Node, zgs: &str, most: usize) -> Gallows {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (passed, dead) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (pid, zgs) = (node.pid(), zgs.to_owned());
        let (counter, ended) = (Arc::clone(&passed), Arc::clone(&dead));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(node) = TcpStream::connect(&zgs) else {
                    continue;
                };
                let (back, forth) = (node.try_clone().unwrap(), client.try_clone().unwrap());
                let (counter, ended) = (Arc::clone(&counter), Arc::clone(&ended));
                thread::spawn(move || {
                    pass(client, node, |len| {
                        let all = counter.fetch_add(len, Relaxed) + len;
                        if all > most && !ended.swap(true, Relaxed) {
                            let killed = Command::new("kill")
                                .args(["-KILL", &pid.to_string()])
                                .status();
                            assert!(killed.unwrap().success());
                        }
                    })
                });
                thread::spawn(move || pass(back, forth, |_| ()));
            }
        });
        Gallows { url, passed, dead }
    }
}

/// Passes bytes on until either end is closed.
fn pass(mut from: TcpStream, mut to: TcpStream, mut seen: impl FnMut(usize)) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        seen(len);
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        let _gone = stream.shutdown(Shutdown::Both).is_err();
    }
}

/// Two nodes for each of two slices. One is killed while it gets its chunks: the other of its slice takes
/// its place. When it is back, a second replica costs only the chunks that are missing.
#[test]
fn a_node_is_killed_in_the_middle() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts::new(dir.path());
    let chain = parts.chain();
    let rpc = parts.rpc();
    let addresses: Vec<String> = (0..4)
        .map(|_| format!("127.0.0.1:{}", free_port()))
        .collect();
    let start = |number: usize| of_two(number, dir.path(), &rpc, &addresses[number]);
    let mut nodes: Vec<Node> = (0..4).map(start).collect();
    let chunks = 40;
    let bytes = noise(31, chunks * CHUNK - 5);
    let (file, root) = (dir.path().join("file"), root_of(&bytes).to_string());
    fs::write(&file, &bytes).unwrap();

    // Six of the twenty chunks that node 0 is to have, as text.
    let gallows = Gallows::before(&nodes[0], &addresses[0], 6 * CHUNK * 4 / 3);
    let url = |number: usize| format!("http://{}", addresses[number]);
    let (spare, other, last) = (url(2), url(1), url(3));
    let named = [&gallows.url, &other, &spare, &last]
        .map(String::as_str)
        .join(",");
    let done = entry(&submit(dir.path(), &file, &rpc, &["--zgs", &named]));
    assert!(gallows.dead.load(Relaxed), "{:?} bytes", gallows.passed);
    assert_eq!(done["lost"], json!([gallows.url]));
    assert_eq!(done["nodes"], json!([other, spare]));
    for url in [&spare, &other] {
        let info = ask(url, "zgs_getFileInfo", json!([root, true]));
        assert_eq!(info["finalized"], json!(true), "{info}");
    }
    let got = run(&["get", &root, "-o", "-", "--zgs", &named]);
    assert!(got.stdout == bytes, "{}", says(&got));
    assert!(says(&got).contains("is left out"), "{}", says(&got));

    // It was killed already.
    drop(nodes.remove(0));
    nodes.insert(0, start(0));
    let info = ask(&url(0), "zgs_getFileInfo", json!([root, true]));
    let kept = info["uploadedSegNum"].as_u64().unwrap();
    assert!((1..20).contains(&kept), "{info}");
    let given = given(&url(0), &root);
    let named = [&url(0), &other, &spare, &last]
        .map(String::as_str)
        .join(",");
    let twice = ["--zgs", &named, "--replicas", "2"];
    let again = entry(&submit(dir.path(), &file, &rpc, &twice));
    assert_eq!(again["tx"], Value::Null);
    assert_eq!(again["nodes"], json!([url(0), other, spare, last]));
    // A chunk that was durable, but not yet counted when its node was killed, leaves doubt about all.
    let lacked = if given == kept { 20 - kept } else { 20 };
    let lacked = (lacked + 20) * 262_144 - 5;
    assert_eq!(
        again["sent"],
        json!(lacked),
        "{kept} and {given} chunks were there"
    );
    for number in 0..4 {
        let whole = ask(&url(number), "zgs_checkFileFinalized", json!([root]));
        assert_eq!(whole, json!(true), "node {number}");
    }

    nodes.remove(2).kill();
    nodes.remove(0).kill();
    fs::write(&file, noise(32, 100)).unwrap();
    nobody_is_left(&submit(dir.path(), &file, &rpc, &["--zgs", &named]));
    chain.stop();
}

/// Starts a node of one of two slices, by its number.
fn of_two(number: usize, dir: &Path, rpc: &str, address: &str) -> Node {
    let folder = dir.join(number.to_string());
    fs::create_dir_all(&folder).unwrap();
    let slice = format!("{}/2", number % 2);
    let flags = ["--shards", "1", "--chain", rpc, "--slice", &slice];
    let flags = [&flags[..], &["--zgs-listen", address]].concat();
    let node = Node::start(&folder, &flags);
    wait_for(address);
    node
}

/// How many of a blob's first forty chunks a node gives.
fn given(url: &str, root: &str) -> u64 {
    let gives = |chunk: &u64| {
        let sectors = json!([root, chunk * 1024, chunk * 1024 + 1]);
        ask(url, "zgs_downloadSegment", sectors) != Value::Null
    };
    u64::try_from((0..40).filter(gives).count()).unwrap()
}

/// Nobody is left to keep slice 0: what to do is told, and it is no loss for good.
fn nobody_is_left(lacking: &Output) {
    assert_eq!(code(lacking), 5, "{lacking:?}");
    let words = says(lacking);
    assert!(
        words.contains("slice 0 of 2") && words.contains("--slice 0/2"),
        "{words}"
    );
}
