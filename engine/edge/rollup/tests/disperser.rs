//! 0G's disperser and retriever, byte by byte: messages are written and compared as they go over the wire,
//! by a client that knows no schema.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{net::SocketAddr, time::Duration};

use lode_proofs::da::blob_root;
use lode_rollup::memory::{self, Weather};
use world::{Grpc, World, blob, grpc};

const DISPERSE: &str = "/disperser.Disperser/DisperseBlob";
const STATUS: &str = "/disperser.Disperser/GetBlobStatus";
const RETRIEVE: &str = "/disperser.Disperser/RetrieveBlob";
const RETRIEVER: &str = "/retriever.Retriever/RetrieveBlob";

/// A field of bytes: its tag, its length as a varint, the bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = bytes.len();
    while len >= 0x80 {
        out.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
        len >>= 7;
    }
    out.push(u8::try_from(len).unwrap());
    out.extend_from_slice(bytes);
    out
}

fn retrieve_request(root: &[u8], epoch: u8, quorum: u8) -> Vec<u8> {
    let mut message = field(1, root);
    // Zeros are left out in proto3.
    for (tag, value) in [(0x10, epoch), (0x18, quorum)] {
        if value > 0 {
            message.extend_from_slice(&[tag, value]);
        }
    }
    message
}

fn ok(answer: Grpc) -> Vec<u8> {
    assert_eq!((answer.code.as_str(), answer.text.as_str()), ("0", ""));
    answer.message.expect("a message")
}

fn said(answer: &Grpc) -> (&str, &str) {
    assert_eq!(answer.message, None);
    (&answer.code, &answer.text)
}

/// The request's name, out of `{PROCESSING, name}`.
fn name_of(reply: &[u8]) -> Vec<u8> {
    assert_eq!(reply[..4], [0x08, 1, 0x12, 65]);
    let name = reply[4..].to_vec();
    assert_eq!((name.len(), name[32]), (65, b'-'));
    name
}

