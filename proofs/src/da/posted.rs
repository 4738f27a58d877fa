//! A certificate for contracts of another chain: all that it takes to check that a blob is held, and what
//! its bytes are.
//!
//! ```text
//!    at  bytes  posted certificate
//!     0      1  01                  header byte of Arbitrum Nitro's custom data availability
//!     1      1  4c                  ours
//!     2      2  c                   bytes of the certificate, big-endian
//!     4      4  a                   bytes of what is absent
//!     8    342  committee
//!   350    128  signature           the certificate's, as a point
//!   478      c  certificate
//!     …      a  absent seats, and the nodes beside them
//!     …      …  entry               of the one blob
//! ```
//! `DaProofValidator.sol` reads it. Whether it is right depends on its bytes and on the committee's hash
//! alone, so no party of a dispute can make it look otherwise.

use alloc::vec::Vec;

use super::{
    namespace::NamespaceProof,
    shown::Shown,
    signing::SigningRefusal,
    weigh::{SIGNATURE_POINT_LEN, signature_point},
};

/// The header byte, and the one that says that it is ours.
pub const POSTED_TAG: [u8; 2] = [0x01, 0x4c];

/// What is posted: a certificate as it is shown, and the entry of one blob in its container's table, as
/// `NamespaceTree::show` gives it.
///
/// # Errors
/// [`SigningRefusal::Point`] if the certificate's signature is none.
///
/// # Panics
/// If another number of entries is shown than one.
pub fn encode(shown: &Shown, entry: &NamespaceProof) -> Result<Vec<u8>, SigningRefusal> {
    // [D-39]
    assert_eq!(entry.shown.len(), 1, "one blob is posted");
    let signature: [u8; SIGNATURE_POINT_LEN] = signature_point(&shown.certificate.signature)?;
    let (certificate, absent) = (shown.certificate.encode(), shown.absent());
    let mut bytes = POSTED_TAG.to_vec();
    let len = u16::try_from(certificate.len()).expect("a certificate has 260 bytes at most");
    bytes.extend_from_slice(&len.to_be_bytes());
    let len = u32::try_from(absent.len()).expect("339 seats and what is beside them have 98 kB");
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&shown.committee.encode());
    bytes.extend_from_slice(&signature);
    bytes.extend_from_slice(&certificate);
    bytes.extend_from_slice(&absent);
    bytes.extend_from_slice(&entry.encode());
    Ok(bytes)
}
