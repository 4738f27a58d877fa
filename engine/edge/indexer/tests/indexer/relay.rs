//! `POST /file/segment` (0G wire, 3.5).

use std::sync::Arc;

use lode_wire::text;
use serde_json::{Value, json};

use crate::{blob::Blob, stack::Stack};

/// Nodes that know a blob of three chunks, and have nothing of it.
async fn waiting(slices: &[(u64, u64)]) -> (Stack, Arc<Blob>) {
    let stack = Stack::of(slices).await;
    let blob = Arc::new(Blob::of(700_000, 1));
    for node in &stack.nodes {
        let mut info = blob.info(4, 1024);
        info.finalized = false;
        node.keep_as(&blob, info);
    }
    (stack, blob)
}

async fn send(stack: &Stack, body: &Value) -> (u16, Value) {
    stack.post("/file/segment", body.to_string()).await
}

fn written(stack: &Stack) -> Vec<Vec<(u64, u64)>> {
    let of = |node: &crate::node::Node| {
        let inside = node.inside.lock().unwrap();
        inside
            .written
            .iter()
            .map(|(seq, chunk)| (*seq, chunk.index))
            .collect()
    };
    stack.nodes.iter().map(of).collect()
}

/// Each chunk goes to the node of its slice, by the submission's number.
#[tokio::test(flavor = "multi_thread")]
async fn post_file_segment() {
    let (stack, blob) = waiting(&[(0, 2), (1, 2)]).await;
    for index in 0..3 {
        let want = json!({"code": 0, "message": "Success", "data": "Succeeded to upload segment"});
        assert_eq!(send(&stack, &blob.relay(index)).await, (200, want));
    }
    // The blob begins at chunk 1 of the flow.
    assert_eq!(written(&stack), [vec![(4, 1)], vec![(4, 0), (4, 2)]]);
    let inside = stack.nodes[0].inside.lock().unwrap();
    assert_eq!(inside.written[0].1, blob.segment(1));
}

/// `expectedReplica`: as many nodes take it, always the same ones; 0 is 1; too many is an error.
#[tokio::test(flavor = "multi_thread")]
async fn post_file_segment_with_replicas() {
    let (stack, blob) = waiting(&[(0, 1), (0, 1), (0, 1)]).await;
    for (replica, status) in [(2, 200), (2, 200), (0, 200), (4, 600)] {
        let mut body = blob.relay(0);
        body["expectedReplica"] = json!(replica);
        body["txSeq"] = json!(4);
        let (got, said) = send(&stack, &body).await;
        assert_eq!(got, status, "{said}");
    }
    let counts: Vec<usize> = written(&stack).iter().map(Vec::len).collect();
    assert_eq!(counts, [3, 2, 0]);
}

/// What does not prove itself reaches no node.
#[tokio::test(flavor = "multi_thread")]
async fn post_file_segment_that_is_none() {
    let (stack, blob) = waiting(&[(0, 1)]).await;
    let good = blob.relay(0);
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let long = "A".repeat(400_000);
    for body in [
        with("data", blob.relay(1)["data"].clone()),
        with("data", json!("")),
        with("data", json!("!")),
        with("data", json!(long)),
        with("index", json!(1)),
        with("index", json!(3)),
        with("proof", json!({"lemma": [], "path": []})),
        with("root", json!("0x12")),
        with("root", Value::Null),
        json!({}),
        json!([]),
    ] {
        let (status, said) = send(&stack, &body).await;
        assert_eq!((status, said["code"].as_u64()), (200, Some(1)), "{said}");
    }
    let (_, said) = send(
        &stack,
        &with("root", json!(format!("0x{}", "01".repeat(32)))),
    )
    .await;
    assert_eq!(said["code"], 101);
    let (_, said) = stack.post("/file/segment", "x".repeat(600_000)).await;
    assert_eq!(said["code"], 1, "longer than any chunk");
    assert_eq!(written(&stack), [vec![]]);
}

/// A node that has it says no, which is success; one that is busy is asked again; any other refusal is
/// told.
#[tokio::test(flavor = "multi_thread")]
async fn post_file_segment_to_nodes_that_refuse() {
    let (stack, blob) = waiting(&[(0, 1)]).await;
    for (why, status) in [
        (text::FINALIZED, 200),
        (text::DUPLICATE, 200),
        (text::PRUNED, 600),
    ] {
        stack.nodes[0].faults(|faults| faults.refuses = Some(why));
        let (got, said) = send(&stack, &blob.relay(0)).await;
        assert_eq!(got, status, "{why}: {said}");
        assert!(status == 200 || said["data"].as_str().unwrap().contains(why));
    }
    stack.nodes[0].faults(|faults| (faults.refuses, faults.busy) = (None, 2));
    assert_eq!(send(&stack, &blob.relay(0)).await.0, 200);
    assert_eq!(written(&stack), [vec![(4, 0)]]);
}
