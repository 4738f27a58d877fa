//! The durable book of submissions: what the chain has ordered, and the flow's hashes.
//!
//! ```text
//!  append   computed anew: place, root, validity   ─► one batch: rows, subtrees, roots, "read up to"
//!  revert   rows of later blocks, newest first     ─► one batch: all that they brought goes
//! ```
//! A batch is on the disk whole, or not at all, when the call returns; it is built in memory, a few times
//! as large as the list that was handed in. A submission costs its row, three index entries and the
//! subtrees that it completes, about two per node; a root or a path O(log n) reads. A write that fails
//! ends the book: what is there is what the next opening finds.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fjall::{Database, OwnedWriteBatch, PersistMode};
use lode_proofs::{
    Hash32,
    flow::{Extent, FlowEdge, FlowFull, FlowShape, InvalidSubmission, Subtree, submission_root},
};

use crate::{
    row::Row,
    submission::{Block, Submission},
    view::{BookError, Holder, PathError, Siblings, Tables, Tip, View, root_key, tree_key},
};

/// Submissions that one call of [`Book::walk`] returns: a few hundred KiB, but for tags.
pub const WALK_MAX: usize = 1024;
/// Numbers that one call of [`Book::by_root`] returns: anybody may submit a root as often as he pays.
pub const BLOB_SEQS_MAX: usize = 1024;
/// Submissions that one call of [`Book::revert`] takes back, so that its batch fits into memory.
pub const REVERT_MAX: usize = 4096;

/// Bytes that the store may keep in memory of its files.
const CACHE: u64 = 32 << 20;

/// Why submissions were not appended. Nothing of the list was written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The book failed.
    #[error(transparent)]
    Book(#[from] BookError),
    /// No chain that keeps its contract's rules says this.
    #[error("submission {seq} cannot be what the chain took: {lie}")]
    Lie {
        /// Its number.
        seq: u64,
        /// What is wrong with it.
        lie: Lie,
    },
}

/// What is wrong with a submission.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// Another submission has that number.
    #[error("the book has another one of that number")]
    Other,
    /// Numbers are missing before it.
    #[error("number {expected} comes next")]
    Gap {
        /// The next number.
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
        /// What it says.
        start: u64,
        /// Where it begins.
        expected: u64,
    },
    /// Its nodes are those of another blob.
    #[error("its nodes make {expected}, not {root}")]
    Root {
        /// What it says.
        root: Hash32,
        /// What the nodes make.
        expected: Hash32,
    },
    /// Its block was read already, without it, or is not read yet.
    #[error("its block {block} is not among the blocks from {first} to {last}")]
    Block {
        /// What it says.
        block: u64,
        /// The first block that it may be in.
        first: u64,
        /// The last.
        last: u64,
    },
}

/// The book. Clones are the same one.
#[derive(Clone)]
pub struct Book(Arc<Inside>);

struct Inside {
    database: Database,
    tables: Tables,
    /// Held by who writes; readers do not wait.
    writing: Mutex<()>,
}

