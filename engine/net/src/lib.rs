//! What networks of nodes have in common: who is who, who this node is, and how two of them meet.
//!
//! In reading order:
//! - [`address`]: names and where they listen
//! - [`identity`]: this node's key
//! - [`transport`]: the network between them

pub mod address;
pub mod identity;
pub mod transport;

pub use address::{AddressError, OthersError, PeerAddress, PeerKey, others};
pub use transport::Transport;
