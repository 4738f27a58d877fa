//! A store in memory, faces over it, and clients that know nothing of the crate: bytes over sockets.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lode_proofs::da::{Namespace, table::NAMESPACE_LEN};
use lode_rollup::{
    Bounds, Face, Listening, Machine, Memory, Meter, altda, altda::keccak_map::KeccakMap,
    disperser, memory, nitro, rest,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub const NAMESPACE: Namespace = Namespace([3; NAMESPACE_LEN]);

/// When it is, in unix seconds.
pub const NOW: u64 = 1_800_000_000;

pub struct World {
    pub memory: Memory,
    pub machine: Machine,
    pub now: Arc<AtomicU64>,
    pub meter: Meter,
    pub keccaks: Option<Arc<KeccakMap>>,
    pub folder: TempDir,
}

impl World {
    pub fn new() -> World {
        World::with(memory::Config {
            close_after: Duration::from_millis(5),
            ..memory::Config::default()
        })
    }

    pub fn with(config: memory::Config) -> World {
        let now = Arc::new(AtomicU64::new(NOW));
        let clock = Arc::clone(&now);
        let machine = Machine::new(move || Duration::from_secs(clock.load(Relaxed)), [9; 32]);
        let mut world = World {
            memory: Memory::start(config, machine.clone()),
            machine,
            now,
            meter: Meter::default(),
            keccaks: None,
            folder: TempDir::new().unwrap(),
        };
        world.reopen();
        world
    }

    /// As after a restart: what is not on disk is gone.
    pub fn reopen(&mut self) {
        self.keccaks = None;
        // The last clone of the old map goes with the last connection of the old server.
        let map = loop {
            match KeccakMap::open(self.folder.path(), self.now.load(Relaxed)) {
                Ok(map) => break map,
                Err(error) if error.to_string().contains("Locked") => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        };
        self.keccaks = Some(Arc::new(map));
    }

    pub fn altda_face(&self, bounds: Bounds, most: Duration) -> Face {
        let mut terms = altda::terms(NAMESPACE);
        terms.most = most;
        let keccaks = self.keccaks.clone().unwrap();
        altda::face(self.memory.clone(), terms, keccaks, bounds, &self.meter)
    }

    pub fn altda(&self) -> Listening {
        open(self.altda_face(altda::bounds(), Duration::from_secs(30)))
    }

    pub fn nitro_face(&self, config: nitro::Config, bounds: Bounds) -> Face {
        nitro::face(
            self.memory.clone(),
            config,
            bounds,
            &self.machine,
            &self.meter,
        )
    }

    pub fn nitro(&self) -> Listening {
        open(self.nitro_face(nitro::Config::new(NAMESPACE), nitro::bounds()))
    }

    pub fn rest(&self) -> Listening {
        open(rest::face(self.memory.clone(), rest::bounds(), &self.meter))
    }

    pub async fn disperser(&self) -> Listening {
        let terms = altda::terms(NAMESPACE);
        let face = disperser::face(
            self.memory.clone(),
            terms.namespace,
            disperser::bounds(),
            &self.meter,
        );
        open(face.await.unwrap())
    }
}

pub fn open(face: Face) -> Listening {
    face.open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .unwrap()
}

/// Bytes that differ from those of another seed.
pub fn blob(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head
            .lines()
            .find(|line| line.to_lowercase().starts_with(&prefix))
            .map(|line| &line[prefix.len()..])
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// One request on a connection of its own.
pub async fn http(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Answer {
    http_with(address, method, path, "", body).await
}

/// The same with more lines of head, each with its end.
pub async fn http_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    more: &str,
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let len = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that has said no does not read on.
    let _sent = stream.write_all(body).await;
    answer(&mut stream).await
}

/// Reads until the end of the connection.
pub async fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 65_536];
    // One that resets the connection behind its answer has answered.
    while let Ok(len) = stream.read(&mut piece).await {
        if len == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..len]);
    }
    parse(&bytes)
}

pub fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

/// A JSON-RPC call; the result, or the text of the error.
pub async fn call(
    address: SocketAddr,
    method: &str,
    params: serde_json::Value,
) -> Result<serde_json::Value, String> {
    call_with(address, "", method, params).await
}

pub async fn call_with(
    address: SocketAddr,
    more: &str,
    method: &str,
    params: serde_json::Value,
) -> Result<serde_json::Value, String> {
    let request =
        serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let more = format!("content-type: application/json\r\n{more}");
    let body = request.to_string();
    let answer = http_with(address, "POST", "/", &more, body.as_bytes()).await;
    if answer.status != 200 {
        return Err(format!("{} {}", answer.status, answer.text()));
    }
    let answer = answer.json();
    match answer.get("error") {
        Some(error) => Err(error["message"].as_str().unwrap().to_owned()),
        None => Ok(answer["result"].clone()),
    }
}

/// What a gRPC call gave: the message's bytes, or the status.
#[derive(Debug, PartialEq, Eq)]
pub struct Grpc {
    pub code: String,
    pub text: String,
    pub message: Option<Vec<u8>>,
}

/// A unary call with these bytes as its message.
pub async fn grpc(address: SocketAddr, path: &str, message: &[u8]) -> Grpc {
    let stream = TcpStream::connect(address).await.unwrap();
    // As all clients of gRPC do: windows are opened by small frames.
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1 << 24)
        .initial_connection_window_size(1 << 24)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut body = BytesMut::new();
    body.extend_from_slice(&[0]);
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(message);
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body.freeze()))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let head = response.headers().clone();
    let whole = response.into_body().collect().await.unwrap();
    let trailers = whole.trailers().cloned().unwrap_or(head);
    let text = |name: &str| {
        let value = trailers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default().to_owned()
    };
    let bytes: Bytes = whole.to_bytes();
    let message = (!bytes.is_empty()).then(|| {
        let len = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
        assert_eq!(bytes.len(), 5 + usize::try_from(len).unwrap());
        bytes[5..].to_vec()
    });
    Grpc {
        code: text("grpc-status"),
        // Other characters than these are percent-encoded (gRPC over HTTP/2, "Responses").
        text: text("grpc-message").replace("%20", " "),
        message,
    }
}
