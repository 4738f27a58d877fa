//! Data availability: containers of blobs, coded into rows that many hold, with the proofs that any
//! 1024 rows give the container back and that it was coded rightly.
//!
//! ```text
//!  blobs ─► container ─► 1024 original rows ─► 3072 rows ─► one sliver for each holder
//!              │                                  │              │ checked, stored, signed
//!            table                 checksums of all rows         ▼
//!              └──────────── head, container id ──────────► certificate
//! ```
//!
//! | step | modules |
//! |---|---|
//! | numbers, and who holds what | [`shape`], [`quorum`] |
//! | blobs into a container | [`piece`], [`table`], [`container`] |
//! | trees, and leaves of rows | [`tree`], [`rows`], [`holding`] |
//! | coding, and back | [`code`], `engine` |
//! | checksums of rows | `checksum`, [`checks`] |
//! | what a container is known by | [`namespace`], [`head`] |
//! | all of it, by whoever makes it | [`coded`] |
//! | what others check, and why they refuse | [`verify`], [`piece`], [`range`], [`refusal`] |
//! | who signed | [`certificate`], `signing` |
//! | who may sign, and what a contract knows of it | [`draw`], [`committee`], [`shown`], `weigh` |
//! | what a rollup posts elsewhere | `posted` |
//!
//! `SPEC.md`, Data availability, has every byte of it, and the argument why it is sound.

// In the order in which blobs become rows, and rows a certificate.
pub mod quorum;
pub mod shape;

pub mod piece;

pub mod container;
pub mod table;

pub mod holding;
pub mod rows;
pub mod tree;

mod field;

pub mod code;
mod engine;

pub mod checks;
mod checksum;

pub mod head;
pub mod namespace;

pub mod coded;

pub mod range;
pub mod refusal;
pub mod verify;

pub mod certificate;
#[cfg(feature = "bls")]
pub mod signing;

pub mod committee;
pub mod draw;
#[cfg(feature = "bls")]
pub mod posted;
pub mod shown;
#[cfg(feature = "bls")]
pub mod weigh;

pub mod decode;

#[cfg(test)]
mod timing_tests;

pub use certificate::{Certificate, Statement, Threshold};
pub use checks::Checks;
pub use code::restore;
pub use coded::Coded;
pub use committee::{Committee, Seat, Seats};
pub use container::{Container, ContainerBuilder};
pub use draw::Draw;
pub use head::Head;
pub use holding::Holding;
pub use namespace::NamespaceProof;
pub use piece::{BlobRange, blob_root};
pub use quorum::{Assignment, Quorum};
pub use range::RangeProof;
pub use refusal::Refusal;
pub use shape::{ORIGINAL_ROWS, ROWS, Shape};
pub use shown::Shown;
pub use table::{Entry, Namespace, Table};
pub use verify::{RowVerifier, Sample, Sliver, Verifier};
