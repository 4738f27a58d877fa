//! Which blob is in which anchor: the books of a storage node that settles what it holds.
//!
//! ```text
//!  settle/home              the chain and the account, fixed at the first start
//!  settle/moment/SHARD      blobs taken in before this moment of the store are in an anchor
//!  settle/blob/ROOT         number of the blob's anchor, and its place in it
//!  settle/entries/NUMBER    an anchor's entries, 68 bytes each
//!  settle/anchor/NUMBER     what became of the anchor
//!  settle/proof/NUMBER      what shows it to others
//!  settle/counts            anchors, and how many of them, from the first on, can be shown
//! ```
//! A blob gets into one anchor, once: an anchor is closed by one write, of its entries, of its
//! blobs' places, and of how far the store has been looked through. What lies open was not written
//! yet, and is found in the store again after a crash.

use std::collections::{BTreeSet, VecDeque};

use alloy_primitives::{Address, B256, Bytes};
use lode_proofs::{
    BlobId, Hash32,
    anchor::{AnchorError, AnchorHead, AnchorNode, AnchorTree, ENTRY_LEN, Entry, EntryProof},
};
use serde::{Deserialize, Serialize};

use crate::{
    certified::Certified,
    store::{Pairs, Store, StoreError},
};

/// Entries of an anchor. An anchor costs the same whatever it holds; this bounds what is read to
/// prove one of its entries to 680 kB.
pub const ANCHOR_BLOBS_MAX: usize = 10_000;

/// Where a node settles, for ever: with another chain or account under the same books, blobs would
/// be settled there that are not, or twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The chain's number (EIP-155).
    pub chain_id: u64,
    /// Hash of its first block.
    pub genesis: B256,
    /// The account that posts.
    pub poster: Address,
}

/// An anchor and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Its number in these books, from 0.
    pub number: u64,
    /// Hash at the top of its tree.
    pub root: B256,
    /// Padded sectors of all its blobs.
    pub sectors: u64,
    /// Its blobs.
    pub count: u32,
    /// Transactions that were reverted, or whose nonce somebody else has used.
    pub failures: u32,
    /// The transaction that was sent last.
    pub sent: Option<B256>,
    /// The block that has settled it.
    pub block: Option<u64>,
}

impl Anchor {
    /// What the chain is told.
    pub fn head(&self) -> AnchorHead {
        let top = AnchorNode {
            hash: Hash32(self.root.0),
            sectors: self.sectors,
        };
        AnchorHead {
            top,
            count: self.count,
        }
    }
}

/// How far a blob's settlement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is in no anchor yet.
    Pending,
    /// Its anchor is on its way, or waits for the chain.
    Sent(Anchor),
    /// A final block has settled its anchor.
    Anchored(Anchor),
    /// And there is a certificate to show it.
    Final {
        /// Its anchor.
        anchor: Anchor,
        /// Number of the block of the certificate.
        certified: u64,
    },
}

/// All that shows that a blob is settled, but for the chunk.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Who has posted it.
    pub poster: Address,
    /// The anchor.
    pub anchor: Anchor,
    /// The blob's way up to the anchor's root.
    pub entry: EntryProof,
    /// The anchor's record in a block that is final.
    pub certified: Certified,
}

/// Why the books cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The disk below.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not what was written.
    #[error("the books do not hold what was written: {0}")]
    Entries(#[from] AnchorError),
    /// They belong to another chain or account.
    #[error(
        "these books settle on chain {} ({}) by account {}, not on chain {} ({}) by account {}",
        was.chain_id, was.genesis, was.poster, now.chain_id, now.genesis, now.poster
    )]
    OtherHome {
        /// What they were opened for first.
        was: Box<Home>,
        /// What they are opened for now.
        now: Box<Home>,
    },
}

/// The books. One process at a time has them.
pub struct Book {
    store: Store,
    poster: Address,
    /// Blobs for the next anchors, in the order in which they were offered, and their roots.
    open: VecDeque<BlobId>,
    roots: BTreeSet<Hash32>,
    counts: Counts,
    /// The anchor that is not settled yet: the last one.
    current: Option<Anchor>,
}

/// How many anchors there are, and how many of them, from the first on, can be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    all: u64,
    proven: u64,
}

