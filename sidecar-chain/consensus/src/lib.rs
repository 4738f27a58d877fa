//! Consensus of the settlement chain: validators agree on one chain of blocks, and sign each block
//! that is final so that anybody can check it with one key.
//!
//! ```text
//!            Execution (the ledger's)             network
//!    propose │ verify │ ▲ finalize                  │
//!   ┌────────┴────────┴─┴───────────┐               │
//!   │ adapter   seeds   delivery    │  ours         │
//!   ├───────────────────────────────┤               │
//!   │ one simplex engine per epoch, │ commonware    │
//!   │ marshal, resharing of the key │───────────────┘
//!   └───────────────────────────────┘
//! ```
//! | what | module |
//! |---|---|
//! | what is asked of the chain that is ordered | [`execution`] |
//! | validators, the first committee, and a deal of keys for development | [`committee`] |
//! | raw transactions between validators | [`gossip`] |
//! | a validator on this machine: [`start`] | [`node`] |
//! | a block as commonware sees it | `candidate` |
//! | blocks that are proposed and checked | `adapter` |
//! | the randomness of every view | `seeds` |
//! | a validator that begins with a later block | [`checkpoint`] |
//! | blocks that are final, and those that are not kept any more | `delivery`, `prune` |
//! | keys and schemes of an epoch | `scheme`, `secrets` |
//! | what goes over the network | `channels` |
//! | how the actors are made and put together | `actors`, `engine` |
//!
//! Promises: no two honest validators deliver different blocks at one height while less than a third
//! of a committee is faulty; blocks are delivered in order and at least once; what was signed is on
//! disk before it is sent, so a validator may be killed at any moment. A committee of n goes on with
//! n − (n−1)/3 of its members and halts with fewer.
//!
//! # What a light client checks
//!
//! The committee as a whole has one BLS12-381 key (96 bytes, a point of G2, compressed), which stays
//! the same when members change. A [`Finality`](lode_chain_types::Finality) holds two signatures by it
//! (48 bytes each, points of G1, compressed; hash to curve with the tag
//! `BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_`) on these messages:
//!
//! ```text
//! vote  varint(20) ‖ "_LODE_CHAIN_FINALIZE" ‖ varint(epoch) ‖ varint(view) ‖ varint(parent_view) ‖ block
//! seed  varint(16) ‖ "_LODE_CHAIN_SEED"     ‖ varint(epoch) ‖ varint(view)
//! ```
//! A varint is LEB128: seven bits a byte, the lowest first, the top bit set on all but the last byte.
//! `proofs/vectors/finality-committee.json` holds certificates of a running committee, byte for byte.
//!
//! Not every final block has a [`Finality`](lode_chain_types::Finality) of its own: one whose votes
//! were late is final because a block above it is, and is proved by that one and the hashes between.

pub mod checkpoint;
pub mod committee;
pub mod execution;
pub mod gossip;
pub mod node;

mod actors;
mod adapter;
mod candidate;
mod channels;
mod delivery;
mod engine;
mod prune;
mod scheme;
mod secrets;
mod seeds;
#[cfg(test)]
mod simulation;

pub use checkpoint::Checkpoint;
pub use committee::{Committee, Secret, Validator, deal};
pub use execution::Execution;
pub use gossip::{Gossip, gossip};
pub use node::{Config, Node, start};
pub use scheme::NAMESPACE;
