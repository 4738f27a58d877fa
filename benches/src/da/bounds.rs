//! What bounds the jobs: the same bytes copied, hashed, and coded as the crate does it when asked for
//! whole rows.

use std::time::Duration;

use lode_proofs::da::shape::{ORIGINAL_ROWS, PARITY_ROWS};
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};
use sha2::{Digest, Sha256};

use super::{
    core::{repeat, spend},
    made::Made,
    turn::same,
};
use crate::{
    error::{Error, Result},
    meter::{Meter, Sample},
};

/// Copying.
pub const MEMCPY: &str = "memcpy";
/// The hash of a container's own bytes.
pub const SHA256: &str = "SHA-256 alone";
/// The hash of parity.
pub const BLAKE3: &str = "BLAKE3 alone, parity";
/// The code, in the crate's plain form.
pub const PLAIN: &str = "reed-solomon-simd, plain";

/// Copies the original rows.
pub fn memcpy(made: &Made, span: Duration) -> Result<Sample> {
    let rows = made.container.rows();
    let mut copy = vec![0; rows.len()];
    repeat(span, || {
        Ok(spend(made.len(), || copy.copy_from_slice(rows)).1)
    })
}

/// Hashes the original rows in one piece.
pub fn sha256(made: &Made, span: Duration) -> Result<Sample> {
    let rows = made.container.rows();
    repeat(span, || Ok(spend(made.len(), || Sha256::digest(rows)).1))
}

/// Hashes twice as many bytes as the original rows have, in two pieces.
pub fn blake3(made: &Made, span: Duration) -> Result<Sample> {
    let rows = made.container.rows();
    let twice = || (blake3::hash(rows), blake3::hash(rows));
    repeat(span, || Ok(spend(made.len(), twice).1))
}

/// Codes whole rows, in memory used before; leaves parity where the crate puts it.
pub fn plain_encode(made: &Made, span: Duration) -> Result<Sample> {
    let (rows, width) = (made.container.rows(), made.container.shape().width());
    let refused = Error::subject(PLAIN);
    let mut encoder =
        ReedSolomonEncoder::new(ORIGINAL_ROWS, PARITY_ROWS, width).map_err(&refused)?;
    repeat(span, || {
        let meter = Meter::start();
        for row in rows.chunks_exact(width) {
            encoder.add_original_shard(row).map_err(&refused)?;
        }
        let coded = encoder.encode().map_err(&refused)?;
        let sample = meter.stop(1, made.len());
        let last = PARITY_ROWS - 1;
        same(PLAIN, coded.recovery(last), made.coded.row(3071))?;
        Ok(sample)
    })
}

/// Restores whole rows from the worst 1024, in memory used before; leaves them where the crate does.
pub fn plain_decode(made: &Made, span: Duration) -> Result<Sample> {
    let (worst, width) = (made.worst_rows(), made.container.shape().width());
    let refused = Error::subject(PLAIN);
    let mut decoder =
        ReedSolomonDecoder::new(ORIGINAL_ROWS, PARITY_ROWS, width).map_err(&refused)?;
    repeat(span, || {
        let meter = Meter::start();
        for (row, bytes) in &worst {
            let place = usize::from(*row) - ORIGINAL_ROWS;
            decoder.add_recovery_shard(place, bytes).map_err(&refused)?;
        }
        let restored = decoder.decode().map_err(&refused)?;
        let sample = meter.stop(1, made.len());
        same(PLAIN, restored.restored_original(7), made.coded.row(7))?;
        Ok(sample)
    })
}
