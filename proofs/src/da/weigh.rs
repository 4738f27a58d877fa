//! How much a certificate weighs, to somebody who knows the hash of its committee.
//!
//! ```text
//!  Seats ─ sum of keys ─► Committee ─ hash ─► known to whoever checks
//!    │                        │
//!    └─ Certificate ──────────┴─► Shown ─ weigh ─► rows that were signed for
//! ```
//! The chain's native contract (`0x2005`) is [`weigh`], and `DaVerifier.sol` does the same elsewhere. Keys
//! are not proven anew: those under the hash were, by the contract that made it.

use alloc::vec::Vec;

use blst::min_sig::{AggregatePublicKey, PublicKey};

use super::{
    certificate::Threshold,
    committee::{Committee, KeyPoint, POINT_LEN, Seat, Seats},
    shown::Shown,
    signing::{HolderKey, Holders, SigningRefusal, point},
};
use crate::{
    committee::{PointRefusal, SUITE, is_signed, refusal},
    finality::SIGNATURE_LEN,
};

/// Bytes of a coordinate in a point of EIP-2537, and how many of them lead it as zeros.
const COORDINATE_LEN: usize = 64;
const ZEROS: usize = 16;
/// Bytes of a coordinate that say something.
const FIELD_LEN: usize = COORDINATE_LEN - ZEROS;
/// In the first byte of a compressed point: which of two points it is.
const SIGN: u8 = 0x20;
/// In the first byte of a point: that it is the one at infinity.
const INFINITY: u8 = 0x40;

/// The rows that a certificate is signed for, if it is right and they are enough to mean anything;
/// the bytes are those of a [`Shown`]. Whether its committee is the one, and whether its expiry is over,
/// are for the caller to see. Cost: one pairing of two pairs, and 20 µs or so for each absent seat.
#[must_use]
pub fn weigh(bytes: &[u8]) -> Option<u16> {
    let shown = Shown::decode(bytes).ok()?;
    shown.verify(Threshold::LEAST).ok()
}

/// Bytes of a signature as contracts compute with it: a point of G1 by EIP-2537.
pub const SIGNATURE_POINT_LEN: usize = 2 * COORDINATE_LEN;

/// A signature, or a proof of possession, as contracts compute with it.
///
/// # Errors
/// [`SigningRefusal::Point`]
pub fn signature_point(
    signature: &[u8; SIGNATURE_LEN],
) -> Result<[u8; SIGNATURE_POINT_LEN], SigningRefusal> {
    let bytes = point(signature)?.serialize();
    let mut out = [0; SIGNATURE_POINT_LEN];
    for (coordinate, field) in bytes.as_chunks::<FIELD_LEN>().0.iter().enumerate() {
        out[coordinate * COORDINATE_LEN + ZEROS..][..FIELD_LEN].copy_from_slice(field);
    }
    Ok(out)
}

impl Shown {
    /// Checks that holders of enough rows of this committee have signed, and says of how many.
    ///
    /// # Errors
    /// [`SigningRefusal`]: [`SigningRefusal::Quorum`] and [`SigningRefusal::Seats`] if it is not the
    /// committee's, then as [`super::Certificate::verify`].
    pub fn verify(&self, threshold: Threshold) -> Result<u16, SigningRefusal> {
        // [D-38] First what costs nothing.
        if self.certificate.statement.quorum != self.committee.quorum {
            return Err(SigningRefusal::Quorum);
        }
        let (got, want) = (self.weight(), threshold.rows());
        if got < usize::from(want) {
            return Err(SigningRefusal::Weight { got, want });
        }
        if !self.has_its_seats() {
            return Err(SigningRefusal::Seats);
        }
        let signature = point(&self.certificate.signature)?;
        let key = self.signers_key()?;
        let message = self.certificate.statement.message();
        if !is_signed(&key, &signature, &message.0, SUITE) {
            return Err(SigningRefusal::Signature);
        }
        Ok(u16::try_from(got).expect("at most 3072 rows"))
    }

    /// The sum of all keys less those of the absent.
    fn signers_key(&self) -> Result<PublicKey, SigningRefusal> {
        let sum = unchecked(&self.committee.sum)?;
        let absent = self.absent.iter().map(|seat| unchecked(&seat.key));
        let absent = absent.collect::<Result<Vec<PublicKey>, _>>()?;
        // Two keys may be each other's opposite: whoever has both must not spoil others' certificates.
        let Some(absent) = sum_of(&absent).filter(|sum| !is_infinity(sum)) else {
            return Ok(sum);
        };
        // The library has no difference: the point on the other side of the axis has the other sign.
        let mut negated = absent.compress();
        negated[0] ^= SIGN;
        let negated = PublicKey::uncompress(&negated);
        let negated = negated.map_err(|error| SigningRefusal::Key(refusal(error)))?;
        let both = sum_of(&[sum, negated]);
        Ok(both.expect("two keys have a sum"))
    }
}

