//! A container with everything that is made of it: parity rows, checksums, trees, its head. What its
//! maker, or somebody who repairs it, hands out slivers, samples and proofs from.
//!
//! ```text
//!  container ─► parity rows ─► row root ──┐
//!      └─► table ─► namespace root ───────┼─► seed ─► checksums ─► check root ─► head
//!  quorum ────────────────────────────────┘
//! ```
//! Memory: three times the original rows. Cost on one core with AVX-512 and GFNI, of the bytes of a
//! container of 32 MiB: coding 2.5 GB/s, hashing 1.1 GB/s, checksums of 16 columns 6.4 GB/s, all of it
//! 0.66 GB/s; with AVX2 alone 1.5, 1.1, 2.6 and 0.50. `benches -- da` repeats it.

use alloc::vec::Vec;
use core::ops::Range;

use super::{
    checks::Checks,
    checksum::Checksum,
    code,
    container::Container,
    head::Head,
    namespace::{NamespaceProof, NamespaceTree},
    quorum::Quorum,
    range::RangeProof,
    rows::{PLACES, RowHasher, path, proof, row_tree},
    shape::{ORIGINAL_ROWS, ROWS, Shape},
    table::{Namespace, table_len},
    tree::Tree,
    verify::{Sample, Sliver},
};
use crate::hash32::Hash32;

/// See the file's head.
#[derive(Clone, Debug)]
pub struct Coded {
    container: Container,
    parity: Vec<u8>,
    rows: Tree,
    namespaces: NamespaceTree,
    checks: Checks,
    check_tree: Tree,
    head: Head,
}

/// A step of coding a container, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Parity rows.
    Parity,
    /// SHA-256 of the pieces of original rows, and each row's tree.
    OriginalLeaves,
    /// BLAKE3 of parity rows.
    ParityLeaves,
    /// The tree over all rows.
    RowTree,
    /// The tree over the table.
    Namespaces,
    /// Coefficients, and checksums of original rows.
    Checksums,
    /// Checksums of parity rows, and the tree over all of them.
    CheckTree,
}

impl Coded {
    /// Codes a container for a quorum whose assignment asks for so many columns.
    ///
    /// # Panics
    /// If no assignment asks for so many.
    #[must_use]
    pub fn new(container: Container, quorum: &Quorum, columns: usize) -> Self {
        Self::in_memory(container, quorum, columns, Vec::new())
    }

    /// The same in memory that [`Coded::into_memory`] gave back. Whoever codes one container after the
    /// other saves the time that fresh memory takes, a third of all.
    ///
    /// # Panics
    /// As [`Coded::new`].
    #[must_use]
    pub fn in_memory(
        container: Container,
        quorum: &Quorum,
        columns: usize,
        memory: Vec<u8>,
    ) -> Self {
        Self::watched(container, quorum, columns, memory, &mut |_| {})
    }

    /// The same, and says after each step that it is done: what takes the time can be seen while all of
    /// it is done, as each step leaves the next one a cache of its own.
    ///
    /// # Panics
    /// As [`Coded::new`].
    #[must_use]
    pub fn watched(
        container: Container,
        quorum: &Quorum,
        columns: usize,
        memory: Vec<u8>,
        done: &mut impl FnMut(Step),
    ) -> Self {
        let shape = container.shape();
        let parity = code::parity(container.rows(), shape.width(), memory);
        done(Step::Parity);
        let rows = watched_tree_of_rows(container.rows(), &parity, shape, done);
        let namespaces = NamespaceTree::new(container.table());
        done(Step::Namespaces);
        let mut head = Head {
            row_root: rows.root(),
            check_root: Hash32([0; 32]),
            namespace_root: namespaces.root(),
            shape,
            columns: u16::try_from(columns).expect("at most 32 columns"),
        };
        // The seed does not depend on the check root.
        let checksum = Checksum::new(&head.seed(quorum), shape, columns);
        let originals = checksum.of_rows(container.rows().chunks_exact(shape.width()));
        done(Step::Checksums);
        let checks = Checks::extend(columns, &originals).expect("at most 32 columns");
        let check_tree = checks.tree();
        head.check_root = check_tree.root();
        done(Step::CheckTree);
        Self {
            container,
            parity,
            rows,
            namespaces,
            checks,
            check_tree,
            head,
        }
    }

    /// Lets go of it, and keeps the memory of its parity rows for the next one.
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        self.parity
    }

    /// Its head.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The container itself.
    #[must_use]
    pub const fn container(&self) -> &Container {
        &self.container
    }

    /// Its checksums, of which [`Checks::originals`] goes to every holder.
    #[must_use]
    pub const fn checks(&self) -> &Checks {
        &self.checks
    }

    /// A row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: u16) -> &[u8] {
        let (row, width) = (usize::from(row), self.head.shape.width());
        match row.checked_sub(ORIGINAL_ROWS) {
            None => &self.container.rows()[row * width..][..width],
            Some(row) => &self.parity[row * width..][..width],
        }
    }

    /// What the holder of these rows, ascending, gets.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn sliver(&self, rows: &[u16]) -> Sliver<'_> {
        let table_len = table_len(self.container.table().entries().len());
        Sliver {
            rows: rows.iter().map(|row| self.row(*row)).collect(),
            siblings: proof(&self.rows, rows),
            table: &self.container.rows()[..table_len],
        }
    }

    /// One row with its paths; none if there is no such row.
    #[must_use]
    pub fn sample(&self, row: u16) -> Option<Sample<'_>> {
        let place = usize::from(row);
        (place < ROWS).then(|| Sample {
            row,
            bytes: self.row(row),
            path: path(&self.rows, place),
            checks: self.checks.of_row(place),
            check_path: path(&self.check_tree, place),
        })
    }

    /// A range of its bytes; none if it has no byte or does not end within the container.
    #[must_use]
    pub fn range(&self, range: Range<u64>) -> Option<RangeProof<'_>> {
        RangeProof::build(self.head.shape, self.container.rows(), &self.rows, range)
    }

    /// All blobs of a namespace.
    #[must_use]
    pub fn namespace(&self, namespace: Namespace) -> NamespaceProof {
        self.namespaces.prove(self.container.table(), namespace)
    }
}

/// Hashes all rows.
#[cfg(test)]
pub(crate) fn tree_of_rows(original: &[u8], parity: &[u8], shape: Shape) -> Tree {
    watched_tree_of_rows(original, parity, shape, &mut |_| {})
}

fn watched_tree_of_rows(
    original: &[u8],
    parity: &[u8],
    shape: Shape,
    done: &mut impl FnMut(Step),
) -> Tree {
    let hasher = RowHasher::new();
    let leaf = |(row, bytes)| hasher.leaf(row, bytes);
    let mut leaves = Vec::with_capacity(PLACES);
    let rows = original.chunks_exact(shape.width()).enumerate();
    leaves.extend(rows.map(leaf));
    done(Step::OriginalLeaves);
    let rows = parity.chunks_exact(shape.width()).enumerate();
    leaves.extend(rows.map(|(row, bytes)| leaf((ORIGINAL_ROWS + row, bytes))));
    done(Step::ParityLeaves);
    let tree = row_tree(leaves);
    done(Step::RowTree);
    tree
}
