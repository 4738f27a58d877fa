//! The table of a container: which blobs lie where. Its first bytes, so that whoever has those knows
//! the rest.
//!
//! ```text
//!  at   bytes  field
//!   0      8   magic       "LODEDAC", 0x01
//!   8      4   count       blobs, 1 to 4096
//!  12      4   zero
//!  16  77 · n  entries     namespace 29 | offset 8 | length 8 | root 32
//!   …      …   zeros, up to the next multiple of 64, where the first blob begins
//! ```
//! Numbers are big-endian, as contracts pack them. Entries stand in the order of their namespaces,
//! and those of one namespace in the order in which they came. Blobs lie in the same order, each on
//! the next multiple of 64 behind the one before. So a table has one form, nothing overlaps, and the
//! blobs of a namespace lie together.

use alloc::vec::Vec;
use core::ops::Range;

use super::shape::{CONTAINER_LEN_MAX, NoContainer, Shape};
use crate::hash32::Hash32;

/// Bytes of a namespace's name.
pub const NAMESPACE_LEN: usize = 29;
/// Bytes of an entry.
pub const ENTRY_LEN: usize = 77;
/// Most blobs of a container: the table goes to every holder, and so many entries take 308 KiB,
/// a third of what one holder in a hundred gets of a container of 32 MiB.
pub const BLOBS_MAX: usize = 4096;
/// Bytes of a table before its entries.
pub const TABLE_HEAD_LEN: usize = 16;
/// Bytes of the longest table.
pub const TABLE_LEN_MAX: usize = table_len(BLOBS_MAX);

const MAGIC: [u8; 8] = *b"LODEDAC\x01";

/// Whose blob it is: 29 bytes that users agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace(pub [u8; NAMESPACE_LEN]);

/// One blob of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub namespace: Namespace,
    /// Where it begins in the container, a multiple of 64.
    pub offset: u64,
    /// Its bytes, at least one.
    pub len: u64,
    /// [`blob_root`](super::piece::blob_root) of its bytes. Nobody checks it before a reader does.
    pub root: Hash32,
}

/// The entries of a container, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    entries: Vec<Entry>,
    shape: Shape,
}

/// Why bytes are no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// They begin with another magic or version.
    #[error("these bytes are no table of a container, or one of another version")]
    Magic,
    /// No blobs, or too many.
    #[error("{count} blobs, a container has 1 to {BLOBS_MAX}")]
    Count {
        /// Blobs found.
        count: usize,
    },
    /// Bytes are missing or left over.
    #[error("{got} bytes, a table of so many blobs has {want}")]
    Length {
        /// Bytes found.
        got: usize,
        /// Bytes implied.
        want: usize,
    },
    /// The four bytes behind the count, or those behind the entries, are not zero.
    #[error("the fill of the table is not zero")]
    Fill,
    /// An entry's namespace is below the one before.
    #[error("entry {place} is not behind those of smaller namespaces")]
    Order {
        /// Which entry.
        place: usize,
    },
    /// A blob begins elsewhere than where the one before leaves off.
    #[error("blob {place} begins at {got}, not at {want}")]
    Offset {
        /// Which entry.
        place: usize,
        /// Offset found.
        got: u64,
        /// Offset implied.
        want: u64,
    },
    /// A blob of no bytes.
    #[error("blob {place} is empty")]
    Empty {
        /// Which entry.
        place: usize,
    },
    /// The table of a container of another length.
    #[error("the table of a container of {got} bytes, in one of {want}")]
    Other {
        /// Length of the container that the table describes.
        got: u64,
        /// Length of the container that it is in.
        want: u64,
    },
    /// The blobs do not fit a container.
    #[error(transparent)]
    Shape(#[from] NoContainer),
}

/// Bytes of a table of so many blobs: where the first one begins.
#[must_use]
pub const fn table_len(blobs: usize) -> usize {
    (TABLE_HEAD_LEN + blobs * ENTRY_LEN).next_multiple_of(64)
}

impl Entry {
    /// As it is stored and hashed.
    #[must_use]
    pub fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..29].copy_from_slice(&self.namespace.0);
        bytes[29..37].copy_from_slice(&self.offset.to_be_bytes());
        bytes[37..45].copy_from_slice(&self.len.to_be_bytes());
        bytes[45..].copy_from_slice(&self.root.0);
        bytes
    }

    /// What was encoded. Any bytes decode.
    #[must_use]
    pub fn decode(bytes: &[u8; ENTRY_LEN]) -> Self {
        let (namespace, rest) = bytes.split_first_chunk().expect("it has 77 bytes");
        let (offset, rest) = rest.split_first_chunk().expect("48 of them are left");
        let (len, rest) = rest.split_first_chunk().expect("40 of them are left");
        Self {
            namespace: Namespace(*namespace),
            offset: u64::from_be_bytes(*offset),
            len: u64::from_be_bytes(*len),
            root: Hash32(rest.try_into().expect("32 of them are left")),
        }
    }

    /// Where it lies in the container. In an entry of a [`Table`] the end is within the container.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.len)
    }
}