impl Book {
    /// Opens the books of an account.
    ///
    /// # Errors
    /// When the store fails, or they are another account's.
    pub fn open(store: Store, poster: Address) -> Result<Book, BookError> {
        let home: Option<Home> = store.get(HOME)?;
        if let Some(was) = home.filter(|home| home.poster != poster) {
            return Err(other_home(was, Home { poster, ..was }));
        }
        let counts: Counts = store.get(COUNTS)?.unwrap_or_default();
        let last = counts.all.checked_sub(1);
        let last: Option<Anchor> = last
            .map(|last| store.need(&numbered(ANCHOR, last)))
            .transpose()?;
        Ok(Book {
            poster,
            open: VecDeque::new(),
            roots: BTreeSet::new(),
            counts,
            current: last.filter(|last| last.block.is_none()),
            store,
        })
    }

    /// Fixes the chain at the first time, and holds to it.
    ///
    /// # Errors
    /// [`BookError::OtherHome`].
    pub fn settle_at(&self, now: Home) -> Result<(), BookError> {
        match self.store.get::<Home>(HOME)? {
            Some(was) if was != now => Err(other_home(was, now)),
            Some(_) => Ok(()),
            None => {
                let mut pairs = Pairs::default();
                pairs.add(HOME, &now)?;
                Ok(self.store.write(pairs)?)
            }
        }
    }

    /// The moment up to which a shard of the store was looked through; 0 for not at all.
    ///
    /// # Errors
    /// When the store fails.
    pub fn moment(&self, shard: u16) -> Result<u64, BookError> {
        Ok(self.store.get(&moment(shard))?.unwrap_or(0))
    }

    /// Takes in a blob for the next anchor, unless it is in one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn offer(&mut self, blob: BlobId) -> Result<(), BookError> {
        if !self.roots.contains(&blob.root) && !self.store.has(&of_blob(&blob.root))? {
            self.roots.insert(blob.root);
            self.open.push_back(blob);
        }
        Ok(())
    }

    /// Whether the next anchor is full.
    pub fn is_full(&self) -> bool {
        self.open.len() >= ANCHOR_BLOBS_MAX
    }

    /// The anchor that is not settled yet: as long as there is one, none is closed.
    pub fn current(&self) -> Option<Anchor> {
        self.current
    }

    /// The first anchor that is settled and cannot be shown yet.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unproven(&self) -> Result<Option<Anchor>, BookError> {
        let Counts { all, proven } = self.counts;
        let settled = all - u64::from(self.current.is_some());
        let first = (proven < settled).then(|| self.store.need(&numbered(ANCHOR, proven)));
        Ok(first.transpose()?)
    }

    /// Closes the next anchor over what is open, as much of it as one holds. `moments` are those
    /// that the store was looked through to, by shard; they are kept once nothing of what was found
    /// lies open any more.
    ///
    /// # Errors
    /// When the store fails: nothing was closed then.
    ///
    /// # Panics
    /// While there is a current anchor.
    pub fn close(&mut self, moments: &[(u16, u64)]) -> Result<(), BookError> {
        assert!(self.current.is_none(), "anchors are settled one by one");
        let count = self.open.len().min(ANCHOR_BLOBS_MAX);
        let mut pairs = Pairs::default();
        if count == self.open.len() {
            for (shard, upto) in moments {
                pairs.add(&moment(*shard), upto)?;
            }
        }
        let (anchor, counts) = match count {
            0 => (None, self.counts),
            count => {
                let all = self.counts.all + 1;
                let counts = Counts { all, ..self.counts };
                pairs.add(COUNTS, &counts)?;
                (Some(self.add_anchor(count, &mut pairs)?), counts)
            }
        };
        self.store.write(pairs)?;
        for blob in self.open.drain(..count) {
            self.roots.remove(&blob.root);
        }
        (self.current, self.counts) = (anchor, counts);
        Ok(())
    }

    fn add_anchor(&self, count: usize, pairs: &mut Pairs) -> Result<Anchor, BookError> {
        let entry = |blob: &BlobId| Entry {
            blob: *blob,
            payer: self.poster.into(),
            expiry: 0,
        };
        let entries: Vec<Entry> = self.open.iter().take(count).map(entry).collect();
        let head = AnchorTree::new(&entries)?.head();
        let number = self.counts.all;
        for (place, entry) in (0u32..).zip(&entries) {
            pairs.add(&of_blob(&entry.blob.root), &(number, place))?;
        }
        let bytes: Vec<u8> = entries.iter().flat_map(Entry::encode).collect();
        pairs.add(&numbered(ENTRIES, number), &Bytes::from(bytes))?;
        let anchor = Anchor {
            number,
            root: head.top.hash.0.into(),
            sectors: head.top.sectors,
            count: head.count,
            failures: 0,
            sent: None,
            block: None,
        };
        pairs.add(&numbered(ANCHOR, number), &anchor)?;
        Ok(anchor)
    }

    /// Notes what became of the current anchor.
    pub(crate) fn note(&mut self, anchor: Anchor) -> Result<(), BookError> {
        let mut pairs = Pairs::default();
        pairs.add(&numbered(ANCHOR, anchor.number), &anchor)?;
        self.store.write(pairs)?;
        self.current = anchor.block.is_none().then_some(anchor);
        Ok(())
    }

    /// Keeps what shows the first anchor that could not be shown.
    pub(crate) fn keep(&mut self, certified: &Certified) -> Result<(), BookError> {
        let Counts { proven, .. } = self.counts;
        let counts = Counts {
            proven: proven + 1,
            ..self.counts
        };
        let mut pairs = Pairs::default();
        pairs.add(&numbered(PROOF, proven), certified)?;
        pairs.add(COUNTS, &counts)?;
        self.store.write(pairs)?;
        self.counts = counts;
        Ok(())
    }

    /// What others may read of the books, while they are written.
    pub fn reader(&self) -> Reader {
        Reader {
            store: self.store.clone(),
            poster: self.poster,
        }
    }

    /// Whether blobs lie open: they were offered, and are in no anchor yet.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }
}

