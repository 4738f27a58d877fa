//! Ethereum JSON-RPC over the ledger: HTTP and WebSocket on one port, in geth's words.
//!
//! | step | module |
//! |---|---|
//! | choices and bounds | [`config`] |
//! | connections, and all methods; which web pages may ask | [`serve`], `origins` |
//! | what every request meets first | `front` |
//! | what methods share; which are quick and which are heavy | [`service`] |
//! | parameters, and which block they name | [`arguments`], [`selector`] |
//! | why a request is not answered | [`failure`] |
//! | what the chain is | `chain` |
//! | blocks, transactions, receipts | `blocks`, [`whole`] |
//! | accounts and proofs | `accounts` |
//! | logs, filters, subscriptions, and their names | [`logs`], [`filters`], `subscribe`, [`events`], `ids` |
//! | prices | `fees` |
//! | calls, and what they need | [`call`], `estimate`, on the state of [`ground`] |
//! | blocks that might come | `simulate`, `simulated` |
//! | transactions looked into | `debug`, `trace`, by `replay` |
//! | what a node that begins with a state asks for | [`sync`] |
//! | what a wallet leaves open | `fill` |
//! | helpers for development | [`dev`] |
//! | transactions from wallets | [`send`], [`senders`], `waiting` |
//!
//! Promises: only final blocks are visible, so no answer is ever taken back; a block, its receipts
//! and its logs appear at once; whatever comes in, memory and work stay within the bounds of
//! [`Config`].

mod accounts;
pub mod arguments;
mod blocks;
pub mod call;
mod chain;
pub mod config;
mod debug;
pub mod dev;
mod estimate;
pub mod events;
pub mod failure;
mod fees;
mod fill;
pub mod filters;
mod front;
pub mod ground;
mod ids;
pub mod logs;
mod origins;
mod replay;
pub mod selector;
pub mod send;
pub mod senders;
pub mod serve;
pub mod service;
mod simulate;
mod simulated;
mod subscribe;
pub mod sync;
mod trace;
mod waiting;
pub mod whole;

pub use config::Config;
pub use serve::{Handle, Local, module, serve};
pub use service::Service;
