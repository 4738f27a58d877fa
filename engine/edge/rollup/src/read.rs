//! Blobs and ranges that are what they were asked for by, whoever stores them.
//!
//! ```text
//!  place    container id ─ certificate ─► namespace root ─ entry ─► blob root ─► bytes
//!  root     ──────────────────────────────────────────────────────► blob root ─► bytes
//! ```
//! A certificate's signatures are not checked on this way: the container id is the hash of all that
//! leads to the bytes, and who has the bytes needs nobody to tell him that they can be had. Cost: one
//! SHA-256 of the bytes, on a thread that may take its time.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use lode_proofs::{
    Hash32,
    da::{BlobRange, Certificate, Entry, NamespaceProof, blob_root},
};
use tokio::task::spawn_blocking;

use crate::{
    availability::{Availability, Evidence, GetError, Posted},
    handle::Handle,
};

/// Bytes beside the pieces of a proven range: its ends, and two nodes for each level of the tree over
/// 2^17 pieces.
pub const RANGE_PROOF_LEN: u64 = 16 + 2 * 17 * 32;

fn untrue(why: impl ToString) -> GetError {
    let why = why.to_string();
    tracing::error!(%why, "the store gave what was not asked for");
    GetError::Untrue(why.into())
}

/// Where a blob is, checked against the handle.
///
/// # Errors
/// Those of the store, and [`GetError::Untrue`].
pub async fn find(
    availability: &impl Availability,
    handle: Handle,
) -> Result<Arc<Posted>, GetError> {
    let posted = availability.find(handle).await?;
    match handle {
        Handle::Root {
            root,
            epoch,
            quorum,
        } => {
            let found = (posted.root, posted.quorum.epoch, posted.quorum.quorum);
            if found != (root, epoch, quorum) {
                return Err(untrue("a blob of another root or quorum"));
            }
        }
        Handle::Place { .. } => {
            if posted.handle() != handle {
                return Err(untrue("a blob at another place"));
            }
            let entry = entry_of(availability, &posted).await?;
            if (entry.root, entry.namespace) != (posted.root, posted.namespace) {
                return Err(untrue("an entry of another blob"));
            }
        }
    }
    Ok(posted)
}

/// The entry that the container id leads to.
async fn entry_of(availability: &impl Availability, posted: &Posted) -> Result<Entry, GetError> {
    let members = availability.members(posted.quorum).await?;
    let members = members.ok_or_else(|| untrue("a certificate of no quorum"))?;
    let seats = members.seats().seats().len();
    let certificate = Certificate::decode_for(&posted.certificate, seats).map_err(untrue)?;
    if certificate.statement.head.id() != posted.container {
        return Err(untrue("a certificate of another container"));
    }
    let entry = one_entry(&posted.entry, certificate.statement.head.namespace_root);
    let entry = entry.map_err(untrue)?;
    if (entry.offset, entry.len) == (posted.offset, posted.len) {
        Ok(entry)
    } else {
        Err(untrue("an entry of another place"))
    }
}

/// The one entry that a proof shows under a namespace root ([D-22], last sentence).
pub(crate) fn one_entry(bytes: &[u8], namespace_root: Hash32) -> Result<Entry, String> {
    let proof = NamespaceProof::decode(bytes).map_err(|error| error.to_string())?;
    let entries = proof.entries(namespace_root);
    match entries.map_err(|error| error.to_string())? {
        [entry] => Ok(*entry),
        many => Err(format!("{} entries where one is shown", many.len())),
    }
}

/// A blob, checked against the handle.
///
/// # Errors
/// Those of the store, and [`GetError::Untrue`].
pub async fn whole(
    availability: &impl Availability,
    handle: Handle,
) -> Result<(Arc<Posted>, Bytes), GetError> {
    let posted = find(availability, handle).await?;
    let bytes = whole_of(availability, handle, posted.root, posted.len).await?;
    Ok((posted, bytes))
}

/// The bytes of a blob whose root and length are known.
///
/// # Errors
/// Those of the store, and [`GetError::Untrue`].
pub async fn whole_of(
    availability: &impl Availability,
    handle: Handle,
    root: Hash32,
    len: u64,
) -> Result<Bytes, GetError> {
    let bytes = availability.get(handle).await?;
    if u64::try_from(bytes.len()) != Ok(len) || bytes.is_empty() {
        return Err(untrue("bytes of another length"));
    }
    let hashed = bytes.clone();
    let found = spawn_blocking(move || blob_root(&hashed)).await;
    match found {
        Ok(found) if found == root => Ok(bytes),
        Ok(_) => Err(untrue("bytes of another root")),
        Err(error) => Err(untrue(error)),
    }
}

/// A range of a blob under its root, proven, as it is sent ([D-30]).
///
/// # Errors
/// [`GetError::Absent`] if the blob has no such range; those of the store; [`GetError::Untrue`].
pub async fn range_proof(
    availability: &impl Availability,
    handle: Handle,
    (root, len): (Hash32, u64),
    range: Range<u64>,
) -> Result<Bytes, GetError> {
    if range.is_empty() || range.end > len {
        return Err(GetError::Absent);
    }
    let bytes = availability
        .show(Evidence::Range(handle, range.clone()))
        .await?;
    let proof = BlobRange::decode(len, &bytes).map_err(untrue)?;
    proof.verify(root, len, &range).map_err(untrue)?;
    Ok(bytes)
}

/// The bytes of a range alone.
///
/// # Errors
/// As [`range_proof`].
pub async fn range(
    availability: &impl Availability,
    handle: Handle,
    of: (Hash32, u64),
    range: Range<u64>,
) -> Result<Bytes, GetError> {
    let proof = range_proof(availability, handle, of, range.clone()).await?;
    let piece = 1024;
    let skipped = usize::try_from(range.start % piece).map_err(untrue)?;
    let count = usize::try_from(range.end - range.start).map_err(untrue)?;
    // Behind the two ends come whole pieces, the first of which holds the start.
    let start = 16 + skipped;
    Ok(proof.slice(start..start + count))
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
