//! Who holds which blob: 0G's indexer and its REST gateway.

pub mod client;
pub mod config;
pub mod machine;
pub mod selection;

pub use config::{Config, Location};
pub use machine::Machine;
