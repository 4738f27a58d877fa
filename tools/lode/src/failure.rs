//! How a command ends when it does not succeed: what went wrong, what to do, which exit code.

use std::{fmt, io, process::ExitCode};

use lode_edge::ProblemBody;
use serde_json::json;

/// Exit codes. Scripts rely on them; `lode --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Anything else, or some of several items failed.
    Other,
    /// The command line, the configuration, or a file given as such is wrong.
    Usage,
    /// No such blob, upload or chunk.
    NotFound,
    /// Bytes, a proof or a scrub did not verify.
    NotVerified,
    /// The node is not there or busy; the same command may work later.
    Unavailable,
    /// A disk is full, the node's or ours.
    DiskFull,
}

impl Exit {
    /// The process's exit code.
    pub fn number(self) -> u8 {
        match self {
            Exit::Other => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::NotVerified => 4,
            Exit::Unavailable => 5,
            Exit::DiskFull => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.number())
    }
}

/// Why a command failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// Stable code: `LODE0xxx` of the node, or `LODE01xx` of this program.
    pub code: String,
    /// What happened.
    pub what: String,
    /// What to do.
    pub next: String,
}

/// The result of a command.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    fn new(exit: Exit, code: &str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Failure {
            exit,
            code: code.to_owned(),
            what: what.into(),
            next: next.into(),
        }
    }

    /// The command cannot be understood.
    pub fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, "LODE0100", what, next)
    }

    /// Something is not as it has to be, and none of the other kinds fits.
    pub fn other(what: impl Into<String>, next: impl Into<String>) -> Self {
        Failure::new(Exit::Other, "LODE0101", what, next)
    }

    /// Bytes or a proof did not verify.
    pub fn not_verified(what: impl Into<String>, next: impl Into<String>) -> Self {
        Failure::new(Exit::NotVerified, "LODE0102", what, next)
    }

    /// The node did not answer.
    pub fn unreachable(node: &str, why: impl fmt::Display) -> Self {
        let next = "start one by `lode node --dir DIR`, or name another by --node or LODE_NODE";
        Failure::new(
            Exit::Unavailable,
            "LODE0103",
            format!("no answer from {node}: {why}"),
            next,
        )
    }

    /// It takes too long: the same command goes on later.
    pub fn late(what: impl Into<String>, next: impl Into<String>) -> Self {
        Failure::new(Exit::Unavailable, "LODE0106", what, next)
    }

    /// The node did not show that it is the one that it should be.
    pub fn untrusted(what: impl Into<String>, next: impl Into<String>) -> Self {
        Failure::new(Exit::Other, "LODE0105", what, next)
    }

    /// A local file or directory could not be used.
    pub fn file(path: impl fmt::Display, error: &io::Error) -> Self {
        let (exit, next) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
                Exit::DiskFull,
                "free space on this disk and run the same command again",
            ),
            io::ErrorKind::NotFound => (Exit::Other, "check the path"),
            io::ErrorKind::PermissionDenied => (Exit::Other, "check the permissions"),
            _ => (Exit::Other, "check the file and its disk"),
        };
        Failure::new(exit, "LODE0104", format!("{path}: {error}"), next)
    }

    /// The node answered with a problem.
    pub fn problem(problem: ProblemBody) -> Self {
        let exit = match (problem.status, problem.code.as_str()) {
            (404, _) => Exit::NotFound,
            (507, _) => Exit::DiskFull,
            (_, "LODE0014" | "LODE0040") => Exit::NotVerified,
            _ if problem.retryable => Exit::Unavailable,
            _ => Exit::Other,
        };
        let what = format!("{}: {}", problem.title, problem.detail);
        Failure {
            exit,
            code: problem.code,
            what,
            next: problem.hint,
        }
    }

    /// Whether the same command may work later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.exit, Exit::Unavailable | Exit::DiskFull)
    }

    /// The failure for programs.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "code": self.code,
            "exit": self.exit.number(),
            "detail": self.what,
            "retryable": self.is_retryable(),
            "hint": self.next,
        })
    }
}

/// The failure for people.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let retryable = if self.is_retryable() { "yes" } else { "no" };
        writeln!(f, "error[{}]: {}", self.code, self.what)?;
        write!(f, "  next  {}            retryable: {retryable}", self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code of the node ends in the exit code that the help promises.
    #[test]
    fn exits() {
        for code in lode_edge::CODES {
            let problem = lode_edge::Problem::new(code, "x").to_json();
            let failure = Failure::problem(serde_json::from_slice(&problem).unwrap());
            let want = match code.status {
                404 => Exit::NotFound,
                507 => Exit::DiskFull,
                422 if code.name == "LODE0014" => Exit::NotVerified,
                500 if code.name == "LODE0040" => Exit::NotVerified,
                408 | 409 | 503 if code.retry_after.is_some() => Exit::Unavailable,
                _ => Exit::Other,
            };
            assert_eq!(failure.exit, want, "{code:?}");
        }
    }
}
