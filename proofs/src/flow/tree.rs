//! The tree over the flow at one length: perfect, as high as it must be, empty on the right.
//!
//! ```text
//!  length 13           root over 16
//!                     /            \
//!            8 sectors ■            ○ partial: of 4 ■, of 1 ■, and empty
//!                                 /   \
//!                    4 sectors ■       ○
//!                                     / \
//!                        1 and empty ○   □ Z(1)
//! ```
//! ■ are complete: no later submission changes them, so whoever follows the flow keeps them. Every
//! root and path at every length that the flow ever had consists of these and of zero roots: at most
//! one node of a level is partial, so a root needs as many complete ones as the length has binary ones,
//! and a path fewer than twice as many as the tree has levels.

use alloc::vec::Vec;

use super::{FLOW_LENGTH_MAX, FlowShape};
use crate::hash32::Hash32;
use crate::path::parent;
use crate::zero::ZERO_ROOTS;

/// Leaf 0 of the flow: no sector has it (0G wire, 1.7).
pub const FLOW_LEAF_0: Hash32 = Hash32([0; 32]);

/// Height of a subtree over all sectors that a flow may ever have.
const HEIGHT_MAX: u8 = 62;
const _: () = assert!(1 << HEIGHT_MAX == FLOW_LENGTH_MAX);

/// A perfect subtree of the flow's tree: the sectors from `index · 2^height` on, `2^height` of them.
/// Known to lie below [`FLOW_LENGTH_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    height: u8,
    index: u64,
}

impl Subtree {
    /// The subtree of that height and index; none if it ends past [`FLOW_LENGTH_MAX`].
    #[must_use]
    pub fn new(height: u8, index: u64) -> Option<Self> {
        let inside = height <= HEIGHT_MAX && index < FLOW_LENGTH_MAX >> height;
        inside.then_some(Self { height, index })
    }

    /// The one of that height that holds a sector; none past [`FLOW_LENGTH_MAX`].
    #[must_use]
    pub fn holding(sector: u64, height: u8) -> Option<Self> {
        Self::new(height, sector.checked_shr(u32::from(height))?)
    }

    /// log2 of its sectors, 62 at most.
    #[must_use]
    pub const fn height(self) -> u8 {
        self.height
    }

    /// Which of its height, from the left.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Its first sector.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.index << self.height
    }

    /// The sector after its last.
    #[must_use]
    pub const fn end(self) -> u64 {
        (self.index + 1) << self.height
    }

    /// The one it is a child of; none of the highest.
    #[must_use]
    pub fn above(self) -> Option<Self> {
        Self::new(self.height.checked_add(1)?, self.index / 2)
    }

    /// Its left child and its right one; none of a leaf.
    fn below(self) -> Option<(Self, Self)> {
        let height = self.height.checked_sub(1)?;
        let child = |index| Self { height, index };
        Some((child(2 * self.index), child(2 * self.index + 1)))
    }

    /// Its sibling; the highest has none.
    fn beside(self) -> Option<Self> {
        let index = self.index ^ 1;
        Self::new(self.height, index)
    }
}

/// A subtree that is no part of the flow's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sectors {first} to {end}, exclusive, are no subtree of a flow of {length} sectors")]
pub struct OutOfFlow {
    /// Its first sector.
    pub first: u64,
    /// The sector after its last.
    pub end: u64,
    /// Sectors of the flow.
    pub length: u64,
}

impl FlowShape {
    /// Root of the flow. `root_of` is asked for complete subtrees only, none of which lies within a
    /// node of a submission if the flow ends where one ends: as many as the length has binary ones.
    ///
    /// # Errors
    /// Whatever `root_of` returns; the first error ends it.
    pub fn root<E>(
        self,
        mut root_of: impl FnMut(Subtree) -> Result<Hash32, E>,
    ) -> Result<Hash32, E> {
        let whole = Subtree {
            height: self.depth(),
            index: 0,
        };
        self.subtree_root(whole, &mut root_of)
    }

    /// Root of any subtree, completed with empty sectors. A subtree past the end is a zero root; one
    /// that is higher than the tree counts as if the flow's capacity had doubled that often.
    ///
    /// # Errors
    /// Whatever `root_of` returns; the first error ends it.
    pub fn subtree_root<E>(
        self,
        subtree: Subtree,
        root_of: &mut impl FnMut(Subtree) -> Result<Hash32, E>,
    ) -> Result<Hash32, E> {
        // [L-4]
        if subtree.first() >= self.length() {
            return Ok(ZERO_ROOTS[usize::from(subtree.height)]);
        }
        if subtree.end() <= self.length() {
            return root_of(subtree);
        }
        let (left, right) = subtree
            .below()
            .expect("a leaf is before the end or past it");
        let left = self.subtree_root(left, root_of)?;
        let right = self.subtree_root(right, root_of)?;
        Ok(parent(left, right))
    }

    /// Whether the tree has that subtree, complete or in part.
    fn has(self, subtree: Subtree) -> bool {
        subtree.height <= self.depth() && subtree.first() < self.length()
    }
}

/// The way from a subtree to the flow's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowPath {
    shape: FlowShape,
    subtree: Subtree,
}

impl FlowPath {
    /// Plans the way of a subtree that the flow holds, in part at least.
    ///
    /// # Errors
    /// [`OutOfFlow`] if it lies past the end, or is higher than the tree.
    pub fn new(shape: FlowShape, subtree: Subtree) -> Result<Self, OutOfFlow> {
        if shape.has(subtree) {
            return Ok(Self { shape, subtree });
        }
        Err(OutOfFlow {
            first: subtree.first(),
            end: subtree.end(),
            length: shape.length(),
        })
    }

    /// Siblings from the bottom up, one for each level between the subtree and the root. With its
    /// index as turns they lead from its root to the flow's: [`leads_to`](crate::leads_to). `root_of`
    /// is asked for complete subtrees only, fewer than twice as many as the tree has levels.
    ///
    /// # Errors
    /// Whatever `root_of` returns; the first error ends it.
    pub fn siblings<E>(
        self,
        mut root_of: impl FnMut(Subtree) -> Result<Hash32, E>,
    ) -> Result<Vec<Hash32>, E> {
        // [L-5]
        let depth = self.shape.depth();
        let mut siblings = Vec::with_capacity(usize::from(depth - self.subtree.height));
        let mut at = self.subtree;
        while at.height < depth {
            let beside = at
                .beside()
                .expect("below the root there are two of a height");
            siblings.push(self.shape.subtree_root(beside, &mut root_of)?);
            at = at.above().expect("the root is above");
        }
        Ok(siblings)
    }
}