/// Polls as clients do, until the first byte of the reply says so.
async fn until(address: SocketAddr, name: &[u8], status: u8) -> Vec<u8> {
    for _ in 0..3_000 {
        let reply = ok(grpc(address, STATUS, &field(1, name)).await);
        assert_eq!(reply[0], 0x08);
        if reply[1] == status {
            return reply;
        }
        // What is on its way has an info, without a header.
        assert!([1, 2].contains(&reply[1]), "{reply:?}");
        if reply[1] == 1 {
            assert_eq!(reply, [0x08, 1, 0x12, 0]);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to {status}");
}

/// The whole way of a blob: PROCESSING, CONFIRMED with root, epoch and quorum, FINALIZED; and back by both
/// services.
#[tokio::test(flavor = "multi_thread")]
async fn golden_bytes() {
    let config = memory::Config {
        close_after: Duration::from_millis(5),
        settle_after: Duration::from_millis(200),
        final_after: Duration::from_secs(2),
        ..memory::Config::default()
    };
    let world = World::with(config);
    let server = world.disperser().await;
    let address = server.address();
    let blob = blob(1, 70_000);
    let name = name_of(&ok(grpc(address, DISPERSE, &field(1, &blob)).await));
    let root = blob_root(&blob).0;
    // header { storage_root, epoch 1 }, in an info; quorum 0 is left out.
    let header = [&field(1, &root)[..], &[0x10, 1]].concat();
    let info = field(2, &field(1, &header));
    assert_eq!(info[..6], [0x12, 38, 0x0a, 36, 0x0a, 32]);
    for status in [2, 4] {
        let reply = until(address, &name, status).await;
        assert_eq!(reply, [&[0x08, status][..], &info].concat());
    }
    for path in [RETRIEVE, RETRIEVER] {
        let reply = ok(grpc(address, path, &retrieve_request(&root, 1, 0)).await);
        assert!(reply == field(1, &blob), "{path}");
    }
}

/// The same blob twice is two requests, and one root.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_twice() {
    let world = World::new();
    let server = world.disperser().await;
    let address = server.address();
    let mut names = Vec::new();
    for _ in 0..2 {
        names.push(name_of(&ok(
            grpc(address, DISPERSE, &field(1, b"twice")).await
        )));
    }
    assert_ne!(names[0], names[1]);
    let first = until(address, &names[0], 4).await;
    assert_eq!(until(address, &names[1], 4).await, first);
}

/// Ends that are none of the good ones.
#[tokio::test(flavor = "multi_thread")]
async fn bad_ends() {
    let world = World::new();
    let server = world.disperser().await;
    let address = server.address();
    for (weather, status) in [(Weather::Failing, 3), (Weather::Unsigned, 5)] {
        world.memory.change(weather);
        let name = name_of(&ok(grpc(address, DISPERSE, &field(1, b"bytes")).await));
        assert_eq!(until(address, &name, status).await, [0x08, status, 0x12, 0]);
    }
}

/// In 0G's words, under its codes.
#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let world = World::new();
    let server = world.disperser().await;
    let address = server.address();
    let empty = grpc(address, DISPERSE, b"").await;
    assert_eq!(said(&empty), ("2", "blob size must be greater than 0"));
    let long = field(1, &vec![7; 32_505_853]);
    let long = grpc(address, DISPERSE, &long).await;
    assert_eq!(said(&long), ("2", "blob size cannot exceed 31744 KiB"));
    let unnamed = grpc(address, STATUS, b"").await;
    let text = "invalid request: request_id must not be empty";
    assert_eq!(said(&unnamed), ("2", text));
    let other = grpc(address, STATUS, &field(1, b"abc")).await;
    assert_eq!(said(&other), ("2", "invalid metadata key: abc"));
    let unknown = format!("{0}-{0}", "00".repeat(16));
    let unknown = grpc(address, STATUS, &field(1, unknown.as_bytes())).await;
    assert_eq!(said(&unknown).0, "5");
    let text = "parameter StorageRoot len is not accepted";
    for path in [RETRIEVE, RETRIEVER] {
        let short = grpc(address, path, &retrieve_request(&[1; 31], 1, 0)).await;
        assert_eq!(said(&short), ("2", text));
        let unknown = grpc(address, path, &retrieve_request(&[1; 32], 1, 0)).await;
        assert_eq!(said(&unknown).0, "5");
        // A quorum of 64 bits.
        let mut far = field(1, &[1; 32]);
        far.extend_from_slice(&[
            0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        ]);
        assert_eq!(said(&grpc(address, path, &far).await).0, "5");
        // No protobuf.
        assert_eq!(said(&grpc(address, path, &[0xff; 9]).await).0, "13");
    }
    world.memory.change(Weather::Overloaded);
    let busy = grpc(address, DISPERSE, &field(1, b"bytes")).await;
    assert_eq!(said(&busy), ("2", "request ratelimited"));
    world.memory.change(Weather::Down);
    let down = grpc(address, DISPERSE, &field(1, b"bytes")).await;
    assert_eq!(said(&down).0, "14");
    let down = grpc(address, RETRIEVER, &retrieve_request(&[1; 32], 1, 0)).await;
    assert_eq!(said(&down).0, "14");
    let none = grpc(address, "/disperser.Disperser/Other", b"").await;
    assert_eq!(said(&none).0, "12");
}

/// The longest blob of 0G's goes in and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest() {
    let world = World::new();
    let server = world.disperser().await;
    let address = server.address();
    let blob = blob(5, 32_505_852);
    let name = name_of(&ok(grpc(address, DISPERSE, &field(1, &blob)).await));
    until(address, &name, 4).await;
    let request = retrieve_request(&blob_root(&blob).0, 1, 0);
    let reply = ok(grpc(address, RETRIEVER, &request).await);
    assert!(reply == field(1, &blob));
}

/// gRPC's health service says that both are served.
#[tokio::test(flavor = "multi_thread")]
async fn health() {
    let world = World::new();
    let server = world.disperser().await;
    let path = "/grpc.health.v1.Health/Check";
    for name in ["", "disperser.Disperser", "retriever.Retriever"] {
        let reply = ok(grpc(server.address(), path, &field(1, name.as_bytes())).await);
        assert_eq!(reply, [0x08, 1]);
    }
}
