//! The code: parity rows from original ones, original rows from any 1024.
//!
//! Each column of symbols is coded by itself: the symbols of the original rows are the values of one
//! polynomial of degree below 1024 at points 0 to 1023, those of parity rows its values at points
//! 1024 to 3071, and point and row have the same number. This is what reed-solomon-simd does for
//! these numbers of rows; SPEC says it without the crate.
//!
//! Rows are worked through in tiles of a few hundred bytes, so that a tile of all rows stays in
//! cache: two to three times as fast as whole rows, and no copy of the container is made.

use alloc::vec::Vec;

use reed_solomon_simd::rate::{DefaultRateDecoder, DefaultRateEncoder, RateDecoder, RateEncoder};

use super::{
    engine::Transforms,
    shape::{ORIGINAL_ROWS, PARITY_ROWS, ROWS},
};

/// Bytes of a row that are coded together: 2048 rows of it are 2 MiB. Half and twice as much were
/// slower, whole rows half as fast.
const CODE_TILE_LEN: usize = 1024;
/// Bytes of a row that are restored together. Each tile first finds out, for about 0.2 ms, what the
/// missing rows mean: it has to be long enough to be worth that.
const RESTORE_TILE_LEN: usize = 2048;

/// Why rows do not give back a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Too few rows.
    #[error("{got} rows, any {ORIGINAL_ROWS} are needed")]
    TooFew {
        /// Rows found.
        got: usize,
    },
    /// No such row.
    #[error("row {row} of a container that has {ROWS}")]
    Row {
        /// Its number.
        row: u16,
    },
    /// A row comes twice.
    #[error("row {row} comes twice")]
    Twice {
        /// Its number.
        row: u16,
    },
    /// A row has another length than the others, or than a row can have.
    #[error("row {row} has {got} bytes, {want} belong to it")]
    Length {
        /// Its number.
        row: u16,
        /// Bytes found.
        got: usize,
        /// Bytes of a row.
        want: usize,
    },
}

/// Codes original rows, one after the other, into parity rows. `width` is a multiple of 64. Takes
/// `memory` for them as far as it goes, whatever is in it: fresh pages cost as much as the coding.
pub(crate) fn parity(original: &[u8], width: usize, memory: Vec<u8>) -> Vec<u8> {
    // [D-11]
    assert_eq!(original.len(), ORIGINAL_ROWS * width, "1024 original rows");
    let mut parity = memory;
    parity.resize(PARITY_ROWS * width, 0);
    code_tiles(original, width, Transforms::new(), &mut parity);
    parity
}

/// Codes checksums, which are rows of even, not always whole blocks: in what is left of a block, low
/// bytes come first and high bytes then, as in a whole one.
pub(crate) fn parity_of_checks(original: &[u8], width: usize) -> Vec<u8> {
    let mut parity = alloc::vec![0; PARITY_ROWS * width];
    code_tiles(original, width, Transforms::plain(), &mut parity);
    parity
}

/// Codes a tile of all rows at a time.
fn code_tiles(original: &[u8], width: usize, engine: Transforms, parity: &mut [u8]) {
    let tile_len = width.min(CODE_TILE_LEN);
    let (original_rows, parity_rows) = (ORIGINAL_ROWS, PARITY_ROWS);
    let mut encoder = DefaultRateEncoder::new(original_rows, parity_rows, tile_len, engine, None)
        .expect("the crate codes 1024 rows into 2048");
    for start in (0..width).step_by(tile_len) {
        let tile = start..width.min(start + tile_len);
        encoder
            .reset(ORIGINAL_ROWS, PARITY_ROWS, tile.len())
            .expect("a tile has whole blocks");
        for row in original.chunks_exact(width) {
            encoder
                .add_original_shard(&row[tile.clone()])
                .expect("there are 1024 rows");
        }
        let coded = encoder.encode().expect("all 1024 rows are there");
        for (row, coded) in parity.chunks_exact_mut(width).zip(coded.recovery_iter()) {
            row[tile.clone()].copy_from_slice(coded);
        }
    }
}

/// Original rows, one after the other, from any 1024 rows, which come with their numbers in any
/// order. More than 1024 are not looked at, originals are preferred.
///
/// Right if the rows are: check each before. Cost: 2 to 4 s per GB if originals are missing, a copy
/// if none is.
///
/// # Errors
/// [`RestoreError`]
pub fn restore(rows: &[(u16, &[u8])], width: usize) -> Result<Vec<u8>, RestoreError> {
    // [D-11]
    let rows = chosen(rows, width)?;
    let mut original = alloc::vec![0; ORIGINAL_ROWS * width];
    let given = rows.partition_point(|(row, _)| *row < ORIGINAL_ROWS);
    for (row, bytes) in &rows[..given] {
        original[row * width..][..width].copy_from_slice(bytes);
    }
    if given < ORIGINAL_ROWS {
        restore_tiles(&rows, width, &mut original);
    }
    Ok(original)
}

fn restore_tiles(rows: &[(usize, &[u8])], width: usize, original: &mut [u8]) {
    let tile_len = width.min(RESTORE_TILE_LEN);
    let engine = Transforms::new();
    let mut decoder = DefaultRateDecoder::new(ORIGINAL_ROWS, PARITY_ROWS, tile_len, engine, None)
        .expect("the crate codes 1024 rows into 2048");
    for start in (0..width).step_by(RESTORE_TILE_LEN) {
        let tile = start..width.min(start + RESTORE_TILE_LEN);
        decoder
            .reset(ORIGINAL_ROWS, PARITY_ROWS, tile.len())
            .expect("a tile has whole blocks");
        for (row, bytes) in rows {
            let bytes = &bytes[tile.clone()];
            match row.checked_sub(ORIGINAL_ROWS) {
                None => decoder.add_original_shard(*row, bytes),
                Some(row) => decoder.add_recovery_shard(row, bytes),
            }
            .expect("rows are distinct and of one length");
        }
        let restored = decoder.decode().expect("1024 rows are enough");
        for (row, bytes) in restored.restored_original_iter() {
            original[row * width..][tile.clone()].copy_from_slice(bytes);
        }
    }
}

/// The first 1024 rows by number, if they are rows.
fn chosen<'row>(
    rows: &[(u16, &'row [u8])],
    width: usize,
) -> Result<Vec<(usize, &'row [u8])>, RestoreError> {
    let mut chosen: Vec<Option<&[u8]>> = alloc::vec![None; ROWS];
    for (row, bytes) in rows.iter().copied() {
        let (got, want) = (bytes.len(), width);
        if got != want || !width.is_multiple_of(64) || width == 0 {
            return Err(RestoreError::Length { row, got, want });
        }
        let place = chosen.get_mut(usize::from(row));
        let place = place.ok_or(RestoreError::Row { row })?;
        if place.replace(bytes).is_some() {
            return Err(RestoreError::Twice { row });
        }
    }
    let found = chosen.iter().enumerate();
    let found = found.filter_map(|(row, bytes)| bytes.map(|bytes| (row, bytes)));
    let found: Vec<_> = found.take(ORIGINAL_ROWS).collect();
    if found.len() < ORIGINAL_ROWS {
        return Err(RestoreError::TooFew { got: found.len() });
    }
    Ok(found)
}
