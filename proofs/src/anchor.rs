//! The tree of the batch lane: what a poster settles with one transaction, and how a blob is shown
//! to be in it.
//!
//! ```text
//!  entry  root 32 | size 8 | payer 20 | expiry 8      68 bytes, numbers big-endian
//!  leaf   keccak(0x00 | entry)                        sums the entry's padded sectors
//!  inner  keccak(0x01 | left hash | left sum 8 | right hash | right sum 8)
//! ```
//! The shape is that of RFC 6962. Every node carries the sectors of all entries under it, so what
//! a poster pays for is right without a single entry on the chain: entries that can be proven under
//! a root never take more sectors together than the root states. Numbers are big-endian because a
//! contract packs them so; its twin is `AnchorTree.sol`, and the same vectors check both.

use alloc::vec::Vec;

use crate::hash32::Hash32;
use crate::keccak::keccak256;
use crate::proof::BlobId;
use crate::shape::EmptyBlob;

/// Bytes of an encoded entry.
pub const ENTRY_LEN: usize = 68;
/// Entries of one anchor, as the contract allows.
pub const ENTRIES_MAX: usize = 1 << 20;
/// Siblings on the longest way up.
pub const ANCHOR_SIBLINGS_MAX: usize = 20;

/// Bytes of an encoded node: hash and sum.
const NODE_LEN: usize = 40;
/// Bytes of an encoded proof before its siblings.
const PROOF_HEAD_LEN: usize = 16 + ENTRY_LEN;
const PROOF_MAGIC: [u8; 8] = *b"LODEANC\x01";
const LEAF: u8 = 0;
const INNER: u8 = 1;

// A proof of more siblings than a tree has levels could not be true.
const _: () = assert!(1 << ANCHOR_SIBLINGS_MAX == ENTRIES_MAX);

/// A blob that is settled, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which blob.
    pub blob: BlobId,
    /// Address of who pays.
    pub payer: [u8; 20],
    /// Until when, in unix seconds.
    pub expiry: u64,
}

/// A subtree of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorNode {
    /// Its hash.
    pub hash: Hash32,
    /// Padded sectors of all entries under it.
    pub sectors: u64,
}

/// What the chain knows of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorHead {
    /// Hash and sum at the top.
    pub top: AnchorNode,
    /// Entries, 1 to [`ENTRIES_MAX`].
    pub count: u32,
}

/// Why entries make no anchor, or a proof is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// No entries, or too many.
    #[error("{got} entries, an anchor has 1 to {ENTRIES_MAX}")]
    Count {
        /// Entries found.
        got: usize,
    },
    /// The sum of all sectors does not fit 64 bits.
    #[error("the entries' sectors do not fit 64 bits: settle them in more than one anchor")]
    Sum,
    /// An entry of no bytes.
    #[error(transparent)]
    EmptyBlob(#[from] EmptyBlob),
    /// The place is past the last entry.
    #[error("entry {place} of an anchor that has {count}")]
    Place {
        /// Place found.
        place: u32,
        /// Entries of the anchor.
        count: u32,
    },
    /// The proof has more or fewer siblings than the way up from its place.
    #[error("{got} siblings, the way up from this place has {want}")]
    Siblings {
        /// Siblings found.
        got: usize,
        /// Siblings implied by place and count.
        want: usize,
    },
    /// Entry and siblings lead to another top.
    #[error("entry and siblings do not lead to the anchor's root and sum")]
    Root,
    /// The bytes start with another magic or version.
    #[error("these bytes are no proof of an anchor's entry, or one of another version")]
    Magic,
    /// Bytes are missing or left over.
    #[error("{got} bytes, where {want} are needed; the bytes were cut or something was appended")]
    Length {
        /// Bytes found.
        got: usize,
        /// Bytes implied by what was read.
        want: usize,
    },
}

