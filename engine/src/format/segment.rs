//! The segment header: who a segment file is. Pages 0 and 1 hold one copy each.
//!
//! ```text
//!   0 magic "LODESEG1"   8 version u16   10 shard u16   12 segment number u32
//!  16 tag u64           24 bucket u32    28 zero u32    32 file length u64
//!  40 created u64       48 store id, 16 bytes
//! ```
//! The bucket is the highest expiry epoch that records of this segment may have (0: no expiry).

use super::{VERSION, get_u16, get_u32, get_u64, page};

/// Pages of headers at the start of a segment.
pub const HEADER_PAGES: u32 = 2;
const MAGIC: &[u8; 8] = b"LODESEG1";
const LEN: usize = 64;

/// Who a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Shard that it belongs to.
    pub shard: u16,
    /// Number in the shard; never used twice.
    pub segment: u32,
    /// Tag of this life of the file.
    pub tag: u64,
    /// Highest expiry epoch of its records; 0 for records without expiry.
    pub bucket: u32,
    /// Bytes of the file when it was made.
    pub file_len: u64,
    /// Seconds since the Unix epoch when it was made.
    pub created: u64,
    /// The store that it belongs to.
    pub store: [u8; 16],
}

impl SegmentHead {
    /// Both header pages.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = [0; LEN];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.shard.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.tag.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.bucket.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.file_len.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created.to_le_bytes());
        bytes[48..64].copy_from_slice(&self.store);
        let mut pages = page::paginate(&bytes, self.tag, 0, page::Kind::SegmentHead);
        pages.extend(page::paginate(&bytes, self.tag, 1, page::Kind::SegmentHead));
        pages
    }

    /// Reads either copy from the first two pages of a segment file; none if neither is whole.
    pub fn decode(pages: &[u8]) -> Option<SegmentHead> {
        pages
            .chunks(page::PAGE)
            .take(2)
            .zip(0..)
            .find_map(|(page, number)| Self::copy(page, number))
    }

    fn copy(page: &[u8], number: u32) -> Option<SegmentHead> {
        let place = page::open(page).ok()?;
        let head = SegmentHead {
            shard: get_u16(page, 10),
            segment: get_u32(page, 12),
            tag: get_u64(page, 16),
            bucket: get_u32(page, 24),
            file_len: get_u64(page, 32),
            created: get_u64(page, 40),
            store: page[48..64].try_into().ok()?,
        };
        let ours = place.kind == page::Kind::SegmentHead
            && place.page == number
            && place.tag == head.tag
            && page[..8] == *MAGIC
            && get_u16(page, 8) == VERSION;
        ours.then_some(head)
    }
}
