//! Which pages of an open segment are taken: records are given whole stretches of them before their
//! first byte has come, so that many are written at a time, each in one piece.
//!
//! What a record that was given up had is taken again, so that whoever begins records and drops them
//! fills no disk.

use std::ops::Range;

/// The pages of one segment.
#[derive(Debug)]
pub struct Extents {
    /// First page that nobody ever had, or that was given back with all behind it.
    end: u32,
    /// Stretches below the end that nobody has, by their place; none touches another or the end.
    holes: Vec<Range<u32>>,
}

impl Extents {
    /// Nothing is taken behind `end`.
    pub fn new(end: u32) -> Self {
        Extents {
            end,
            holes: Vec::new(),
        }
    }

    /// First page behind all that is taken.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Whether `pages` pages could be taken below `limit`.
    pub fn fits(&self, pages: u32, limit: u32) -> bool {
        let behind = self.end.checked_add(pages).is_some_and(|end| end <= limit);
        behind || self.hole_for(pages).is_some()
    }

    /// Takes `pages` pages in one piece; the caller has asked whether they fit.
    pub fn take(&mut self, pages: u32) -> u32 {
        let Some(at) = self.hole_for(pages) else {
            let first = self.end;
            self.end += pages;
            return first;
        };
        let first = self.holes[at].start;
        self.holes[at].start += pages;
        if self.holes[at].is_empty() {
            self.holes.remove(at);
        }
        first
    }

    /// Gives pages back that were taken.
    pub fn give(&mut self, first: u32, pages: u32) {
        let at = self.holes.partition_point(|hole| hole.start < first);
        self.holes.insert(at, first..first + pages);
        if at + 1 < self.holes.len() && self.holes[at].end == self.holes[at + 1].start {
            self.holes[at].end = self.holes.remove(at + 1).end;
        }
        if at > 0 && self.holes[at - 1].end == self.holes[at].start {
            self.holes[at - 1].end = self.holes.remove(at).end;
        }
        if let Some(last) = self.holes.pop_if(|last| last.end == self.end) {
            self.end = last.start;
        }
    }

    fn hole_for(&self, pages: u32) -> Option<usize> {
        let wide = |hole: &Range<u32>| hole.end - hole.start >= pages;
        self.holes.iter().position(wide)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Extents;

    proptest! {
        /// Whatever is taken and given back: no page has two owners, holes are used before the end
        /// grows, and when all is given back nothing is left.
        #[test]
        fn pages_have_one_owner(
            acts in prop::collection::vec((any::<bool>(), 1..20_u32, any::<u16>()), 1..200)
        ) {
            let mut extents = Extents::new(2);
            let mut taken: Vec<(u32, u32)> = Vec::new();
            for (take, pages, pick) in acts {
                if take || taken.is_empty() {
                    let has = |page, (first, pages): &(u32, u32)| (*first..first + pages).contains(&page);
                    let owned = |page: u32| taken.iter().any(|taken| has(page, taken));
                    let free = (2..extents.end()).map(|page| !owned(page)).collect::<Vec<_>>();
                    let wide = usize::try_from(pages).unwrap();
                    let hole = free.windows(wide).any(|run| run.iter().all(|free| *free));
                    let before = extents.end();
                    let first = extents.take(pages);
                    prop_assert!((first..first + pages).all(|page| page >= 2 && !owned(page)));
                    prop_assert_eq!(extents.end() > before, !hole);
                    taken.push((first, pages));
                } else {
                    let (first, pages) = taken.swap_remove(usize::from(pick) % taken.len());
                    extents.give(first, pages);
                }
                let end = taken.iter().map(|(first, pages)| first + pages).max();
                prop_assert_eq!(extents.end(), end.unwrap_or(2));
            }
            for (first, pages) in taken {
                extents.give(first, pages);
            }
            prop_assert_eq!(extents.end(), 2);
            prop_assert!(extents.holes.is_empty());
        }
    }
}
