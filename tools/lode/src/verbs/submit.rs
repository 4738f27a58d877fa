//! `lode submit`: files into the flow, as 0G's clients do it, each paid for once.
//!
//! ```text
//!   file ─► root ─► does a node know it? ─► transaction: its hash is told at once ─► in a block
//!                        │ then nothing is paid                                          ▼
//!                        └────────────────────────────► chunks to the nodes that keep them ─► complete
//! ```
//! Whatever is cut, the same command goes on: transactions are on this disk before anybody sees them,
//! and the nodes say what they lack. Nothing is paid before it is known that nodes keep every slice.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer_local::PrivateKeySigner;
use clap::Args;
use lode_chain_link::{
    addresses::FLOW,
    certified::Contracts,
    node::{Http, Rpc},
    send::{Limits, Outcome as Ended},
    store::Store,
    submit::{SubmitError, Submitter},
};
use lode_proofs::BlobTree;
use lode_wire::{NetworkIdentity, Transaction};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    crown::Crown,
    failure::{Failure, Outcome},
    fleet::{Fleet, FleetArgs, Nodes},
    keys,
    output::{Output, batch_exit, plain},
    service,
    source::Source,
    units,
    verbs::{
        spread::{self, Load},
        store::size_of,
    },
};

/// How often chain and node are asked.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Time without news from the chain, and until a node knows what is on it, before we give up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time in which a node tells what it knows.
const TELL_TIME: Duration = Duration::from_secs(10);
/// Blocks after which a transaction is offered more.
const PATIENCE_BLOCKS: u64 = 20;
/// Wei for a unit of gas, at most: 1000 gwei.
const GAS_PRICE_MAX: u128 = 1_000_000_000_000;
/// Wei of an ether.
const ETHER: u64 = 1_000_000_000_000_000_000;

/// Arguments of `lode submit`.
#[derive(Args, Debug)]
pub struct SubmitArgs {
    /// Files of at least one byte
    #[arg(required = true, value_name = "FILE")]
    pub paths: Vec<PathBuf>,
    /// Who stores them, together every slice of the flow.
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Nodes that each chunk goes to
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub replicas: u64,
    /// The chain's RPC
    #[arg(long, value_name = "URL")]
    pub chain: String,
    /// Who pays: the private key (64 hexadecimal digits) of this file, or of the variable NAME. The account
    /// must send nothing else meanwhile
    #[arg(long, value_name = "FILE|env:NAME")]
    pub private_key: String,
    /// Ether for one file, at most
    #[arg(long, value_name = "ETHER", default_value_t = 1)]
    pub fee_max: u64,
    /// Folder where transactions are kept until they have ended
    /// [default: $XDG_STATE_HOME/lode/submit]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The flow's contract
    #[arg(long, value_name = "ADDRESS", default_value_t = FLOW)]
    pub flow: Address,
}

/// Submits all files; one that fails does not stop the others.
pub fn run(args: &SubmitArgs, nodes: &Nodes, output: Output) -> Outcome<ExitCode> {
    let runtime = service::runtime()?;
    let mut desk = runtime.block_on(Desk::open(args, nodes, output))?;
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for path in &args.paths {
        let name = path.display().to_string();
        match runtime.block_on(desk.file(path)) {
            Ok(entry) => {
                let root = entry["root"].as_str().unwrap_or_default();
                let size = entry["size"].as_u64().unwrap_or_default();
                let seq = &entry["seq"];
                let long = format!(
                    "{root}  {:>12}  {}  seq {seq}",
                    units::size(size),
                    plain(&name)
                );
                if !output.json {
                    output.data(&entry, root, &long)?;
                }
                done.push(entry);
            }
            Err(mut failure) => {
                failure.what = format!("{}: {}", plain(&name), failure.what);
                if !output.json {
                    output.failure(&failure);
                }
                failures.push(failure);
            }
        }
    }
    if output.json {
        let failed: Vec<Value> = failures.iter().map(Failure::to_json).collect();
        output.data(&json!({ "files": done, "failed": failed }), "", "")?;
    }
    Ok(batch_exit(&failures, args.paths.len()))
}

/// What a submission needs.
struct Desk {
    fleet: Fleet,
    replicas: u64,
    submitter: Submitter<Http>,
    output: Output,
}

