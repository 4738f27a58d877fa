//! Our own REST: blobs in, in waiting or not, and out in whole and in parts; and every proof, checked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use lode_proofs::da::{
    BlobRange, Certificate, NamespaceProof, Sample, Threshold, Verifier, blob_root,
};
use lode_rollup::{
    Availability as _,
    memory::{self, Weather},
    rest::openapi,
};
use world::{World, blob, http, http_with, open};

const NAMESPACE: &str = "0505050505050505050505050505050505050505050505050505050505";

fn text<'json>(json: &'json serde_json::Value, name: &str) -> &'json str {
    json[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {json}"))
}

/// A blob goes in and is waited for at once, or asked about; both ways lead to it.
#[tokio::test(flavor = "multi_thread")]
async fn posts() {
    let world = World::new();
    let server = world.rest();
    let address = server.address();
    let blob = blob(1, 9_000);
    let path = format!("/v1/da/blobs?wait=certified&namespace={NAMESPACE}");
    let made = http(address, "POST", &path, &blob).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (json, place) = (made.json(), made.header("location").unwrap().to_owned());
    assert_eq!(text(&json["blob"], "namespace"), NAMESPACE);
    assert_eq!(text(&json["blob"], "root"), blob_root(&blob).to_string());
    assert_eq!(
        place,
        format!("/v1/da/blobs/{}", text(&json["blob"], "handle"))
    );
    assert!(http(address, "GET", &place, b"").await.body == blob);

    let taken = http(address, "POST", "/v1/da/blobs", b"other").await;
    assert_eq!(taken.status, 202);
    let place = taken.header("location").unwrap();
    let asked = http(address, "GET", &format!("{place}?wait=final"), b"").await;
    assert_eq!(text(&asked.json(), "status"), "final");
    let root = asked.json()["blob"]["root"].as_str().unwrap().to_owned();
    let found = http(address, "GET", &format!("/v1/da/blobs/{root}@1.0"), b"").await;
    assert_eq!(found.body, b"other");
}

/// Ranges come out as they are in the blob, checked; what is not there is said so.
#[tokio::test(flavor = "multi_thread")]
async fn ranges() {
    let world = World::new();
    let server = world.rest();
    let address = server.address();
    let blob = blob(2, 5_000);
    let made = http(address, "POST", "/v1/da/blobs?wait=certified", &blob).await;
    let place = made.header("location").unwrap().to_owned();
    let (plain, tag) = {
        let whole = http(address, "GET", &place, b"").await;
        let tag = whole.header("etag").unwrap().to_owned();
        (whole, tag)
    };
    assert_eq!(plain.header("accept-ranges"), Some("bytes"));
    let part = |more: String| {
        let place = place.clone();
        async move { http_with(address, "GET", &place, &more, b"").await }
    };
    for (range, at) in [
        ("0-0", 0..1),
        ("1000-2047", 1_000..2_048),
        ("-100", 4_900..5_000),
        ("4999-", 4_999..5_000),
    ] {
        let answer = part(format!("range: bytes={range}\r\n")).await;
        assert_eq!((answer.status, &answer.body[..]), (206, &blob[at.clone()]));
        let place = format!("bytes {}-{}/5000", at.start, at.end - 1);
        assert_eq!(answer.header("content-range"), Some(place.as_str()));
    }
    let none = part("range: bytes=5000-\r\n".to_owned()).await;
    assert_eq!(none.status, 416);
    assert_eq!(none.header("content-range"), Some("bytes */5000"));
    let same = part(format!("range: bytes=0-0\r\nif-range: {tag}\r\n")).await;
    assert_eq!(same.status, 206);
    let other = part("range: bytes=0-0\r\nif-range: \"x\"\r\n".to_owned()).await;
    assert_eq!((other.status, other.body.len()), (200, 5_000));
    let head = http(address, "HEAD", &place, b"").await;
    assert_eq!(
        (head.header("content-length"), head.body.len()),
        (Some("5000"), 0)
    );
}

/// All evidence holds for who knows the head from the certificate alone.
#[tokio::test(flavor = "multi_thread")]
async fn evidence() {
    let world = World::new();
    let server = world.rest();
    let address = server.address();
    let blob = blob(3, 3_000);
    let path = format!("/v1/da/blobs?wait=certified&namespace={NAMESPACE}");
    let made = http(address, "POST", &path, &blob).await.json();
    let (handle, id) = (
        text(&made["blob"], "handle"),
        text(&made["blob"], "container"),
    );
    let quorum = memory::Config::default().quorum;
    let holders = world.memory.members(quorum).await.unwrap().unwrap();
    let holders = holders.seats().holders().unwrap();

    let at = |rest: &str| format!("/v1/da/containers/{id}/{rest}");
    let found = http(address, "GET", &at("certificate"), b"").await;
    let certificate = Certificate::decode(&found.body, holders.assignment()).unwrap();
    certificate.verify(&holders, Threshold::LEAST).unwrap();
    let head = certificate.statement.head;
    assert_eq!(head.id().to_string(), id);

    let columns = holders.assignment().columns();
    let verifier = Verifier::new(head, &quorum, columns).unwrap();
    for row in [0, 2_000] {
        let found = http(address, "GET", &at(&format!("rows/{row}")), b"").await;
        let sample = Sample::decode(&head, &found.body).unwrap();
        verifier.sample(row, &sample).unwrap();
    }
    assert_eq!(
        http(address, "GET", &at("rows/3072"), b"").await.status,
        418
    );
    assert_eq!(http(address, "GET", &at("rows/x"), b"").await.status, 400);

    let found = http(address, "GET", &at(&format!("namespaces/{NAMESPACE}")), b"").await;
    let proof = NamespaceProof::decode(&found.body).unwrap();
    let namespace = lode_proofs::da::Namespace([5; 29]);
    let entries = proof.verify(head.namespace_root, namespace).unwrap();
    assert!(entries.iter().any(|entry| entry.root == blob_root(&blob)));

    let path = format!("/v1/da/blobs/{handle}/proof?start=100&end=1100");
    let found = http(address, "GET", &path, b"").await;
    let proof = BlobRange::decode(3_000, &found.body).unwrap();
    let shown = proof
        .verify(blob_root(&blob), 3_000, &(100..1_100))
        .unwrap();
    assert_eq!(shown, &blob[100..1_100]);
    for bad in ["start=1&end=1", "start=0&end=3001"] {
        let path = format!("/v1/da/blobs/{handle}/proof?{bad}");
        assert_eq!(http(address, "GET", &path, b"").await.status, 416);
    }

    let info = http(address, "GET", &format!("/v1/da/blobs/{handle}/info"), b"").await;
    assert_eq!(info.json(), made["blob"]);
}

