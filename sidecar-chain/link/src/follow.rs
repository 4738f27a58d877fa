//! Follows the flow: every submission that the chain has taken, in order, as plain values for whoever
//! keeps the flow's book.
//!
//! ```text
//!  step     logs of the next blocks ─► decoded, numbered, placed ─► submissions, and the block they end with
//!  commit   the reader's book is on the disk; cursor and tally are, with one write
//! ```
//! A log is believed only where it adds up ([`Reader`]), so a node that leaves a submission out, moves
//! one or makes one up is found at that submission, unless all that it says is another flow that could
//! be. That is what [`Follow::root_after`] is for: the contract's own root, to be compared with the
//! book's.
//!
//! Who sent a submission is asked for where the flow does not log it, once for each transaction
//! ([`Senders`]). Whether it does is seen at its first submission, and kept with the cursor.
//!
//! Between step and commit nothing counts, and a reorg may come while nobody reads. So a book is taken
//! back to [`Follow::stands`] when it starts, before the first step, and after a commit that failed.
//!
//! A node that lacks blocks which others have shown is behind, and is waited for: only another block at
//! a height where one was read is a chain that went back.

use alloy_primitives::{Address, U256};
use alloy_rpc_types_eth::Log;
use alloy_sol_types::SolCall;
use lode_proofs::{Hash32, flow::FlowShape};
use serde::{Deserialize, Serialize};

use crate::{
    abi::Flow::getFlowRootByTxSeqCall,
    certified::Contracts,
    logs::{LogsError, Read, Reader, Senders, Submission},
    node::{BlockRef, NodeError},
    signers::{Signers, SignersError},
    store::{Pairs, Store, StoreError},
    watch::{self, Cursor, Watch, WatchError},
};

/// Why there is no next step, and nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The watch failed, or the node did not answer.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node did not answer: ask again.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node's logs are not what the flow can have logged: it lies, or the contract is another one.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// The contract's answer is none.
    #[error("the flow at {flow} answered strangely: {why}")]
    Contract {
        /// Its address.
        flow: Address,
        /// What is wrong.
        why: alloy_sol_types::Error,
    },
}

impl From<SignersError> for FollowError {
    fn from(error: SignersError) -> Self {
        match error {
            SignersError::Node(error) => FollowError::Node(error),
            SignersError::Logs(error) => FollowError::Logs(error),
        }
    }
}

/// What happened since the last step.
#[derive(Debug)]
pub enum Step {
    /// Nothing: all final blocks that the node has are read.
    Idle,
    /// Blocks were read.
    Submissions {
        /// What was submitted in them, in order; often nothing.
        list: Vec<Submission>,
        /// The last of these blocks.
        upto: BlockRef,
        /// To be committed when the book has the list.
        mark: Mark,
    },
    /// What was submitted in later blocks is void.
    Back {
        /// The highest block that still stands; none if not even the first one does.
        to: Option<BlockRef>,
        /// To be committed when the book has gone back.
        mark: Mark,
    },
}

/// Where the reader is after a step. Opaque.
#[derive(Clone, Debug)]
pub struct Mark {
    cursor: Cursor,
    tallies: Vec<Tally>,
}

/// The flow at the end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    /// The block where the step ended.
    block: BlockRef,
    /// Number of the next submission.
    next: u64,
    /// Sectors of the flow.
    length: u64,
    /// Where senders are learned, since the flow's first submission. It goes with that when the chain
    /// goes back.
    #[serde(default)]
    senders: Option<Senders>,
}

impl Tally {
    /// One from before other flows could be followed says nothing of it, and is of one that logs them.
    fn senders(&self) -> Option<Senders> {
        let logged = || (self.next > 0).then_some(Senders::Logged);
        self.senders.or_else(logged)
    }
}

/// Follows a flow.
pub struct Follow<N> {
    node: N,
    flow: Address,
    watch: Watch<N>,
    key: String,
    /// One for each end that the cursor remembers.
    tallies: Vec<Tally>,
    signers: Signers,
}

impl<N: Contracts + Clone> Follow<N> {
    /// Goes on where the reader of that name stopped, or begins at block `first`, before which the
    /// flow had no submissions.
    ///
    /// # Errors
    /// When the store fails, or has lost a part of what it held.
    pub fn open(
        node: N,
        store: Store,
        name: &str,
        flow: Address,
        first: u64,
    ) -> Result<Self, FollowError> {
        let key = format!("follow/{name}");
        let tallies: Vec<Tally> = store.get(&key)?.unwrap_or_default();
        let watch = Watch::open(node.clone(), store, name, vec![flow], first)?;
        let ends = watch.cursor().ends().iter();
        if !ends.eq(tallies.iter().map(|tally| &tally.block)) {
            return Err(StoreError::Missing { key }.into());
        }
        Ok(Follow {
            node,
            flow,
            watch,
            key,
            tallies,
            signers: Signers::default(),
        })
    }

