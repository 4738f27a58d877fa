//! Follows the logs of contracts, in order, each at least once, through restarts and reorgs.
//!
//! ```text
//!  step      the blocks after the cursor, up to the final one: their logs, and the cursor after them
//!  commit    the cursor is on the disk: the reader has done what it does with those logs
//! ```
//! Between the two nothing counts: after a crash there, the next step begins at the cursor again, and
//! if the chain went back meanwhile it is another one. So a reader keeps what it does with logs no
//! longer than their blocks are below [`Watch::cursor`] when it starts again.
//!
//! Only final blocks are read, and a chain of ours never takes one back. Against another node that
//! does, the cursor remembers the blocks where steps ended: the reader is told to which of them the
//! chain has gone back, and what came after it is read anew.

use alloy_primitives::Address;
use alloy_rpc_types_eth::Log;

use crate::{
    node::{BlockRef, Node, NodeError},
    store::{Pairs, Store, StoreError},
};

/// Blocks of one step, at most; nodes refuse larger ranges.
const STEP_BLOCKS: u64 = 512;
/// Ends of steps that a cursor remembers, and so how far back a chain may go.
const ENDS_KEPT: usize = 64;

/// Why there is no next step.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The node did not answer, or changed its mind meanwhile: ask again.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The cursor cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain shares no block with what was read: it is another chain, or has lost its past.
    #[error("the chain at block {number} is not the one that was read")]
    OtherChain {
        /// The oldest block that is remembered.
        number: u64,
    },
}

/// Where a reader is. Opaque but for its height.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cursor {
    /// The first block that was to be read.
    first: u64,
    /// The next block to read.
    next: u64,
    /// Ends of the last steps, the newest last.
    ends: Vec<BlockRef>,
}

impl Cursor {
    /// The next block that will be read.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Ends of the last steps, the newest last.
    pub(crate) fn ends(&self) -> &[BlockRef] {
        &self.ends
    }
}

/// What happened since the last step.
#[derive(Debug)]
pub enum Step {
    /// Nothing: all final blocks are read.
    Idle,
    /// Logs of the next blocks, in the chain's order.
    Logs {
        /// What was logged.
        logs: Vec<Log>,
        /// Where the reader is after them; to be committed when they are dealt with.
        cursor: Cursor,
    },
    /// Every log above a height is void.
    Back {
        /// The highest block that still stands; none if not even the first one does.
        to: Option<u64>,
        /// Where the reader is then; to be committed when it has gone back.
        cursor: Cursor,
    },
}

/// A reader of some contracts' logs.
pub struct Watch<N> {
    node: N,
    store: Store,
    key: String,
    addresses: Vec<Address>,
    cursor: Cursor,
}

impl<N: Node> Watch<N> {
    /// Goes on where the reader of that name stopped, or begins at block `first`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn open(
        node: N,
        store: Store,
        name: &str,
        addresses: Vec<Address>,
        first: u64,
    ) -> Result<Self, WatchError> {
        let key = format!("cursor/{name}");
        let start = Cursor {
            first,
            next: first,
            ends: Vec::new(),
        };
        let cursor = store.get(&key)?.unwrap_or(start);
        Ok(Watch {
            node,
            store,
            key,
            addresses,
            cursor,
        })
    }

    /// Where the reader is: all below it is dealt with.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// What comes next. From the same place again until its cursor is committed.
    ///
    /// # Errors
    /// [`WatchError::Node`] can be tried again.
    pub async fn step(&self) -> Result<Step, WatchError> {
        if let Some(back) = self.back().await? {
            return Ok(back);
        }
        let tip = self.node.finalized().await?;
        let from = self.cursor.next;
        if tip.number < from {
            return Ok(Step::Idle);
        }
        let to = tip.number.min(from.saturating_add(STEP_BLOCKS - 1));
        let end = self.known(to).await?;
        let logs = self.node.logs(&self.addresses, from, to).await?;
        // The logs are those of this chain only if its end is the same before and after.
        if self.known(to).await? != end {
            return Err(changed().into());
        }
        let mut cursor = self.cursor.clone();
        cursor.next = to + 1;
        cursor.ends.push(end);
        if cursor.ends.len() > ENDS_KEPT {
            cursor.ends.remove(0);
        }
        Ok(Step::Logs { logs, cursor })
    }

    /// The reader has dealt with a step.
    ///
    /// # Errors
    /// When the store fails: the step comes again.
    pub fn commit(&mut self, cursor: Cursor) -> Result<(), WatchError> {
        self.commit_with(cursor, Pairs::default())
    }

    /// The same, and what the reader notes of it: both are there, or neither.
    pub(crate) fn commit_with(
        &mut self,
        cursor: Cursor,
        mut notes: Pairs,
    ) -> Result<(), WatchError> {
        notes.add(&self.key, &cursor)?;
        self.store.write(notes)?;
        self.cursor = cursor;
        Ok(())
    }

    /// Whether the chain is still the one that was read, and if not, since where.
    async fn back(&self) -> Result<Option<Step>, WatchError> {
        let mut cursor = self.cursor.clone();
        let Some(oldest) = cursor.ends.first().copied() else {
            return Ok(None);
        };
        let forgot = cursor.ends.len() == ENDS_KEPT;
        while let Some(end) = cursor.ends.last() {
            if self.node.block(end.number).await? == Some(*end) {
                break;
            }
            cursor.ends.pop();
        }
        if cursor.ends.len() == self.cursor.ends.len() {
            return Ok(None);
        }
        if cursor.ends.is_empty() && forgot {
            let number = oldest.number;
            // A node that has no block there is far behind, and says nothing about the chain.
            self.known(number).await?;
            return Err(WatchError::OtherChain { number });
        }
        let to = cursor.ends.last().map(|end| end.number);
        cursor.next = to.map_or(cursor.first, |to| to + 1);
        Ok(Some(Step::Back { to, cursor }))
    }

    async fn known(&self, number: u64) -> Result<BlockRef, NodeError> {
        self.node.block(number).await?.ok_or_else(changed)
    }
}

fn changed() -> NodeError {
    NodeError {
        question: "for logs",
        reason: "its chain changed meanwhile".to_owned(),
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
