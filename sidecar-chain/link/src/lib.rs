//! The one crate that knows an ABI: what the settlement contracts are called, where they stand, and
//! how values of ours become their calls and come back from their logs.
//!
//! In reading order:
//! - [`abi`]: bindings, made from the committed artefacts
//! - [`addresses`]: where the contracts stand
//! - [`genesis`]: their code and first state, for a genesis file
//! - [`flow`]: blobs one by one
//! - [`anchors`]: blobs by the thousand
//! - [`committee`]: who validates
//! - [`da`]: who holds rows of data availability, and what they certified
//! - [`rewards`]: statements of who earned what
//! - [`node`]: what is asked of a chain's node
//! - [`store`]: what survives a restart
//! - [`watch`]: logs in order, through reorgs
//! - [`logs`]: what the flow's logs say, where it adds up
//! - `signers`: who sent what is in them, where they do not say it
//! - [`follow`]: the flow, submission by submission
//! - [`send`]: transactions that are paid for once
//! - [`submit`]: blobs into the flow, each paid for once
//! - [`keys`]: keys in encrypted files
//! - [`certified`]: what shows others that something was done
//! - [`book`]: which blob is in which anchor
//! - [`settle`]: anchors, one after the other

pub mod abi;
pub mod addresses;
pub mod anchors;
pub mod book;
pub mod certified;
pub mod committee;
pub mod da;
pub mod flow;
pub mod follow;
pub mod genesis;
pub mod keys;
pub mod logs;
pub mod node;
pub mod rewards;
pub mod send;
pub mod settle;
mod signers;
pub mod store;
pub mod submit;
pub mod watch;

#[cfg(test)]
mod flow_model;
#[cfg(test)]
mod model;
mod storage;
