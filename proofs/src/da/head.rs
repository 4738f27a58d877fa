//! What a container is known by: its head, 110 bytes, and the id that is the hash of them.
//!
//! ```text
//!  at  bytes  field                        known after
//!   0    32   row root                     all rows are hashed
//!  32    32   check root                   the seed, and with it the checksums
//!  64    32   namespace root               the table
//!  96     8   length                       big-endian, as contracts pack numbers
//! 104     4   width
//! 108     2   columns
//!
//!  seed          SHA-256("lode/da/1 rlc" | row root | namespace root | length | width |
//!                        1024 | 3072 | columns | quorum 20)
//!  container id  SHA-256("lode/da/1 container" | head)
//! ```
//! The seed hashes all that is decided before the checksums are, so that there is nothing left to
//! choose once it is known. A container that is dispersed again, in another epoch, has another seed,
//! other checksums and another id.

use super::{
    decode::{DecodeError, Reader},
    quorum::Quorum,
    shape::{COLUMNS_MAX, ORIGINAL_ROWS, ROWS, Shape},
    tree::sha256,
};
use crate::hash32::Hash32;

/// Bytes of an encoded head.
pub const HEAD_LEN: usize = 110;
/// Fewest columns: those for one holder.
const COLUMNS_MIN: usize = 10;

const SEED: &[u8] = b"lode/da/1 rlc";
const CONTAINER: &[u8] = b"lode/da/1 container";

/// What everybody who handles a container knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Over all rows.
    pub row_root: Hash32,
    /// Over the checksums of all rows.
    pub check_root: Hash32,
    /// Over the table.
    pub namespace_root: Hash32,
    /// Length and width.
    pub shape: Shape,
    /// Checksums of each row: what the number of holders asks for.
    pub columns: u16,
}

impl Head {
    /// The id of the container in this quorum.
    #[must_use]
    pub fn id(&self) -> Hash32 {
        // [D-20]
        sha256(&[CONTAINER, &self.encode()])
    }

    /// What the coefficients of the checksums are drawn from. Does not depend on the check root.
    #[must_use]
    pub fn seed(&self, quorum: &Quorum) -> Hash32 {
        // [D-13]
        let row_count = |rows: usize| u16::try_from(rows).expect("at most 3072").to_be_bytes();
        sha256(&[
            SEED,
            &self.row_root.0,
            &self.namespace_root.0,
            &self.shape.len().to_be_bytes(),
            &self.shape.width_u32().to_be_bytes(),
            &row_count(ORIGINAL_ROWS),
            &row_count(ROWS),
            &self.columns.to_be_bytes(),
            &quorum.encode(),
        ])
    }

    /// As it is hashed and sent.
    #[must_use]
    pub fn encode(&self) -> [u8; HEAD_LEN] {
        // [D-19]
        let mut bytes = [0; HEAD_LEN];
        bytes[..32].copy_from_slice(&self.row_root.0);
        bytes[32..64].copy_from_slice(&self.check_root.0);
        bytes[64..96].copy_from_slice(&self.namespace_root.0);
        bytes[96..104].copy_from_slice(&self.shape.len().to_be_bytes());
        bytes[104..108].copy_from_slice(&self.shape.width_u32().to_be_bytes());
        bytes[108..].copy_from_slice(&self.columns.to_be_bytes());
        bytes
    }

    /// What was encoded.
    ///
    /// # Errors
    /// [`DecodeError`] if it has another length, or no container has such a shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        // [D-19]
        let mut reader = Reader::new(bytes);
        let [row_root, check_root, namespace_root] =
            [reader.hash()?, reader.hash()?, reader.hash()?];
        let shape = read_shape(&mut reader)?;
        let columns = reader.u16()?;
        reader.end()?;
        if !(COLUMNS_MIN..=COLUMNS_MAX).contains(&usize::from(columns)) {
            return Err(DecodeError::Columns { columns });
        }
        Ok(Self {
            row_root,
            check_root,
            namespace_root,
            shape,
            columns,
        })
    }
}

/// A length and the one width that belongs to it.
pub(crate) fn read_shape(reader: &mut Reader<'_>) -> Result<Shape, DecodeError> {
    // [D-2]
    let shape = Shape::new(reader.u64()?)?;
    let (got, want) = (reader.u32()?, shape.width_u32());
    if got == want {
        Ok(shape)
    } else {
        Err(DecodeError::Width { got, want })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            row_root: Hash32([1; 32]),
            check_root: Hash32([2; 32]),
            namespace_root: Hash32([3; 32]),
            shape: Shape::new(65_600).expect("a length"),
            columns: 16,
        }
    }

    /// [D-19] A head comes back, and only with the width that its length has.
    #[test]
    fn comes_back() {
        let bytes = head().encode();
        assert_eq!(Head::decode(&bytes), Ok(head()));
        let (got, want) = (109, HEAD_LEN);
        assert!(Head::decode(&bytes[1..]).is_err());
        assert_eq!(
            Head::decode(&bytes[..got]),
            Err(DecodeError::Length { got, want })
        );
        let mut other = bytes;
        other[107] = 64;
        assert_eq!(
            Head::decode(&other),
            Err(DecodeError::Width { got: 64, want: 128 })
        );
        for columns in [0, 9, 33, 256] {
            other = bytes;
            other[108..].copy_from_slice(&u16::to_be_bytes(columns));
            assert_eq!(Head::decode(&other), Err(DecodeError::Columns { columns }));
        }
    }

    /// [D-13] The seed changes with everything but the check root, which comes after it.
    #[test]
    fn the_seed_binds_all_but_the_checks() {
        let quorum = Quorum {
            chain_id: 1,
            epoch: 2,
            quorum: 3,
        };
        let seed = head().seed(&quorum);
        let other = Hash32([9; 32]);
        let changed = [
            Head {
                row_root: other,
                ..head()
            },
            Head {
                namespace_root: other,
                ..head()
            },
            Head {
                shape: Shape::new(65_664).expect("a length"),
                ..head()
            },
            Head {
                columns: 17,
                ..head()
            },
        ];
        for changed in changed {
            assert_ne!(changed.seed(&quorum), seed);
            assert_ne!(changed.id(), head().id());
        }
        let quorums = [
            Quorum {
                chain_id: 2,
                ..quorum
            },
            Quorum { epoch: 3, ..quorum },
            Quorum {
                quorum: 4,
                ..quorum
            },
        ];
        for quorum in quorums {
            assert_ne!(head().seed(&quorum), seed);
        }
        let after = Head {
            check_root: other,
            ..head()
        };
        assert_eq!(after.seed(&quorum), seed);
        assert_ne!(after.id(), head().id());
    }
}
