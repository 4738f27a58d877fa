//! OP-Stack alt-DA, row by row of the table in `lode_rollup::altda`, by a client that does what op-alt-da's
//! does: raw bytes over HTTP.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed, time::Duration};

use lode_rollup::{Bounds, altda, memory::Weather};
use sha3::{Digest as _, Keccak256};
use world::{Answer, NOW, World, blob, http, open};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keccak_commitment(blob: &[u8]) -> Vec<u8> {
    [&[0], &Keccak256::digest(blob)[..]].concat()
}

async fn put(address: SocketAddr, blob: &[u8]) -> Answer {
    http(address, "POST", "/put", blob).await
}

async fn put_known(address: SocketAddr, commitment: &[u8], blob: &[u8]) -> Answer {
    let path = format!("/put/0x{}", hex(commitment));
    http(address, "POST", &path, blob).await
}

async fn get(address: SocketAddr, commitment: &[u8]) -> Answer {
    let path = format!("/get/0x{}", hex(commitment));
    http(address, "GET", &path, b"").await
}

/// 1, 11: a blob goes in, its commitment is raw bytes of ours, and gives the blob back.
#[tokio::test(flavor = "multi_thread")]
async fn row_01_and_11_put_and_get() {
    let world = World::new();
    let server = world.altda();
    for len in [1, 64, 1_000, 131_072, 1_000_000] {
        let blob = blob(1, len);
        let stored = put(server.address(), &blob).await;
        assert_eq!(stored.status, 200, "{stored:?}");
        let commitment = stored.body;
        assert_eq!((commitment.len(), &commitment[..2]), (46, &[1, 0x4c][..]));
        assert_eq!(commitment[42..], u32::try_from(len).unwrap().to_be_bytes());
        let found = get(server.address(), &commitment).await;
        assert!(found.status == 200 && found.body == blob, "{len}");
    }
}

/// 1: not before the certificate exists.
#[tokio::test(flavor = "multi_thread")]
async fn row_01_waits_for_the_certificate() {
    let world = World::new();
    let server = world.altda();
    world.memory.change(Weather::Stuck);
    let address = server.address();
    let putting = tokio::spawn(async move { put(address, b"a blob").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!putting.is_finished());
    world.memory.change(Weather::Fair);
    assert_eq!(putting.await.unwrap().status, 200);
}

/// 2: with a slash, and by PUT.
#[tokio::test(flavor = "multi_thread")]
async fn row_02_other_forms() {
    let world = World::new();
    let server = world.altda();
    for (method, path) in [("POST", "/put/"), ("PUT", "/put"), ("PUT", "/put/")] {
        let stored = http(server.address(), method, path, b"some bytes").await;
        assert_eq!(stored.status, 200, "{method} {path}");
        let found = get(server.address(), &stored.body).await;
        assert_eq!(found.body, b"some bytes");
    }
}

/// 3, 12: by the keccak256 of the blob, also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn row_03_and_12_keccak() {
    let mut world = World::new();
    let server = world.altda();
    let blob = blob(2, 130_672);
    let commitment = keccak_commitment(&blob);
    assert_eq!(get(server.address(), &commitment).await.status, 404);
    for _ in 0..2 {
        let stored = put_known(server.address(), &commitment, &blob).await;
        assert_eq!((stored.status, stored.body.len()), (200, 0));
    }
    server.stop().await;
    world.reopen();
    let server = world.altda();
    let found = get(server.address(), &commitment).await;
    assert!(found.status == 200 && found.body == blob);
}

/// 4, 5, 6, 7: what a client must not ask for.
#[tokio::test(flavor = "multi_thread")]
async fn row_04_to_07_bad_puts() {
    let world = World::new();
    let server = world.altda();
    let address = server.address();
    let other = put_known(address, &keccak_commitment(b"others"), b"bytes").await;
    assert_eq!(other.status, 400);
    assert_eq!(
        get(address, &keccak_commitment(b"others")).await.status,
        404
    );
    let place = put(address, b"bytes").await.body;
    for commitment in [&place[..], &[1, 0xff, 3], &[2], &[0, 1]] {
        assert_eq!(put_known(address, commitment, b"bytes").await.status, 400);
    }
    for path in ["/put/0xzz", "/put/zz", "/put/0x0", "/put/0x0x00", "/put/0x"] {
        assert_eq!(
            http(address, "POST", path, b"bytes").await.status,
            400,
            "{path}"
        );
    }
    assert_eq!(put(address, b"").await.status, 400);
    let empty = put_known(address, &keccak_commitment(b""), b"").await;
    assert_eq!(empty.status, 400);
}

/// 8: too long, with a hash and without.
#[tokio::test(flavor = "multi_thread")]
async fn row_08_too_long() {
    let world = World::new();
    let server = world.altda();
    let long = blob(3, 130_673);
    let refused = put_known(server.address(), &keccak_commitment(&long), &long).await;
    assert_eq!(refused.status, 413);
    assert_eq!(put(server.address(), &long).await.status, 200);
    // The longest itself is tried where nothing else takes the machine's memory.
    let longest = (128 << 20) - 128;
    let head = format!("content-length: {}\r\n", longest + 1);
    let refused = head_only(server.address(), &head).await;
    assert_eq!(refused.status, 413);
}

