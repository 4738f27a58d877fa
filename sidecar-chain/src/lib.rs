//! The settlement chain as one service: consensus orders, the ledger executes and keeps, RPC answers.
//!
//! ```text
//!  wallets ─► rpc ─► pool ◄─► gossip ◄─► other validators
//!              │      │                        │
//!              │      ▼ propose, verify        │
//!              └──► ledger ◄──────────── consensus
//!                     │ finalize
//!                     └─► blocks, receipts, state: final, proven, kept
//! ```
//! | what | module |
//! |---|---|
//! | the file that a chain begins with | [`genesis`] |
//! | the ledger as consensus sees it | [`books`] |
//! | who validates in which epoch | [`committees`] |
//! | questions to contracts | [`ask`] |
//! | transactions to and from other validators | [`gossip`] |
//! | a folder that begins with a block that others have | [`sync`] |
//! | all of it started and stopped | [`service`] |
//!
//! The crates, innermost first: `lode-chain-types` (blocks), `lode-chain-state` (accounts under a
//! root), `lode-chain-exec` (revm), `lode-chain-pool`, `lode-chain-ledger`, then side by side
//! `lode-chain-consensus` and `lode-chain-rpc`.
//!
//! Promises: what the RPC shows is final. A validator may be killed at any moment and resumes by
//! itself. Nothing of the data plane waits for this service.

pub mod ask;
pub mod books;
pub mod committees;
pub mod genesis;
pub mod gossip;
pub mod service;
pub mod sync;

pub use committees::Members;
pub use lode_chain_consensus::{Committee, Secret, Validator, deal};
pub use lode_chain_ledger::{Chain, Error as LedgerError, Ledger};
pub use lode_chain_rpc as rpc;
pub use service::{Config, Service, start};