impl Seats {
    /// The committee of these seats. Cost: 20 µs or so a seat.
    ///
    /// # Errors
    /// [`SigningRefusal::Key`] if a key is no point, or they are each other's opposites.
    pub fn committee(&self) -> Result<Committee, SigningRefusal> {
        // [D-36]
        let keys = self.seats().iter().map(|seat| unchecked(&seat.key));
        let keys = keys.collect::<Result<Vec<PublicKey>, _>>()?;
        let sum = sum_of(&keys).expect("a quorum has a seat");
        if is_infinity(&sum) {
            return Err(SigningRefusal::Key(PointRefusal::Infinity));
        }
        Ok(Committee {
            quorum: *self.quorum(),
            draw: self.draw(),
            seats: u16::try_from(keys.len()).expect("at most 340 seats"),
            sum: to_point(&sum),
            seat_root: self.tree().root(),
        })
    }

    /// Its rows and keys, for whoever checks single receipts. Cost: 100 µs or so a seat.
    ///
    /// # Errors
    /// [`SigningRefusal::Key`]
    pub fn holders(&self) -> Result<Holders, SigningRefusal> {
        let keys = self.seats().iter().map(|seat| HolderKey::at(&seat.key));
        Holders::new(self.assignment(), keys.collect::<Result<_, _>>()?)
    }
}

impl Seat {
    /// A seat of this key.
    #[must_use]
    pub fn new(key: &HolderKey, rows: u16) -> Self {
        Self {
            key: key.to_point(),
            rows,
        }
    }
}

impl HolderKey {
    /// As contracts compute with it.
    #[must_use]
    pub fn to_point(&self) -> KeyPoint {
        to_point(&self.0)
    }

    /// Reads a key whose possession was proven before, as [`HolderKey::known`] does.
    ///
    /// # Errors
    /// [`SigningRefusal::Key`]
    pub fn at(point: &KeyPoint) -> Result<Self, SigningRefusal> {
        // [F-6]
        let key = unchecked(point)?;
        let valid = key.validate();
        valid.map_err(|error| SigningRefusal::Key(refusal(error)))?;
        Ok(Self(key))
    }
}

/// The sum of keys, none of none. It may be the point at infinity, which signs nothing.
fn sum_of(keys: &[PublicKey]) -> Option<PublicKey> {
    let (first, rest) = keys.split_first()?;
    let mut sum = AggregatePublicKey::from_public_key(first);
    for key in rest {
        let added = sum.add_public_key(key, false);
        added.expect("points are added without a check");
    }
    Some(sum.to_public_key())
}

fn is_infinity(key: &PublicKey) -> bool {
    key.compress()[0] & INFINITY != 0
}

/// A point of the curve; that it is in the group was seen by whoever has registered it.
fn unchecked(point: &KeyPoint) -> Result<PublicKey, SigningRefusal> {
    // [D-35] Four coordinates, the real part first; the library takes the imaginary first.
    let none = SigningRefusal::Key(PointRefusal::Encoding);
    let mut bytes = [0; 4 * FIELD_LEN];
    for (place, coordinate) in [1, 0, 3, 2].into_iter().enumerate() {
        let coordinate = &point.0[coordinate * COORDINATE_LEN..][..COORDINATE_LEN];
        let (zeros, field) = coordinate.split_at(ZEROS);
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(none);
        }
        bytes[place * FIELD_LEN..][..FIELD_LEN].copy_from_slice(field);
    }
    // With its flags a first byte would mean another form.
    if bytes[0] >= SIGN {
        return Err(none);
    }
    let key = PublicKey::deserialize(&bytes);
    key.map_err(|error| SigningRefusal::Key(refusal(error)))
}

fn to_point(key: &PublicKey) -> KeyPoint {
    let bytes = key.serialize();
    let mut point = [0; POINT_LEN];
    for (place, coordinate) in [1, 0, 3, 2].into_iter().enumerate() {
        let field = &bytes[place * FIELD_LEN..][..FIELD_LEN];
        point[coordinate * COORDINATE_LEN + ZEROS..][..FIELD_LEN].copy_from_slice(field);
    }
    KeyPoint(point)
}
