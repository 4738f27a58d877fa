//! How many sectors and chunks a blob of a given size has, before and after
//! flow padding. Pure arithmetic; everything else asks here.
//!
//! ```text
//! bytes      ├──────────────── size ────────────────┤
//! sectors    │ 256 │ 256 │ … │ 256 │ 256 (0-filled) │ Z │ Z │   padded_sectors
//! chunks     │      1024 sectors      │ 1024 sectors │  …    │   padded_chunks
//! ```
//!
//! Flow padding (0G wire, 1.2): with n sectors and P the next power of two at
//! or above n, the padded count is n rounded up to a multiple of P/16 (of 1 if
//! P < 16). So it has at most four one-bits, over four adjacent heights.

/// Bytes of a sector, the leaf of the tree (0G wire, 1.1: "chunk").
pub const SECTOR_LEN: usize = 256;
/// Sectors of a whole chunk (0G wire, 1.1: a segment has 1024 chunks).
pub const SECTORS_PER_CHUNK: usize = 1024;
/// Bytes of a whole chunk: 256 KiB.
pub const CHUNK_LEN: usize = SECTOR_LEN * SECTORS_PER_CHUNK;
/// Height of a whole chunk's root above its sectors.
pub const CHUNK_HEIGHT: u8 = 10;

const SECTOR_LEN_U64: u64 = 256;
const SECTORS_PER_CHUNK_U64: u64 = 1024;
pub(crate) const CHUNK_LEN_U64: u64 = 262_144;

// The tree folds a whole chunk in `CHUNK_HEIGHT` levels; if these disagreed,
// chunk roots would sit at the wrong height of the blob's tree.
const _: () = assert!(1 << CHUNK_HEIGHT == SECTORS_PER_CHUNK);
// The two spellings of one length, for memory and for stored numbers.
const _: () = assert!(CHUNK_LEN == 262_144);

/// Sectors that hold `size` bytes; the last may be partly filled.
#[must_use]
pub const fn sectors(size: u64) -> u64 {
    size.div_ceil(SECTOR_LEN_U64)
}

/// Sectors of the tree over `size` bytes, padding included.
#[must_use]
pub const fn padded_sectors(size: u64) -> u64 {
    let sectors = sectors(size);
    if sectors == 0 {
        return 0;
    }
    let unit = sectors.next_power_of_two() / 16;
    if unit == 0 {
        sectors
    } else {
        sectors.next_multiple_of(unit)
    }
}

/// Chunks that hold `size` bytes; the last may be partly filled. Only these
/// are ever stored or sent.
#[must_use]
pub const fn chunks(size: u64) -> u64 {
    size.div_ceil(CHUNK_LEN_U64)
}

/// Chunks of the tree over `size` bytes; from [`chunks`] on they are nothing
/// but padding.
#[must_use]
pub const fn padded_chunks(size: u64) -> u64 {
    padded_sectors(size).div_ceil(SECTORS_PER_CHUNK_U64)
}

/// The size of a blob, known not to be zero, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobShape {
    size: u64,
}

/// A blob of no bytes: it has no tree, and no 0G client or contract takes one
/// (0G wire, 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob of 0 bytes has no root; give it at least one byte")]
pub struct EmptyBlob;

impl BlobShape {
    /// The shape of a blob of `size` bytes, 1 to `u64::MAX`.
    ///
    /// # Errors
    /// [`EmptyBlob`] if `size` is 0.
    pub const fn new(size: u64) -> Result<Self, EmptyBlob> {
        if size == 0 {
            Err(EmptyBlob)
        } else {
            Ok(Self { size })
        }
    }

    /// Bytes.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// Sectors that hold bytes.
    #[must_use]
    pub const fn sectors(self) -> u64 {
        sectors(self.size)
    }

    /// Sectors of the tree.
    #[must_use]
    pub const fn padded_sectors(self) -> u64 {
        padded_sectors(self.size)
    }

    /// Chunks that hold bytes: indices run from 0 to this, exclusive.
    #[must_use]
    pub const fn chunks(self) -> u64 {
        chunks(self.size)
    }

    /// Chunks of the tree.
    #[must_use]
    pub const fn padded_chunks(self) -> u64 {
        padded_chunks(self.size)
    }

    /// Bytes of chunk `index`: 1 to [`CHUNK_LEN`], or 0 past the last chunk.
    #[must_use]
    pub fn chunk_len(self, index: u64) -> usize {
        let start = index.saturating_mul(CHUNK_LEN_U64);
        let len = self.size.saturating_sub(start).min(CHUNK_LEN_U64);
        usize::try_from(len).expect("at most CHUNK_LEN")
    }

    /// Sectors of the tree under chunk `index`: 1 to [`SECTORS_PER_CHUNK`],
    /// or 0 past the last padded chunk. Fewer than a whole chunk's only under
    /// the last chunk of a blob below 4 MiB.
    #[must_use]
    pub fn padded_sectors_in(self, index: u64) -> usize {
        let start = index.saturating_mul(SECTORS_PER_CHUNK_U64);
        let count = self
            .padded_sectors()
            .saturating_sub(start)
            .min(SECTORS_PER_CHUNK_U64);
        usize::try_from(count).expect("at most SECTORS_PER_CHUNK")
    }
}

#[cfg(test)]
mod tests;
