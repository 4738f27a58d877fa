//! The superblock, file `SUPER`: what a data directory is. Four copies, one page each.
//!
//! ```text
//!   0 magic "LODESUPR"  8 version u16  10 shards u16  12 incompatible features u32
//!  16 generation u64   24 segment length u64  32 store id, 16 bytes
//!  48 created u64      56 epoch u32    60 zero u32
//!  64 append bytes/s u64  72 read operations/s of 4 KiB u64  80 sync µs u64   (calibration)
//! ```
//! Copies 0 and 1 are written and synced before 2 and 3, so one generation is always whole. A
//! reader takes the highest whole generation and refuses a version or a feature it does not know.

use super::{VERSION, get_u16, get_u32, get_u64, page};

/// Copies in the file.
pub const COPIES: u32 = 4;
const MAGIC: &[u8; 8] = b"LODESUPR";
const LEN: usize = 88;
const TAG: u64 = u64::from_le_bytes(*b"superblk");

/// What a data directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Logical shards, for life.
    pub shards: u16,
    /// Counts rewrites.
    pub generation: u64,
    /// Bytes of a new segment file.
    pub segment_len: u64,
    /// Random name of the store.
    pub store: [u8; 16],
    /// Seconds since the Unix epoch when it was made.
    pub created: u64,
    /// Epoch at the last rewrite.
    pub epoch: u32,
    /// What the disk could do when it was measured.
    pub disk: Calibration,
}

/// A disk's measured speed; zeroes before it was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calibration {
    /// Durable append, bytes per second.
    pub append_rate: u64,
    /// Random reads of 4 KiB per second.
    pub read_rate: u64,
    /// Median time of one small write and sync, microseconds.
    pub sync_micros: u64,
}

/// Why a file is not a superblock that can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuperError {
    /// No copy is whole.
    #[error("no copy of the superblock is whole; restore SUPER from a backup")]
    Damaged,
    /// Another version wrote it.
    #[error(
        "format version {0} is not the version {VERSION} that this program knows; use the matching release"
    )]
    Version(u16),
    /// A feature that this program does not know.
    #[error("the store uses features {0:#x} that this program does not know; use a newer release")]
    Feature(u32),
    /// Whole, and impossible.
    #[error(
        "no store has {shards} shards and segments of {segment_len} bytes; restore SUPER from a backup"
    )]
    Shape {
        /// Shards that it states.
        shards: u16,
        /// Bytes of a segment that it states.
        segment_len: u64,
    },
}

/// Whether segments may have this length: whole pages, 1 MiB to 1 GiB.
pub fn fits_segment(len: u64) -> bool {
    len.is_multiple_of(4096) && (1 << 20..=1 << 30).contains(&len)
}

impl Superblock {
    /// Page `copy` of the file.
    pub fn encode(&self, copy: u32) -> Vec<u8> {
        let mut out = [0; LEN];
        out[0..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10..12].copy_from_slice(&self.shards.to_le_bytes());
        out[16..24].copy_from_slice(&self.generation.to_le_bytes());
        out[24..32].copy_from_slice(&self.segment_len.to_le_bytes());
        out[32..48].copy_from_slice(&self.store);
        out[48..56].copy_from_slice(&self.created.to_le_bytes());
        out[56..60].copy_from_slice(&self.epoch.to_le_bytes());
        out[64..72].copy_from_slice(&self.disk.append_rate.to_le_bytes());
        out[72..80].copy_from_slice(&self.disk.read_rate.to_le_bytes());
        out[80..88].copy_from_slice(&self.disk.sync_micros.to_le_bytes());
        page::paginate(&out, TAG, copy, page::Kind::Super)
    }

    /// Reads the newest whole copy.
    pub fn decode(file: &[u8]) -> Result<Superblock, SuperError> {
        let pages = file.chunks(page::PAGE).zip(0..COPIES);
        let whole = pages.filter(|(page, number)| {
            page::check(page, TAG, *number) == Ok(page::Kind::Super) && page[..8] == *MAGIC
        });
        let newest = whole
            .map(|(page, _)| page)
            .max_by_key(|page| get_u64(page, 16));
        let page = newest.ok_or(SuperError::Damaged)?;
        match (get_u16(page, 8), get_u32(page, 12)) {
            (VERSION, 0) => Self::fields(page).checked(),
            (VERSION, features) => Err(SuperError::Feature(features)),
            (version, _) => Err(SuperError::Version(version)),
        }
    }

    fn checked(self) -> Result<Superblock, SuperError> {
        let Superblock {
            shards,
            segment_len,
            ..
        } = self;
        if shards > 0 && fits_segment(segment_len) {
            Ok(self)
        } else {
            Err(SuperError::Shape {
                shards,
                segment_len,
            })
        }
    }

    fn fields(page: &[u8]) -> Superblock {
        Superblock {
            shards: get_u16(page, 10),
            generation: get_u64(page, 16),
            segment_len: get_u64(page, 24),
            store: page[32..48].try_into().expect("16 bytes"),
            created: get_u64(page, 48),
            epoch: get_u32(page, 56),
            disk: Calibration {
                append_rate: get_u64(page, 64),
                read_rate: get_u64(page, 72),
                sync_micros: get_u64(page, 80),
            },
        }
    }
}
