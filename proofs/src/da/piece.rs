//! The root of a blob, and proofs of a range of its bytes: what a contract checks.
//!
//! ```text
//!  piece      1 KiB of the blob, the last one may be shorter
//!  blob root  SHA-256 tree over its pieces
//!
//!  bytes ─ pieces ─► blob root ─ entry ─► namespace root ─► container id ─► certificate
//! ```
//! The root is the same in whatever container the blob lies. Every holder has seen the table that names
//! it before it signed, so there is one blob of that root and length, and whoever is shown a part of it
//! is shown the same bytes as whoever reads it whole.

use alloc::vec::Vec;
use core::ops::Range;

use super::{
    decode::{DecodeError, Reader},
    refusal::Refusal,
    shape::{CONTAINER_LEN_MAX, PIECE_LEN},
    tree::{Run, Tree, beside, fold_in_place, leaf, walk},
};
use crate::hash32::Hash32;

/// The root of a blob. Cost: one SHA-256 of it, and 32 bytes of memory for each KiB.
///
/// # Panics
/// If it has no bytes: no table names such a blob.
#[must_use]
pub fn blob_root(blob: &[u8]) -> Hash32 {
    // [D-5]
    assert!(!blob.is_empty(), "a blob has at least one byte");
    let mut leaves: Vec<Hash32> = blob.chunks(PIECE_LEN).map(leaf).collect();
    fold_in_place(&mut leaves)
}

/// Shows that these are the bytes of a range of a blob. Not checked before somebody verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRange<'bytes> {
    /// Which bytes of the blob.
    pub range: Range<u64>,
    /// All bytes of the pieces that the range lies in.
    pub bytes: &'bytes [u8],
    /// The nodes beside them, from the left.
    pub siblings: Vec<Hash32>,
}

/// Pieces that a range lies in, out of all that the blob has.
struct Cover {
    pieces: Range<usize>,
    all: Run,
    bytes: Range<usize>,
}

impl Cover {
    fn of(len: u64, range: &Range<u64>) -> Option<Self> {
        if range.is_empty() || range.end > len || len > CONTAINER_LEN_MAX {
            return None;
        }
        let index = |at: u64| usize::try_from(at).expect("a blob fits memory");
        let pieces = index(range.start) / PIECE_LEN..index(range.end).div_ceil(PIECE_LEN);
        let end = index(len).min(pieces.end * PIECE_LEN);
        Some(Self {
            all: Run::all(index(len).div_ceil(PIECE_LEN)),
            bytes: pieces.start * PIECE_LEN..end,
            pieces,
        })
    }

    /// The nodes beside these pieces.
    fn beside(&self, mut found: impl FnMut(Run)) {
        beside(self.all, &|run| run.meets(&self.pieces), &mut found);
    }
}

impl<'bytes> BlobRange<'bytes> {
    /// Proves a range of a blob; none if it has no byte or does not end within it. Cost: that of
    /// [`blob_root`].
    #[must_use]
    pub fn prove(blob: &'bytes [u8], range: Range<u64>) -> Option<Self> {
        let cover = Cover::of(u64::try_from(blob.len()).ok()?, &range)?;
        let tree = Tree::new(blob.chunks(PIECE_LEN).map(leaf).collect());
        let mut siblings = Vec::new();
        cover.beside(|run| siblings.push(tree.over(run)));
        Some(Self {
            bytes: &blob[cover.bytes],
            range,
            siblings,
        })
    }

