//! The ledger: what consensus, the RPC and the pool's feeders hold.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Sender, SyncSender},
    },
    thread::JoinHandle,
};

use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_primitives::B256;
use futures_channel::{mpsc as events, oneshot};
use lode_chain_pool::{
    Pool, Transaction,
    recover::{Bounds, Recovery, recovery},
};
use lode_chain_state::versions::Versions;
use lode_chain_types::{Block, Finality, Round};
use parking_lot::Mutex;

use crate::{
    chain::Chain,
    checkpoint, crypto,
    error::Error,
    events::{Event, Listeners},
    keeper::{self, Job},
    options::Options,
    tables,
    tree::Tree,
    view::View,
    worker::{self, Command},
};

/// Commands that wait for the thread that executes.
const COMMANDS_MAX: usize = 1024;

/// The chain's books. Cloning gives another handle; [`Ledger::stop`] ends them.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
    commands: SyncSender<Command>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// What the threads share. Locks are held for a look or a change, never across execution or IO.
pub struct Shared {
    pub(crate) chain: Chain,
    pub(crate) options: Options,
    pub(crate) tree: Mutex<Tree>,
    pub(crate) pool: Mutex<Pool>,
    pub(crate) listeners: Listeners,
    recovery: Recovery,
    jobs: Mutex<Option<Sender<Job>>>,
    /// A wake-up is on its way.
    waking: AtomicBool,
    /// Nothing is written any more.
    stopped: AtomicBool,
    /// Takes what users of this node send, for other nodes.
    outbound: Mutex<Option<events::Sender<Transaction>>>,
}

impl Ledger {
    /// Opens the books of a chain in a folder, or begins them.
    ///
    /// # Errors
    /// [`Error::OtherChain`], [`Error::Unfinished`], and when the store fails.
    pub fn open(dir: &Path, chain: Chain, options: Options) -> Result<Ledger, Error> {
        crypto::install();
        let mut versions = Versions::open(dir, &tables::NAMES, options.memory)?;
        if versions.tip().is_none() {
            if versions.filled()?.is_some() {
                return Err(Error::Unfinished);
            }
            let rows = tables::rows(&chain.genesis, &[], &[], None);
            versions.commit(chain.genesis.height(), &[&chain.changes], rows)?;
        }
        let state = versions.latest();
        let view = View {
            base: checkpoint::height(&state)?,
            state,
            from: versions.from(),
        };
        let wanted = chain.genesis.hash();
        let found = view.hash(chain.genesis.height())?.unwrap_or(B256::ZERO);
        if found != wanted {
            return Err(Error::OtherChain { found, wanted });
        }
        let tip = view
            .hash(view.tip())?
            .ok_or(Error::Damaged("the last block"))?;
        let (recovery, workers) = recovery(Bounds::default(), options.recoverers);
        let (jobs, jobs_of_keeper) = mpsc::channel();
        let (commands, commands_of_worker) = mpsc::sync_channel(COMMANDS_MAX);
        let shared = Arc::new(Shared {
            tree: Mutex::new(Tree::new(tip, view)),
            pool: Mutex::new(Pool::new(options.pool)),
            listeners: Listeners::default(),
            recovery,
            jobs: Mutex::new(Some(jobs)),
            waking: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            outbound: Mutex::new(None),
            chain,
            options,
        });
        let keeper = {
            let shared = Arc::clone(&shared);
            thread("chain-keep", move || {
                keeper::run(&shared, versions, &jobs_of_keeper);
                shared.stopped.store(true, Ordering::Release);
                shared.listeners.close();
            })
        };
        let worker = {
            let shared = Arc::clone(&shared);
            thread("chain-exec", move || {
                worker::run(&shared, &commands_of_worker);
                // The keeper ends when it has written what it has.
                shared.jobs.lock().take();
            })
        };
        for worker in workers {
            // Ends with the last handle of the ledger.
            drop(thread("chain-senders", move || worker.run()));
        }
        Ok(Ledger {
            shared,
            commands,
            threads: Arc::new(Mutex::new(vec![worker, keeper])),
        })
    }

    /// The chain's rules and its block zero.
    pub fn chain(&self) -> &Chain {
        &self.shared.chain
    }

    /// What the node has chosen for itself.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The chain as of its last final block.
    pub fn latest(&self) -> View {
        self.shared.latest()
    }

    /// Looks at the pool or changes it. Short, please: everybody waits.
    pub fn pool<R>(&self, look: impl FnOnce(&mut Pool) -> R) -> R {
        look(&mut self.shared.pool.lock())
    }

    /// Where senders are found.
    pub fn recovery(&self) -> &Recovery {
        &self.shared.recovery
    }

