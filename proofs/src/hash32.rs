//! A 32-byte digest as a value: a root, a node, a leaf.

use core::fmt;
use core::str::FromStr;

/// A digest of 32 bytes: keccak-256, where nothing else is said.
///
/// Text form: `0x` and 64 lower-case hex digits. On input the prefix may be
/// missing and the digits may be upper-case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Hash32(pub [u8; 32]);

/// Text that is not a [`Hash32`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashTextError {
    /// Not 64 digits (after an optional `0x`).
    #[error("a hash is 64 hex digits after an optional 0x, got {got} characters")]
    Length {
        /// Characters found after the prefix.
        got: usize,
    },
    /// A character that is no hex digit.
    #[error("a hash is made of hex digits only, byte {at} is not one")]
    Digit {
        /// Which byte after the prefix, from 0.
        at: usize,
    },
}

impl Hash32 {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Hash32 {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<Hash32> for [u8; 32] {
    fn from(hash: Hash32) -> Self {
        hash.0
    }
}

impl AsRef<[u8]> for Hash32 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash32 {
    type Err = HashTextError;

    fn from_str(text: &str) -> Result<Self, HashTextError> {
        let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        if digits.len() != 64 {
            return Err(HashTextError::Length { got: digits.len() });
        }
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = 16 * nibble(digits, 2 * place)? + nibble(digits, 2 * place + 1)?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digits: &[u8], at: usize) -> Result<u8, HashTextError> {
    match digits[at] {
        digit @ b'0'..=b'9' => Ok(digit - b'0'),
        digit @ b'a'..=b'f' => Ok(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(HashTextError::Digit { at }),
    }
}

#[cfg(test)]
mod tests;