impl Entry {
    /// As it is hashed, stored and sent.
    #[must_use]
    pub fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..32].copy_from_slice(self.blob.root.as_bytes());
        bytes[32..40].copy_from_slice(&self.blob.shape.size().to_be_bytes());
        bytes[40..60].copy_from_slice(&self.payer);
        bytes[60..].copy_from_slice(&self.expiry.to_be_bytes());
        bytes
    }

    /// What was encoded.
    ///
    /// # Errors
    /// [`AnchorError::Length`] for another number of bytes, [`AnchorError::EmptyBlob`] for size 0.
    pub fn decode(bytes: &[u8]) -> Result<Self, AnchorError> {
        let wrong = AnchorError::Length {
            got: bytes.len(),
            want: ENTRY_LEN,
        };
        let (root, rest) = bytes.split_first_chunk().ok_or(wrong)?;
        let (size, rest) = rest.split_first_chunk().ok_or(wrong)?;
        let (payer, rest) = rest.split_first_chunk().ok_or(wrong)?;
        let expiry = rest.try_into().map_err(|_| wrong)?;
        Ok(Self {
            blob: BlobId::new(Hash32(*root), u64::from_be_bytes(*size))?,
            payer: *payer,
            expiry: u64::from_be_bytes(expiry),
        })
    }

    /// Its leaf.
    #[must_use]
    pub fn leaf(&self) -> AnchorNode {
        let mut bytes = [LEAF; 1 + ENTRY_LEN];
        bytes[1..].copy_from_slice(&self.encode());
        AnchorNode {
            hash: Hash32(keccak256(&bytes)),
            sectors: self.blob.shape.padded_sectors(),
        }
    }
}

impl AnchorNode {
    /// The node above two.
    fn join(left: Self, right: Self) -> Result<Self, AnchorError> {
        let mut bytes = [INNER; 1 + 2 * NODE_LEN];
        bytes[1..=NODE_LEN].copy_from_slice(&left.encode());
        bytes[1 + NODE_LEN..].copy_from_slice(&right.encode());
        Ok(Self {
            hash: Hash32(keccak256(&bytes)),
            sectors: left
                .sectors
                .checked_add(right.sectors)
                .ok_or(AnchorError::Sum)?,
        })
    }

    fn encode(self) -> [u8; NODE_LEN] {
        let mut bytes = [0; NODE_LEN];
        bytes[..32].copy_from_slice(self.hash.as_bytes());
        bytes[32..].copy_from_slice(&self.sectors.to_be_bytes());
        bytes
    }

    fn decode(bytes: [u8; NODE_LEN]) -> Self {
        let (hash, sectors) = bytes.split_first_chunk().expect("it has 40 bytes");
        let sectors = sectors.try_into().expect("8 of them are left");
        Self {
            hash: Hash32(*hash),
            sectors: u64::from_be_bytes(sectors),
        }
    }
}

/// All nodes over the entries of one anchor. 80 bytes an entry.
#[derive(Clone, Debug)]
pub struct AnchorTree {
    /// Leaves first, the top last. A last node without a partner stands on the next level as well:
    /// joined that way, the tree has the shape of RFC 6962.
    levels: Vec<Vec<AnchorNode>>,
    count: u32,
}

impl AnchorTree {
    /// The tree over entries in their order. Cost: two hashes an entry.
    ///
    /// # Errors
    /// [`AnchorError::Count`] for none or too many, [`AnchorError::Sum`].
    pub fn new(entries: &[Entry]) -> Result<Self, AnchorError> {
        let wrong = AnchorError::Count { got: entries.len() };
        if entries.is_empty() || entries.len() > ENTRIES_MAX {
            return Err(wrong);
        }
        let count = u32::try_from(entries.len()).map_err(|_| wrong)?;
        let mut level: Vec<AnchorNode> = entries.iter().map(Entry::leaf).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match *pair {
                [left, right] => AnchorNode::join(left, right),
                _ => Ok(pair[0]),
            });
            let above = above.collect::<Result<Vec<_>, _>>()?;
            levels.push(core::mem::replace(&mut level, above));
        }
        levels.push(level);
        Ok(Self { levels, count })
    }

    /// What the chain has to be told.
    #[must_use]
    pub fn head(&self) -> AnchorHead {
        let top = self.levels.last().and_then(|level| level.first());
        AnchorHead {
            top: *top.expect("a tree has a top"),
            count: self.count,
        }
    }

    /// What stands beside the way from entry `place` to the top; none past the last entry.
    #[must_use]
    pub fn siblings(&self, place: u32) -> Option<Vec<AnchorNode>> {
        if place >= self.count {
            return None;
        }
        let mut at = usize::try_from(place).ok()?;
        let mut siblings = Vec::with_capacity(self.levels.len());
        for level in &self.levels {
            siblings.extend(level.get(at ^ 1));
            at >>= 1;
        }
        Some(siblings)
    }
}