impl Inside {
    /// Whoever panicked while he wrote has left nothing half done: a batch is whole or not there.
    fn write_alone(&self) -> MutexGuard<'_, ()> {
        let writing = self.writing.lock();
        writing.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Opens the book in a folder, which is made if there is none. One process at a time may have it
    /// open.
    ///
    /// # Errors
    /// When the store fails, another process has it, or its tree is not that of its end.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, BookError> {
        let database = Database::builder(dir).cache_size(CACHE).open()?;
        let tables = Tables::open(&database)?;
        let book = Book(Arc::new(Inside {
            database,
            tables,
            writing: Mutex::new(()),
        }));
        let view = book.view();
        let tip = view.tip()?;
        if edge(&view, tip.shape)?.root() != tip.root {
            return Err(BookError::Damaged("the tree has another root"));
        }
        Ok(book)
    }

    /// Number of the next submission.
    ///
    /// # Errors
    /// When the store fails.
    pub fn next_seq(&self) -> Result<u64, BookError> {
        Ok(self.view().tip()?.next)
    }

    /// Sectors of the flow, gaps included: 1 if nothing was submitted.
    ///
    /// # Errors
    /// When the store fails.
    pub fn length(&self) -> Result<u64, BookError> {
        Ok(self.view().tip()?.shape.length())
    }

    /// Root and length of the flow, of one moment.
    ///
    /// # Errors
    /// When the store fails.
    pub fn context(&self) -> Result<(Hash32, u64), BookError> {
        let tip = self.view().tip()?;
        Ok((tip.root, tip.shape.length()))
    }

    /// Root of the flow.
    ///
    /// # Errors
    /// When the store fails.
    pub fn flow_root(&self) -> Result<Hash32, BookError> {
        Ok(self.view().tip()?.root)
    }

    /// Root of the flow after a submission, as the contract's `getFlowRootByTxSeq`; none if there is
    /// no such submission.
    ///
    /// # Errors
    /// When the store fails.
    pub fn root_after(&self, seq: u64) -> Result<Option<Hash32>, BookError> {
        Ok(self.view().row(seq)?.map(|row| row.flow_root))
    }

    /// The last block that was read.
    ///
    /// # Errors
    /// When the store fails.
    pub fn synced(&self) -> Result<Option<Block>, BookError> {
        self.view().synced()
    }

    /// A submission by its number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn submission(&self, seq: u64) -> Result<Option<Submission>, BookError> {
        Ok(self.view().row(seq)?.map(|row| row.submission))
    }

    /// Numbers of a blob's submissions that are `from` or more, ascending: at most `limit`, and
    /// [`BLOB_SEQS_MAX`]. The next page begins after the last of them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn by_root(&self, root: Hash32, from: u64, limit: usize) -> Result<Vec<u64>, BookError> {
        let limit = limit.min(BLOB_SEQS_MAX);
        self.view().seqs_of(root, from, limit)
    }

    /// Submissions whose numbers are `from` or more, ascending: at most `limit`, and [`WALK_MAX`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn walk(&self, from: u64, limit: usize) -> Result<Vec<Submission>, BookError> {
        let rows = self.view().rows(from, limit.min(WALK_MAX))?;
        Ok(rows.into_iter().map(|row| row.submission).collect())
    }

    /// The submission that holds a sector of the flow; none of sector 0, of a gap, or past the end.
    ///
    /// # Errors
    /// When the store fails.
    pub fn covering(&self, sector: u64) -> Result<Option<Holder>, BookError> {
        self.view().holder(sector)
    }

    /// The way from a subtree up to a root that the flow has had, or to its present one. A subtree
    /// within a submission's node has none here: go from there up to the node with what is known of
    /// the blob, and on from the node.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn path(&self, subtree: Subtree, root: Option<Hash32>) -> Result<Siblings, PathError> {
        self.view().path(subtree, root)
    }

    /// Root of a subtree that is complete: of a submission's node, of what lies above nodes, of a gap.
    ///
    /// # Errors
    /// [`PathError`]; [`PathError::OutOfFlow`] if it is not complete.
    pub fn subtree_root(&self, subtree: Subtree) -> Result<Hash32, PathError> {
        let view = self.view();
        let length = view.tip()?.shape.length();
        if subtree.end() > length {
            let (first, end) = (subtree.first(), subtree.end());
            return Err(lode_proofs::flow::OutOfFlow { first, end, length }.into());
        }
        view.complete(subtree)
    }

    /// Root over chunk `index` of the flow, of 1024 sectors, the last one completed with empty ones: what
    /// 0G's nodes call the hash at a node index. While the whole flow is shorter than a chunk, the
    /// flow's root.
    ///
    /// # Errors
    /// [`PathError::Inside`] of a chunk in a node of more than a chunk, [`PathError::OutOfFlow`] past the
    /// end.
    pub fn chunk_root(&self, index: u64) -> Result<Hash32, PathError> {
        self.view().chunk_root(index)
    }

    /// Appends what was submitted in the blocks after the last one that was read, up to `upto`, which
    /// is then the last one: all of it, or nothing. What the book has already may come again. A block
    /// below the last one that was read changes nothing.
    ///
    /// # Errors
    /// [`AppendError::Lie`] names the first submission that cannot be; nothing is written then.
    pub fn append(&self, submissions: &[Submission], upto: Block) -> Result<(), AppendError> {
        let _writing = self.0.write_alone();
        let view = self.view();
        let (tip, synced) = (view.tip()?, view.synced()?);
        check_block(synced, upto)?;
        let moves = synced.is_none_or(|synced| synced.number < upto.number);
        let mut draft = Draft {
            batch: self.batch(),
            tables: &self.0.tables,
            edge: edge(&view, tip.shape)?,
            tip,
            first_block: synced.map_or(0, |synced| synced.number.saturating_add(1)),
            last_block: upto.number,
        };
        for submission in submissions {
            let seq = submission.seq;
            let known = if seq < tip.next { view.row(seq)? } else { None };
            let added = match known {
                Some(row) if row.submission == *submission => Ok(()),
                Some(_) => Err(Lie::Other),
                None => draft.add(submission),
            };
            added.map_err(|lie| AppendError::Lie { seq, lie })?;
        }
        if moves {
            draft.commit(upto).map_err(BookError::from)?;
        }
        Ok(())
    }

    /// Takes back what was submitted in blocks after `to`, or all of it, newest first, at most
    /// [`REVERT_MAX`] submissions at a time: to be called until it returns none. `to` is then the last
    /// block that was read, unless that was an earlier one.
    ///
    /// # Errors
    /// [`BookError::OtherBlock`] if the last block that was read is another one of that height.
    #[must_use = "until nothing is returned, there is more to take back"]
    pub fn revert(&self, to: Option<Block>) -> Result<Vec<Submission>, BookError> {
        let _writing = self.0.write_alone();
        let view = self.view();
        let (tip, synced) = (view.tip()?, view.synced()?);
        if let (Some(to), Some(synced)) = (to, synced) {
            check_block(Some(synced), to)?;
        }
        let later = |of: &Submission| to.is_none_or(|to| of.block > to.number);
        let rows = view.newest(REVERT_MAX, later)?;
        let back = synced.filter(|synced| to.is_some_and(|to| synced.number <= to.number));
        let end = back.or(to.filter(|_| synced.is_some()));
        if rows.is_empty() && end == synced {
            return Ok(Vec::new());
        }
        let tip = before(&view, tip, rows.len())?;
        let (mut batch, tables) = (self.batch(), &self.0.tables);
        for row in &rows {
            let (seq, of) = (row.submission.seq, &row.submission);
            batch.remove(&tables.submissions, seq.to_be_bytes());
            batch.remove(&tables.starts, of.start.to_be_bytes());
            batch.remove(&tables.blobs, root_key(of.root, seq));
            batch.remove(&tables.flows, root_key(row.flow_root, seq));
        }
        if !rows.is_empty() {
            for key in view.past(tip.shape)? {
                batch.remove(&tables.tree, key);
            }
        }
        tables.write_end(&mut batch, &tip, end);
        batch.commit()?;
        Ok(rows.into_iter().map(|row| row.submission).collect())
    }

    fn view(&self) -> View {
        View::new(&self.0.database, &self.0.tables)
    }

    fn batch(&self) -> OwnedWriteBatch {
        let sync = Some(PersistMode::SyncAll);
        self.0.database.batch().durability(sync)
    }
}

