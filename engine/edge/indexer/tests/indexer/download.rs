//! Bytes under way: in order, proven, bounded, from whoever has them.

use std::{sync::Arc, time::Duration};

use lode_proofs::CHUNK_LEN;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config as Cases, TestRunner},
};

use crate::{
    blob::Blob,
    node::Faults,
    stack::{Stack, config},
};

const CHUNK: &str = "zgs_downloadSegmentWithProofByTxSeq";

/// Sizes around every edge of sector and chunk come out as they went in.
#[tokio::test(flavor = "multi_thread")]
async fn sizes() {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let edges = [
        1,
        255,
        256,
        257,
        CHUNK_LEN - 1,
        CHUNK_LEN,
        CHUNK_LEN + 1,
        3 * CHUNK_LEN + 5,
    ];
    for (seq, size) in edges.into_iter().enumerate() {
        let seq = seq as u64;
        let blob = stack.keep(Blob::of(size, seq), seq, seq * 8 * 1024 + 1024);
        assert_eq!(
            stack.bytes(&format!("/file?txSeq={seq}")).await,
            blob.bytes,
            "{size}"
        );
    }
}

/// 64 MiB pass through, and never more than the promised number of chunks is in memory.
#[tokio::test(flavor = "multi_thread")]
async fn large_blob_in_bounded_memory() {
    let mut config = config();
    config.read_ahead = 3;
    let stack = Stack::with(&[(0, 4), (1, 4), (2, 4), (3, 4)], config).await;
    let blob = stack.keep(Blob::of(64 << 20, 1), 4, 5 * 1024);
    let mut response = stack.get("/file?txSeq=4").await;
    let mut at = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        assert_eq!(piece, blob.bytes[at..at + piece.len()]);
        at += piece.len();
    }
    assert_eq!(at, 64 << 20);
    let peak = stack.handle.meters().held_peak();
    assert!(
        (2..=5).contains(&peak),
        "read-ahead of 3, and two behind: {peak}"
    );
}

/// A client that stops taking bytes stops the fetches; when it is gone, all is given back.
#[tokio::test(flavor = "multi_thread")]
async fn client_that_stops_stops_the_fetches() {
    let stack = Stack::of(&[(0, 1)]).await;
    stack.keep(Blob::of(64 << 20, 1), 4, 1024);
    let response = stack.get("/file?txSeq=4").await;
    let mut before = 0;
    // As soon as nothing moves any more, the sockets' buffers are full.
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let asked = stack.nodes[0].asked(CHUNK);
        if asked == before {
            break;
        }
        before = asked;
    }
    assert!(
        before < 256,
        "the whole blob was fetched for a client that took nothing"
    );
    let page = async || stack.get("/metrics").await.text().await.unwrap();
    assert!(
        !page().await.contains("chunks_held 0\n"),
        "{}",
        page().await
    );
    drop(response);
    for _ in 0..500 {
        if page().await.contains("chunks_held 0\n") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!(
        "chunks of a download that ended are still held: {}",
        page().await
    );
}

/// A blob of several chunks on two nodes, the first of which has these faults, is downloaded in one
/// piece from the second.
async fn survives(what: &str, fault: impl FnOnce(&mut Faults)) -> Stack {
    let stack = Stack::of(&[(0, 1), (0, 1)]).await;
    let blob = stack.keep(Blob::of(8 * CHUNK_LEN + 77, 1), 4, 1024);
    stack.nodes[0].faults(fault);
    assert!(stack.bytes("/file?txSeq=4").await == blob.bytes, "{what}");
    stack
}

/// A node that sends other bytes is found out, and not asked again in this download.
#[tokio::test(flavor = "multi_thread")]
async fn lying_bytes_never_leave() {
    let stack = survives("lying", |faults| faults.lying_bytes = true).await;
    let lies = stack.nodes[0].asked(CHUNK);
    assert!((1..=6).contains(&lies), "asked again after a lie: {lies}");
    let page = stack.get("/metrics").await.text().await.unwrap();
    assert!(page.contains("chunks_total{answer=\"lie\"}"), "{page}");
}

