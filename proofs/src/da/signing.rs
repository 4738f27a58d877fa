//! The keys of holders, and whether a certificate is signed by enough of them.
//!
//! ```text
//!  secret ─► possession 48 ─┐
//!     │      key 96 ────────┴─► HolderKey ─┐ one for each seat
//!     │      assignment ───────────────────┴─► Holders ─┐
//!     └────► receipts 48 ── sum ─► Certificate ─────────┴─► verify
//! ```
//! BLS12-381 with signatures in G1 and keys in G2, as the chain's committee has them (SPEC, Finality).
//! All holders sign the same message, so what is checked is one sum of keys: sound only if everybody
//! who has a key has shown that he knows its secret. A [`HolderKey`] is one that did.

use alloc::vec::Vec;

use blst::min_sig::{AggregatePublicKey, AggregateSignature, PublicKey, SecretKey, Signature};

use super::{
    certificate::{Certificate, Statement, Threshold},
    quorum::Assignment,
};
use crate::{
    committee::{KEY_LEN, PointRefusal, SUITE, is_signed, refusal},
    finality::SIGNATURE_LEN,
};

/// How keys become points of G1 when their possession is proven (draft-irtf-cfrg-bls-signature, 4.2.3).
const POSSESSION_SUITE: &[u8] = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// What a holder signs with. Wiped when it is dropped.
pub struct HolderSecret(SecretKey);

/// A key whose secret somebody has shown to know: a point of the group that is not infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolderKey(pub(super) PublicKey);

/// The holders of a quorum: their rows and their keys.
#[derive(Clone, Debug)]
pub struct Holders {
    assignment: Assignment,
    keys: Vec<HolderKey>,
}

/// Why a key, a receipt or a certificate is not accepted. None can be cured by trying again with the
/// same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningRefusal {
    /// The secret is zero or too large.
    #[error("not a secret: zero, or not below the group's order")]
    Secret,
    /// The key is no point.
    #[error("the key is {0}")]
    Key(PointRefusal),
    /// The signature is no point.
    #[error("the signature is {0}")]
    Point(PointRefusal),
    /// Nobody has shown to know the key's secret.
    #[error("the possession of this key's secret is not proven")]
    Possession,
    /// Not one key for each seat.
    #[error("{got} keys for {want} holders")]
    Keys {
        /// Keys found.
        got: usize,
        /// Holders of the assignment.
        want: usize,
    },
    /// The certificate is of another quorum than the committee.
    #[error("the certificate is of another quorum than the committee")]
    Quorum,
    /// The absent seats are not those of the committee.
    #[error("the absent seats are not those of the committee")]
    Seats,
    /// Too few rows were signed for.
    #[error("signed for {got} rows, {want} are needed")]
    Weight {
        /// Rows of the signers.
        got: usize,
        /// The threshold.
        want: u16,
    },
    /// The signature is by others, or on something else.
    #[error("the signature is not that of the signers on this statement")]
    Signature,
}

impl HolderSecret {
    /// The secret that follows from 32 random bytes (draft-irtf-cfrg-bls-signature, 2.3).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SecretKey::key_gen(seed, &[]).expect("32 bytes are enough"))
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// [`SigningRefusal::Secret`]
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SigningRefusal> {
        let secret = SecretKey::from_bytes(bytes);
        secret.map(Self).map_err(|_| SigningRefusal::Secret)
    }

    /// Its key, which needs no proof: the secret is here.
    #[must_use]
    pub fn key(&self) -> HolderKey {
        HolderKey(self.0.sk_to_pk())
    }

    /// Shows that somebody knows this secret.
    #[must_use]
    pub fn possession(&self) -> [u8; SIGNATURE_LEN] {
        // [D-28]
        let key = self.0.sk_to_pk().compress();
        self.0.sign(&key, POSSESSION_SUITE, &[]).compress()
    }

    /// Signs a statement. Whoever calls this has verified and stored its rows.
    #[must_use]
    pub fn sign(&self, statement: &Statement) -> [u8; SIGNATURE_LEN] {
        // [D-27]
        self.0.sign(&statement.message().0, SUITE, &[]).compress()
    }
}

impl HolderKey {
    /// Reads a key with the proof that its secret is known. Cost: one pairing of two pairs.
    ///
    /// # Errors
    /// [`SigningRefusal::Key`], [`SigningRefusal::Point`], [`SigningRefusal::Possession`]
    pub fn new(
        bytes: &[u8; KEY_LEN],
        possession: &[u8; SIGNATURE_LEN],
    ) -> Result<Self, SigningRefusal> {
        // [D-28]
        let key = Self::known(bytes)?;
        let possession = point(possession)?;
        if is_signed(&key.0, &possession, bytes, POSSESSION_SUITE) {
            Ok(key)
        } else {
            Err(SigningRefusal::Possession)
        }
    }

