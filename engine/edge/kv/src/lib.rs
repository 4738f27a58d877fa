//! A key-value node: streams of transactions in the flow, replayed into a store, and the interface by
//! which 0G's clients read them (0G wire, 3.3).
//!
//! ```text
//!  storage node ──► feed ──► replay ──► judge ──► store ◄── rpc ◄── clients
//!    (proofs)      order,     what       what      all
//!                  bytes     waits    is allowed  versions
//! ```
//! Promises: what a stream holds follows from the flow and its bytes alone; a transaction is there whole
//! or not at all, and survives power loss once its result is told; no byte is believed without its
//! proof; a transaction whose bytes are missing holds up its own streams and no other.
//!
//! In reading order:
//! - [`account`], [`stream`]: the format of transactions
//! - [`feed`], [`node_feed`]: where submissions and bytes come from; [`dial`]: connections, behind TLS or not
//! - [`verdict`], [`judge`]: what a transaction does, or why it does nothing
//! - [`store`]: values and permissions, with all their versions
//! - [`replay`]: which transaction is decided when; agreement, waiting, undoing
//! - [`sealed`]: transactions that are encrypted
//! - [`register`], [`rpc`]: the interface
//! - [`kv`]: all of it together
//!
//! "0G wire" is the protocol as its public clients and nodes speak it.

mod hex;

pub mod account;
pub mod stream;

pub mod dial;
pub mod feed;
pub mod node_feed;

pub mod judge;
pub mod verdict;

pub mod store;

mod blob;
pub mod replay;
pub mod sealed;
mod stage;
mod waiting;

pub mod register;
pub mod rpc;

pub mod kv;

#[cfg(test)]
#[path = "model_tests.rs"]
mod model;
#[cfg(test)]
#[path = "script_tests.rs"]
mod script;

pub use account::Account;
pub use dial::Authorities;
pub use feed::{Feed, FeedError, Submission};
pub use kv::{Config, Handle, Kv, StartError, Streams};
pub use node_feed::NodeFeed;
pub use replay::{Progress, Rules};
pub use rpc::RpcConfig;
pub use stream::StreamId;
pub use verdict::Verdict;
