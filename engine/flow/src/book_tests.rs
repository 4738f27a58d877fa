//! The book holds what a plain list holds: through appends, reorgs, restarts and lies.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lode_proofs::{SubmissionNode, ZERO_ROOTS, leads_to};
use proptest::prelude::*;

use super::*;
use crate::{
    model::{Dice, Flow, block, levels},
    submission::{TAGS_LEN_MAX, Tags},
};

/// A chain that may go back, and the book that follows it.
pub(super) struct Pair {
    dir: tempfile::TempDir,
    pub book: Option<Book>,
    pub flow: Flow,
    dice: Dice,
    /// Which branch new blocks are on.
    branch: u64,
    /// Blocks where reading stopped.
    ends: Vec<Block>,
}

impl Pair {
    pub fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Pair {
            book: Some(Book::open(dir.path()).unwrap()),
            dir,
            flow: Flow::default(),
            dice: Dice(seed),
            branch: 0,
            ends: Vec::new(),
        }
    }

    fn book(&self) -> &Book {
        self.book.as_ref().unwrap()
    }

    fn append(&mut self) {
        let first = self.flow.synced.map_or(0, |synced| synced.number + 1);
        let last = first + self.dice.below(3);
        let mut list = Vec::new();
        for number in first..=last {
            for _ in 0..self.dice.below(3) {
                list.push(self.flow.make(&mut self.dice, number));
            }
        }
        let upto = block(last, self.branch);
        self.book().append(&list, upto).unwrap();
        self.flow.synced = Some(upto);
        self.ends.push(upto);
        if self.dice.below(3) == 0 {
            // The same again, and with what was before it.
            self.book().append(&list, upto).unwrap();
            let known = self.flow.made.iter().map(|made| made.submission.clone());
            self.book()
                .append(&known.collect::<Vec<_>>(), upto)
                .unwrap();
        }
    }

    fn revert(&mut self) {
        let back = usize::try_from(self.dice.below(4)).unwrap();
        self.ends.truncate(self.ends.len().saturating_sub(back));
        let to = self.ends.last().copied();
        let gone = self.book().revert(to).unwrap();
        assert_eq!(gone, self.flow.revert(to));
        assert_eq!(self.book().revert(to).unwrap(), []);
        self.branch += 1;
    }

    fn reopen(&mut self) {
        self.book = None;
        self.book = Some(Book::open(self.dir.path()).unwrap());
    }

    pub fn compare(&mut self) {
        let (book, flow) = (self.book.clone().unwrap(), self.flow.clone());
        let count = u64::try_from(flow.made.len()).unwrap();
        assert_eq!(book.next_seq().unwrap(), count);
        assert_eq!(book.length().unwrap(), flow.length());
        assert_eq!(book.synced().unwrap(), flow.synced);
        let all: Vec<_> = flow
            .made
            .iter()
            .map(|made| made.submission.clone())
            .collect();
        assert_eq!(book.walk(0, WALK_MAX).unwrap(), all);
        let from = self.dice.below(count + 1);
        let some: Vec<_> = all
            .iter()
            .filter(|of| of.seq >= from)
            .take(3)
            .cloned()
            .collect();
        assert_eq!(book.walk(from, 3).unwrap(), some);
        for made in &flow.made {
            let (of, seq) = (&made.submission, made.submission.seq);
            assert_eq!(book.submission(seq).unwrap().as_ref(), Some(of));
            assert_eq!(book.root_after(seq).unwrap(), Some(made.flow_root));
            let same = all
                .iter()
                .filter(|other| other.root == of.root && other.seq >= from);
            let same: Vec<u64> = same.map(|other| other.seq).collect();
            assert_eq!(book.by_root(of.root, from, 9_999).unwrap(), same);
            let first = &same[..same.len().min(1)];
            assert_eq!(book.by_root(of.root, from, 1).unwrap(), first);
        }
        assert_eq!(book.submission(count).unwrap(), None);
        assert_eq!(book.root_after(count).unwrap(), None);
        assert_eq!(book.by_root(Hash32([9; 32]), 0, 9).unwrap(), []);
        self.compare_tree(&book, &flow);
    }

    fn compare_tree(&mut self, book: &Book, flow: &Flow) {
        let levels = flow.levels(flow.length());
        let root = levels.last().unwrap()[0];
        assert_eq!(book.flow_root().unwrap(), root);
        assert_eq!(book.context().unwrap(), (root, flow.length()));
        for index in 0..flow.length().div_ceil(1024) + 1 {
            compare_chunk(book, flow, &levels, index);
        }
        for _ in 0..20 {
            let sector = self.dice.below(flow.length() + 3);
            compare_holder(book, flow, sector);
            self.compare_path(book, flow, &levels, None);
        }
        for edge in flow.made.iter().flat_map(|made| {
            let (start, end) = (made.submission.start, made.leaves.len());
            let end = start + u64::try_from(end).unwrap();
            [start - 1, start, end - 1, end]
        }) {
            compare_holder(book, flow, edge);
        }
        if flow.made.is_empty() {
            return;
        }
        for _ in 0..4 {
            let count = u64::try_from(flow.made.len()).unwrap();
            let made = &flow.made[usize::try_from(self.dice.below(count)).unwrap()];
            // Of several lengths with that root the last is meant.
            let same = flow
                .made
                .iter()
                .rposition(|other| other.flow_root == made.flow_root);
            let levels = flow.levels(flow.length_after(same.unwrap() + 1));
            for _ in 0..4 {
                self.compare_path(book, flow, &levels, Some(made.flow_root));
            }
        }
    }

    /// A path of a random subtree at a length whose levels these are.
    fn compare_path(
        &mut self,
        book: &Book,
        flow: &Flow,
        levels: &[Vec<Hash32>],
        of: Option<Hash32>,
    ) {
        let root = levels.last().unwrap()[0];
        let depth = levels.len() - 1;
        let height = usize::try_from(self.dice.below(u64::try_from(levels.len()).unwrap() + 1));
        let height = height.unwrap();
        let length = match of {
            Some(of) => {
                let last = flow.made.iter().rposition(|made| made.flow_root == of);
                flow.length_after(last.unwrap() + 1)
            }
            None => flow.length(),
        };
        let index = self.dice.below((length >> height) + 2);
        let subtree = Subtree::new(u8::try_from(height).unwrap(), index).unwrap();
        let found = book.path(subtree, of);
        if height > depth || subtree.first() >= length {
            assert!(matches!(found, Err(PathError::OutOfFlow(_))), "{found:?}");
            return;
        }
        if let Some(seq) = node_above(flow, subtree) {
            let inside = matches!(found, Err(PathError::Inside { seq: at }) if at == seq);
            assert!(inside, "{found:?}, not within {seq}");
            return;
        }
        let place = usize::try_from(index).unwrap();
        let siblings = (height..depth).map(|level| levels[level][(place >> (level - height)) ^ 1]);
        let siblings: Vec<Hash32> = siblings.collect();
        assert!(leads_to(
            root,
            levels[height][place],
            index,
            siblings.iter().copied()
        ));
        let expected = Siblings {
            siblings,
            root,
            length,
        };
        assert_eq!(found.unwrap(), expected);
        if subtree.end() <= length && of.is_none() {
            assert_eq!(book.subtree_root(subtree).unwrap(), levels[height][place]);
        }
    }
}

