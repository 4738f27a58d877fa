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
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
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
use lode_peers::Handle;
use lode_proofs::Hash32;
use lode_wire::{NetworkIdentity, ProtocolVersion};
use lode_zgs::{
    Asks, Config, Door, Opened as OperatorOpened, Operator, OperatorDoors, Room, door,
    open_operator, serve, shelf::Shelf,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{network::Among, peers};
use crate::{
    failure::{Failure, Outcome},
    random,
    settings::ZgsSettings,
};

/// How often the chain is asked for what is new.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Waiting times after failures: from, and up to.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Time for all questions of a step; a chain that accepts connections and says nothing is away too.
const STEP_TIME: Duration = Duration::from_secs(30);
/// How long an operator's client may take to fetch the last answer.
const OPERATOR_WAIT: Duration = Duration::from_secs(5);
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
pub struct Running {
    stop: watch::Sender<bool>,
    end: watch::Receiver<bool>,
    meters: Meters,
}

impl Running {
    /// Takes no more requests; those that are there are answered.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Turns true when the operator wants the node to end.
    pub fn end(&self) -> watch::Receiver<bool> {
        self.end.clone()
    }

    /// What is counted, for the node's page.
    pub fn meters(&self) -> Meters {
        self.meters.clone()
    }
}

/// What is counted of 0G's protocol, as soon as it is served. Clones are the same.
#[derive(Clone, Default)]
pub struct Meters {
    room: Arc<OnceLock<lode_zgs::Metrics>>,
    peers: Arc<OnceLock<lode_peers::Metrics>>,
}

/// What a thread of these is told by, and tells.
struct Wires {
    stopping: watch::Receiver<bool>,
    end: watch::Sender<bool>,
    meters: Meters,
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
        let operator = runtime.block_on(open_doors(&self.settings.operator))?;
        let (stop, stopping) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        let meters = Meters::default();
        let running = Running {
            stop,
            end: ended,
            meters: meters.clone(),
        };
        let wires = Wires {
            stopping,
            end,
            meters,
        };
        thread::Builder::new()
            .name("lode-zgs".to_owned())
            .spawn(move || {
                if let Err(failure) = runtime.block_on(self.run(door, operator, wires)) {
                    tracing::error!(
                        next = failure.next,
                        "0G's storage RPC has ended: {}",
                        failure.what
                    );
                }
            })
            .map_err(failed)?;
        Ok((asks, running))
    }

    async fn run(self, door: Door, operator: OperatorOpened, wires: Wires) -> Outcome<()> {
        let Wires {
            mut stopping,
            end,
            meters,
        } = wires;
        let identity = tokio::select! {
            identity = self.identity() => identity?,
            _ = stopping.changed() => return Ok(()),
        };
        let config = Config {
            address: self.settings.listen,
            grpc: self.settings.grpc,
            origins: self.settings.origins.clone(),
            operator: self.settings.operator.clone(),
            ..Config::new(identity)
        };
        let shelf = Shelf::of_slice(door, self.settings.slice, self.pieces.clone());
        let room = Room::new(config, self.book.clone(), shelf);
        let server = serve(Arc::clone(&room)).await;
        let server =
            server.map_err(|error| super::door::cannot_listen(self.settings.listen, &error))?;
        tracing::info!(address = %server.address(), "0G's storage RPC is served");
        let peers = match &self.settings.peers {
            Some(peers) => Some(peers::start(peers, &self.settings, &self.dir, &room)?),
            None => None,
        };
        meters.set(&room, peers.as_ref());
        let caught_up = Arc::new(AtomicBool::new(false));
        let among = Among {
            view: peers.as_ref().map(Handle::view),
            room: Arc::clone(&room),
            caught_up: Arc::clone(&caught_up),
        };
        let operator = operator.serve(&room, Arc::new(among));
        let operator = operator.map_err(|error| no_operator(&error))?;
        let mut asked = operator.shutdown();
        let talk = async {
            match &peers {
                Some(peers) => peers::talk(peers, &room).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            followed = self.follow(&room, &caught_up) => followed?,
            () = talk => {}
            Ok(_) = asked.wait_for(|asked| *asked) => {}
            _ = stopping.changed() => {}
        }
        let ends = *asked.borrow();
        stop_operator(operator).await;
        if ends {
            // From here on as after a signal.
            end.send_replace(true);
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
    async fn follow(&self, room: &Room, caught_up: &AtomicBool) -> Outcome<()> {
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
                    caught_up.store(!more, Relaxed);
                    if !more {
                        sleep(LOOK_EVERY).await;
                    }
                }
                Err(error) => {
                    caught_up.store(false, Relaxed);
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
                for submission in &list {
                    room.tell(submission.seq);
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

impl Meters {
    fn set(&self, room: &Arc<Room>, peers: Option<&Handle>) {
        self.room.get_or_init(|| lode_zgs::Metrics::of(room));
        if let Some(peers) = peers {
            self.peers.get_or_init(|| peers.view().metrics());
        }
    }

    /// Each kind that there is, for a page.
    pub fn each(&self) -> (Option<lode_zgs::Metrics>, Option<lode_peers::Metrics>) {
        (self.room.get().cloned(), self.peers.get().cloned())
    }
}

/// Opens the operator's doors, with chance for a word that is to be made.
async fn open_doors(doors: &OperatorDoors) -> Outcome<OperatorOpened> {
    let opened = open_operator(doors, random::bytes()?).await;
    opened.map_err(|error| no_operator(&error))
}

fn no_operator(error: &std::io::Error) -> Failure {
    let what = format!("the operator cannot be answered: {error}");
    Failure::other(what, "correct --operator-listen or --operator-token")
}

/// Lets the operator have his answers, for as long as a node that ends may wait.
async fn stop_operator(operator: Operator) {
    if timeout(OPERATOR_WAIT, operator.stop()).await.is_err() {
        tracing::warn!("the operator has not fetched an answer");
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
