//! The record: one entry of the log, a header of 104 bytes followed by its payload.
//!
//! ```text
//!   0 kind u8      1 flags u8     2 zero u16     4 payload length u32
//!   8 sequence u64                16 blob number u64
//!  24 detail u64                  32 expiry epoch u32 (0: none)   36 zero u32
//!  40 root, 32 bytes              72 BLAKE3 of the payload, 32 bytes
//! ```
//!
//! | kind | root | blob, detail | payload |
//! |---|---|---|---|
//! | Single | blob root | 0, 0 | the bytes of a blob of at most one chunk |
//! | Chunk | chunk root | blob number, chunk index | the bytes of one chunk |
//! | Group | root of its chunks, zero for a partial one | blob number, group index | 1024 chunk roots |
//! | Manifest | blob root | blob number, size | roots, see [`super::manifest`] |
//! | Open | blob root | blob number, declared size | none: a resumable upload was begun |
//! | Delete | blob root | blob number or 0, see below | none: the blob was deleted |
//! | Abandon | zero | blob number, see below | none: the upload was forgotten |
//!
//! The sequence number orders a shard's records over all its segments. A record copied by
//! compaction carries the flag `MOVED` and a new sequence number; a moved tombstone (Delete,
//! Abandon) keeps the sequence number of the first one in its detail, which is 0 in the first.

use lode_proofs::CHUNK_LEN;

use crate::Root;

use super::{get_hash, get_u32, get_u64, manifest};

/// Bytes of a record header.
pub const HEADER: usize = 104;
/// Longest payload in bytes: a chunk.
pub const PAYLOAD_MAX: usize = CHUNK_LEN;
/// Flag: compaction copied this record.
pub const MOVED: u8 = 1;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A whole blob of at most one chunk.
    Single = 1,
    /// One chunk of a longer blob.
    Chunk = 2,
    /// The chunk roots of 1024 chunks.
    Group = 3,
    /// Binds a blob number to a root: the blob is complete.
    Manifest = 4,
    /// A resumable upload was begun.
    Open = 5,
    /// A blob was deleted.
    Delete = 6,
    /// An upload was forgotten.
    Abandon = 7,
}

impl Kind {
    fn from_u8(byte: u8) -> Option<Kind> {
        [
            Kind::Single,
            Kind::Chunk,
            Kind::Group,
            Kind::Manifest,
            Kind::Open,
            Kind::Delete,
            Kind::Abandon,
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

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// [`MOVED`] or 0.
    pub flags: u8,
    /// Payload bytes, at most [`PAYLOAD_MAX`].
    pub len: u32,
    /// Place in the order of the shard's records.
    pub sequence: u64,
    /// The shard's number of the blob or upload; 0 for a single.
    pub blob: u64,
    /// Index of the chunk or group in the blob, or the blob's size: see the table.
    pub detail: u64,
    /// First epoch in which the record may be gone; 0 for none.
    pub expiry: u32,
    /// Root, see the table above.
    pub root: Root,
    /// BLAKE3 of the payload.
    pub check: [u8; 32],
}

/// Why bytes are not a record header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Too few bytes.
    #[error("record header is cut short")]
    Short,
    /// A kind, flag or filler that this version does not write.
    #[error("record header has an unknown kind or flag")]
    Unknown,
    /// A length beyond the limit of the kind.
    #[error("record payload length is out of bounds")]
    Length,
}

impl Header {
    /// The header's 104 bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        self.encode_short((&mut out[..SHORT]).try_into().expect("72 of 104 bytes"));
        out[SHORT..].copy_from_slice(&self.check);
        out
    }

    /// The first 72 bytes: all but the BLAKE3. Footers keep these.
    pub fn encode_short(&self, out: &mut [u8; SHORT]) {
        out[0] = self.kind.to_u8();
        out[1] = self.flags;
        out[2..4].fill(0);
        out[4..8].copy_from_slice(&self.len.to_le_bytes());
        out[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        out[16..24].copy_from_slice(&self.blob.to_le_bytes());
        out[24..32].copy_from_slice(&self.detail.to_le_bytes());
        out[32..36].copy_from_slice(&self.expiry.to_le_bytes());
        out[36..40].fill(0);
        out[40..72].copy_from_slice(self.root.as_bytes());
    }

    /// Reads a header from the first 104 bytes of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Header, RecordError> {
        if bytes.len() < HEADER {
            return Err(RecordError::Short);
        }
        let mut header = Header::decode_short(bytes)?;
        header.check = get_hash(bytes, SHORT);
        Ok(header)
    }

    /// Reads a header without its BLAKE3 (which is left zero) from the first 72 bytes of `bytes`.
    pub fn decode_short(bytes: &[u8]) -> Result<Header, RecordError> {
        if bytes.len() < SHORT {
            return Err(RecordError::Short);
        }
        let kind = Kind::from_u8(bytes[0]).ok_or(RecordError::Unknown)?;
        if bytes[1] & !MOVED != 0 || bytes[2..4] != [0; 2] || bytes[36..40] != [0; 4] {
            return Err(RecordError::Unknown);
        }
        let header = Header {
            kind,
            flags: bytes[1],
            len: get_u32(bytes, 4),
            sequence: get_u64(bytes, 8),
            blob: get_u64(bytes, 16),
            detail: get_u64(bytes, 24),
            expiry: get_u32(bytes, 32),
            root: Root::from(get_hash(bytes, 40)),
            check: [0; 32],
        };
        if header.payload_len() > PAYLOAD_MAX || !header.len_fits_kind() {
            return Err(RecordError::Length);
        }
        Ok(header)
    }

    /// Payload bytes.
    pub fn payload_len(&self) -> usize {
        usize::try_from(self.len).expect("u32 fits usize on 64-bit")
    }

    /// Header and payload bytes.
    pub fn total_len(&self) -> u64 {
        HEADER_U64 + u64::from(self.len)
    }

    /// Whether compaction copied the record.
    pub fn moved(&self) -> bool {
        self.flags & MOVED != 0
    }

    fn len_fits_kind(&self) -> bool {
        match self.kind {
            Kind::Single => self.len > 0,
            Kind::Chunk => self.len > 0 && self.detail < manifest::CHUNKS_MAX,
            Kind::Group => {
                self.payload_len() == manifest::GROUP_LEN && self.detail < manifest::ROOTS_MAX
            }
            Kind::Manifest => {
                (1..=manifest::BLOB_MAX).contains(&self.detail)
                    && self.payload_len() == manifest::encoded_len(self.detail)
            }
            Kind::Open => self.len == 0 && (1..=manifest::BLOB_MAX).contains(&self.detail),
            Kind::Delete | Kind::Abandon => self.len == 0,
        }
    }
}

/// Bytes of a header without its BLAKE3.
pub const SHORT: usize = 72;
const HEADER_U64: u64 = 104;
const _: () = assert!(HEADER == 104 && SHORT + 32 == HEADER);
