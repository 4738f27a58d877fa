//! What a record is: its outline, which begins it, and where everything of it lies.
//!
//! ```text
//!  page first                                                           first + pages
//!  ┌────────────┬─ ─ ─ ─┬──────────────────── ─ ─ ─┬──────┬──────┐
//!  │ head       │ more  │ rows                     │ foot │ foot │
//!  └────────────┴─ ─ ─ ─┴──────────────────── ─ ─ ─┴──────┴──────┘
//!  outline, row numbers,  one after the other, in    both have the payload of the head page
//!  siblings, checksums,   the order of their numbers
//!  table
//!
//!  outline:  at bytes field
//!             0    4  magic      "ROWS"
//!             4    2  columns    of the checksums, T
//!             6    2  rows       how many, n
//!             8    4  segment    its number
//!            12    4  first      page of the record in it
//!            16    8  segment tag
//!            24    8  sequence   of two records of one container the later one counts
//!            32    4  table      bytes
//!            36    4  siblings   how many, s
//!            40  169  statement  as it was signed (0G wire apart: proofs, SPEC D-25)
//!           209    7  zero
//!           216   2n  row numbers, ascending
//!             …  32s  siblings
//!             … 2048T checksums of the original rows
//!             …       table, then zeros to the end of the page; rows begin a new page
//! ```
//! All lengths follow from the outline, so a record's place is taken before its first row has come,
//! and any row is found by arithmetic.

use std::ops::Range;

use lode_proofs::{
    Hash32,
    da::{
        Head, Quorum, Statement,
        certificate::STATEMENT_LEN,
        quorum::QUORUM_LEN,
        shape::{ORIGINAL_ROWS, ROWS},
        table::TABLE_LEN_MAX,
    },
};

use super::{
    FormatError, array, get_u16, get_u32, get_u64, long_enough,
    page::{Kind, PAGE_NUMBER_END, PAYLOAD, PAYLOAD_U64, Place, pages_for},
};

/// Bytes of the outline before the row numbers.
pub const OUTLINE_LEN: usize = 216;
/// Pages that end a record: the foot, twice.
pub const FOOT_PAGES: u32 = 2;
/// Most siblings of a sliver: each row has twelve above it at most.
pub const SIBLINGS_MAX: usize = 12 * ROWS;

const MAGIC: [u8; 4] = *b"ROWS";
const STATEMENT_AT: usize = 40;
const ZERO_AT: usize = STATEMENT_AT + STATEMENT_LEN;
const STATEMENT_VERSION: u8 = 1;

// The page of a record in which its outline stands also has row numbers, most often all of them.
const _: () = assert!(OUTLINE_LEN + 2 * 1900 < PAYLOAD);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// What the holder signs.
    pub statement: Statement,
    /// Rows.
    pub rows: u16,
    /// Bytes of the table.
    pub table_len: u32,
    /// Hashes beside the rows.
    pub siblings: u32,
    /// Number of the segment.
    pub segment: u32,
    /// Tag of the segment.
    pub segment_tag: u64,
    /// First page in the segment.
    pub first: u32,
    /// Of two records of one container the one with the higher sequence counts.
    pub sequence: u64,
}

/// A part of what a record has besides rows, in the order in which they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The outline itself, with the statement.
    Outline,
    /// Which rows there are.
    RowNumbers,
    /// The hashes beside them.
    Siblings,
    /// Checksums of the original rows.
    Checks,
    /// The container's table.
    Table,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 5] = [
        Part::Outline,
        Part::RowNumbers,
        Part::Siblings,
        Part::Checks,
        Part::Table,
    ];
}

impl Outline {
    /// The container.
    #[must_use]
    pub fn container(&self) -> Hash32 {
        self.statement.head.id()
    }

