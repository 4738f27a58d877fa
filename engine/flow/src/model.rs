//! The flow as a plain list of submissions and a row of all leaves: what tests compare with.

use lode_proofs::{Hash32, SubmissionNode, ZERO_ROOTS, keccak::keccak256, padded_sectors};

use crate::submission::{Block, Submission, Tags};

/// Seeded numbers: same seed, same test.
pub(crate) struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        let digest = keccak256(&self.0.to_le_bytes());
        self.0 = u64::from_le_bytes(*digest.first_chunk().expect("a test is small"));
        self.0
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub fn hash(&mut self) -> Hash32 {
        Hash32(keccak256(&self.roll().to_le_bytes()))
    }
}

/// A submission with its leaves.
#[derive(Clone)]
pub(crate) struct Made {
    pub submission: Submission,
    pub leaves: Vec<Hash32>,
    /// Root of the flow after it.
    pub flow_root: Hash32,
}

/// A chain's submissions, by the words of the rules.
#[derive(Clone, Default)]
pub(crate) struct Flow {
    pub made: Vec<Made>,
    pub synced: Option<Block>,
}

impl Flow {
    /// A submission that comes next: of a new blob, of one that was there, or of empty sectors.
    pub fn make(&mut self, dice: &mut Dice, block: u64) -> Submission {
        let sizes = [3_000, 9_000, 70_000, 600_000];
        let bound = sizes[index(dice.below(4))];
        self.make_below(dice, block, bound)
    }

    /// The same, of fewer than `bound` bytes, or of a blob that was there.
    pub fn make_below(&mut self, dice: &mut Dice, block: u64, bound: u64) -> Submission {
        let size = 1 + dice.below(bound);
        let sectors = padded_sectors(size);
        let (leaves, size) = match dice.below(8) {
            0 => (vec![ZERO_ROOTS[0]; index(sectors)], size),
            1 if !self.made.is_empty() => {
                let count = number(self.made.len());
                let old = &self.made[index(dice.below(count))];
                (old.leaves.clone(), old.submission.size)
            }
            _ => ((0..sectors).map(|_| dice.hash()).collect(), size),
        };
        let nodes = nodes_of(&leaves);
        let submission = Submission {
            seq: number(self.made.len()),
            root: fold(&nodes),
            size,
            start: self.start(&nodes),
            nodes,
            submitter: [1 + u8::try_from(dice.below(9)).expect("a test is small"); 20],
            sender: [2; 20],
            tags: Tags::new(vec![3; index(dice.below(100))]),
            block,
            transaction: dice.hash().0,
        };
        self.made.push(Made {
            submission: submission.clone(),
            leaves,
            flow_root: Hash32([0; 32]),
        });
        let root = *self
            .levels(self.length())
            .last()
            .expect("a test has one")
            .first()
            .expect("a test has one");
        self.made.last_mut().expect("a test has one").flow_root = root;
        submission
    }

    fn start(&self, nodes: &[SubmissionNode]) -> u64 {
        let sectors: u64 = nodes.iter().map(|node| 1 << node.height).sum();
        let fits = |start: &u64| {
            let within = start / 1024 == (start + sectors - 1) / 1024;
            start.is_multiple_of(1 << nodes[0].height) && (start.is_multiple_of(1024) || within)
        };
        (self.length()..).find(fits).expect("a test has one")
    }

    pub fn length(&self) -> u64 {
        self.length_after(self.made.len())
    }

    /// Sectors after that many submissions.
    pub fn length_after(&self, count: usize) -> u64 {
        let last = count.checked_sub(1).map(|last| &self.made[last]);
        last.map_or(1, |last| last.submission.start + number(last.leaves.len()))
    }

    /// Every level of the tree at a length, the leaves first.
    pub fn levels(&self, length: u64) -> Vec<Vec<Hash32>> {
        let mut leaves = vec![Hash32([0; 32])];
        for made in &self.made {
            if made.submission.start < length {
                leaves.resize(index(made.submission.start), ZERO_ROOTS[0]);
                leaves.extend(&made.leaves);
            }
        }
        levels(leaves)
    }

    /// Takes back what is in later blocks, newest first.
    pub fn revert(&mut self, to: Option<Block>) -> Vec<Submission> {
        let stays = |made: &Made| to.is_some_and(|to| made.submission.block <= to.number);
        let kept = self.made.iter().take_while(|made| stays(made)).count();
        let gone = self.made.split_off(kept);
        if !matches!((to, self.synced), (Some(to), Some(synced)) if synced.number <= to.number) {
            self.synced = to.filter(|_| self.synced.is_some());
        }
        gone.into_iter().rev().map(|made| made.submission).collect()
    }
}

pub(crate) fn levels(mut leaves: Vec<Hash32>) -> Vec<Vec<Hash32>> {
    leaves.resize(leaves.len().next_power_of_two(), ZERO_ROOTS[0]);
    let mut levels = vec![leaves];
    while levels.last().expect("a test has one").len() > 1 {
        let pairs = levels.last().expect("a test has one").chunks(2);
        levels.push(pairs.map(|pair| above(pair[0], pair[1])).collect());
    }
    levels
}

pub(crate) fn above(left: Hash32, right: Hash32) -> Hash32 {
    Hash32(keccak256(&[left.0, right.0].concat()))
}

fn nodes_of(leaves: &[Hash32]) -> Vec<SubmissionNode> {
    let (mut nodes, mut rest) = (Vec::new(), leaves);
    while !rest.is_empty() {
        let height = rest.len().ilog2();
        let (run, after) = rest.split_at(1 << height);
        let root = levels(run.to_vec()).last().expect("a test has one")[0];
        let height = u8::try_from(height).expect("a test is small");
        nodes.push(SubmissionNode { root, height });
        rest = after;
    }
    nodes
}

fn fold(nodes: &[SubmissionNode]) -> Hash32 {
    let (last, rest) = nodes.split_last().expect("a test has one");
    let fold = |right, node: &SubmissionNode| above(node.root, right);
    rest.iter().rev().fold(last.root, fold)
}

/// A block of that height on a branch.
pub(crate) fn block(number: u64, branch: u64) -> Block {
    let hash = keccak256(&[number.to_le_bytes(), branch.to_le_bytes()].concat());
    Block { number, hash }
}

/// Tests are small.
fn index(number: u64) -> usize {
    usize::try_from(number).expect("a test is small")
}

/// Tests are small.
fn number(index: usize) -> u64 {
    u64::try_from(index).expect("a test is small")
}
