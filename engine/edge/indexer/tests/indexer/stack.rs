//! Nodes and an indexer over them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lode_indexer::{Config, Handle, Indexer, Machine};
use serde_json::{Value, json};

use crate::{blob::Blob, node::Node};

/// An indexer, the nodes that it trusts, and a client.
pub struct Stack {
    pub nodes: Vec<Node>,
    pub handle: Handle,
    pub http: reqwest::Client,
}

/// As in production, but quick to notice.
pub fn config() -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        probe_pause: Duration::from_millis(50),
        probe_pause_max: Duration::from_millis(100),
        ask_max: Duration::from_secs(2),
        chunk_max: Duration::from_secs(2),
        ..Config::default()
    }
}

pub fn machine() -> Machine {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Machine::new(clock, 1)
}

impl Stack {
    /// Over nodes of these slices, all of which answer.
    pub async fn of(slices: &[(u64, u64)]) -> Stack {
        Stack::with(slices, config()).await
    }

    pub async fn with(slices: &[(u64, u64)], config: Config) -> Stack {
        let mut nodes = Vec::new();
        for (id, count) in slices {
            nodes.push(Node::start(*id, *count).await);
        }
        Stack::over(nodes, config).await
    }

    pub async fn over(nodes: Vec<Node>, mut config: Config) -> Stack {
        config.nodes = nodes.iter().map(|node| node.url.clone()).collect();
        let handle = Indexer::start(config, machine()).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let stack = Stack {
            nodes,
            handle,
            http,
        };
        let all = stack.nodes.len();
        stack
            .until(|stack| stack.handle.directory().trusted().len() == all)
            .await;
        stack
    }

    /// Waits until something is so.
    pub async fn until(&self, is_so: impl Fn(&Stack) -> bool) {
        for _ in 0..3000 {
            if is_so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never came to be so");
    }

    /// Puts a blob onto all nodes, as submission `seq` at sector `start`.
    pub fn keep(&self, blob: Blob, seq: u64, start: u64) -> Arc<Blob> {
        let blob = Arc::new(blob);
        for node in &self.nodes {
            node.keep(&blob, seq, start);
        }
        blob
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.handle.address())
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    pub async fn bytes(&self, path: &str) -> bytes::Bytes {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.bytes().await.unwrap()
    }

    pub async fn range(&self, path: &str, range: &str) -> reqwest::Response {
        let request = self.http.get(self.url(path)).header("range", range);
        request.send().await.unwrap()
    }

    /// Status and envelope.
    pub async fn said(&self, path: &str) -> (u16, Value) {
        let response = self.get(path).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Data of a success.
    pub async fn data(&self, path: &str) -> Value {
        let (status, mut said) = self.said(path).await;
        assert_eq!((status, &said["code"]), (200, &json!(0)), "{said}");
        assert_eq!(said["message"], "Success");
        said["data"].take()
    }

    /// The whole answer to a JSON-RPC request.
    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post("/", body.to_string()).await.1
    }

    /// Result of a JSON-RPC request.
    pub async fn result(&self, method: &str, params: Value) -> Value {
        let mut answer = self.rpc(method, params).await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].take()
    }

    pub async fn post(&self, path: &str, body: String) -> (u16, Value) {
        let request = self.http.post(self.url(path)).body(body);
        let request = request.header("content-type", "application/json");
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}
