//! What a Nitro sequencer posts on its parent chain in place of a batch, and the verdict on it. See
//! [`super`] for its bytes.

use lode_proofs::{
    Hash32,
    da::{
        Certificate, NamespaceProof, Threshold, certificate::CERTIFICATE_LEN_MAX,
        signing::SigningRefusal, table::BLOBS_MAX,
    },
};

use crate::{
    altda::commitment::LAYER,
    availability::{Availability, GetError, Posted},
    handle::Handle,
    read,
};

/// Nitro's header byte of all providers' certificates.
pub const HEADER: u8 = 0x01;
/// The layout that is written here.
const VERSION: u8 = 0x01;
/// Bytes before the DA certificate.
const HEAD_LEN: usize = 7;
/// Bytes of the longest certificate: one entry, and a hash for each level of the tree over 4096.
pub const LEN_MAX: usize = HEAD_LEN + CERTIFICATE_LEN_MAX + 89 + 32 * 12;
const _: () = assert!(BLOBS_MAX == 1 << 12, "the levels that are counted above");

/// A certificate in its parts, which nobody has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'bytes> {
    /// The DA certificate ([D-25]).
    pub certificate: &'bytes [u8],
    /// One entry under its namespace root ([D-22]).
    pub entry: &'bytes [u8],
}

/// Why a certificate will never be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// More bytes than any has, or fewer.
    #[error("{got} bytes, a certificate has {HEAD_LEN} to {LEN_MAX}")]
    Length {
        /// Bytes found.
        got: usize,
    },
    /// It begins otherwise.
    #[error("a certificate begins with 0x01, 0x{LAYER:02x} and version 1")]
    Head,
    /// The DA certificate is longer than what is there.
    #[error("a DA certificate of {len} bytes is not there")]
    Cut {
        /// Its length.
        len: u32,
    },
    /// The DA certificate is none.
    #[error("the DA certificate: {0}")]
    Certificate(String),
    /// Nobody holds rows there.
    #[error("there is no such quorum")]
    Quorum,
    /// It is not signed.
    #[error(transparent)]
    Signed(#[from] SigningRefusal),
    /// The entry is none, or not one of the container.
    #[error("the entry: {0}")]
    Entry(String),
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
#[must_use]
pub fn of(posted: &Posted) -> Vec<u8> {
    encode(&Parts {
        certificate: &posted.certificate,
        entry: &posted.entry,
    })
}

/// As it is posted.
///
/// # Panics
/// If the DA certificate has 4 GiB.
#[must_use]
pub fn encode(parts: &Parts<'_>) -> Vec<u8> {
    let len = u32::try_from(parts.certificate.len()).expect("a certificate is short");
    let head = [HEADER, LAYER, VERSION];
    [
        &head[..],
        &len.to_be_bytes(),
        parts.certificate,
        parts.entry,
    ]
    .concat()
}

/// Takes it apart. Nothing but lengths and the head is looked at.
///
/// # Errors
/// [`Invalid::Length`], [`Invalid::Head`], [`Invalid::Cut`]
pub fn decode(bytes: &[u8]) -> Result<Parts<'_>, Invalid> {
    let got = bytes.len();
    let split = bytes.split_first_chunk::<HEAD_LEN>();
    let (head, rest) = split
        .filter(|_| got <= LEN_MAX)
        .ok_or(Invalid::Length { got })?;
    if head[..3] != [HEADER, LAYER, VERSION] {
        return Err(Invalid::Head);
    }
    let len = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let place = usize::try_from(len).unwrap_or(usize::MAX);
    let (certificate, entry) = rest.split_at_checked(place).ok_or(Invalid::Cut { len })?;
    Ok(Parts { certificate, entry })
}

/// Whether a certificate is right, as the contract would say. Cost: a pairing of two pairs.
///
/// # Errors
/// [`GetError`], when its holders cannot be asked for now; that says nothing of the certificate.
pub async fn judge(
    availability: &impl Availability,
    threshold: Threshold,
    bytes: &[u8],
) -> Result<Result<Valid, Invalid>, GetError> {
    let parts = match decode(bytes) {
        Ok(parts) => parts,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let quorum = match Certificate::quorum_of(parts.certificate) {
        Ok(quorum) => quorum,
        Err(error) => return Ok(Err(Invalid::Certificate(error.to_string()))),
    };
    let Some(holders) = availability.holders(quorum).await? else {
        return Ok(Err(Invalid::Quorum));
    };
    let judged = read::decode(parts.certificate, &holders)
        .map_err(Invalid::Certificate)
        .and_then(|certificate| {
            certificate.verify(&holders, threshold)?;
            let head = certificate.statement.head;
            let entry = read::one_entry(parts.entry, head.namespace_root);
            let entry = entry.map_err(Invalid::Entry)?;
            Ok(Valid {
                handle: Handle::Place {
                    container: head.id(),
                    offset: entry.offset,
                    len: entry.len,
                },
                root: entry.root,
                len: entry.len,
            })
        });
    Ok(judged)
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
            entry in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let parts = Parts { certificate: &certificate, entry: &entry };
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
            certificate: &[7; 20],
            entry: &[],
        };
        let bytes = encode(&parts);
        assert_eq!(&bytes[..7], [1, 0x4c, 1, 0, 0, 0, 20]);
        for at in 0..3 {
            let mut other = bytes.clone();
            other[at] ^= 0x80;
            assert_eq!(decode(&other), Err(Invalid::Head));
        }
        assert_eq!(decode(&bytes[..26]), Err(Invalid::Cut { len: 20 }));
        assert_eq!(decode(&bytes[..6]), Err(Invalid::Length { got: 6 }));
        let got = LEN_MAX + 1;
        assert_eq!(decode(&vec![1; got]), Err(Invalid::Length { got }));
    }
}
