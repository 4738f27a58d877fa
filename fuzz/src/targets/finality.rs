//! Keys of committees and finality proofs: what is read is the only encoding of itself, and of all the
//! bytes that are tried none is signed but the seed.

use lode_proofs::{
    committee::{GroupKey, KEY_LEN},
    finality::Finality,
};
use serde_json::Value;

use super::Target;

/// Reads a key with a proof behind it, and checks them.
pub const TARGET: Target = Target {
    name: "finality",
    run,
    seeds,
    repair: None,
    cost: 4,
};

const NAMESPACE: &[u8] = b"lode-31337";

/// See the file's head.
pub fn run(data: &[u8]) {
    let Some((key_bytes, proof)) = data.split_first_chunk::<KEY_LEN>() else {
        return;
    };
    let finality = Finality::decode(proof);
    if let Some(finality) = &finality {
        assert_eq!(finality.encode(), proof, "one encoding each");
    }
    let Ok(key) = GroupKey::new(key_bytes) else {
        return;
    };
    assert_eq!(&key.to_bytes(), key_bytes, "one encoding each");
    if finality.is_some_and(|finality| finality.verify(NAMESPACE, &key).is_ok()) {
        assert!(
            seeds().iter().any(|seed| seed == data),
            "nobody signed this"
        );
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let file = include_str!("../../../proofs/vectors/finality.json");
    let file: Value = serde_json::from_str(file).expect("it is JSON");
    let certificates = file["certificates"].as_array().expect("a list");
    let of = |one: &Value| [bytes(&file["key"]), bytes(&one["finality"])].concat();
    certificates.iter().map(of).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let digits = digits.expect("0x and digits");
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits"))
        .collect()
}
