//! Certificates that the consensus library itself made prove what they proved there, and nothing else
//! does.
#![cfg(feature = "bls")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lode_proofs::{
    committee::{FinalityRefusal, GroupKey, KEY_LEN, PointRefusal, Signed},
    finality::{FINALITY_LEN, Finality, SIGNATURE_LEN},
};
use serde_json::Value;

/// Where the signatures begin in an encoded proof.
const VOTE_AT: usize = 56;
const SEED_AT: usize = 104;

struct Vector {
    namespace: Vec<u8>,
    key: GroupKey,
    certificates: Vec<Value>,
    cancelling: Value,
}

/// Each certificate decodes to the values it was made of, signs the very bytes that the library signs,
/// and verifies ([F-1] to [F-5]).
#[test]
fn certificates_of_the_library_hold() {
    let vector = read();
    assert_eq!(vector.certificates.len(), 4);
    for certificate in &vector.certificates {
        let finality = finality_of(certificate);
        assert_eq!(Some(finality.epoch), certificate["epoch"].as_u64());
        assert_eq!(Some(finality.view), certificate["view"].as_u64());
        assert_eq!(
            Some(finality.parent_view),
            certificate["parentView"].as_u64()
        );
        assert_eq!(finality.block.as_slice(), bytes(&certificate["block"]));
        let signed = finality.vote_message(&vector.namespace);
        assert_eq!(signed, bytes(&certificate["voteMessage"]));
        let signed = finality.seed_message(&vector.namespace);
        assert_eq!(signed, bytes(&certificate["seedMessage"]));
        assert_eq!(finality.verify(&vector.namespace, &vector.key), Ok(()));
    }
}

/// No byte of a proof can be another ([F-6], [F-7]): with each of its bits flipped in one go, and with
/// the lowest one flipped.
#[test]
fn flipped_bytes_are_refused() {
    let vector = read();
    for certificate in &vector.certificates {
        let proof = bytes(&certificate["finality"]);
        for at in 0..proof.len() {
            for flip in [0xff, 0x01] {
                let mut flipped = proof.clone();
                flipped[at] ^= flip;
                let refusal = Finality::decode(&flipped)
                    .unwrap()
                    .verify(&vector.namespace, &vector.key)
                    .unwrap_err();
                let which = if at < SEED_AT {
                    Signed::Vote
                } else {
                    Signed::Seed
                };
                assert_eq!(which_of(refusal), which, "byte {at}: {refusal}");
                if at < VOTE_AT {
                    assert_eq!(refusal, FinalityRefusal::Signature { which });
                }
            }
        }
    }
}

/// Another namespace, another key, signatures in each other's place or of another view prove nothing.
#[test]
fn everything_is_bound() {
    let vector = read();
    let [first, second] = [0, 1].map(|at| finality_of(&vector.certificates[at]));
    let wrong = |which| Err(FinalityRefusal::Signature { which });
    let (namespace, key) = (&vector.namespace, &vector.key);
    let longer = [&namespace[..], b"_"].concat();
    for other in [&namespace[1..], &longer, b""] {
        assert_eq!(first.verify(other, key), wrong(Signed::Vote));
    }
    let swapped = Finality {
        vote: first.seed,
        seed: first.vote,
        ..first
    };
    assert_eq!(swapped.verify(namespace, key), wrong(Signed::Vote));
    let stale = Finality {
        seed: second.seed,
        ..first
    };
    assert_eq!(stale.verify(namespace, key), wrong(Signed::Seed));
    // [F-5] The generator is a key, of somebody whose secret is one.
    let generator = GroupKey::new(&point(G2_GENERATOR)).unwrap();
    assert_eq!(first.verify(namespace, &generator), wrong(Signed::Vote));
}

/// [F-7] Two signatures whose errors cancel out in the sum are both refused: a check of the sum alone
/// would let them pass.
#[test]
fn errors_do_not_cancel() {
    let vector = read();
    let first = finality_of(&vector.certificates[0]);
    let [vote, seed] = ["vote", "seed"].map(|which| {
        let point = bytes(&vector.cancelling[which]);
        point.try_into().unwrap()
    });
    let moved = Finality {
        vote,
        seed,
        ..first
    };
    let refusal = moved.verify(&vector.namespace, &vector.key);
    assert_eq!(
        refusal,
        Err(FinalityRefusal::Signature {
            which: Signed::Vote
        })
    );
    let half = Finality { seed, ..first };
    let refusal = half.verify(&vector.namespace, &vector.key);
    assert_eq!(
        refusal,
        Err(FinalityRefusal::Signature {
            which: Signed::Seed
        })
    );
}