/// A block of the height that was read last is that one.
fn check_block(synced: Option<Block>, block: Block) -> Result<(), BookError> {
    let same = synced.filter(|synced| synced.number == block.number);
    match same {
        Some(synced) if synced.hash != block.hash => Err(BookError::OtherBlock {
            number: block.number,
        }),
        _ => Ok(()),
    }
}

/// The edge of the flow, from its subtrees.
fn edge(view: &View, shape: FlowShape) -> Result<FlowEdge, BookError> {
    let load = FlowEdge::load(shape, |subtree| view.complete(subtree));
    load.map_err(|error| match error {
        PathError::Book(error) => error,
        _ => BookError::Damaged("the tree's edge"),
    })
}

/// Where the book ended before its last `count` submissions.
fn before(view: &View, tip: Tip, count: usize) -> Result<Tip, BookError> {
    if count == 0 {
        return Ok(tip);
    }
    let damaged = BookError::Damaged("a submission before the last ones");
    let removed = u64::try_from(count).expect("memory is below 2^64 rows");
    let Some(next) = tip.next.checked_sub(removed) else {
        return Err(damaged);
    };
    let Some(last) = next.checked_sub(1) else {
        return Ok(Tip::NEW);
    };
    let row = view.row(last)?.ok_or(damaged)?;
    let shape = FlowShape::new(row.end());
    Ok(Tip {
        next,
        shape: shape.map_err(|_| BookError::Damaged("a submission's place"))?,
        root: row.flow_root,
    })
}

