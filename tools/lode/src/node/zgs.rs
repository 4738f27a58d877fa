//! The threads that speak 0G's storage RPC and follow the flow that it stands on.
//!
//! ```text
//!  chain ─ submissions ─► book ─► room ◄─ requests
//!             compared with the contract's root
//! ```
//! Requests are answered from what is known, whatever the chain does. Only the very first start needs
//! it: which chain it is, clients are told in every status.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use alloy_primitives::Address;
use lode_chain_link::{
    certified::Contracts,
    follow::{Follow, FollowError, Step},
    logs,
    node::{BlockRef, Http, Rpc},
    store::{Store, StoreError},
};
use lode_flow::{AppendError, Block, Book, BookError, Pieces, Submission, Tags};
use lode_proofs::Hash32;
use lode_wire::{NetworkIdentity, ProtocolVersion};
use lode_zgs::{Asks, Config, Door, Room, door, serve, shelf::Shelf};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::peers;
use crate::{
    failure::{Failure, Outcome},
    settings::ZgsSettings,
};

/// How often the chain is asked for what is new.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Waiting times after failures: from, and up to.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Time for all questions of a step; a chain that accepts connections and says nothing is away too.
const STEP_TIME: Duration = Duration::from_secs(30);
/// What nodes of 0G's present network say (0G wire, 6).
const PROTOCOL: ProtocolVersion = ProtocolVersion {
    major: 0,
    minor: 4,
    build: 0,
};

/// Why there was no step.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Book(#[from] BookError),
    #[error("the chain's node did not answer within {} s", STEP_TIME.as_secs())]
    Late,
    #[error("the chain's node does not know submission {seq} yet, of which it has told")]
    Behind { seq: u64 },
    #[error("after submission {seq} the flow has root {book}, and its contract says {contract}")]
    OtherRoot {
        seq: u64,
        book: Hash32,
        contract: Hash32,
    },
}

/// All that can fail at a start was done.
pub struct Opened {
    /// What the chain has ordered.
    pub book: Book,
    pieces: Pieces,
    settings: ZgsSettings,
    node: Http,
    store: Store,
    identity_file: PathBuf,
    /// The node's data directory.
    dir: PathBuf,
}

/// Serves until it is told to stop.
pub struct Running(watch::Sender<bool>);

impl Running {
    /// Takes no more requests; those that are there are answered.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Opens the flow's book. The chain need not be there.
pub fn open(settings: &ZgsSettings, chain: &str, dir: &Path) -> Outcome<Opened> {
    let node = Rpc::http(chain)
        .map_err(|error| Failure::usage(format!("chain is {chain}: {error}"), "correct --chain"))?;
    let folder = dir.join("flow");
    let unusable = |error: &dyn std::fmt::Display| {
        let what = format!("{}: {error}", folder.display());
        let next = "the folder may go: the flow is read from the chain again";
        Failure::other(what, next)
    };
    let book = Book::open(folder.join("book")).map_err(|error| unusable(&error))?;
    let store = Store::open(folder.join("follow")).map_err(|error: StoreError| unusable(&error))?;
    let pieces = dir.join("pieces");
    let pieces = Pieces::open(&pieces).map_err(|error| {
        let what = format!("{}: {error}", pieces.display());
        let next = "without the folder the chunks of this node's slice count for nothing, and are \
                    fetched from others again";
        Failure::other(what, next)
    })?;
    Ok(Opened {
        book,
        pieces,
        settings: settings.clone(),
        node,
        store,
        identity_file: folder.join("network.json"),
        dir: dir.to_owned(),
    })
}

impl Opened {
    /// Starts the threads.
    pub fn start(self) -> Outcome<(Asks, Running)> {
        let failed = |error| Failure::file("the threads of 0G's storage RPC", &error);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("lode-zgs")
            .enable_all()
            .build()
            .map_err(failed)?;
        let (door, asks) = door();
        let (stop, stopping) = watch::channel(false);
        thread::Builder::new()
            .name("lode-zgs".to_owned())
            .spawn(move || {
                if let Err(failure) = runtime.block_on(self.run(door, stopping)) {
                    tracing::error!(
                        next = failure.next,
                        "0G's storage RPC has ended: {}",
                        failure.what
                    );
                }
            })
            .map_err(failed)?;
        Ok((asks, Running(stop)))
    }

