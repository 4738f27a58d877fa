//! `lode devnet`: validators and storage nodes on this machine, each a process of its own.
//!
//! All parts end with this program, however it ends. A part that ends by itself ends the network
//! with a failure that shows its log; one that somebody kills (SIGKILL) is missed, and the others go on.

mod banner;
mod child;
mod plan;

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use lode_peers::Peers;

use crate::{
    args::DevnetArgs,
    failure::{Failure, Outcome},
    output::Output,
    signals,
};
use child::Child;
use plan::Plan;

pub use plan::{Deal, deal, signers, validator};

/// How often parts are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a part may take to serve all that it serves.
const START_WAIT: Duration = Duration::from_secs(60);

/// Runs a network until it is told to stop.
pub fn run(args: &DevnetArgs, output: Output) -> Outcome<ExitCode> {
    let stop = signals::watch()?;
    let (dir, _temporary) = folder(args)?;
    let plan = plan::open(&dir, args)?;
    let children = start(&dir, &plan)?;
    let accounts = plan::accounts()?;
    let config = banner::config(&plan, &accounts);
    if let Some(file) = &args.config_out {
        let failed = |error| Failure::file(file.display(), &error);
        // Whole or not at all: programs wait for it.
        let fresh = file.with_extension("new");
        fs::write(&fresh, format!("{config:#}\n")).map_err(failed)?;
        fs::rename(&fresh, file).map_err(failed)?;
    }
    let rpc = config["chain"]["rpc"].as_str().unwrap_or_default();
    output.data(&config, rpc, &banner::text(&plan, &accounts, &dir))?;
    watch(children, &stop)
}

/// The folder that was named, or one that goes with this program.
fn folder(args: &DevnetArgs) -> Outcome<(PathBuf, Option<tempfile::TempDir>)> {
    let failed = |error| Failure::file("the network's folder", &error);
    match &args.state {
        Some(dir) => {
            fs::create_dir_all(dir).map_err(failed)?;
            let dir = dir.canonicalize().map_err(failed)?;
            Ok((dir, None))
        }
        None => {
            let dir = tempfile::tempdir().map_err(failed)?;
            Ok((dir.path().to_owned(), Some(dir)))
        }
    }
}

