//! Data availability as rollups ask for it: four faces of one store of blobs, each a listener of its own or
//! a path of another's.
//!
//! ```text
//!  0G's clients ── gRPC ──────► disperser ─┐
//!  op-batcher ──── HTTP ──────► altda ─────┤             ┌─► a disperser and its holders
//!  Nitro ───────── JSON-RPC ──► nitro ─────┼─► Availability
//!  anybody ─────── HTTP ──────► rest ──────┘   read checks └─► memory
//! ```
//! A blob is 1 byte to 128 MiB less a table, any bytes. A face keeps nothing but, for rollups that know their
//! blobs by keccak256 alone, the way from the hash to the place. No byte leaves before it was checked
//! against the handle that it was asked for by.
//!
//! | step | module |
//! |---|---|
//! | what stores blobs: the trait, its words and errors | [`availability`] |
//! | by what a blob is asked for | [`handle`] |
//! | time and chance, which come from outside | [`machine`] |
//! | a store in memory, with real certificates by test keys | [`memory`] |
//! | what is handed out is what was asked for | [`read`] |
//! | a blob in, and the wait for its certificate | [`post`] |
//! | connections, bounds, counters | [`server`] |
//! | errors over HTTP | [`problem`] |
//! | 0G's `disperser` and `retriever` | [`disperser`] |
//! | OP-Stack alt-DA | [`altda`] |
//! | Arbitrum Nitro's `daprovider_*` | [`nitro`] |
//! | our own REST | [`rest`] |
//!
//! Clauses like \[D-25\] are those of the SPEC of `lode-proofs`.

pub mod availability;
pub mod handle;
pub mod machine;

pub mod memory;

pub mod post;
pub mod read;

pub mod server;

pub mod problem;

pub mod altda;
pub mod disperser;
pub mod nitro;
pub mod rest;

pub use availability::Availability;
pub use handle::Handle;
pub use machine::Machine;
pub use memory::Memory;
pub use post::Terms;
pub use server::{
    bounds::Bounds,
    face::{Face, Listening},
    meter::Meter,
};