async fn head_only(address: SocketAddr, more: &str) -> Answer {
    use tokio::io::AsyncWriteExt as _;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("POST /put HTTP/1.1\r\nhost: x\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    world::answer(&mut stream).await
}

/// 9: come again, and when.
#[tokio::test(flavor = "multi_thread")]
async fn row_09_overloaded() {
    let world = World::new();
    let server = world.altda();
    world.memory.change(Weather::Overloaded);
    let busy = put(server.address(), b"bytes").await;
    assert_eq!(busy.status, 429);
    assert_eq!(busy.header("retry-after"), Some("1"));
    world.memory.change(Weather::Fair);
    assert_eq!(put(server.address(), b"bytes").await.status, 200);
}

/// 10: every way in which there is no certificate sends the batcher elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn row_10_falls_back() {
    let world = World::new();
    let face = world.altda_face(altda::bounds(), Duration::from_millis(300));
    let server = open(face);
    for weather in [
        Weather::Down,
        Weather::Unsigned,
        Weather::Failing,
        Weather::Stuck,
    ] {
        world.memory.change(weather);
        assert_eq!(
            put(server.address(), b"bytes").await.status,
            503,
            "{weather:?}"
        );
        let known = put_known(server.address(), &keccak_commitment(b"bytes"), b"bytes").await;
        assert_eq!(known.status, 503, "{weather:?}");
    }
    // What was not acknowledged is not known.
    world.memory.change(Weather::Fair);
    let unknown = get(server.address(), &keccak_commitment(b"bytes")).await;
    assert_eq!(unknown.status, 404);
}

/// 13: 404 is said of what nobody has.
#[tokio::test(flavor = "multi_thread")]
async fn row_13_not_found() {
    let world = World::new();
    let server = world.altda();
    let mut commitment = put(server.address(), b"bytes").await.body;
    let known = keccak_commitment(b"others");
    put_known(server.address(), &known, b"others").await;
    commitment[10] ^= 1;
    assert_eq!(get(server.address(), &commitment).await.status, 404);
    commitment[10] ^= 1;
    assert_eq!(get(server.address(), &commitment).await.status, 200);
    world.now.store(NOW + 31 * 86_400, Relaxed);
    for expired in [&commitment, &known] {
        assert_eq!(get(server.address(), expired).await.status, 404);
    }
}

/// 14: 418 is said of what can never be.
#[tokio::test(flavor = "multi_thread")]
async fn row_14_forged() {
    let world = World::new();
    let server = world.altda();
    let good = put(server.address(), b"bytes").await.body;
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= byte;
        bytes
    };
    // Another layer, another place, a place that no container has, another length; cut, and longer.
    let mut forged = vec![
        changed(1, 1),
        changed(40, 1),
        changed(41, 1),
        changed(34, 0x80),
        changed(45, 1),
        good[..45].to_vec(),
        [&good[..], &[0]].concat(),
    ];
    forged.extend([vec![], vec![0], vec![2, 0x4c], vec![0; 32], vec![0; 34]]);
    for commitment in forged {
        let found = get(server.address(), &commitment).await;
        assert_eq!(found.status, 418, "{}", hex(&commitment));
        assert_eq!(
            found.header("content-type"),
            Some("application/problem+json")
        );
    }
}

/// 15: what is no commitment of any kind.
#[tokio::test(flavor = "multi_thread")]
async fn row_15_no_hex() {
    let world = World::new();
    let server = world.altda();
    for path in [
        "/get/0xzz",
        "/get/0x0",
        "/get/00ab",
        "/get/x",
        "/get/0x0x00",
    ] {
        assert_eq!(
            http(server.address(), "GET", path, b"").await.status,
            400,
            "{path}"
        );
    }
}

/// 16: a get while DA is down is one to repeat, not one to fall back or give up for.
#[tokio::test(flavor = "multi_thread")]
async fn row_16_down_on_get() {
    let world = World::new();
    let server = world.altda();
    let commitment = put(server.address(), b"bytes").await.body;
    world.memory.change(Weather::Down);
    assert_eq!(get(server.address(), &commitment).await.status, 500);
    world.memory.change(Weather::Fair);
    assert_eq!(get(server.address(), &commitment).await.status, 200);
}

/// 17, 19: health, and paths that are none.
#[tokio::test(flavor = "multi_thread")]
async fn row_17_and_19_paths() {
    let world = World::new();
    let server = world.altda();
    let address = server.address();
    assert_eq!(http(address, "GET", "/health", b"").await.status, 200);
    for path in ["/", "/get", "/get/", "/get/0x00/1", "/put/0x00/1", "/other"] {
        assert_eq!(http(address, "GET", path, b"").await.status, 400, "{path}");
    }
}

/// 18: many at once, each with its own commitment, several in one container.
#[tokio::test(flavor = "multi_thread")]
async fn row_18_side_by_side() {
    let world = World::new();
    let server = world.altda();
    let address = server.address();
    let puts = (0..40).map(|seed| {
        tokio::spawn(async move {
            let blob = blob(seed, 5_000);
            (put(address, &blob).await, blob)
        })
    });
    let mut containers = std::collections::BTreeSet::new();
    for putting in puts.collect::<Vec<_>>() {
        let (stored, blob) = putting.await.unwrap();
        assert_eq!(stored.status, 200);
        containers.insert(stored.body[2..34].to_vec());
        assert!(get(address, &stored.body).await.body == blob);
    }
    assert!(containers.len() < 40);
}

/// What cannot wait any longer is told so in time: no room is not 503.
#[tokio::test(flavor = "multi_thread")]
async fn no_room_is_not_down() {
    let world = World::new();
    let bounds = Bounds {
        room: 1 << 20,
        wait_max: Duration::from_millis(50),
        ..altda::bounds()
    };
    let server = open(world.altda_face(bounds, Duration::from_secs(30)));
    world.memory.change(Weather::Stuck);
    let address = server.address();
    let first = tokio::spawn(async move { put(address, &blob(1, 500_000)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let busy = put(address, &blob(2, 500_000)).await;
    assert_eq!(busy.status, 429);
    world.memory.change(Weather::Fair);
    assert_eq!(first.await.unwrap().status, 200);
}