/// The submission within one of whose nodes a subtree lies.
fn node_above(flow: &Flow, subtree: Subtree) -> Option<u64> {
    flow.made
        .iter()
        .map(|made| &made.submission)
        .find_map(|of| {
            let mut first = of.start;
            for node in &of.nodes {
                let end = first + (1 << node.height);
                if first <= subtree.first()
                    && subtree.end() <= end
                    && node.height > subtree.height()
                {
                    return Some(of.seq);
                }
                first = end;
            }
            None
        })
}

fn compare_chunk(book: &Book, flow: &Flow, levels: &[Vec<Hash32>], index: u64) {
    let found = book.chunk_root(index);
    let chunk = Subtree::new(10, index).unwrap();
    if chunk.first() >= flow.length() {
        assert!(matches!(found, Err(PathError::OutOfFlow(_))), "{found:?}");
    } else if let Some(seq) = node_above(flow, chunk) {
        assert!(matches!(found, Err(PathError::Inside { seq: at }) if at == seq));
    } else {
        let level = levels.get(10).unwrap_or(levels.last().unwrap());
        assert_eq!(found.unwrap(), level[usize::try_from(index).unwrap()]);
    }
}

fn compare_holder(book: &Book, flow: &Flow, sector: u64) {
    let holds = |made: &&crate::model::Made| {
        let len = u64::try_from(made.leaves.len()).unwrap();
        (made.submission.start..made.submission.start + len).contains(&sector)
    };
    let expected = flow.made.iter().find(holds).map(|made| {
        let (submission, mut first) = (made.submission.clone(), made.submission.start);
        let mut nodes = made.submission.nodes.iter().copied();
        let node = loop {
            let node = nodes.next().unwrap();
            if sector < first + (1 << node.height) {
                break node;
            }
            first += 1 << node.height;
        };
        Holder {
            submission,
            node,
            first,
        }
    });
    assert_eq!(book.covering(sector).unwrap(), expected, "sector {sector}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// For random appends, reorgs and restarts, all that can be asked is as a plain list and a row of
    /// leaves say.
    #[test]
    fn is_a_list(seed: u64, acts in prop::collection::vec(0..10_u8, 1..14)) {
        let mut pair = Pair::new(seed);
        pair.compare();
        for act in acts {
            match act {
                0..=5 => pair.append(),
                6..=7 => pair.revert(),
                _ => pair.reopen(),
            }
            pair.compare();
        }
    }
}

/// What comes next after a few submissions.
struct Next {
    pair: Pair,
    /// The flow with the two that come next.
    flow: Flow,
    right: Submission,
    after: Submission,
    upto: Block,
    synced: Block,
}

impl Next {
    fn new() -> Self {
        let mut pair = Pair::new(5);
        while pair.flow.made.len() < 4 {
            pair.append();
        }
        let synced = pair.flow.synced.unwrap();
        let upto = block(synced.number + 2, 0);
        let mut flow = pair.flow.clone();
        Next {
            right: flow.make(&mut pair.dice, upto.number),
            after: flow.make(&mut pair.dice, upto.number),
            pair,
            flow,
            upto,
            synced,
        }
    }

    /// The book is as before the lies, and takes the truth.
    fn goes_on(mut self) {
        self.pair.compare();
        let truth = [self.right, self.after];
        self.pair.book().append(&truth, self.upto).unwrap();
        self.flow.synced = Some(self.upto);
        self.pair.flow = self.flow;
        self.pair.compare();
    }
}

/// Every lie has its name and its number, and after it the book is as before.
#[test]
fn lies_change_nothing() {
    let next = Next::new();
    let (book, upto, synced) = (next.pair.book().clone(), next.upto, next.synced);
    let (right, after, seq) = (&next.right, &next.after, next.right.seq);
    let refused = |change: &dyn Fn(&mut Submission)| {
        let mut list = vec![right.clone(), after.clone()];
        change(&mut list[0]);
        let error = book.append(&list, upto).unwrap_err();
        assert_eq!(book.next_seq().unwrap(), seq);
        assert_eq!(book.synced().unwrap(), Some(synced));
        match error {
            AppendError::Lie { seq: at, lie } => {
                assert_eq!(at, list[0].seq);
                lie
            }
            error => panic!("{error}"),
        }
    };
    let lie = refused(&|of| of.seq += 1);
    assert_eq!(lie, Lie::Gap { expected: seq });
    assert_eq!(refused(&|of| of.seq -= 1), Lie::Other);
    let lie = refused(&|of| of.start += 1024);
    assert!(matches!(lie, Lie::Start { expected, .. } if expected == right.start));
    let lie = refused(&|of| of.root = Hash32([4; 32]));
    assert!(matches!(lie, Lie::Root { expected, .. } if expected == right.root));
    let lie = refused(&|of| of.submitter = [0; 20]);
    assert_eq!(lie, Lie::Invalid(InvalidSubmission::NoSubmitter));
    let lie = refused(&|of| of.size = 0);
    assert!(matches!(
        lie,
        Lie::Invalid(InvalidSubmission::TooShort { .. })
    ));
    let lie = refused(&|of| of.nodes.clear());
    assert_eq!(lie, Lie::Invalid(InvalidSubmission::NoNodes));
    let huge = [63, 62, 61, 60].map(|height| SubmissionNode {
        root: right.root,
        height,
    });
    let lie = refused(&|of| of.nodes = huge.to_vec());
    assert!(matches!(
        lie,
        Lie::Invalid(InvalidSubmission::TooShort { .. })
    ));
    for number in [synced.number, upto.number + 1] {
        let lie = refused(&|of| of.block = number);
        assert!(matches!(lie, Lie::Block { block, .. } if block == number));
    }
    next.goes_on();
}

/// A lie among truths, about what is known, and about blocks that were read: nothing is written.
#[test]
fn lies_among_truths_change_nothing() {
    let next = Next::new();
    let (book, upto, synced) = (next.pair.book().clone(), next.upto, next.synced);
    let (right, after, seq) = (&next.right, &next.after, next.right.seq);
    let mut list = vec![right.clone(), after.clone()];
    list[1].block -= 1;
    assert!(
        matches!(book.append(&list, upto), Err(AppendError::Lie { seq: at, .. }) if at == seq + 1)
    );
    // A known submission that is not what it was.
    let mut known = next.pair.flow.made[2].submission.clone();
    known.sender = [8; 20];
    assert!(matches!(
        book.append(&[known], upto),
        Err(AppendError::Lie {
            seq: 2,
            lie: Lie::Other
        })
    ));
    // Another block of the height that was read last, and news of blocks that were read.
    let other = block(synced.number, 77);
    assert!(matches!(
        book.append(&[], other),
        Err(AppendError::Book(BookError::OtherBlock { .. }))
    ));
    assert!(book.revert(Some(other)).is_err());
    let mut late = right.clone();
    late.block = synced.number;
    assert!(book.append(&[late], synced).is_err());
    next.goes_on();
}

/// Tags of any length are taken, since the chain took them; those that are too long are forgotten, and
/// their submissions can come again all the same.
#[test]
fn long_tags_are_followed() {
    let (mut pair, mut list) = (Pair::new(6), Vec::new());
    for len in [TAGS_LEN_MAX, TAGS_LEN_MAX + 1, 3 << 20] {
        let mut made = pair.flow.make(&mut pair.dice, 0);
        made.tags = Tags::new(vec![5; len]);
        pair.flow.made.last_mut().unwrap().submission = made.clone();
        list.push(made);
    }
    pair.flow.synced = Some(block(0, 0));
    pair.book().append(&list, block(0, 0)).unwrap();
    pair.reopen();
    pair.book().append(&list, block(0, 0)).unwrap();
    pair.compare();
    assert!(
        pair.book()
            .submission(1)
            .unwrap()
            .unwrap()
            .tags
            .bytes()
            .is_none()
    );
}

/// Submissions of empty sectors leave the root as it is: a path up to that root is one at the last of
/// these lengths, and after a reorg at the one before.
#[test]
fn a_root_of_several_lengths() {
    let (dir, node) = (tempfile::tempdir().unwrap(), |root, height| {
        SubmissionNode { root, height }
    });
    let book = Book::open(dir.path()).unwrap();
    let submit = |seq: u64, root| {
        let submission = Submission {
            seq,
            root,
            size: 256,
            start: seq + 1,
            nodes: vec![node(root, 0)],
            submitter: [1; 20],
            sender: [1; 20],
            tags: Tags::new(Vec::new()),
            block: seq,
            transaction: [0; 32],
        };
        book.append(&[submission], block(seq, 0)).unwrap();
    };
    submit(0, Hash32([1; 32]));
    submit(1, Hash32([2; 32]));
    submit(2, ZERO_ROOTS[0]);
    let root = book.root_after(1).unwrap().unwrap();
    assert_eq!(book.flow_root().unwrap(), root);
    let leaf = |index| Subtree::new(0, index).unwrap();
    assert_eq!(book.path(leaf(3), Some(root)).unwrap().length, 4);
    assert_eq!(book.revert(Some(block(1, 0))).unwrap().len(), 1);
    assert_eq!(book.path(leaf(2), Some(root)).unwrap().length, 3);
    assert!(matches!(
        book.path(leaf(3), Some(root)),
        Err(PathError::OutOfFlow(_))
    ));
    let empty = book.path(leaf(0), Some(Hash32([0; 32]))).unwrap();
    assert_eq!((empty.siblings, empty.length), (Vec::new(), 1));
    let unknown = book.path(leaf(0), Some(Hash32([3; 32])));
    assert!(matches!(unknown, Err(PathError::UnknownRoot { .. })));
}

/// More than one call's worth is taken back in several, and the book can be read between them.
#[test]
fn a_long_way_back() {
    let (dir, mut list) = (tempfile::tempdir().unwrap(), Vec::new());
    let book = Book::open(dir.path()).unwrap();
    let count = u64::try_from(REVERT_MAX).unwrap() + 10;
    for seq in 0..count {
        let root = Hash32(lode_proofs::keccak::keccak256(&seq.to_le_bytes()));
        list.push(Submission {
            seq,
            root,
            size: 1,
            start: seq + 1,
            nodes: vec![SubmissionNode { root, height: 0 }],
            submitter: [1; 20],
            sender: [1; 20],
            tags: Tags::new(Vec::new()),
            block: seq,
            transaction: [0; 32],
        });
    }
    book.append(&list, block(count, 0)).unwrap();
    let to = Some(block(2, 0));
    assert_eq!(book.revert(to).unwrap().len(), REVERT_MAX);
    assert_eq!(book.next_seq().unwrap(), 10);
    assert_eq!(book.revert(to).unwrap().len(), 7);
    assert_eq!(book.revert(to).unwrap(), []);
    assert_eq!(book.walk(0, 99).unwrap(), list[..3]);
    let leaves = list[..3].iter().map(|of| of.root);
    let leaves = [Hash32([0; 32])].into_iter().chain(leaves).collect();
    assert_eq!(book.flow_root().unwrap(), levels(leaves).last().unwrap()[0]);
    assert_eq!(book.revert(None).unwrap().len(), 3);
    assert_eq!(book.context().unwrap(), (Hash32([0; 32]), 1));
    assert_eq!(book.synced().unwrap(), None);
}
