//! The page: 4 KiB on disk that prove themselves.
//!
//! ```text
//!  0                                        4080      4088   4091 4092     4096
//!  ┌─────────────────────────────────────────┬─────────┬──────┬────┬────────┐
//!  │ payload                                 │ tag u64 │ page │kind│ crc32c │
//!  └─────────────────────────────────────────┴─────────┴──────┴────┴────────┘
//!                                            little endian; page u24, kind u8
//! ```
//!
//! The checksum covers the other 4092 bytes. The tag is drawn anew for every life of a file, the
//! page number is the page's place in it: a torn, rotten, misplaced or left-over page fails one of
//! the three. So any page can be trusted on its own and a sub-read needs no second read for a
//! checksum table; the price is 16 bytes in 4096 (0.4 %) and a copy while payloads are gathered.
//!
//! Payloads of neighbouring pages form one stream; a [`StreamAt`] counts payload bytes.

use super::{get_u32, get_u64};

/// Bytes of a page on disk.
pub const PAGE: usize = 4096;
/// Bytes of a page that belong to the stream.
pub const PAYLOAD: usize = PAGE - TRAILER;
/// Bytes of the trailer.
const TRAILER: usize = 16;
/// First page number that does not fit the trailer: files have at most 2^24 pages, 64 GiB.
pub const PAGE_NUMBER_END: u32 = 1 << 24;

const _: () = assert!(PAGE == lode_world::ALIGN, "a page is the unit of IO");

/// A position in a file's stream of payload bytes.
pub type StreamAt = u64;

/// What a page is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Segment header, pages 0 and 1 of a segment.
    SegmentHead = 1,
    /// First page of a frame.
    FrameHead = 2,
    /// Further page of a frame.
    FrameBody = 3,
    /// Page of a footer.
    Footer = 4,
    /// Last page of a closed segment: points to the footer.
    FooterPointer = 5,
    /// Page of a checkpoint.
    Checkpoint = 6,
    /// Copy of the superblock.
    Super = 7,
}

impl Kind {
    fn from_u8(byte: u8) -> Option<Kind> {
        [
            Kind::SegmentHead,
            Kind::FrameHead,
            Kind::FrameBody,
            Kind::Footer,
            Kind::FooterPointer,
            Kind::Checkpoint,
            Kind::Super,
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
    /// Tag of the file's present life.
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
    /// Left over from an earlier life of the file, or of another file.
    #[error("page belongs to another life of the file")]
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
pub fn open(page: &[u8]) -> Result<Place, PageError> {
    if page.len() != PAGE || get_u32(page, PAGE - 4) != crc32c::crc32c(&page[..PAGE - 4]) {
        return Err(PageError::Checksum);
    }
    let number = get_u32(page, PAYLOAD + 8);
    let kind = number.to_le_bytes()[3];
    Ok(Place {
        tag: get_u64(page, PAYLOAD),
        page: number & (PAGE_NUMBER_END - 1),
        kind: Kind::from_u8(kind).ok_or(PageError::Kind)?,
    })
}

/// Checks that `page` is page `number` of the life `tag`, and tells its kind.
pub fn check(page: &[u8], tag: u64, number: u32) -> Result<Kind, PageError> {
    let place = open(page)?;
    if place.tag != tag {
        return Err(PageError::Tag);
    }
    if place.page != number {
        return Err(PageError::Number);
    }
    Ok(place.kind)
}

/// Stream position of the first payload byte of a page.
pub fn stream_start(page: u32) -> StreamAt {
    u64::from(page) * PAYLOAD_U64
}

/// Number of the page that holds the stream byte `at`.
pub fn page_of(at: StreamAt) -> u32 {
    u32::try_from(at / PAYLOAD_U64).expect("stream positions come from pages, which have 24 bits")
}

/// Offset in its page of the stream byte `at`.
pub fn offset_in_page(at: StreamAt) -> usize {
    usize::try_from(at % PAYLOAD_U64).expect("below 4080")
}

/// [`PAYLOAD`] for arithmetic on stream positions.
pub const PAYLOAD_U64: u64 = 4080;
const _: () = assert!(PAYLOAD == 4080);

/// Cuts `bytes` into stamped pages of one kind, for small whole structures (superblock, footer,
/// checkpoint, header) that are built in memory first.
pub fn paginate(bytes: &[u8], tag: u64, first: u32, kind: Kind) -> Vec<u8> {
    let pages = bytes.len().div_ceil(PAYLOAD).max(1);
    let mut out = vec![0; pages * PAGE];
    let payloads = out.chunks_exact_mut(PAGE).zip(bytes.chunks(PAYLOAD));
    for (number, (page, payload)) in (first..).zip(payloads) {
        page[..payload.len()].copy_from_slice(payload);
        stamp(
            page,
            Place {
                tag,
                page: number,
                kind,
            },
        );
    }
    if bytes.is_empty() {
        stamp(
            &mut out[..PAGE],
            Place {
                tag,
                page: first,
                kind,
            },
        );
    }
    out
}

/// Undoes [`paginate`]: checks every page and joins the payloads.
pub fn join(pages: &[u8], tag: u64, first: u32, kind: Kind) -> Result<Vec<u8>, PageError> {
    let mut out = Vec::with_capacity(pages.len() / PAGE * PAYLOAD);
    for (number, page) in (first..).zip(pages.chunks(PAGE)) {
        if check(page, tag, number)? != kind {
            return Err(PageError::Kind);
        }
        out.extend_from_slice(&page[..PAYLOAD]);
    }
    Ok(out)
}
