//! Proofs on the storage network: real `lode node` processes with slices of one flow, which are killed,
//! lose their disks, and are cut off from each other, while clients pay, upload and read as 0G's do.
//!
//! The oracle is this process. Its [`ledger`] holds every chunk that a node has acknowledged, each
//! written down before the next request starts. Whatever happens afterwards, in the end each of them is
//! on every replica of its slice, and comes out with a proof that leads to the root which the chain has.
//!
//! - [`zgs`], [`nodes`]: requests, and processes;
//! - [`pay`], [`ledger`]: blobs into the flow, and what was promised about them;
//! - [`upload`], [`read`]: clients that go on while nodes die;
//! - [`check`]: nodes against the ledger;
//! - [`stage`], [`kills`], [`wipe`], [`split`], [`run`]: the proof.

pub mod check;
pub mod kills;
pub mod ledger;
pub mod nodes;
pub mod pay;
pub mod read;
pub mod run;
pub mod split;
pub mod stage;
pub mod upload;
pub mod wipe;
pub mod zgs;
