//! Proofs that bytes stand in a container's original rows, by SHA-256 alone.
//!
//! What stands under the row root is what readers get only where its row is coded rightly. Whoever
//! checks a whole row sees that ([`super::verify`]), and may then hand out ranges of it; whoever sees
//! a range alone relies on somebody who did. A proof by the blob's own root ([`super::piece`]) does
//! not need that.
//!
//! ```text
//!  range            ├──── asked for ────┤
//!  pieces     │ 1 KiB │ 1 KiB │ … │ 1 KiB │       shown whole: at most a KiB more at each end
//!  siblings   nodes beside them, in the order in which a walk from the left comes by them,
//!             first down the tree of rows, in a row down the tree of its pieces
//! ```
//! At most 2 · 19 hashes. The range may begin and end anywhere.

use alloc::vec::Vec;
use core::ops::Range;

use super::{
    decode::{DecodeError, Reader},
    head::Head,
    refusal::Refusal,
    rows::{PLACES, nothing_over},
    shape::{PIECE_LEN, Shape},
    tree::{Run, Tree, leaf, walk},
};
use crate::hash32::Hash32;

/// Shows that these are the bytes of a range. Not checked before somebody verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeProof<'bytes> {
    /// Which bytes of the container.
    pub range: Range<u64>,
    /// All bytes of the pieces that the range lies in.
    pub bytes: &'bytes [u8],
    /// The nodes beside them.
    pub siblings: Vec<Hash32>,
}

/// Pieces that a range lies in, from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    first: Piece,
    last: Piece,
}

/// A piece of an original row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    row: usize,
    piece: usize,
}

/// A node beside the way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beside {
    /// Over rows.
    Rows(Run),
    /// Over pieces of one row.
    Pieces(usize, Run),
}

impl Cover {
    /// The pieces of a range, if the container has such a range.
    pub(crate) fn of(shape: Shape, range: &Range<u64>) -> Option<Self> {
        if range.is_empty() || range.end > shape.len() {
            return None;
        }
        let piece = |at: u64| {
            let at = usize::try_from(at).expect("a container fits memory");
            Piece {
                row: at / shape.width(),
                piece: at % shape.width() / PIECE_LEN,
            }
        };
        Some(Self {
            first: piece(range.start),
            last: piece(range.end - 1),
        })
    }

    /// The bytes of these pieces, from the start of the container.
    pub(crate) fn bytes(self, shape: Shape) -> Range<usize> {
        self.first.bytes(shape).start..self.last.bytes(shape).end
    }

    /// The row root over these pieces, from what is beside them and from their own hashes.
    pub(crate) fn fold<E>(
        self,
        shape: Shape,
        beside: &mut impl FnMut(Beside) -> Result<Hash32, E>,
        hash: &mut impl FnMut(Range<usize>) -> Hash32,
    ) -> Result<Hash32, E> {
        // [D-21]
        let rows = self.first.row..self.last.row + 1;
        walk(Run::all(PLACES), &mut |run| {
            if let Some(known) = nothing_over(run) {
                return Ok(Some(known));
            }
            if !run.meets(&rows) {
                return beside(Beside::Rows(run)).map(Some);
            }
            if run.count > 1 {
                return Ok(None);
            }
            self.fold_row(shape, run.first, beside, hash).map(Some)
        })
    }

    fn fold_row<E>(
        self,
        shape: Shape,
        row: usize,
        beside: &mut impl FnMut(Beside) -> Result<Hash32, E>,
        hash: &mut impl FnMut(Range<usize>) -> Hash32,
    ) -> Result<Hash32, E> {
        let start = if row == self.first.row {
            self.first.piece
        } else {
            0
        };
        let end = if row == self.last.row {
            self.last.piece + 1
        } else {
            shape.pieces()
        };
        walk(Run::all(shape.pieces()), &mut |run| {
            if !run.meets(&(start..end)) {
                return beside(Beside::Pieces(row, run)).map(Some);
            }
            let piece = Piece {
                row,
                piece: run.first,
            };
            Ok((run.count == 1).then(|| hash(piece.bytes(shape))))
        })
    }