/// What is about to be appended.
struct Draft<'a> {
    batch: OwnedWriteBatch,
    tables: &'a Tables,
    edge: FlowEdge,
    tip: Tip,
    first_block: u64,
    last_block: u64,
}

impl Draft<'_> {
    /// Adds the next submission if it is what the chain must have taken.
    fn add(&mut self, submission: &Submission) -> Result<(), Lie> {
        let (seq, expected) = (submission.seq, self.tip.next);
        if seq != expected {
            return Err(Lie::Gap { expected });
        }
        let (block, first, last) = (submission.block, self.first_block, self.last_block);
        if block < first || block > last {
            return Err(Lie::Block { block, first, last });
        }
        let Submission { size, nodes, .. } = submission;
        let extent = Extent::of(&submission.submitter, *size, nodes)?;
        let place = self.tip.shape.place(extent)?;
        let (start, expected) = (submission.start, place.start);
        if start != expected {
            return Err(Lie::Start { start, expected });
        }
        let (root, expected) = (submission.root, submission_root(nodes));
        let expected = expected.expect("a valid submission has a node");
        if root != expected {
            return Err(Lie::Root { root, expected });
        }
        let (batch, tables) = (&mut self.batch, self.tables);
        self.edge.append(place, nodes, |subtree, root| {
            batch.insert(&tables.tree, tree_key(subtree), root.0);
        });
        self.tip = Tip {
            next: seq + 1,
            shape: self.edge.shape(),
            root: self.edge.root(),
        };
        self.first_block = block;
        self.write(submission);
        Ok(())
    }

    fn write(&mut self, submission: &Submission) {
        let (batch, tables, seq) = (&mut self.batch, self.tables, submission.seq);
        let row = Row {
            submission: submission.clone(),
            flow_root: self.tip.root,
        };
        batch.insert(&tables.submissions, seq.to_be_bytes(), row.encode());
        let start = submission.start.to_be_bytes();
        batch.insert(&tables.starts, start, seq.to_le_bytes());
        batch.insert(&tables.blobs, root_key(submission.root, seq), []);
        batch.insert(&tables.flows, root_key(self.tip.root, seq), []);
    }

    fn commit(mut self, upto: Block) -> Result<(), fjall::Error> {
        let (batch, tip) = (&mut self.batch, &self.tip);
        self.tables.write_end(batch, tip, Some(upto));
        self.batch.commit()
    }
}

#[cfg(test)]
#[path = "crash_tests.rs"]
mod crash;
#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
