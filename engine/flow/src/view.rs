//! The book as of one moment: everything that is read. What is written meanwhile is not seen.

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, Readable, Snapshot};
use lode_proofs::{
    CHUNK_HEIGHT, Hash32, SubmissionNode, ZERO_ROOTS,
    flow::{FLOW_LEAF_0, FlowPath, FlowShape, OutOfFlow, Subtree},
};

use crate::{
    row::{Row, last_number, number, take},
    submission::{Block, Submission},
};

/// Bytes of a table that are kept in memory before they go to its files.
const MEMTABLE: u64 = 8 << 20;

const TIP: &str = "tip";
const SYNCED: &str = "synced";

/// Why the book could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The store below failed: what was written before is there after the next start.
    #[error("the flow's store failed: {0}")]
    Store(#[from] fjall::Error),
    /// The store holds what this program did not write.
    #[error("the flow's store is damaged: {0}")]
    Damaged(&'static str),
    /// The book has read another block of that height.
    #[error("the flow was read up to another block {number}")]
    OtherBlock {
        /// Its height.
        number: u64,
    },
}

/// Why there is no path or root of a subtree.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// The book failed.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The flow never had that root, or the chain took it back.
    #[error("{root} is no root of the flow")]
    UnknownRoot {
        /// The root asked for.
        root: Hash32,
    },
    /// The flow of that root does not hold the subtree.
    #[error(transparent)]
    OutOfFlow(#[from] OutOfFlow),
    /// It lies within a node of a submission: only who has the blob's bytes knows what is there.
    #[error("that lies within submission {seq}, whose bytes are not in the flow's book")]
    Inside {
        /// Which submission.
        seq: u64,
    },
}

/// The submission that holds a sector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which.
    pub submission: Submission,
    /// Its node that holds the sector.
    pub node: SubmissionNode,
    /// The node's first sector in the flow.
    pub first: u64,
}

/// A way up to a root of the flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Siblings {
    /// Siblings from the bottom up. With the subtree's index as turns they lead to the root.
    pub siblings: Vec<Hash32>,
    /// The root.
    pub root: Hash32,
    /// Sectors of the flow that has it.
    pub length: u64,
}

/// Where the book ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    /// Number of the next submission.
    pub next: u64,
    pub shape: FlowShape,
    /// Root of the flow.
    pub root: Hash32,
}

impl Tip {
    pub const NEW: Tip = Tip {
        next: 0,
        shape: FlowShape::NEW,
        root: FLOW_LEAF_0,
    };

    pub fn encode(&self) -> Vec<u8> {
        let (next, length) = (self.next.to_le_bytes(), self.shape.length().to_le_bytes());
        [&next[..], &length, &self.root.0].concat()
    }

    fn decode(mut bytes: &[u8]) -> Result<Self, BookError> {
        let (next, length) = (number(&mut bytes)?, number(&mut bytes)?);
        let root = Hash32(take(&mut bytes)?);
        let shape = FlowShape::new(length).map_err(|_| BookError::Damaged("the flow's length"))?;
        Ok(Tip { next, shape, root })
    }
}

/// The book's tables.
#[derive(Clone)]
pub(crate) struct Tables {
    /// Number of a submission, to its row.
    pub submissions: Keyspace,
    /// First sector of a submission, to its number.
    pub starts: Keyspace,
    /// Root of a blob and number of a submission of it.
    pub blobs: Keyspace,
    /// Root of the flow, and the number of the submission after which it had that root. Submissions of
    /// empty sectors leave the root as it is, so one root may be there more than once.
    pub flows: Keyspace,
    /// Height and index of a subtree, to its root: complete ones that are in a submission at least in
    /// part, but none within a node.
    pub tree: Keyspace,
    /// Where the book ends: [`Tip`], and the last block that was read.
    pub meta: Keyspace,
}