/// Every error is a problem with a code, and the status is the one that means it.
#[tokio::test(flavor = "multi_thread")]
async fn problems() {
    let world = World::new();
    let server = world.rest();
    let address = server.address();
    let zeros = "00".repeat(32);
    let cases = [
        ("GET", "/v1/da/other".to_owned(), 404, "LODE2001"),
        ("GET", "/v1/da/blobs".to_owned(), 405, "LODE2002"),
        ("POST", "/v1/da/blobs".to_owned(), 400, "LODE2003"),
        ("POST", "/v1/da/blobs?wait=soon".to_owned(), 400, "LODE2003"),
        (
            "POST",
            "/v1/da/blobs?namespace=05".to_owned(),
            400,
            "LODE2003",
        ),
        ("POST", "/v1/da/blobs?seconds=x".to_owned(), 400, "LODE2003"),
        ("GET", "/v1/da/blobs/x".to_owned(), 400, "LODE2003"),
        (
            "GET",
            format!("/v1/da/blobs/{zeros}-128-1"),
            404,
            "LODE2010",
        ),
        ("GET", format!("/v1/da/blobs/{zeros}@1.0"), 404, "LODE2010"),
        ("GET", "/v1/da/requests/x".to_owned(), 400, "LODE2003"),
        (
            "GET",
            format!("/v1/da/requests/{}-{}", &zeros[..32], &zeros[..32]),
            404,
            "LODE2010",
        ),
        (
            "GET",
            format!("/v1/da/containers/{zeros}/certificate"),
            404,
            "LODE2010",
        ),
        (
            "GET",
            "/v1/da/containers/0/certificate".to_owned(),
            400,
            "LODE2003",
        ),
    ];
    for (method, path, status, code) in cases {
        let answer = http(address, method, &path, b"").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(text(&answer.json(), "code"), code, "{method} {path}");
    }
}

/// What the weather makes of posts, by its status.
#[tokio::test(flavor = "multi_thread")]
async fn weather() {
    let world = World::new();
    let server = world.rest();
    let address = server.address();
    for (weather, status, code) in [
        (Weather::Overloaded, 429, "LODE2030"),
        (Weather::Down, 503, "LODE2021"),
    ] {
        world.memory.change(weather);
        let answer = http(address, "POST", "/v1/da/blobs", b"bytes").await;
        assert_eq!(
            (answer.status, text(&answer.json(), "code")),
            (status, code)
        );
    }
    world.memory.change(Weather::Failing);
    let failed = http(address, "POST", "/v1/da/blobs?wait=certified", b"bytes").await;
    assert_eq!(
        (failed.status, text(&failed.json(), "status")),
        (202, "failed")
    );
}

/// The description names what is served, and only that.
#[tokio::test(flavor = "multi_thread")]
async fn described() {
    let world = World::new();
    let server = world.rest();
    let address = server.address();
    let served = http(address, "GET", "/v1/da/openapi.json", b"")
        .await
        .json();
    let document: serde_json::Value =
        serde_json::from_str(&openapi::document().to_json().unwrap()).unwrap();
    assert_eq!(served, document);
    let paths = served["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 8);
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let path = path
                .replace("{handle}", "x")
                .replace("{id}", "x")
                .replace("{row}", "0")
                .replace("{namespace}", "x");
            let answer = http(address, &method.to_uppercase(), &path, b"").await;
            assert_eq!(answer.status, 400, "{method} {path} is served");
        }
    }
}

/// REST and alt-DA on one listener: each has its paths, and its bounds.
#[tokio::test(flavor = "multi_thread")]
async fn beside() {
    let world = World::new();
    let altda = world.altda_face(lode_rollup::altda::bounds(), Duration::from_secs(30));
    let rest = lode_rollup::rest::face(
        world.memory.clone(),
        lode_rollup::rest::bounds(),
        &world.meter,
    );
    let server = open(rest.beside(altda));
    let stored = http(server.address(), "POST", "/put", b"bytes").await;
    assert_eq!(stored.status, 200);
    let made = http(server.address(), "POST", "/v1/da/blobs", b"bytes").await;
    assert_eq!(made.status, 202);
    let none = http(server.address(), "GET", "/other", b"").await;
    assert_eq!(text(&none.json(), "code"), "LODE2001");
}
