//! Who holds which rows: the part of a committee that one container is spread over.

use alloc::vec::Vec;

use super::shape::{HOLDERS_MAX, ROWS, columns};

/// Bytes of an encoded [`Quorum`].
pub const QUORUM_LEN: usize = 20;

/// Which quorum of which committee, on which chain. Seeds and certificates are bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The chain that knows the committee.
    pub chain_id: u64,
    /// Which committee.
    pub epoch: u64,
    /// Which of its quorums.
    pub quorum: u32,
}

impl Quorum {
    /// As it is hashed and sent: chain, epoch, quorum, big-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; QUORUM_LEN] {
        let mut bytes = [0; QUORUM_LEN];
        bytes[..8].copy_from_slice(&self.chain_id.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[16..].copy_from_slice(&self.quorum.to_be_bytes());
        bytes
    }

    /// What was encoded.
    #[must_use]
    pub fn decode(bytes: &[u8; QUORUM_LEN]) -> Self {
        let (chain_id, rest) = bytes.split_first_chunk().expect("it has 20 bytes");
        let (epoch, quorum) = rest.split_first_chunk().expect("12 of them are left");
        let quorum = quorum.try_into().expect("4 of them are left");
        Self {
            chain_id: u64::from_be_bytes(*chain_id),
            epoch: u64::from_be_bytes(*epoch),
            quorum: u32::from_be_bytes(quorum),
        }
    }
}

/// Which holder has which row. Holders are known by their seat: 0, 1, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// For each seat its rows, ascending; none is empty.
    rows: Vec<Vec<u16>>,
    columns: usize,
}

/// Why a list of seats is no assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// Not one seat for each row.
    #[error("{got} seats, one belongs to each of {ROWS} rows")]
    Rows {
        /// Seats found.
        got: usize,
    },
    /// A seat past the last that a quorum can have.
    #[error("row {row} is given to seat {seat}, a quorum has at most {HOLDERS_MAX}")]
    Seat {
        /// Which row.
        row: usize,
        /// Its seat.
        seat: u16,
    },
    /// A seat without rows below one that has some.
    #[error("seat {seat} has no row: number the holders that have some")]
    Idle {
        /// Which seat.
        seat: usize,
    },
}

impl Assignment {
    /// Takes the seat of each row, from row 0 on.
    ///
    /// # Errors
    /// [`AssignmentError`]
    pub fn new(seats: &[u16]) -> Result<Self, AssignmentError> {
        if seats.len() != ROWS {
            return Err(AssignmentError::Rows { got: seats.len() });
        }
        let mut rows: Vec<Vec<u16>> = Vec::new();
        for (number, (row, seat)) in (0..).zip(seats.iter().enumerate()) {
            let place = usize::from(*seat);
            if place >= HOLDERS_MAX {
                return Err(AssignmentError::Seat { row, seat: *seat });
            }
            if rows.len() <= place {
                rows.resize_with(place + 1, Vec::new);
            }
            rows[place].push(number);
        }
        if let Some(seat) = rows.iter().position(Vec::is_empty) {
            return Err(AssignmentError::Idle { seat });
        }
        let columns = columns(rows.len()).expect("1 to 340 holders");
        Ok(Self { rows, columns })
    }

    /// How many hold.
    #[must_use]
    pub fn holders(&self) -> usize {
        self.rows.len()
    }

    /// Columns of checksums that so many holders need.
    #[must_use]
    pub fn columns(&self) -> usize {
        // [D-12]
        self.columns
    }

    /// The rows of a seat, ascending; none if there is no such seat.
    #[must_use]
    pub fn rows_of(&self, seat: usize) -> Option<&[u16]> {
        self.rows.get(seat).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Every row has its holder, and each refusal says what is wrong.
    #[test]
    fn assignments() {
        let mut seats: Vec<u16> = (0..3072).map(|row| row % 5).collect();
        let five = Assignment::new(&seats).expect("five holders");
        assert_eq!((five.holders(), five.columns()), (5, 10));
        assert_eq!(five.rows_of(3).expect("a seat")[..3], [3, 8, 13]);
        assert_eq!(five.rows_of(5), None);
        assert_eq!(
            Assignment::new(&seats[1..]),
            Err(AssignmentError::Rows { got: 3071 })
        );
        seats[7] = 340;
        let refused = Assignment::new(&seats);
        assert_eq!(refused, Err(AssignmentError::Seat { row: 7, seat: 340 }));
        seats[7] = 6;
        assert_eq!(
            Assignment::new(&seats),
            Err(AssignmentError::Idle { seat: 5 })
        );
        assert_eq!(Assignment::new(&vec![0; ROWS]).expect("one").holders(), 1);
    }

    /// Every byte of a quorum has its place.
    #[test]
    fn quorums_come_back() {
        let bytes: [u8; QUORUM_LEN] = core::array::from_fn(|at| at.to_le_bytes()[0]);
        let quorum = Quorum::decode(&bytes);
        assert_eq!(quorum.encode(), bytes);
        assert_eq!(quorum.quorum, 0x1011_1213);
    }
}
