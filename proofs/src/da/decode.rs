//! Reading foreign bytes: every list's length is known, and checked, before memory is taken for it.

use alloc::vec::Vec;

use super::shape::NoContainer;
use crate::hash32::Hash32;

/// Why bytes are no commitment, proof, sample or certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Bytes are missing or left over.
    #[error("{got} bytes, where {want} are needed; the bytes were cut or something was appended")]
    Length {
        /// Bytes found.
        got: usize,
        /// Bytes implied by what was read.
        want: usize,
    },
    /// No container has this length.
    #[error(transparent)]
    Shape(#[from] NoContainer),
    /// The width is not the one that the length implies.
    #[error("rows of {got} bytes, a container of this length has rows of {want}")]
    Width {
        /// Width found.
        got: u32,
        /// Width implied.
        want: u32,
    },
    /// No container has so many columns.
    #[error("{columns} columns, there are 10 to 32")]
    Columns {
        /// Columns found.
        columns: u16,
    },
    /// Places that cannot be in a container or its table.
    #[error("places outside of the container or its table")]
    Places,
    /// A container id that is not the hash of the head beside it.
    #[error("the container id is not that of these roots, length and columns")]
    Id,
    /// Signers past the last holder.
    #[error("signers that the quorum does not have")]
    Signers,
    /// Another version than this one.
    #[error("version {found} is not known here")]
    Version {
        /// The version found.
        found: u8,
    },
}

/// What is left to read.
pub(crate) struct Reader<'bytes> {
    rest: &'bytes [u8],
    got: usize,
}

impl<'bytes> Reader<'bytes> {
    pub(crate) fn new(bytes: &'bytes [u8]) -> Self {
        Self {
            rest: bytes,
            got: bytes.len(),
        }
    }

    /// Some bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'bytes [u8], DecodeError> {
        let (got, want) = (self.got, self.want(len));
        let (front, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Length { got, want })?;
        self.rest = rest;
        Ok(front)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'bytes [u8; N], DecodeError> {
        Ok(self.take(N)?.try_into().expect("as many were taken"))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(*self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(*self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(*self.array()?))
    }

    pub(crate) fn hash(&mut self) -> Result<Hash32, DecodeError> {
        Ok(Hash32(*self.array()?))
    }

    /// A list of so many items of `N` bytes each.
    pub(crate) fn list<const N: usize>(
        &mut self,
        count: usize,
    ) -> Result<&'bytes [[u8; N]], DecodeError> {
        Ok(self.take(count.saturating_mul(N))?.as_chunks().0)
    }

    pub(crate) fn hashes(&mut self, count: usize) -> Result<Vec<Hash32>, DecodeError> {
        let hashes = self.list::<32>(count)?.iter();
        Ok(hashes.copied().map(Hash32).collect())
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        let (got, want) = (self.got, self.want(0));
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Length { got, want })
        }
    }

    /// Bytes from the start, if so many more are taken.
    fn want(&self, more: usize) -> usize {
        (self.got - self.rest.len()).saturating_add(more)
    }
}
