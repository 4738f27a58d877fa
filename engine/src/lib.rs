//! The store: bytes in, durable, indexed, verified, and out again.

pub mod error;
pub mod mesh;
pub mod stats;
pub mod store;

pub use error::{Class, Error, Result};
