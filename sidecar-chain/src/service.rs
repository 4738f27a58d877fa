//! All of the chain, started and stopped: ledger, consensus, gossip, RPC.

use std::{
    io,
    net::SocketAddr,
    num::NonZeroU64,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_genesis::Genesis;
use alloy_primitives::Address;
use lode_chain_consensus::{
    self as consensus, Checkpoint, Committee, Node, Secret, committee, node,
};
use lode_chain_ledger::{Chain, Error as LedgerError, Ledger, Options, chain};
use lode_chain_pool::{Limits, Rules};
use tokio::sync::mpsc;

use crate::{
    ask::Contracts,
    books::{self, Books},
    committees::{Committees, Members},
    genesis::{self, Ours},
    gossip,
};

/// How long a leader may take beyond the heartbeat: twice the time that a slow disk needs for a
/// block's votes.
const LEADER_MARGIN: Duration = Duration::from_secs(2);
/// Bytes of transactions in a block: with all else it stays below what is sent as one block.
const BLOCK_LEN: usize = 2 << 20;

/// How the chain runs here.
#[derive(Clone)]
pub struct Config {
    /// What it begins with.
    pub genesis: Genesis,
    /// Folder of the ledger and of consensus: of this validator alone.
    pub dir: PathBuf,
    /// The validator's keys.
    pub secret: Secret,
    /// Where it listens for other validators.
    pub listen: SocketAddr,
    /// Who gets the fees of its blocks.
    pub beneficiary: Address,
    /// After this long without a transaction there is a block all the same.
    pub heartbeat: Duration,
    /// Blocks whose state is kept below the last one; none: all.
    pub states: Option<u64>,
    /// Bytes of the state that are kept in memory.
    pub memory: usize,
    /// Who is to validate in later epochs; none: always the first committee.
    pub members: Option<Members>,
    /// Blocks that consensus keeps below the last one, for validators that were away.
    pub blocks_kept: u64,
    /// Threads of consensus.
    pub threads: usize,
    /// Threads that find who sent transactions.
    pub recoverers: usize,
    /// Seconds by which its clock is ahead: zero but for development.
    pub ahead: Arc<AtomicU64>,
}

/// Why the chain did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The genesis file begins no chain.
    #[error("the genesis file: {0}")]
    Chain(#[from] chain::Error),
    /// The genesis file is of another kind of chain.
    #[error("the genesis file: {0}")]
    Genesis(#[from] genesis::Error),
    /// The genesis file carries no committee.
    #[error("the genesis file: {0}")]
    Committee(#[from] committee::Error),
    /// The ledger cannot be opened, or has failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What consensus orders cannot be kept.
    #[error(transparent)]
    Books(#[from] books::Error),
    /// Consensus cannot start, or has failed.
    #[error(transparent)]
    Consensus(#[from] node::Error),
    /// The machine has no room for a thread.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// The running chain.
pub struct Service {
    ledger: Ledger,
    node: Option<Node>,
    failures: mpsc::Receiver<books::Error>,
}

/// Starts the chain from where it was left.
///
/// # Errors
/// When the genesis file is not one of ours, the folder is of another chain, or something is in use.
pub fn start(config: Config) -> Result<Service, Error> {
    let ours = Ours::of(&config.genesis)?;
    let chain = Chain::new(&config.genesis)?;
    let first = Committee::of(&chain.genesis)?.validators();
    let rules = Rules {
        chain_id: chain.spec.chain_id(),
        block_gas: chain.genesis.header().gas_limit,
        unprotected: false,
    };
    let ahead = config.ahead;
    let options = Options {
        beneficiary: config.beneficiary,
        heartbeat: config.heartbeat,
        states: config.states,
        memory: config.memory,
        pool: Limits::default(),
        block_len: BLOCK_LEN,
        recoverers: config.recoverers,
        clock: Arc::new(move || seconds().saturating_add(ahead.load(Ordering::Acquire))),
    };
    let ledger = Ledger::open(&config.dir.join("ledger"), chain, options)?;
    let (failed, failures) = mpsc::channel(1);
    let members = config
        .members
        .unwrap_or_else(|| Arc::new(move |_: &dyn Contracts, _| Ok(first.clone())));
    let blocks_per_epoch = NonZeroU64::new(ours.blocks_per_epoch).unwrap_or(NonZeroU64::MAX);
    let committees = Committees::open(
        config.dir.join("committees"),
        members,
        blocks_per_epoch.get(),
    )
    .map_err(books::Error::from)?;
    if ledger.latest().tip() == 0 {
        committees.note(&ledger, 0).map_err(books::Error::from)?;
    }
    let origin = ledger.latest().origin()?;
    let (of_node, peers) = consensus::gossip();
    let started = node::start(
        node::Config {
            secret: config.secret,
            listen: config.listen,
            storage: config.dir.join("consensus"),
            blocks_per_epoch,
            leader_wait: config.heartbeat + LEADER_MARGIN,
            threads: config.threads,
            blocks_kept: config.blocks_kept,
            checkpoint: origin.map(|origin| Checkpoint {
                block: origin.block,
                finality: origin.finality,
                boundary: origin.boundary,
            }),
        },
        Books::new(ledger.clone(), committees, failed),
        of_node,
    );
    let node = match started {
        Ok(node) => node,
        Err(error) => {
            ledger.stop();
            return Err(error.into());
        }
    };
    gossip::start(ledger.clone(), rules, peers)?;
    Ok(Service {
        ledger,
        node: Some(node),
        failures,
    })
}

impl Service {
    /// The chain's books.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Waits until something fails that ends the chain.
    pub async fn failed(&mut self) -> Error {
        loop {
            let wait = tokio::time::timeout(LOOK_EVERY, self.failures.recv());
            if let Ok(Some(error)) = wait.await {
                return error.into();
            }
            if self.node.as_ref().is_some_and(Node::is_ended) {
                let node = self.node.take().map(Node::wait);
                if let Some(Err(error)) = node {
                    return error.into();
                }
            }
            if self.ledger.is_stopped() {
                return LedgerError::Stopped.into();
            }
        }
    }

    /// Stops consensus, then the ledger when it has written what is final.
    ///
    /// # Errors
    /// When consensus had ended before.
    pub fn stop(mut self) -> Result<(), Error> {
        let ended = self.node.take().map_or(Ok(()), Node::stop);
        self.ledger.stop();
        Ok(ended?)
    }
}

/// How often a running chain is asked whether it runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
