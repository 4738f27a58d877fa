//! The flow's rules, places and tree against a naive row of leaves.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;

use std::{cell::Cell, collections::BTreeMap};

use lode_proofs::flow::{
    Extent, FLOW_LEAF_0, FLOW_LENGTH_MAX, FlowEdge, FlowPath, FlowShape, InvalidSubmission,
    SectorRun, Subtree, identity, submission_root,
};
use lode_proofs::{Hash32, SubmissionNode, ZERO_ROOTS, leads_to, padded_sectors};
use model::{Dice, keccak, parent};
use proptest::prelude::*;

const SUBMITTER: [u8; 20] = [7; 20];

/// A row of leaves, and every level above it.
struct Row(Vec<Vec<Hash32>>);

impl Row {
    fn new(leaves: &[Hash32]) -> Self {
        let mut bottom = leaves.to_vec();
        bottom.resize(leaves.len().next_power_of_two(), ZERO_ROOTS[0]);
        let mut levels = vec![bottom];
        while levels.last().unwrap().len() > 1 {
            let pairs = levels.last().unwrap().chunks(2);
            levels.push(pairs.map(|pair| parent(pair[0], pair[1])).collect());
        }
        Row(levels)
    }

    fn root(&self) -> Hash32 {
        self.0.last().unwrap()[0]
    }

    fn depth(&self) -> usize {
        self.0.len() - 1
    }
}

/// A blob's leaves, and what is submitted of it: the binary ones of its padded sectors.
fn submission(dice: &mut Dice, size: u64) -> (Vec<Hash32>, Vec<SubmissionNode>) {
    let sectors = padded_sectors(size);
    let leaves: Vec<Hash32> = (0..sectors).map(|_| dice.hash()).collect();
    let (mut nodes, mut from) = (Vec::new(), 0);
    for height in ones(sectors) {
        let root = Row::new(&leaves[from..from + (1 << height)]).root();
        nodes.push(SubmissionNode { root, height });
        from += 1 << height;
    }
    (leaves, nodes)
}

fn ones(number: u64) -> Vec<u8> {
    (0..64)
        .rev()
        .filter(|height| number >> height & 1 == 1)
        .collect()
}

/// The first sector from the end on that the rules allow ([L-3]), found by trying one after another.
fn first_place(length: u64, nodes: &[SubmissionNode]) -> SectorRun {
    let sectors: u64 = nodes.iter().map(|node| 1 << node.height).sum();
    let fits = |start: &u64| {
        let within = start / 1024 == (start + sectors - 1) / 1024;
        start.is_multiple_of(1 << nodes[0].height) && (start.is_multiple_of(1024) || within)
    };
    let start = (length..).find(fits).unwrap();
    let end = start + sectors;
    SectorRun { start, end }
}

/// A flow with all its leaves, and beside it the edge and what it reported.
struct Both {
    leaves: Vec<Hash32>,
    /// Ends of submissions: the lengths that the flow had.
    lengths: Vec<usize>,
    edge: FlowEdge,
    kept: BTreeMap<Subtree, Hash32>,
}

impl Both {
    fn new() -> Self {
        Both {
            leaves: vec![FLOW_LEAF_0],
            lengths: vec![1],
            edge: FlowEdge::new(),
            kept: BTreeMap::from([(Subtree::new(0, 0).unwrap(), FLOW_LEAF_0)]),
        }
    }

    fn append(&mut self, dice: &mut Dice, size: u64) {
        let (leaves, nodes) = submission(dice, size);
        let extent = Extent::of(&SUBMITTER, size, &nodes).unwrap();
        assert_eq!(
            extent.sectors(),
            u64::try_from(leaves.len()).unwrap(),
            "{size}"
        );
        let place = self.edge.shape().place(extent).unwrap();
        let length = u64::try_from(self.leaves.len()).unwrap();
        assert_eq!(place, first_place(length, &nodes), "size {size}");
        self.edge.append(place, &nodes, |subtree, root| {
            let before = self.kept.insert(subtree, root);
            assert_eq!(before, None, "{subtree:?} became complete twice");
        });
        let start = usize::try_from(place.start).unwrap();
        self.leaves.resize(start, ZERO_ROOTS[0]);
        self.leaves.extend(leaves);
        self.lengths.push(self.leaves.len());
    }

    /// Compares the root, every subtree that was reported, and the paths of some sectors at a length
    /// that the flow had, complete subtrees being answered by the row.
    fn compare(&self, dice: &mut Dice, length: usize) {
        let row = Row::new(&self.leaves[..length]);
        let shape = FlowShape::new(u64::try_from(length).unwrap()).unwrap();
        assert_eq!(usize::from(shape.depth()), row.depth());
        let asked = shape.root(|subtree| self.kept.get(&subtree).copied().ok_or(subtree));
        assert_eq!(asked, Ok(row.root()), "root of {length} from what is kept");
        for (subtree, root) in &self.kept {
            if subtree.end() <= shape.length() {
                let level = &row.0[usize::from(subtree.height())];
                let found = level[usize::try_from(subtree.index()).unwrap()];
                assert_eq!(*root, found, "{subtree:?}");
            }
        }
        let load = FlowEdge::load(shape, |subtree| {
            self.kept.get(&subtree).copied().ok_or(subtree)
        });
        assert_eq!(load.unwrap().root(), row.root());
        for _ in 0..8 {
            self.compare_path(dice, shape, &row);
        }
    }

