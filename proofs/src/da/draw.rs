//! Who gets which rows: every holder as many as its stake pays for, the rest by lot.
//!
//! ```text
//!  stakes  ─► whole rows of each ───────────────┐
//!             what is left over of each ─ lots ─┴─► rows of each holder ─► seats: who has some
//!                                          ▲                                │ slots in their order
//!  beacon, quorum ─► draw ─────────────────┴────────────────────────────────┴─► row of each slot
//! ```
//! Whole rows are certain, so a third of the stake is a third of the rows but for the few that are drawn
//! for: less than one for each holder. A lot falls to a holder with the chance of what its stake
//! left over, so on the average everybody has exactly its share, and splitting a stake gains nothing.
//! (A lot for each row would be as fair on the average, but leave a third of the stake with 26 rows more
//! or less, and a contract would pay for 3072 of them.)
//!
//! A holder whose stake pays for less than a row, and that no lot falls to, has no row, hence no seat in this
//! quorum: it signs nothing and waits for another epoch.
//!
//! A seat's rows lie apart by about the golden section of all rows, so that everybody has its third of the
//! original ones, which are what most readers ask for.
//!
//! Integers only, and none above 128 bits but the hashes: contracts do the same (`DaDraw.sol`).

use alloc::{vec, vec::Vec};

use super::{
    quorum::{Assignment, Quorum},
    shape::{HOLDERS_MAX, ROWS},
    tree::sha256,
};
use crate::hash32::Hash32;

/// All stakes together are below this, so that no product here needs more than 128 bits: 10^15 coins
/// of 10^18 are less.
pub const STAKES_END: u128 = 1 << 110;

/// Rows between one slot and the next: of the numbers near the golden section of 3072 that have no divisor
/// in common with it, the one with which slots next to each other come closest to a third original rows.
const STEP: usize = 1877;

const DRAW: &[u8] = b"lode/da/1 draw";

// All rows are reached.
const _: () = assert!(STEP % 2 == 1 && !STEP.is_multiple_of(3) && ROWS == 3 << 10);

/// The randomness of one quorum: of a beacon that nobody knew when the stakes were fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw(pub Hash32);

/// Stakes that nothing can be drawn by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// Nobody, or more than a quorum can have.
    #[error("{got} holders, a quorum is drawn from 1 to {HOLDERS_MAX}")]
    Holders {
        /// Holders found.
        got: usize,
    },
    /// They add up to nothing, or to too much.
    #[error("the stakes add up to nothing, or to 2^110 or more")]
    Stakes,
}

impl Draw {
    /// What follows from the beacon for this quorum.
    #[must_use]
    pub fn new(beacon: &[u8; 32], quorum: &Quorum) -> Self {
        // [D-32]
        Self(sha256(&[DRAW, beacon, &quorum.encode()]))
    }

    /// How many rows each holder gets, 3072 together. Cost: a hash for each row that is drawn for, fewer
    /// than there are holders.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn rows(&self, stakes: &[u128]) -> Result<Vec<u16>, DrawError> {
        let got = stakes.len();
        if !(1..=HOLDERS_MAX).contains(&got) {
            return Err(DrawError::Holders { got });
        }
        // [D-31]
        let add = |sum: u128, stake: &u128| sum.checked_add(*stake);
        let total = stakes.iter().try_fold(0, add).ok_or(DrawError::Stakes)?;
        if total == 0 || total >= STAKES_END {
            return Err(DrawError::Stakes);
        }
        // [D-33]
        let shares = stakes.iter().map(|stake| stake * ALL_ROWS);
        let (mut rows, rests): (Vec<u16>, Vec<u128>) = shares
            .map(|share| (narrow(share / total), share % total))
            .unzip();
        let left = ALL_ROWS - rows.iter().copied().map(u128::from).sum::<u128>();
        for number in 0..narrow(left) {
            let lot = self.lot(number, left * total);
            rows[bearer(&rests, lot)] += 1;
        }
        Ok(rows)
    }

    /// Which seat has which row, from the rows of each seat, in the order of seats.
    ///
    /// # Panics
    /// Unless they are 1 or more each, of at most 340 seats, and 3072 together.
    #[must_use]
    pub fn assignment(&self, rows: &[u16]) -> Assignment {
        // [D-34]
        let mut seats = vec![0; ROWS];
        let slots = (0..).zip(rows);
        let slots = slots.flat_map(|(seat, rows)| core::iter::repeat_n(seat, usize::from(*rows)));
        let mut count = 0;
        for (slot, seat) in slots.enumerate() {
            assert!(slot < ROWS, "no more rows than there are");
            seats[(self.start() + STEP * slot) % ROWS] = seat;
            count += 1;
        }
        assert_eq!(count, ROWS, "every row has its seat");
        Assignment::new(&seats).expect("no seat is without rows")
    }

    /// The row of the first slot.
    fn start(&self) -> usize {
        usize::try_from(remainder(&self.0, ALL_ROWS)).expect("below 3072")
    }

    /// A number below `end`.
    fn lot(&self, number: u16, end: u128) -> u128 {
        let hash = sha256(&[&self.0.0, &number.to_be_bytes()]);
        remainder(&hash, end)
    }
}

