//! What an operator may choose, and the bounds of all that strangers may ask for.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use lode_wire::NetworkIdentity;

/// Choices and bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where HTTP is served. Port 0 takes a free one.
    pub address: SocketAddr,
    /// Where gRPC is served, if it is (0G's nodes: port 50051). Port 0 takes a free one.
    pub grpc: Option<SocketAddr>,
    /// Where the operator is answered. Without a word of the operator's, nowhere.
    pub operator: OperatorDoors,
    /// Web pages that may ask, by origin; `*` stands for all. None: pages may not.
    pub origins: Vec<String>,
    /// The network that the node is of.
    pub identity: NetworkIdentity,
    /// Bytes of a request; 0G's nodes take 100 MB (0G wire, 3.1).
    pub request_len_max: u32,
    /// Bytes of requests that are being read and answered, all together. Beyond it requests wait in
    /// their connections, unread. In memory each takes about twice its bytes while it is decoded.
    pub in_flight_max: u32,
    /// Bytes of an answer; that of 0G's nodes is the same. A batch gets one answer.
    pub answer_len_max: u32,
    /// Requests in a batch.
    pub batch_max: u32,
    /// Connections at once. Clients of 0G open one for each chunk of a file.
    pub connections_max: usize,
    /// Time that a request may take to arrive and be answered, and its answer to be fetched.
    pub time_max: Duration,
    /// Time that the head of a request may take, and an idle connection may wait for it.
    pub head_time_max: Duration,
    /// Bytes of a blob whose chunks are kept before the chain knows it (0G wire, 3.1: 10 MiB).
    pub cached_blob_max: u64,
    /// Bytes of all such chunks.
    pub cache_len: u64,
    /// How long they are kept.
    pub cache_time: Duration,
}

impl Config {
    /// The defaults, for a network.
    #[must_use]
    pub fn new(identity: NetworkIdentity) -> Config {
        Config {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 5678)),
            origins: Vec::new(),
            grpc: None,
            operator: OperatorDoors::default(),
            identity,
            request_len_max: 100 << 20,
            in_flight_max: 128 << 20,
            answer_len_max: 10 << 20,
            batch_max: 256,
            connections_max: 8_192,
            time_max: Duration::from_secs(60),
            head_time_max: Duration::from_secs(30),
            cached_blob_max: 10 << 20,
            cache_len: 256 << 20,
            cache_time: Duration::from_secs(300),
        }
    }
}

/// Where the operator's own methods are answered (0G wire, 3.2). 0G's nodes ask nobody who they are;
/// here the file system says who may, or a word that only the operator can read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorDoors {
    /// A unix socket of this path, mode 0600.
    pub socket: Option<PathBuf>,
    /// A port of this machine.
    pub loopback: Option<Loopback>,
}

/// A port that asks for a word: `Authorization: Bearer WORD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loopback {
    /// An address of the loopback interface; any other is refused. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The file that the word is in, mode 0600; made if it is not there.
    pub token_file: PathBuf,
}
