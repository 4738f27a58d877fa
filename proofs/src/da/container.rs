//! Containers: several blobs that are coded together, behind a table of them.
//!
//! ```text
//!  0        table_len                                    len        1024 · W
//!  ├─ table ─┼─ blob ──┼─ blob ─────┼─ … ── last blob ────┼── zeros ──┤
//!            64-aligned, by namespace                     64-aligned
//! ```

use alloc::{vec, vec::Vec};
use core::ops::{Range, RangeInclusive};

use super::{
    piece::blob_root,
    shape::{CONTAINER_LEN_MAX, Shape},
    table::{BLOBS_MAX, Entry, Namespace, Table, TableError, table_len},
};
/// Collects blobs until they are closed into a container. Keeps the bytes that it is given.
#[derive(Default)]
pub struct ContainerBuilder<'blob> {
    blobs: Vec<(Namespace, &'blob [u8])>,
    /// Bytes of all blobs, each with its fill.
    len: u64,
}

/// Why a blob is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// It has no bytes.
    #[error("a blob has at least one byte")]
    Empty,
    /// There are as many blobs as a container can have.
    #[error("the container has {BLOBS_MAX} blobs, which is all it can have")]
    Blobs,
    /// The container would become too long.
    #[error("the container would have {len} bytes, {CONTAINER_LEN_MAX} is the most")]
    Bytes {
        /// Bytes with this blob.
        len: u64,
    },
}

impl<'blob> ContainerBuilder<'blob> {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the container if it were closed now.
    #[must_use]
    pub fn len(&self) -> u64 {
        with_table(self.len, self.blobs.len())
    }

    /// Whether there is nothing to close yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Takes in a blob.
    ///
    /// # Errors
    /// [`Full`]; what was taken in before stays.
    pub fn add(&mut self, namespace: Namespace, blob: &'blob [u8]) -> Result<(), Full> {
        if blob.is_empty() {
            return Err(Full::Empty);
        }
        if self.blobs.len() == BLOBS_MAX {
            return Err(Full::Blobs);
        }
        let more = u64::try_from(blob.len()).unwrap_or(u64::MAX);
        let more = more.min(CONTAINER_LEN_MAX + 1).next_multiple_of(64);
        let len = with_table(self.len + more, self.blobs.len() + 1);
        if len > CONTAINER_LEN_MAX {
            return Err(Full::Bytes { len });
        }
        self.len += more;
        self.blobs.push((namespace, blob));
        Ok(())
    }

    /// Closes it. Cost: a copy and one SHA-256 of all bytes.
    ///
    /// # Errors
    /// [`TableError::Count`] if it is empty.
    pub fn close(mut self) -> Result<Container, TableError> {
        // [D-4], [D-5]
        self.blobs.sort_by_key(|(namespace, _)| *namespace);
        let entries = self.blobs.iter().map(|(namespace, blob)| Entry {
            namespace: *namespace,
            offset: 0,
            len: u64::try_from(blob.len()).expect("it fits a container"),
            root: blob_root(blob),
        });
        let table = Table::of(entries.collect())?;
        let mut bytes = vec![0; table.shape().original_len()];
        let head = table.encode();
        bytes[..head.len()].copy_from_slice(&head);
        for (entry, (_, blob)) in table.entries().iter().zip(&self.blobs) {
            let start = usize::try_from(entry.offset).expect("it fits a container");
            bytes[start..start + blob.len()].copy_from_slice(blob);
        }
        Ok(Container { table, bytes })
    }
}

/// A closed container: its table, and all its bytes in rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    table: Table,
    /// All original rows, one after the other.
    bytes: Vec<u8>,
}

impl Container {
    /// Takes original rows, as they were restored, for a container. What lies behind the container's
    /// length has no meaning, but is kept: it is coded, and whoever repairs rows needs it.
    ///
    /// # Errors
    /// If they do not begin with a table, or with that of another container than one of this shape.
    pub fn from_rows(shape: Shape, bytes: Vec<u8>) -> Result<Self, TableError> {
        // [D-2], [D-3]
        let (got, want) = (bytes.len(), shape.original_len());
        if got != want {
            return Err(TableError::Length { got, want });
        }
        let len = Table::len_from(&bytes)?;
        let table = bytes
            .get(..len)
            .ok_or(TableError::Length { got, want: len })?;
        let table = Table::decode(table)?;
        if table.shape() != shape {
            return Err(TableError::Other {
                got: table.shape().len(),
                want: shape.len(),
            });
        }
        Ok(Self { table, bytes })
    }

    /// Its table.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Its shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.table.shape()
    }

    /// All original rows, one after the other: the container's bytes, and what fills the last rows.
    #[must_use]
    pub fn rows(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of a blob, by its place in the table.
    #[must_use]
    pub fn blob(&self, place: usize) -> Option<&[u8]> {
        let Range { start, end } = self.table.entries().get(place)?.range();
        let index = |at: u64| usize::try_from(at).expect("it fits memory");
        self.bytes.get(index(start)..index(end))
    }
}

/// The rows that a range of a container's bytes lies in, if it has any byte and ends within it.
#[must_use]
pub fn rows_of(shape: Shape, range: &Range<u64>) -> Option<RangeInclusive<usize>> {
    // [D-2]
    if range.is_empty() || range.end > shape.len() {
        return None;
    }
    let width = u64::from(shape.width_u32());
    let row = |at: u64| usize::try_from(at / width).expect("below 1024");
    Some(row(range.start)..=row(range.end - 1))
}

fn with_table(len: u64, blobs: usize) -> u64 {
    let table = table_len(blobs);
    len + u64::try_from(table).expect("a table is short")
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