    async fn run(self, door: Door, mut stopping: watch::Receiver<bool>) -> Outcome<()> {
        let identity = tokio::select! {
            identity = self.identity() => identity?,
            _ = stopping.changed() => return Ok(()),
        };
        let config = Config {
            address: self.settings.listen,
            grpc: self.settings.grpc,
            origins: self.settings.origins.clone(),
            ..Config::new(identity)
        };
        let shelf = Shelf::of_slice(door, self.settings.slice, self.pieces.clone());
        let room = Room::new(config, self.book.clone(), shelf);
        let server = serve(std::sync::Arc::clone(&room)).await;
        let server =
            server.map_err(|error| super::door::cannot_listen(self.settings.listen, &error))?;
        tracing::info!(address = %server.address(), "0G's storage RPC is served");
        let peers = match &self.settings.peers {
            Some(peers) => Some(peers::start(peers, &self.settings, &self.dir, &room)?),
            None => None,
        };
        let counted = async {
            match &peers {
                Some(peers) => peers::count(peers, &room).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            followed = self.follow(&room) => followed?,
            () = counted => {}
            _ = stopping.changed() => {}
        }
        server.stop().await;
        if let Some(peers) = peers {
            peers.stop().await.map_err(|error| {
                let next = "start the node again, and report this with its log";
                Failure::other(error.to_string(), next)
            })?;
        }
        Ok(())
    }

    /// Which network this is: as it was at the last start, or as the chain says.
    async fn identity(&self) -> Outcome<NetworkIdentity> {
        let file = &self.identity_file;
        let failed = |error| Failure::file(file.display(), &error);
        let wanted = |chain_id| NetworkIdentity {
            chain_id,
            flow_address: flow_text(self.settings.flow),
            p2p_protocol_version: PROTOCOL,
        };
        if file.exists() {
            let text = fs::read(file).map_err(failed)?;
            let known: NetworkIdentity = serde_json::from_slice(&text)
                .map_err(|error| failed(std::io::Error::other(error)))?;
            if known.flow_address != flow_text(self.settings.flow) {
                let what = format!(
                    "{} is of the flow at {}",
                    file.display(),
                    known.flow_address
                );
                return Err(Failure::usage(
                    what,
                    "use that --flow-address, or another --dir",
                ));
            }
            return Ok(wanted(known.chain_id));
        }
        let mut pause = RETRY;
        let identity = loop {
            match timeout(STEP_TIME, self.node.chain_id()).await {
                Ok(Ok(chain_id)) => break wanted(chain_id),
                Ok(Err(error)) => tracing::warn!(%error, "which chain it is is not known yet"),
                Err(_) => tracing::warn!("which chain it is is not known yet: no answer"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        };
        let text =
            serde_json::to_vec(&identity).map_err(|error| failed(std::io::Error::other(error)))?;
        let fresh = file.with_extension("new");
        fs::write(&fresh, text).map_err(failed)?;
        fs::rename(&fresh, file).map_err(failed)?;
        Ok(identity)
    }

    /// Follows the flow for ever; ends only when its own books fail.
    async fn follow(&self, room: &Room) -> Outcome<()> {
        let broken = |error: &dyn std::fmt::Display| {
            Failure::other(
                format!("the flow cannot be followed: {error}"),
                "stop the node and remove its folder `flow`: it is read from the chain again",
            )
        };
        let (node, store) = (self.node.clone(), self.store.clone());
        let ZgsSettings {
            flow, first_block, ..
        } = self.settings;
        let mut follow =
            Follow::open(node, store, "flow", flow, first_block).map_err(|error| broken(&error))?;
        self.go_back(follow.stands())
            .map_err(|error| broken(&error))?;
        let mut pause = RETRY;
        let mut trouble = String::new();
        loop {
            let step = timeout(STEP_TIME, self.step(&mut follow, room)).await;
            match step.unwrap_or(Err(StepError::Late)) {
                Ok(more) => {
                    if !trouble.is_empty() {
                        tracing::info!("the flow is followed again");
                        trouble.clear();
                    }
                    pause = RETRY;
                    if !more {
                        sleep(LOOK_EVERY).await;
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    // Said once, not with every try.
                    if text != trouble {
                        tracing::warn!("the flow is not followed: {text}");
                        trouble = text;
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
    }

    /// One step; false if nothing was new.
    async fn step(&self, follow: &mut Follow<Http>, room: &Room) -> Result<bool, StepError> {
        match follow.step().await? {
            Step::Idle => Ok(false),
            Step::Submissions { list, upto, mark } => {
                let list: Vec<Submission> = list.into_iter().map(submission).collect();
                let stood = follow.stands();
                self.book.append(&list, block(upto))?;
                let compared = match list.last() {
                    Some(last) => self.compare(follow, last.seq).await,
                    None => Ok(()),
                };
                let done = match compared {
                    Ok(()) => follow.commit(mark).map_err(StepError::from),
                    Err(error) => Err(error),
                };
                if let Err(error) = done {
                    self.go_back(stood)?;
                    return Err(error);
                }
                if !list.is_empty() {
                    room.submitted().await;
                }
                Ok(true)
            }
            Step::Back { to, mark } => {
                tracing::warn!(to = to.map(|to| to.number), "the chain has gone back");
                self.go_back(to)?;
                follow.commit(mark)?;
                Ok(true)
            }
        }
    }

    /// Compares the book's root with the contract's own.
    async fn compare(&self, follow: &Follow<Http>, seq: u64) -> Result<(), StepError> {
        let contract = follow.root_after(seq).await?;
        let contract = contract.ok_or(StepError::Behind { seq })?;
        match self.book.root_after(seq)? {
            Some(book) if book != contract => Err(StepError::OtherRoot {
                seq,
                book,
                contract,
            }),
            _ => Ok(()),
        }
    }

    /// Takes back what was submitted after a block.
    fn go_back(&self, to: Option<BlockRef>) -> Result<(), BookError> {
        loop {
            let gone = self.book.revert(to.map(block))?;
            if gone.is_empty() {
                return Ok(());
            }
            tracing::warn!(count = gone.len(), "submissions are void");
        }
    }
}

fn flow_text(flow: Address) -> String {
    // In lower case, as 0G's nodes say it.
    format!("{flow:#x}")
}

fn block(block: BlockRef) -> Block {
    Block {
        number: block.number,
        hash: block.hash.0,
    }
}

fn submission(of: logs::Submission) -> Submission {
    Submission {
        seq: of.seq,
        root: of.root,
        size: of.size,
        start: of.start,
        nodes: of.nodes,
        submitter: of.submitter,
        sender: of.sender,
        tags: Tags::new(of.tags),
        block: of.block,
        transaction: of.transaction,
    }
}
