//! The manifest's payload: the roots, 32 bytes each, that a longer blob's proofs are made from.
//!
//! Up to 1024 chunks the roots are those of the chunks. Above, they are those of the complete
//! groups of 1024 chunks, and every group's chunk roots are in a record of their own (the last
//! one filled up with zeroes).

use lode_proofs::CHUNK_LEN;

use crate::Root;

use super::{get_hash, record};

/// Chunks of a group.
pub const GROUP: u64 = 1024;
/// Bytes of a group record's payload.
pub const GROUP_LEN: usize = 1024 * 32;
/// Largest blob: its group roots fill a record.
pub const BLOB_MAX: u64 = CHUNKS_MAX * CHUNK;
/// Most groups of a blob.
pub const ROOTS_MAX: u64 = 8192;
/// Most chunks of a blob.
pub const CHUNKS_MAX: u64 = ROOTS_MAX * GROUP;
/// Bytes of a chunk.
pub const CHUNK: u64 = 256 * 1024;
const _: () = assert!(CHUNK_LEN == 256 * 1024 && 8192 * 32 <= record::PAYLOAD_MAX);

/// The payload of a manifest.
pub fn encode(roots: &[Root]) -> Vec<u8> {
    roots.iter().flat_map(|root| *root.as_bytes()).collect()
}

/// The roots in a manifest's or group's payload.
pub fn decode(payload: &[u8]) -> Vec<Root> {
    payload
        .chunks_exact(32)
        .map(|root| Root::from(get_hash(root, 0)))
        .collect()
}

/// Bytes of the manifest of a blob of `size` bytes (at most [`BLOB_MAX`]).
pub fn encoded_len(size: u64) -> usize {
    let chunks = chunks(size);
    let roots = if chunks <= GROUP {
        chunks
    } else {
        chunks / GROUP
    };
    32 * usize::try_from(roots).expect("at most 8192")
}

/// Group records of a blob of `size` bytes.
pub fn groups(size: u64) -> u64 {
    let chunks = chunks(size);
    if chunks <= GROUP {
        0
    } else {
        chunks.div_ceil(GROUP)
    }
}

/// Chunks of a blob of `size` bytes.
pub fn chunks(size: u64) -> u64 {
    size.div_ceil(CHUNK)
}

/// Bytes of chunk `index` of a blob of `size` bytes.
pub fn chunk_len(size: u64, index: u64) -> usize {
    let rest = size - index * CHUNK;
    usize::try_from(rest.min(CHUNK)).expect("at most a chunk")
}
