//! Proofs on the settlement chain: real `lode chain` processes that are killed, restarted, and cut
//! off from each other, under load.
//!
//! The oracle is this process. It looks at every validator all the time and writes every block that
//! it sees into one [`book`]: number, hash, roots. What the chain shows is final, so a second block of
//! the same number, from whichever validator and however much later, is a broken promise, and so is
//! a validator that comes back without a block that it had shown.
//!
//! - [`rpc`], [`network`]: requests, and processes;
//! - [`book`], [`watch`], [`load`]: what was seen, who sees it, and what keeps the chain busy;
//! - [`check`]: a validator against the book, and its state against its own headers;
//! - [`kill`], [`partition`], [`epochs`], [`sync`]: the proofs.

pub mod book;
pub mod check;
pub mod epochs;
pub mod kill;
pub mod load;
pub mod network;
pub mod partition;
pub mod rpc;
pub mod sync;
pub mod watch;
