//! The settlement chain's books: blocks, receipts and state as of the last final block, blocks above
//! it in memory, and the two threads that build, check and keep them.
//!
//! ```text
//!   propose, verify ─► worker ─► tree: executed, not final
//!   finalize ────────► worker ───────────► keeper: one write, one sync for all that wait
//!                                             │
//!   views of readers ◄── tip ◄────────────────┤
//!   pool ◄── nonces, balances ◄───────────────┤
//!   listeners ◄── blocks with receipts ◄──────┘
//! ```
//! | what | module |
//! |---|---|
//! | a chain's rules and its block zero | [`chain`] |
//! | a ledger that begins with a later block | [`checkpoint`] |
//! | handles for consensus, RPC and users | [`ledger`] |
//! | the thread that executes, and what a header must be | [`worker`], [`rules`] |
//! | executed blocks that are not final | [`tree`] |
//! | the thread that writes, and what it writes | [`keeper`], [`tables`] |
//! | reading | [`view`] |
//! | arithmetic of native contracts | `crypto` |
//! | who hears of it | [`events`] |
//!
//! Promises: a block that is acknowledged as final survives power loss, with its receipts and its
//! state, whole. Only final blocks are visible to readers, so nothing they saw is taken back. Two
//! different final blocks of one height are an error that stops the chain, never an overwrite.

pub mod chain;
pub mod checkpoint;
mod crypto;
pub mod error;
pub mod events;
pub mod keeper;
pub mod ledger;
pub mod options;
pub mod rules;
pub mod tables;
pub mod tree;
pub mod view;
pub mod worker;

pub use chain::Chain;
pub use checkpoint::{Checkpoint, Origin, Staging};
pub use error::Error;
pub use ledger::Ledger;
pub use options::Options;
pub use view::View;
