//! Nitro's provider, by a client that writes and reads its JSON by hand, and checks proofs as a contract
//! would: from bytes at fixed places.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lode_proofs::{
    Hash32,
    da::{
        BlobRange, Certificate, NamespaceProof,
        weigh::{signature_point, weigh},
    },
};
use lode_rollup::{
    Availability as _,
    memory::{self, Weather},
    nitro::{self, jwt::Secret},
};
use serde_json::{Value, json};
use sha2::Sha256;
use sha3::{Digest as _, Keccak256};
use world::{NAMESPACE, NOW, World, blob, call, call_with, http_with, open};

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap().strip_prefix("0x").unwrap();
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

async fn store(address: SocketAddr, message: &[u8]) -> Vec<u8> {
    let stored = call(address, "daprovider_store", json!([hex(message), "0x0"])).await;
    bytes(&stored.unwrap()["serialized-da-cert"])
}

fn message(certificate: &[u8]) -> String {
    hex(&[&[0xee; 40], certificate].concat())
}

async fn recover(address: SocketAddr, method: &str, certificate: &[u8]) -> Result<Value, String> {
    let params = json!(["0x7", hex(&[1; 32]), message(certificate)]);
    call(address, &format!("daprovider_{method}"), params).await
}

fn keccak(bytes: &[u8]) -> String {
    hex(&Keccak256::digest(bytes))
}

/// What the server says of itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_is() {
    let world = World::new();
    let server = world.nitro();
    let address = server.address();
    let headers = call(address, "daprovider_getSupportedHeaderBytes", json!([])).await;
    assert_eq!(headers, Ok(json!({"headerBytes": "0x01"})));
    let most = call(address, "daprovider_getMaxMessageSize", json!([])).await;
    assert_eq!(most, Ok(json!({"maxSize": 2_619_392})));
    let none = call(address, "daprovider_other", json!([])).await;
    assert_eq!(none, Err("Method not found".to_owned()));
}

/// A batch goes in, and is recovered by its certificate in all three ways.
#[tokio::test(flavor = "multi_thread")]
async fn store_and_recover() {
    let world = World::new();
    let server = world.nitro();
    let address = server.address();
    for len in [1, 31, 100_000, 2_619_392] {
        let batch = blob(1, len);
        let certificate = store(address, &batch).await;
        assert_eq!(certificate[..2], [1, 0x4c]);
        let payload = json!({"Payload": STANDARD.encode(&batch)});
        let preimages = json!({"3": {keccak(&certificate): STANDARD.encode(&batch)}});
        let found = recover(address, "recoverPayload", &certificate).await;
        assert!(found.as_ref() == Ok(&payload), "{len}");
        let found = recover(address, "collectPreimages", &certificate).await;
        assert!(
            found == Ok(json!({"Preimages": preimages.clone()})),
            "{len}"
        );
        let found = recover(address, "recoverPayloadAndPreimages", &certificate).await;
        let both = json!({"Payload": payload["Payload"], "Preimages": preimages});
        assert!(found == Ok(both), "{len}");
    }
}

/// A message in chunks, which come in any order, is stored as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn chunked() {
    let world = World::new();
    let server = world.nitro();
    let address = server.address();
    let batch = blob(4, 10_500);
    let sign = |bytes: &[u8], numbers: &[u64]| {
        let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
        let bytes: Vec<u8> = bytes.iter().copied().chain(numbers).collect();
        keccak(&bytes)
    };
    let number = |number: u64| format!("{number:#x}");
    let numbers = [NOW, 11, 1_000, 10_500, 0];
    let mut params: Vec<String> = numbers.map(number).to_vec();
    params.push(sign(b"", &numbers));
    let begun = call(address, "daprovider_startChunkedStore", json!(params)).await;
    let id = begun.unwrap()["BatchId"].as_str().unwrap().to_owned();
    let id = u64::from_str_radix(&id[2..], 16).unwrap();
    let chunks: Vec<(u64, &[u8])> = (0..).zip(batch.chunks(1_000)).collect();
    for (at, chunk) in chunks.into_iter().rev() {
        let params = json!([number(id), number(at), hex(chunk), sign(chunk, &[id, at])]);
        let sent = call(address, "daprovider_sendChunk", params).await;
        assert_eq!(sent, Ok(Value::Null));
    }
    let params = json!([number(id), sign(b"", &[id])]);
    let stored = call(address, "daprovider_commitChunkedStore", params.clone()).await;
    let certificate = bytes(&stored.unwrap()["serialized-da-cert"]);
    let found = recover(address, "recoverPayload", &certificate).await;
    assert_eq!(found, Ok(json!({"Payload": STANDARD.encode(&batch)})));
    let again = call(address, "daprovider_commitChunkedStore", params).await;
    assert_eq!(again, Err(format!("unknown message({id})")));
}

