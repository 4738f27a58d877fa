//! Execution of the settlement chain: a block's transactions on a state, by revm.
//!
//! | step | module |
//! |---|---|
//! | which rules hold when | [`spec`] |
//! | the state before the first block | [`genesis`] |
//! | native contracts beside Ethereum's | [`precompiles`] |
//! | EVMs that know them | [`factory`] |
//! | the state as revm reads it, and what it left | [`database`] |
//! | a block's transactions become receipts, changes and a root | [`execute`] |
//! | questions that leave nothing behind | [`call`] |
//! | receipts of blocks before Byzantium | `early` |
//!
//! Promises: the same block on the same state gives the same output, everywhere. Signatures are not
//! looked at here: senders come with the transactions.

pub mod call;
pub mod database;
mod early;
pub mod execute;
pub mod factory;
pub mod genesis;
pub mod precompiles;
pub mod spec;