impl Tables {
    pub fn open(database: &Database) -> Result<Self, BookError> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
        let table = |name: &str| database.keyspace(name, options);
        Ok(Tables {
            submissions: table("submissions")?,
            starts: table("starts")?,
            blobs: table("blobs")?,
            flows: table("flows")?,
            tree: table("tree")?,
            meta: table("meta")?,
        })
    }

    /// What is to be written when the book's end moves.
    pub fn write_end(&self, batch: &mut OwnedWriteBatch, tip: &Tip, synced: Option<Block>) {
        batch.insert(&self.meta, TIP, tip.encode());
        match synced {
            Some(block) => {
                let value = [&block.number.to_le_bytes()[..], &block.hash].concat();
                batch.insert(&self.meta, SYNCED, value);
            }
            None => batch.remove(&self.meta, SYNCED),
        }
    }
}

/// Key of a subtree.
pub(crate) fn tree_key(subtree: Subtree) -> [u8; 9] {
    let mut key = [subtree.height(); 9];
    key[1..].copy_from_slice(&subtree.index().to_be_bytes());
    key
}

/// Key of a root with a submission's number.
pub(crate) fn root_key(root: Hash32, seq: u64) -> Vec<u8> {
    [&root.0[..], &seq.to_be_bytes()].concat()
}

/// All that is read.
pub(crate) struct View {
    snapshot: Snapshot,
    tables: Tables,
}

impl View {
    pub fn new(database: &Database, tables: &Tables) -> Self {
        View {
            snapshot: database.snapshot(),
            tables: tables.clone(),
        }
    }

    pub fn tip(&self) -> Result<Tip, BookError> {
        let found = self.snapshot.get(&self.tables.meta, TIP)?;
        found.map_or(Ok(Tip::NEW), |bytes| Tip::decode(&bytes))
    }

    pub fn synced(&self) -> Result<Option<Block>, BookError> {
        let Some(found) = self.snapshot.get(&self.tables.meta, SYNCED)? else {
            return Ok(None);
        };
        let mut bytes = &found[..];
        let number = number(&mut bytes)?;
        let hash = take(&mut bytes)?;
        Ok(Some(Block { number, hash }))
    }

    pub fn row(&self, seq: u64) -> Result<Option<Row>, BookError> {
        let found = self
            .snapshot
            .get(&self.tables.submissions, seq.to_be_bytes())?;
        found.map(|bytes| Row::decode(seq, &bytes)).transpose()
    }

    /// A row that must be there.
    fn need(&self, seq: u64) -> Result<Row, BookError> {
        let missing = BookError::Damaged("a submission is missing");
        self.row(seq)?.ok_or(missing)
    }

    /// Rows from a number on, at most that many.
    pub fn rows(&self, from: u64, limit: usize) -> Result<Vec<Row>, BookError> {
        let range = self
            .snapshot
            .range(&self.tables.submissions, from.to_be_bytes()..);
        let rows = range.take(limit).map(|entry| {
            let (key, value) = entry.into_inner()?;
            Row::decode(last_number(&key)?, &value)
        });
        rows.collect()
    }

