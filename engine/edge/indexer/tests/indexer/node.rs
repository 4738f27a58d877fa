//! A storage node that answers as 0G's do (0G wire, 3.1), from memory, and misbehaves when told to.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use bytes::Bytes as Data;
use lode_proofs::Hash32;
use lode_wire::{FileInfo, Segment, Slice, text};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::blob::Blob;

/// A submission, as far as this node is.
#[derive(Clone)]
pub struct Kept {
    pub blob: Arc<Blob>,
    pub info: FileInfo,
}

/// Ways to misbehave.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// All answers take this long.
    pub slow: Option<Duration>,
    /// Chunks take this long.
    pub slow_chunks: Option<Duration>,
    /// A byte of each chunk is another one.
    pub lying_bytes: bool,
    /// A hash of each proof is another one.
    pub wrong_proof: bool,
    /// Chunks are of another blob or place than they were asked for.
    pub other_chunk: bool,
    /// Chunks are null.
    pub no_chunks: bool,
    /// Chunks and writes are refused so many times, for want of time.
    pub busy: u32,
    /// HTTP 429 to all.
    pub http_429: bool,
    /// After as many chunks the node is gone.
    pub dies_after: Option<u32>,
    /// Answers are this text.
    pub garbage: Option<&'static str>,
    /// Another network.
    pub other_network: bool,
    /// Refuses all writes with this text.
    pub refuses: Option<&'static str>,
}

/// What a node is made of.
pub struct Inside {
    pub slice: Slice,
    pub kept: Vec<Kept>,
    pub faults: Faults,
    pub peers: Option<Vec<String>>,
    pub asked: BTreeMap<String, u32>,
    pub written: Vec<(u64, Segment)>,
    pub height: u64,
    pub next_seq: u64,
    pub connected: u64,
}

/// A node that listens.
pub struct Node {
    pub url: String,
    pub inside: Arc<Mutex<Inside>>,
    address: SocketAddr,
    task: Option<JoinHandle<()>>,
}

type Refusal = (i64, &'static str, String);

impl Node {
    /// With slice `id` of `count`, and nothing in it.
    pub async fn start(id: u64, count: u64) -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Arc::new(Mutex::new(Inside {
            slice: Slice::new(id, count).unwrap(),
            kept: Vec::new(),
            faults: Faults::default(),
            peers: None,
            asked: BTreeMap::new(),
            written: Vec::new(),
            height: 100,
            next_seq: 10,
            connected: 3,
        }));
        let mut node = Node {
            url: format!("http://{address}"),
            inside,
            address,
            task: None,
        };
        node.serve(listener);
        node
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new()
            .route("/", post(answer))
            .with_state(Arc::clone(&self.inside))
            .layer(axum::extract::DefaultBodyLimit::max(64 << 20));
        let serve = axum::serve(listener, router);
        self.task = Some(tokio::spawn(async move { serve.await.unwrap() }));
    }

    /// It is gone: nobody listens any more.
    pub async fn kill(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await;
        // Connections that are open live in tasks of their own; they hear nothing sensible any more.
        self.faults(|faults| faults.garbage = Some(""));
    }

    /// It is back, at the same address.
    pub async fn revive(&mut self) {
        self.faults(|faults| faults.garbage = None);
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        self.serve(listener);
    }

    /// Takes a submission in, finalized.
    pub fn keep(&self, blob: &Arc<Blob>, seq: u64, start: u64) {
        let info = blob.info(seq, start);
        self.keep_as(blob, info);
    }

    pub fn keep_as(&self, blob: &Arc<Blob>, info: FileInfo) {
        let blob = Arc::clone(blob);
        self.inside.lock().unwrap().kept.push(Kept { blob, info });
    }

    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.inside.lock().unwrap().faults);
    }

    /// How often a method was asked for.
    pub fn asked(&self, method: &str) -> u32 {
        let inside = self.inside.lock().unwrap();
        inside.asked.get(method).copied().unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn answer(
    State(inside): State<Arc<Mutex<Inside>>>,
    body: Bytes,
) -> Result<String, StatusCode> {
    let question: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(question["jsonrpc"], "2.0");
    assert!(question["params"].is_array(), "parameters go by position");
    let method = question["method"].as_str().unwrap().to_owned();
    let chunk = method.starts_with("zgs_downloadSegmentWithProof");
    let faults = {
        let mut inside = inside.lock().unwrap();
        *inside.asked.entry(method.clone()).or_default() += 1;
        inside.faults.clone()
    };
    if let Some(pause) = faults.slow.or(faults.slow_chunks.filter(|_| chunk)) {
        tokio::time::sleep(pause).await;
    }
    if faults.http_429 {
        return Err(StatusCode::TOO_MANY_REQUESTS);
    }
    if let Some(garbage) = faults.garbage {
        return Ok(garbage.to_owned());
    }
    let mut inside = inside.lock().unwrap();
    let result = inside.call(&method, &question["params"]);
    let id = question["id"].clone();
    let answer = match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err((code, message, data)) => {
            let error = json!({"code": code, "message": message, "data": data});
            json!({"jsonrpc": "2.0", "id": id, "error": error})
        }
    };
    Ok(answer.to_string())
}

fn arg<T: DeserializeOwned>(params: &Value, at: usize) -> T {
    serde_json::from_value(params[at].clone()).unwrap()
}

