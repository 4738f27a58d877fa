//! What a Nitro sequencer posts on its parent chain in place of a batch ([D-39]), and the verdict on it,
//! which is `DaProofValidator.sol`'s.

use lode_proofs::{
    Hash32,
    da::{
        Certificate, NamespaceProof, Threshold,
        certificate::CERTIFICATE_LEN_MAX,
        committee::{COMMITTEE_LEN, SEAT_LEN},
        decode::DecodeError,
        posted::{self, POSTED_TAG},
        shape::HOLDERS_MAX,
        shown::Shown,
        signing::SigningRefusal,
        table::BLOBS_MAX,
        weigh::SIGNATURE_POINT_LEN,
    },
};

use crate::{
    availability::{Availability, GetError, Members, Posted},
    handle::Handle,
    read,
};

/// Nitro's header byte of all providers' certificates.
pub const HEADER: u8 = POSTED_TAG[0];
/// Bytes before the DA certificate.
const HEAD_LEN: usize = 8 + COMMITTEE_LEN + SIGNATURE_POINT_LEN;
const _: () = assert!(HEAD_LEN == 478, "the contract counts on it");
/// Bytes of the longest certificate: all but one seat absent, a hash beside each, one entry, and a hash
/// for each level of the tree over 4096. One that all have signed has 800 or so.
pub const LEN_MAX: usize =
    HEAD_LEN + CERTIFICATE_LEN_MAX + HOLDERS_MAX * (SEAT_LEN + 32) + 89 + 32 * 12;
const _: () = assert!(BLOBS_MAX == 1 << 12, "the levels that are counted above");

/// A certificate in its parts, which nobody has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'bytes> {
    /// What binds the quorum ([D-36]).
    pub committee: &'bytes [u8; COMMITTEE_LEN],
    /// The DA certificate's signature as a point.
    pub signature: &'bytes [u8; SIGNATURE_POINT_LEN],
    /// The DA certificate ([D-25]).
    pub certificate: &'bytes [u8],
    /// Who has not signed ([D-37]).
    pub absent: &'bytes [u8],
    /// One entry under its namespace root ([D-22]).
    pub entry: &'bytes [u8],
}

/// Why a certificate will never be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// More bytes than any has, or fewer than it says.
    #[error("{got} bytes, a certificate like this has others")]
    Length {
        /// Bytes found.
        got: usize,
    },
    /// It begins otherwise.
    #[error("a certificate begins with 0x014c")]
    Head,
    /// Committee, DA certificate or absent seats are none.
    #[error(transparent)]
    Shown(#[from] DecodeError),
    /// Nobody holds rows there.
    #[error("there is no such quorum")]
    Quorum,
    /// The quorum has other members.
    #[error("the quorum has another committee")]
    Committee,
    /// It is not signed.
    #[error(transparent)]
    Signed(#[from] SigningRefusal),
    /// The entry is none, or not one of the container.
    #[error("the entry: {0}")]
    Entry(String),
    /// The signature's point is another than the signature.
    #[error("the signature is another as a point")]
    Point,
}

/// What a right certificate is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Valid {
    /// The blob's place.
    pub handle: Handle,
    /// Its root.
    pub root: Hash32,
    /// Its bytes.
    pub len: u64,
}

/// The certificate of a blob.
///
/// # Errors
/// Why the store's evidence is none.
pub fn of(posted: &Posted, members: &Members) -> Result<Vec<u8>, String> {
    let text = |error: DecodeError| error.to_string();
    let seats = members.seats();
    let certificate = Certificate::decode_for(&posted.certificate, seats.seats().len());
    let certificate = certificate.map_err(text)?;
    read::one_entry(&posted.entry, certificate.statement.head.namespace_root)?;
    let entry = NamespaceProof::decode(&posted.entry).map_err(text)?;
    let shown = Shown::new(*members.committee(), seats, certificate);
    posted::encode(&shown, &entry).map_err(|error| error.to_string())
}

/// The bytes of parts.
///
/// # Panics
/// If one of them is longer than its length says.
#[must_use]
pub fn encode(parts: &Parts<'_>) -> Vec<u8> {
    let len = u16::try_from(parts.certificate.len()).expect("a certificate is short");
    let absent = u32::try_from(parts.absent.len()).expect("340 seats are not 4 GiB");
    [
        &POSTED_TAG[..],
        &len.to_be_bytes(),
        &absent.to_be_bytes(),
        parts.committee,
        parts.signature,
        parts.certificate,
        parts.absent,
        parts.entry,
    ]
    .concat()
}

