//! The flow: the one row of sectors that the chain orders, in which every submitted blob has its
//! place (0G wire, 1.5 and 1.7).
//!
//! ```text
//!  sector  0   1   2   3   4   5   6   7   8 …             1024 …
//!         ┌───┬───┬───┬───┬───────┬───┬───┬─ … ───────────┬─ …
//!         │ 0 │ a │ b │gap│   c   │   gap               │   d
//!         └───┴───┴───┴───┴───────┴───┴───┴─ … ───────────┴─ …
//! ```
//! Sector 0 belongs to nobody; its leaf is 32 zero bytes. A submission begins at a multiple of its
//! first node's sectors, so that each of its nodes is a subtree of the flow's tree; what is left
//! free before it are empty sectors. One that is smaller than a chunk lies within one chunk.
//!
//! Here is what the contract checks and computes, as values: whether a submission keeps the rules
//! ([`Extent`]), where it goes ([`FlowShape::place`]), the tree over the row at any length
//! ([`FlowShape`], [`FlowPath`]) and how it grows ([`FlowEdge`]). The hashes are asked of whoever
//! keeps them. The Solidity twins are `Flow.sol` and `FlowTree.sol`.

mod edge;
mod tree;

use crate::crown::SubmissionNode;
use crate::shape::{CHUNK_HEIGHT, SECTOR_LEN};

pub use crate::crown::{identity, submission_root};
pub use edge::FlowEdge;
pub use tree::{FLOW_LEAF_0, FlowPath, OutOfFlow, Subtree};

/// Sectors of a flow in which nothing was submitted: sector 0.
pub const FLOW_LENGTH_NEW: u64 = 1;
/// Sectors in the flow never reach this, so that no height reaches 64 (`LENGTH_MAX` of the contract).
pub const FLOW_LENGTH_MAX: u64 = 1 << 62;
/// Nodes of a submission: its heights fall, and span this many levels.
pub const SUBMISSION_NODES_MAX: usize = 4;

/// Heights of nodes are below this.
const HEIGHTS: u8 = 64;
/// The lowest node is less than this many levels below the first.
const HEIGHTS_SPANNED: u8 = 4;
/// Below this many sectors nothing is padded but the last sector.
const UNPADDED_SECTORS: u64 = 16;

// As many nodes as levels, since no two share one.
const _: () = assert!(SUBMISSION_NODES_MAX == 4 && HEIGHTS_SPANNED == 4);

/// Which rule of the contract a submission breaks: each reverts with `Invalid submission` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubmission {
    /// The submitter is the zero address.
    #[error("a submission has a submitter, this one's is the zero address")]
    NoSubmitter,
    /// There is no node.
    #[error("a submission has a node at least")]
    NoNodes,
    /// The first node is too high.
    #[error("the first node has height {height}, heights are below 64")]
    TooHigh {
        /// Its height.
        height: u8,
    },
    /// A node is not lower than the one before it.
    #[error("node {node} is not lower than the one before it")]
    NotFalling {
        /// Which node, from 0.
        node: usize,
    },
    /// A node is too far below the first.
    #[error("node {node} has height {height}, less than four levels below {first} are allowed")]
    TooLow {
        /// Which node, from 0.
        node: usize,
        /// Its height.
        height: u8,
        /// The first node's.
        first: u8,
    },
    /// More bytes than fit into the sectors.
    #[error("{size} bytes do not fit into {sectors} sectors")]
    TooLong {
        /// Bytes.
        size: u64,
        /// Sectors of all nodes.
        sectors: u64,
    },
    /// So few bytes that they would have been padded to fewer sectors.
    #[error("{size} bytes are padded to fewer than {sectors} sectors")]
    TooShort {
        /// Bytes.
        size: u64,
        /// Sectors of all nodes.
        sectors: u64,
    },
}

/// The flow has no room for a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a flow of {length} sectors has no room for {sectors} more")]
pub struct FlowFull {
    /// Sectors of the flow.
    pub length: u64,
    /// Sectors that were to follow.
    pub sectors: u64,
}

/// No flow has that many sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a flow has from 1 to 2^62 - 1 sectors, not {length}")]
pub struct NoSuchLength {
    /// The number.
    pub length: u64,
}

/// What a submission takes of the flow. There is one only of submissions that keep the contract's
/// rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    height: u8,
    sectors: u64,
}