    /// Puts a transaction into the pool. `local`: it came from a user of this node.
    ///
    /// # Errors
    /// Why the pool does not take it, in geth's words; [`Error`] when the state cannot be read.
    pub fn submit(
        &self,
        transaction: Transaction,
        local: bool,
    ) -> Result<Result<B256, lode_chain_pool::Error>, Error> {
        let hash = transaction.hash();
        let sent = local.then(|| transaction.clone());
        let added = {
            // The state is read under the pool's lock, so that no block comes between the two.
            let mut pool = self.shared.pool.lock();
            let account = self.latest().of_sender(transaction.sender())?;
            pool.add(transaction, account, local)
        };
        match added {
            Ok(added) => {
                self.send_on(sent);
                for one in added.executable {
                    self.shared.listeners.tell(&Event::Pending(one));
                }
                self.wake();
                Ok(Ok(hash))
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Where transactions of this node's users go from now on, so that other nodes have them. What does
    /// not fit is dropped: whoever leads next may be this node.
    pub fn send_to(&self, others: events::Sender<Transaction>) {
        *self.shared.outbound.lock() = Some(others);
    }

    fn send_on(&self, transaction: Option<Transaction>) {
        let mut outbound = self.shared.outbound.lock();
        if let (Some(others), Some(transaction)) = (&mut *outbound, transaction)
            && let Err(full) = others.try_send(transaction)
        {
            tracing::debug!(%full, "a transaction was not sent to other nodes");
        }
    }

    /// Everything that happens from now on. The queue ends when the listener is too slow.
    pub fn listen(&self) -> events::Receiver<Event> {
        self.shared.listeners.add()
    }

    /// A block on `parent`, which is known; waits for a transaction or for the heartbeat. None if none
    /// can be built.
    pub async fn propose(&self, parent: B256, round: Round) -> Option<Block> {
        let (answer, block) = oneshot::channel();
        let command = Command::Propose {
            parent,
            round,
            answer,
        };
        self.commands.send(command).ok()?;
        block.await.ok().flatten()
    }

    /// Whether a block is final and kept, or executed here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn knows(&self, hash: &B256) -> Result<bool, Error> {
        if self.shared.tree.lock().knows(hash) {
            return Ok(true);
        }
        Ok(self.latest().height_of(hash)?.is_some())
    }

    /// Executes a block whose parent is known; false if it breaks a rule.
    ///
    /// # Errors
    /// [`Error::Stopped`] if that could not be found out.
    pub async fn verify(&self, block: Block) -> Result<bool, Error> {
        let (answer, holds) = oneshot::channel();
        let command = Command::Verify { block, answer };
        self.commands.send(command).map_err(|_| Error::Stopped)?;
        holds.await.map_err(|_| Error::Stopped)
    }

    /// Keeps a final block, whose parent is kept or on its way; returns when it is durable.
    ///
    /// # Errors
    /// [`Error::Conflict`], and when it cannot be executed or written: the chain ends there.
    pub async fn finalize(&self, block: Block, finality: Option<Finality>) -> Result<(), Error> {
        let (answer, kept) = oneshot::channel();
        let command = Command::Finalize {
            block,
            finality,
            answer,
        };
        self.commands.send(command).map_err(|_| Error::Stopped)?;
        kept.await.map_err(|_| Error::Stopped)?
    }

    /// Whether it has ended: by [`Self::stop`], or because its store failed.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }

    /// Ends the threads, when they have written what is final.
    pub fn stop(&self) {
        // It may have stopped before.
        let _ = self.commands.send(Command::Stop);
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the chain has panicked");
            }
        }
    }

    fn wake(&self) {
        if !self.shared.waking.swap(true, Ordering::AcqRel) {
            // It may have stopped.
            let _ = self.commands.send(Command::Wake);
        }
    }
}

impl Shared {
    /// The chain as of its last final block.
    pub(crate) fn latest(&self) -> View {
        self.tree.lock().view().clone()
    }

    pub(crate) fn now(&self) -> u64 {
        (self.options.clock)()
    }

    /// The wake-up has arrived.
    pub(crate) fn woken(&self) {
        self.waking.store(false, Ordering::Release);
    }

    /// Hands a final block to who writes it.
    pub(crate) fn keep(&self, job: Job) {
        let jobs = self.jobs.lock();
        let failed = match &*jobs {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        if let Some(job) = failed {
            let _ = job.answer.send(Err(Error::Stopped));
        }
    }

    /// Who sent these; none if one is not signed.
    pub(crate) fn recover(
        &self,
        transactions: &[TxEnvelope],
    ) -> Option<Vec<Recovered<TxEnvelope>>> {
        let senders = self.recovery.senders(transactions).ok()?;
        let all = transactions.iter().zip(senders);
        let recovered = all.map(|(one, sender)| Recovered::new_unchecked(one.clone(), sender));
        Some(recovered.collect())
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder
        .spawn(run)
        .expect("the machine has room for one thread more")
}
