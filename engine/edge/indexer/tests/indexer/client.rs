//! The client alone, against a node.

use std::{sync::Arc, time::Duration};

use lode_indexer::client::{Class, Client, Error, Settings};
use lode_proofs::Hash32;
use lode_wire::{Slice, text};

use crate::{blob::Blob, node::Node};

async fn node_and_client() -> (Node, Client, Arc<Blob>) {
    let node = Node::start(0, 1).await;
    let blob = Arc::new(Blob::of(700_000, 1));
    node.keep(&blob, 4, 1024);
    let client = Client::new(&node.url, Settings::default()).unwrap();
    (node, client, blob)
}

/// Every method asks as 0G's nodes are asked, and reads what they answer.
#[tokio::test]
async fn methods() {
    let (node, client, blob) = node_and_client().await;
    let nobody = Hash32::from([0; 32]);
    assert_eq!(client.status().await.unwrap().next_tx_seq, 10);
    assert_eq!(client.slice().await.unwrap(), Slice::WHOLE);
    let info = blob.info(4, 1024);
    assert_eq!(
        client.blob(blob.root, true).await.unwrap(),
        Some(info.clone())
    );
    assert_eq!(client.blob(nobody, false).await.unwrap(), None);
    assert_eq!(client.blob_of(4).await.unwrap(), Some(info));
    assert_eq!(client.blob_of(5).await.unwrap(), None);
    assert_eq!(client.is_final(blob.root).await.unwrap(), Some(true));
    assert_eq!(client.is_final_of(4).await.unwrap(), Some(true));
    assert_eq!(client.is_final_of(5).await.unwrap(), None);
    let want = blob.segment(2);
    assert_eq!(
        client.chunk(blob.root, 2).await.unwrap(),
        Some(want.clone())
    );
    assert_eq!(client.chunk_of(4, 2).await.unwrap(), Some(want.clone()));
    assert_eq!(client.chunk_of(4, 3).await.unwrap(), None);
    let sectors = client.sectors_of(4, 1025, 1027).await.unwrap().unwrap();
    assert_eq!(sectors, blob.bytes[1025 * 256..1027 * 256]);
    let sectors = client.sectors(blob.root, 0, 1024).await.unwrap().unwrap();
    assert_eq!(sectors, blob.bytes[..1024 * 256]);
    client.put(std::slice::from_ref(&want)).await.unwrap();
    client
        .put_of(4, &[want.clone(), want.clone()])
        .await
        .unwrap();
    assert_eq!(node.inside.lock().unwrap().written.len(), 3);
    assert_eq!(client.flow().await.unwrap(), (Hash32::from([7; 32]), 4096));
    assert_eq!(client.sector_proof(1, None).await.unwrap().path, [true]);
    assert!(client.peers().await.unwrap_err().is_method_missing());
    assert_eq!(node.asked("zgs_uploadSegmentsByTxSeq"), 1);
}

/// A refusal keeps code, message and data.
#[tokio::test]
async fn refusals() {
    let (node, client, blob) = node_and_client().await;
    node.faults(|faults| faults.refuses = Some(text::FINALIZED));
    let error = client.put(&[blob.segment(0)]).await.unwrap_err();
    assert!(error.is_already_there());
    let Error::Refused(refusal) = error else {
        panic!("{error}");
    };
    assert_eq!(
        (refusal.code, &*refusal.message),
        (-32602, "Invalid params: root")
    );
    assert_eq!(refusal.reason(), text::FINALIZED);
    node.faults(|faults| faults.busy = 1);
    assert_eq!(
        client.chunk_of(4, 0).await.unwrap_err().class(),
        Class::Retry
    );
    node.faults(|faults| faults.http_429 = true);
    let error = client.status().await.unwrap_err();
    assert!(error.is_busy() && matches!(error, Error::Status(429)));
}

/// Time and bytes are bounded; a node that is gone is a passing thing.
#[tokio::test]
async fn bounds() {
    let (mut node, client, _) = node_and_client().await;
    let small = Settings {
        answer_len_max: 300_000,
        ..Settings::default()
    };
    let small = Client::new(&node.url, small).unwrap();
    let error = small.chunk_of(4, 0).await.unwrap_err();
    assert!(
        matches!(error, Error::TooLong { max: 300_000 }),
        "{error:?}"
    );
    assert!(small.status().await.is_ok());
    node.faults(|faults| faults.slow = Some(Duration::from_secs(3600)));
    let error = client
        .within(Duration::from_millis(50))
        .status()
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Retry);
    node.kill().await;
    let error = Client::new(&node.url, Settings::default())
        .unwrap()
        .status()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
}

/// Answers that are none, or to another question.
#[tokio::test]
async fn nonsense() {
    let (node, client, _) = node_and_client().await;
    for garbage in [
        "",
        "[]",
        "<html>",
        r#"{"result":1}"#,
        r#"{"id":"x","result":null}"#,
    ] {
        node.faults(|faults| faults.garbage = Some(garbage));
        let error = client.slice().await.unwrap_err();
        assert_eq!(error.class(), Class::Fatal, "{garbage}: {error:?}");
    }
    node.faults(|faults| faults.garbage = Some(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#));
    assert!(matches!(client.slice().await.unwrap_err(), Error::Stray));
}

/// What is no URL of a node is refused before anything is sent.
#[test]
fn urls() {
    for good in ["http://a:5678", "https://a.example/rpc", "http://[::1]:1"] {
        assert_eq!(Client::new(good, Settings::default()).unwrap().url(), good);
    }
    let long = format!("http://a/{}", "x".repeat(2000));
    for bad in [
        "",
        "a:5678",
        "ftp://a",
        "http://",
        "http://u:p@a",
        "file:///a",
        &long,
    ] {
        let error = Client::new(bad, Settings::default()).unwrap_err();
        assert!(matches!(error, Error::Url(_)), "{bad}");
    }
}
