//! Our own REST: HTTP's statuses.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{blob::Blob, stack::Stack};

async fn problem(stack: &Stack, path: &str) -> (u16, String) {
    let response = stack.get(path).await;
    let status = response.status().as_u16();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json",
        "{path}"
    );
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().unwrap().to_owned())
}

/// 404, 409, 410, 400: each state of a blob has a status of its own.
#[tokio::test(flavor = "multi_thread")]
async fn statuses() {
    let stack = Stack::of(&[(0, 1)]).await;
    let blob = Arc::new(Blob::of(3000, 1));
    let mut info = blob.info(4, 1024);
    info.finalized = false;
    stack.nodes[0].keep_as(&blob, info.clone());
    (info.pruned, info.tx.seq) = (true, 5);
    stack.nodes[0].keep_as(&blob, info);
    assert_eq!(
        problem(&stack, "/v1/files/3").await,
        (404, "LODE1010".to_owned())
    );
    assert_eq!(
        problem(&stack, "/v1/files/3/info").await,
        (404, "LODE1010".to_owned())
    );
    assert_eq!(
        problem(&stack, "/v1/files/4").await,
        (409, "LODE1012".to_owned())
    );
    assert_eq!(
        problem(&stack, "/v1/files/5").await,
        (410, "LODE1013".to_owned())
    );
    assert_eq!(
        problem(&stack, "/v1/files/0x12").await,
        (400, "LODE1003".to_owned())
    );
    assert_eq!(
        problem(&stack, "/v1/folders/%ff/a").await,
        (400, "LODE1003".to_owned())
    );
    let none = Stack::of(&[]).await;
    assert_eq!(
        problem(&none, "/v1/files/3").await,
        (503, "LODE1021".to_owned())
    );
}

/// Bytes, with and without a name, and 416 with the size.
#[tokio::test(flavor = "multi_thread")]
async fn files() {
    let stack = Stack::of(&[(0, 1)]).await;
    let blob = stack.keep(Blob::of(3000, 1), 4, 1024);
    let response = stack.get(&format!("/v1/files/{}", blob.root)).await;
    assert!(!response.headers().contains_key("content-disposition"));
    assert_eq!(response.bytes().await.unwrap(), blob.bytes);
    let named = stack.get("/v1/files/4?name=x.bin").await;
    assert!(named.headers().contains_key("content-disposition"));
    let beyond = stack.range("/v1/files/4", "bytes=3000-").await;
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.headers()["content-range"], "bytes */3000");
    assert_eq!(beyond.json::<Value>().await.unwrap()["code"], "LODE1004");
}

/// Who holds a blob.
#[tokio::test(flavor = "multi_thread")]
async fn info() {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let blob = stack.keep(Blob::of(700_000, 1), 4, 1024);
    let info: Value = stack.get("/v1/files/4/info").await.json().await.unwrap();
    let holder = |at: usize| {
        let slice = json!({"shardId": at, "numShard": 2});
        json!({"url": stack.nodes[at].url, "slice": slice, "trusted": true})
    };
    let want = json!({
        "root": blob.root, "size": 700_000, "seq": 4, "startSector": 1024, "chunks": 3,
        "finalized": true, "pruned": false, "covered": true, "holders": [holder(0), holder(1)],
    });
    assert_eq!(info, want);
}

/// All nodes, those too that do not answer; health and counters.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_health_and_metrics() {
    let mut stack = Stack::of(&[(0, 1), (0, 1)]).await;
    stack.nodes[1].kill().await;
    stack
        .until(|stack| stack.handle.directory().trusted().len() == 1)
        .await;
    let nodes: Value = stack.get("/v1/nodes").await.json().await.unwrap();
    assert_eq!(
        (&nodes[0]["answers"], &nodes[1]["answers"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        nodes[1]["last"]["nextSeq"], 10,
        "its last word is remembered"
    );
    let health: Value = stack.get("/healthz").await.json().await.unwrap();
    assert_eq!(
        health,
        json!({"status": "ok", "nodes": {"trusted": 1, "discovered": 0}})
    );
    stack.rpc("indexer_getShardedNodes", json!([])).await;
    let page = stack.get("/metrics").await.text().await.unwrap();
    for line in [
        "lode_indexer_nodes{named_by=\"operator\",state=\"silent\"} 1",
        "lode_indexer_calls_total{method=\"indexer_getShardedNodes\"} 1",
        "lode_indexer_requests_total{route=\"/v1/nodes\",status=\"2xx\"} 1",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
}
