//! The thread that executes: proposes blocks, verifies those of others, and hands final ones to the
//! [`crate::keeper`]. It owns nothing but its queue, and does one thing after the other.
//!
//! A proposal waits until a transaction can be taken, until there is a payload of consensus to be
//! carried, or until its heartbeat is due. Blocks that are not final yet still have their
//! transactions in the pool: they are passed over.
//!
//! After a block with transactions the next one rests, the longer the more there were, so that it
//! gathers some: a block costs the committee 10 to 15 ms of processor time each, whatever is in it,
//! and a chain under load that makes as many as it can has no time for transactions. A chain that has
//! nothing else to do takes a transaction at once.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_evm::block::BlockExecutionError;
use alloy_primitives::B256;
use futures_channel::oneshot;
use lode_chain_exec::execute::{Executed, Given, Source, Work, execute};
use lode_chain_pool::{Best, Pool, Transaction};
use lode_chain_types::{Block, Finality, Round};

use parking_lot::Mutex;

use crate::{
    error::Error,
    keeper::Job,
    ledger::Shared,
    rules::{self, Choice},
    tree::{Base, Node},
};

/// Seconds that a block's time may be ahead of this node's clock.
const AHEAD_MAX: u64 = 10;
/// Time that a block gathers for each transaction of the one below: about what their senders cost two
/// cores.
const REST_EACH: Duration = Duration::from_micros(60);
/// Time that a block gathers at most.
const REST_MAX: Duration = Duration::from_millis(25);
/// How often what waits for the clock is looked at.
const TICK: Duration = Duration::from_millis(200);

/// What the thread is told.
pub enum Command {
    /// Build a block on `parent`.
    Propose {
        /// The block below.
        parent: B256,
        /// Where it is proposed.
        round: Round,
        /// Takes the block.
        answer: oneshot::Sender<Option<Block>>,
    },
    /// Check a block whose parent is known.
    Verify {
        /// The block.
        block: Block,
        /// Takes whether it holds.
        answer: oneshot::Sender<bool>,
    },
    /// Keep a block that is final.
    Finalize {
        /// The block.
        block: Block,
        /// What proves it final; none for a chain that is read from a file.
        finality: Option<Finality>,
        /// Told when the block is durable.
        answer: oneshot::Sender<Result<(), Error>>,
    },
    /// There is a new transaction.
    Wake,
    /// End.
    Stop,
}

struct Proposal {
    parent: B256,
    round: Round,
    answer: oneshot::Sender<Option<Block>>,
    /// Gathers until then; none if that is over.
    rested: Option<Instant>,
    due: Instant,
}

impl Proposal {
    /// When it is looked at whatever happens.
    fn next(&self) -> Instant {
        self.rested.unwrap_or(self.due)
    }
}

/// What waits for a transaction or for the clock.
#[derive(Default)]
struct Parked {
    proposals: Vec<Proposal>,
    /// Blocks from the future.
    early: Vec<(Block, oneshot::Sender<bool>)>,
}