impl Desk {
    async fn open(args: &SubmitArgs, nodes: &Nodes, output: Output) -> Outcome<Desk> {
        let node = Rpc::http(&args.chain).map_err(|error| {
            Failure::usage(format!("{}: {error}", args.chain), "correct --chain")
        })?;
        let chain_id = node
            .chain_id()
            .await
            .map_err(|error| Failure::unreachable(&args.chain, error))?;
        let fleet = Fleet::find(nodes, &args.fleet, output).await?;
        let is_ours = |network: &NetworkIdentity| {
            (network.chain_id, network.flow_address.parse().ok()) == (chain_id, Some(args.flow))
        };
        let fleet = fleet.of_network(is_ours).map_err(|(url, network)| {
            let what = format!(
                "{url} follows the flow at {} of chain {}, not the one at {} of chain {chain_id}",
                network.flow_address, network.chain_id, args.flow
            );
            Failure::usage(what, "name chain and nodes of one network")
        })?;
        if fleet.named().next().is_none() {
            let what = "no node answers that you or the indexer's operator vouch for";
            return Err(Failure::usage(what, "name one by --node"));
        }
        // Where nobody keeps a slice, nothing is paid.
        fleet.cover(args.replicas, &BTreeSet::new())?;
        let key = keys::paying("--private-key", &args.private_key)?;
        let signer = PrivateKeySigner::from_bytes(&B256::from(key))
            .map_err(|error| Failure::usage(error.to_string(), "correct --private-key"))?;
        let folder = state_folder(args, chain_id)?;
        let store = Store::open(&folder).map_err(|error| {
            let what = format!("{}: {error}", folder.display());
            Failure::other(
                what,
                "one `lode submit` at a time may use it, or give another --state",
            )
        })?;
        let limits = Limits {
            chain_id,
            fee_max: GAS_PRICE_MAX,
            patience_blocks: PATIENCE_BLOCKS,
        };
        let fee_max = U256::from(args.fee_max) * U256::from(ETHER);
        let submitter = Submitter::open(node, store, signer, args.flow, limits, fee_max).await;
        Ok(Desk {
            fleet,
            replicas: args.replicas,
            submitter: submitter.map_err(|error| not_submitted(&error))?,
            output,
        })
    }

    /// One file, from its root to the nodes' word that they have all of it.
    async fn file(&mut self, path: &Path) -> Outcome<Value> {
        let name = path.display().to_string();
        let failed = |error| Failure::file("cannot be read", &error);
        let file = File::open(path).map_err(failed)?;
        let size = size_of(&file)?;
        let bar = self.output.bar(&format!("root {name}"), Some(size));
        let hashed = tokio::task::block_in_place(|| {
            Crown::of_source(Source::whole(&file, size), &|bytes| bar.inc(bytes))
        });
        let (tree, crown) = hashed.map_err(failed)?;
        bar.finish_and_clear();
        let mut entry = json!({
            "path": name, "root": tree.root(), "size": size, "tx": null, "existed": true,
        });
        let tx = match self.known(&tree).await? {
            Some(tx) => tx,
            None => {
                entry["tx"] = json!(self.pay(&tree).await?);
                entry["existed"] = json!(false);
                self.until_known(&tree).await?
            }
        };
        entry["seq"] = json!(tx.seq);
        let bar = self.output.bar(&name, Some(size));
        let load = Arc::new(Load { file, crown, tx });
        let spread = spread::run(&self.fleet, &load, self.replicas, self.output, &bar).await;
        bar.finish_and_clear();
        let spread = spread?;
        entry["sent"] = json!(spread.sent);
        entry["nodes"] = json!(spread.holders);
        entry["lost"] = json!(spread.lost);
        Ok(entry)
    }

