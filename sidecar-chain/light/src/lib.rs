//! What anyone can check of the settlement chain, offline, from nothing but its genesis file.
//!
//! ```text
//!  genesis file ─► Trust ─────────────┐
//!  header, finality certificate ──────┴─► FinalBlock ─┬─ state_root ────► an account, a slot
//!                                                     └─ receipts_root ─► a receipt, a log
//! ```
//!
//! | step | module |
//! |---|---|
//! | what is trusted, read from a genesis file | [`trust`] |
//! | the genesis block's header, and so the chain's hash | [`genesis`] |
//! | a header and a certificate make a final block | [`header`] |
//! | accounts, slots and receipts under a final block | [`facts`] |
//! | all of it in one file | [`evidence`] |
//! | why something is not accepted | [`refusal`] |
//!
//! Promises: no network, no clock, no randomness; a [`header::FinalBlock`] exists only by checking its
//! certificate; whatever the bytes, work and memory are bounded by their length. Whether a block is the
//! newest one nobody can prove offline: a block that was once final stays final.

pub mod evidence;
pub mod facts;
pub mod genesis;
pub mod header;
pub mod refusal;
pub mod trust;

pub use evidence::{Evidence, Fact};
pub use header::{FinalBlock, HeaderProof};
pub use refusal::Refusal;
pub use trust::Trust;

#[cfg(test)]
mod world;