/// All parts at once; then waits for each.
fn start(dir: &Path, plan: &Plan) -> Outcome<Vec<Child>> {
    let mut starting = Vec::new();
    for number in 0..plan.peers.len() {
        starting.push(validator_part(dir, plan, number)?);
    }
    let peers = peers(dir, plan)?;
    for number in 0..plan.nodes.len() {
        starting.push(node_part(dir, plan, number, &peers)?);
    }
    for number in 0..plan.da.len() {
        starting.push(da_part(dir, plan, number)?);
    }
    let mut children = starting
        .into_iter()
        .map(child::Starting::ready)
        .collect::<Outcome<Vec<Child>>>()?;
    // A node is ready before it knows its chain; 0G's clients are served when it does.
    for zgs in &plan.zgs {
        wait_for_port(*zgs)?;
    }
    // A holder is ready before it knows its committee; blobs are taken when it does.
    for number in 0..plan.da.len() {
        wait_for_committee(&plan::holder(dir, number))?;
    }
    // It looks at silent nodes less and less often, so it begins when they are there.
    if !plan.zgs.is_empty() {
        let urls: Vec<String> = plan.zgs.iter().map(|zgs| format!("http://{zgs}")).collect();
        let (urls, indexer) = (urls.join(","), plan.indexer.to_string());
        let args = ["indexer", "--nodes", &urls, "--listen", &indexer];
        children.push(child::start("indexer", &dir.join("indexer"), &args)?.ready()?);
    }
    Ok(children)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn validator_part(dir: &Path, plan: &Plan, number: usize) -> Outcome<child::Starting> {
    let folder = plan::validator(dir, number);
    let (data, key) = (text(&folder), text(&folder.join("key.json")));
    let genesis = text(&dir.join("genesis.json"));
    let (peer, rpc) = (plan.peers[number].to_string(), plan.rpc[number].to_string());
    let beneficiary = plan::beneficiary(number)?.to_string();
    let args = [
        "chain",
        "--dir",
        &data,
        "--genesis",
        &genesis,
        "--key",
        &key,
        "--listen",
        &peer,
        "--rpc",
        &rpc,
        "--beneficiary",
        &beneficiary,
        "--dev",
    ];
    child::start(&format!("validator {number}"), &folder, &args)
}

fn node_part(dir: &Path, plan: &Plan, number: usize, peers: &str) -> Outcome<child::Starting> {
    let folder = plan::node(dir, number);
    let data = text(&folder.join("data"));
    let (node, zgs) = (plan.nodes[number].to_string(), plan.zgs[number].to_string());
    let talk = plan.talk[number].to_string();
    let slice = format!("{}/{}", number % usize::from(plan.slices), plan.slices);
    let chain = plan.rpc.first().map(|rpc| format!("http://{rpc}"));
    let chain = chain.unwrap_or_default();
    let (key, password) = (
        text(&folder.join(plan::KEY)),
        text(&folder.join(plan::PASSWORD)),
    );
    let args = [
        "node",
        "--dir",
        &data,
        "--listen",
        &node,
        "--shards",
        "1",
        "--chain",
        &chain,
        "--chain-key",
        &key,
        "--chain-password-file",
        &password,
        "--zgs-listen",
        &zgs,
        "--slice",
        &slice,
        "--peers-listen",
        &talk,
        "--peers",
        peers,
    ];
    child::start(&format!("node {number}"), &folder, &args)
}

fn da_part(dir: &Path, plan: &Plan, number: usize) -> Outcome<child::Starting> {
    let folder = plan::holder(dir, number);
    let data = text(&folder.join("data"));
    let (key, password) = (
        text(&folder.join(plan::KEY)),
        text(&folder.join(plan::PASSWORD)),
    );
    let at = &plan.da[number];
    let [listen, api, grpc, nitro] =
        [at.listen, at.api, at.grpc, at.nitro].map(|address| address.to_string());
    let chain = plan.rpc.first().map(|rpc| format!("http://{rpc}"));
    let chain = chain.unwrap_or_default();
    let args = [
        "da",
        "run",
        "--dir",
        &data,
        "--chain",
        &chain,
        "--chain-key",
        &key,
        "--chain-password-file",
        &password,
        "--listen",
        &listen,
        "--api",
        &api,
        "--grpc",
        &grpc,
        "--nitro",
        &nitro,
    ];
    child::start(&format!("da {number}"), &folder, &args)
}

/// All storage nodes, as each is told of the others.
fn peers(dir: &Path, plan: &Plan) -> Outcome<String> {
    let mut names = Vec::new();
    for (number, address) in plan.talk.iter().enumerate() {
        let data = plan::node(dir, number).join("data");
        let key = Peers::key_in(&data).map_err(|error| Failure::file(data.display(), &error))?;
        names.push(format!("{key}@{address}"));
    }
    Ok(names.join(","))
}

/// Waits until a holder has learned who the others are.
fn wait_for_committee(folder: &Path) -> Outcome<()> {
    let committees = folder.join("data/committees");
    let until = Instant::now() + START_WAIT;
    let is_empty = |entries: fs::ReadDir| entries.count() == 0;
    while fs::read_dir(&committees).map_or(true, is_empty) {
        if Instant::now() > until {
            let what = format!("{} has heard of no committee", folder.display());
            return Err(Failure::other(what, "see the log of that node"));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Waits until somebody listens.
fn wait_for_port(address: SocketAddr) -> Outcome<()> {
    let until = Instant::now() + START_WAIT;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > until {
            let what = format!("nobody listens on {address}");
            return Err(Failure::other(what, "see the log of that node"));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Until a signal, or until a part ends.
fn watch(mut children: Vec<Child>, stop: &Arc<AtomicBool>) -> Outcome<ExitCode> {
    let mut failed = None;
    while !stop.load(Relaxed) && failed.is_none() {
        children.retain_mut(|child| {
            let killed = child.was_killed();
            if killed {
                eprintln!("{} was killed; the others go on without it", child.name());
            }
            !killed
        });
        failed = children
            .iter_mut()
            .find_map(|child| child.ended().map(|_| child.silent()));
        thread::sleep(LOOK_EVERY);
    }
    for child in &children {
        child.ask_to_stop();
    }
    for child in children {
        tracing::debug!(name = child.name(), "waiting for its end");
        child.join();
    }
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}
