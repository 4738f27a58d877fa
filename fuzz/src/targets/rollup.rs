//! What rollups and their clients send: commitments, handles, certificates of Nitro, tokens, ranges, and
//! go-ethereum's JSON. Whatever is read has one form, or is of those that its rules allow.

use lode_rollup::{
    Handle,
    altda::commitment::Commitment,
    availability::RequestId,
    handle::{decode_place, encode_place},
    nitro::{
        certificate::{Parts, check_form, encode},
        jwt::Secret,
        wire::{Data, Quantity},
    },
    rest::range::{Wanted, wanted},
};

use super::Target;

/// Reads all of them.
pub const TARGET: Target = Target {
    name: "rollup",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(commitment) = Commitment::decode(data) {
        assert_eq!(commitment.encode(), data, "one form each");
    }
    if let Ok(handle) = decode_place(data) {
        let place = encode_place(&handle).expect("it was one");
        assert_eq!(place, data, "one form each");
    }
    check_form(data);
    json(data);
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(handle) = text.parse::<Handle>() {
        assert_eq!(handle.to_string().parse(), Ok(handle), "what we wrote");
    }
    if let Ok(request) = text.parse::<RequestId>() {
        assert_eq!(request.to_string(), text.to_lowercase(), "one form each");
    }
    for len in [0, 1, 1000] {
        if let Wanted::Part(part) = wanted(Some(text), len) {
            assert!(part.start < part.end && part.end <= len, "within the blob");
        }
    }
    let secret = Secret::parse(&"07".repeat(32)).expect("64 digits");
    assert!(
        secret.check_token(text, 1_000).is_err(),
        "nobody signed this"
    );
}

fn json(data: &[u8]) {
    if let Ok(number) = serde_json::from_slice::<Quantity>(data) {
        let again = serde_json::to_vec(&number).expect("a number");
        let again: Quantity = serde_json::from_slice(&again).expect("what we wrote");
        assert_eq!(again, number);
    }
    if let Ok(bytes) = serde_json::from_slice::<Data>(data) {
        assert!(bytes.0.len() <= data.len() / 2, "it grows");
        let again = serde_json::to_vec(&bytes).expect("bytes");
        let again: Data = serde_json::from_slice(&again).expect("what we wrote");
        assert_eq!(again, bytes);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let place = [&[7; 32][..], &[0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 1, 0]].concat();
    let id = "07".repeat(32);
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJpYXQiOjEwMDB9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    vec![
        [&[0], &[7; 32][..]].concat(),
        [&[1, 0x4c], &place[..]].concat(),
        place,
        encode(&Parts {
            committee: &[7; 342],
            signature: &[7; 128],
            certificate: &[7; 218],
            absent: &[7; 258],
            entry: &[7; 89],
        }),
        format!("{id}-128-256").into_bytes(),
        format!("{id}@1.0").into_bytes(),
        RequestId([7; 32]).to_string().into_bytes(),
        b"bytes=1-20".to_vec(),
        b"bytes=-20".to_vec(),
        token.as_bytes().to_vec(),
        b"\"0x1f\"".to_vec(),
        b"\"0x001f\"".to_vec(),
    ]
}
