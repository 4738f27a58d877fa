//! Who holds which blob, and the bytes themselves over plain HTTP: 0G's indexer and its REST gateway,
//! on one port. It keeps nothing on disk; all that it knows it asks of storage nodes, over the public
//! JSON-RPC that anybody may use. A service that stands beside the nodes: it may be stopped, moved or
//! doubled at any time.
//!
//! | step | module |
//! |---|---|
//! | a storage node's JSON-RPC, for whoever needs it | [`client`] |
//! | choices and bounds; time and chance, which come from outside | [`config`], [`machine`] |
//! | which nodes there are, and which of them answer | [`directory`] |
//! | which of them cover the flow | [`selection`] |
//! | which of them hold a blob | [`locate`] |
//! | one chunk, verified; all chunks, in order | [`fetch`], [`download`] |
//! | a place in a folder | [`folder_view`] |
//! | JSON-RPC and REST, 0G's and our own | [`gateway`] |
//! | the running service | [`service`] |
//!
//! Promises:
//! - No byte leaves before its chunk was proven against the blob's root. A node that lies or dies in
//!   the middle is replaced by another holder; if there is none, the answer ends before its declared
//!   length, and the client knows.
//! - Memory is bounded: a download holds at most [`config::Config::read_ahead`] + 2 chunks of 256 KiB,
//!   and the text of the answers on their way (4/3 of that), whatever the size of the blob.
//! - It starts, and answers, whatever the nodes do.
//!
//! Sources: 0G wire, 3.4 (JSON-RPC), 3.5 (REST), 3.1 (nodes), 4.4 (folders).

pub mod client;
pub mod config;
pub mod directory;
pub mod download;
pub mod failure;
pub mod fetch;
pub mod folder_view;
pub mod gateway;
pub mod locate;
pub mod machine;
pub mod range;
pub mod selection;
pub mod service;

pub use config::{Config, Location};
pub use machine::Machine;
pub use service::{Handle, Indexer};