/// Whose part of all rests a lot falls into.
fn bearer(rests: &[u128], lot: u128) -> usize {
    let mut end = 0;
    let found = rests.iter().position(|rest| {
        end += rest;
        lot < end
    });
    found.expect("a lot is below the sum of all rests")
}

/// A hash, as a number, modulo `divisor`, which is below 2^120.
fn remainder(hash: &Hash32, divisor: u128) -> u128 {
    let take = |rest: u128, byte: &u8| ((rest << 8) | u128::from(*byte)) % divisor;
    hash.0.iter().fold(0, take)
}

fn narrow(rows: u128) -> u16 {
    u16::try_from(rows).expect("no more than 3072 rows")
}

const ALL_ROWS: u128 = 3072;
const _: () = assert!(ROWS == 3072);
// Rests add up to less than 340 totals, so a lot's bound stays below 2^120.
const _: () = assert!(HOLDERS_MAX < 1 << 10 && STAKES_END == 1 << 110);

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(byte: u8) -> Draw {
        let quorum = Quorum {
            chain_id: 1,
            epoch: 2,
            quorum: 0,
        };
        Draw::new(&[byte; 32], &quorum)
    }

    /// [D-33] Everybody has its share, rounded down, and at most what was left over in lots; who has no
    /// stake has no row.
    #[test]
    fn shares() {
        assert_eq!(draw(1).rows(&[7]), Ok(vec![3072]));
        assert_eq!(draw(1).rows(&[1, 2, 0, 0]), Ok(vec![1024, 2048, 0, 0]));
        let stakes: Vec<u128> = (0..340).map(|holder| holder * holder * 1_000_003).collect();
        let total: u128 = stakes.iter().sum();
        for byte in 0..20 {
            let rows = draw(byte).rows(&stakes).expect("340 holders");
            assert_eq!(rows.iter().map(|rows| u32::from(*rows)).sum::<u32>(), 3072);
            assert_eq!(rows[0], 0);
            for (rows, stake) in rows.iter().zip(&stakes) {
                assert!(u128::from(*rows) >= stake * 3072 / total);
            }
        }
        assert_ne!(draw(1).rows(&stakes), draw(2).rows(&stakes));
    }

    /// [D-33] Over many draws everybody has its share on the average, the smallest too.
    #[test]
    fn lots_are_fair() {
        let stakes = [1, 10, 100, 100_000, 31, 31];
        let mut sums = [0_u32; 6];
        for byte in 0..=255 {
            let rows = draw(byte).rows(&stakes).expect("six holders");
            for (sum, rows) in sums.iter_mut().zip(rows) {
                *sum += u32::from(rows);
            }
        }
        // 3072 · 256 · stake / 100,173, give or take three deviations.
        let expected = [8, 79, 785, 785_073, 243, 243];
        for (sum, expected) in sums.iter().zip(expected) {
            assert!(sum.abs_diff(expected) <= 50, "{sums:?}");
        }
    }

    /// [D-33] A lot at the end of what one holder left over is the next one's.
    #[test]
    fn lots_fall_to_their_bearers() {
        let bearers = [0, 1, 2, 3, 4].map(|lot| bearer(&[2, 0, 3], lot));
        assert_eq!(bearers, [0, 0, 2, 2, 2]);
    }

    /// [D-34] Every row has its seat, seats have as many as they were given, and about a third of them
    /// are original ones.
    #[test]
    fn rows_are_spread() {
        let rows = [1, 30, 300, 1000, 1741];
        for byte in 0..20 {
            let assignment = draw(byte).assignment(&rows);
            assert_eq!(assignment.holders(), 5);
            for (seat, rows) in rows.iter().enumerate() {
                let found = assignment.rows_of(seat).expect("a seat");
                assert_eq!(found.len(), usize::from(*rows));
                let original = found.iter().filter(|row| **row < 1024).count();
                assert!((3 * original).abs_diff(found.len()) <= 8);
            }
        }
    }

    /// [D-31] What nothing can be drawn by.
    #[test]
    fn refusals() {
        let none = Err(DrawError::Holders { got: 0 });
        assert_eq!(draw(1).rows(&[]), none);
        let many = Err(DrawError::Holders { got: 341 });
        assert_eq!(draw(1).rows(&[1; 341]), many);
        assert_eq!(draw(1).rows(&[0; 3]), Err(DrawError::Stakes));
        assert_eq!(draw(1).rows(&[u128::MAX, 1]), Err(DrawError::Stakes));
        assert_eq!(draw(1).rows(&[STAKES_END - 1, 1]), Err(DrawError::Stakes));
        assert!(draw(1).rows(&[STAKES_END - 2, 1]).is_ok());
    }
}
