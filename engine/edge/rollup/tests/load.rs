//! As a rollup loads it: a blob every few milliseconds, the server started again in the middle, and no
//! acknowledged blob lost or changed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use lode_rollup::altda;
use sha3::{Digest as _, Keccak256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};
use world::{Answer, World, blob, http, parse};

/// Every other blob is known by its keccak256, and those are somewhat shorter.
const BLOB_LEN: [usize; 2] = [128 << 10, 130_672];
const PACE: Duration = Duration::from_millis(5);
const BLOBS: u64 = 300;

/// A put as a batcher does it: on an error of the connection it is tried again.
async fn put(address: SocketAddr, path: &str, blob: &[u8]) -> Answer {
    loop {
        match try_put(address, path, blob).await {
            Some(answer) if answer.status == 200 => return answer,
            Some(answer) => assert_eq!(answer.status, 429, "{answer:?}"),
            None => {}
        }
        sleep(PACE).await;
    }
}

async fn try_put(address: SocketAddr, path: &str, blob: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let len = blob.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(blob).await.ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok()?;
    // An answer that was cut is none.
    bytes
        .windows(4)
        .any(|four| four == b"\r\n\r\n")
        .then(|| parse(&bytes))
}

fn blob_of(seed: u64) -> Vec<u8> {
    blob(seed, BLOB_LEN[usize::try_from(seed % 2).unwrap()])
}

/// See the file's head.
#[tokio::test(flavor = "multi_thread")]
async fn load() {
    let mut world = World::new();
    let server = world.altda();
    let address = server.address();
    let wrong = Arc::new(AtomicBool::new(false));
    let mut puts = Vec::new();
    let mut server = Some(server);
    for seed in 0..BLOBS {
        let wrong = Arc::clone(&wrong);
        puts.push(tokio::spawn(async move {
            let blob = blob_of(seed);
            let known = [&[0], &Keccak256::digest(&blob)[..]].concat();
            let digits: String = known.iter().map(|byte| format!("{byte:02x}")).collect();
            let commitment = if seed % 2 == 0 {
                put(address, "/put", &blob).await.body
            } else {
                put(address, &format!("/put/0x{digits}"), &blob).await;
                known
            };
            if commitment.is_empty() {
                wrong.store(true, Relaxed);
            }
            commitment
        }));
        sleep(PACE).await;
        if seed == BLOBS / 2 {
            server.take().unwrap().stop().await;
            world.reopen();
            let face = world.altda_face(altda::bounds(), Duration::from_secs(30));
            server = Some(face.open(address).unwrap());
        }
    }
    let mut commitments = Vec::new();
    for putting in puts {
        commitments.push(putting.await.unwrap());
    }
    assert!(!wrong.load(Relaxed));
    for (seed, commitment) in (0..).zip(commitments) {
        let digits: String = commitment
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let found = http(address, "GET", &format!("/get/0x{digits}"), b"").await;
        assert!(
            found.status == 200 && found.body == blob_of(seed),
            "blob {seed}"
        );
    }
}
