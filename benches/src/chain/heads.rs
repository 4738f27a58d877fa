//! Blocks as they become visible: `eth_subscribe newHeads` over WebSocket, each with the moment at
//! which it came, and how many transactions it holds, by which the gate lets senders go on.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Error as Socket, Message, WebSocket};

use super::{
    gate::Gate,
    rpc::{self, Client, failed, refused},
};
use crate::error::Result;

/// How often the end is looked for where no block comes.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Time for the subscription.
const PATIENCE: Duration = Duration::from_secs(30);

/// A block as it came.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Its number.
    pub height: u64,
    /// When it came.
    pub at: Instant,
    /// How many transactions it holds.
    pub transactions: u64,
}

/// A subscription, on a thread of its own.
pub struct Heads {
    thread: JoinHandle<Result<Vec<Head>>>,
    stop: Arc<AtomicBool>,
}

impl Heads {
    /// Subscribes; every block from now on is heard. Closes the gate if the chain goes away.
    ///
    /// # Errors
    /// When the chain refuses.
    pub fn follow(address: SocketAddr, gate: Arc<Gate>) -> Result<Self> {
        let socket = subscribe(address)?;
        let counter = Client::connect(address)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("heads".to_owned())
            .spawn(move || {
                let followed = follow(socket, counter, &gate, &stopped);
                if followed.is_err() {
                    gate.close();
                }
                followed
            });
        Ok(Self {
            thread: thread.map_err(failed("start a thread"))?,
            stop,
        })
    }

    /// Ends, with all blocks that came.
    ///
    /// # Errors
    /// When the chain went away before.
    pub fn stop(self) -> Result<Vec<Head>> {
        self.stop.store(true, Relaxed);
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn subscribe(address: SocketAddr) -> Result<WebSocket<TcpStream>> {
    let connected = || {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    let stream = connected().map_err(failed("connect"))?;
    let (mut socket, _) = tungstenite::client(format!("ws://{address}/"), stream)
        .map_err(|error| refused(&format!("no WebSocket: {error}")))?;
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]});
    let sent = socket.send(Message::text(ask.to_string()));
    sent.map_err(|error| refused(&format!("eth_subscribe: {error}")))?;
    loop {
        let message = socket
            .read()
            .map_err(|error| refused(&format!("eth_subscribe: {error}")))?;
        let Message::Text(text) = message else {
            continue;
        };
        let answer = read(&text)?;
        match (answer["id"].as_u64(), answer["result"].is_string()) {
            (Some(1), true) => break,
            (Some(1), false) => return Err(refused(&format!("eth_subscribe: {text}"))),
            _ => {}
        }
    }
    let waits = socket.get_ref().set_read_timeout(Some(LOOK_EVERY));
    waits.map_err(failed("wait for blocks"))?;
    Ok(socket)
}

fn follow(
    mut socket: WebSocket<TcpStream>,
    mut counter: Client,
    gate: &Gate,
    stop: &AtomicBool,
) -> Result<Vec<Head>> {
    let mut heads = Vec::new();
    while !stop.load(Relaxed) {
        let message = match socket.read() {
            Ok(message) => message,
            Err(Socket::Io(error)) if is_early(error.kind()) => continue,
            Err(error) => return Err(refused(&format!("the subscription ended: {error}"))),
        };
        let at = Instant::now();
        let Message::Text(text) = message else {
            continue;
        };
        let event = read(&text)?;
        let Some(height) = rpc::number(&event["params"]["result"]["number"]) else {
            continue;
        };
        let params = json!([format!("{height:#x}")]);
        let transactions = counter.number("eth_getBlockTransactionCountByNumber", &params)?;
        gate.mined(transactions);
        heads.push(Head {
            height,
            at,
            transactions,
        });
    }
    Ok(heads)
}

/// What came over the socket. Without this a head that cannot be read would only be missed.
fn read(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| refused(&format!("the subscription: {error}: {text}")))
}

/// Nothing came in time; what has come of a message is kept for the next read.
fn is_early(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
