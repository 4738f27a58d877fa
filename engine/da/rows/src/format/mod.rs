//! Every byte on disk, as drawn in `FORMAT.md`: each structure encodes and decodes itself.
//!
//! Decoders take any bytes: they refuse with a reason, take no memory that the bytes at hand do not
//! vouch for, and never panic. Everything is little endian and zero-padded, but for what is kept as
//! it was signed.

pub mod index;
pub mod outline;
pub mod page;
pub mod segment;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Bytes are missing.
    #[error("{got} bytes, where {want} are needed")]
    Short {
        /// Bytes found.
        got: usize,
        /// Bytes needed.
        want: usize,
    },
    /// Something else, or nothing, was written here.
    #[error("no {0} begins here")]
    Magic(&'static str),
    /// Written by another version of this program.
    #[error("version {found}, this program reads version {}", segment::VERSION)]
    Version {
        /// The version found.
        found: u16,
    },
    /// A field says what it cannot say.
    #[error("its {0} cannot be")]
    Field(&'static str),
}

/// Bytes `at..at + N`. The caller has checked that there are so many.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("a slice of N bytes is an array of N bytes")
}

pub(crate) fn get_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(crate) fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(crate) fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// Refuses bytes that are shorter than a structure.
fn long_enough(bytes: &[u8], want: usize) -> Result<(), FormatError> {
    let got = bytes.len();
    match got < want {
        true => Err(FormatError::Short { got, want }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
