//! What can go wrong with a measurement. Nothing is retried: a figure from a disk that fails, or
//! of a store that returns wrong bytes, is worth nothing.

use std::{io, path::Path};

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What came back.
        source: io::Error,
    },
    /// A store refused something.
    #[error("{subject}: {message}")]
    Subject {
        /// Which store.
        subject: &'static str,
        /// What it said.
        message: String,
    },
    /// A store lost or changed bytes that it had called durable.
    #[error("{subject} returned wrong bytes for value {index}")]
    Wrong {
        /// Which store.
        subject: &'static str,
        /// Which value.
        index: u64,
    },
    /// A command line that makes no sense.
    #[error("{0}")]
    Usage(String),
}

/// A result of the benches.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Says what was tried on which path.
    pub fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        move |source| Self::Io { what, source }
    }

    /// Passes on what a store said.
    pub fn subject<E: std::fmt::Display>(subject: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Subject {
            subject,
            message: error.to_string(),
        }
    }
}
