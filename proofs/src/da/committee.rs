//! The committee of a quorum, and what binds it: 32 bytes that a contract keeps and anybody can hold a
//! certificate against.
//!
//! ```text
//!  seat        key 256, rows 2            the key as EIP-2537 has points: what contracts compute with
//!  seat root   SHA-256 tree over the seats
//!
//!   at  bytes  committee
//!    0     20  quorum                     chain id 8, epoch 8, number 4
//!   20     32  draw
//!   52      2  seats                      1 to 340
//!   54    256  sum                        of the keys of all seats
//!  310     32  seat root
//!  hash        SHA-256("lode/da/1 committee" | the 342 bytes)
//! ```
//! The sum makes certificates cheap to check where few seats are absent: it is right as it stands if all
//! have signed, and the keys of the absent are taken off it ([`super::shown`]). The rows of all seats
//! follow from their numbers and the draw.

use alloc::vec::Vec;

use super::{
    decode::{DecodeError, Reader},
    draw::Draw,
    quorum::{Assignment, QUORUM_LEN, Quorum},
    shape::{HOLDERS_MAX, ROWS},
    tree::{Tree, leaf, sha256},
};
use crate::hash32::Hash32;

/// Bytes of a key: a point of G2 as EIP-2537 has it, four coordinates of 64 bytes each.
pub const POINT_LEN: usize = 256;
/// Bytes of a seat.
pub const SEAT_LEN: usize = POINT_LEN + 2;
/// Bytes of an encoded [`Committee`].
pub const COMMITTEE_LEN: usize = 342;

const COMMITTEE: &[u8] = b"lode/da/1 committee";

/// A key, as contracts compute with it. Not checked before somebody makes a point of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPoint(pub [u8; POINT_LEN]);

/// A holder that has rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its key.
    pub key: KeyPoint,
    /// How many rows it has.
    pub rows: u16,
}

/// All seats of a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    quorum: Quorum,
    draw: Draw,
    seats: Vec<Seat>,
}

/// What is left of [`Seats`] for whoever keeps little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committee {
    /// Whose.
    pub quorum: Quorum,
    /// What the rows of seats follow from.
    pub draw: Draw,
    /// How many, 1 to 340.
    pub seats: u16,
    /// The sum of all keys.
    pub sum: KeyPoint,
    /// Over all seats.
    pub seat_root: Hash32,
}

/// Why a list of seats is that of no quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeatsError {
    /// None, or too many.
    #[error("{got} seats, a quorum has 1 to {HOLDERS_MAX}")]
    Count {
        /// Seats found.
        got: usize,
    },
    /// A seat without rows, or not one for each of all rows.
    #[error("each seat has a row or more, and all together {ROWS}, not {got}")]
    Rows {
        /// Rows found.
        got: usize,
    },
}

impl Seat {
    /// As it is hashed and sent.
    #[must_use]
    pub fn encode(&self) -> [u8; SEAT_LEN] {
        // [D-35]
        let mut bytes = [0; SEAT_LEN];
        bytes[..POINT_LEN].copy_from_slice(&self.key.0);
        bytes[POINT_LEN..].copy_from_slice(&self.rows.to_be_bytes());
        bytes
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = KeyPoint(*reader.array()?);
        let rows = reader.u16()?;
        Ok(Self { key, rows })
    }

    pub(crate) fn leaf(&self) -> Hash32 {
        // [D-35]
        leaf(&self.encode())
    }
}

impl Seats {
    /// Takes the seats in their order.
    ///
    /// # Errors
    /// [`SeatsError`]
    pub fn new(quorum: Quorum, draw: Draw, seats: Vec<Seat>) -> Result<Self, SeatsError> {
        let got = seats.len();
        if !(1..=HOLDERS_MAX).contains(&got) {
            return Err(SeatsError::Count { got });
        }
        let got = seats.iter().map(|seat| usize::from(seat.rows)).sum();
        if got != ROWS || seats.iter().any(|seat| seat.rows == 0) {
            return Err(SeatsError::Rows { got });
        }
        Ok(Self {
            quorum,
            draw,
            seats,
        })
    }

