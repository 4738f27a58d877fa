//! From a put to a proof that needs nothing but the genesis file, and what happens to puts and gets
//! when the chain dies.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering::Relaxed},
    time::{Duration, Instant},
};

use lode_proofs::keccak::keccak256;
use serde_json::Value;

use crate::house::{CHUNK, Node, code, json, lode, noise, run};

/// A program that says that it is ready by one line of JSON; killed when dropped.
pub struct Running {
    child: Child,
    pub ready: Value,
    log: PathBuf,
}

impl Running {
    fn start(log: PathBuf, arguments: &[&str]) -> Running {
        let journal = fs::File::options()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        let mut child = lode()
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(journal)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("not ready: {}", fs::read_to_string(&log).unwrap()));
        Running { child, ready, log }
    }

    fn signal(&mut self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Ends it as a user does.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success());
    }

    /// SIGKILL, and its end.
    pub fn kill(mut self) {
        self.signal("KILL");
        assert_eq!(self.child.wait().unwrap().code(), None);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
        if std::thread::panicking() {
            eprintln!(
                "{}:\n{}",
                self.log.display(),
                fs::read_to_string(&self.log).unwrap()
            );
        }
    }
}

/// A network of one validator and one node in `dir`.
pub fn devnet(dir: &Path) -> Running {
    devnet_with(dir, &[])
}

/// The same with more flags.
pub fn devnet_with(dir: &Path, more: &[&str]) -> Running {
    let (port, state) = (free_port().to_string(), text(&dir.join("net")));
    let log = dir.join("devnet.log");
    let mut flags = vec!["devnet", "--state", &state, "--port", &port];
    flags.extend(more);
    Running::start(log, &flags)
}

