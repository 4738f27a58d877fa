//! What logs of the flow say, believed where it adds up: number, place, sectors and identity of each
//! submission follow from the ones before it and from its own nodes.
//!
//! ```text
//!  Submit     what and where  ─► open
//!  SubmitBy   who             ─► checked, and added       the two stand side by side, in this order
//! ```
//!
//! Who sent a submission is asked for authority over streams, so it must not be `Submit`'s own sender,
//! which the caller invents (0G wire, 0 and 2.3). A flow of ours logs who called it. One of 0G's logs
//! `Submit` alone, and its readers take who signed the transaction, as 0G's key-value node does: also
//! where the flow was called by another contract, on whose behalf cannot be known. Which of the two a
//! flow does is seen at its first submission and holds for all ([`Senders`]); a node cannot leave out
//! one log of many.

use std::ops::RangeInclusive;

use alloy_primitives::{Address, B256};
use alloy_rpc_types_eth::Log;
use alloy_sol_types::SolEvent;
use lode_proofs::{
    Hash32, SubmissionNode,
    flow::{Extent, FlowFull, FlowShape, InvalidSubmission, identity, submission_root},
};
use serde::{Deserialize, Serialize};

use crate::{
    abi::Flow::{Submit, SubmitBy},
    flow::{LogError, Submitted, caller, submitted},
};

/// A submission as the chain has ordered it (0G wire, 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its number, from 0, without gaps.
    pub seq: u64,
    /// Root of the blob, the fold of the nodes.
    pub root: Hash32,
    /// Bytes.
    pub size: u64,
    /// Its first sector in the flow.
    pub start: u64,
    /// Perfect subtrees of the blob, left to right, one to four.
    pub nodes: Vec<SubmissionNode>,
    /// The name that the caller gave, which nobody checks.
    pub submitter: [u8; 20],
    /// Who called the flow where it logs that, or else who signed the transaction.
    pub sender: [u8; 20],
    /// What the client attached, as long as a transaction can be.
    pub tags: Vec<u8>,
    /// The block that it is in.
    pub block: u64,
    /// Hash of the transaction that it is in.
    pub transaction: [u8; 32],
}

/// Why logs are not those of a flow.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// A log is not what its topic says, or names no block or transaction.
    #[error("log {index:?} of block {block:?}: {why}")]
    Log {
        /// The block that it says it is in.
        block: Option<u64>,
        /// Which log of the block.
        index: Option<u64>,
        /// What is wrong with it.
        why: LogError,
    },
    /// The flow cannot have taken this.
    #[error("the node's submission {seq} cannot be: {lie}")]
    Lie {
        /// Its number, as the log says.
        seq: u64,
        /// What is wrong with it.
        lie: Lie,
    },
}

/// What does not add up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// Another number comes next.
    #[error("number {expected} comes next")]
    Gap {
        /// The next one.
        expected: u64,
    },
    /// It breaks a rule of the contract.
    #[error(transparent)]
    Invalid(#[from] InvalidSubmission),
    /// The flow has no room for it.
    #[error(transparent)]
    Full(#[from] FlowFull),
    /// It begins elsewhere.
    #[error("it begins at {expected}, not at {start}")]
    Start {
        /// What the log says.
        start: u64,
        /// Where it begins.
        expected: u64,
    },
    /// Its nodes have another number of sectors.
    #[error("its nodes have {expected} sectors, not {sectors}")]
    Sectors {
        /// What the log says.
        sectors: u64,
        /// What the nodes have.
        expected: u64,
    },
    /// Its nodes have another identity.
    #[error("its nodes have the identity {expected}, not {identity}")]
    Identity {
        /// What the log says.
        identity: Hash32,
        /// What the nodes have.
        expected: Hash32,
    },
    /// No log, or one of another submission or transaction, says who sent it.
    #[error("who sent it is not said right after it")]
    NoSender,
    /// Who sent it is said, but not what.
    #[error("it has a sender and nothing that was sent")]
    NoSubmission,
    /// Who sent it is said, by a flow that did not say it of what came before.
    #[error("who sent it is said, and was not said of those before it")]
    Sender,
    /// Its transaction is another one.
    #[error("the transaction that the node calls {hash} has the hash {found}")]
    Transaction {
        /// What was asked for.
        hash: B256,
        /// What was answered.
        found: B256,
    },
    /// Nobody can have signed its transaction.
    #[error("the signature of its transaction {hash} is none")]
    Unsigned {
        /// The transaction.
        hash: B256,
    },
    /// Its block is not among those that were asked for, or lies before the one of the log before.
    #[error("its block {block} is not among the blocks from {first} to {last}")]
    Block {
        /// What the log says.
        block: u64,
        /// The first block that it may be in.
        first: u64,
        /// The last.
        last: u64,
    },
}

/// Where a flow's readers learn who sent what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Senders {
    /// The flow logs who called it.
    Logged,
    /// It does not: who signed the transaction.
    Signers,
}

impl Senders {
    /// What the first submission in a flow's logs shows; none without one.
    pub fn seen_in<'a>(logs: impl Iterator<Item = &'a Log>) -> Option<Senders> {
        let topics = logs.filter_map(|log| log.topic0());
        let mut topics = topics.skip_while(|topic| **topic != Submit::SIGNATURE_HASH);
        topics.next()?;
        // Logs of other kinds may stand between the two.
        let kinds = [Submit::SIGNATURE_HASH, SubmitBy::SIGNATURE_HASH];
        let next = topics.find(|topic| kinds.contains(topic));
        Some(match next {
            Some(&SubmitBy::SIGNATURE_HASH) => Senders::Logged,
            _ => Senders::Signers,
        })
    }
}

