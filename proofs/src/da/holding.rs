//! What a holder knows of the tree over all rows: its own part. From it, and from nothing else, it
//! shows others some of its rows.
//!
//! ```text
//!            ●           ●  known: above rows that are held here
//!        ●       s       s  given, once, with the sliver
//!      ●   s   .   .     .  not known, and never needed
//!     r r . .  . . . .
//! ```
//! Memory: a hash for each known node, about twice as many as there are rows, and the given ones.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    rows::{PLACES, ROW_SIBLINGS, RowPath, nothing_over, shown_in},
    shape::ROWS,
    tree::{Run, beside, node},
};
use crate::hash32::Hash32;

/// The part of the tree over rows that one holder knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Ascending.
    rows: Vec<u16>,
    /// By the first place that a node is over, and how many.
    nodes: BTreeMap<(usize, usize), Hash32>,
}

impl Holding {
    /// What follows from rows, ascending, their leaves and the nodes beside them [D-18]; none if there are
    /// more or fewer of those than belong there. Right if [`Holding::root`] is.
    #[must_use]
    pub fn new(rows: &[u16], leaves: &[Hash32], siblings: &[Hash32]) -> Option<Self> {
        let ascending = rows.is_sorted_by(|left, right| left < right);
        let last = rows.last().map(|row| usize::from(*row))?;
        if !ascending || last >= ROWS || rows.len() != leaves.len() {
            return None;
        }
        let mut holding = Self {
            rows: rows.to_vec(),
            nodes: BTreeMap::new(),
        };
        let mut siblings = siblings.iter();
        holding.climb(Run::all(PLACES), leaves, &mut siblings)?;
        siblings.next().is_none().then_some(holding)
    }

