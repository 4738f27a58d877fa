//! The page: 4 KiB on disk that prove themselves.
//!
//! ```text
//!  0                                        4080      4088   4091 4092     4096
//!  ┌─────────────────────────────────────────┬─────────┬──────┬────┬────────┐
//!  │ payload                                 │ tag u64 │ page │kind│ crc32c │
//!  └─────────────────────────────────────────┴─────────┴──────┴────┴────────┘
//! ```
//! The form of the engine's pages, with kinds of its own, so that none is ever taken for the other.
//! The checksum covers the other 4092 bytes. The tag is random: one for each record, and one for what
//! belongs to the segment as a whole. So a page that is torn, rotten, misplaced, or left over from a
//! record that was given up is known by itself. Payloads of neighbouring pages form one stream.

use super::{get_u32, get_u64};

/// Bytes of a page on disk.
pub const PAGE: usize = 4096;
/// Bytes of a page that belong to the stream.
pub const PAYLOAD: usize = PAGE - TRAILER;
/// [`PAGE`] for file offsets.
pub const PAGE_U64: u64 = 4096;
/// [`PAYLOAD`] for positions in a stream.
pub const PAYLOAD_U64: u64 = 4080;
/// First page number that does not fit the trailer: files have at most 2^24 pages, 64 GiB.
pub const PAGE_NUMBER_END: u32 = 1 << 24;

const TRAILER: usize = 16;

const _: () = assert!(PAGE == lode_world::ALIGN, "a page is the unit of IO");
const _: () = assert!(PAGE == 4096 && PAYLOAD == 4080);

/// What a page is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Segment header, pages 0 and 1.
    SegmentHead = 16,
    /// First page of a record.
    RecordHead = 17,
    /// Further page of what a record has besides rows.
    RecordMore = 18,
    /// Rows of a record.
    RecordRows = 19,
    /// Says that all pages of the record before it are durable; two of a kind end each record.
    RecordFoot = 20,
    /// Page of the list of a segment's records.
    Index = 21,
    /// Last page of a closed segment: where the list is.
    IndexPointer = 22,
}

impl Kind {
    fn from_u8(byte: u8) -> Option<Kind> {
        [
            Kind::SegmentHead,
            Kind::RecordHead,
            Kind::RecordMore,
            Kind::RecordRows,
            Kind::RecordFoot,
            Kind::Index,
            Kind::IndexPointer,
        ]
        .into_iter()
        .find(|kind| kind.to_u8() == byte)
    }

    #[expect(
        clippy::as_conversions,
        reason = "a fieldless repr(u8) enum has no other way"
    )]
    const fn to_u8(self) -> u8 {
        self as u8
    }
}

/// Where a page claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Tag of its record, or of its segment.
    pub tag: u64,
    /// Number of the page in the file.
    pub page: u32,
    /// What it is part of.
    pub kind: Kind,
}

/// Why a page is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Torn, rotten, or never written.
    #[error("page checksum does not match")]
    Checksum,
    /// Of another record, or of another segment.
    #[error("page belongs to another record or segment")]
    Tag,
    /// Written somewhere else.
    #[error("page belongs to another place in the file")]
    Number,
    /// Not of the kind that belongs here.
    #[error("page is of another kind")]
    Kind,
}

/// Finishes a page: fills the trailer of `page` (4 KiB, payload already in place).
pub fn stamp(page: &mut [u8], place: Place) {
    assert!(page.len() == PAGE, "a page has 4096 bytes");
    assert!(place.page < PAGE_NUMBER_END, "page numbers have 24 bits");
    page[PAYLOAD..PAYLOAD + 8].copy_from_slice(&place.tag.to_le_bytes());
    let number = place.page | u32::from(place.kind.to_u8()) << 24;
    page[PAYLOAD + 8..PAYLOAD + 12].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&page[..PAGE - 4]);
    page[PAGE - 4..].copy_from_slice(&crc.to_le_bytes());
}

/// Reads a page's trailer after checking its checksum; the caller compares the place.
///
/// # Errors
/// [`PageError::Checksum`], [`PageError::Kind`]
pub fn open(page: &[u8]) -> Result<Place, PageError> {
    if page.len() != PAGE || get_u32(page, PAGE - 4) != crc32c::crc32c(&page[..PAGE - 4]) {
        return Err(PageError::Checksum);
    }
    let number = get_u32(page, PAYLOAD + 8);
    let [.., kind] = number.to_le_bytes();
    Ok(Place {
        tag: get_u64(page, PAYLOAD),
        page: number & (PAGE_NUMBER_END - 1),
        kind: Kind::from_u8(kind).ok_or(PageError::Kind)?,
    })
}

/// Checks that `page` is this page and no other.
///
/// # Errors
/// [`PageError`]
pub fn check(page: &[u8], place: Place) -> Result<(), PageError> {
    let found = open(page)?;
    if found.tag != place.tag {
        return Err(PageError::Tag);
    }
    if found.page != place.page {
        return Err(PageError::Number);
    }
    if found.kind != place.kind {
        return Err(PageError::Kind);
    }
    Ok(())
}

/// Cuts `bytes` into stamped pages of one kind, the first of them at `place`; at least one.
#[must_use]
pub fn paginate(bytes: &[u8], place: Place) -> Vec<u8> {
    let pages = bytes.len().div_ceil(PAYLOAD).max(1);
    let mut out = vec![0; pages * PAGE];
    for (at, number) in (0..pages).zip(place.page..) {
        let page = &mut out[at * PAGE..(at + 1) * PAGE];
        let rest = &bytes[at * PAYLOAD..];
        let payload = &rest[..rest.len().min(PAYLOAD)];
        page[..payload.len()].copy_from_slice(payload);
        let place = Place {
            page: number,
            ..place
        };
        stamp(page, place);
    }
    out
}

/// Undoes [`paginate`]: checks every page and joins the payloads.
///
/// # Errors
/// The first [`PageError`].
pub fn join(pages: &[u8], place: Place) -> Result<Vec<u8>, PageError> {
    let mut out = Vec::with_capacity(pages.len() / PAGE * PAYLOAD);
    for (number, page) in (place.page..).zip(pages.chunks(PAGE)) {
        let place = Place {
            page: number,
            ..place
        };
        check(page, place)?;
        out.extend_from_slice(&page[..PAYLOAD]);
    }
    Ok(out)
}

/// Pages that hold a stream of `len` bytes.
#[must_use]
pub fn pages_for(len: u64) -> u64 {
    len.div_ceil(PAYLOAD_U64)
}
