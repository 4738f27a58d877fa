//! The flow as it grows: what has to be kept in mind to append, and what becomes complete.

use alloc::vec::Vec;

use super::{FLOW_LEAF_0, FlowShape, SectorRun, Subtree};
use crate::crown::SubmissionNode;
use crate::hash32::Hash32;
use crate::path::parent;
use crate::zero::ZERO_ROOTS;

/// The complete subtrees that the flow's length has as binary ones, left to right, at most 62: from
/// them any submission is appended, and the root follows.
///
/// Cost of a submission: a hash for each subtree that it completes, and fewer than 64 for its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowEdge {
    shape: FlowShape,
    row: Vec<(Subtree, Hash32)>,
}

impl Default for FlowEdge {
    fn default() -> Self {
        Self::new()
    }
}

impl FlowEdge {
    /// The edge of a flow in which nothing was submitted.
    #[must_use]
    pub fn new() -> Self {
        let leaf = Subtree::new(0, 0).expect("the first leaf");
        let row = [(leaf, FLOW_LEAF_0)];
        Self {
            shape: FlowShape::NEW,
            row: row.into(),
        }
    }

    /// The edge of a flow whose complete subtrees are kept.
    ///
    /// # Errors
    /// Whatever `root_of` returns; the first error ends it.
    pub fn load<E>(
        shape: FlowShape,
        mut root_of: impl FnMut(Subtree) -> Result<Hash32, E>,
    ) -> Result<Self, E> {
        let mut row = Vec::new();
        // The root's own recursion visits exactly these, from the left.
        shape.root(|subtree| {
            let root = root_of(subtree)?;
            row.push((subtree, root));
            Ok(root)
        })?;
        Ok(Self { shape, row })
    }

    /// How long the flow is.
    #[must_use]
    pub const fn shape(&self) -> FlowShape {
        self.shape
    }

    /// Appends a submission's nodes at its place, which is the next one: [`FlowShape::place`].
    /// Reports each subtree that is complete now and was not before: the nodes themselves, and what
    /// is above them or above the gap; not what consists of empty sectors alone, nor what is within
    /// a node.
    ///
    /// # Panics
    /// If the place is not the next one of a submission of these nodes: a caller's bug.
    pub fn append(
        &mut self,
        place: SectorRun,
        nodes: &[SubmissionNode],
        mut complete: impl FnMut(Subtree, Hash32),
    ) {
        // [L-4]
        let mut at = self.shape.length();
        assert!(at <= place.start, "the flow only grows");
        while at < place.start {
            let height = at.trailing_zeros().min((place.start - at).ilog2());
            let height = u8::try_from(height).expect("below 64");
            at = self.push(at, height, ZERO_ROOTS[usize::from(height)], &mut complete);
        }
        for node in nodes {
            let subtree = Subtree::holding(at, node.height).expect("it was placed");
            complete(subtree, node.root);
            at = self.push(at, node.height, node.root, &mut complete);
        }
        assert!(at == place.end, "a place has its nodes' sectors");
        self.shape = self.shape.after(place);
    }

    /// Root of the flow.
    #[must_use]
    pub fn root(&self) -> Hash32 {
        let mut row = self.row.iter();
        let root = self.shape.root(|subtree| {
            let (kept, root) = row.next().ok_or(())?;
            assert!(*kept == subtree, "the row is the length's binary ones");
            Ok::<_, ()>(*root)
        });
        root.expect("the row has as many as the length has binary ones")
    }

    /// Takes a subtree that begins at `at`, and joins it with those of its height before it; returns
    /// where it ends.
    fn push(
        &mut self,
        at: u64,
        height: u8,
        root: Hash32,
        complete: &mut impl FnMut(Subtree, Hash32),
    ) -> u64 {
        let pushed = Subtree::holding(at, height).expect("it was placed");
        assert!(pushed.first() == at, "a subtree starts at its multiple");
        let (mut subtree, mut root) = (pushed, root);
        while let Some((_, left)) = self
            .row
            .pop_if(|(left, _)| left.height() == subtree.height())
        {
            root = parent(left, root);
            subtree = subtree.above().expect("the flow is below its bound");
            complete(subtree, root);
        }
        self.row.push((subtree, root));
        pushed.end()
    }
}
