//! Holders of test keys: they sign for whatever they are given.

use std::sync::Arc;

use bytes::Bytes;
use lode_proofs::da::{
    Assignment, Certificate, Quorum, ROWS, Statement, Threshold,
    signing::{HolderSecret, Holders},
};
use sha2::{Digest as _, Sha256};

/// A quorum with all its secrets.
pub struct Committee {
    /// Which.
    pub quorum: Quorum,
    /// Rows and keys.
    pub holders: Arc<Holders>,
    secrets: Vec<HolderSecret>,
}

impl Committee {
    /// So many holders, who take rows in turns. The same seed gives the same keys, so that certificates
    /// of an earlier run are right in a later one.
    pub fn new(quorum: Quorum, holders: u16, seed: [u8; 32]) -> Committee {
        let rows = u16::try_from(ROWS).expect("3072 fits");
        let seats: Vec<u16> = (0..rows).map(|row| row % holders).collect();
        let assignment = Assignment::new(&seats).expect("each of them has a row");
        let secrets: Vec<HolderSecret> = (0..holders)
            .map(|seat| {
                let secret = Sha256::new().chain_update(seed);
                let secret = secret.chain_update(seat.to_be_bytes()).finalize();
                HolderSecret::from_seed(&secret.into())
            })
            .collect();
        let keys = secrets.iter().map(HolderSecret::key).collect();
        let holders = Holders::new(assignment, keys).expect("one key each");
        Committee {
            quorum,
            holders: Arc::new(holders),
            secrets,
        }
    }

    /// What all of them sign; none if only `signers` do, and those have too few rows.
    pub fn certify(&self, statement: Statement, signers: usize) -> Option<Bytes> {
        let signing = self.secrets.iter().take(signers).enumerate();
        let receipts: Vec<(usize, [u8; 48])> = signing
            .map(|(seat, secret)| (seat, secret.sign(&statement)))
            .collect();
        let assignment = self.holders.assignment();
        let certificate = Certificate::sum(statement, assignment, &receipts).ok()?;
        let enough = certificate.verify(&self.holders, Threshold::LEAST).is_ok();
        enough.then(|| certificate.encode().into())
    }
}
