//! Transactions that wait for a block: from the bytes a wallet sends to the order in which a block
//! takes them.
//!
//! | step | module |
//! |---|---|
//! | why a transaction is refused, in the words that wallets know | [`error`] |
//! | bytes become a transaction that keeps the rules of the chain | [`rules`] |
//! | with its sender, and what it costs | [`transaction`] |
//! | what an account has waiting, by nonce | `queue` |
//! | all accounts, within bounds | [`pool`] |
//! | which transaction has to go when there is no room | `worst` |
//! | in which order a block takes them | [`best`] |
//! | what RPC shows of it | [`views`] |
//! | senders are found by threads that the caller brings | [`recover`] |
//!
//! Promises: the pool is a plain data structure without clock, threads or locks: the same calls give the same
//! answers. Everything is bounded, whatever comes in. What is called executable has no gap in its
//! nonces and is paid for by its sender's balance, all of it together.

pub mod best;
pub mod error;
pub mod pool;
mod queue;
pub mod recover;
mod remembered;
pub mod rules;
pub mod transaction;
pub mod views;
mod worst;

#[cfg(test)]
#[path = "made_tests.rs"]
mod made;
#[cfg(test)]
mod model_tests;

pub use best::Best;
pub use error::Error;
pub use pool::{Account, Added, Code, Limits, Pool, Settled};
pub use recover::{Recovery, Worker};
pub use rules::{Checked, Rules, decode};
pub use transaction::Transaction;
