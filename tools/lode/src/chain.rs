//! `lode chain`: one validator of the settlement chain with its RPC, in one process.
//!
//! ```text
//!   main thread      tokio: RPC, signals
//!   consensus        a thread and a runtime of its own
//!   chain-exec/keep  the ledger's two threads
//! ```
//! [`checkpoint`] makes an empty folder begin with a block that others have, before all of it starts.

mod checkpoint;

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use alloy_genesis::Genesis;
use lode_chain::{
    Config, LedgerError, Members, Secret, Service, Validator,
    ask::Contracts,
    rpc::{self, dev::Dev},
    start,
};
use lode_chain_link::{addresses::COMMITTEE, committee};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::ChainArgs,
    devnet,
    failure::{Failure, Outcome},
    journal,
    output::Output,
};

/// Threads of consensus: its work is small, and half of it waits for the disk.
const CONSENSUS_THREADS: usize = 1;
/// Threads that find who sent transactions.
const RECOVERERS: usize = 2;
/// Threads that answer the RPC.
const RPC_THREADS: usize = 2;
/// Bytes of the state in memory.
const MEMORY: usize = 64 << 20;
/// Time for requests in flight to end at a stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs a validator until it is told to stop, or something fails.
pub fn run(args: &ChainArgs, ca: Option<&Path>, output: Output) -> Outcome<ExitCode> {
    let began = Instant::now();
    journal::start_with(&args.log, false)?;
    let genesis: Genesis = read(&args.genesis, "a genesis file")?;
    let secret: Secret = read(&args.key, "a validator's key file")?;
    fs::create_dir_all(&args.dir).map_err(|error| Failure::file(args.dir.display(), &error))?;
    let members: Members = Arc::new(registered);
    if !args.checkpoint_sync.is_empty() {
        checkpoint::run(args, ca, &genesis, Arc::clone(&members), output)?;
    }
    let ahead = Arc::new(AtomicU64::new(0));
    let service = start(Config {
        genesis,
        dir: args.dir.clone(),
        secret,
        listen: args.listen,
        beneficiary: args.beneficiary,
        heartbeat: Duration::from_millis(args.heartbeat_ms),
        states: args.states,
        memory: MEMORY,
        members: Some(members),
        blocks_kept: args.keep_blocks,
        threads: CONSENSUS_THREADS,
        recoverers: RECOVERERS,
        ahead: Arc::clone(&ahead),
    })
    .map_err(|error| failed(&error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RPC_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::file("threads", &error))?;
    let dev = match args.dev {
        true => Some(Dev {
            keys: devnet::signers()?,
            ahead,
        }),
        false => None,
    };
    let config = rpc::Config {
        address: args.rpc,
        origins: args.origins.clone(),
        dev,
        ..rpc::Config::default()
    };
    runtime.block_on(serve(config, service, began, output))
}

/// Who is to validate in an epoch, as the stake registry says after a block. Nobody if there is no
/// registry, or it does not answer.
fn registered(contracts: &dyn Contracts, epoch: u64) -> Result<Vec<Validator>, LedgerError> {
    let question = committee::committee_call(epoch);
    let Some(answer) = contracts.ask(COMMITTEE, question)? else {
        tracing::warn!(epoch, "the stake registry does not answer");
        return Ok(Vec::new());
    };
    let members = committee::members(&answer).unwrap_or_else(|error| {
        tracing::warn!(epoch, %error, "the stake registry answers something else");
        Vec::new()
    });
    let members = members.into_iter().map(|member| Validator {
        key: member.key,
        address: member.endpoint,
    });
    Ok(members.collect())
}

/// Answers until a signal comes or the chain fails.
async fn serve(
    config: rpc::Config,
    mut service: Service,
    began: Instant,
    output: Output,
) -> Outcome<ExitCode> {
    let heard = |kind| signal(kind).map_err(|error| Failure::file("signals", &error));
    let mut terminate = heard(SignalKind::terminate())?;
    let mut interrupt = heard(SignalKind::interrupt())?;
    let address = config.address;
    let served = rpc::serve(config, service.ledger().clone()).await;
    let handle = match served {
        Ok(handle) => handle,
        Err(error) => {
            let _stopped = service.stop().is_ok();
            let what = format!("the RPC cannot listen on {address}: {error}");
            return Err(Failure::other(what, "choose another address by --rpc"));
        }
    };
    announce(&service, handle.address(), began, output)?;
    let failure = tokio::select! {
        error = service.failed() => Some(failed(&error)),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    tracing::info!("stopping");
    if tokio::time::timeout(DRAIN, handle.stop()).await.is_err() {
        tracing::warn!("requests were still in flight");
    }
    let stopped = tokio::task::spawn_blocking(move || service.stop()).await;
    match (failure, stopped) {
        (Some(failure), _) => Err(failure),
        (None, Ok(Ok(()))) => Ok(ExitCode::SUCCESS),
        (None, Ok(Err(error))) => Err(failed(&error)),
        (None, Err(error)) => Err(Failure::other(
            error.to_string(),
            "report this with the log",
        )),
    }
}

/// The one line that says that it is ready.
fn announce(
    service: &Service,
    address: std::net::SocketAddr,
    began: Instant,
    output: Output,
) -> Outcome<()> {
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let chain = service.ledger().chain();
    let view = service.ledger().latest();
    let height = view.tip();
    let (url, id) = (format!("http://{address}"), chain.spec.chain_id());
    let json = json!({
        "rpc": url, "ws": format!("ws://{address}"), "chain_id": id, "height": height,
        "began_with": view.base(),
        "genesis": chain.genesis.hash(), "pid": std::process::id(), "ready_ms": millis,
    });
    let long = format!("lode chain {id} ready at {url}  block {height}  in {millis} ms");
    output.data(&json, &url, &long)?;
    io::stdout()
        .flush()
        .map_err(|error| Failure::file("stdout", &error))
}

fn failed(error: &lode_chain::service::Error) -> Failure {
    Failure::other(
        format!("the chain: {error}"),
        "starting it again resumes from what is on disk",
    )
}

/// Reads a JSON file.
fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Outcome<T> {
    let text = fs::read(path).map_err(|error| Failure::file(path.display(), &error))?;
    serde_json::from_slice(&text).map_err(|error| {
        let text = format!("{} is not {what}: {error}", path.display());
        Failure::usage(text, "`lode devnet --state DIR` makes one")
    })
}