/// Runs until it is told to stop, or nobody can tell it any more.
pub fn run(shared: &Arc<Shared>, commands: &Receiver<Command>) {
    let mut parked = Parked::default();
    loop {
        let wait = parked.wait();
        let command = match commands.recv_timeout(wait) {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match command {
            Some(Command::Stop) => return,
            Some(Command::Propose {
                parent,
                round,
                answer,
            }) => {
                let proposal = Proposal {
                    parent,
                    round,
                    answer,
                    rested: rested(shared, parent),
                    due: Instant::now() + shared.options.heartbeat,
                };
                parked.proposals.extend(propose(shared, proposal));
            }
            Some(Command::Verify { block, answer }) => parked.verify(shared, block, answer),
            Some(Command::Finalize {
                block,
                finality,
                answer,
            }) => finalize(shared, block, finality, answer),
            Some(Command::Wake) => {
                shared.woken();
                parked.try_proposals(shared);
            }
            None => {}
        }
        parked.try_due(shared);
    }
}

impl Parked {
    fn wait(&self) -> Duration {
        if !self.early.is_empty() {
            return TICK;
        }
        let now = Instant::now();
        let next = self.proposals.iter().map(Proposal::next);
        next.min().map_or(Duration::from_secs(3600), |next| {
            next.saturating_duration_since(now)
        })
    }

    fn try_proposals(&mut self, shared: &Shared) {
        let waiting = std::mem::take(&mut self.proposals);
        let left = waiting.into_iter();
        self.proposals = left
            .filter_map(|proposal| propose(shared, proposal))
            .collect();
    }

    fn try_due(&mut self, shared: &Shared) {
        let now = Instant::now();
        if self.proposals.iter().any(|proposal| proposal.next() <= now) {
            self.try_proposals(shared);
        }
        let early = std::mem::take(&mut self.early);
        for (block, answer) in early {
            self.verify(shared, block, answer);
        }
    }

    fn verify(&mut self, shared: &Shared, block: Block, answer: oneshot::Sender<bool>) {
        if answer.is_canceled() {
            return;
        }
        // The clocks of two nodes differ: a block from the future is not wrong, but early.
        if block.header().timestamp > shared.now().saturating_add(AHEAD_MAX) {
            self.early.push((block, answer));
            return;
        }
        let holds = match verify(shared, &block) {
            Ok(()) => true,
            Err(error @ (Error::Invalid { .. } | Error::Execution { .. })) => {
                tracing::warn!(hash = %block.hash(), %error, "block refused");
                false
            }
            Err(error) => {
                // Not the block's fault: no answer, and consensus goes on without this node's vote.
                tracing::error!(hash = %block.hash(), %error, "block could not be checked");
                return;
            }
        };
        // Nobody waits any more: the view is over.
        let _ = answer.send(holds);
    }
}

/// Until when a block on `parent` gathers.
fn rested(shared: &Shared, parent: B256) -> Option<Instant> {
    let youngest = shared.tree.lock().youngest()?;
    (youngest.hash == parent).then(|| youngest.since + rest(youngest.transactions))
}

/// How long the block above one with so many transactions gathers.
fn rest(transactions: usize) -> Duration {
    let count = u32::try_from(transactions).unwrap_or(u32::MAX);
    REST_EACH.saturating_mul(count).min(REST_MAX)
}

/// Builds a block if there is something for it; the proposal is returned if there is not.
fn propose(shared: &Shared, mut proposal: Proposal) -> Option<Proposal> {
    if proposal.answer.is_canceled() {
        return None;
    }
    let now = Instant::now();
    if proposal.rested.is_some_and(|rested| now < rested) && proposal.round.payload.is_empty() {
        return Some(proposal);
    }
    proposal.rested = None;
    let due = now >= proposal.due || !proposal.round.payload.is_empty();
    let node = match build(shared, proposal.parent, &proposal.round, due) {
        Ok(Some(node)) => node,
        Ok(None) => return Some(proposal),
        Err(error) => {
            tracing::error!(parent = %proposal.parent, %error, "no block could be built");
            let _ = proposal.answer.send(None);
            return None;
        }
    };
    let block = node.block.clone();
    shared.tree.lock().insert(node);
    let _ = proposal.answer.send(Some(block));
    None
}

/// A block with what waits in the pool; none if nothing does and `empty` is not wanted.
fn build(shared: &Shared, parent: B256, round: &Round, empty: bool) -> Result<Option<Node>, Error> {
    let base = shared.tree.lock().base(parent)?;
    let choice = Choice {
        timestamp: shared.now().max(base.parent.timestamp),
        beneficiary: shared.options.beneficiary,
    };
    let header = rules::begin(&shared.chain, &base.parent, choice, round);
    let fee = header.base_fee_per_gas.unwrap_or(0);
    let mut waiting = Waiting::new(&shared.pool, fee, &base, shared.options.block_len);
    if waiting.peek().is_none() && !empty {
        return Ok(None);
    }
    let executed = run_block(shared, &base, &header, &mut waiting)?;
    let (taken, hopeless) = waiting.end();
    if base.above.is_empty() && !hopeless.is_empty() {
        let mut pool = shared.pool.lock();
        for hash in &hopeless {
            pool.discard(hash);
        }
    }
    if taken.is_empty() && !empty {
        return Ok(None);
    }
    let envelopes: Vec<TxEnvelope> = taken
        .iter()
        .map(|one| one.envelope().inner().clone())
        .collect();
    let header = rules::finish(header, &envelopes, &executed);
    Ok(Some(Node {
        block: rules::block(header, envelopes, round.clone()),
        senders: taken.iter().map(Transaction::sender).collect(),
        receipts: executed.receipts,
        changes: Arc::new(executed.changes),
    }))
}

/// Executes a block of somebody else, if it is not known to hold already.
fn verify(shared: &Shared, block: &Block) -> Result<(), Error> {
    let base = {
        let tree = shared.tree.lock();
        if tree.knows(&block.hash()) {
            return Ok(());
        }
        tree.base(block.parent_hash())?
    };
    rules::check(&shared.chain, &base.parent, block)?;
    let node = execute_given(shared, &base, block.clone())?;
    shared.tree.lock().insert(node);
    Ok(())
}

/// Executes a block that exists, and compares.
pub fn execute_given(shared: &Shared, base: &Base, block: Block) -> Result<Node, Error> {
    let (height, header) = (block.height(), block.header());
    let transactions = shared.recover(block.transactions()).ok_or(Error::Invalid {
        height,
        rule: "a signature",
    })?;
    let executed = execute_on(shared, base, &block, &mut Given::new(&transactions))?;
    rules::agree(header, &executed)?;
    Ok(Node {
        senders: transactions.iter().map(|one| one.signer()).collect(),
        block,
        receipts: executed.receipts,
        changes: Arc::new(executed.changes),
    })
}

fn run_block(
    shared: &Shared,
    base: &Base,
    header: &alloy_consensus::Header,
    source: &mut impl Source,
) -> Result<Executed, Error> {
    let work = Work {
        header,
        ommers: &[],
        withdrawals: Some(&[]),
    };
    executed(shared, base, &work, source)
}

fn execute_on(
    shared: &Shared,
    base: &Base,
    block: &Block,
    source: &mut impl Source,
) -> Result<Executed, Error> {
    let body = block.body();
    let work = Work {
        header: block.header(),
        ommers: &body.ommers,
        withdrawals: body.withdrawals.as_ref().map(|all| &all.0[..]),
    };
    executed(shared, base, &work, source)
}

fn executed(
    shared: &Shared,
    base: &Base,
    work: &Work<'_>,
    source: &mut impl Source,
) -> Result<Executed, Error> {
    let hashes = |number| base.hash(number);
    let executed = execute(&shared.chain.spec, &base.state, hashes, work, source);
    executed.map_err(|source| Error::Execution {
        height: work.header.number,
        source,
    })
}

/// Executes a final block if that has not been done, and hands it on.
fn finalize(
    shared: &Arc<Shared>,
    block: Block,
    finality: Option<Finality>,
    answer: oneshot::Sender<Result<(), Error>>,
) {
    match final_node(shared, block) {
        Ok(Some(node)) => shared.keep(Job {
            node,
            finality,
            answer,
        }),
        Ok(None) => {
            let _ = answer.send(Ok(()));
        }
        Err(error) => {
            let _ = answer.send(Err(error));
        }
    }
}

/// The executed block; none if it is kept already.
fn final_node(shared: &Shared, block: Block) -> Result<Option<Arc<Node>>, Error> {
    let (height, hash) = (block.height(), block.hash());
    let tree = shared.tree.lock();
    if let Some(node) = tree.get(&hash) {
        return Ok(Some(Arc::clone(node)));
    }
    if height <= tree.view().tip() {
        let kept = tree.view().hash(height)?.unwrap_or(B256::ZERO);
        let other = hash;
        return if kept == other {
            Ok(None)
        } else {
            Err(Error::Conflict {
                height,
                kept,
                other,
            })
        };
    }
    let base = tree.base(block.parent_hash())?;
    drop(tree);
    let node = execute_given(shared, &base, block)?;
    Ok(Some(shared.tree.lock().insert(node)))
}

/// Transactions from the pool, for one block.
struct Waiting<'pool> {
    pool: &'pool Mutex<Pool>,
    best: Best,
    /// In blocks below that are not final.
    above: HashSet<B256>,
    /// Taken from the pool and not tried yet.
    next: Option<Transaction>,
    /// Tried: in the block, unless it is refused.
    tried: Option<Transaction>,
    taken: Vec<Transaction>,
    /// Cannot be in a block as things are.
    hopeless: Vec<B256>,
    len_left: usize,
}