/// Shows that an entry is number `place` of an anchor. Not checked before somebody verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProof {
    /// What is shown to be there.
    pub entry: Entry,
    /// Where.
    pub place: u32,
    /// What stands beside the way up, bottom to top.
    pub siblings: Vec<AnchorNode>,
}

impl EntryProof {
    /// Whether the entry is in the anchor of which the chain knows `head`.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn verify(&self, head: AnchorHead) -> Result<(), AnchorError> {
        let (place, count) = (self.place, head.count);
        if place >= count {
            return Err(AnchorError::Place { place, count });
        }
        let mut siblings = self.siblings.iter();
        let mut node = self.entry.leaf();
        let mut want = 0;
        for side in sides(place, count) {
            want += 1;
            node = match (side, siblings.next()) {
                (Side::Left, Some(sibling)) => AnchorNode::join(*sibling, node)?,
                (Side::Right, Some(sibling)) => AnchorNode::join(node, *sibling)?,
                (_, None) => node,
            };
        }
        let got = self.siblings.len();
        if got != want {
            return Err(AnchorError::Siblings { got, want });
        }
        (node == head.top).then_some(()).ok_or(AnchorError::Root)
    }

    /// As it is stored and sent: magic 8, place 4, siblings 4, entry, siblings of 40 bytes each.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = u32::try_from(self.siblings.len()).expect("a way up has at most 20 siblings");
        let mut bytes = Vec::with_capacity(PROOF_HEAD_LEN + self.siblings.len() * NODE_LEN);
        bytes.extend_from_slice(&PROOF_MAGIC);
        bytes.extend_from_slice(&self.place.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&self.entry.encode());
        for sibling in &self.siblings {
            bytes.extend_from_slice(&sibling.encode());
        }
        bytes
    }

    /// What was encoded. It is well-formed, but nobody has verified it.
    ///
    /// # Errors
    /// Says what is not as [`EntryProof::encode`] writes it.
    pub fn decode(bytes: &[u8]) -> Result<Self, AnchorError> {
        let length = |want| AnchorError::Length {
            got: bytes.len(),
            want,
        };
        let (head, rest) = bytes
            .split_first_chunk::<PROOF_HEAD_LEN>()
            .ok_or(length(PROOF_HEAD_LEN))?;
        if head[..8] != PROOF_MAGIC {
            return Err(AnchorError::Magic);
        }
        let number = |at: usize| u32::from_be_bytes(core::array::from_fn(|byte| head[at + byte]));
        let got = usize::try_from(number(12)).unwrap_or(usize::MAX);
        if got > ANCHOR_SIBLINGS_MAX {
            let want = ANCHOR_SIBLINGS_MAX;
            return Err(AnchorError::Siblings { got, want });
        }
        if rest.len() != got * NODE_LEN {
            return Err(length(PROOF_HEAD_LEN + got * NODE_LEN));
        }
        let nodes = rest.chunks_exact(NODE_LEN);
        let siblings = nodes
            .map(|node| AnchorNode::decode(node.try_into().expect("chunks are exact")))
            .collect();
        Ok(Self {
            entry: Entry::decode(&head[16..])?,
            place: number(8),
            siblings,
        })
    }
}

/// On which side of the way a sibling stands.
enum Side {
    Left,
    Right,
}

/// The sides of all siblings of `place`, bottom to top; levels without one are left out.
fn sides(place: u32, count: u32) -> impl Iterator<Item = Side> {
    let levels = count.next_power_of_two().ilog2();
    (0..levels).filter_map(move |level| {
        let (at, last) = (place >> level, (count - 1) >> level);
        if at % 2 == 1 {
            Some(Side::Left)
        } else {
            (at < last).then_some(Side::Right)
        }
    })
}
