//! A segment's header: which segment it is, and when it may go. Twice, in pages 0 and 1, so that one
//! rotten page does not take it.
//!
//! ```text
//!  at bytes field
//!   0    8  magic     "LODEROWS"
//!   8    2  version   1
//!  10    2  zero
//!  12    4  number
//!  16    8  tag       that of the pages around it
//!  24    8  until     unix seconds: every record of the segment has expired then
//!  32    8  created   unix seconds, for people
//!  40       zeros to the end of the page
//! ```

use super::{
    FormatError, array, get_u16, get_u32, get_u64, long_enough,
    page::{self, Kind, Place},
};

/// The version that is written and read.
pub const VERSION: u16 = 1;
/// Pages of the header: two copies.
pub const HEADER_PAGES: u32 = 2;

const MAGIC: [u8; 8] = *b"LODEROWS";
const LEN: usize = 40;

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Number of the segment; it is in the file's name too.
    pub number: u32,
    /// Tag of the pages that belong to no record.
    pub tag: u64,
    /// When all its records have expired, in unix seconds.
    pub until: u64,
    /// When it was made, in unix seconds.
    pub created: u64,
}

impl SegmentHead {
    /// The payload of one copy.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.tag.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.until.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.created.to_le_bytes());
        bytes
    }

    /// What was encoded.
    ///
    /// # Errors
    /// [`FormatError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        long_enough(bytes, LEN)?;
        if array::<8>(bytes, 0) != MAGIC {
            return Err(FormatError::Magic("segment"));
        }
        let found = get_u16(bytes, 8);
        if found != VERSION {
            return Err(FormatError::Version { found });
        }
        if get_u16(bytes, 10) != 0 || bytes[LEN..].iter().any(|byte| *byte != 0) {
            return Err(FormatError::Field("padding"));
        }
        Ok(Self {
            number: get_u32(bytes, 12),
            tag: get_u64(bytes, 16),
            until: get_u64(bytes, 24),
            created: get_u64(bytes, 32),
        })
    }

    /// Both pages as they are written.
    #[must_use]
    pub fn pages(&self) -> Vec<u8> {
        let copy = |page| page::paginate(&self.encode(), self.place(page));
        [copy(0), copy(1)].concat()
    }

    /// Reads one of the two pages, `number` 0 or 1.
    ///
    /// # Errors
    /// [`FormatError`]; a page that does not prove itself is no header.
    pub fn read(bytes: &[u8], number: u32) -> Result<Self, FormatError> {
        let found = page::open(bytes).map_err(|_unproven| FormatError::Magic("segment"))?;
        let head = Self::decode(&bytes[..page::PAYLOAD])?;
        match found == head.place(number) {
            true => Ok(head),
            false => Err(FormatError::Field("place")),
        }
    }

    fn place(&self, page: u32) -> Place {
        Place {
            tag: self.tag,
            page,
            kind: Kind::SegmentHead,
        }
    }
}
