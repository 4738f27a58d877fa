//! Every row of 0G wire, 3.4, over HTTP.

use serde_json::{Value, json};

use crate::{
    blob::Blob,
    node::Node,
    stack::{Stack, config},
};

const UNMET: &str =
    "cannot select a subset from the returned nodes that meets the replication requirement";

fn urls(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter()
        .map(|node| node["url"].as_str().unwrap())
        .collect()
}

/// `indexer_getShardedNodes`: all nodes with their slices, times as numbers, and lists that are never
/// null.
#[tokio::test(flavor = "multi_thread")]
async fn get_sharded_nodes() {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let nodes = stack.result("indexer_getShardedNodes", json!([])).await;
    let want: Vec<&str> = stack.nodes.iter().map(|node| &*node.url).collect();
    assert_eq!(urls(&nodes["trusted"]), want);
    assert_eq!(nodes["discovered"], json!([]));
    assert_eq!(
        nodes["trusted"][1]["config"],
        json!({"shardId": 1, "numShard": 2})
    );
    assert!(nodes["trusted"][0]["latency"].is_i64() && nodes["trusted"][0]["since"].is_i64());
    let mut keys: Vec<_> = nodes["trusted"][0]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    // JSON says nothing of their order.
    keys.sort();
    assert_eq!(keys, ["config", "latency", "since", "url"]);
}

/// Nobody is there: empty lists, not null, and at once.
#[tokio::test(flavor = "multi_thread")]
async fn get_sharded_nodes_of_none() {
    let stack = Stack::of(&[]).await;
    let nodes = stack.result("indexer_getShardedNodes", json!([])).await;
    assert_eq!(nodes, json!({"trusted": [], "discovered": []}));
}

/// `indexer_getSelectedNodes`: methods, dropped nodes, and parameters as Go clients write them.
#[tokio::test(flavor = "multi_thread")]
async fn get_selected_nodes() {
    let stack = Stack::of(&[(0, 1), (0, 2), (1, 2), (0, 1)]).await;
    let url = |at: usize| &*stack.nodes[at].url;
    let select = async |params: Value| {
        let nodes = stack.result("indexer_getSelectedNodes", params).await;
        let mut found: Vec<String> = urls(&nodes["trusted"])
            .into_iter()
            .map(ToOwned::to_owned)
            .collect();
        found.sort();
        assert_eq!(nodes["discovered"], json!([]));
        found
    };
    assert_eq!(select(json!([1, "min", true, []])).await.len(), 1);
    let mut halves = vec![url(1).to_owned(), url(2).to_owned()];
    halves.sort();
    assert_eq!(select(json!([1, "max", true, []])).await, halves);
    assert_eq!(select(json!([1, "2", false, null])).await, halves);
    assert_eq!(select(json!([3, "random", true])).await.len(), 4);
    assert_eq!(select(json!([1, "min", true, [url(0)]])).await, [url(3)]);
    assert_eq!(
        select(json!([0, "min", true, []])).await,
        Vec::<String>::new()
    );
}

/// `indexer_getSelectedNodes`: the error's text is 0G's.
#[tokio::test(flavor = "multi_thread")]
async fn get_selected_nodes_that_do_not_suffice() {
    let stack = Stack::of(&[(0, 2), (0, 1)]).await;
    for params in [
        json!([2, "min", true, []]),
        json!([1, "2", true, []]),
        json!([1, "fastest", true, []]),
        json!([1, "min", true, [stack.nodes[1].url]]),
        json!([u64::MAX, "random", false, []]),
    ] {
        let answer = stack.rpc("indexer_getSelectedNodes", params.clone()).await;
        assert_eq!(answer["error"]["code"], -32000, "{params}");
        assert_eq!(answer["error"]["message"], UNMET, "{params}");
    }
    for params in [
        json!([]),
        json!(["1", "min"]),
        json!([-1, "min"]),
        json!([1]),
    ] {
        let answer = stack.rpc("indexer_getSelectedNodes", params.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{params}");
    }
}

/// `indexer_getSelectedNodes`: three fifths of the replicas from discovered nodes, if they suffice and
/// the client allows it.
#[tokio::test(flavor = "multi_thread")]
async fn get_selected_nodes_from_discovered_ones() {
    let stack = Stack::of(&[(0, 1), (0, 1)]).await;
    let found = Node::start(0, 1).await;
    assert!(stack.handle.directory().add(&found.url).unwrap());
    stack
        .until(|stack| stack.handle.directory().discovered().len() == 1)
        .await;
    let nodes = stack
        .result("indexer_getSelectedNodes", json!([2, "min", false, []]))
        .await;
    assert_eq!(urls(&nodes["discovered"]), [&found.url]);
    assert_eq!(urls(&nodes["trusted"]).len(), 1);
    let nodes = stack
        .result("indexer_getSelectedNodes", json!([2, "min", true, []]))
        .await;
    assert_eq!(nodes["discovered"], json!([]));
    assert_eq!(urls(&nodes["trusted"]).len(), 2);
    let answer = stack
        .rpc("indexer_getSelectedNodes", json!([5, "min", false, []]))
        .await;
    assert_eq!(
        answer["error"]["message"], UNMET,
        "one discovered node gives no three replicas"
    );
}

/// `indexer_getNodeLocations`: nothing unless the operator told it; then the nodes that are known.
#[tokio::test(flavor = "multi_thread")]
async fn get_node_locations() {
    let stack = Stack::of(&[(0, 1)]).await;
    assert_eq!(
        stack.result("indexer_getNodeLocations", json!([])).await,
        json!({})
    );
    let mut config = config();
    let place = json!({
        "city": "Bern", "region": "BE", "country": "CH", "loc": "46.9,7.4", "timezone": "Europe/Zurich",
    });
    for host in ["127.0.0.1", "10.0.0.1"] {
        let place = serde_json::from_value(place.clone()).unwrap();
        config.locations.insert(host.to_owned(), place);
    }
    let stack = Stack::with(&[(0, 1)], config).await;
    let found = stack.result("indexer_getNodeLocations", json!([])).await;
    assert_eq!(found, json!({"127.0.0.1": place}));
}

/// `indexer_getFileLocations`: all trusted nodes that have the blob, if they cover it.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_locations() {
    let stack = Stack::of(&[(0, 2), (1, 2), (0, 1)]).await;
    let blob = stack.keep(Blob::of(700_000, 1), 4, 1024);
    let found = stack
        .result("indexer_getFileLocations", json!([blob.root]))
        .await;
    assert_eq!(urls(&found).len(), 3);
    assert_eq!(found[0]["config"], json!({"shardId": 0, "numShard": 2}));
}

