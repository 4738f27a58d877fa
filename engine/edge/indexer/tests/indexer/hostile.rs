//! Clients that mean no good: whatever they do, others are served.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    blob::Blob,
    stack::{Stack, config},
};

/// Long enough for any machine; what is waited for comes by itself.
const PATIENCE: Duration = Duration::from_secs(60);

async fn connect(stack: &Stack) -> TcpStream {
    TcpStream::connect(stack.handle.address()).await.unwrap()
}

/// What comes until the other side closes.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    // A reset is an end as well.
    let _ = read.expect("the connection stays open");
    all
}

/// Connections that say nothing, half a head, or nothing after an answer, are closed.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_end() {
    let mut config = config();
    config.head_max = Duration::from_millis(300);
    let stack = Stack::with(&[], config).await;
    for begin in [
        "",
        "GET /healthz HT",
        "GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow: ",
    ] {
        let mut stream = connect(&stack).await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{begin:?}");
    }
    let mut stream = connect(&stack).await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(
        rest(&mut stream).await.starts_with(b"HTTP/1.1 200"),
        "then it is idle, and closed"
    );
}

/// A body that does not come is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_come() {
    let mut config = config();
    config.request_max = Duration::from_millis(300);
    config.head_max = Duration::from_millis(300);
    let stack = Stack::with(&[], config).await;
    for path in ["/", "/file/segment"] {
        let mut stream = connect(&stack).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 504"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}

/// A client that takes nothing of a download is cut off, and gives its place back.
#[tokio::test(flavor = "multi_thread")]
async fn downloads_that_are_not_taken_end() {
    let mut config = config();
    config.downloads_max = 1;
    config.write_max = Duration::from_millis(300);
    config.client_chunk_max = Duration::from_millis(300);
    let stack = Stack::with(&[(0, 1)], config).await;
    stack.keep(Blob::of(64 << 20, 1), 4, 1024);
    let mut stream = connect(&stack).await;
    stream
        .write_all(b"GET /v1/files/4 HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    stream.readable().await.unwrap();
    for _ in 0..3000 {
        let page = stack.get("/metrics").await.text().await.unwrap();
        // This request's own connection stays.
        let ended = page.contains("chunks_held 0\n") && page.contains("connections 1\n");
        if ended && page.contains("chunks_held_peak 6\n") {
            assert_eq!(stack.get("/v1/files/4").await.status(), 200);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{}", stack.get("/metrics").await.text().await.unwrap());
}

/// More connections than there may be are refused at once, and those that are there go on.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_connections() {
    let mut config = config();
    config.connections_max = 3;
    let stack = Stack::with(&[], config).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&stack).await;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    for _ in 0..50 {
        let mut stream = connect(&stack).await;
        assert!(rest(&mut stream).await.starts_with(b"HTTP/1.1 503"));
    }
    let mut kept = held.pop().unwrap();
    kept.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let page = rest(&mut kept).await;
    let page = String::from_utf8_lossy(&page);
    assert!(
        page.contains("refused_total{reason=\"connections\"} 50"),
        "{page}"
    );
}

/// More requests than there may be wait a moment, then are refused; health is told all the same.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_requests() {
    let mut config = config();
    config.requests_max = 2;
    config.wait_max = Duration::from_millis(200);
    let stack = std::sync::Arc::new(Stack::with(&[(0, 1)], config).await);
    stack.nodes[0].faults(|faults| faults.slow = Some(Duration::from_secs(1)));
    let asks: Vec<_> = (0..20)
        .map(|_| {
            let stack = std::sync::Arc::clone(&stack);
            tokio::spawn(async move { stack.get("/v1/files/4").await.status().as_u16() })
        })
        .collect();
    assert_eq!(stack.get("/healthz").await.status(), 200);
    let mut statuses = Vec::new();
    for ask in asks {
        statuses.push(ask.await.unwrap());
    }
    assert!(
        statuses.contains(&503) && statuses.contains(&404),
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| [404, 503].contains(status)),
        "{statuses:?}"
    );
}

/// Bodies and heads beyond their bounds are refused without being read.
#[tokio::test(flavor = "multi_thread")]
async fn too_long() {
    let stack = Stack::of(&[]).await;
    let request = stack.http.post(stack.url("/")).body(" ".repeat(2 << 20));
    let response = request
        .header("content-type", "application/json")
        .send()
        .await;
    // The connection may be closed before the last byte is out.
    assert!(response.is_err() || response.unwrap().status() == 413);
    let long = "x".repeat(200_000);
    let request = stack
        .http
        .get(stack.url("/healthz"))
        .header("x-long", long)
        .send()
        .await;
    assert!(request.is_err() || request.unwrap().status() == 431);
    assert_eq!(stack.get("/healthz").await.status(), 200);
}

/// Stopping ends idle connections, lets a download go on for its time, and frees the port.
#[tokio::test(flavor = "multi_thread")]
async fn stops_in_order() {
    let mut config = config();
    config.stop_max = Duration::from_secs(30);
    let stack = Stack::with(&[(0, 1)], config).await;
    let blob = stack.keep(Blob::of(8 << 20, 1), 4, 1024);
    let mut idle = connect(&stack).await;
    let response = stack.get("/v1/files/4").await;
    let address = stack.handle.address();
    stack.rpc("indexer_getShardedNodes", json!([])).await;
    let stopping = tokio::spawn(stack.handle.stop());
    assert!(rest(&mut idle).await.is_empty());
    assert!(response.bytes().await.unwrap() == blob.bytes);
    timeout(PATIENCE, stopping)
        .await
        .expect("it does not stop")
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

/// A connection that does not end by itself is cut.
#[tokio::test(flavor = "multi_thread")]
async fn stops_in_time() {
    let mut config = config();
    config.stop_max = Duration::from_millis(200);
    let stack = Stack::with(&[(0, 1)], config).await;
    stack.keep(Blob::of(64 << 20, 1), 4, 1024);
    let _never_read = stack.get("/v1/files/4").await;
    timeout(PATIENCE, stack.handle.stop())
        .await
        .expect("it does not stop");
}
