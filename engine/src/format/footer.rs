//! The footer: what a closed segment holds, so that nobody has to walk it.
//!
//! ```text
//!  frames … │ Footer pages: head 40 B, entries 80 B each, BLAKE3 of both │ … │ FooterPointer (last page)
//!
//!  head     0 magic "LODEFOOT"  8 segment u32  12 entries u32  16 first sequence u64
//!          24 last sequence u64 32 end of the records in the stream u64
//!  entry    0 record header without BLAKE3, 72 B     72 stream position u64
//!  pointer  0 magic "LODEFPTR"  8 segment u32  12 first footer page u32  16 footer pages u32
//! ```

use super::{get_u32, get_u64, page, record};

/// Bytes of an entry.
pub const ENTRY: usize = record::SHORT + 8;
/// [`ENTRY`] for sums of bytes.
pub const ENTRY_U64: u64 = 80;
const _: () = assert!(ENTRY == 80);
/// Most records a segment holds: bounds the footer's memory (7 MiB) while a segment is open.
pub const ENTRIES_MAX: usize = 1 << 16;

const HEAD: usize = 40;
const MAGIC: &[u8; 8] = b"LODEFOOT";
const POINTER_MAGIC: &[u8; 8] = b"LODEFPTR";

/// A record's header (its BLAKE3 zero) and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Header; `check` is zero.
    pub header: record::Header,
    /// Position of the header in the segment's stream.
    pub at: page::StreamAt,
}

/// What a closed segment holds, in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Number of the segment.
    pub segment: u32,
    /// Stream position after the last record.
    pub end: page::StreamAt,
    /// Every record.
    pub entries: Vec<Entry>,
}

/// Where a footer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Number of the segment.
    pub segment: u32,
    /// First page of the footer.
    pub first: u32,
    /// Pages of the footer.
    pub pages: u32,
}

/// Why bytes are not a footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FooterError {
    /// Lengths, magic or order do not fit.
    #[error("footer is malformed")]
    Malformed,
    /// The contents do not have the checksum.
    #[error("footer checksum does not match")]
    Checksum,
    /// An entry is not a record header.
    #[error("footer entry: {0}")]
    Record(#[from] record::RecordError),
}

/// Pages that a footer of `entries` entries takes, with the pointer.
pub fn pages_for(entries: usize) -> u32 {
    let bytes = HEAD + entries * ENTRY + 32;
    u32::try_from(bytes.div_ceil(page::PAYLOAD) + 1).expect("at most 65,536 entries")
}