/// Who lied is not asked again, even if nobody else is left.
#[tokio::test(flavor = "multi_thread")]
async fn liars_are_not_asked_again() {
    let stack = Stack::of(&[(0, 1)]).await;
    stack.keep(Blob::of(3000, 1), 4, 1024);
    stack.nodes[0].faults(|faults| faults.lying_bytes = true);
    assert_eq!(stack.said("/file?txSeq=4").await.0, 600);
    assert_eq!(stack.nodes[0].asked(CHUNK), 1);
}

/// The same with a proof that does not hold, and with a true chunk of another place.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_proofs_never_leave() {
    survives("wrong proof", |faults| faults.wrong_proof = true).await;
    survives("another chunk", |faults| faults.other_chunk = true).await;
}

/// Nodes that are busy, silent, empty or talk nonsense are passed over.
#[tokio::test(flavor = "multi_thread")]
async fn useless_answers_are_passed_over() {
    survives("busy", |faults| faults.busy = 3).await;
    survives("empty", |faults| faults.no_chunks = true).await;
    survives("slow", |faults| {
        faults.slow_chunks = Some(Duration::from_secs(60))
    })
    .await;
}

/// A node that dies in the middle is replaced by the other holder.
#[tokio::test(flavor = "multi_thread")]
async fn node_that_dies_in_the_middle() {
    let stack = survives("dying", |faults| faults.dies_after = Some(2)).await;
    assert!(stack.nodes[0].asked(CHUNK) > 2, "it did not die");
    assert!(stack.nodes[1].asked(CHUNK) >= 7);
}

/// A node that is alone and busy for a moment is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn busy_node_is_asked_again() {
    let stack = Stack::of(&[(0, 1)]).await;
    let blob = stack.keep(Blob::of(CHUNK_LEN, 1), 4, 1024);
    stack.nodes[0].faults(|faults| faults.busy = 1);
    assert_eq!(stack.bytes("/file?txSeq=4").await, blob.bytes);
}

/// If nobody tells the truth, nothing is sent: an error if it is the first chunk, else a body that ends
/// before its declared length.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_tells_the_truth() {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let blob = stack.keep(Blob::of(6 * CHUNK_LEN, 1), 4, 1024);
    // The blob begins in the second half of the flow's slices.
    stack.nodes[1].faults(|faults| faults.lying_bytes = true);
    let (status, said) = stack.said("/file?txSeq=4").await;
    assert_eq!((status, said["code"].as_u64()), (600, Some(2)));
    assert_eq!(stack.get("/v1/files/4").await.status(), 502);
    stack.nodes[1].faults(|faults| faults.lying_bytes = false);
    stack.nodes[0].faults(|faults| faults.lying_bytes = true);
    let mut response = stack.get("/file?txSeq=4").await;
    assert_eq!(response.status(), 200);
    let mut got = Vec::new();
    let end = loop {
        match response.chunk().await {
            Ok(Some(piece)) => got.extend_from_slice(&piece),
            Ok(None) => break "the end",
            Err(_) => break "an error",
        }
    };
    assert_eq!(end, "an error");
    assert!(got.len() <= CHUNK_LEN && got == blob.bytes[..got.len()]);
}

/// Halves of the flow on two nodes; without one of them the blob is refused before the first byte, but
/// a range of the other's chunk is served.
#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_slices() {
    let stack = Stack::of(&[(1, 2)]).await;
    let blob = stack.keep(Blob::of(4 * CHUNK_LEN, 1), 4, 1024);
    let (status, said) = stack.said("/file?txSeq=4").await;
    assert_eq!((status, said["code"].as_u64()), (600, Some(2)), "{said}");
    assert_eq!(stack.get("/v1/files/4").await.status(), 503);
    let part = stack.range("/v1/files/4", "bytes=10-99").await;
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), blob.bytes[10..100]);
}

/// Downloads have places; who comes too late is told so, and a place is free again after a download.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_downloads() {
    let mut config = config();
    config.downloads_max = 1;
    let stack = Stack::with(&[(0, 1)], config).await;
    stack.keep(Blob::of(64 << 20, 1), 4, 1024);
    let first = stack.get("/v1/files/4").await;
    assert_eq!(first.status(), 200);
    let second = stack.get("/v1/files/4").await;
    assert_eq!(second.status(), 503);
    assert_eq!(second.headers()["retry-after"], "1");
    assert_eq!(stack.get("/file?txSeq=4").await.status(), 600);
    drop(first);
    for _ in 0..500 {
        if stack.get("/v1/files/4").await.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was never free again");
}

