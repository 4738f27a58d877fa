//! The committee of the settlement chain, as everybody else knows it: one public key, and whether
//! it signed.
//!
//! ```text
//!  key, 96 bytes, G2 compressed ─┐
//!  namespace ────────────────────┼─► Finality::verify ─► the block is final, or a named refusal
//!  Finality, 152 bytes ──────────┘
//! ```
//! BLS12-381 with signatures in G1 (SPEC, Finality). One check of both signatures costs about twice
//! what one pairing of two pairs does; it needs neither threads nor randomness.

use blst::{
    BLST_ERROR, Pairing, blst_p1_affine, blst_p2_affine,
    min_sig::{PublicKey, Signature},
};

use crate::finality::{Finality, SIGNATURE_LEN};

/// Bytes of a key: a point of G2, compressed.
pub const KEY_LEN: usize = 96;

/// The key that a committee signs with as a whole. A value of this type is a point of the group
/// that is not infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupKey(PublicKey);

/// Why bytes are no point to verify with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointRefusal {
    /// Not the one compressed form of a pair of numbers below the field's order.
    #[error("not the compressed form of a point")]
    Encoding,
    /// No point of the curve has this coordinate.
    #[error("not on the curve")]
    Curve,
    /// The point at infinity, which would sign anything.
    #[error("the point at infinity")]
    Infinity,
    /// On the curve, but outside of the group of prime order.
    #[error("not in the group")]
    Group,
}

/// One of the two signatures of a [`Finality`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// On the proposal.
    Vote,
    /// On epoch and view.
    Seed,
}

/// Why a [`Finality`] proves nothing. No other attempt with the same bytes can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinalityRefusal {
    /// A signature is no point.
    #[error("the {which} is {why}")]
    Point {
        /// Which signature.
        which: Signed,
        /// What is wrong with it.
        why: PointRefusal,
    },
    /// A signature is by another key, under another namespace or on other values.
    #[error("the {which} is not this committee's on these values")]
    Signature {
        /// Which signature.
        which: Signed,
    },
}

impl core::fmt::Display for Signed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Vote => "vote",
            Self::Seed => "seed",
        })
    }
}

impl GroupKey {
    /// Reads a key.
    ///
    /// # Errors
    /// When it is not the compressed form of a point of the group, or that of infinity.
    pub fn new(bytes: &[u8; KEY_LEN]) -> Result<GroupKey, PointRefusal> {
        // [F-6], [F-8]
        let key = PublicKey::uncompress(bytes).map_err(refusal)?;
        key.validate().map_err(refusal)?;
        Ok(GroupKey(key))
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; KEY_LEN] {
        self.0.compress()
    }

    /// Whether `signature` is this key's on `message`, each with a check of the point before.
    fn check(
        &self,
        which: Signed,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), FinalityRefusal> {
        // [F-6]
        let signature = Signature::uncompress(signature)
            .and_then(|point| point.validate(true).map(|()| point))
            .map_err(|error| FinalityRefusal::Point {
                which,
                why: refusal(error),
            })?;
        if is_signed(&self.0, &signature, message, SUITE) {
            Ok(())
        } else {
            Err(FinalityRefusal::Signature { which })
        }
    }
}

impl Finality {
    /// Checks that the committee with this key signed both the block and the view. `namespace` is
    /// the chain's: it keeps a committee's signatures on one chain from counting on another.
    ///
    /// # Errors
    /// The first [`FinalityRefusal`] in the order vote, seed; for each its point first.
    pub fn verify(&self, namespace: &[u8], key: &GroupKey) -> Result<(), FinalityRefusal> {
        // [F-7]
        key.check(Signed::Vote, &self.vote_message(namespace), &self.vote)?;
        key.check(Signed::Seed, &self.seed_message(namespace), &self.seed)
    }
}

/// Whether a signature, a point that was checked, is this key's on `message`. One pairing of two pairs.
pub(crate) fn is_signed(
    key: &PublicKey,
    signature: &Signature,
    message: &[u8],
    suite: &[u8],
) -> bool {
    // [F-5] Not `Signature::verify`: where there is an operating system, that one starts threads.
    let (key, point) = (blst_p2_affine::from(*key), blst_p1_affine::from(*signature));
    let mut pairing = Pairing::new(HASH_NOT_ENCODE, suite);
    let taken = pairing.aggregate(&key, false, &point, false, message, &[]);
    pairing.commit();
    taken == BLST_ERROR::BLST_SUCCESS && pairing.finalverify(None)
}

pub(crate) fn refusal(error: BLST_ERROR) -> PointRefusal {
    match error {
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => PointRefusal::Curve,
        BLST_ERROR::BLST_PK_IS_INFINITY => PointRefusal::Infinity,
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => PointRefusal::Group,
        _ => PointRefusal::Encoding,
    }
}

/// How messages become points of G1: the ciphersuite for signatures whose keys come with a proof of
/// possession (draft-irtf-cfrg-bls-signature, 4.2.3; RFC 9380, 8.8.1).
pub(crate) const SUITE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
/// The "RO" of [`SUITE`]: uniform over the group.
const HASH_NOT_ENCODE: bool = true;
