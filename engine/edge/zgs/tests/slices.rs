//! Nodes that keep slices of the flow: each keeps its chunks with what proves them, through restarts,
//! and is complete when it has them; together they have all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use lode_wire::Slice;
use serde_json::{Value, json};
use world::{Blob, CHUNK, Node};

/// Each chunk goes to both of two nodes; each keeps its own, serves it with its proof and says null of
/// the other's.
#[tokio::test]
async fn two_halves() {
    let blobs = [
        Blob::new(1, 5 * CHUNK + 7),
        Blob::new(2, 300),
        Blob::new(3, 2 * CHUNK),
    ];
    let halves = [0, 1].map(|id| Node::of_slice(Slice::new(id, 2).unwrap()));
    for (id, node) in (0..).zip(&halves) {
        let config = node.call("zgs_getShardConfig", json!([])).await;
        assert_eq!(config, Ok(json!({"shardId": id, "numShard": 2})));
        for blob in &blobs {
            let seq = node.submit(&[blob])[0];
            let start = node.room.book.submission(seq).unwrap().unwrap().start;
            let kept: Vec<u64> = (0..blob.chunks())
                .filter(|index| (start / 1024 + index) % 2 == id)
                .collect();
            let mut left = kept.len();
            for index in 0..blob.chunks() {
                let info = node
                    .call("zgs_getFileInfoByTxSeq", json!([seq]))
                    .await
                    .unwrap();
                assert_eq!(info["finalized"], json!(left == 0), "{id} {seq} {index}");
                assert_eq!(info["uploadedSegNum"], json!(kept.len() - left));
                let submission = node.room.book.submission(seq).unwrap().unwrap();
                let missing = node.room.shelf.missing(&submission, 100).await.unwrap();
                assert_eq!(missing, kept[kept.len() - left..]);
                let one = node.room.shelf.missing(&submission, 1).await.unwrap();
                assert_eq!(one, kept[kept.len() - left..][..left.min(1)]);
                let sent = node.call(
                    "zgs_uploadSegmentByTxSeq",
                    json!([blob.segment(index), seq]),
                );
                if left == 0 {
                    assert!(sent.await.is_err(), "nothing is wanted any more");
                } else {
                    assert_eq!(sent.await, Ok(Value::Null));
                    left -= usize::from(kept.contains(&index));
                }
            }
            let whole = node.call("zgs_checkFileFinalized", json!([seq])).await;
            assert_eq!(whole, Ok(json!(true)));
            for index in 0..blob.chunks() {
                let ask = json!([seq, index]);
                let got = node.call("zgs_downloadSegmentWithProofByTxSeq", ask).await;
                // A blob of one chunk is kept whole once it is sent, wherever it lies.
                let want = match kept.contains(&index) {
                    true => serde_json::to_value(blob.segment(index)).unwrap(),
                    false => Value::Null,
                };
                assert_eq!(got, Ok(want), "{id} {seq} {index}");
            }
        }
    }
}

/// What is acknowledged is there after a restart, and counted; a chunk that comes again is known.
#[tokio::test]
async fn through_a_restart() {
    let (dir, blob) = (tempfile::tempdir().unwrap(), Blob::new(1, 4 * CHUNK));
    let slice = Slice::new(1, 2).unwrap();
    {
        let node = Node::open_slice(dir.path(), slice, |_| ());
        node.submit(&[&blob]);
        let sent = node.call("zgs_uploadSegment", json!([blob.segment(1)]));
        assert_eq!(sent.await, Ok(Value::Null));
    }
    let node = Node::open_slice(dir.path(), slice, |_| ());
    let info = node.call("zgs_getFileInfo", json!([blob.root(), true]));
    assert_eq!(info.await.unwrap()["uploadedSegNum"], json!(1));
    let again = node.call("zgs_uploadSegment", json!([blob.segment(1)]));
    assert!(again.await.is_err());
    let got = node.call("zgs_downloadSegmentWithProof", json!([blob.root(), 1]));
    assert_eq!(
        got.await,
        Ok(serde_json::to_value(blob.segment(1)).unwrap())
    );
    let sent = node.call("zgs_uploadSegment", json!([blob.segment(3)]));
    assert_eq!(sent.await, Ok(Value::Null));
    let whole = node.call("zgs_checkFileFinalized", json!([blob.root()]));
    assert_eq!(whole.await, Ok(json!(true)));
}

/// A blob that comes again at another place of the flow, where other chunks of it are the slice's.
#[tokio::test]
async fn the_same_blob_elsewhere() {
    let (node, blob) = (
        Node::of_slice(Slice::new(0, 2).unwrap()),
        // Its nodes are of a chunk and less, so it may start at any chunk.
        Blob::new(1, CHUNK + 5),
    );
    let first = node.store(&blob).await;
    let second = node.submit(&[&Blob::new(2, CHUNK), &blob])[1];
    let start = |seq| node.room.book.submission(seq).unwrap().unwrap().start / 1024;
    assert_ne!(start(first) % 2, start(second) % 2);
    let whole = |seq| node.call("zgs_checkFileFinalized", json!([seq]));
    assert_eq!(whole(first).await, Ok(json!(true)));
    assert_eq!(whole(second).await, Ok(json!(false)));
    let segments: Vec<_> = (0..2).map(|index| blob.segment(index)).collect();
    let sent = node.call("zgs_uploadSegmentsByTxSeq", json!([segments, second]));
    assert_eq!(sent.await, Ok(Value::Null));
    assert_eq!(whole(second).await, Ok(json!(true)));
    assert_eq!(whole(first).await, Ok(json!(true)));
}