/// Each way not to be a point has its name ([F-6]).
#[test]
fn points_are_checked() {
    let vector = read();
    let first = finality_of(&vector.certificates[0]);
    let mut infinity = [0; SIGNATURE_LEN];
    infinity[0] = 0xc0;
    let mut dirty = infinity;
    dirty[47] = 1;
    let mut uncompressed = first.vote;
    uncompressed[0] &= 0x7f;
    let mut large = [0xff; SIGNATURE_LEN];
    large[0] = 0x9f;
    let cases = [
        (infinity, PointRefusal::Infinity),
        (dirty, PointRefusal::Encoding),
        (uncompressed, PointRefusal::Encoding),
        (large, PointRefusal::Encoding),
        (small(OFF_CURVE), PointRefusal::Curve),
        (small(OFF_GROUP), PointRefusal::Group),
    ];
    for (point, why) in cases {
        let vote = Finality {
            vote: point,
            ..first
        };
        let refused = |which| Err(FinalityRefusal::Point { which, why });
        assert_eq!(
            vote.verify(&vector.namespace, &vector.key),
            refused(Signed::Vote)
        );
        let seed = Finality {
            seed: point,
            ..first
        };
        assert_eq!(
            seed.verify(&vector.namespace, &vector.key),
            refused(Signed::Seed)
        );
    }
}

/// The same for keys: what is no point of the group never becomes one ([F-6], [F-8]).
#[test]
fn keys_are_checked() {
    let key = read().key.to_bytes();
    assert_eq!(GroupKey::new(&key).map(|key| key.to_bytes()), Ok(key));
    let mut infinity = [0; KEY_LEN];
    infinity[0] = 0xc0;
    assert_eq!(GroupKey::new(&infinity), Err(PointRefusal::Infinity));
    let mut uncompressed = key;
    uncompressed[0] &= 0x7f;
    assert_eq!(GroupKey::new(&uncompressed), Err(PointRefusal::Encoding));
    let mut refusals = Vec::new();
    for last in 0..=u8::MAX {
        let mut near = key;
        near[95] = last;
        match GroupKey::new(&near) {
            Ok(same) => assert_eq!(same.to_bytes(), key),
            Err(refusal) => refusals.push(refusal),
        }
    }
    // Half of all coordinates are on the curve, and hardly a point of it is in the group.
    assert_eq!(refusals.len(), 255);
    assert!(refusals.contains(&PointRefusal::Curve));
    assert!(refusals.contains(&PointRefusal::Group));
}

fn which_of(refusal: FinalityRefusal) -> Signed {
    match refusal {
        FinalityRefusal::Point { which, .. } | FinalityRefusal::Signature { which } => which,
    }
}

/// The compressed form of a point with a small coordinate.
fn small(coordinate: u8) -> [u8; SIGNATURE_LEN] {
    let mut bytes = [0; SIGNATURE_LEN];
    bytes[0] = 0x80;
    bytes[47] = coordinate;
    bytes
}

fn point<const LEN: usize>(text: &str) -> [u8; LEN] {
    bytes(&Value::from(text)).try_into().unwrap()
}

fn finality_of(certificate: &Value) -> Finality {
    let proof = bytes(&certificate["finality"]);
    assert_eq!(proof.len(), FINALITY_LEN);
    Finality::decode(&proof).unwrap()
}

fn read() -> Vector {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/finality.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    Vector {
        namespace: bytes(&file["namespace"]),
        key: GroupKey::new(&bytes(&file["key"]).try_into().unwrap()).unwrap(),
        certificates: file["certificates"].as_array().unwrap().clone(),
        cancelling: file["cancelling"].clone(),
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().strip_prefix("0x").unwrap();
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// y^2 = 1 + 4 has no solution.
const OFF_CURVE: u8 = 1;
/// y^2 = 0 + 4: a point of order three.
const OFF_GROUP: u8 = 0;
/// The generator of G2 (draft-irtf-cfrg-pairing-friendly-curves, 4.2.1).
const G2_GENERATOR: &str = "0x93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8";