    /// Whose.
    #[must_use]
    pub const fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// What the rows follow from.
    #[must_use]
    pub const fn draw(&self) -> Draw {
        self.draw
    }

    /// Each of them.
    #[must_use]
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Which rows each has.
    #[must_use]
    pub fn assignment(&self) -> Assignment {
        let rows: Vec<u16> = self.seats.iter().map(|seat| seat.rows).collect();
        self.draw.assignment(&rows)
    }

    /// What binds keys and rows.
    #[must_use]
    pub fn seat_root(&self) -> Hash32 {
        self.tree().root()
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::new(self.seats.iter().map(Seat::leaf).collect())
    }
}

impl Committee {
    /// What binds it: what a contract keeps of it.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        // [D-36]
        sha256(&[COMMITTEE, &self.encode()])
    }

    /// As it is hashed and sent.
    #[must_use]
    pub fn encode(&self) -> [u8; COMMITTEE_LEN] {
        // [D-36]
        let mut bytes = [0; COMMITTEE_LEN];
        bytes[..20].copy_from_slice(&self.quorum.encode());
        bytes[20..52].copy_from_slice(&self.draw.0.0);
        bytes[52..54].copy_from_slice(&self.seats.to_be_bytes());
        bytes[54..310].copy_from_slice(&self.sum.0);
        bytes[310..].copy_from_slice(&self.seat_root.0);
        bytes
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // [D-36]
        let committee = Self {
            quorum: Quorum::decode(reader.array::<QUORUM_LEN>()?),
            draw: Draw(reader.hash()?),
            seats: reader.u16()?,
            sum: KeyPoint(*reader.array()?),
            seat_root: reader.hash()?,
        };
        if !(1..=HOLDERS_MAX).contains(&usize::from(committee.seats)) {
            return Err(DecodeError::Places);
        }
        Ok(committee)
    }

    /// What was encoded.
    ///
    /// # Errors
    /// [`DecodeError`] if it has another length, or no quorum has so many seats.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let committee = Self::read(&mut reader)?;
        reader.end()?;
        Ok(committee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// [D-36] Every byte of a committee has its place, and no other length is one.
    #[test]
    fn committees_come_back() {
        let mut bytes: [u8; COMMITTEE_LEN] = core::array::from_fn(|at| at.to_le_bytes()[0]);
        bytes[52] = 1;
        bytes[53] = 84;
        let committee = Committee::decode(&bytes).expect("340 seats");
        assert_eq!(committee.encode(), bytes);
        assert_eq!(committee.seats, 340);
        assert!(Committee::decode(&bytes[1..]).is_err());
        bytes[53] = 85;
        assert_eq!(Committee::decode(&bytes), Err(DecodeError::Places));
        bytes[52..54].fill(0);
        assert_eq!(Committee::decode(&bytes), Err(DecodeError::Places));
    }

    /// Lists that no quorum has.
    #[test]
    fn refusals() {
        let quorum = Quorum {
            chain_id: 1,
            epoch: 2,
            quorum: 0,
        };
        let seat = |rows| Seat {
            key: KeyPoint([0; POINT_LEN]),
            rows,
        };
        let of = |seats| Seats::new(quorum, Draw(Hash32([0; 32])), seats).map(|_| ());
        assert_eq!(of(vec![]), Err(SeatsError::Count { got: 0 }));
        assert_eq!(of(vec![seat(1); 341]), Err(SeatsError::Count { got: 341 }));
        assert_eq!(of(vec![seat(1024); 3]), Ok(()));
        assert_eq!(of(vec![seat(1025); 3]), Err(SeatsError::Rows { got: 3075 }));
        let idle = vec![seat(3072), seat(0)];
        assert_eq!(of(idle), Err(SeatsError::Rows { got: 3072 }));
    }
}
