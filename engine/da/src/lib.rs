//! Data availability: blobs are put into containers, coded, dispersed to a committee, certified, kept until
//! they expire, read back from any third of it, and repaired.
//!
//! ```text
//!  blob ─► post ─► container, coded ─► outgoing ── offer ──► incoming ─► checked ─► kept ─┐
//!                                         ▲                                               │
//!         certificate ◄── enough rows ────┴──────────────── signed ◄──────────────────────┘
//!
//!  read ◄── rows, each checked ◄── serve ◄── keep ──► repair ─► outgoing
//! ```
//! A node is dispatcher, holder and reader at once. [`Node::run`] is all of it, on any runtime and network;
//! what is coded and checked is `lode_proofs::da`, whose SPEC has every byte and the argument.
//!
//! Promises:
//! - A holder signs what it has checked and what is stored: with the signature, its rows survive power loss.
//! - A certificate is only made of signatures that hold, over rows of at least two thirds.
//! - No byte reaches a reader that is not of the blob whose root the container names.
//! - Everything is bounded: [`bounds`] has each bound and its reason. What has no room is told so, and comes
//!   again.
//! - Nobody who lies, is silent or asks without end keeps others from being served.
//!
//! In reading order:
//! - [`bounds`]: how much of everything
//! - [`committee`]: who holds what
//! - [`sliver`], [`message`]: what they say to each other, byte by byte
//! - [`keep`], [`stored`]: what keeps rows; on a disk
//! - [`post`], `outgoing`: from a blob to its certificate
//! - `incoming`, `serve`, `asked`, `desk`: slivers that come, rows for others, questions, and where messages
//!   arrive
//! - [`read`], [`repair`]: from rows to a blob, and to rows again
//! - [`node`], [`da`]: all of it on any network; on this machine's
//!
//! Source: `proofs/SPEC.md`, Data availability, [D-1] to [D-30].

pub mod bounds;
pub mod committee;

pub mod message;
pub mod sliver;

pub mod keep;
pub mod stored;

mod outgoing;
pub mod post;

mod asked;
mod desk;
mod incoming;
mod serve;

pub mod read;
pub mod repair;

pub mod node;

pub mod da;

#[cfg(test)]
mod tests;

pub use committee::{Committee, Committees};
pub use da::{Config, Da, Service};
pub use node::{Faces, Node, Parts};
pub use outgoing::Lost;
pub use post::{Posted, RequestId};
pub use stored::Stored;