    /// The bytes of `range`, if this proof is about it and true of the blob of this root and length,
    /// as an entry of a table has them.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn verify(
        &self,
        root: Hash32,
        len: u64,
        range: &Range<u64>,
    ) -> Result<&'bytes [u8], Refusal> {
        // [D-30]
        if self.range != *range {
            return Err(Refusal::NotAskedFor);
        }
        let cover = Cover::of(len, range).ok_or(Refusal::Range { len })?;
        let (got, want) = (self.bytes.len(), cover.bytes.len());
        if got != want {
            return Err(Refusal::RangeLength { got, want });
        }
        let mut siblings = self.siblings.iter();
        let mut pieces = self.bytes.chunks(PIECE_LEN);
        let found = walk(cover.all, &mut |run| {
            if !run.meets(&cover.pieces) {
                return siblings.next().copied().map(Some).ok_or(Refusal::RangeRoot);
            }
            // The walk comes by pieces in their order.
            let piece = (run.count == 1).then(|| pieces.next().expect("as many as covered"));
            Ok(piece.map(leaf))
        })?;
        if found != root || siblings.next().is_some() {
            return Err(Refusal::RangeRoot);
        }
        let index = |at: u64| usize::try_from(at).expect("a blob fits memory") - cover.bytes.start;
        Ok(&self.bytes[index(range.start)..index(range.end)])
    }

    /// As it is sent: start 8, end 8, bytes, siblings; how many follows from the blob's length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // [D-30]
        let mut bytes = Vec::with_capacity(16 + self.bytes.len() + 32 * self.siblings.len());
        bytes.extend_from_slice(&self.range.start.to_be_bytes());
        bytes.extend_from_slice(&self.range.end.to_be_bytes());
        bytes.extend_from_slice(self.bytes);
        for sibling in &self.siblings {
            bytes.extend_from_slice(&sibling.0);
        }
        bytes
    }

    /// What was encoded, of a blob of so many bytes: well-formed, but nobody has verified it.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(len: u64, bytes: &'bytes [u8]) -> Result<Self, DecodeError> {
        // [D-30]
        let mut reader = Reader::new(bytes);
        let range = reader.u64()?..reader.u64()?;
        let cover = Cover::of(len, &range).ok_or(DecodeError::Places)?;
        let bytes = reader.take(cover.bytes.len())?;
        let mut count = 0;
        cover.beside(|_| count += 1);
        let siblings = reader.hashes(count)?;
        reader.end()?;
        Ok(Self {
            range,
            bytes,
            siblings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// [D-5], [D-30] Every range of blobs at the edges of pieces is shown, comes back, and is refused
    /// with any other range, length or root.
    #[test]
    fn ranges_are_shown() {
        for len in [1, 63, 1023, 1024, 1025, 3000, 5 * 1024] {
            let blob: Vec<u8> = (0..len).map(|at: usize| at.to_le_bytes()[0]).collect();
            let (root, whole) = (blob_root(&blob), u64::try_from(len).expect("small"));
            let edges = [0, 1, 1000, 1023, 1024, 1025, 2048, 2999, whole - 1, whole];
            for start in edges {
                for end in edges {
                    let range = start..end;
                    let Some(proof) = BlobRange::prove(&blob, range.clone()) else {
                        assert!(start >= end || end > whole);
                        continue;
                    };
                    let index = |at| usize::try_from(at).expect("small");
                    let expected = &blob[index(start)..index(end)];
                    assert_eq!(proof.verify(root, whole, &range), Ok(expected));
                    let bytes = proof.encode();
                    assert_eq!(BlobRange::decode(whole, &bytes).as_ref(), Ok(&proof));
                    let other = Hash32([1; 32]);
                    assert_eq!(proof.verify(other, whole, &range), Err(Refusal::RangeRoot));
                    let other = 0..end + 1;
                    assert_eq!(proof.verify(root, whole, &other), Err(Refusal::NotAskedFor));
                    assert!(BlobRange::decode(whole, &[&bytes[..], &[0]].concat()).is_err());
                    assert!(BlobRange::decode(whole, &bytes[1..]).is_err());
                }
            }
        }
    }

    /// [D-30] A flipped bit anywhere is refused.
    #[test]
    fn flips_are_refused() {
        let blob = vec![3; 2100];
        let root = blob_root(&blob);
        let range = 1000..1030;
        let bytes = BlobRange::prove(&blob, range.clone())
            .expect("it has it")
            .encode();
        for bit in 0..8 * bytes.len() {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let accepted = BlobRange::decode(2100, &other)
                .is_ok_and(|proof| proof.verify(root, 2100, &range).is_ok());
            assert!(!accepted, "bit {bit}");
        }
    }
}
