//! What a holder checks before it signs, and what anybody else checks of single rows.
//!
//! ```text
//!  head, quorum ─► Verifier ── with all checksums ─► RowVerifier ─► a holder's sliver, single rows
//!                     └─ without ─► samples: one row, its checksums, and both paths
//! ```
//! A holder signs only if all four hold, in this order; each has its own refusal:
//!
//! 1. its rows lead to the row root,
//! 2. the checksums of the original rows, extended by the code, have the check root,
//! 3. each of its rows has the checksums that it should,
//! 4. the table is one of a container of this length, and has the namespace root.

use alloc::vec::Vec;

use super::{
    checks::Checks,
    checksum::Checksum,
    decode::{DecodeError, Reader},
    head::Head,
    holding::Holding,
    namespace::NamespaceTree,
    quorum::Quorum,
    refusal::Refusal,
    rows::{RowHasher, RowPath, climb, path},
    shape::{ORIGINAL_ROWS, ROWS},
    table::{Table, TableError},
    tree::leaf,
};
use crate::hash32::Hash32;

/// Checks samples of one container. Keeps its coefficients: make one, check many.
#[derive(Clone)]
pub struct Verifier {
    head: Head,
    checksum: Checksum,
    hasher: RowHasher,
}

/// Checks rows of one container against all its checksums.
#[derive(Clone)]
pub struct RowVerifier {
    verifier: Verifier,
    checks: Checks,
}

/// What one holder gets of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sliver<'bytes> {
    /// Its rows, in the order of their numbers.
    pub rows: Vec<&'bytes [u8]>,
    /// The nodes beside them.
    pub siblings: Vec<Hash32>,
    /// The container's table. Every holder keeps it, so that it does not depend on single rows.
    pub table: &'bytes [u8],
}

/// One row with all that shows it to be part of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample<'bytes> {
    /// Its number.
    pub row: u16,
    /// Its bytes.
    pub bytes: &'bytes [u8],
    /// From the row up to the row root.
    pub path: RowPath,
    /// Its checksums.
    pub checks: &'bytes [u8],
    /// From them up to the check root.
    pub check_path: RowPath,
}

impl Verifier {
    /// Draws the coefficients. `columns` is what the quorum's assignment says: whoever takes it from
    /// the container's maker instead believes anything. Cost: up to a millisecond.
    ///
    /// # Errors
    /// [`Refusal::Columns`]
    pub fn new(head: Head, quorum: &Quorum, columns: usize) -> Result<Self, Refusal> {
        // [D-12], [D-23]
        if usize::from(head.columns) != columns {
            let (got, want) = (head.columns, columns);
            return Err(Refusal::Columns { got, want });
        }
        Ok(Self {
            checksum: Checksum::new(&head.seed(quorum), head.shape, columns),
            hasher: RowHasher::new(),
            head,
        })
    }

    /// The head of the container.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Takes the checksums of the original rows, if they have the check root. Cost: about 0.7 ms.
    ///
    /// # Errors
    /// [`Refusal::ChecksLength`], [`Refusal::CheckRoot`]
    pub fn with_checks(self, originals: &[u8]) -> Result<RowVerifier, Refusal> {
        // [D-16], [D-23] step 2
        let columns = usize::from(self.head.columns);
        let (got, want) = (originals.len(), ORIGINAL_ROWS * 2 * columns);
        let checks =
            Checks::extend(columns, originals).ok_or(Refusal::ChecksLength { got, want })?;
        if checks.tree().root() != self.head.check_root {
            return Err(Refusal::CheckRoot);
        }
        Ok(RowVerifier {
            verifier: self,
            checks,
        })
    }

    /// Checks one row without knowing the other checksums. Means something only of a container whose
    /// certificate was verified: its holders have checked what the check root is over.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn sample(&self, row: u16, sample: &Sample<'_>) -> Result<(), Refusal> {
        // [D-24]
        if sample.row != row {
            return Err(Refusal::NotAskedFor);
        }
        self.path(row, sample.bytes, &sample.path)?;
        let (got, want) = (sample.checks.len(), self.checksum.len());
        if got != want {
            return Err(Refusal::ChecksLength { got, want });
        }
        let checks = leaf(sample.checks);
        if climb(usize::from(row), checks, &sample.check_path) != self.head.check_root {
            return Err(Refusal::CheckRoot);
        }
        self.checksums(&[row], &[sample.bytes], |_| sample.checks)
    }

    /// Whether a row is the one under the row root.
    fn path(&self, row: u16, bytes: &[u8], path: &RowPath) -> Result<(), Refusal> {
        let (leaves, place) = (self.leaves(&[row], &[bytes])?, usize::from(row));
        if climb(place, leaves[0], path) == self.head.row_root {
            Ok(())
        } else {
            Err(Refusal::RowRoot)
        }
    }

    /// The leaves of rows, which are ascending and have the width.
    fn leaves(&self, rows: &[u16], bytes: &[&[u8]]) -> Result<Vec<Hash32>, Refusal> {
        let (got, want) = (bytes.len(), rows.len());
        if got != want {
            return Err(Refusal::Rows { got, want });
        }
        let mut leaves = Vec::with_capacity(rows.len());
        let mut next = 0;
        for (row, bytes) in rows.iter().zip(bytes) {
            let (row, place) = (*row, usize::from(*row));
            if place < next || place >= ROWS {
                return Err(Refusal::Row { row });
            }
            next = place + 1;
            let (got, want) = (bytes.len(), self.head.shape.width());
            if got != want {
                return Err(Refusal::RowLength { row, got, want });
            }
            leaves.push(self.hasher.leaf(place, bytes));
        }
        Ok(leaves)
    }

    /// Whether rows, which have the width, have the checksums that they should.
    fn checksums<'checks>(
        &self,
        rows: &[u16],
        bytes: &[&[u8]],
        expected: impl Fn(usize) -> &'checks [u8],
    ) -> Result<(), Refusal> {
        // [D-15], [D-23] step 3
        let found = self.checksum.of_rows(bytes.iter().copied());
        for (row, found) in rows.iter().zip(found.chunks_exact(self.checksum.len())) {
            if found != expected(usize::from(*row)) {
                return Err(Refusal::Checksum { row: *row });
            }
        }
        Ok(())
    }
}

