//! By what a blob is asked for, and the texts and bytes of it.
//!
//! ```text
//!  place   container id 32 | offset 8 | length 4      big-endian; in text: ID-OFFSET-LENGTH
//!  root    blob root 32, epoch, quorum                0G's words; in text: ROOT@EPOCH.QUORUM
//! ```
//! A place binds the bytes: the container id is the hash of all that leads to them. Any blob has one
//! place and one form of it, so equal bytes at the same place are equal handles.

use core::{fmt, str::FromStr};

use lode_proofs::{
    Hash32,
    da::{shape::CONTAINER_LEN_MAX, table::table_len},
};

use crate::availability::RequestId;

/// Bytes of an encoded place.
pub const PLACE_LEN: usize = 44;

/// By what a blob is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Handle {
    /// By where it is.
    Place {
        /// The container.
        container: Hash32,
        /// Its first byte in the container, a multiple of 64.
        offset: u64,
        /// Its bytes, at least one.
        len: u64,
    },
    /// By what it is, as 0G's clients ask.
    Root {
        /// The blob's root.
        root: Hash32,
        /// The epoch of the quorum.
        epoch: u64,
        /// Which of its quorums.
        quorum: u32,
    },
}

/// Why bytes or text are no handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// Another number of bytes.
    #[error("{got} bytes, a place has {PLACE_LEN}")]
    Length {
        /// Bytes found.
        got: usize,
    },
    /// No container has a blob there.
    #[error("no container has a blob of {len} bytes at {offset}")]
    Place {
        /// Its first byte.
        offset: u64,
        /// Its bytes.
        len: u64,
    },
    /// Text that is neither form.
    #[error("a blob is named ID-OFFSET-LENGTH or ROOT@EPOCH.QUORUM")]
    Text,
}

/// Encodes a place; none if the handle is a root, or is no place.
#[must_use]
pub fn encode_place(handle: &Handle) -> Option<[u8; PLACE_LEN]> {
    let Handle::Place {
        container,
        offset,
        len,
    } = *handle
    else {
        return None;
    };
    let len = u32::try_from(len).ok()?;
    let mut bytes = [0; PLACE_LEN];
    bytes[..32].copy_from_slice(&container.0);
    bytes[32..40].copy_from_slice(&offset.to_be_bytes());
    bytes[40..].copy_from_slice(&len.to_be_bytes());
    Some(bytes)
}

/// Reads a place: one that some container can have.
///
/// # Errors
/// [`HandleError::Length`], [`HandleError::Place`]
pub fn decode_place(bytes: &[u8]) -> Result<Handle, HandleError> {
    let got = bytes.len();
    let bytes: &[u8; PLACE_LEN] = bytes.try_into().map_err(|_| HandleError::Length { got })?;
    let (container, rest) = bytes.split_first_chunk().expect("it has 44 bytes");
    let (offset, len) = rest.split_first_chunk().expect("12 of them are left");
    let len = u32::from_be_bytes(len.try_into().expect("4 of them are left"));
    place(
        Hash32(*container),
        u64::from_be_bytes(*offset),
        u64::from(len),
    )
}

/// A place that some container can have ([D-4]).
fn place(container: Hash32, offset: u64, len: u64) -> Result<Handle, HandleError> {
    let first = u64::try_from(table_len(1)).expect("a table is short");
    let end = offset.saturating_add(len);
    let fits = offset >= first && offset.is_multiple_of(64) && len > 0 && end <= CONTAINER_LEN_MAX;
    let handle = Handle::Place {
        container,
        offset,
        len,
    };
    fits.then_some(handle)
        .ok_or(HandleError::Place { offset, len })
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Handle::Place {
                container,
                offset,
                len,
            } => write!(f, "{container}-{offset}-{len}"),
            Handle::Root {
                root,
                epoch,
                quorum,
            } => write!(f, "{root}@{epoch}.{quorum}"),
        }
    }
}

impl FromStr for Handle {
    type Err = HandleError;

    fn from_str(text: &str) -> Result<Self, HandleError> {
        let hash = |text: &str| text.parse::<Hash32>().map_err(|_| HandleError::Text);
        if let Some((root, rest)) = text.split_once('@') {
            let (epoch, quorum) = rest.split_once('.').ok_or(HandleError::Text)?;
            return Ok(Handle::Root {
                root: hash(root)?,
                epoch: number(epoch)?,
                quorum: u32::try_from(number(quorum)?).map_err(|_| HandleError::Text)?,
            });
        }
        let (container, rest) = text.split_once('-').ok_or(HandleError::Text)?;
        let (offset, len) = rest.split_once('-').ok_or(HandleError::Text)?;
        place(hash(container)?, number(offset)?, number(len)?)
    }
}

