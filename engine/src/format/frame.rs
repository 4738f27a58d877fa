//! The frame: one group commit, the pages between two syncs.
//!
//! ```text
//!  page k (FrameHead)                 page k+1 (FrameBody) …
//!  ┌───────┬────────┬─────────┬──────┬──────────┬────────┬─────────┬───┐
//!  │ head  │ record │ payload │ reco │ rd       │ paylo  │ ad      │ 0 │
//!  └───────┴────────┴─────────┴──────┴──────────┴────────┴─────────┴───┘
//!   32 B    104 B    len       records are packed in the stream, a zero kind byte ends them
//! ```
//!
//! The head tells how many frames of the segment were durable when this one was opened. After a
//! crash that separates rot (a bad page that a later head calls durable) from a torn end (a bad
//! page that nothing after it vouches for).

use super::{get_u32, get_u64};

/// Bytes of a frame head.
pub const HEAD: usize = 32;
const MAGIC: u32 = u32::from_le_bytes(*b"FRM1");

/// The first bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Number of the frame in its segment, from 0.
    pub number: u32,
    /// Number of the segment in its shard.
    pub segment: u32,
    /// Frames of this segment, counted from 0, that were durable when this one was opened.
    pub committed: u32,
    /// Sequence number of the first record.
    pub sequence: u64,
    /// Checksum (CRC-32C) of the head of the frame before; 0 for frame 0.
    pub chain: u32,
}

impl FrameHead {
    /// The head's 32 bytes.
    pub fn encode(&self) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        out[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        out[4..8].copy_from_slice(&self.number.to_le_bytes());
        out[8..12].copy_from_slice(&self.segment.to_le_bytes());
        out[12..16].copy_from_slice(&self.committed.to_le_bytes());
        out[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        out[24..28].copy_from_slice(&self.chain.to_le_bytes());
        out
    }

    /// Reads a head from the first bytes of a frame; none if they are no head of this version.
    pub fn decode(bytes: &[u8]) -> Option<FrameHead> {
        if bytes.len() < HEAD || get_u32(bytes, 0) != MAGIC || get_u32(bytes, 28) != 0 {
            return None;
        }
        let head = FrameHead {
            number: get_u32(bytes, 4),
            segment: get_u32(bytes, 8),
            committed: get_u32(bytes, 12),
            sequence: get_u64(bytes, 16),
            chain: get_u32(bytes, 24),
        };
        (head.committed <= head.number).then_some(head)
    }

    /// Checksum of the head, which the next one carries.
    pub fn checksum(&self) -> u32 {
        crc32c::crc32c(&self.encode())
    }

    /// Whether this head comes right after `before`; after none it is that of frame 0.
    pub fn follows(&self, before: Option<&FrameHead>) -> bool {
        match before {
            None => (self.number, self.chain) == (0, 0),
            Some(before) => {
                before.number.checked_add(1) == Some(self.number) && self.chain == before.checksum()
            }
        }
    }
}