/// Any range is the slice of the plain bytes, in both kinds of REST.
#[tokio::test(flavor = "multi_thread")]
async fn ranges() {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let size = 3 * CHUNK_LEN + 1000;
    let blob = stack.keep(Blob::of(size, 1), 4, 3 * 1024);
    let mut runner = TestRunner::new(Cases::default());
    let near = |edge: usize| (edge.saturating_sub(3)..edge + 3).boxed();
    let place = prop_oneof![0..size, near(CHUNK_LEN), near(2 * CHUNK_LEN), near(size)];
    let pair = (place.clone(), place);
    for case in 0..60 {
        let (one, other) = pair.new_tree(&mut runner).unwrap().current();
        let (first, last) = (one.min(other), one.max(other));
        let path = ["/file?txSeq=4", "/v1/files/4"][case % 2];
        let response = stack.range(path, &format!("bytes={first}-{last}")).await;
        if first >= size {
            assert_eq!(response.status(), 416, "{first}-{last}");
            assert_eq!(
                response.headers()["content-range"],
                format!("bytes */{size}")
            );
            continue;
        }
        let end = size.min(last + 1);
        assert_eq!(response.status(), 206, "{first}-{last}");
        let want = format!("bytes {first}-{}/{size}", end - 1);
        assert_eq!(response.headers()["content-range"], want);
        assert_eq!(
            response.headers()["content-length"],
            (end - first).to_string()
        );
        assert!(
            response.bytes().await.unwrap() == blob.bytes[first..end],
            "{first}-{last}"
        );
    }
    let tail = stack
        .range("/v1/files/4", "bytes=-5")
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(tail, blob.bytes[size - 5..]);
}

/// A range asks for the chunks that it lies in, and for no others.
#[tokio::test(flavor = "multi_thread")]
async fn range_of_one_chunk() {
    let stack = Stack::of(&[(0, 1)]).await;
    stack.keep(Blob::of(9 * CHUNK_LEN, 1), 4, 1024);
    let part = stack.range("/file?txSeq=4", "bytes=600000-600001").await;
    assert_eq!(part.bytes().await.unwrap().len(), 2);
    assert_eq!(stack.nodes[0].asked(CHUNK), 1);
}

/// Conditions: what the client has is not sent again; a range of another blob is the whole one.
#[tokio::test(flavor = "multi_thread")]
async fn conditions() {
    let stack = Stack::of(&[(0, 1)]).await;
    let blob = stack.keep(Blob::of(1000, 1), 4, 1024);
    let path = stack.url(&format!("/v1/files/{}", blob.root));
    let tag = format!("\"{}\"", blob.root);
    let ask = async |headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(stack.http.get(&path), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.send().await.unwrap()
    };
    let unchanged = ask(&[("if-none-match", &tag)]).await;
    assert_eq!(unchanged.status(), 304);
    assert!(
        unchanged.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    assert_eq!(
        ask(&[("range", "bytes=1-2"), ("if-range", &tag)])
            .await
            .status(),
        206
    );
    assert_eq!(
        ask(&[("range", "bytes=1-2"), ("if-range", "\"x\"")])
            .await
            .status(),
        200
    );
    let by_seq = stack.get("/v1/files/4").await;
    assert_eq!(by_seq.headers()["cache-control"], "no-cache");
}

/// Two downloads of the same blob at once do not disturb each other.
#[tokio::test(flavor = "multi_thread")]
async fn many_at_once() {
    let stack = Arc::new(Stack::of(&[(0, 2), (1, 2), (0, 1)]).await);
    let blob = stack.keep(Blob::of(5 * CHUNK_LEN + 9, 1), 4, 1024);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (stack, blob) = (Arc::clone(&stack), Arc::clone(&blob));
            tokio::spawn(async move {
                assert!(stack.bytes("/file?txSeq=4").await == blob.bytes);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
