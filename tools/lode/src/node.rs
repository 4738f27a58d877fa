//! `lode node`: one store, one HTTP port, one process.
//!
//! ```text
//!   main thread: preflight, lock, launch, then waits for the executors
//!   executors:   store and shards' routes                (one thread per core)
//!   desk thread: tokio; signals, health, metrics, other routes
//!   settle:      tokio; anchors what is stored, if a chain and an account were named
//!   zgs:         tokio; 0G's storage RPC, and the flow that it stands on, if it has an address
//! ```

mod door;
mod feed;
mod network;
mod peers;
mod program;
mod settle;
mod zgs;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, channel},
    },
    thread,
    time::Instant,
};

use lode_edge::{Desk, Edge, MoreMetrics, settlement};
use lode_engine::mesh::Mesh;
use lode_world::{Preflight, launch, preflight};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    failure::{Failure, Outcome},
    journal,
    output::Output,
    settings::{ChainSettings, Settings},
};
use program::{News, NodeProgram};

pub use door::cannot_listen;

/// Runs a node until it is told to stop.
pub fn run(settings: &Settings, output: Output) -> Outcome<ExitCode> {
    let began = Instant::now();
    journal::start(settings)?;
    let dir = prepare_dir(settings)?;
    let _lock = door::lock(&dir)?;
    door::check_port(settings.listen)?;
    let executors = executors(settings);
    let found = preflight(
        std::slice::from_ref(&dir),
        usize::from(executors),
        settings.backend,
    )
    .map_err(|error| Failure::file(dir.display(), &error))?;
    for warning in &found.warnings {
        tracing::warn!(cure = warning.cure, "{}", warning.what);
    }
    let (edge, desk) = Edge::new(settings.limits(executors), usize::from(executors));
    let zgs = match (&settings.zgs, &settings.chain) {
        (Some(zgs), Some(chain)) => Some(zgs::open(zgs, &chain.url, &dir)?),
        _ => None,
    };
    let flow = zgs.as_ref().map(|zgs| zgs.book.clone());
    let desk = naming_storage_rpc(desk, settings);
    let (source, desk) = match &settings.chain {
        Some(ChainSettings {
            url,
            account: Some(account),
        }) => {
            let (source, feed) = feed::channel(flow);
            let (asker, asked) = settlement::questions();
            settle::start(url, account, &dir, feed, asked)?;
            (Some(source), desk.with_settlement(asker))
        }
        _ => (None, desk),
    };
    let (asks, zgs) = match zgs.map(zgs::Opened::start).transpose()? {
        Some((asks, running)) => (Some(asks), Some(running)),
        None => (None, None),
    };
    let desk = match &zgs {
        Some(zgs) => desk.with_metrics(more_metrics(zgs.meters())),
        None => desk,
    };
    let _desk = start_desk(edge.clone(), desk, zgs)?;
    let (sender, news) = channel();
    let program = NodeProgram {
        edge: edge.clone(),
        options: settings.store(dir.clone(), executors),
        mesh: Mesh::new(usize::from(executors)),
        listen: settings.listen,
        source,
        asks,
        news: sender.clone(),
    };
    let running = launch(&found, program).map_err(|error| {
        let next = "look at the limits that the warnings name, or try --backend posix";
        Failure::other(format!("the executors could not start: {error}"), next)
    })?;
    // Joined on a thread of its own: an executor that dies must be heard of while others wait.
    thread::spawn(move || sender.send(News::Ended(running.join())).is_err());
    let served = announce(settings, &found, &dir, began, &news, output);
    if let Err(failure) = served {
        edge.stop();
        return Err(failure);
    }
    until_ended(&news)?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// The desk, telling where 0G's storage RPC is. Port 0 stands for any: which one it became is known too
/// late.
fn naming_storage_rpc(desk: Desk, settings: &Settings) -> Desk {
    match &settings.zgs {
        Some(zgs) if zgs.listen.port() != 0 => desk.with_storage_rpc(zgs.listen.port()),
        _ => desk,
    }
}

/// What is counted beside the store, as soon as there is any of it.
fn more_metrics(meters: zgs::Meters) -> Box<MoreMetrics> {
    Box::new(move |registry| {
        let (zgs, peers) = meters.each();
        if let Some(zgs) = zgs {
            registry.register_collector(Box::new(zgs));
        }
        if let Some(peers) = peers {
            registry.register_collector(Box::new(peers));
        }
    })
}

/// Waits for the last executor.
fn until_ended(news: &Receiver<News>) -> Outcome<()> {
    loop {
        match news.recv() {
            Ok(News::Listening(_)) => {}
            Ok(News::Failed(failure)) => return Err(failure),
            Ok(News::Ended(ended)) => return ended.map_err(|error| died(&error)),
            Err(_) => return Ok(()),
        }
    }
}

fn died(error: &io::Error) -> Failure {
    Failure::other(
        format!("the node died: {error}"),
        "report this with the log; starting it again recovers everything that was acknowledged",
    )
}

/// One executor per shard that was asked for, or per core.
fn executors(settings: &Settings) -> u16 {
    let cores = || {
        thread::available_parallelism()
            .ok()
            .and_then(|cores| u16::try_from(cores.get()).ok())
    };
    settings.shards.or_else(cores).unwrap_or(1)
}

fn prepare_dir(settings: &Settings) -> Outcome<PathBuf> {
    let dir = settings.dir.clone().ok_or_else(|| {
        Failure::usage(
            "a node needs a data directory",
            "name it by --dir DIR, LODE_DIR, or dir in the config file",
        )
    })?;
    std::fs::create_dir_all(&dir).map_err(|error| Failure::file(dir.display(), &error))?;
    dir.canonicalize()
        .map_err(|error| Failure::file(dir.display(), &error))
}

/// The desk's thread, and the signals with it. It lives as long as the process.
fn start_desk(
    edge: Edge,
    desk: Desk,
    zgs: Option<zgs::Running>,
) -> Outcome<thread::JoinHandle<()>> {
    let failed = |error| {
        Failure::other(
            format!("the desk thread: {error}"),
            "raise the limit of threads",
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(failed)?;
    let body = move || {
        runtime.block_on(async move {
            if let Err(error) = watch_signals(&edge, zgs) {
                tracing::error!(%error, "signals cannot be heard: only SIGKILL stops this node");
            }
            drop(edge);
            desk.run().await;
        });
    };
    thread::Builder::new()
        .name("lode-desk".to_owned())
        .spawn(body)
        .map_err(failed)
}

/// How a node ends by itself.
struct Ending {
    edge: Edge,
    zgs: Option<zgs::Running>,
    begun: AtomicBool,
}

impl Ending {
    /// Requests in flight are finished; false if that has begun already.
    fn begin(&self) -> bool {
        if self.begun.swap(true, Relaxed) {
            return false;
        }
        tracing::info!("stopping: requests in flight are finished; a second signal stops at once");
        if let Some(zgs) = &self.zgs {
            zgs.stop();
        }
        self.edge.stop();
        true
    }
}

/// The first SIGTERM or SIGINT stops the node gracefully, and so does the operator's word; the next
/// signal stops it at once.
fn watch_signals(edge: &Edge, zgs: Option<zgs::Running>) -> io::Result<()> {
    let ending = Arc::new(Ending {
        edge: edge.clone(),
        zgs,
        begun: AtomicBool::new(false),
    });
    if let Some(mut end) = ending.zgs.as_ref().map(zgs::Running::end) {
        let ending = Arc::clone(&ending);
        tokio::spawn(async move {
            // Its other end may go without a word: then there is none.
            if end.wait_for(|end| *end).await.is_ok() {
                let _begun = ending.begin();
            }
        });
    }
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut heard = signal(kind)?;
        let ending = Arc::clone(&ending);
        tokio::spawn(async move {
            while heard.recv().await.is_some() {
                if !ending.begin() {
                    tracing::warn!(
                        "second signal: stopping at once; the next start replays the log"
                    );
                    std::process::exit(130);
                }
            }
        });
    }
    Ok(())
}

/// Waits until every executor listens, then prints the one line that says so.
fn announce(
    settings: &Settings,
    found: &Preflight,
    dir: &Path,
    began: Instant,
    news: &Receiver<News>,
    output: Output,
) -> Outcome<()> {
    let mut address: Option<SocketAddr> = None;
    for _ in 0..found.executors {
        match news.recv() {
            Ok(News::Listening(at)) => address = Some(at),
            Ok(News::Failed(failure)) => return Err(failure),
            Ok(News::Ended(Err(error))) => return Err(died(&error)),
            Ok(News::Ended(Ok(()))) | Err(_) => {
                return Err(Failure::other(
                    "stopped before it was ready",
                    "start it again",
                ));
            }
        }
    }
    let Some(address) = address else {
        return Ok(());
    };
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let url = format!("http://{address}");
    let shown = settings
        .shown
        .iter()
        .map(|shown| (shown.key.to_owned(), json!(shown.value)));
    let json = json!({
        "url": url, "pid": std::process::id(), "dir": dir.display().to_string(),
        "backend": found.backend.to_string(), "shards": found.executors, "ready_ms": millis,
        "settings": shown.collect::<serde_json::Map<_, _>>(),
    });
    let long = format!(
        "lode node ready at {url}  pid {}  dir {}  backend {} ({})  shards {}  in {millis} ms\n{}",
        std::process::id(),
        dir.display(),
        found.backend,
        found.why,
        found.executors,
        one_line(settings)
    );
    output.data(&json, &url, &long)?;
    io::stdout()
        .flush()
        .map_err(|error| Failure::file("stdout", &error))
}

/// All settings that have a value, on one line.
fn one_line(settings: &Settings) -> String {
    let set = settings
        .shown
        .iter()
        .filter(|shown| !shown.value.is_empty());
    let pairs: Vec<String> = set
        .filter(|shown| !matches!(shown.key, "node" | "ca" | "dir" | "listen"))
        .map(|shown| format!("{}={}", shown.key, shown.value))
        .collect();
    format!("settings: {}", pairs.join(" "))
}
