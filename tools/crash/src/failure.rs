//! How a proof can go wrong.

use std::{fmt::Display, path::PathBuf, process::ExitCode};

/// Why a run ended early or badly.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The machine lacks what the proof stands on; nothing was proven and nothing refuted.
    #[error("skipped: {0}")]
    Skipped(String),
    /// A step on this machine failed, before or beside the node.
    #[error("{what}: {why}")]
    Machine {
        /// What was tried.
        what: String,
        /// What came instead.
        why: String,
    },
    /// The node answered or ended as it never should.
    #[error("the node: {0}")]
    Node(String),
    /// Promises that were not kept, one line each.
    #[error("{} promises broken:\n  {}", .0.len(), .0.join("\n  "))]
    Broken(Vec<String>),
    /// The method itself does not show what it must show.
    #[error("the method proves nothing: {0}")]
    Method(String),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; everything was put away")]
    Interrupted,
    /// Any of the above, with the folder that was kept to look at.
    #[error("{source}\nkept for a look: {}", dir.display())]
    Kept {
        /// What happened.
        source: Box<Failure>,
        /// Store, ledgers and the node's log.
        dir: PathBuf,
    },
}

/// The result of a step.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Wraps the error of a step on this machine; for `map_err`.
    pub fn machine<E: Display>(what: impl Into<String>) -> impl FnOnce(E) -> Failure {
        let what = what.into();
        move |why| Failure::Machine {
            what,
            why: why.to_string(),
        }
    }

    /// The exit code: 0 for a skip, 130 for an interrupt, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Skipped(_) => ExitCode::SUCCESS,
            Failure::Interrupted => ExitCode::from(130),
            _ => ExitCode::FAILURE,
        }
    }
}
