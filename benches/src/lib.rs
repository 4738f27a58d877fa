//! Measured figures, each with its limit and with where and when it was taken.
//!
//! In reading order:
//! - [`values`]: what is stored, and how every read is checked
//! - [`meter`], [`figures`]: what a job costs, and how rounds are summed up
//! - [`gauge`]: values that are no rates, beside what the project asks of itself
//! - [`disk`]: what the disk itself can do
//! - [`subject`], [`store`]: the same jobs for every store, beside the disk
//! - [`lode`]: our own
//! - `peers`: other stores, behind the feature of that name
//! - [`keccak`]: the sector tree beside the keccak crates
//! - [`http`]: a node in a process of its own, beside the store and the disk
//! - [`chain`]: the settlement chain through its RPC, beside execution alone and another chain
//! - [`da`]: data availability, beside its hashes, its code and other ways to have it
//! - [`machine`], [`plot`]: what goes into a result file besides figures
//! - [`restart`]: how long a start takes
//! - [`scratch`], [`error`]: folders of one run, and what ends it
//!
//! `cargo run --release -p benches -- store --json benches/results/store.json` prints the figures
//! and keeps them, with a plot beside. Everything runs tiny as a test too.

pub mod chain;
pub mod da;
pub mod disk;
pub mod error;
pub mod figures;
pub mod gauge;
pub mod http;
pub mod keccak;
pub mod lode;
pub mod machine;
pub mod meter;
#[cfg(feature = "peers")]
pub mod peers;
pub mod plot;
pub mod restart;
pub mod scratch;
pub mod store;
pub mod subject;
pub mod values;