impl Extent {
    /// Checks a submission of `size` bytes as the contract does.
    ///
    /// # Errors
    /// [`InvalidSubmission`] names the rule that it breaks; several: the first in the contract's order.
    pub fn of(
        submitter: &[u8; 20],
        size: u64,
        nodes: &[SubmissionNode],
    ) -> Result<Self, InvalidSubmission> {
        // [L-1]
        if *submitter == [0; 20] {
            return Err(InvalidSubmission::NoSubmitter);
        }
        let (first, rest) = nodes.split_first().ok_or(InvalidSubmission::NoNodes)?;
        let first = first.height;
        if first >= HEIGHTS {
            return Err(InvalidSubmission::TooHigh { height: first });
        }
        // Four falling heights below 64 add up to less than 2^64.
        let (mut sectors, mut above) = (1_u64 << first, first);
        for (node, height) in (1..).zip(rest.iter().map(|node| node.height)) {
            if height >= above {
                return Err(InvalidSubmission::NotFalling { node });
            }
            if first - height >= HEIGHTS_SPANNED {
                return Err(InvalidSubmission::TooLow {
                    node,
                    height,
                    first,
                });
            }
            (sectors, above) = (sectors + (1 << height), height);
        }
        if u128::from(size) > bytes(sectors) {
            return Err(InvalidSubmission::TooLong { size, sectors });
        }
        let unit = padding_unit(sectors, first, nodes.len());
        if u128::from(size) <= bytes(sectors - unit) {
            return Err(InvalidSubmission::TooShort { size, sectors });
        }
        Ok(Self {
            height: first,
            sectors,
        })
    }

    /// Sectors of all nodes, padding included: `length` in the chain's `Submit` event.
    #[must_use]
    pub const fn sectors(self) -> u64 {
        self.sectors
    }
}

/// A blob of fewer sectors by this many would have been padded to less. [L-1]
const fn padding_unit(sectors: u64, first: u8, nodes: usize) -> u64 {
    if sectors < UNPADDED_SECTORS {
        1
    } else if nodes == 1 {
        sectors >> HEIGHTS_SPANNED
    } else {
        1 << (first + 1 - HEIGHTS_SPANNED)
    }
}

/// Bytes of whole sectors.
fn bytes(sectors: u64) -> u128 {
    const SECTOR: u128 = 256;
    const _: () = assert!(SECTOR_LEN == 256);
    u128::from(sectors) * SECTOR
}

/// Neighbouring sectors of the flow: where a submission lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectorRun {
    /// Its first sector: `startPos` in the chain's `Submit` event.
    pub start: u64,
    /// The sector after its last: the flow's length after it.
    pub end: u64,
}

/// How many sectors the flow has, known to be from 1 to [`FLOW_LENGTH_MAX`], exclusive, and what
/// follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowShape {
    length: u64,
}

impl FlowShape {
    /// A flow in which nothing was submitted.
    pub const NEW: Self = Self {
        length: FLOW_LENGTH_NEW,
    };

    /// A flow of `length` sectors, gaps included.
    ///
    /// # Errors
    /// [`NoSuchLength`].
    pub const fn new(length: u64) -> Result<Self, NoSuchLength> {
        if length < FLOW_LENGTH_NEW || length >= FLOW_LENGTH_MAX {
            return Err(NoSuchLength { length });
        }
        Ok(Self { length })
    }

    /// Sectors.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.length
    }

    /// Levels of the tree above its leaves: 0 for the new flow.
    #[must_use]
    pub fn depth(self) -> u8 {
        let capacity = self.length.next_power_of_two();
        u8::try_from(capacity.ilog2()).expect("below 64")
    }

    /// Where the next submission goes.
    ///
    /// # Errors
    /// [`FlowFull`], as the contract refuses it.
    pub fn place(self, extent: Extent) -> Result<SectorRun, FlowFull> {
        // [L-3]
        let full = FlowFull {
            length: self.length,
            sectors: extent.sectors,
        };
        let placed = self.aligned(extent, extent.height).ok_or(full)?;
        let chunk = |sector: u64| sector >> CHUNK_HEIGHT;
        let begins_chunk = placed.start.trailing_zeros() >= u32::from(CHUNK_HEIGHT);
        if begins_chunk || chunk(placed.start) == chunk(placed.end - 1) {
            return Ok(placed);
        }
        // Its first node is smaller than a chunk, so this start is a multiple of it too.
        self.aligned(extent, CHUNK_HEIGHT).ok_or(full)
    }

    /// The flow after a submission.
    #[must_use]
    pub const fn after(self, place: SectorRun) -> Self {
        Self { length: place.end }
    }

    fn aligned(self, extent: Extent, height: u8) -> Option<SectorRun> {
        let start = self.length.checked_next_multiple_of(1 << height)?;
        let end = start.checked_add(extent.sectors)?;
        (end < FLOW_LENGTH_MAX).then_some(SectorRun { start, end })
    }
}