    /// The blob's submission, if a node knows one: the one that most likely needs nothing more. Who was
    /// only heard of is not asked: one who invents it would have nothing paid, and nothing kept.
    async fn known(&self, tree: &BlobTree) -> Outcome<Option<Transaction>> {
        let (root, size) = (tree.root(), tree.shape().size());
        let mut asking = JoinSet::new();
        for member in self.fleet.named() {
            let member = member.clone();
            asking.spawn(async move {
                let quick = member.zgs.within(TELL_TIME);
                (quick.blob(root, true).await, member)
            });
        }
        let (mut found, mut answers, mut silent) = (Vec::new(), 0, None);
        for (answer, member) in asking.join_all().await {
            match answer {
                Ok(info) => {
                    answers += 1;
                    found.extend(info);
                }
                Err(error) => silent = Some(Failure::unreachable(member.url(), error)),
            }
        }
        found.retain(|info| {
            info.tx.size == size && info.tx.data_merkle_root == root && !info.pruned
        });
        let best = found
            .into_iter()
            .min_by_key(|info| (!info.finalized, info.tx.seq));
        match (best, silent) {
            // One that was lost meanwhile knows no more of the chain than the others.
            (None, Some(failure)) if answers == 0 => Err(failure),
            (best, _) => Ok(best.map(|info| info.tx)),
        }
    }

    /// Waits until a node knows the submission.
    async fn until_known(&self, tree: &BlobTree) -> Outcome<Transaction> {
        let began = Instant::now();
        loop {
            match self.known(tree).await {
                Ok(Some(tx)) => return Ok(tx),
                Ok(None) | Err(_) if began.elapsed() < PATIENCE => sleep(ASK_EVERY).await,
                Ok(None) => {
                    let what = "no node says that it has the blob's submission";
                    let next =
                        "see whether they follow the chain (zgs_getStatus), then run it again";
                    return Err(Failure::late(what, next));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Submits the blob; returns when that is in a final block. Its hash is told before.
    async fn pay(&mut self, tree: &BlobTree) -> Outcome<B256> {
        let submitted = self.submitter.submit(tree, Bytes::new()).await;
        let intent = submitted.map_err(|error| not_submitted(&error))?;
        if let Some(attempt) = intent.attempts.last() {
            self.output
                .note(&format!("{}  tx {}", tree.root(), attempt.hash));
        }
        let began = Instant::now();
        loop {
            match self.submitter.outcome(tree).await {
                Ok(Some(Ended::Done {
                    hash,
                    success: true,
                    ..
                })) => return Ok(hash),
                Ok(Some(ended)) => return Err(self.not_taken(tree, ended)),
                Ok(None) if began.elapsed() > PATIENCE => {
                    let what = "the chain has not taken the transaction within 60 s";
                    let next = "the same command goes on with that transaction";
                    return Err(Failure::late(what, next));
                }
                Err(error) if began.elapsed() > PATIENCE => return Err(not_submitted(&error)),
                Ok(None) | Err(_) => sleep(ASK_EVERY).await,
            }
        }
    }

    /// It has ended, and the blob is not in the flow. The next try is a new one.
    fn not_taken(&self, tree: &BlobTree, ended: Ended) -> Failure {
        let what = match ended {
            Ended::Done { hash, .. } => format!("the flow has refused {hash}: it was reverted"),
            Ended::Taken => "another transaction of the account has taken its place".to_owned(),
        };
        let next = match self.submitter.forget(tree) {
            Ok(()) => "run it again; the account must send nothing else meanwhile",
            Err(_) => "the state folder cannot be written: see to its disk, then run it again",
        };
        Failure::other(what, next)
    }
}

/// One for each chain.
fn state_folder(args: &SubmitArgs, chain_id: u64) -> Outcome<PathBuf> {
    let base = match &args.state {
        Some(folder) => folder.clone(),
        None => keys::state_dir()
            .ok_or_else(|| {
                let what = "neither XDG_STATE_HOME nor HOME is set: nowhere to keep transactions";
                Failure::usage(what, "name a folder by --state DIR")
            })?
            .join("submit"),
    };
    let folder = base.join(chain_id.to_string());
    fs::create_dir_all(&folder).map_err(|error| Failure::file(folder.display(), &error))?;
    Ok(folder)
}

fn not_submitted(error: &SubmitError) -> Failure {
    let next = match error {
        SubmitError::TooDear { .. } => "allow more by --fee-max, if it is worth it",
        SubmitError::Contract { .. } => "check --flow",
        SubmitError::Send(_) | SubmitError::Node(_) => {
            "run it again: what was signed is kept, and sent once"
        }
    };
    Failure::other(error.to_string(), next)
}