/// The proofs hold for who has nothing but the bytes that a contract gets, at the places that the table
/// names.
#[tokio::test(flavor = "multi_thread")]
async fn proofs() {
    // One of four holders does not sign, so that a certificate has all its parts.
    let world = World::with(memory::Config {
        absent: 1,
        close_after: std::time::Duration::from_millis(5),
        ..memory::Config::default()
    });
    let server = world.nitro();
    let address = server.address();
    let batch = blob(6, 5_000);
    let certificate = store(address, &batch).await;
    // A neighbour in the same chain of containers, so that offsets are not all alike.
    store(address, b"another").await;
    let (root, len) = judged(&world, &certificate).await;
    assert_eq!(len, 5_000);
    for offset in [0_u64, 32, 1_000, 1_024, 4_960, 4_992, 4_999] {
        let params = json!([format!("{offset:#x}"), hex(&certificate)]);
        let proof = call(address, "daprovider_generateReadPreimageProof", params).await;
        let proof = bytes(&proof.unwrap()["proof"]);
        let end = (offset + 32).min(len);
        assert_eq!(proof[..8], offset.to_be_bytes());
        assert_eq!(proof[8..16], end.to_be_bytes());
        let range = BlobRange::decode(len, &proof).unwrap();
        let shown = range.verify(root, len, &(offset..end)).unwrap();
        let index = |at| usize::try_from(at).unwrap();
        assert_eq!(shown, &batch[index(offset)..index(end)]);
    }
    for offset in ["0x1388", "0xffffffffffffffff"] {
        let params = json!([offset, hex(&certificate)]);
        let proof = call(address, "daprovider_generateReadPreimageProof", params).await;
        assert_eq!(proof, Ok(json!({})), "nothing is shown behind the end");
    }
}

/// Root and length of the blob, as a contract finds them.
async fn judged(world: &World, certificate: &[u8]) -> (Hash32, u64) {
    let c = usize::from(u16::from_be_bytes(certificate[2..4].try_into().unwrap()));
    let a = u32::from_be_bytes(certificate[4..8].try_into().unwrap());
    let (da, rest) = certificate[478..].split_at(c);
    let (absent, entry) = rest.split_at(usize::try_from(a).unwrap());
    let quorum = memory::Config::default().quorum;
    let members = world.memory.members(quorum).await.unwrap().unwrap();
    let committee = members.committee();
    assert_eq!(certificate[8..350], committee.encode());
    // As the native contract weighs it: every seat that is absent has its rows.
    let shown = [&certificate[8..350], da, absent].concat();
    let seats = members.seats().seats();
    let signed: u16 = seats.iter().take(3).map(|seat| seat.rows).sum();
    assert_eq!(weigh(&shown), Some(signed));
    let da = Certificate::decode_for(da, seats.len()).unwrap();
    let point = signature_point(&da.signature).unwrap();
    assert_eq!(certificate[350..478], point);
    assert_eq!(entry[8..12], [0, 0, 0, 1]);
    let entry = NamespaceProof::decode(entry).unwrap();
    let entries = entry.entries(da.statement.head.namespace_root).unwrap();
    assert_eq!(entries[0].namespace, NAMESPACE);
    (entries[0].root, entries[0].len)
}

/// The verdict, in bytes; and whoever recovers by a bad certificate is told in the words that make the
/// batch empty.
#[tokio::test(flavor = "multi_thread")]
async fn verdicts() {
    let world = World::new();
    let server = world.nitro();
    let address = server.address();
    let certificate = store(address, b"a batch").await;
    let verdict = |bytes: Vec<u8>| async move {
        let params = json!([hex(&bytes)]);
        call(
            address,
            "daprovider_generateCertificateValidityProof",
            params,
        )
        .await
    };
    let proof = |text: &str| Ok(json!({"proof": text}));
    assert_eq!(verdict(certificate.clone()).await, proof("0x0101"));
    // Every byte counts: in the head, the DA certificate, and the entry.
    for at in (0..certificate.len()).step_by(7) {
        let mut forged = certificate.clone();
        forged[at] ^= 1;
        assert_eq!(verdict(forged.clone()).await, proof("0x0001"), "byte {at}");
        let found = recover(address, "recoverPayload", &forged)
            .await
            .unwrap_err();
        assert!(
            found.starts_with("certificate validation failed"),
            "{found}"
        );
        let params = json!(["0x0", hex(&forged)]);
        let read = call(address, "daprovider_generateReadPreimageProof", params).await;
        assert!(
            read.unwrap_err()
                .starts_with("certificate validation failed")
        );
    }
    for bad in [
        vec![],
        certificate[1..].to_vec(),
        [&certificate[..], &[0]].concat(),
    ] {
        assert_eq!(verdict(bad).await, proof("0x0001"));
    }
    // It stays right when the blob is gone, and that is no reason to call the batch empty.
    world.now.store(NOW + 31 * 86_400, Relaxed);
    assert_eq!(verdict(certificate.clone()).await, proof("0x0101"));
    let gone = recover(address, "recoverPayload", &certificate).await;
    assert_eq!(gone, Err("expired".to_owned()));
    world.memory.change(Weather::Down);
    let down = verdict(certificate.clone()).await.unwrap_err();
    assert!(!down.contains("certificate validation failed"), "{down}");
    let down = recover(address, "recoverPayload", &certificate)
        .await
        .unwrap_err();
    assert!(!down.contains("certificate validation failed"), "{down}");
}