    /// Bytes of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.statement.head.shape.width()
    }

    /// Where a part lies in the stream of the record.
    #[must_use]
    pub fn part(&self, part: Part) -> Range<usize> {
        let len = |part| match part {
            Part::Outline => OUTLINE_LEN,
            Part::RowNumbers => 2 * usize::from(self.rows),
            Part::Siblings => 32 * in_memory(self.siblings),
            Part::Checks => 2 * ORIGINAL_ROWS * usize::from(self.statement.head.columns),
            Part::Table => in_memory(self.table_len),
        };
        let before = Part::ALL.into_iter().take_while(|other| *other != part);
        let start = before.map(len).sum();
        start..start + len(part)
    }

    /// Pages before the rows.
    #[must_use]
    pub fn head_pages(&self) -> u32 {
        narrow(pages_for(on_disk(self.part(Part::Table).end)))
    }

    /// Pages of the rows.
    #[must_use]
    pub fn row_pages(&self) -> u32 {
        narrow(pages_for(
            u64::from(self.rows) * u64::from(self.statement.head.shape.width_u32()),
        ))
    }

    /// Pages of the whole record.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.head_pages() + self.row_pages() + FOOT_PAGES
    }

    /// Where the rows `from..to` of the record (by their order, not their number) lie in the stream
    /// that begins with its first page.
    #[must_use]
    pub fn rows_at(&self, order: Range<usize>) -> Range<u64> {
        let start = u64::from(self.head_pages()) * PAYLOAD_U64;
        let row = |order| start + on_disk(order) * on_disk(self.width());
        row(order.start)..row(order.end)
    }

    /// Which rows, by their order, have bytes in a page of the record, counted from its first.
    #[must_use]
    pub fn rows_in(&self, page: u32) -> Range<usize> {
        let Some(page) = page.checked_sub(self.head_pages()) else {
            return 0..0;
        };
        let (from, width) = (in_memory(page) * PAYLOAD, self.width());
        let rows = usize::from(self.rows);
        let end = (from + PAYLOAD).div_ceil(width).min(rows);
        (from / width).min(end)..end
    }

    /// What page `page` of the record, counted from its first, is part of.
    #[must_use]
    pub fn kind(&self, page: u32) -> Kind {
        match page {
            0 => Kind::RecordHead,
            page if page < self.head_pages() => Kind::RecordMore,
            page if page < self.head_pages() + self.row_pages() => Kind::RecordRows,
            _ => Kind::RecordFoot,
        }
    }

    /// Where page `page` of the record, counted from its first, is in the file.
    #[must_use]
    pub fn place(&self, tag: u64, page: u32) -> Place {
        Place {
            tag,
            page: self.first + page,
            kind: self.kind(page),
        }
    }

    /// The outline's bytes, without row numbers.
    #[must_use]
    pub fn encode(&self) -> [u8; OUTLINE_LEN] {
        let mut bytes = [0; OUTLINE_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&self.statement.head.columns.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.rows.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.segment.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.segment_tag.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.table_len.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.siblings.to_le_bytes());
        bytes[STATEMENT_AT..ZERO_AT].copy_from_slice(&self.statement.encode());
        bytes
    }

    /// What was encoded; more bytes may follow. What it says of lengths is within the bounds of
    /// containers, and the record within those of a file.
    ///
    /// # Errors
    /// [`FormatError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        long_enough(bytes, OUTLINE_LEN)?;
        if array::<4>(bytes, 0) != MAGIC {
            return Err(FormatError::Magic("record"));
        }
        let columns = get_u16(bytes, 4);
        let outline = Self {
            statement: decode_statement(&array(bytes, STATEMENT_AT), columns)?,
            rows: get_u16(bytes, 6),
            table_len: get_u32(bytes, 32),
            siblings: get_u32(bytes, 36),
            segment: get_u32(bytes, 8),
            segment_tag: get_u64(bytes, 16),
            first: get_u32(bytes, 12),
            sequence: get_u64(bytes, 24),
        };
        if bytes[ZERO_AT..OUTLINE_LEN].iter().any(|byte| *byte != 0) {
            return Err(FormatError::Field("padding"));
        }
        outline.check()?;
        Ok(outline)
    }

    /// Refuses lengths that no record has.
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        let rows = usize::from(self.rows);
        if rows == 0 || rows > ROWS {
            return Err(FormatError::Field("number of rows"));
        }
        if in_memory(self.siblings) > SIBLINGS_MAX {
            return Err(FormatError::Field("number of siblings"));
        }
        if in_memory(self.table_len) > TABLE_LEN_MAX {
            return Err(FormatError::Field("table length"));
        }
        match self.first < PAGE_NUMBER_END && self.pages() <= PAGE_NUMBER_END - self.first {
            true => Ok(()),
            false => Err(FormatError::Field("place")),
        }
    }
}

/// Reads a statement as it was signed; `columns` are not in it, but in the container id that is.
///
/// # Errors
/// [`FormatError::Field`], [`FormatError::Version`]
pub fn decode_statement(
    bytes: &[u8; STATEMENT_LEN],
    columns: u16,
) -> Result<Statement, FormatError> {
    // [D-25]
    let [version, ..] = *bytes;
    if version != STATEMENT_VERSION {
        return Err(FormatError::Field("statement's version"));
    }
    let head = [&bytes[53..161], &columns.to_be_bytes()].concat();
    let head = Head::decode(&head).map_err(|_why| FormatError::Field("container's head"))?;
    if bytes[21..53] != head.id().0 {
        return Err(FormatError::Field("container id"));
    }
    Ok(Statement {
        quorum: Quorum::decode(&array::<QUORUM_LEN>(bytes, 1)),
        head,
        expiry: u64::from_be_bytes(array(bytes, 161)),
    })
}

/// Row numbers as they are kept.
#[must_use]
pub fn encode_rows(rows: &[u16]) -> Vec<u8> {
    rows.iter().flat_map(|row| row.to_le_bytes()).collect()
}

/// What was encoded.
///
/// # Errors
/// Unless they ascend and a container has them.
pub fn decode_rows(bytes: &[u8]) -> Result<Vec<u16>, FormatError> {
    let pairs = bytes.chunks_exact(2).map(|pair| get_u16(pair, 0));
    let rows: Vec<u16> = pairs.collect();
    match are_rows(&rows) {
        true => Ok(rows),
        false => Err(FormatError::Field("list of row numbers")),
    }
}

/// Whether these are some rows of a container: not none, ascending.
#[must_use]
pub fn are_rows(rows: &[u16]) -> bool {
    let ascend = rows.is_sorted_by(|low, high| low < high);
    ascend && rows.last().is_some_and(|last| usize::from(*last) < ROWS)
}

fn in_memory(number: u32) -> usize {
    usize::try_from(number).expect("64-bit")
}

fn on_disk(number: usize) -> u64 {
    u64::try_from(number).expect("64-bit")
}

/// Pages of a record: below 2^24, as the bounds of containers have it.
fn narrow(pages: u64) -> u32 {
    u32::try_from(pages).expect("a container's rows have less than 2^17 pages")
}