    /// Rows from the newest down, while `keep` says so, at most that many.
    pub fn newest(
        &self,
        limit: usize,
        keep: impl Fn(&Submission) -> bool,
    ) -> Result<Vec<Row>, BookError> {
        let mut rows = Vec::new();
        for entry in self.snapshot.iter(&self.tables.submissions).rev() {
            let (key, value) = entry.into_inner()?;
            let row = Row::decode(last_number(&key)?, &value)?;
            if rows.len() == limit || !keep(&row.submission) {
                break;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Numbers of a blob's submissions, from a number on, at most that many.
    pub fn seqs_of(&self, root: Hash32, from: u64, limit: usize) -> Result<Vec<u64>, BookError> {
        let (first, last) = (root_key(root, from), root_key(root, u64::MAX));
        let range = self.snapshot.range(&self.tables.blobs, first..=last);
        let seqs = range.take(limit).map(|entry| last_number(&entry.key()?));
        seqs.collect()
    }

    /// The last submission that begins before a sector.
    fn before(&self, sector: u64) -> Result<Option<Row>, BookError> {
        let mut range = self
            .snapshot
            .range(&self.tables.starts, ..sector.to_be_bytes());
        let Some(found) = range.next_back() else {
            return Ok(None);
        };
        let seq = number(&mut &found.value()?[..])?;
        self.need(seq).map(Some)
    }

    pub fn holder(&self, sector: u64) -> Result<Option<Holder>, BookError> {
        // A sector has a number below 2^62, so there is one after it.
        let Some(after) = sector.checked_add(1) else {
            return Ok(None);
        };
        let row = self.before(after)?;
        Ok(row.and_then(|row| holder_in(row, sector)))
    }

    /// The flow that has a root, as of its last submission that left it with that root.
    pub fn shape_of(&self, root: Hash32) -> Result<FlowShape, PathError> {
        let mut found = self.snapshot.prefix(&self.tables.flows, root.0);
        if let Some(entry) = found.next_back() {
            let row = self.need(last_number(&entry.key().map_err(BookError::from)?)?)?;
            let shape = FlowShape::new(row.end());
            return Ok(shape.map_err(|_| BookError::Damaged("a submission's place"))?);
        }
        if root == FLOW_LEAF_0 {
            return Ok(FlowShape::NEW);
        }
        Err(PathError::UnknownRoot { root })
    }

    pub fn path(&self, subtree: Subtree, root: Option<Hash32>) -> Result<Siblings, PathError> {
        let (shape, root) = match root {
            Some(root) => (self.shape_of(root)?, root),
            None => {
                let tip = self.tip()?;
                (tip.shape, tip.root)
            }
        };
        let path = FlowPath::new(shape, subtree)?;
        Ok(Siblings {
            siblings: path.siblings(|complete| self.complete(complete))?,
            root,
            length: shape.length(),
        })
    }

    pub fn chunk_root(&self, index: u64) -> Result<Hash32, PathError> {
        let tip = self.tip()?;
        let length = tip.shape.length();
        let inside = Subtree::new(CHUNK_HEIGHT, index).filter(|chunk| chunk.first() < length);
        let Some(chunk) = inside else {
            let first = index.saturating_mul(1 << CHUNK_HEIGHT);
            let end = first.saturating_add(1 << CHUNK_HEIGHT);
            return Err(OutOfFlow { first, end, length }.into());
        };
        if tip.shape.depth() < CHUNK_HEIGHT {
            return Ok(tip.root);
        }
        tip.shape
            .subtree_root(chunk, &mut |complete| self.complete(complete))
    }

    /// Root of a complete subtree: kept, or of empty sectors in a gap.
    pub fn complete(&self, subtree: Subtree) -> Result<Hash32, PathError> {
        if subtree.end() == 1 {
            return Ok(FLOW_LEAF_0);
        }
        let found = self.snapshot.get(&self.tables.tree, tree_key(subtree));
        if let Some(found) = found.map_err(BookError::from)? {
            return Ok(Hash32(take(&mut &found[..])?));
        }
        let missing = BookError::Damaged("a complete subtree is missing");
        let in_gap = subtree.first() > 0;
        let Some(row) = self
            .before(subtree.end())?
            .filter(|row| row.end() > subtree.first())
        else {
            let zeros = ZERO_ROOTS[usize::from(subtree.height())];
            return if in_gap {
                Ok(zeros)
            } else {
                Err(missing.into())
            };
        };
        let seq = row.submission.seq;
        let holder = holder_in(row, subtree.first());
        let inside = holder.is_some_and(|holder| holder.node.height > subtree.height());
        if inside {
            Err(PathError::Inside { seq })
        } else {
            Err(missing.into())
        }
    }

    /// Keys of all subtrees that are not complete in a flow of that length.
    pub fn past(&self, shape: FlowShape) -> Result<Vec<fjall::Slice>, BookError> {
        let mut keys = Vec::new();
        for height in 0.. {
            // The first of its height that ends past the length; no height is above the last one's.
            let Some(first) = Subtree::holding(shape.length(), height) else {
                break;
            };
            let mut last = [u8::MAX; 9];
            last[0] = height;
            let range = self
                .snapshot
                .range(&self.tables.tree, tree_key(first)..=last);
            for entry in range {
                keys.push(entry.key()?);
            }
        }
        Ok(keys)
    }
}

fn holder_in(row: Row, sector: u64) -> Option<Holder> {
    let mut first = row.submission.start;
    for node in row.submission.nodes.clone() {
        let end = first + (1 << node.height);
        if (first..end).contains(&sector) {
            let submission = row.submission;
            return Some(Holder {
                submission,
                node,
                first,
            });
        }
        first = end;
    }
    None
}