/// A port that nobody listens on, below those that connections are given.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 8000).unwrap();
    loop {
        let port = 10_000 + (begin + NEXT.fetch_add(1, Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Runs the program where there is no network at all, if this machine lets us.
pub fn offline(arguments: &[&str]) -> Output {
    let alone = |user: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(user).arg("-n");
        command
    };
    for user in [&[][..], &["-r"]] {
        let may = alone(user).arg("true").output();
        if may.is_ok_and(|output| output.status.success()) {
            let mut command = alone(user);
            command.arg(env!("CARGO_BIN_EXE_lode")).args(arguments);
            return command.env("XDG_CONFIG_HOME", "/nowhere").output().unwrap();
        }
    }
    eprintln!("no network namespaces here: what is offline is only not told of any node");
    run(arguments)
}

/// A put is acknowledged, anchored, final; the proof of a chunk then goes up to the genesis file,
/// which is all that is left when everything else is gone. No byte of it can be changed.
#[test]
fn from_a_put_to_the_genesis_file() {
    let dir = tempfile::tempdir().unwrap();
    let network = devnet(dir.path());
    let node = network.ready["nodes"][0]["rpc"].as_str().unwrap();
    let proof = dir.path().join("proof");
    let root = put_and_prove(dir.path(), node, &proof);
    network.stop();
    // All that is left is the genesis file.
    let genesis = dir.path().join("genesis.json");
    fs::copy(dir.path().join("net/genesis.json"), &genesis).unwrap();
    fs::remove_dir_all(dir.path().join("net")).unwrap();
    let (name, trust) = (text(&proof), text(&genesis));
    let checked = offline(&[
        "verify",
        &name,
        "--root",
        &root,
        "--genesis",
        &trust,
        "--json",
    ]);
    assert_eq!(code(&checked), 0, "{checked:?}");
    let shown = json(&checked)["proofs"][0]["proof"].clone();
    assert_eq!(shown["root"].as_str(), Some(root.as_str()));
    assert_eq!(shown["chunk"].as_u64(), Some(1));
    let steps = shown["steps"].as_array().unwrap().iter();
    let steps: Vec<&str> = steps.map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["chunk", "blob", "anchor", "header", "certificate"]);
    refusals(dir.path(), &proof, &genesis);
    changed_bytes(dir.path(), &proof, &genesis);
}

/// Puts two files, waits until they are final, and writes the proof of a chunk of the first, whose
/// root is returned.
fn put_and_prove(dir: &Path, node: &str, proof: &Path) -> String {
    let (file, other) = (dir.join("file"), dir.join("other"));
    fs::write(&file, noise(1, 2 * CHUNK + 1000)).unwrap();
    fs::write(&other, noise(2, 10)).unwrap();
    let (file, other) = (text(&file), text(&other));
    let put = run(&["put", &file, &other, "--node", node, "--json"]);
    assert_eq!(code(&put), 0, "{put:?}");
    let files = json(&put)["files"].as_array().unwrap().clone();
    for file in &files {
        let anchor = &file["anchor"];
        assert_eq!(anchor["state"], "final", "{file}");
        assert!(anchor["tx"].as_str().unwrap().starts_with("0x"), "{file}");
        assert!(
            anchor["certified"].as_u64() >= anchor["block"].as_u64(),
            "{file}"
        );
    }
    let root = files[0]["root"].as_str().unwrap();
    let proof = text(proof);
    let prove = [
        "prove", root, "--chunk", "1", "--whole", "-o", &proof, "--node", node,
    ];
    let proven = run(&prove);
    assert_eq!(code(&proven), 0, "{proven:?}");
    // For people: the receipt, then the anchor, then the certificate.
    let again = run(&["put", &file, "--node", node]);
    let says = String::from_utf8(again.stdout).unwrap();
    let lines: Vec<&str> = says.lines().collect();
    assert!(lines[0].starts_with(root), "{says}");
    assert!(
        lines[1].starts_with("anchored") && lines[2].starts_with("final"),
        "{says}"
    );
    root.to_owned()
}

/// Without a genesis file nothing is trusted, and by that of another chain nothing is true.
fn refusals(dir: &Path, proof: &Path, genesis: &Path) {
    let bare = run(&["verify", &text(proof)]);
    assert_eq!(code(&bare), 2, "{bare:?}");
    assert!(String::from_utf8_lossy(&bare.stderr).contains("--genesis"));
    let other = dir.join("other-chain");
    let dealt = run(&["genesis", "--dir", &text(&other), "--peers", "127.0.0.1:1"]);
    assert_eq!(code(&dealt), 0, "{dealt:?}");
    let foreign = other.join("genesis.json");
    let refused = run(&["verify", &text(proof), "--genesis", &text(&foreign)]);
    assert_eq!(code(&refused), 4, "{refused:?}");
    let says = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(says.contains("the certificate does not hold"), "{says}");
    let root = "0x".to_owned() + &"11".repeat(32);
    let about = [
        "verify",
        &text(proof),
        "--root",
        &root,
        "--genesis",
        &text(genesis),
    ];
    assert_eq!(code(&run(&about)), 4);
}

/// A changed byte is found by the check at the end, and, where somebody has made that fit, by a step.
fn changed_bytes(dir: &Path, proof: &Path, genesis: &Path) {
    let bytes = fs::read(proof).unwrap();
    let body = bytes.len() - 8;
    let mut arguments = vec!["verify".to_owned(), "--json".to_owned()];
    arguments.extend(["--genesis".to_owned(), text(genesis)]);
    // Every byte of the first kilobyte, where most fields are, and some of all others.
    let places = (0..1024).chain((1024..body).step_by(body / 200));
    let places: Vec<usize> = places.step_by(7).collect();
    let folder = dir.join("changed");
    fs::create_dir(&folder).unwrap();
    for at in &places {
        let mut changed = bytes.clone();
        changed[*at] ^= 0x10;
        let file = folder.join(at.to_string());
        fs::write(&file, &changed).unwrap();
        arguments.push(text(&file));
        let check = keccak256(&changed[..body]);
        changed[body..].copy_from_slice(&check[..8]);
        let file = folder.join(format!("{at}-fits"));
        fs::write(&file, &changed).unwrap();
        arguments.push(text(&file));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let checked = run(&arguments);
    assert_eq!(code(&checked), 4);
    let results = json(&checked)["proofs"].as_array().unwrap().clone();
    assert_eq!(results.len(), 2 * places.len());
    for result in results {
        assert_eq!(result["verified"], false, "{result}");
        assert_eq!(result["error"]["exit"], 4, "{result}");
    }
}

/// A chain and a node that are started one by one, from what a network has left.
pub struct Parts<'a> {
    dir: &'a Path,
    rpc: String,
    peer: String,
}

impl Parts<'_> {
    pub fn new(dir: &Path) -> Parts<'_> {
        devnet(dir).stop();
        let plan = fs::read(dir.join("net/devnet.json")).unwrap();
        let plan: Value = serde_json::from_slice(&plan).unwrap();
        let address = |of: &str| plan[of][0].as_str().unwrap().to_owned();
        let (rpc, peer) = (address("rpc"), address("peers"));
        Parts { dir, rpc, peer }
    }

    fn genesis(&self) -> String {
        text(&self.dir.join("net/genesis.json"))
    }

    pub fn chain(&self) -> Running {
        let data = text(&self.dir.join("net/validators/0"));
        let (genesis, key) = (self.genesis(), format!("{data}/key.json"));
        let log = self.dir.join("chain.log");
        let mut arguments = vec![
            "chain",
            "--dir",
            &data,
            "--genesis",
            &genesis,
            "--key",
            &key,
        ];
        arguments.extend(["--listen", &self.peer, "--rpc", &self.rpc]);
        Running::start(log, &arguments)
    }

    fn node(&self) -> Node {
        self.node_with(&[])
    }

    /// Where the chain's RPC is.
    pub fn rpc(&self) -> String {
        format!("http://{}", self.rpc)
    }

    /// The node, with more flags.
    pub fn node_with(&self, more: &[&str]) -> Node {
        let url = format!("http://{}", self.rpc);
        let folder = self.dir.join("net/nodes/0");
        let (key, password) = (
            text(&folder.join("account.json")),
            text(&folder.join("password")),
        );
        let mut flags = vec!["--shards", "1", "--chain", &url, "--chain-key", &key];
        flags.extend(["--chain-password-file", &password]);
        flags.extend(more);
        Node::start(self.dir, &flags)
    }
}

