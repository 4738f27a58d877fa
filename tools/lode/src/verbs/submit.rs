//! `lode submit`: files into the flow, as 0G's clients do it, each paid for once.
//!
//! ```text
//!   file ─► root ─► does the node know it? ─► transaction: its hash is told at once ─► in a block
//!                         │ then nothing is paid                                          ▼
//!                         └───────────────────────────────────────────► bytes ─► complete
//! ```
//! Whatever is cut, the same command goes on: transactions are on this disk before anybody sees them,
//! and the node says from which byte on an upload goes on.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::ExitCode,
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
use lode_indexer::client::{Client as Zgs, Settings};
use lode_proofs::BlobTree;
use lode_wire::Slice;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    client::Client,
    failure::{Failure, Outcome},
    keys,
    output::{Output, batch_exit, plain},
    roots, service,
    source::Source,
    units,
    verbs::{store::size_of, upload::Upload},
};

/// How often chain and node are asked.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Time without news from the chain, and from a node that has all bytes, before we give up.
const PATIENCE: Duration = Duration::from_secs(60);
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
    /// Where the node (--node), which must keep the whole flow, serves 0G's storage RPC
    #[arg(long, value_name = "URL")]
    pub zgs: String,
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
pub fn run(args: &SubmitArgs, client: &Client, output: Output) -> Outcome<ExitCode> {
    let runtime = service::runtime()?;
    let mut desk = runtime.block_on(Desk::open(args, client, output))?;
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
struct Desk<'a> {
    client: &'a Client,
    zgs: Zgs,
    submitter: Submitter<Http>,
    output: Output,
}

impl<'a> Desk<'a> {
    async fn open(args: &SubmitArgs, client: &'a Client, output: Output) -> Outcome<Desk<'a>> {
        let zgs = Zgs::new(&args.zgs, Settings::default())
            .map_err(|error| Failure::usage(error.to_string(), "correct --zgs"))?;
        let node = Rpc::http(&args.chain).map_err(|error| {
            Failure::usage(format!("{}: {error}", args.chain), "correct --chain")
        })?;
        let chain_id = node
            .chain_id()
            .await
            .map_err(|error| Failure::unreachable(&args.chain, error))?;
        let status = zgs
            .status()
            .await
            .map_err(|error| Failure::unreachable(&args.zgs, error))?;
        let network = status.network_identity;
        if (network.chain_id, network.flow_address.parse().ok()) != (chain_id, Some(args.flow)) {
            let what = format!(
                "{} follows the flow at {} of chain {}, not the one at {} of chain {chain_id}",
                args.zgs, network.flow_address, network.chain_id, args.flow
            );
            return Err(Failure::usage(what, "name chain and node of one network"));
        }
        let slice = zgs
            .slice()
            .await
            .map_err(|error| Failure::unreachable(&args.zgs, error))?;
        if slice != Slice::WHOLE {
            let what = format!(
                "{} keeps slice {} of {}: the other nodes would wait for their chunks",
                args.zgs,
                slice.id(),
                slice.count()
            );
            return Err(Failure::usage(
                what,
                "name a node that keeps the whole flow",
            ));
        }
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
            client,
            zgs,
            submitter: submitter.map_err(|error| not_submitted(&error))?,
            output,
        })
    }

    /// One file, from its root to the node's word that it has all of it.
    async fn file(&mut self, path: &Path) -> Outcome<Value> {
        let name = path.display().to_string();
        let failed = |error| Failure::file("cannot be read", &error);
        let file = File::open(path).map_err(failed)?;
        let size = size_of(&file)?;
        let source = Source::whole(&file, size);
        let bar = self.output.bar(&format!("root {name}"), Some(size));
        let tree = roots::of_source(source, &|bytes| bar.inc(bytes)).map_err(failed)?;
        bar.finish_and_clear();
        let mut entry = json!({
            "path": name, "root": tree.root(), "size": size, "tx": null, "existed": true,
        });
        if self.known(&tree).await?.is_none() {
            entry["tx"] = json!(self.pay(&tree).await?);
            entry["existed"] = json!(false);
        }
        let bar = self.output.bar(&name, Some(size));
        let upload = Upload::new(self.client, source, tree.root());
        let watched = self.output.is_watched();
        let uploaded =
            tokio::task::block_in_place(|| upload.run(watched, &|bytes| bar.set_position(bytes)))?;
        bar.finish_and_clear();
        entry["sent"] = json!(uploaded.sent);
        entry["seq"] = json!(self.complete(&tree).await?);
        Ok(entry)
    }

    /// Number of the blob's submission, and whether the node has all of it; none if it knows none.
    async fn known(&self, tree: &BlobTree) -> Outcome<Option<(u64, bool)>> {
        let size = tree.shape().size();
        let found = self
            .zgs
            .blob(tree.root(), false)
            .await
            .map_err(|error| Failure::unreachable(self.zgs.url(), error))?;
        let found = found.filter(|found| found.tx.size == size);
        Ok(found.map(|found| (found.tx.seq, found.finalized)))
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

    /// Waits until the node has the submission and all bytes.
    async fn complete(&self, tree: &BlobTree) -> Outcome<u64> {
        let began = Instant::now();
        loop {
            if let Some((seq, true)) = self.known(tree).await? {
                return Ok(seq);
            }
            if began.elapsed() > PATIENCE {
                let what = "the node does not say that it has the blob's submission";
                let next = "see whether it follows the chain (zgs_getStatus), then run it again";
                return Err(Failure::late(what, next));
            }
            sleep(ASK_EVERY).await;
        }
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