/// Reads logs of a flow, in their order.
pub struct Reader {
    senders: Senders,
    next: u64,
    shape: FlowShape,
    /// Blocks that the next log may be in.
    first: u64,
    last: u64,
    /// What was submitted, and not yet by whom.
    open: Option<(Submitted, Origin)>,
    list: Vec<Submission>,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The submissions, in order. Those of a flow that logs no senders have zeros there.
    pub list: Vec<Submission>,
    /// Number of the next one.
    pub next: u64,
    /// The flow after them.
    pub shape: FlowShape,
}

/// Where a log is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    block: u64,
    transaction: B256,
}

impl Reader {
    /// Begins with submission `next` of a flow, in one of these blocks.
    pub fn new(next: u64, shape: FlowShape, blocks: RangeInclusive<u64>, senders: Senders) -> Self {
        Reader {
            senders,
            next,
            shape,
            first: *blocks.start(),
            last: *blocks.end(),
            open: None,
            list: Vec::new(),
        }
    }

    /// Takes the flow's next log. Those of other kinds are passed over.
    ///
    /// # Errors
    /// [`LogsError`]; after one, nothing that was read counts.
    pub fn take(&mut self, log: &Log) -> Result<(), LogsError> {
        let fault = |why| LogsError::Log {
            block: log.block_number,
            index: log.log_index,
            why,
        };
        match log.topic0() {
            Some(&Submit::SIGNATURE_HASH) => {
                self.closed()?;
                let from = origin(log).map_err(fault)?;
                let submitted = submitted(log.data()).map_err(fault)?;
                match self.senders {
                    Senders::Logged => self.open = Some((submitted, from)),
                    Senders::Signers => {
                        let seq = submitted.index;
                        let lie = |lie| LogsError::Lie { seq, lie };
                        self.add(submitted, Address::ZERO, from).map_err(lie)?;
                    }
                }
            }
            Some(&SubmitBy::SIGNATURE_HASH) => {
                let from = origin(log).map_err(fault)?;
                let (seq, sender) = caller(log.data()).map_err(fault)?;
                let lie = |lie| LogsError::Lie { seq, lie };
                if self.senders == Senders::Signers {
                    return Err(lie(Lie::Sender));
                }
                let (submitted, submitted_from) = self.open.take().ok_or(lie(Lie::NoSubmission))?;
                if submitted.index != seq || submitted_from != from {
                    let seq = submitted.index;
                    let lie = Lie::NoSender;
                    return Err(LogsError::Lie { seq, lie });
                }
                self.add(submitted, sender, from).map_err(lie)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The logs end.
    ///
    /// # Errors
    /// [`LogsError::Lie`] if the last submission has no sender.
    pub fn finish(self) -> Result<Read, LogsError> {
        self.closed()?;
        let Reader {
            list, next, shape, ..
        } = self;
        Ok(Read { list, next, shape })
    }

    /// Nothing may be open where another submission begins, or the logs end.
    fn closed(&self) -> Result<(), LogsError> {
        match &self.open {
            Some((submitted, _)) => Err(LogsError::Lie {
                seq: submitted.index,
                lie: Lie::NoSender,
            }),
            None => Ok(()),
        }
    }

    /// Adds the next submission if it is what the flow must have taken.
    fn add(&mut self, log: Submitted, sender: Address, from: Origin) -> Result<(), Lie> {
        let expected = self.next;
        if log.index != expected {
            return Err(Lie::Gap { expected });
        }
        let (block, first, last) = (from.block, self.first, self.last);
        if block < first || block > last {
            return Err(Lie::Block { block, first, last });
        }
        let nodes = log.nodes.iter().map(|(root, height)| SubmissionNode {
            root: Hash32(root.0),
            height: *height,
        });
        let nodes: Vec<_> = nodes.collect();
        let extent = Extent::of(&log.submitter.into_array(), log.size, &nodes)?;
        let (sectors, expected) = (log.sectors, extent.sectors());
        if sectors != expected {
            return Err(Lie::Sectors { sectors, expected });
        }
        let place = self.shape.place(extent)?;
        let (start, expected) = (log.start, place.start);
        if start != expected {
            return Err(Lie::Start { start, expected });
        }
        let (said, expected) = (Hash32(log.identity.0), identity(&nodes));
        if said != expected {
            let identity = said;
            return Err(Lie::Identity { identity, expected });
        }
        let root = submission_root(&nodes);
        self.list.push(Submission {
            seq: log.index,
            root: root.expect("a valid submission has a node"),
            size: log.size,
            start,
            nodes,
            submitter: log.submitter.into_array(),
            sender: sender.into_array(),
            tags: log.tags.to_vec(),
            block,
            transaction: from.transaction.0,
        });
        (self.next, self.shape, self.first) = (log.index + 1, self.shape.after(place), block);
        Ok(())
    }
}

fn origin(log: &Log) -> Result<Origin, LogError> {
    let missing = |field| LogError::Missing { field };
    Ok(Origin {
        block: log.block_number.ok_or(missing("blockNumber"))?,
        transaction: log.transaction_hash.ok_or(missing("transactionHash"))?,
    })
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
