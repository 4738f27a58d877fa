//! Holders of test keys and equal stakes: they sign for whatever they are given.

use std::sync::Arc;

use bytes::Bytes;
use lode_proofs::da::{
    Assignment, Certificate, Quorum, Statement, Threshold,
    committee::{Seat, Seats},
    draw::Draw,
    shown::Shown,
    signing::HolderSecret,
};
use sha2::{Digest as _, Sha256};

use crate::availability::Members;

/// A quorum with all its secrets.
pub struct Committee {
    /// Which.
    pub quorum: Quorum,
    /// Keys and rows.
    pub members: Arc<Members>,
    assignment: Assignment,
    secrets: Vec<HolderSecret>,
}

impl Committee {
    /// So many holders. The same seed gives the same keys and rows, so that certificates of an earlier run
    /// are right in a later one.
    pub fn new(quorum: Quorum, holders: u16, seed: [u8; 32]) -> Committee {
        let draw = Draw::new(&seed, &quorum);
        let rows = draw.rows(&vec![1; usize::from(holders)]);
        let rows = rows.expect("1 to 340 holders with a stake each");
        let secrets: Vec<HolderSecret> = (0..holders)
            .map(|seat| {
                let secret = Sha256::new().chain_update(seed);
                let secret = secret.chain_update(seat.to_be_bytes()).finalize();
                HolderSecret::from_seed(&secret.into())
            })
            .collect();
        let seats = secrets.iter().zip(rows);
        let seats = seats.map(|(secret, rows)| Seat::new(&secret.key(), rows));
        let seats =
            Seats::new(quorum, draw, seats.collect()).expect("each has rows, and all have all");
        Committee {
            quorum,
            assignment: seats.assignment(),
            members: Arc::new(Members::new(seats).expect("keys of secrets are points")),
            secrets,
        }
    }

    /// Columns of checksums that so many holders need.
    pub fn columns(&self) -> usize {
        self.assignment.columns()
    }

    /// What the first `signers` of them sign; none if those have too few rows.
    pub fn certify(&self, statement: Statement, signers: usize) -> Option<Bytes> {
        let signing = self.secrets.iter().take(signers).enumerate();
        let receipts: Vec<(usize, [u8; 48])> = signing
            .map(|(seat, secret)| (seat, secret.sign(&statement)))
            .collect();
        let certificate = Certificate::sum(statement, &self.assignment, &receipts).ok()?;
        let bytes = certificate.encode().into();
        let (committee, seats) = (*self.members.committee(), self.members.seats());
        let shown = Shown::new(committee, seats, certificate);
        shown.verify(Threshold::LEAST).is_ok().then_some(bytes)
    }
}
