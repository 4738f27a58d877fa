//! A key-value node: a replay and an interface over one store.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jsonrpsee::server::ServerHandle;
use lode_wire::cipher::Keys;
use tokio::{runtime::Handle as Runtime, sync::watch, task::JoinHandle};

use crate::{
    blob::Asking,
    feed::Feed,
    replay::{Ended, Progress, Replay, Rules},
    rpc::{self, RpcConfig, service::Service},
    sealed,
    store::{Held, Join, Marks, Reader, Store, StoreError},
    stream::StreamId,
};

/// Which streams a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Streams {
    /// All there are.
    All,
    /// These, those that an earlier start named, and those that are added while it runs.
    Listed(BTreeSet<StreamId>),
}

/// What an operator may choose.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the interface is served. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder of the store.
    pub folder: PathBuf,
    /// Which streams to hold.
    pub streams: Streams,
    /// The first submission to look at, in a new folder: there is nothing of our streams before it.
    pub from_seq: u64,
    /// The chain whose signatures count for `admin_addStream`; none: nobody adds streams.
    pub chain_id: Option<u64>,
    /// How submissions are followed.
    pub rules: Rules,
    /// Bounds of the interface.
    pub rpc: RpcConfig,
    /// How long a feed may take for an answer.
    pub answer_time: Duration,
}

/// Streams that a node may hold.
const STREAMS_MAX: usize = 65_536;
/// 0G's port (0G wire, 3.3).
const PORT: u16 = 6789;

impl Config {
    /// In a folder, everything else as it is good for most.
    pub fn new(folder: PathBuf) -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            folder,
            streams: Streams::All,
            from_seq: 0,
            chain_id: None,
            rules: Rules {
                patience: None,
                undo_max: 1024,
                poll: Duration::from_millis(200),
                streams_max: STREAMS_MAX,
                keys: Keys::default(),
            },
            rpc: RpcConfig::default(),
            answer_time: Duration::from_secs(10),
        }
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be had, or an origin is none.
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
    /// A folder holds all streams or a list of them, as it began.
    #[error("the folder holds {0}, and this cannot be changed: begin a new one")]
    OtherStreams(&'static str),
    /// What was read with other keys, or without one, is not read again.
    #[error("the folder was begun with other keys, or without one: begin a new one")]
    OtherKeys,
    /// More streams than a node may hold.
    #[error("{0} streams are too many")]
    TooManyStreams(usize),
}

/// A key-value node.
pub struct Kv;

impl Kv {
    /// Starts a node. Needs a tokio runtime with several threads, which outlives the node.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start<F: Feed>(config: Config, feed: F) -> Result<Handle, StartError> {
        let mut store = Store::open(&config.folder)?;
        prepare(&mut store, &config)?;
        let (stop, stopped) = watch::channel(false);
        let (tell, progress) = watch::channel(Progress::default());
        let reader = store.reader();
        let asking = Asking {
            feed: Arc::new(feed),
            runtime: Runtime::current(),
            stop: stopped,
            wait: config.answer_time,
        };
        let streams_max = config.rules.streams_max;
        let replay = Replay::new(asking, store, config.rules, tell)?;
        let service = Service::new(
            config.rpc,
            reader.clone(),
            progress.clone(),
            config.chain_id,
            streams_max,
        );
        let (address, server) = rpc::serve(config.listen, service).await?;
        // It waits for the disk, and for answers: not where others wait behind it.
        let replay = tokio::task::spawn_blocking(move || replay.run());
        Ok(Handle {
            address,
            reader,
            progress,
            stop,
            server,
            replay: Some(replay),
        })
    }
}

/// Brings the store and what is configured together.
fn prepare(store: &mut Store, config: &Config) -> Result<(), StartError> {
    let listed = match &config.streams {
        Streams::All => BTreeSet::new(),
        Streams::Listed(listed) => listed.clone(),
    };
    let all = config.streams == Streams::All;
    let most = config.rules.streams_max;
    let keys = sealed::print_of(&config.rules.keys);
    if listed.len() > most {
        return Err(StartError::TooManyStreams(listed.len()));
    }
    match store.view().held()? {
        None => {
            let held = Held {
                all,
                streams: listed,
                joining: Join::new(),
                keys,
            };
            let from = config.from_seq;
            let marks = Marks {
                from,
                low: from,
                next: from,
                join_low: from,
            };
            store.hold(&held, &marks, &[])?;
        }
        Some(held) if held.keys != keys => return Err(StartError::OtherKeys),
        Some(held) if held.all && !all => return Err(StartError::OtherStreams("all streams")),
        Some(held) if !held.all && all => {
            return Err(StartError::OtherStreams("a list of streams"));
        }
        Some(_) => {
            let reader = store.reader();
            for stream in listed {
                reader.want(stream, most)?;
            }
        }
    }
    Ok(())
}

/// A node that runs. It ends when this is dropped, or by [`Handle::stop`].
pub struct Handle {
    address: SocketAddr,
    reader: Reader,
    progress: watch::Receiver<Progress>,
    stop: watch::Sender<bool>,
    server: ServerHandle,
    replay: Option<JoinHandle<Ended>>,
}

impl Handle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has replayed, for who reads without the interface.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// How far it is, and what it has failed of.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Takes no more requests, ends the replay, and returns when both are done. Why the replay had
    /// ended before, if it had.
    pub async fn stop(mut self) -> Option<String> {
        self.end();
        self.server.clone().stopped().await;
        match self.replay.take()?.await {
            Ok(Ended::Stopped) => None,
            Ok(ended) => Some(ended.to_string()),
            Err(_) => Some("the replay crashed".to_owned()),
        }
    }

    fn end(&self) {
        self.stop.send_replace(true);
        // It may have stopped by itself.
        let _ = self.server.stop();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}
