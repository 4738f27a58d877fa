//! Every reason not to believe a sliver, a row, a sample or a range, by the step that failed.

use super::{
    shape::{ORIGINAL_ROWS, ROWS},
    table::TableError,
};

/// Why what was sent is not part of the container. None of them can be cured by trying again with the
/// same bytes: ask somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The head has another number of columns than so many holders need.
    #[error("the head has {got} columns, its holders need {want}")]
    Columns {
        /// Columns of the head.
        got: u16,
        /// Columns that the number of holders implies.
        want: usize,
    },
    /// No such row, or rows that are not ascending.
    #[error("row {row} is out of order, or past the last of {ROWS}")]
    Row {
        /// Its number.
        row: u16,
    },
    /// Another number of rows than were asked for.
    #[error("{got} rows, {want} were asked for")]
    Rows {
        /// Rows found.
        got: usize,
        /// Rows asked for.
        want: usize,
    },
    /// A row of another length than the width.
    #[error("row {row} has {got} bytes, not {want}")]
    RowLength {
        /// Its number.
        row: u16,
        /// Bytes found.
        got: usize,
        /// The width.
        want: usize,
    },
    /// Rows and the hashes beside them do not lead to the row root.
    #[error("the rows do not lead to the row root")]
    RowRoot,
    /// Another number of bytes than the checksums of the original rows have.
    #[error("{got} bytes of checksums, {ORIGINAL_ROWS} rows of so many columns have {want}")]
    ChecksLength {
        /// Bytes found.
        got: usize,
        /// Bytes that the columns imply.
        want: usize,
    },
    /// The checksums, or those of one row and its path, do not lead to the check root.
    #[error("the checksums do not lead to the check root")]
    CheckRoot,
    /// A row's checksums are not those that the code makes of the original rows'.
    #[error("row {row} has other checksums: it is not coded rightly")]
    Checksum {
        /// Its number.
        row: u16,
    },
    /// A range that has no bytes, or ends behind the container or blob.
    #[error("no such range of {len} bytes")]
    Range {
        /// Bytes of the container or blob.
        len: u64,
    },
    /// Another number of bytes than the pieces have that the range lies in.
    #[error("{got} bytes, the pieces of this range have {want}")]
    RangeLength {
        /// Bytes found.
        got: usize,
        /// Bytes implied.
        want: usize,
    },
    /// The proof is about another range than the one asked for.
    #[error("this proof is about another range than the one asked for")]
    NotAskedFor,
    /// Pieces and the hashes beside them do not lead to the row root, or to the blob's.
    #[error("the bytes do not lead to the root")]
    RangeRoot,
    /// What the container begins with is no table, or that of another container.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The table does not have the namespace root.
    #[error("the table has another namespace root")]
    NamespaceRoot,
}
