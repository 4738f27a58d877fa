//! Bytes that others chose: payloads that look like the log's own structures, and files in the data
//! directory that the store did not write. Neither may lose a record or stop a start with a panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use bytes::Bytes;
use lode_engine::{
    Root,
    format::{
        frame::{self, FrameHead},
        page::PAYLOAD,
        record,
    },
    mesh::Mesh,
    store::{Options, Store, Terms},
};
use lode_world::sim::{Crash, Faults, Sim, SimWorld};

const CHUNK: usize = 256 * 1024;

async fn open(world: SimWorld) -> Store<SimWorld> {
    let options = Options {
        segment_len: 2 << 20,
        scrub_rate: 0,
        ..Options::new(PathBuf::from("data"), 1)
    };
    Store::open(world, options, Mesh::new(1), 0).await.unwrap()
}

async fn put(store: &Store<SimWorld>, bytes: &Bytes) -> Root {
    let stored = store.put(bytes.clone(), Terms::default()).await.unwrap();
    stored.root
}

async fn read(store: &Store<SimWorld>, root: Root, len: usize) -> Option<Vec<u8>> {
    let range = 0..u64::try_from(len).unwrap();
    let mut reader = store.read(root, range).await.unwrap()?;
    let mut out = Vec::new();
    while let Some(piece) = reader.next().await {
        out.extend_from_slice(&piece.unwrap());
    }
    Some(out)
}

/// A chunk whose every page, where it is the first record of a frame, begins like the head of a
/// later frame of the segment.
fn looks_like_heads(segment: u32) -> Bytes {
    let head = FrameHead {
        number: 1000,
        segment,
        committed: 1000,
        sequence: 1,
        chain: 0,
    };
    let mut payload = vec![7; CHUNK];
    let first = PAYLOAD - frame::HEAD - record::HEADER;
    for at in (first..CHUNK - frame::HEAD).step_by(PAYLOAD) {
        payload[at..at + frame::HEAD].copy_from_slice(&head.encode());
    }
    payload.into()
}

/// A client's payload that looks like frame heads hides neither itself nor what comes after it,
/// when the log is walked after a kill.
#[test]
fn a_payload_may_look_like_frame_heads() {
    let blobs: Vec<Bytes> = [
        vec![1; 5000].into(),
        looks_like_heads(1),
        vec![2; CHUNK].into(),
        vec![3; 100].into(),
    ]
    .into();
    let sim = Sim::new(1, Faults::default());
    let roots = sim
        .run(async |world| {
            let store = open(world).await;
            let mut roots = Vec::new();
            for blob in &blobs {
                roots.push(put(&store, blob).await);
            }
            roots
        })
        .unwrap();
    sim.crash(Crash::Kill);
    sim.run(async |world| {
        let store = open(world).await;
        for (number, (root, blob)) in (0..).zip(roots.iter().zip(&blobs)) {
            let found = read(&store, *root, blob.len()).await;
            assert!(found.as_deref() == Some(blob), "blob {number}");
        }
        let stats = store.stats().await.unwrap();
        assert_eq!((stats.torn_bytes, stats.corrupt), (0, 0));
    })
    .unwrap();
}