/// The node starts without its chain, takes and serves blobs without it, also when it dies, and
/// settles what came meanwhile when it returns: also if the node itself was killed in between.
#[test]
fn the_chain_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let parts = Parts::new(dir.path());
    let blobs: Vec<Vec<u8>> = [100, CHUNK, 600_000].map(|size| noise(7, size)).into();
    // Not there yet.
    let node = parts.node();
    let before = node.put(&blobs[0]);
    assert_eq!(node.get(&before), blobs[0]);
    let first = parts.chain();
    until_final(&node, &before);

    first.kill();
    let during = put_while_dead(&node, dir.path(), &blobs[1]);
    let after = node.put(&blobs[2]);
    let roots = [before, during, after];
    for (root, blob) in roots.iter().zip(&blobs) {
        assert_eq!(node.get(root), *blob);
    }
    // Its books, and what it has sent, are on the disk.
    node.kill();
    let node = parts.node();

    let second = parts.chain();
    for root in &roots {
        until_final(&node, root);
    }
    let proven = node.run(&["prove", &roots[2], "--chunk", "2", "--whole", "-o", "-"]);
    assert_eq!(code(&proven), 0, "{proven:?}");
    let proof = dir.path().join("proof");
    fs::write(&proof, &proven.stdout).unwrap();
    let checked = run(&["verify", &text(&proof), "--genesis", &parts.genesis()]);
    assert_eq!(code(&checked), 0, "{checked:?}");
    second.stop();
}

/// A put while the chain is dead succeeds, with a notice; only who asks for more is told by the exit
/// code.
fn put_while_dead(node: &Node, dir: &Path, blob: &[u8]) -> String {
    let file = dir.join("file");
    fs::write(&file, blob).unwrap();
    let file = text(&file);
    let put = node.run(&["put", &file, "--json"]);
    assert_eq!(code(&put), 0, "{put:?}");
    let put = json(&put);
    let state = put["files"][0]["anchor"]["state"].as_str().unwrap();
    assert!(["pending", "sent"].contains(&state), "{put}");
    assert!(put["notice"].as_str().unwrap().contains("durable"), "{put}");
    let root = put["files"][0]["root"].as_str().unwrap().to_owned();
    let asked = node.run(&["put", &file, "--wait", "final"]);
    assert_eq!(code(&asked), 5, "{asked:?}");
    let only = node.run(&["put", &file, "--wait", "receipt"]);
    assert_eq!(code(&only), 0, "{only:?}");
    let evidence = format!("/v1/blobs/{root}/anchor?format=binary");
    node.ask("GET", &evidence, &[]).is_problem(503, "LODE0035");
    root
}

/// A node without a chain stores, says so, and fails only for who asks for more.
#[test]
fn without_a_chain() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let file = dir.path().join("file");
    fs::write(&file, noise(3, 1000)).unwrap();
    let put = node.run(&["put", &text(&file), "--json"]);
    assert_eq!(code(&put), 0, "{put:?}");
    let put = json(&put);
    assert!(put["files"][0]["anchor"].is_null() && put["notice"].is_null());
    let asked = node.run(&["put", &text(&file), "--wait", "anchored"]);
    assert_eq!(code(&asked), 3, "{asked:?}");
    let root = put["files"][0]["root"].as_str().unwrap();
    node.ask("GET", &format!("/v1/blobs/{root}/anchor"), &[])
        .is_problem(404, "LODE0023");
    let none = "11".repeat(32);
    node.ask("GET", &format!("/v1/blobs/{none}/anchor"), &[])
        .is_problem(404, "LODE0010");
    let whole = node.run(&["prove", root, "--chunk", "0", "--whole", "-o", "-"]);
    assert_eq!(code(&whole), 3, "{whole:?}");
    // Half of the settings are no settings.
    let half = run(&[
        "node",
        "--dir",
        &text(dir.path()),
        "--chain",
        "http://127.0.0.1:1",
    ]);
    assert_eq!(code(&half), 2, "{half:?}");
}

/// Waits until a blob is final.
fn until_final(node: &Node, root: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let state = node
            .ask("GET", &format!("/v1/blobs/{root}/anchor"), &[])
            .json();
        if state["state"] == "final" {
            return;
        }
        assert!(Instant::now() < until, "{state}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
