//! Evidence comes back as it was, proves what it says, and no byte of it can be another.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use alloy_primitives::hex;

use super::*;
use crate::world::*;

fn slot() -> Evidence {
    Evidence {
        header: header_proof(),
        fact: Fact::Slot(slot_proof(42)),
        rest: Bytes::from_static(REST),
    }
}

/// Of a receipt with one log: no other log is as true.
fn log() -> Evidence {
    Evidence {
        header: header_proof(),
        fact: Fact::Log {
            receipt: receipt_proof(7),
            log: 0,
        },
        rest: Bytes::new(),
    }
}

/// Both kinds come back, and prove the slot's value and the log.
#[test]
fn comes_back_and_proves() {
    let (address, (slot_at, value)) = (address(CONTRACT), entry(42));
    let proven = [
        ProvenFact::Slot {
            address,
            slot: slot_at,
            value,
        },
        ProvenFact::Log(receipt(7).logs()[0].clone()),
    ];
    for (evidence, fact) in [slot(), log()].into_iter().zip(proven) {
        let again = Evidence::decode(&evidence.encode()).unwrap();
        assert_eq!(again, evidence);
        let block = block();
        assert_eq!(again.verify(&trust()), Ok(Proven { block, fact }));
    }
}

/// The bytes are those of the committed files: what was written once is read for ever.
#[test]
fn files_stay() {
    for (name, evidence) in [("slot", slot()), ("log", log())] {
        let path = format!("{}/vectors/{name}.hex", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(hex::encode(evidence.encode()), text.trim(), "{name}");
    }
}

/// Any byte flipped is found by the check. With the check made anew, what decodes is refused, but for
/// the rest, which nothing here looks at.
#[test]
fn nothing_can_be_exchanged() {
    for evidence in [slot(), log()] {
        let bytes = evidence.encode();
        let proven = evidence.verify(&trust()).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(Evidence::decode(&flipped).is_err(), "byte {at}");
            if at >= bytes.len() - CHECK_LEN {
                continue;
            }
            let Ok(other) = Evidence::decode(&repaired(flipped)) else {
                continue;
            };
            assert_ne!(other, evidence, "byte {at}");
            match other.verify(&trust()) {
                Err(_) => {}
                Ok(same) => {
                    assert_eq!(same, proven, "byte {at}");
                    assert_ne!(other.rest, evidence.rest, "byte {at}");
                }
            }
        }
    }
}

/// Cut anywhere, or longer by a byte, it is none, whatever the check.
#[test]
fn no_other_length() {
    for evidence in [slot(), log()] {
        let bytes = evidence.encode();
        for len in 0..bytes.len() {
            assert!(Evidence::decode(&bytes[..len]).is_err(), "{len} bytes");
            if len >= 16 {
                let cut = repaired(bytes[..len].to_vec());
                assert!(Evidence::decode(&cut).is_err(), "{len} bytes");
            }
        }
        let longer = repaired([&bytes[..], &[0]].concat());
        assert_eq!(Evidence::decode(&longer), Err(DecodeError::Length));
    }
    let len = EVIDENCE_LEN_MAX + 1;
    assert_eq!(
        Evidence::decode(&vec![0; len]),
        Err(DecodeError::Long { len })
    );
}

/// Each way not to be evidence has its name.
#[test]
fn refusals_have_names() {
    let bytes = slot().encode();
    let with = |at: usize, byte: u8| {
        let mut other = bytes.clone();
        other[at] = byte;
        Evidence::decode(&repaired(other))
    };
    assert_eq!(with(0, b'X'), Err(DecodeError::Magic));
    assert_eq!(with(7, 2), Err(DecodeError::Version { found: 2 }));
    assert_eq!(with(160, 3), Err(DecodeError::Fact { found: 3 }));
    let nodes = 168 + 4 + header_proof().header.len() + 188;
    assert_eq!(with(nodes, 66), Err(DecodeError::Nodes { found: 66 }));
    let mut rotten = bytes.clone();
    rotten[200] ^= 1;
    assert_eq!(Evidence::decode(&rotten), Err(DecodeError::Check));
}

/// The bytes with a check that fits them.
fn repaired(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - CHECK_LEN;
    let made = check(&bytes[..end]);
    bytes[end..].copy_from_slice(&made);
    bytes
}

const REST: &[u8] = b"entry, path, chunk";
