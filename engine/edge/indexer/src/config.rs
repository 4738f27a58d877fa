//! What an operator may choose, and the bounds of all that callers may ask for.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use serde::{Deserialize, Serialize};

/// Choices and bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// URLs of the storage nodes that the operator trusts. Those that do not answer are left out
    /// until they do. At most [`TRUSTED_MAX`].
    pub nodes: Vec<String>,
    /// Where JSON-RPC and REST are served. Port 0 takes a free one. Default: loopback, 12345 as 0G's.
    pub listen: SocketAddr,
    /// Web pages that may ask, by origin; `*` stands for all. Default: all, as 0G's gateway.
    pub origins: Vec<String>,
    /// Where nodes are, by host, for `indexer_getNodeLocations`. Default: none. No outside service is
    /// asked.
    pub locations: BTreeMap<String, Location>,
    /// Pause between two questions to a node that answers. Default: 5 s.
    pub probe_pause: Duration,
    /// Longest pause between two questions to a node that does not. Default: 1 min.
    pub probe_pause_max: Duration,
    /// Time that a node has for a small answer. Default: 3 s.
    pub ask_max: Duration,
    /// Time that a node has for one chunk. Default: 10 s: 26 kB/s, below which another one is faster.
    pub chunk_max: Duration,
    /// Chunks that are fetched before the client took the one that is being sent. Default: 4, enough to
    /// hide a round trip of 20 ms at 50 MB/s.
    pub read_ahead: usize,
    /// Downloads at once; further ones are refused. Default: 64, which is 96 MiB of chunks.
    pub downloads_max: usize,
    /// Time in which a client must take one chunk. Default: 60 s, 4.3 kB/s.
    pub client_chunk_max: Duration,
    /// Requests that are being answered at once, downloads under way apart. Default: 128.
    pub requests_max: usize,
    /// Time that a request waits for its turn, then is refused. Default: 2 s.
    pub wait_max: Duration,
    /// Time that a request has until its answer begins, its own body included. Default: 30 s.
    pub request_max: Duration,
    /// Time in which the head of a request must be there, from the moment that the connection is open
    /// or idle. Default: 30 s.
    pub head_max: Duration,
    /// Time in which the client must take something of an answer. Default: 30 s.
    pub write_max: Duration,
    /// Connections at once; further ones are refused. Default: 1024.
    pub connections_max: usize,
    /// Bytes of a JSON-RPC request. Default: 1 MiB.
    pub rpc_len_max: u32,
    /// Requests in a JSON-RPC batch. Default: 64.
    pub batch_max: u32,
    /// Bytes of a folder's metadata, which is read as a whole. Default: 16 MiB, about 100,000 entries.
    pub folder_len_max: u64,
    /// Folders that are read at once. Default: 4, since parsing takes several times the bytes.
    pub folders_max: usize,
    /// Time that connections have to end when the service stops. Default: 10 s.
    pub stop_max: Duration,
}

/// Nodes that an operator names: all are asked about each blob that is looked for.
pub const TRUSTED_MAX: usize = 256;
/// Nodes that others name: they are asked when the trusted ones do not hold all of a blob.
pub const DISCOVERED_MAX: usize = 1024;
/// Read-ahead beyond which more only takes memory.
pub const READ_AHEAD_MAX: usize = 64;

/// Where a node is (0G wire, 3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// City.
    #[serde(default)]
    pub city: String,
    /// Region.
    #[serde(default)]
    pub region: String,
    /// Country, two letters.
    #[serde(default)]
    pub country: String,
    /// Latitude and longitude, with a comma between them.
    #[serde(default)]
    pub loc: String,
    /// Time zone, as in the IANA's data base.
    #[serde(default)]
    pub timezone: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            nodes: Vec::new(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 12_345)),
            origins: vec!["*".to_owned()],
            locations: BTreeMap::new(),
            probe_pause: Duration::from_secs(5),
            probe_pause_max: Duration::from_secs(60),
            ask_max: Duration::from_secs(3),
            chunk_max: Duration::from_secs(10),
            read_ahead: 4,
            downloads_max: 64,
            client_chunk_max: Duration::from_secs(60),
            requests_max: 128,
            wait_max: Duration::from_secs(2),
            request_max: Duration::from_secs(30),
            head_max: Duration::from_secs(30),
            write_max: Duration::from_secs(30),
            connections_max: 1024,
            rpc_len_max: 1 << 20,
            batch_max: 64,
            folder_len_max: 16 << 20,
            folders_max: 4,
            stop_max: Duration::from_secs(10),
        }
    }
}
