//! Only what the committee signed is final.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lode_proofs::committee::{FinalityRefusal, Signed};

use super::*;
use crate::world::{header, header_proof, sign, trust};

/// A signed header becomes a block with its values.
#[test]
fn signed_headers_are_final() {
    let block = header_proof().verify(&trust()).unwrap();
    let header = header();
    assert_eq!(block.header(), &header);
    assert_eq!(block.hash(), header.hash_slow());
    assert_eq!(
        (block.number(), block.timestamp()),
        (header.number, header.timestamp)
    );
    assert_eq!(
        (block.state_root(), block.receipts_root()),
        (header.state_root, header.receipts_root)
    );
}

/// No byte of the header can be another, whatever the certificate then says of its hash.
#[test]
fn headers_are_bound() {
    let proof = header_proof();
    for at in 0..proof.header.len() {
        let mut bytes = proof.header.to_vec();
        bytes[at] ^= 1;
        let mut other = HeaderProof {
            header: bytes.into(),
            ..proof.clone()
        };
        assert_eq!(
            other.verify(&trust()),
            Err(Refusal::OtherBlock),
            "byte {at}"
        );
        other.finality.block = keccak256(&other.header).0;
        let which = Signed::Vote;
        let refusal = Refusal::Finality(FinalityRefusal::Signature { which });
        assert_eq!(other.verify(&trust()), Err(refusal), "byte {at}");
    }
}

/// Another chain's trust refuses it.
#[test]
fn trust_is_one_chains() {
    let other = Trust {
        namespace: b"lode-other".to_vec(),
        ..trust()
    };
    let refusal = header_proof().verify(&other).unwrap_err();
    assert!(matches!(refusal, Refusal::Finality(_)));
}

/// Even signed bytes are a block only if they are a header and nothing else, of a header's length.
#[test]
fn only_headers_are_headers() {
    let longer = [&header_proof().header[..], &[0x80]].concat();
    for bytes in [longer, b"hello".to_vec(), Vec::new()] {
        let refusal = sign(bytes.into()).verify(&trust()).unwrap_err();
        assert!(matches!(refusal, Refusal::Header(_)), "{refusal}");
    }
    let len = HEADER_LEN_MAX + 1;
    let long = sign(vec![0; len].into());
    assert_eq!(long.verify(&trust()), Err(Refusal::HeaderLen { len }));
}
