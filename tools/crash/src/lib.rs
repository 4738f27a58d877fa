//! Crash proofs on real files: the real `lode` binary over HTTP, and a ledger that outlives it.
//!
//! The oracle is this process. Its [`ledger`] holds what the node acknowledged, each entry written
//! down before the next request starts; the node is another process, and is killed, cut off from
//! its disk, forbidden io_uring, or starved of space. Afterwards [`check`] compares everything
//! that was acknowledged, byte for byte, with contents made again from their seeds.
//!
//! In reading order:
//! - [`args`], [`failure`], [`setup`]: what is asked, how it can go wrong, where it happens;
//! - [`noise`], [`ledger`]: contents from seeds, and what was promised about them;
//! - [`caller`]: JSON-RPC, as validators and storage nodes speak it;
//! - [`client`], [`load`]: requests, and threads that make them until the node goes away;
//! - [`check`](mod@check): the ledger against a node;
//! - [`node`], [`guarded`], [`apart`], [`links`], [`image`]: processes, their limits, networks and
//!   filesystems;
//! - [`kill`], [`power`], [`full`]: the proofs;
//! - [`chain`]: the same of the settlement chain, whose promise is that what was final stays;
//! - [`storage`]: and of storage nodes among each other, where what one acknowledged comes to all.
//!
//! Promises: no mount and no loop device outlives the command, however it ends (they live in a
//! mount namespace of its own); no other mount is touched; every node dies with its parent.

pub mod apart;
pub mod args;
pub mod caller;
pub mod chain;
pub mod check;
pub mod client;
pub mod failure;
pub mod full;
pub mod guarded;
pub mod image;
pub mod kill;
pub mod ledger;
pub mod links;
pub mod load;
pub mod node;
pub mod noise;
pub mod power;
pub mod setup;
pub mod storage;