impl Footer {
    /// The footer's stream bytes, without pages.
    pub fn encode(&self) -> Vec<u8> {
        let count = u32::try_from(self.entries.len()).expect("at most 65,536 entries");
        let first = self
            .entries
            .first()
            .map_or(0, |entry| entry.header.sequence);
        let last = self.entries.last().map_or(0, |entry| entry.header.sequence);
        let mut out = Vec::with_capacity(HEAD + self.entries.len() * ENTRY + 32);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&last.to_le_bytes());
        out.extend_from_slice(&self.end.to_le_bytes());
        for entry in &self.entries {
            let mut short = [0; record::SHORT];
            entry.header.encode_short(&mut short);
            out.extend_from_slice(&short);
            out.extend_from_slice(&entry.at.to_le_bytes());
        }
        let check = blake3::hash(&out);
        out.extend_from_slice(check.as_bytes());
        out
    }

    /// Reads the stream bytes of a footer; what follows its checksum must be zero.
    pub fn decode(bytes: &[u8]) -> Result<Footer, FooterError> {
        let (content, rest) = Self::split(bytes)?;
        if rest[..32] != *blake3::hash(content).as_bytes() {
            return Err(FooterError::Checksum);
        }
        Self::parse(content, rest)
    }

    /// As [`Footer::decode`], but whatever the checksum is: a bug to be planted.
    pub(crate) fn decode_unchecked(bytes: &[u8]) -> Result<Footer, FooterError> {
        let (content, rest) = Self::split(bytes)?;
        Self::parse(content, rest)
    }

    /// Head and entries, then the checksum and what follows it.
    fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), FooterError> {
        if bytes.len() < HEAD + 32 || bytes[..8] != *MAGIC {
            return Err(FooterError::Malformed);
        }
        let count = usize::try_from(get_u32(bytes, 12)).map_err(|_| FooterError::Malformed)?;
        if count > ENTRIES_MAX || bytes.len() < HEAD + count * ENTRY + 32 {
            return Err(FooterError::Malformed);
        }
        Ok(bytes.split_at(HEAD + count * ENTRY))
    }

    fn parse(content: &[u8], rest: &[u8]) -> Result<Footer, FooterError> {
        let footer = Footer {
            segment: get_u32(content, 8),
            end: get_u64(content, 32),
            entries: content[HEAD..]
                .chunks_exact(ENTRY)
                .map(decode_entry)
                .collect::<Result<_, _>>()?,
        };
        let ends = (footer.first_sequence(), footer.last_sequence());
        let stated = (get_u64(content, 16), get_u64(content, 24));
        if ends != stated || rest[32..].iter().any(|&byte| byte != 0) || !footer.in_order() {
            return Err(FooterError::Malformed);
        }
        Ok(footer)
    }

    /// Sequence number of the first record; 0 without records.
    pub fn first_sequence(&self) -> u64 {
        self.entries
            .first()
            .map_or(0, |entry| entry.header.sequence)
    }

    /// Sequence number of the last record; 0 without records.
    pub fn last_sequence(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.header.sequence)
    }

    /// Records follow each other without overlap, in sequence, up to `end`.
    fn in_order(&self) -> bool {
        let mut at = 0;
        let mut sequence = 0;
        for entry in &self.entries {
            if entry.at < at || entry.at > self.end || entry.header.sequence <= sequence {
                return false;
            }
            let Some(end) = entry.at.checked_add(entry.header.total_len()) else {
                return false;
            };
            at = end;
            sequence = entry.header.sequence;
        }
        at <= self.end
    }
}

/// First sequence number, from a footer's first bytes; none if they are not segment `number`'s.
pub fn first_sequence(bytes: &[u8], number: u32) -> Option<u64> {
    let ours = bytes.len() >= HEAD && bytes[..8] == *MAGIC && get_u32(bytes, 8) == number;
    ours.then(|| get_u64(bytes, 16)).filter(|first| *first != 0)
}

fn decode_entry(bytes: &[u8]) -> Result<Entry, record::RecordError> {
    Ok(Entry {
        header: record::Header::decode_short(bytes)?,
        at: get_u64(bytes, record::SHORT),
    })
}

impl Pointer {
    /// The pointer's stream bytes, without the page.
    pub fn encode(&self) -> [u8; 20] {
        let mut out = [0; 20];
        out[0..8].copy_from_slice(POINTER_MAGIC);
        out[8..12].copy_from_slice(&self.segment.to_le_bytes());
        out[12..16].copy_from_slice(&self.first.to_le_bytes());
        out[16..20].copy_from_slice(&self.pages.to_le_bytes());
        out
    }

    /// Reads the payload of a pointer page.
    pub fn decode(payload: &[u8]) -> Result<Pointer, FooterError> {
        if payload.len() < 20 || payload[..8] != *POINTER_MAGIC {
            return Err(FooterError::Malformed);
        }
        let pointer = Pointer {
            segment: get_u32(payload, 8),
            first: get_u32(payload, 12),
            pages: get_u32(payload, 16),
        };
        let fits = pointer.pages >= 1 && pointer.pages < pages_for(ENTRIES_MAX);
        let ends = pointer.first.checked_add(pointer.pages);
        match ends {
            Some(end) if fits && end < page::PAGE_NUMBER_END => Ok(pointer),
            _ => Err(FooterError::Malformed),
        }
    }
}