/// Digits alone: Rust's own parser takes a plus sign too.
fn number(text: &str) -> Result<u64, HandleError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or(HandleError::Text)
}

/// Hex digits, in two halves with a dash between them: of the form that 0G's disperser gives out, so that
/// clients that take it for text, as they may, can.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (front, back) = self.0.split_at(16);
        let mut hex = |bytes: &[u8]| bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        hex(front)?;
        f.write_str("-")?;
        let mut hex = |bytes: &[u8]| bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        hex(back)
    }
}

/// Text that is no request's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request is named by twice 32 hex digits with a dash between them")]
pub struct NoRequest;

impl FromStr for RequestId {
    type Err = NoRequest;

    fn from_str(text: &str) -> Result<Self, NoRequest> {
        let (front, back) = text.split_once('-').ok_or(NoRequest)?;
        let mut bytes = [0; 32];
        for (half, text) in bytes.chunks_exact_mut(16).zip([front, back]) {
            // The decoder would take a prefix too.
            if text.len() != 32 {
                return Err(NoRequest);
            }
            const_hex::decode_to_slice(text, half).map_err(|_| NoRequest)?;
        }
        Ok(RequestId(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn a_place() -> impl Strategy<Value = Handle> {
        let offset = (2_u64..2_097_151).prop_map(|blocks| 64 * blocks);
        (any::<[u8; 32]>(), offset, any::<u32>()).prop_map(|(container, offset, len)| {
            let room = CONTAINER_LEN_MAX - offset;
            Handle::Place {
                container: Hash32(container),
                offset,
                len: 1 + u64::from(len) % room,
            }
        })
    }

    proptest! {
        /// Places come back from bytes and text.
        #[test]
        fn places_come_back(handle in a_place()) {
            let bytes = encode_place(&handle).expect("a place");
            prop_assert_eq!(decode_place(&bytes), Ok(handle));
            prop_assert_eq!(handle.to_string().parse(), Ok(handle));
        }

        /// Roots come back from text.
        #[test]
        fn roots_come_back(root: [u8; 32], epoch: u64, quorum: u32) {
            let handle = Handle::Root { root: Hash32(root), epoch, quorum };
            prop_assert_eq!(handle.to_string().parse(), Ok(handle));
            prop_assert_eq!(encode_place(&handle), None);
        }

        /// Any bytes that decode have one form.
        #[test]
        fn bytes_have_one_form(bytes in prop::collection::vec(any::<u8>(), 40..48)) {
            if let Ok(handle) = decode_place(&bytes) {
                prop_assert_eq!(encode_place(&handle).expect("a place").to_vec(), bytes);
            }
        }

        /// Names of requests come back, and nothing else is one.
        #[test]
        fn requests_come_back(bytes: [u8; 32], other in ".{0,70}") {
            let request = RequestId(bytes);
            prop_assert_eq!(request.to_string().parse(), Ok(request));
            if let Ok(request) = other.parse::<RequestId>() {
                prop_assert_eq!(request.to_string(), other.to_lowercase());
            }
        }
    }

    /// What no container has is no place.
    #[test]
    fn places_are_checked() {
        let place = |offset: u64, len: u32| {
            let mut bytes = [7; PLACE_LEN];
            bytes[32..40].copy_from_slice(&offset.to_be_bytes());
            bytes[40..].copy_from_slice(&len.to_be_bytes());
            decode_place(&bytes)
        };
        assert!(place(128, 1).is_ok());
        assert!(place(128, (1 << 27) - 128).is_ok());
        for (offset, len) in [(0, 1), (64, 1), (129, 1), (128, 0), (128, (1 << 27) - 127)] {
            let refused = Err(HandleError::Place {
                offset,
                len: u64::from(len),
            });
            assert_eq!(place(offset, len), refused);
        }
        assert!(place(u64::MAX - 63, u32::MAX).is_err());
        for text in ["", "-", "@", "aa-1-1", "0x-128-1", "+1"] {
            assert_eq!(text.parse::<Handle>(), Err(HandleError::Text));
        }
        let id = "00".repeat(32);
        assert!(format!("{id}-128-1").parse::<Handle>().is_ok());
        for text in [
            format!("{id}-+128-1"),
            format!("{id}@1"),
            format!("{id}@1.4294967296"),
        ] {
            assert_eq!(text.parse::<Handle>(), Err(HandleError::Text));
        }
    }
}