/// `indexer_getFileLocations`: null while nodes know the blob but do not have all of it.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_locations_of_what_is_not_all_there() {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let blob = std::sync::Arc::new(Blob::of(700_000, 1));
    let mut info = blob.info(4, 1024);
    stack.nodes[0].keep_as(&blob, info.clone());
    info.finalized = false;
    stack.nodes[1].keep_as(&blob, info);
    let found = stack
        .result("indexer_getFileLocations", json!([blob.root]))
        .await;
    assert_eq!(found, Value::Null);
}

/// `indexer_getFileLocations`: the error's text is 0G's; a root that is none is a bad parameter.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_locations_of_an_unknown_file() {
    let stack = Stack::of(&[(0, 1)]).await;
    let root = format!("0x{}", "12".repeat(32));
    let answer = stack.rpc("indexer_getFileLocations", json!([root])).await;
    assert_eq!(answer["error"]["code"], -32000);
    assert_eq!(answer["error"]["message"], "file not found");
    let answer = stack.rpc("indexer_getFileLocations", json!(["0x12"])).await;
    assert_eq!(answer["error"]["code"], -32602);
}

/// `indexer_getFileLocations`: discovered nodes fill in what the trusted ones lack, and each node counts
/// for the one submission that is spoken of.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_locations_with_discovered_nodes() {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let blob = std::sync::Arc::new(Blob::of(700_000, 1));
    stack.nodes[0].keep(&blob, 4, 1024);
    // The same blob, submitted again elsewhere: its slices fall on other chunks.
    stack.nodes[1].keep(&blob, 7, 2048);
    let ask = async || {
        stack
            .result("indexer_getFileLocations", json!([blob.root]))
            .await
    };
    assert_eq!(ask().await, Value::Null);
    let other = Node::start(1, 2).await;
    other.keep(&blob, 4, 1024);
    stack.handle.directory().add(&other.url).unwrap();
    stack
        .until(|stack| stack.handle.directory().discovered().len() == 1)
        .await;
    let found = ask().await;
    assert_eq!(urls(&found), [&stack.nodes[0].url, &other.url]);
    stack.nodes[1].keep(&blob, 4, 1024);
    assert_eq!(
        urls(&ask().await),
        [&stack.nodes[0].url, &stack.nodes[1].url]
    );
}

/// A node that has something else under the same number, after a fork of the chain, holds nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_locations_without_who_means_another_file() {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let blob = std::sync::Arc::new(Blob::of(700_000, 1));
    stack.nodes[0].keep(&blob, 4, 1024);
    let other = std::sync::Arc::new(Blob::of(700_000, 2));
    stack.nodes[1].keep(&other, 4, 1024);
    let found = stack
        .result("indexer_getFileLocations", json!([blob.root]))
        .await;
    assert_eq!(found, Value::Null);
}

/// A slow node does not slow an answer that the others suffice for, and is not in it.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_locations_waits_for_who_is_needed() {
    let mut config = config();
    config.ask_max = std::time::Duration::from_secs(3600);
    config.probe_pause = std::time::Duration::from_secs(3600);
    let stack = Stack::with(&[(0, 1), (0, 1)], config).await;
    let blob = stack.keep(Blob::of(3000, 1), 4, 1024);
    stack.nodes[0].faults(|faults| faults.slow = Some(std::time::Duration::from_secs(3000)));
    let found = stack
        .result("indexer_getFileLocations", json!([blob.root]))
        .await;
    assert_eq!(urls(&found), [&stack.nodes[1].url]);
}

/// Batches, unknown methods, and what is no JSON-RPC, by one connection that stays open.
#[tokio::test(flavor = "multi_thread")]
async fn batches() {
    let stack = Stack::of(&[(0, 1)]).await;
    let call =
        |id: u32, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": []});
    let batch = json!([
        call(7, "indexer_getShardedNodes"),
        call(8, "indexer_nothing")
    ]);
    let (status, answers) = stack.post("/", batch.to_string()).await;
    assert_eq!(status, 200);
    assert_eq!(answers[0]["id"], 7);
    assert_eq!(
        answers[0]["result"]["trusted"][0]["url"],
        stack.nodes[0].url
    );
    assert_eq!(answers[1]["error"]["code"], -32601);
    let many: Vec<Value> = (0..65)
        .map(|id| call(id, "indexer_getNodeLocations"))
        .collect();
    let (_, answer) = stack.post("/", json!(many).to_string()).await;
    assert_eq!(
        answer["error"]["code"], -32010,
        "more than may be in a batch"
    );
    let (_, answer) = stack.post("/", "{".to_owned()).await;
    assert_eq!(answer["error"]["code"], -32700);
    let (_, answer) = stack
        .post("/", call(1, "indexer_getNodeLocations").to_string())
        .await;
    assert_eq!(answer["result"], json!({}));
}
