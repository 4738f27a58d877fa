//! The list of a segment's records, which is written when it is closed, and the pointer to it in the
//! file's last page. With them a start reads a few pages of a segment and none of its rows.
//!
//! ```text
//!  index    at bytes field                       pointer  at bytes field
//!            0    4  magic   "ROWX"                        0    4  magic   "ROWP"
//!            4    4  segment number                        4    4  segment number
//!            8    4  records                               8    4  first   page of the index
//!           12    4  zero                                 12    4  pages   of it
//!           16   56  for each record, by its place:
//!                    container 32 | sequence 8 | expiry 8 | first page 4 | pages 4
//! ```

use lode_proofs::Hash32;

use super::{
    FormatError, array, get_u32, get_u64, long_enough,
    page::{self, PAYLOAD},
    segment::HEADER_PAGES,
};

/// Most records of a segment: a list of 3.5 MiB.
pub const ENTRIES_MAX: usize = 65_536;

const MAGIC: [u8; 4] = *b"ROWX";
const POINTER_MAGIC: [u8; 4] = *b"ROWP";
const INDEX_HEAD: usize = 16;
const ENTRY: usize = 56;
const POINTER: usize = 16;

/// A record in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its container.
    pub container: Hash32,
    /// Of two records of one container the one with the higher sequence counts.
    pub sequence: u64,
    /// When it expires, in unix seconds.
    pub expiry: u64,
    /// First page.
    pub first: u32,
    /// Pages.
    pub pages: u32,
}

/// All records of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Number of the segment.
    pub segment: u32,
    /// By their places, which do not overlap.
    pub entries: Vec<Entry>,
}

/// Where the list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Number of the segment.
    pub segment: u32,
    /// First page of the list.
    pub first: u32,
    /// Pages of it.
    pub pages: u32,
}

/// Pages of a list of so many records.
#[must_use]
pub fn pages_for(entries: usize) -> u32 {
    let pages = (INDEX_HEAD + ENTRY * entries).div_ceil(PAYLOAD);
    u32::try_from(pages).expect("lists are short")
}

impl Index {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = u32::try_from(self.entries.len()).expect("lists are short");
        let mut bytes = Vec::with_capacity(INDEX_HEAD + ENTRY * self.entries.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.container.0);
            bytes.extend_from_slice(&entry.sequence.to_le_bytes());
            bytes.extend_from_slice(&entry.expiry.to_le_bytes());
            bytes.extend_from_slice(&entry.first.to_le_bytes());
            bytes.extend_from_slice(&entry.pages.to_le_bytes());
        }
        bytes
    }

    /// What was encoded; zeros may follow.
    ///
    /// # Errors
    /// [`FormatError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        long_enough(bytes, INDEX_HEAD)?;
        if array::<4>(bytes, 0) != MAGIC {
            return Err(FormatError::Magic("index"));
        }
        let count = usize::try_from(get_u32(bytes, 8)).expect("64-bit");
        if count > ENTRIES_MAX {
            return Err(FormatError::Field("number of records"));
        }
        let end = INDEX_HEAD + ENTRY * count;
        long_enough(bytes, end)?;
        if get_u32(bytes, 12) != 0 || bytes[end..].iter().any(|byte| *byte != 0) {
            return Err(FormatError::Field("padding"));
        }
        let entries: Vec<Entry> = bytes[INDEX_HEAD..end]
            .chunks_exact(ENTRY)
            .map(Entry::decode)
            .collect();
        let mut free = HEADER_PAGES;
        for entry in &entries {
            let after = entry.first.checked_add(entry.pages);
            let inside = after.filter(|after| *after <= page::PAGE_NUMBER_END);
            let inside = inside.filter(|_| entry.first >= free && entry.pages > 0);
            free = inside.ok_or(FormatError::Field("place of a record"))?;
        }
        Ok(Self {
            segment: get_u32(bytes, 4),
            entries,
        })
    }

    /// First page after all records.
    #[must_use]
    pub fn end(&self) -> u32 {
        let last = self.entries.last();
        last.map_or(HEADER_PAGES, |entry| entry.first + entry.pages)
    }
}

impl Entry {
    fn decode(bytes: &[u8]) -> Self {
        Self {
            container: Hash32(array(bytes, 0)),
            sequence: get_u64(bytes, 32),
            expiry: get_u64(bytes, 40),
            first: get_u32(bytes, 48),
            pages: get_u32(bytes, 52),
        }
    }
}

impl Pointer {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; POINTER] {
        let mut bytes = [0; POINTER];
        bytes[..4].copy_from_slice(&POINTER_MAGIC);
        bytes[4..8].copy_from_slice(&self.segment.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.first.to_le_bytes());
        bytes[12..].copy_from_slice(&self.pages.to_le_bytes());
        bytes
    }

    /// What was encoded; zeros may follow. No list is longer than one of [`ENTRIES_MAX`] records.
    ///
    /// # Errors
    /// [`FormatError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        long_enough(bytes, POINTER)?;
        if array::<4>(bytes, 0) != POINTER_MAGIC {
            return Err(FormatError::Magic("pointer"));
        }
        if bytes[POINTER..].iter().any(|byte| *byte != 0) {
            return Err(FormatError::Field("padding"));
        }
        let pointer = Self {
            segment: get_u32(bytes, 4),
            first: get_u32(bytes, 8),
            pages: get_u32(bytes, 12),
        };
        let first = (HEADER_PAGES..page::PAGE_NUMBER_END).contains(&pointer.first);
        let pages = (1..=pages_for(ENTRIES_MAX)).contains(&pointer.pages);
        match first && pages {
            true => Ok(pointer),
            false => Err(FormatError::Field("place of the index")),
        }
    }
}
