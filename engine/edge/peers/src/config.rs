//! How a storage node speaks to others, as it is written down.

use std::{net::SocketAddr, path::PathBuf};

pub use lode_net::{AddressError, PeerAddress, PeerKey};

/// How a node speaks to others.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the node's identity, `peers.key`, which is made if there is none.
    pub dir: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The other nodes, [`crate::bounds::PEERS_MAX`] at most. Both ends of a connection need each other
    /// here. The node itself may be among them, so that all may have one list.
    pub peers: Vec<PeerAddress>,
    /// The chain that orders the flow.
    pub chain_id: u64,
    /// The contract that orders the flow. Nodes of another flow do not get past the handshake.
    pub flow: [u8; 20],
    /// Bytes a second that each of the others gets at most; at least 1.
    pub serve_rate: u64,
    /// Threads; at least 1. One checks about 300 MB of chunks a second.
    pub threads: usize,
}

/// [`Config::serve_rate`] of one who has no wish: half of a gigabit line.
pub const SERVE_RATE: u64 = 64 << 20;

impl Config {
    /// What handshakes are bound to.
    pub(crate) fn namespace(&self) -> Vec<u8> {
        [NAMESPACE, &self.chain_id.to_be_bytes(), &self.flow].concat()
    }
}

const NAMESPACE: &[u8] = b"LODE_PEERS_1";

#[cfg(test)]
mod tests {
    use super::*;

    /// Another chain or another flow is another network.
    #[test]
    fn names_the_network() {
        let config = Config {
            dir: PathBuf::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            peers: Vec::new(),
            chain_id: 1,
            flow: [7; 20],
            serve_rate: SERVE_RATE,
            threads: 1,
        };
        let chain = Config {
            chain_id: 2,
            ..config.clone()
        };
        let flow = Config {
            flow: [8; 20],
            ..config.clone()
        };
        assert_ne!(config.namespace(), chain.namespace());
        assert_ne!(config.namespace(), flow.namespace());
    }
}