    fn compare_path(&self, dice: &mut Dice, shape: FlowShape, row: &Row) {
        let height = dice.below(row.depth() + 1);
        let bound = usize::try_from(shape.length())
            .unwrap()
            .div_ceil(1 << height);
        let index = dice.below(bound);
        let number = u64::try_from(index).unwrap();
        let subtree = Subtree::new(u8::try_from(height).unwrap(), number).unwrap();
        let asks = Cell::new(0);
        let mut answer = |asked: Subtree| {
            asks.set(asks.get() + 1);
            assert!(asked.end() <= shape.length(), "only complete ones");
            let level = &row.0[usize::from(asked.height())];
            Ok::<_, ()>(level[usize::try_from(asked.index()).unwrap()])
        };
        let path = FlowPath::new(shape, subtree).unwrap();
        let siblings = path.siblings(&mut answer).unwrap();
        let expected =
            (height..row.depth()).map(|level| row.0[level][(index >> (level - height)) ^ 1]);
        assert_eq!(siblings, expected.collect::<Vec<_>>());
        let asked = asks.get();
        assert!(
            asked <= 2 * row.depth(),
            "{asked} asks at depth {}",
            row.depth()
        );
        let leaf = shape.subtree_root(subtree, &mut answer).unwrap();
        assert_eq!(leaf, row.0[height][index]);
        assert!(leads_to(row.root(), leaf, number, siblings));
    }
}

fn sizes() -> impl Strategy<Value = Vec<u64>> {
    let size = prop_oneof![
        4 => 1..5_000_u64,
        2 => 1..40_000_u64,
        1 => 200_000..300_000_u64,
    ];
    prop::collection::vec(size, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// For random blobs: places are the first that the rules allow; the root, at every length that
    /// the flow had, and paths of random subtrees are those of a row of all leaves ([L-3] to [L-5]).
    #[test]
    fn grows_as_a_row_of_leaves(sizes in sizes(), seed: u64) {
        let (mut dice, mut both) = (Dice(seed), Both::new());
        for size in sizes {
            both.append(&mut dice, size);
            prop_assert_eq!(both.edge.root(), Row::new(&both.leaves).root());
        }
        for length in both.lengths.clone() {
            both.compare(&mut dice, length);
        }
    }

    /// The contract's rules allow the binary ones of the size's padded sectors and nothing else
    /// ([L-1]): tried with heights near the right ones, and with random ones.
    #[test]
    fn valid_is_the_binary_ones(
        size in prop_oneof![1..20_000_u64, any::<u64>(), (0..64_u32).prop_map(|bits| 1 << bits)],
        change in prop::option::of((0..5_usize, 0..66_u8)),
        random in prop::option::of(prop::collection::vec(0..66_u8, 0..6)),
        shift in -2..3_i64,
    ) {
        let right = ones(padded_sectors(size));
        let mut heights = right.clone();
        if let Some((at, height)) = change {
            if at < heights.len() { heights[at] = height } else { heights.push(height) }
        }
        if let Some(random) = random {
            heights = random;
        }
        let size = size.saturating_add_signed(256 * shift);
        let nodes = with_heights(&heights);
        let valid = size > 0 && heights == ones(padded_sectors(size));
        let checked = Extent::of(&SUBMITTER, size, &nodes);
        prop_assert_eq!(checked.is_ok(), valid, "{} {:?}: {:?}", size, heights, checked);
    }

    /// No length and no submission overflows: a place lies below the bound, or there is none.
    #[test]
    fn places_are_bounded(length in lengths(), size: u64) {
        let nodes = with_heights(&ones(padded_sectors(size.max(1))));
        let extent = Extent::of(&SUBMITTER, size.max(1), &nodes).unwrap();
        let shape = FlowShape::new(length).unwrap();
        if let Ok(place) = shape.place(extent) {
            prop_assert!(length <= place.start && place.end < FLOW_LENGTH_MAX);
            prop_assert_eq!(place.end - place.start, extent.sectors());
            prop_assert_eq!(shape.after(place).length(), place.end);
        } else {
            prop_assert!(length + 2 * extent.sectors().next_power_of_two() + 1024 >= FLOW_LENGTH_MAX);
        }
    }
}

/// Any, and those near the bound.
fn lengths() -> impl Strategy<Value = u64> {
    let near = (0..2_000_u64).prop_map(|below| FLOW_LENGTH_MAX - 1 - below);
    prop_oneof![1..FLOW_LENGTH_MAX, near]
}

fn with_heights(heights: &[u8]) -> Vec<SubmissionNode> {
    let root = Hash32([1; 32]);
    let node = |height: &u8| SubmissionNode {
        root,
        height: *height,
    };
    heights.iter().map(node).collect()
}

/// Every list of falling heights below 10 with the sizes at both ends of every number of sectors: valid
/// where the list is the binary ones of the padded sectors ([L-1]).
#[test]
fn every_small_submission() {
    for sectors in 1..1024 {
        let nodes = with_heights(&ones(sectors));
        for held in 1..=1024 {
            for size in [256 * held - 255, 256 * held] {
                let checked = Extent::of(&SUBMITTER, size, &nodes);
                let valid = padded_sectors(size) == sectors;
                assert_eq!(checked.is_ok(), valid, "{size} in {sectors}: {checked:?}");
            }
        }
    }
}

/// Each rule by its name ([L-1]).
#[test]
fn each_rule_has_its_name() {
    let check = |size: u64, heights: &[u8]| Extent::of(&SUBMITTER, size, &with_heights(heights));
    let nobody = Extent::of(&[0; 20], 256, &with_heights(&[0]));
    assert_eq!(nobody, Err(InvalidSubmission::NoSubmitter));
    assert_eq!(check(256, &[]), Err(InvalidSubmission::NoNodes));
    assert_eq!(
        check(256, &[64]),
        Err(InvalidSubmission::TooHigh { height: 64 })
    );
    assert_eq!(
        check(256, &[255]),
        Err(InvalidSubmission::TooHigh { height: 255 })
    );
    assert_eq!(
        check(512, &[1, 1]),
        Err(InvalidSubmission::NotFalling { node: 1 })
    );
    let low = InvalidSubmission::TooLow {
        node: 1,
        height: 0,
        first: 4,
    };
    assert_eq!(check(17 * 256, &[4, 0]), Err(low));
    let (size, sectors) = (257, 1);
    assert_eq!(
        check(size, &[0]),
        Err(InvalidSubmission::TooLong { size, sectors })
    );
    let (size, sectors) = (256, 2);
    assert_eq!(
        check(size, &[1]),
        Err(InvalidSubmission::TooShort { size, sectors })
    );
    let (size, sectors) = (0, 1);
    assert_eq!(
        check(size, &[0]),
        Err(InvalidSubmission::TooShort { size, sectors })
    );
    assert_eq!(check(1, &[0]).unwrap().sectors(), 1);
    assert_eq!(check(15 * 256, &[3, 2, 1, 0]).unwrap().sectors(), 15);
}

/// Root and identity are those that a blob's own tree has, for sizes around every class ([L-2]).
#[test]
fn roots_are_those_of_blobs() {
    for size in [1, 256, 257, 4_000, 262_144, 262_145, 300_000] {
        let bytes: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[0]).collect();
        let tree = lode_proofs::blob_tree(&bytes).unwrap();
        let nodes = tree.submission_nodes();
        assert_eq!(submission_root(nodes), Some(tree.root()));
        let roots: Vec<u8> = nodes.iter().flat_map(|node| node.root.0).collect();
        assert_eq!(identity(nodes), keccak(&roots));
    }
    assert_eq!(submission_root(&[]), None);
}