/// The books, to look something up in.
#[derive(Clone)]
pub struct Reader {
    store: Store,
    poster: Address,
}

impl Reader {
    /// How far a blob is.
    ///
    /// # Errors
    /// When the store fails.
    pub fn status(&self, root: &Hash32) -> Result<Status, BookError> {
        let Some((number, _)) = self.store.get::<(u64, u32)>(&of_blob(root))? else {
            return Ok(Status::Pending);
        };
        let anchor: Anchor = self.store.need(&numbered(ANCHOR, number))?;
        if anchor.block.is_none() {
            return Ok(Status::Sent(anchor));
        }
        let certified: Option<Certified> = self.store.get(&numbered(PROOF, number))?;
        Ok(match certified {
            None => Status::Anchored(anchor),
            Some(certified) => Status::Final {
                anchor,
                certified: certified.block,
            },
        })
    }

    /// What shows that a blob is settled; none before it is final. Cost: the anchor's tree.
    ///
    /// # Errors
    /// When the store fails.
    pub fn settlement(&self, root: &Hash32) -> Result<Option<Settlement>, BookError> {
        let Some((number, place)) = self.store.get::<(u64, u32)>(&of_blob(root))? else {
            return Ok(None);
        };
        let Some(certified) = self.store.get(&numbered(PROOF, number))? else {
            return Ok(None);
        };
        let bytes: Bytes = self.store.need(&numbered(ENTRIES, number))?;
        let entries = bytes.chunks(ENTRY_LEN).map(Entry::decode);
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        let wrong = AnchorError::Place {
            place,
            count: u32::try_from(entries.len()).unwrap_or(u32::MAX),
        };
        let entry = usize::try_from(place).ok().and_then(|at| entries.get(at));
        let entry = *entry.ok_or(wrong)?;
        let siblings = AnchorTree::new(&entries)?.siblings(place).ok_or(wrong)?;
        Ok(Some(Settlement {
            poster: self.poster,
            anchor: self.store.need(&numbered(ANCHOR, number))?,
            entry: EntryProof {
                entry,
                place,
                siblings,
            },
            certified,
        }))
    }
}

fn other_home(was: Home, now: Home) -> BookError {
    let (was, now) = (Box::new(was), Box::new(now));
    BookError::OtherHome { was, now }
}

const HOME: &str = "settle/home";
const ANCHOR: &str = "settle/anchor/";
const ENTRIES: &str = "settle/entries/";
const PROOF: &str = "settle/proof/";
const COUNTS: &str = "settle/counts";

fn of_blob(root: &Hash32) -> String {
    format!("settle/blob/{root}")
}

fn moment(shard: u16) -> String {
    format!("settle/moment/{shard}")
}

/// Twenty digits, so that keys have the order of their numbers.
fn numbered(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:020}")
}
