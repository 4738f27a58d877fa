//! The checksums of all rows, made of those of the original rows, and the tree over them.
//!
//! ```text
//!  sent   1024 rows × T low bytes, T high bytes     2 KiB for each column
//!  known  3072 rows × T low bytes, T high bytes     what the code makes of them
//!  tree   that of rows, over SHA-256(0x00 | the 2T bytes of a row)
//! ```

use alloc::vec::Vec;

use super::{
    code::parity_of_checks,
    rows::row_tree,
    shape::{COLUMNS_MAX, ORIGINAL_ROWS},
    tree::{Tree, leaf},
};

/// Checksums of every row, those of parity rows made by the code. Whether they are those of some
/// container is for its check root to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    columns: usize,
    bytes: Vec<u8>,
}

impl Checks {
    /// Extends the checksums of the original rows. `None` unless there are 2 bytes for each of 1024
    /// rows and 1 to 32 columns. Cost: about 0.2 ms.
    #[must_use]
    pub fn extend(columns: usize, originals: &[u8]) -> Option<Self> {
        // [D-16]
        let len = ORIGINAL_ROWS * 2 * columns;
        if !(1..=COLUMNS_MAX).contains(&columns) || originals.len() != len {
            return None;
        }
        let mut bytes = originals.to_vec();
        bytes.extend_from_slice(&parity_of_checks(originals, 2 * columns));
        Some(Self { columns, bytes })
    }

    /// The checksums of a row below 3072: a low byte for each column, then a high byte for each.
    #[must_use]
    pub fn of_row(&self, row: usize) -> &[u8] {
        &self.bytes[row * 2 * self.columns..][..2 * self.columns]
    }

    /// Those of the original rows: all that has to be sent.
    #[must_use]
    pub fn originals(&self) -> &[u8] {
        &self.bytes[..ORIGINAL_ROWS * 2 * self.columns]
    }

    /// The tree whose root is the check root. Cost: about 0.5 ms.
    #[must_use]
    pub fn tree(&self) -> Tree {
        // [D-16]
        row_tree(
            self.bytes
                .chunks_exact(2 * self.columns)
                .map(leaf)
                .collect(),
        )
    }
}
