//! Commitments, as they stand in a batcher's transactions. See [`super`].

use lode_proofs::Hash32;

use crate::handle::{Handle, HandleError, PLACE_LEN, decode_place, encode_place};

/// The first byte of a commitment that is a keccak256 of the bytes.
const KECCAK: u8 = 0;
/// The first byte of one that is a DA layer's.
const GENERIC: u8 = 1;
/// Our layer: an `L`.
pub const LAYER: u8 = 0x4c;

/// Bytes of a commitment of ours.
pub const GENERIC_LEN: usize = 2 + PLACE_LEN;

/// What a rollup keeps of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commitment {
    /// keccak256 of its bytes.
    Keccak(Hash32),
    /// Its place.
    Place(Handle),
}

/// Why bytes are no commitment that this server could ever answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitmentError {
    /// No bytes, or of a kind that nobody knows.
    #[error("not a commitment: it begins with 0x00 or 0x01")]
    Kind,
    /// Another DA layer's.
    #[error("a commitment of another layer than 0x{LAYER:02x}")]
    Layer,
    /// A hash that has not 32 bytes.
    #[error("a hash of {got} bytes, not 32")]
    Hash {
        /// Bytes found.
        got: usize,
    },
    /// Behind the layer is no place.
    #[error(transparent)]
    Place(#[from] HandleError),
}

impl Commitment {
    /// Its bytes.
    ///
    /// # Panics
    /// If the handle is none of a place.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Commitment::Keccak(hash) => [&[KECCAK], &hash.0[..]].concat(),
            Commitment::Place(handle) => {
                let place = encode_place(handle).expect("commitments are of places");
                [&[GENERIC, LAYER], &place[..]].concat()
            }
        }
    }

    /// What was encoded. One form each.
    ///
    /// # Errors
    /// [`CommitmentError`]
    pub fn decode(bytes: &[u8]) -> Result<Commitment, CommitmentError> {
        match bytes {
            [KECCAK, hash @ ..] => {
                let got = hash.len();
                let hash = hash.try_into().map_err(|_| CommitmentError::Hash { got })?;
                Ok(Commitment::Keccak(Hash32(hash)))
            }
            [GENERIC, LAYER, place @ ..] => Ok(Commitment::Place(decode_place(place)?)),
            [GENERIC, ..] => Err(CommitmentError::Layer),
            _ => Err(CommitmentError::Kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Bytes that decode have one form, and are of a length that they must have.
        #[test]
        fn one_form(mut bytes in prop::collection::vec(any::<u8>(), 0..60), kind in 0_u8..3, layer: bool) {
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            if let (Some(second), true) = (bytes.get_mut(1), layer) {
                *second = LAYER;
            }
            if let Ok(commitment) = Commitment::decode(&bytes) {
                prop_assert_eq!(commitment.encode(), bytes.clone());
                prop_assert!([33, GENERIC_LEN].contains(&bytes.len()));
            }
        }

        /// Hashes come back.
        #[test]
        fn hashes_come_back(hash: [u8; 32]) {
            let commitment = Commitment::Keccak(Hash32(hash));
            prop_assert_eq!(Commitment::decode(&commitment.encode()), Ok(commitment));
        }
    }

    /// The bytes of a place, once and for all: they stand in transactions.
    #[test]
    fn pinned() {
        let commitment = Commitment::Place(Handle::Place {
            container: Hash32([0xab; 32]),
            offset: 0x1_0040,
            len: 0x0203,
        });
        let text = format!("014c{}000000000001004000000203", "ab".repeat(32));
        assert_eq!(const_hex::encode(commitment.encode()), text);
        let bytes = const_hex::decode(text).expect("hex");
        assert_eq!(Commitment::decode(&bytes), Ok(commitment));
        assert_eq!(bytes.len(), GENERIC_LEN);
        let mut other = bytes.clone();
        other[1] = 0xff;
        assert_eq!(Commitment::decode(&other), Err(CommitmentError::Layer));
        assert!(Commitment::decode(&bytes[..45]).is_err());
        assert_eq!(Commitment::decode(&[]), Err(CommitmentError::Kind));
    }
}