    /// The last block up to which all is committed. Before the first step, what a book has of later
    /// blocks must be taken back: the chain may have gone back where nobody has committed.
    pub fn stands(&self) -> Option<BlockRef> {
        self.tallies.last().map(|tally| tally.block)
    }

    /// What comes next. From the same place again until its mark is committed.
    ///
    /// # Errors
    /// [`FollowError::Logs`] says what a node claims that cannot be: ask another one.
    /// [`FollowError::Node`] can be tried again.
    pub async fn step(&self) -> Result<Step, FollowError> {
        match self.watch.step().await? {
            watch::Step::Idle => Ok(Step::Idle),
            watch::Step::Logs { logs, cursor } => self.read(&logs, cursor).await,
            watch::Step::Back { cursor, .. } => self.back(cursor).await,
        }
    }

    /// The reader's book has what a step said.
    ///
    /// # Errors
    /// When the store fails: the step comes again.
    pub fn commit(&mut self, mark: Mark) -> Result<(), FollowError> {
        let Mark { cursor, tallies } = mark;
        let mut notes = Pairs::default();
        notes.add(&self.key, &tallies)?;
        self.watch.commit_with(cursor, notes)?;
        self.tallies = tallies;
        Ok(())
    }

    /// Root of the flow after a submission, as the contract says it in the newest block that the node
    /// has; none if it has no such submission there.
    ///
    /// # Errors
    /// [`FollowError::Node`] can be tried again.
    pub async fn root_after(&self, seq: u64) -> Result<Option<Hash32>, FollowError> {
        let tx_seq = U256::from(seq);
        let call = getFlowRootByTxSeqCall { txSeq: tx_seq }.abi_encode();
        let answer = self.node.ask(self.flow, call.into()).await?;
        let root = getFlowRootByTxSeqCall::abi_decode_returns_validate(&answer);
        let root = root.map_err(|why| FollowError::Contract {
            flow: self.flow,
            why,
        })?;
        Ok((!root.is_zero()).then_some(Hash32(root.0)))
    }

    /// Reads the logs of a step. Nothing is asked about what does not add up.
    async fn read(&self, logs: &[Log], cursor: Cursor) -> Result<Step, FollowError> {
        let upto = cursor.ends().last().copied();
        let upto = upto.expect("a step that has read blocks ends with one");
        let start = (0, FlowShape::NEW.length(), None);
        let (next, length, senders) = self
            .tallies
            .last()
            .map_or(start, |tally| (tally.next, tally.length, tally.senders()));
        let shape = FlowShape::new(length).map_err(|_| StoreError::Missing {
            key: self.key.clone(),
        })?;
        let blocks = self.watch.cursor().next()..=upto.number;
        let logs = || logs.iter().filter(|log| log.address() == self.flow);
        let senders = senders.or_else(|| Senders::seen_in(logs()));
        // Without a submission there is nothing to learn.
        let mut reader = Reader::new(next, shape, blocks, senders.unwrap_or(Senders::Logged));
        for log in logs() {
            reader.take(log)?;
        }
        let Read {
            mut list,
            next,
            shape,
        } = reader.finish()?;
        if senders == Some(Senders::Signers) {
            self.signers.fill(&self.node, &mut list).await?;
        }
        let mut tallies = self.tallies.clone();
        tallies.push(Tally {
            block: upto,
            next,
            length: shape.length(),
            senders,
        });
        // As many as the cursor remembers ends.
        tallies.drain(..tallies.len().saturating_sub(cursor.ends().len()));
        Ok(Step::Submissions {
            list,
            upto,
            mark: Mark { cursor, tallies },
        })
    }

    /// Goes back to the end that the cursor has last, unless the node is only behind.
    async fn back(&self, cursor: Cursor) -> Result<Step, FollowError> {
        let kept = cursor.ends().len();
        let gone = self.watch.cursor().ends().get(kept).copied();
        let gone = gone.expect("a step back takes an end away");
        match self.node.block(gone.number).await? {
            Some(block) if block != gone => Ok(Step::Back {
                to: cursor.ends().last().copied(),
                mark: Mark {
                    cursor,
                    tallies: self.tallies[..kept].to_vec(),
                },
            }),
            _ => Ok(Step::Idle),
        }
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
