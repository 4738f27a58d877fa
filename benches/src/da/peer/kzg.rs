//! Cells and proofs of PeerDAS (EIP-7594) by both libraries that Ethereum's clients use, one blob of
//! 128 KiB after the other, with tables of width 8: 128 cells of 2 KiB, any 64 of which are enough,
//! each with a proof of 48 bytes. The commitment, a quarter as much again, is not counted.

use c_kzg::{Blob, KzgSettings, ethereum_kzg_settings};
use rust_eth_kzg::{DASContext, TrustedSetup, UsePrecomp};

use super::{ENCODES, Peer};
use crate::{
    da::core::spend,
    error::{Error, Result},
    meter::bytes_of,
    values::Random,
};

const C: &str = "c-kzg";
const RUST: &str = "rust_eth_kzg";

/// Bits of a table's index: what the libraries advise where speed counts.
const WIDTH: u8 = 8;
/// Bytes of a blob.
const BLOB_LEN: usize = c_kzg::BYTES_PER_BLOB;
/// Bytes of a number in it, big-endian and below a prime of 255 bits.
const NUMBER_LEN: usize = c_kzg::BYTES_PER_FIELD_ELEMENT;

/// The points of Ethereum's ceremony, with their multiples, and a blob.
pub struct Setups {
    c: &'static KzgSettings,
    rust: DASContext,
    blob: Box<[u8; BLOB_LEN]>,
    by_c: Blob,
}

impl Setups {
    /// Makes the tables.
    pub fn new() -> Self {
        let (width, blob) = (usize::from(WIDTH), blob());
        Self {
            c: ethereum_kzg_settings(u64::from(WIDTH)),
            rust: DASContext::new(&TrustedSetup::default(), UsePrecomp::Yes { width }),
            by_c: Blob::new(*blob),
            blob,
        }
    }

    /// Both, on one blob, whatever the container's length.
    pub fn encoders(&self) -> Vec<Peer<'_>> {
        let by_c = || {
            let (coded, sample) = spend(bytes_of(BLOB_LEN), || self.prove_by_c());
            coded?;
            Ok(sample)
        };
        let by_rust = || {
            let (coded, sample) = spend(bytes_of(BLOB_LEN), || self.prove_by_rust());
            coded?;
            Ok(sample)
        };
        vec![
            Peer {
                name: C,
                factor: ENCODES,
                work: Box::new(by_c),
            },
            Peer {
                name: RUST,
                factor: ENCODES,
                work: Box::new(by_rust),
            },
        ]
    }

    fn prove_by_c(&self) -> Result<Vec<[u8; 48]>> {
        let coded = self.c.compute_cells_and_kzg_proofs(&self.by_c);
        let (_, proofs) = coded.map_err(Error::subject(C))?;
        Ok(proofs
            .iter()
            .map(|proof| proof.to_bytes().into_inner())
            .collect())
    }

    fn prove_by_rust(&self) -> Result<[[u8; 48]; 128]> {
        let coded = self.rust.compute_cells_and_kzg_proofs(&self.blob);
        let (_, proofs) = coded.map_err(|error| Error::subject(RUST)(format!("{error:?}")))?;
        Ok(proofs)
    }
}

/// A blob without order. The first byte of each number is zero, so that it is below the prime.
fn blob() -> Box<[u8; BLOB_LEN]> {
    let mut random = Random::new(0);
    let mut blob = Box::new([0; BLOB_LEN]);
    for word in blob.chunks_exact_mut(8) {
        word.copy_from_slice(&random.word().to_le_bytes());
    }
    for number in blob.chunks_exact_mut(NUMBER_LEN) {
        number[0] = 0;
    }
    blob
}

#[cfg(test)]
mod tests {
    use super::Setups;

    /// Proves that both libraries do the same work: they make the same proofs of the same blob.
    #[test]
    fn libraries_agree() {
        let setups = Setups::new();
        assert_eq!(
            setups.prove_by_c().unwrap(),
            setups.prove_by_rust().unwrap()
        );
    }
}
