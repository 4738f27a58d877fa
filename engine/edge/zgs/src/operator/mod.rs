//! The operator's face of 0G's storage RPC (0G wire, 3.2): `admin_*`. 0G's nodes answer whoever reaches
//! the port. Here there is no port unless the operator says so; a unix socket is for those whom the
//! file system lets at it, and a port of this machine asks for a word from a file. The servers that
//! strangers may ask do not know these methods.
//!
//! What it tells of other nodes is [`network`]'s, what it can do is in `ADMIN.md`.

mod methods;
pub mod network;
mod socket;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use jsonrpsee::RpcModule;
use tokio::{net::UnixListener, sync::watch};

use crate::{
    admission::Admission,
    config::Config,
    config::OperatorDoors,
    meter::Face,
    reception::{Http, Listener, Running},
    room::Room,
    rpc::Rpc,
    serve::reception,
    token::Token,
};

pub use methods::{Desk, module as methods_of};
use network::Network;

/// Bytes of a request, and connections at once: an operator asks short questions, one at a time.
const REQUEST_LEN_MAX: u32 = 64 << 10;
const CONNECTIONS_MAX: usize = 32;

/// Bytes of all requests and answers: a few of the longest answers, which list peers.
const IN_FLIGHT_MAX: u32 = 64 << 20;

/// The operator's servers. They end when this is dropped, or by [`Operator::stop`].
pub struct Operator {
    socket: Option<SocketPath>,
    address: Option<SocketAddr>,
    running: Vec<Running>,
    shutdown: watch::Receiver<bool>,
}

/// All methods, for those who want to call them without a server; and what turns true when the
/// operator wants the node to end.
#[must_use]
pub fn desk(
    room: &Arc<Room>,
    network: Arc<dyn Network>,
) -> (RpcModule<Desk>, watch::Receiver<bool>) {
    let (shutdown, asked) = watch::channel(false);
    let desk = Desk {
        room: Arc::clone(room),
        network,
        shutdown,
    };
    (methods_of(desk), asked)
}

/// Where the operator comes in, before anybody answers: what can go wrong has gone well.
pub struct Opened {
    port: Option<(Listener, SocketAddr, Arc<Token>)>,
    socket: Option<(UnixListener, SocketPath)>,
}

/// Opens the doors that the operator has chosen. `fresh` becomes the word of a port whose file is not
/// there yet: bytes that nobody can guess. Needs a tokio runtime. Who comes before [`Opened::serve`]
/// waits.
///
/// # Errors
/// When an address or a path cannot be had, the address is not of this machine, or the file of the
/// word is not the operator's alone.
pub async fn open(doors: &OperatorDoors, fresh: [u8; 32]) -> io::Result<Opened> {
    let mut opened = Opened {
        port: None,
        socket: None,
    };
    if let Some(port) = &doors.loopback {
        if !port.address.ip().is_loopback() {
            let message = format!("{} is not an address of this machine alone", port.address);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let token = Arc::new(Token::at(&port.token_file, fresh)?);
        let (listener, address) = Listener::tcp(port.address)?;
        opened.port = Some((listener, address, token));
    }
    if let Some(path) = &doors.socket {
        let listener = socket::bind(path).await?;
        opened.socket = Some((listener, SocketPath(path.clone())));
    }
    Ok(opened)
}

/// Opens the doors that [`Config::operator`] names, and serves at them.
///
/// # Errors
/// [`open`]'s.
pub async fn serve_operator(
    room: &Arc<Room>,
    network: Arc<dyn Network>,
    fresh: [u8; 32],
) -> io::Result<Operator> {
    open(&room.config.operator, fresh)
        .await?
        .serve(room, network)
}

impl Opened {
    /// Answers whoever comes in.
    ///
    /// # Errors
    /// None that is known: no origin may ask, and only an origin can be wrong.
    pub fn serve(self, room: &Arc<Room>, network: Arc<dyn Network>) -> io::Result<Operator> {
        let (methods, shutdown) = desk(room, network);
        let mut operator = Operator {
            socket: None,
            address: None,
            running: Vec::new(),
            shutdown,
        };
        let config = Config {
            request_len_max: REQUEST_LEN_MAX,
            ..room.config.clone()
        };
        let admission = Admission::new(IN_FLIGHT_MAX);
        let shared = (&admission, &room.meter, Face::Operator);
        let open = |rpc, listener| {
            let http = Http::one(config.head_time_max);
            reception(room, rpc, http, (Face::Operator, CONNECTIONS_MAX)).open(listener)
        };
        if let Some((listener, address, token)) = self.port {
            let rpc = Rpc::new(methods.clone(), &config, &[], shared, Some(token))?;
            operator.address = Some(address);
            operator.running.push(open(rpc, listener));
        }
        if let Some((listener, path)) = self.socket {
            let rpc = Rpc::new(methods, &config, &[], shared, None)?;
            operator.socket = Some(path);
            operator.running.push(open(rpc, Listener::Unix(listener)));
        }
        Ok(operator)
    }
}

impl Operator {
    /// The port, if there is one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The socket, if there is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_ref().map(|path| &*path.0)
    }

    /// Turns true when the operator wants the node to end (`admin_shutdown`). The answer to that call is
    /// written while [`Operator::stop`] waits.
    #[must_use]
    pub fn shutdown(&self) -> watch::Receiver<bool> {
        self.shutdown.clone()
    }

    /// Takes no more requests, and returns when those it has are answered.
    pub async fn stop(mut self) {
        for running in std::mem::take(&mut self.running) {
            running.stop().await;
        }
    }
}

/// A socket's file, which goes when this is dropped.
struct SocketPath(PathBuf);

impl Drop for SocketPath {
    fn drop(&mut self) {
        // If it is gone already, nobody misses it.
        let _gone = std::fs::remove_file(&self.0).is_err();
    }
}
