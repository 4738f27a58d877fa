//! Arithmetic of Ethereum's native contracts.
//!
//! Points of KZG commitments (EIP-4844) are checked by blst, with the one point of the trusted setup
//! that a check needs. The library that revm takes by itself reads the whole setup and makes tables of
//! it at the first check: ten seconds in which a block or a call would wait, for nothing.

use revm::precompile::{Crypto, PrecompileHalt, install_crypto, kzg_point_evaluation::blst};

/// As revm does it, but for KZG.
#[derive(Debug)]
struct Arithmetic;

impl Crypto for Arithmetic {
    fn verify_kzg_proof(
        &self,
        z: &[u8; 32],
        y: &[u8; 32],
        commitment: &[u8; 48],
        proof: &[u8; 48],
    ) -> Result<(), PrecompileHalt> {
        if blst::verify_kzg_proof(commitment, z, y, proof) {
            return Ok(());
        }
        Err(PrecompileHalt::BlobVerifyKzgProofFailed)
    }
}

/// Has all EVMs of this process calculate so.
pub fn install() {
    // False where a ledger has done so before. Whoever ran an EVM before the first ledger was opened
    // keeps revm's own way: slower, with the same answers.
    let _ = install_crypto(Arithmetic);
}

#[cfg(test)]
#[path = "crypto_tests.rs"]
mod tests;
