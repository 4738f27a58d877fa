//! The format of a transaction on streams: what a writer puts into the flow, and which streams its
//! tags name (0G wire, 3.3).
//!
//! ```text
//!  tags   SHA256("STREAM") ‖ stream ‖ stream ‖ …                        32 bytes each
//!
//!  blob   version u64                               keys that were read must not be newer
//!         count u32 ‖ { stream ‖ key }              reads
//!         count u32 ‖ { stream ‖ key ‖ len u64 }    writes, then all their values
//!         value ‖ value ‖ …
//!         count u32 ‖ { op u8 ‖ stream ‖ [key] ‖ [account] }   access controls
//!  key    length u24 ‖ bytes, not empty
//! ```
//! All numbers are big-endian. The blob is read as whole sectors, the last filled with zeros, as 0G's
//! replayer reads it: a list that is missing at the end counts as empty where the zeros reach.
//!
//! In reading order: [`tags`], [`control`], [`decode`], [`encode`].

use bytes::Bytes;
use lode_proofs::Hash32;
use serde::{Deserialize, Serialize};

pub mod control;
pub mod decode;
pub mod encode;
pub mod tags;

pub use control::{Control, Op, Role};
pub use decode::{Decoder, Malformed, Memory, Source, Stop, Writes};
pub use encode::{Draft, TooLong};

/// Entries that a list of reads, writes or controls may have.
pub const LIST_MAX: u32 = 65_536;
/// Bytes that a key may have: its length is stored in three bytes.
pub const KEY_LEN_MAX: usize = (1 << 24) - 1;
/// Bytes that all keys of one transaction may have together. Not a rule of 0G's, whose lists could
/// name a tebibyte; it holds 65,536 keys of 2 KiB, and bounds what a stranger makes a replayer keep in
/// memory. Part of the format here: all our replayers refuse the same transactions.
pub const KEYS_LEN_MAX: u64 = 128 << 20;

/// The name of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(pub Hash32);

impl core::fmt::Debug for StreamId {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&self.0, to)
    }
}

impl core::fmt::Display for StreamId {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&self.0, to)
    }
}

/// A key that a transaction has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its stream.
    pub stream: StreamId,
    /// The key, 1 to [`KEY_LEN_MAX`] bytes.
    pub key: Bytes,
}

/// A key that a transaction writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Its stream.
    pub stream: StreamId,
    /// The key, 1 to [`KEY_LEN_MAX`] bytes.
    pub key: Bytes,
    /// Where its value begins, from the first byte of the first value.
    pub at: u64,
    /// Bytes of its value. An empty value removes the key.
    pub len: u64,
}