    /// Reads a key whose possession was proven before, to whoever keeps it: a chain that registered
    /// it. Any other key lets its maker sign for everybody.
    ///
    /// # Errors
    /// [`SigningRefusal::Key`]
    pub fn known(bytes: &[u8; KEY_LEN]) -> Result<Self, SigningRefusal> {
        // [F-6]
        let key = PublicKey::uncompress(bytes).and_then(|key| key.validate().map(|()| key));
        let key = key.map_err(|error| SigningRefusal::Key(refusal(error)))?;
        Ok(Self(key))
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; KEY_LEN] {
        self.0.compress()
    }

    /// Checks one holder's signature on a statement.
    ///
    /// # Errors
    /// [`SigningRefusal::Point`], [`SigningRefusal::Signature`]
    pub fn check(
        &self,
        statement: &Statement,
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), SigningRefusal> {
        // [D-27]
        let signature = point(signature)?;
        if is_signed(&self.0, &signature, &statement.message().0, SUITE) {
            Ok(())
        } else {
            Err(SigningRefusal::Signature)
        }
    }
}

impl Holders {
    /// Joins rows and keys, in the order of seats.
    ///
    /// # Errors
    /// [`SigningRefusal::Keys`]
    pub fn new(assignment: Assignment, keys: Vec<HolderKey>) -> Result<Self, SigningRefusal> {
        let (got, want) = (keys.len(), assignment.holders());
        if got != want {
            return Err(SigningRefusal::Keys { got, want });
        }
        Ok(Self { assignment, keys })
    }

    /// Who has which rows.
    #[must_use]
    pub const fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// The key of a seat.
    #[must_use]
    pub fn key(&self, seat: usize) -> Option<&HolderKey> {
        self.keys.get(seat)
    }
}

impl Certificate {
    /// Sums up signatures, which come with the seats of those who gave them, in any order; of a seat
    /// that comes twice the first counts. They are not checked: verify each before, or the whole after.
    ///
    /// # Errors
    /// [`SigningRefusal::Point`], [`SigningRefusal::Signature`] if there are none or one is by nobody.
    pub fn sum(
        statement: Statement,
        assignment: &Assignment,
        signatures: &[(usize, [u8; SIGNATURE_LEN])],
    ) -> Result<Self, SigningRefusal> {
        // [D-27]
        let mut seats: Vec<usize> = Vec::new();
        let mut sum: Option<AggregateSignature> = None;
        for (seat, signature) in signatures {
            if *seat >= assignment.holders() {
                return Err(SigningRefusal::Signature);
            }
            if seats.contains(seat) {
                continue;
            }
            let signature = point(signature)?;
            match &mut sum {
                None => sum = Some(AggregateSignature::from_signature(&signature)),
                Some(sum) => sum
                    .add_signature(&signature, false)
                    .map_err(|error| SigningRefusal::Point(refusal(error)))?,
            }
            seats.push(*seat);
        }
        let sum = sum.ok_or(SigningRefusal::Signature)?.to_signature();
        Ok(Self::new(statement, assignment, &seats, sum.compress()))
    }

    /// Checks that holders of enough rows have signed. Cost: one pairing of two pairs, and a sum of
    /// keys.
    ///
    /// # Errors
    /// [`SigningRefusal::Weight`], [`SigningRefusal::Point`], [`SigningRefusal::Signature`], in this
    /// order.
    pub fn verify(&self, holders: &Holders, threshold: Threshold) -> Result<(), SigningRefusal> {
        // [D-29] First what costs nothing.
        let (got, want) = (self.weight(&holders.assignment), threshold.rows());
        if got < usize::from(want) {
            return Err(SigningRefusal::Weight { got, want });
        }
        // [D-27]
        let signature = point(&self.signature)?;
        let key = holders
            .sum_of(self.seats())
            .ok_or(SigningRefusal::Signature)?;
        if is_signed(&key, &signature, &self.statement.message().0, SUITE) {
            Ok(())
        } else {
            Err(SigningRefusal::Signature)
        }
    }
}

impl Holders {
    /// The sum of keys; none if there is none, or a seat without a key.
    fn sum_of(&self, seats: impl Iterator<Item = usize>) -> Option<PublicKey> {
        let mut sum: Option<AggregatePublicKey> = None;
        for seat in seats {
            let HolderKey(key) = self.keys.get(seat)?;
            match &mut sum {
                None => sum = Some(AggregatePublicKey::from_public_key(key)),
                Some(sum) => sum.add_public_key(key, false).ok()?,
            }
        }
        sum.map(|sum| sum.to_public_key())
    }
}

/// A signature's point, which is in the group and not infinity.
pub(super) fn point(bytes: &[u8; SIGNATURE_LEN]) -> Result<Signature, SigningRefusal> {
    // [F-6]
    let point = Signature::uncompress(bytes).and_then(|point| point.validate(true).map(|()| point));
    point.map_err(|error| SigningRefusal::Point(refusal(error)))
}