/// Takes it apart. Nothing but lengths and the head is looked at.
///
/// # Errors
/// [`Invalid::Length`], [`Invalid::Head`]
pub fn decode(bytes: &[u8]) -> Result<Parts<'_>, Invalid> {
    let got = bytes.len();
    let cut = Invalid::Length { got };
    let head = bytes.first_chunk::<8>().filter(|_| got <= LEN_MAX);
    let [header, ours, c0, c1, a0, a1, a2, a3] = *head.ok_or_else(|| cut.clone())?;
    if [header, ours] != POSTED_TAG {
        return Err(Invalid::Head);
    }
    let certificate_len = usize::from(u16::from_be_bytes([c0, c1]));
    let absent_len = u32::from_be_bytes([a0, a1, a2, a3]);
    let absent_len = usize::try_from(absent_len).unwrap_or(usize::MAX);
    let parts = || {
        let (committee, rest) = bytes[8..].split_first_chunk()?;
        let (signature, rest) = rest.split_first_chunk()?;
        let (certificate, rest) = rest.split_at_checked(certificate_len)?;
        let (absent, entry) = rest.split_at_checked(absent_len)?;
        Some(Parts {
            committee,
            signature,
            certificate,
            absent,
            entry,
        })
    };
    parts().ok_or(cut)
}

/// Whether a certificate is right, as the contract would say. Cost: a pairing of two pairs, and 20 µs for
/// each absent seat.
///
/// # Errors
/// [`GetError`], when its quorum cannot be asked for now; that says nothing of the certificate.
pub async fn judge(
    availability: &impl Availability,
    bytes: &[u8],
) -> Result<Result<Valid, Invalid>, GetError> {
    let (parts, shown) = match decode(bytes).and_then(|parts| Ok((parts, shown(&parts)?))) {
        Ok(both) => both,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let members = availability.members(shown.committee.quorum).await?;
    Ok(match members {
        None => Err(Invalid::Quorum),
        Some(members) if *members.committee() != shown.committee => Err(Invalid::Committee),
        Some(_) => weigh(&parts, &shown, bytes),
    })
}

fn shown(parts: &Parts<'_>) -> Result<Shown, DecodeError> {
    Shown::decode(&[parts.committee, parts.certificate, parts.absent].concat())
}

/// The verdict on what is of a committee that is known.
fn weigh(parts: &Parts<'_>, shown: &Shown, bytes: &[u8]) -> Result<Valid, Invalid> {
    // The least that counts, as in the contract: another bound here would be another verdict.
    shown.verify(Threshold::LEAST)?;
    let head = shown.certificate.statement.head;
    let entry = read::one_entry(parts.entry, head.namespace_root);
    let entry = entry.map_err(Invalid::Entry)?;
    let proof = NamespaceProof::decode(parts.entry);
    let proof = proof.map_err(|error| Invalid::Entry(error.to_string()))?;
    // Of all that is checked by now there is one form; of the point there is that of the signature.
    if posted::encode(shown, &proof)? != bytes {
        return Err(Invalid::Point);
    }
    Ok(Valid {
        handle: Handle::Place {
            container: head.id(),
            offset: entry.offset,
            len: entry.len,
        },
        root: entry.root,
        len: entry.len,
    })
}

/// Whether bytes that take apart are those of the parts, and an entry that reads is of one form: for
/// those who feed it what they like.
///
/// # Panics
/// If not.
pub fn check_form(bytes: &[u8]) {
    let Ok(parts) = decode(bytes) else { return };
    assert_eq!(encode(&parts), bytes, "one form each");
    if let Ok(entry) = NamespaceProof::decode(parts.entry) {
        assert_eq!(entry.encode(), parts.entry, "one form each");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any parts come back, and any bytes that take apart have one form.
        #[test]
        fn comes_back(
            certificate in prop::collection::vec(any::<u8>(), 0..CERTIFICATE_LEN_MAX),
            absent in prop::collection::vec(any::<u8>(), 0..600),
            entry in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let parts = Parts {
                committee: &[3; COMMITTEE_LEN],
                signature: &[4; SIGNATURE_POINT_LEN],
                certificate: &certificate,
                absent: &absent,
                entry: &entry,
            };
            let mut bytes = encode(&parts);
            prop_assert_eq!(decode(&bytes), Ok(parts));
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            check_form(&bytes);
        }
    }

    /// What begins otherwise, or is cut, is invalid.
    #[test]
    fn heads_are_checked() {
        let parts = Parts {
            committee: &[3; COMMITTEE_LEN],
            signature: &[4; SIGNATURE_POINT_LEN],
            certificate: &[7; 20],
            absent: &[8; 300],
            entry: &[],
        };
        let bytes = encode(&parts);
        assert_eq!(&bytes[..8], [1, 0x4c, 0, 20, 0, 0, 1, 44]);
        for at in 0..2 {
            let mut other = bytes.clone();
            other[at] ^= 0x80;
            assert_eq!(decode(&other), Err(Invalid::Head));
        }
        for got in [0, 7, 8, 400, bytes.len() - 1] {
            assert_eq!(decode(&bytes[..got]), Err(Invalid::Length { got }));
        }
        let got = LEN_MAX + 1;
        assert_eq!(decode(&vec![1; got]), Err(Invalid::Length { got }));
    }
}