/// Errors in the words that Nitro matches, and others in none of them.
#[tokio::test(flavor = "multi_thread")]
async fn texts() {
    let world = World::new();
    let mut config = nitro::Config::new(NAMESPACE);
    config.message_len_max = 100;
    config.terms.most = std::time::Duration::from_millis(200);
    let server = open(world.nitro_face(config, nitro::bounds()));
    let address = server.address();
    let store = |len: usize, timeout: u64| async move {
        let params = json!([hex(&vec![7; len]), format!("{timeout:#x}")]);
        call(address, "daprovider_store", params).await
    };
    let large = store(101, 0).await.unwrap_err();
    assert!(large.contains("message too large for current DA backend"));
    let fallback = "DA provider requests fallback to next writer";
    for weather in [
        Weather::Down,
        Weather::Unsigned,
        Weather::Failing,
        Weather::Stuck,
    ] {
        world.memory.change(weather);
        let error = store(100, 0).await.unwrap_err();
        assert!(error.contains(fallback), "{weather:?}: {error}");
    }
    world.memory.change(Weather::Overloaded);
    let busy = store(100, 0).await.unwrap_err();
    assert!(!busy.contains(fallback), "{busy}");
    world.memory.change(Weather::Fair);
    let empty = store(0, 0).await.unwrap_err();
    assert!(!empty.contains(fallback), "{empty}");
    assert!(store(100, NOW + 29 * 86_400).await.is_ok());
    let short = store(100, NOW + 31 * 86_400).await.unwrap_err();
    assert!(short.contains("is kept until"), "{short}");
    let small = call(
        address,
        "daprovider_recoverPayload",
        json!(["0x0", hex(&[0; 32]), hex(&[0; 40])]),
    );
    assert_eq!(small.await, Err("sequencer message too small".to_owned()));
    for params in [
        json!([]),
        json!(["0x"]),
        json!(["0x", "1"]),
        json!([1, "0x0"]),
    ] {
        let error = call(address, "daprovider_store", params).await;
        assert_eq!(error, Err("Invalid params".to_owned()));
    }
}

/// With a secret, who knows it may ask, and nobody else; and a body is no longer than it may be.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_ask() {
    let world = World::new();
    let mut config = nitro::Config::new(NAMESPACE);
    config.secret = Some(Secret::parse(&"07".repeat(32)).unwrap());
    let server = open(world.nitro_face(config, nitro::bounds()));
    let address = server.address();
    let token = |secret: u8, iat: u64| {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let claims = format!(r#"{{"iat":{iat}}}"#);
        let signed = format!(
            "{}.{}",
            part(r#"{"typ":"JWT","alg":"HS256"}"#),
            part(&claims)
        );
        let mac = Hmac::<Sha256>::new_from_slice(&[secret; 32]).unwrap();
        let mac = mac.chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
    };
    let ask = |more: String| async move {
        call_with(
            address,
            &more,
            "daprovider_getSupportedHeaderBytes",
            json!([]),
        )
        .await
    };
    let bearer = |token: String| format!("authorization: Bearer {token}\r\n");
    assert!(ask(bearer(token(7, NOW))).await.is_ok());
    assert_eq!(
        ask(String::new()).await,
        Err("401 missing token".to_owned())
    );
    let invalid = Err("401 invalid token".to_owned());
    assert_eq!(ask(bearer(token(8, NOW))).await, invalid);
    let stale = Err("401 stale token".to_owned());
    assert_eq!(ask(bearer(token(7, NOW - 61))).await, stale);
    let long = vec![b' '; (5 << 20) + 1];
    let more = bearer(token(7, NOW)) + "content-type: application/json\r\n";
    let refused = http_with(address, "POST", "/", &more, &long).await;
    assert_eq!(refused.status, 413);
}