impl Table {
    /// Puts blobs into their places; what `entries` say of offsets is not looked at. Blobs of one
    /// namespace stay in their order.
    ///
    /// # Errors
    /// [`TableError::Count`], [`TableError::Empty`] and [`TableError::Shape`]
    pub fn of(mut entries: Vec<Entry>) -> Result<Self, TableError> {
        // [D-4]
        entries.sort_by_key(|entry| entry.namespace);
        let mut next = Places::of(entries.len())?;
        for (place, entry) in entries.iter_mut().enumerate() {
            entry.offset = next.offset;
            next.step(place, entry)?;
        }
        let shape = next.end()?;
        Ok(Self { entries, shape })
    }

    /// Entries in their order, 1 to 4096.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The shape of the container that holds these blobs.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// As it stands in a container.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // [D-3]
        let count = u32::try_from(self.entries.len()).expect("at most 4096");
        let len = table_len(self.entries.len());
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.encode());
        }
        bytes.resize(len, 0);
        bytes
    }

    /// How long the table is that begins with these bytes.
    ///
    /// # Errors
    /// [`TableError::Length`], [`TableError::Magic`], [`TableError::Count`]
    pub fn len_from(bytes: &[u8]) -> Result<usize, TableError> {
        // [D-3]
        let head = bytes.first_chunk::<TABLE_HEAD_LEN>();
        let head = head.ok_or(TableError::Length {
            got: bytes.len(),
            want: TABLE_HEAD_LEN,
        })?;
        if head[..8] != MAGIC {
            return Err(TableError::Magic);
        }
        let count = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if (1..=BLOBS_MAX).contains(&count) {
            Ok(table_len(count))
        } else {
            Err(TableError::Count { count })
        }
    }

    /// Reads exactly one table.
    ///
    /// # Errors
    /// [`TableError`]: there is one form of each table.
    pub fn decode(bytes: &[u8]) -> Result<Self, TableError> {
        // [D-3], [D-4]
        let (got, want) = (bytes.len(), Self::len_from(bytes)?);
        if got != want {
            return Err(TableError::Length { got, want });
        }
        let count = (want - TABLE_HEAD_LEN) / ENTRY_LEN;
        // The fill is shorter than an entry, so the count is the quotient, rounded down.
        let (chunks, fill) = bytes[TABLE_HEAD_LEN..].as_chunks::<ENTRY_LEN>();
        assert_eq!(chunks.len(), count, "length and count are one");
        if bytes[12..TABLE_HEAD_LEN] != [0; 4] || fill.iter().any(|byte| *byte != 0) {
            return Err(TableError::Fill);
        }
        let entries: Vec<Entry> = chunks.iter().map(Entry::decode).collect();
        let mut next = Places::of(count)?;
        for (place, entry) in entries.iter().enumerate() {
            if place > 0 && entry.namespace < entries[place - 1].namespace {
                return Err(TableError::Order { place });
            }
            let (got, want) = (entry.offset, next.offset);
            if got != want {
                return Err(TableError::Offset { place, got, want });
            }
            next.step(place, entry)?;
        }
        let shape = next.end()?;
        Ok(Self { entries, shape })
    }
}

/// Where the next blob begins.
struct Places {
    offset: u64,
}

impl Places {
    fn of(count: usize) -> Result<Self, TableError> {
        if !(1..=BLOBS_MAX).contains(&count) {
            return Err(TableError::Count { count });
        }
        let offset = u64::try_from(table_len(count)).expect("a table is short");
        Ok(Self { offset })
    }

    fn step(&mut self, place: usize, entry: &Entry) -> Result<(), TableError> {
        if entry.len == 0 {
            return Err(TableError::Empty { place });
        }
        let end = self.offset.saturating_add(entry.len);
        if end > CONTAINER_LEN_MAX {
            return Err(NoContainer { len: end }.into());
        }
        self.offset = end.next_multiple_of(64);
        Ok(())
    }

    fn end(&self) -> Result<Shape, TableError> {
        Ok(Shape::new(self.offset)?)
    }
}
