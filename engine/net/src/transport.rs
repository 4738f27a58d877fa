//! The network between nodes: only those that are known connect, each proves its key, and all is encrypted.
//! Lookup and not discovery: who they are is somebody's word, and nobody can bring in others.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use commonware_cryptography::{ChaCha20Poly1305, ed25519::PrivateKey};
use commonware_p2p::authenticated::lookup;
use commonware_runtime::Quota;
use commonware_stream::{
    SakeCups,
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZU32, NZUsize};

/// How two nodes meet.
pub type Handshake = SakeCups<PrivateKey, ChaCha20Poly1305>;

/// How far clocks of two nodes may be apart.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(10);

/// What differs from network to network.
pub struct Transport {
    /// The node's key.
    pub signer: PrivateKey,
    /// What handshakes are bound to: nodes of another network do not get past them.
    pub namespace: Vec<u8>,
    /// Where the node listens.
    pub listen: SocketAddr,
    /// Nodes that there may be, this one among them.
    pub nodes: NonZeroUsize,
    /// Bytes of a message.
    pub message_len_max: usize,
    /// Messages that wait for each part of the network, and for each peer; not 0.
    pub mailbox_len: usize,
    /// How long a liar is not spoken to.
    pub block: Duration,
}

impl Transport {
    /// As the network takes it.
    ///
    /// # Panics
    /// If messages have no bound of 32 bits, or mailboxes no length.
    #[must_use]
    pub fn config(self) -> lookup::Config<Handshake> {
        let handshake = Cups::new(
            Sake {
                signer: self.signer,
                synchrony_bound: CLOCKS_APART_MAX,
                max_handshake_age: CLOCKS_APART_MAX,
                version: sake::Version::V1,
            },
            cups::Version::V1,
        );
        lookup::Config {
            handshake,
            namespace: self.namespace,
            listen: self.listen,
            allow_private_ips: true,
            allow_dns: true,
            // A peer proves its key; where it comes from may be another address than where it listens.
            bypass_ip_check: true,
            max_message_size: u32::try_from(self.message_len_max).expect("32 bits"),
            max_peers_per_set: self.nodes,
            mailbox_size: NonZeroUsize::new(self.mailbox_len).expect("not 0"),
            send_batch_size: NZUsize!(8),
            handshake_timeout: Duration::from_secs(5),
            dial_timeout: Duration::from_secs(5),
            peer_connection_cooldown: Duration::from_secs(1),
            max_concurrent_handshakes: NZU32!(128),
            // Several nodes may stand behind one address.
            allowed_handshake_rate_per_ip: Quota::per_second(NZU32!(16)),
            allowed_handshake_rate_per_subnet: Quota::per_second(NZU32!(64)),
            ping_frequency: Duration::from_secs(10),
            dial_frequency: Duration::from_millis(500),
            tracked_peer_sets: NZUsize!(1),
            block_duration: self.block,
        }
    }
}
