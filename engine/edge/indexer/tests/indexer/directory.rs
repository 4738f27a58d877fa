//! Nodes that come and go.

use std::time::Duration;

use lode_indexer::{Indexer, directory::AddError};

use crate::{
    node::Node,
    stack::{Stack, config, machine},
};

/// Starting waits for nobody: not for a node that is slow, nor for one that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn start_waits_for_nobody() {
    let slow = Node::start(0, 1).await;
    slow.faults(|faults| faults.slow = Some(Duration::from_secs(3600)));
    let mut gone = Node::start(0, 1).await;
    gone.kill().await;
    let mut config = config();
    config.nodes = vec![
        slow.url.clone(),
        gone.url.clone(),
        "http://192.0.2.1:1".to_owned(),
    ];
    let handle = Indexer::start(config, machine()).await.unwrap();
    let url = format!("http://{}/healthz", handle.address());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    assert!(handle.directory().trusted().is_empty());
    assert_eq!(handle.directory().known().len(), 3);
    handle.stop().await;
}

/// A node that dies is left out, and comes back by itself, with what it is then.
#[tokio::test(flavor = "multi_thread")]
async fn comes_back() {
    let mut stack = Stack::of(&[(0, 1), (0, 1)]).await;
    stack.nodes[0].kill().await;
    stack
        .until(|stack| stack.handle.directory().trusted().len() == 1)
        .await;
    let left = stack.handle.directory().trusted();
    assert_eq!(left[0].client.url(), stack.nodes[1].url);
    stack.nodes[0].inside.lock().unwrap().slice = lode_wire::Slice::new(1, 2).unwrap();
    stack.nodes[0].revive().await;
    stack
        .until(|stack| stack.handle.directory().trusted().len() == 2)
        .await;
    let back = &stack.handle.directory().trusted()[0];
    assert_eq!((back.report.slice.id(), back.report.slice.count()), (1, 2));
}

/// Nonsense, refusals and slices that do not exist are as good as silence.
#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_silence() {
    let stack = Stack::of(&[(0, 1)]).await;
    for garbage in [
        "",
        "{}",
        "[]",
        r#"{"jsonrpc":"2.0","id":0,"result":{"shardId":5,"numShard":3}}"#,
        r#"{"jsonrpc":"2.0","id":0,"result":null}"#,
    ] {
        stack.nodes[0].faults(|faults| faults.garbage = Some(garbage));
        stack
            .until(|stack| stack.handle.directory().trusted().is_empty())
            .await;
        stack.nodes[0].faults(|faults| faults.garbage = None);
        stack
            .until(|stack| stack.handle.directory().trusted().len() == 1)
            .await;
    }
    stack.nodes[0].faults(|faults| faults.http_429 = true);
    stack
        .until(|stack| stack.handle.directory().trusted().is_empty())
        .await;
}

/// Peers of a trusted node are asked too, and listed as discovered; those of another network are not,
/// and bad URLs do no harm.
#[tokio::test(flavor = "multi_thread")]
async fn peers_are_discovered() {
    let (peer, stranger) = (Node::start(0, 1).await, Node::start(0, 1).await);
    stranger.faults(|faults| faults.other_network = true);
    let trusted = Node::start(0, 1).await;
    let peers = [
        &peer.url,
        &stranger.url,
        &trusted.url,
        "file:///etc/passwd",
        "x",
    ];
    let peers = peers.map(|url| url.to_owned()).to_vec();
    trusted.inside.lock().unwrap().peers = Some(peers);
    let stack = Stack::over(vec![trusted], config()).await;
    stack
        .until(|stack| stack.handle.directory().discovered().len() == 1)
        .await;
    let found = stack.handle.directory().discovered();
    assert_eq!(found[0].client.url(), peer.url);
    assert_eq!(stack.handle.directory().known().len(), 3);
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(stack.handle.directory().discovered().len(), 1);
    }
    assert!(stranger.asked("zgs_getStatus") > 0);
}

/// A discovered node that stays silent is forgotten; a trusted one never is.
#[tokio::test(flavor = "multi_thread")]
async fn silent_discovered_nodes_are_forgotten() {
    let mut stack = Stack::of(&[(0, 1)]).await;
    let mut found = Node::start(0, 1).await;
    assert!(stack.handle.directory().add(&found.url).unwrap());
    assert!(
        !stack.handle.directory().add(&found.url).unwrap(),
        "it is known"
    );
    stack
        .until(|stack| stack.handle.directory().discovered().len() == 1)
        .await;
    found.kill().await;
    stack.nodes[0].kill().await;
    stack
        .until(|stack| stack.handle.directory().known().len() == 1)
        .await;
    let known = stack.handle.directory().known();
    assert_eq!(known[0].0.url(), stack.nodes[0].url);
}

/// There is an end to how many are taken in.
#[tokio::test(flavor = "multi_thread")]
async fn room_for_so_many() {
    let stack = Stack::of(&[]).await;
    for number in 0..lode_indexer::config::DISCOVERED_MAX {
        let url = format!("http://127.0.0.1:1/{number}");
        assert!(stack.handle.directory().add(&url).unwrap());
    }
    let more = stack.handle.directory().add("http://127.0.0.1:1/more");
    assert!(matches!(more, Err(AddError::Full(_))));
    let bad = stack.handle.directory().add("ftp://127.0.0.1/");
    assert!(matches!(bad, Err(AddError::Client(_))));
}

/// A configuration that cannot be is refused.
#[tokio::test(flavor = "multi_thread")]
async fn bad_configurations() {
    let mut odd = config();
    odd.nodes = vec!["not a URL".to_owned()];
    assert!(Indexer::start(odd, machine()).await.is_err());
    let mut odd = config();
    odd.origins = vec!["\n".to_owned()];
    assert!(Indexer::start(odd, machine()).await.is_err());
    let mut odd = config();
    odd.read_ahead = 1000;
    assert!(Indexer::start(odd, machine()).await.is_err());
}