impl RowVerifier {
    /// The checksums of all rows.
    #[must_use]
    pub const fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Checks all that a holder gets; `rows` are those that its assignment gives it. Returns the
    /// container's table.
    ///
    /// # Errors
    /// The first [`Refusal`], in the order of the steps.
    pub fn sliver(&self, rows: &[u16], sliver: &Sliver<'_>) -> Result<Table, Refusal> {
        self.held(rows, sliver).map(|(table, _)| table)
    }

    /// The same; also what the holder then knows of the tree, by which it shows its rows to others.
    ///
    /// # Errors
    /// As [`RowVerifier::sliver`].
    pub fn held(&self, rows: &[u16], sliver: &Sliver<'_>) -> Result<(Table, Holding), Refusal> {
        // [D-23]
        let holding = self.holding(rows, &sliver.rows, &sliver.siblings)?;
        Ok((self.table(sliver.table)?, holding))
    }

    /// Checks several rows at once. Cost: SHA-256 or BLAKE3 of the rows, and their checksums.
    ///
    /// # Errors
    /// The first [`Refusal`], in the order of the steps.
    pub fn rows(&self, rows: &[u16], bytes: &[&[u8]], siblings: &[Hash32]) -> Result<(), Refusal> {
        self.holding(rows, bytes, siblings).map(|_| ())
    }

    /// Checks several rows at once; returns what they let one know of the tree.
    ///
    /// # Errors
    /// As [`RowVerifier::rows`].
    pub fn holding(
        &self,
        rows: &[u16],
        bytes: &[&[u8]],
        siblings: &[Hash32],
    ) -> Result<Holding, Refusal> {
        // [D-18], [D-23] steps 1 and 3
        let leaves = self.verifier.leaves(rows, bytes)?;
        let holding = Holding::new(rows, &leaves, siblings).ok_or(Refusal::RowRoot)?;
        if holding.root() != self.verifier.head.row_root {
            return Err(Refusal::RowRoot);
        }
        self.verifier
            .checksums(rows, bytes, |row| self.checks.of_row(row))?;
        Ok(holding)
    }

    /// A row that was checked, with all that shows it to others; none if it is not among those held.
    #[must_use]
    pub fn sample<'bytes>(
        &'bytes self,
        row: u16,
        bytes: &'bytes [u8],
        holding: &Holding,
    ) -> Option<Sample<'bytes>> {
        // [D-24]
        let place = usize::from(row);
        Some(Sample {
            row,
            bytes,
            path: holding.path(row)?,
            checks: self.checks.of_row(place),
            check_path: path(&self.checks.tree(), place),
        })
    }

    /// Checks one row with its path.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn row(&self, row: u16, bytes: &[u8], path: &RowPath) -> Result<(), Refusal> {
        // [D-9], [D-15]
        self.verifier.path(row, bytes, path)?;
        self.verifier
            .checksums(&[row], &[bytes], |row| self.checks.of_row(row))
    }

    /// Checks that this is the container's table: one of this length, with the namespace root.
    ///
    /// # Errors
    /// [`Refusal`] of the table, [`Refusal::NamespaceRoot`]
    pub fn table(&self, bytes: &[u8]) -> Result<Table, Refusal> {
        // [D-23] step 4
        let head = &self.verifier.head;
        let table = Table::decode(bytes)?;
        if table.shape() != head.shape {
            let (got, want) = (table.shape().len(), head.shape.len());
            return Err(TableError::Other { got, want }.into());
        }
        if NamespaceTree::new(&table).root() != head.namespace_root {
            return Err(Refusal::NamespaceRoot);
        }
        Ok(table)
    }
}

impl<'bytes> Sample<'bytes> {
    /// As it is sent: row 2, bytes, 12 hashes, checksums, 12 hashes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // [D-24]
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.row.to_be_bytes());
        bytes.extend_from_slice(self.bytes);
        for hash in &self.path {
            bytes.extend_from_slice(&hash.0);
        }
        bytes.extend_from_slice(self.checks);
        for hash in &self.check_path {
            bytes.extend_from_slice(&hash.0);
        }
        bytes
    }

    /// What was encoded, of a container with this head: well-formed, but nobody has verified it.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(head: &Head, bytes: &'bytes [u8]) -> Result<Self, DecodeError> {
        // [D-24]
        let mut reader = Reader::new(bytes);
        let row = reader.u16()?;
        if usize::from(row) >= ROWS {
            return Err(DecodeError::Places);
        }
        let sample = Self {
            row,
            bytes: reader.take(head.shape.width())?,
            path: read_path(&mut reader)?,
            checks: reader.take(2 * usize::from(head.columns))?,
            check_path: read_path(&mut reader)?,
        };
        reader.end()?;
        Ok(sample)
    }
}

fn read_path(reader: &mut Reader<'_>) -> Result<RowPath, DecodeError> {
    let mut path = [Hash32([0; 32]); super::rows::ROW_SIBLINGS];
    for hash in &mut path {
        *hash = reader.hash()?;
    }
    Ok(path)
}