/// Lengths, subtrees and paths past the bounds are errors or none, and nothing overflows.
#[test]
fn bounds_hold() {
    assert!(FlowShape::new(0).is_err() && FlowShape::new(FLOW_LENGTH_MAX).is_err());
    assert_eq!(FlowShape::new(FLOW_LENGTH_MAX - 1).unwrap().depth(), 62);
    assert_eq!(FlowShape::NEW.depth(), 0);
    assert_eq!(
        FlowShape::NEW.root(|_| Ok::<_, ()>(FLOW_LEAF_0)),
        Ok(FLOW_LEAF_0)
    );
    assert_eq!(Subtree::new(62, 1), None);
    assert_eq!(Subtree::new(63, 0), None);
    assert_eq!(Subtree::new(255, 0), None);
    assert_eq!(Subtree::new(0, FLOW_LENGTH_MAX), None);
    assert_eq!(Subtree::holding(u64::MAX, 0), None);
    assert_eq!(Subtree::holding(0, 200), None);
    assert_eq!(Subtree::new(62, 0).unwrap().end(), FLOW_LENGTH_MAX);
    assert_eq!(Subtree::new(62, 0).unwrap().above(), None);
    let shape = FlowShape::new(5).unwrap();
    assert!(FlowPath::new(shape, Subtree::new(0, 4).unwrap()).is_ok());
    assert!(FlowPath::new(shape, Subtree::new(0, 5).unwrap()).is_err());
    assert!(FlowPath::new(shape, Subtree::new(2, 1).unwrap()).is_ok());
    assert!(FlowPath::new(shape, Subtree::new(4, 0).unwrap()).is_err());
    let longest = FlowShape::new(FLOW_LENGTH_MAX - 1).unwrap();
    let mut asks = 0;
    let root = longest.root(|_| {
        asks += 1;
        Ok::<_, ()>(FLOW_LEAF_0)
    });
    assert!(root.is_ok());
    assert_eq!(asks, 62);
}
