//! Values at a version.

use core::ops::Bound;

use fjall::Readable as _;

use super::{StoreError, View, names::Slot, number};
use crate::stream::StreamId;

/// Bytes of a piece of values: a range that is read costs whole pieces, a piece costs a row.
pub const PIECE_LEN: usize = 64 << 10;
const PIECE: u64 = 64 << 10;
const _: () = assert!(PIECE_LEN == 65_536);
/// Keys without a value that a search passes over: it takes some seconds at most.
const REMOVED_MAX: usize = 1 << 18;

/// Which way a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To greater keys.
    Up,
    /// To smaller keys.
    Down,
}

/// A value's version and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The transaction that wrote it.
    pub version: u64,
    /// Where it begins among the transaction's values.
    pub(super) at: u64,
    /// Its bytes; none where the key was removed.
    pub size: u64,
}

/// Row of a version.
pub(super) fn row(slot: Slot, seq: u64) -> [u8; 16] {
    let mut row = [0; 16];
    row[..8].copy_from_slice(&slot.0.to_be_bytes());
    row[8..].copy_from_slice(&(!seq).to_be_bytes());
    row
}

/// What stands in it.
pub(super) fn place(at: u64, len: u64) -> [u8; 16] {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&at.to_be_bytes());
    place[8..].copy_from_slice(&len.to_be_bytes());
    place
}

/// Row of a piece.
pub(super) fn piece(seq: u64, index: u64) -> [u8; 16] {
    place(seq, index)
}

impl View {
    /// The value of a key as of transaction `at`; none if it never had one until then.
    ///
    /// # Errors
    /// When the store fails.
    pub fn value(
        &self,
        stream: StreamId,
        key: &[u8],
        at: u64,
    ) -> Result<Option<Found>, StoreError> {
        match self.slot(stream, key)? {
            Some(slot) => self.version(slot, at),
            None => Ok(None),
        }
    }

    fn version(&self, slot: Slot, at: u64) -> Result<Option<Found>, StoreError> {
        let range = row(slot, at)..=row(slot, 0);
        let Some(found) = self.snapshot.range(&self.spaces.versions, range).next() else {
            return Ok(None);
        };
        let (row, held) = found.into_inner()?;
        if row.len() != 16 || held.len() != 16 {
            return Err(StoreError::Damaged("a version has another form"));
        }
        Ok(Some(Found {
            version: !number(&row[8..])?,
            at: number(&held[..8])?,
            size: number(&held[8..])?,
        }))
    }

    /// The first key from a bound on, in an order, that has a value as of transaction `at`.
    ///
    /// # Errors
    /// When the store fails; [`StoreError::TooManyRemoved`].
    pub fn neighbour(
        &self,
        stream: StreamId,
        from: Bound<&[u8]>,
        order: Order,
        at: u64,
    ) -> Result<Option<(Vec<u8>, Found)>, StoreError> {
        let mut walk = self.walk(stream, from, order)?;
        for _ in 0..REMOVED_MAX {
            let Some((key, slot)) = walk.next()? else {
                return Ok(None);
            };
            let found = self.version(slot, at)?;
            if let Some(found) = found.filter(|found| found.size > 0) {
                return Ok(Some((key, found)));
            }
        }
        Err(StoreError::TooManyRemoved(REMOVED_MAX))
    }

    /// Bytes `from` to `from + len` of a value, fewer where it ends before.
    ///
    /// # Errors
    /// When the store fails.
    pub fn bytes(&self, of: Found, from: u64, len: usize) -> Result<Vec<u8>, StoreError> {
        let left = usize::try_from(of.size.saturating_sub(from)).unwrap_or(usize::MAX);
        let len = len.min(left);
        let mut bytes = Vec::with_capacity(len);
        let mut at = of.at + from;
        while bytes.len() < len {
            let row = piece(of.version, at / PIECE);
            let held = self.snapshot.get(&self.spaces.pieces, row)?;
            let held = held.ok_or(StoreError::Damaged("a piece of a value is missing"))?;
            let skip = usize::try_from(at % PIECE).expect("less than a piece");
            let part = held.get(skip..).unwrap_or_default();
            let part = &part[..part.len().min(len - bytes.len())];
            if part.is_empty() {
                return Err(StoreError::Damaged("a piece of a value is too short"));
            }
            bytes.extend_from_slice(part);
            at += u64::try_from(part.len()).expect("usize fits in u64");
        }
        Ok(bytes)
    }
}
