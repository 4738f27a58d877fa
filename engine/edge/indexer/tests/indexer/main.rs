//! The indexer as its clients see it, over sockets, against storage nodes that can be told to misbehave.

#![allow(
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "a test that cannot go on says where, and its numbers are small"
)]

mod blob;
mod client;
mod directory;
mod download;
mod folders;
mod hostile;
mod native;
mod node;
mod relay;
mod rest;
mod rpc;
mod stack;