impl Inside {
    fn call(&mut self, method: &str, params: &Value) -> Result<Value, Refusal> {
        let value = match method {
            "zgs_getStatus" => self.status(),
            "zgs_getShardConfig" => json!(self.slice),
            "zgs_getFileInfo" => json!(
                self.by_root(arg(params, 0), arg(params, 1))
                    .map(|kept| kept.info)
            ),
            "zgs_getFileInfoByTxSeq" => json!(self.by_seq(arg(params, 0)).map(|kept| kept.info)),
            "zgs_checkFileFinalized" => {
                let kept = match params[0].as_u64() {
                    Some(seq) => self.by_seq(seq),
                    None => self.by_root(arg(params, 0), false),
                };
                json!(kept.map(|kept| kept.info.finalized))
            }
            "zgs_downloadSegment" => self.sectors(self.by_root(arg(params, 0), true), params),
            "zgs_downloadSegmentByTxSeq" => self.sectors(self.by_seq(arg(params, 0)), params),
            "zgs_downloadSegmentWithProof" => {
                let kept = self.by_root(arg(params, 0), true);
                self.chunk(kept, arg(params, 1))?
            }
            "zgs_downloadSegmentWithProofByTxSeq" => {
                let kept = self.by_seq(arg(params, 0));
                self.chunk(kept, arg(params, 1))?
            }
            "zgs_uploadSegments" => self.write(arg(params, 0), None)?,
            "zgs_uploadSegmentsByTxSeq" => self.write(arg(params, 0), Some(arg(params, 1)))?,
            "zgs_getFlowContext" => json!([Hash32::from([7; 32]), 4096]),
            "zgs_getSectorProof" => json!({"lemma": [Hash32::from([1; 32])], "path": [true]}),
            "lode_getPeers" if self.peers.is_some() => json!(self.peers),
            _ => return Err((-32601, "Method not found", String::new())),
        };
        Ok(value)
    }

    fn status(&self) -> Value {
        let flow = if self.faults.other_network {
            "0x22"
        } else {
            "0x11"
        };
        json!({
            "connectedPeers": self.connected,
            "logSyncHeight": self.height,
            "logSyncBlock": Hash32::from([self.height as u8; 32]),
            "nextTxSeq": self.next_seq,
            "networkIdentity": {
                "chainId": 31337,
                "flowAddress": flow,
                "p2pProtocolVersion": {"major": 0, "minor": 4, "build": 0},
            },
        })
    }

    fn by_seq(&self, seq: u64) -> Option<Kept> {
        self.kept
            .iter()
            .find(|kept| kept.info.tx.seq == seq)
            .cloned()
    }

    /// 0G wire, 3.1: `needAvailable`.
    fn by_root(&self, root: Hash32, available: bool) -> Option<Kept> {
        let those = || self.kept.iter().filter(|kept| kept.blob.root == root);
        let next = || those().find(|kept| !(available && kept.info.pruned));
        those()
            .find(|kept| kept.info.finalized)
            .or_else(next)
            .cloned()
    }

    fn sectors(&self, kept: Option<Kept>, params: &Value) -> Value {
        let (start, end): (u64, u64) = (arg(params, 1), arg(params, 2));
        let Some(kept) = kept else { return Value::Null };
        let segment = kept.blob.segment(start / 1024);
        let from = (start % 1024) as usize * 256;
        let data = segment
            .data
            .slice(from..from + (end - start) as usize * 256);
        json!(lode_wire::segment::Sectors(data))
    }

    fn chunk(&mut self, kept: Option<Kept>, index: u64) -> Result<Value, Refusal> {
        if let Some(left) = &mut self.faults.dies_after {
            if *left == 0 {
                self.faults.http_429 = true;
                self.faults.slow = Some(Duration::from_secs(3600));
                return Err((-32000, "dying", String::new()));
            }
            *left -= 1;
        }
        self.breathe()?;
        let Some(kept) = kept.filter(|kept| kept.info.finalized) else {
            return Ok(Value::Null);
        };
        let here = self.slice.keeps(kept.info.tx.start_entry_index, index);
        if !here || self.faults.no_chunks || index >= kept.blob.shape.chunks() {
            return Ok(Value::Null);
        }
        let mut segment = match self.faults.other_chunk {
            true => kept.blob.segment((index + 1) % kept.blob.shape.chunks()),
            false => kept.blob.segment(index),
        };
        if self.faults.lying_bytes {
            let mut data = segment.data.to_vec();
            data[5] ^= 1;
            segment.data = Data::from(data);
        }
        if self.faults.wrong_proof {
            segment.proof.lemma[0] = Hash32::from([9; 32]);
        }
        Ok(json!(segment))
    }

    /// Refuses as a node with too much to do.
    fn breathe(&mut self) -> Result<(), Refusal> {
        match self.faults.busy {
            0 => Ok(()),
            _ => {
                self.faults.busy -= 1;
                Err((-32603, "Internal error", format!("{}16", text::TOO_MANY)))
            }
        }
    }

    fn write(&mut self, chunks: Vec<Segment>, seq: Option<u64>) -> Result<Value, Refusal> {
        self.breathe()?;
        if let Some(why) = self.faults.refuses {
            return Err((-32602, "Invalid params: root", why.to_owned()));
        }
        for chunk in chunks {
            self.written.push((seq.unwrap_or(u64::MAX), chunk));
        }
        Ok(Value::Null)
    }
}