impl<'pool> Waiting<'pool> {
    fn new(pool: &'pool Mutex<Pool>, base_fee: u64, base: &Base, len_left: usize) -> Self {
        let above = base.above.iter();
        let hashes = above.flat_map(|node| node.block.transactions().iter().map(|one| *one.hash()));
        Waiting {
            pool,
            best: pool.lock().best(base_fee),
            above: hashes.collect(),
            next: None,
            tried: None,
            taken: Vec::new(),
            hopeless: Vec::new(),
            len_left,
        }
    }

    fn peek(&mut self) -> Option<&Transaction> {
        if self.next.is_none() {
            let (best, above) = (&mut self.best, &self.above);
            let pool = self.pool.lock();
            self.next = best.iter(&pool).find(|one| !above.contains(&one.hash()));
        }
        self.next.as_ref()
    }

    fn settle(&mut self) {
        if let Some(tried) = self.tried.take() {
            self.len_left = self.len_left.saturating_sub(tried.encoded_len());
            self.taken.push(tried);
        }
    }

    fn end(mut self) -> (Vec<Transaction>, Vec<B256>) {
        self.settle();
        (self.taken, self.hopeless)
    }
}

impl Source for Waiting<'_> {
    fn next(&mut self, gas_left: u64) -> Option<&Recovered<TxEnvelope>> {
        self.settle();
        loop {
            let (gas, len, sender) = {
                let next = self.peek()?;
                (next.gas_limit(), next.encoded_len(), next.sender())
            };
            if gas <= gas_left && len <= self.len_left {
                break;
            }
            // Its sender's later ones would have a gap before them.
            self.next = None;
            self.best.skip(sender);
        }
        self.tried = self.next.take();
        self.tried.as_ref().map(Transaction::envelope)
    }

    fn refused(&mut self, _: BlockExecutionError) -> Result<(), BlockExecutionError> {
        let tried = self.tried.take().expect("what is refused was tried");
        self.best.skip(tried.sender());
        self.hopeless.push(tried.hash());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::rest;

    /// A chain without work takes a transaction at once, and a busy one never waits for long.
    #[test]
    fn rests_by_its_load() {
        assert_eq!(rest(0), Duration::ZERO);
        assert_eq!(rest(100), Duration::from_millis(6));
        assert_eq!(rest(usize::MAX), Duration::from_millis(25));
    }
}
