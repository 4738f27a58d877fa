//! Who holds which blob: 0G's indexer and its REST gateway.

pub mod client;