    /// Takes the node over a run, and all that is known below it.
    fn climb<'hash>(
        &mut self,
        run: Run,
        leaves: &[Hash32],
        siblings: &mut impl Iterator<Item = &'hash Hash32>,
    ) -> Option<Hash32> {
        let held = self.held(run);
        let hash = if run.first >= ROWS {
            return nothing_over(run);
        } else if held.is_empty() {
            *siblings.next()?
        } else if run.count == 1 {
            leaves[held.start]
        } else {
            let (left, right) = run.split();
            let left = self.climb(left, leaves, siblings)?;
            node(left, self.climb(right, leaves, siblings)?)
        };
        self.nodes.insert((run.first, run.count), hash);
        Some(hash)
    }

    /// Which of the rows lie in a run.
    fn held(&self, run: Run) -> core::ops::Range<usize> {
        shown_in(&self.rows, run)
    }

    /// The node over a run that has a row of these, or stands beside one that does.
    fn over(&self, run: Run) -> Option<Hash32> {
        nothing_over(run).or_else(|| self.nodes.get(&(run.first, run.count)).copied())
    }

    /// The rows that are held.
    #[must_use]
    pub fn rows(&self) -> &[u16] {
        &self.rows
    }

    /// Their leaves, in the same order.
    #[must_use]
    pub fn leaves(&self) -> Vec<Hash32> {
        let leaf = |row: &u16| {
            self.over(Run {
                first: usize::from(*row),
                count: 1,
            })
        };
        self.rows.iter().filter_map(leaf).collect()
    }

    /// Where they lead.
    ///
    /// # Panics
    /// Never: there is a row.
    #[must_use]
    pub fn root(&self) -> Hash32 {
        self.over(Run::all(PLACES)).expect("the walk ended there")
    }

    /// The nodes beside some of the rows, ascending, as a sliver of just those has them; none if one of
    /// them is not held, or there is none.
    #[must_use]
    pub fn proof(&self, rows: &[u16]) -> Option<Vec<Hash32>> {
        // [D-18]
        let mine = |row: &u16| self.rows.binary_search(row).is_ok();
        if rows.is_empty() || !rows.is_sorted_by(|left, right| left < right) {
            return None;
        }
        if !rows.iter().all(mine) {
            return None;
        }
        let mut found = Vec::new();
        let shown = |run: Run| run.first >= ROWS || !shown_in(rows, run).is_empty();
        beside(Run::all(PLACES), &shown, &mut |run| {
            if run.first < ROWS {
                found.push(self.over(run));
            }
        });
        found.into_iter().collect()
    }

    /// The path of one row; none if it is not held.
    #[must_use]
    pub fn path(&self, row: u16) -> Option<RowPath> {
        // [D-9]
        self.rows.binary_search(&row).ok()?;
        let mut path = [Hash32([0; 32]); ROW_SIBLINGS];
        for (level, sibling) in path.iter_mut().enumerate() {
            *sibling = self.over(Run {
                first: ((usize::from(row) >> level) ^ 1) << level,
                count: 1 << level,
            })?;
        }
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::da::{
        rows::{climb, path, proof, row_tree},
        tree::leaf,
    };

    /// [D-9], [D-18] Whatever some of the rows are shown by, it is what the whole tree shows them by.
    #[test]
    fn shows_what_the_whole_tree_shows() {
        let leaves: Vec<Hash32> = (0..3072u32).map(|row| leaf(&row.to_be_bytes())).collect();
        let tree = row_tree(leaves.clone());
        let of = |rows: &[u16]| -> Vec<Hash32> {
            rows.iter().map(|row| leaves[usize::from(*row)]).collect()
        };
        let every = |step: usize, from: u16| -> Vec<u16> { (from..3072).step_by(step).collect() };
        for held in [
            vec![7],
            vec![3071],
            every(1, 0),
            every(7, 3),
            every(100, 99),
        ] {
            let siblings = proof(&tree, &held);
            let holding = Holding::new(&held, &of(&held), &siblings).unwrap();
            assert_eq!(holding.root(), tree.root());
            assert_eq!(holding.leaves(), of(&held));
            for shown in [&held[..1], &held[held.len() / 2..], &held[..]] {
                let found = holding.proof(shown).unwrap();
                assert_eq!(found, proof(&tree, shown));
                let again = Holding::new(shown, &of(shown), &found).unwrap();
                assert_eq!(again.root(), tree.root());
            }
            for row in held.iter().step_by(13) {
                let place = usize::from(*row);
                let found = holding.path(*row).unwrap();
                assert_eq!(found, path(&tree, place));
                assert_eq!(climb(place, leaves[place], &found), tree.root());
            }
        }
    }

    /// Too many or too few hashes, and rows that are not there, show nothing.
    #[test]
    fn refuses_what_is_not_held() {
        let leaves: Vec<Hash32> = (0..3072u32).map(|row| leaf(&row.to_be_bytes())).collect();
        let tree = row_tree(leaves.clone());
        let held = [3, 9, 2000];
        let mine: Vec<Hash32> = held.iter().map(|row| leaves[usize::from(*row)]).collect();
        let mut siblings = proof(&tree, &held);
        let holding = Holding::new(&held, &mine, &siblings).unwrap();
        assert_eq!(holding.proof(&[3, 4]), None);
        assert_eq!(holding.proof(&[9, 3]), None);
        assert_eq!(holding.proof(&[3, 3]), None);
        assert_eq!(holding.proof(&[]), None);
        assert_eq!(holding.path(4), None);
        siblings.push(Hash32([0; 32]));
        assert_eq!(Holding::new(&held, &mine, &siblings), None);
        siblings.truncate(siblings.len() - 2);
        assert_eq!(Holding::new(&held, &mine, &siblings), None);
        assert_eq!(Holding::new(&[], &[], &[tree.root()]), None);
        assert_eq!(
            Holding::new(&[9, 3, 2000], &mine, &proof(&tree, &held)),
            None
        );
        assert_eq!(
            Holding::new(&[3, 9, 3072], &mine, &proof(&tree, &held)),
            None
        );
    }
}