    /// How many nodes are beside them.
    fn siblings(self, shape: Shape) -> usize {
        let mut count = 0;
        let nothing = Hash32([0; 32]);
        let counted = self.fold::<core::convert::Infallible>(
            shape,
            &mut |_| {
                count += 1;
                Ok(nothing)
            },
            &mut |_| nothing,
        );
        counted
            .map(|_| count)
            .unwrap_or_else(|never| match never {})
    }
}

impl Piece {
    /// Its bytes, from the start of the container.
    fn bytes(self, shape: Shape) -> Range<usize> {
        let row = self.row * shape.width();
        let start = self.piece * PIECE_LEN;
        row + start..row + shape.width().min(start + PIECE_LEN)
    }
}

impl<'bytes> RangeProof<'bytes> {
    /// Proves a range of a container, from its original rows and the tree over all rows.
    pub(crate) fn build(
        shape: Shape,
        original: &'bytes [u8],
        rows: &Tree,
        range: Range<u64>,
    ) -> Option<Self> {
        let cover = Cover::of(shape, &range)?;
        let mut siblings = Vec::new();
        let mut pieces: Option<(usize, Tree)> = None;
        let built = cover.fold::<core::convert::Infallible>(
            shape,
            &mut |beside| {
                let hash = match beside {
                    Beside::Rows(run) => rows.over(run),
                    Beside::Pieces(row, run) => {
                        if pieces.as_ref().is_none_or(|(of, _)| *of != row) {
                            let bytes = &original[row * shape.width()..][..shape.width()];
                            let leaves = bytes.chunks(PIECE_LEN).map(leaf).collect();
                            pieces = Some((row, Tree::new(leaves)));
                        }
                        pieces
                            .as_ref()
                            .map(|(_, tree)| tree.over(run))
                            .expect("made above")
                    }
                };
                siblings.push(hash);
                Ok(hash)
            },
            &mut |bytes| leaf(&original[bytes]),
        );
        assert_eq!(built, Ok(rows.root()), "the tree is that of these rows");
        Some(Self {
            bytes: &original[cover.bytes(shape)],
            range,
            siblings,
        })
    }

    /// The bytes of `range`, if this proof is about it and true of the container with this head.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn verify(&self, head: &Head, range: &Range<u64>) -> Result<&'bytes [u8], Refusal> {
        // [D-21]
        if self.range != *range {
            return Err(Refusal::NotAskedFor);
        }
        let shape = head.shape;
        let len = shape.len();
        let cover = Cover::of(shape, range).ok_or(Refusal::Range { len })?;
        let bytes = cover.bytes(shape);
        let (got, want) = (self.bytes.len(), bytes.len());
        if got != want {
            return Err(Refusal::RangeLength { got, want });
        }
        let mut siblings = self.siblings.iter();
        let root = cover.fold(
            shape,
            &mut |_| siblings.next().copied().ok_or(Refusal::RangeRoot),
            &mut |piece| leaf(&self.bytes[piece.start - bytes.start..piece.end - bytes.start]),
        )?;
        if root != head.row_root || siblings.next().is_some() {
            return Err(Refusal::RangeRoot);
        }
        let index = |at: u64| usize::try_from(at).expect("a container fits memory") - bytes.start;
        Ok(&self.bytes[index(range.start)..index(range.end)])
    }

    /// As it is sent: start 8, end 8, bytes, siblings; how many follows from the head's shape.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // [D-21]
        let mut bytes = Vec::with_capacity(16 + self.bytes.len() + 32 * self.siblings.len());
        bytes.extend_from_slice(&self.range.start.to_be_bytes());
        bytes.extend_from_slice(&self.range.end.to_be_bytes());
        bytes.extend_from_slice(self.bytes);
        for sibling in &self.siblings {
            bytes.extend_from_slice(&sibling.0);
        }
        bytes
    }

    /// What was encoded: well-formed, but nobody has verified it. Takes memory for its hashes only.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(shape: Shape, bytes: &'bytes [u8]) -> Result<Self, DecodeError> {
        // [D-21]
        let mut reader = Reader::new(bytes);
        let range = reader.u64()?..reader.u64()?;
        let cover = Cover::of(shape, &range).ok_or(DecodeError::Places)?;
        let bytes = reader.take(cover.bytes(shape).len())?;
        let siblings = reader.hashes(cover.siblings(shape))?;
        reader.end()?;
        Ok(Self {
            range,
            bytes,
            siblings,
        })
    }
}
