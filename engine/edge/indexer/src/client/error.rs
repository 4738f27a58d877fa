//! Why a storage node did not do what it was asked.

use core::time::Duration;

use lode_wire::text;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the node itself said: the error of its answer, to the letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code}){}", .data.as_ref().map(|data| format!(": {data}")).unwrap_or_default())]
pub struct Refusal {
    /// JSON-RPC's code (0G wire, 3.1).
    pub code: i64,
    /// Such as "Invalid params: root".
    pub message: String,
    /// Most refusals have their reason here, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Why there is no answer, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a URL that begins with `http://` or `https://` and names a host.
    #[error("not a storage node's URL: {0}")]
    Url(String),
    /// The node cannot be reached, or the connection broke.
    #[error("the node cannot be reached: {0}")]
    Transport(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// The node was too slow.
    #[error("no answer within {0:?}")]
    Slow(Duration),
    /// It answered with this HTTP status.
    #[error("HTTP status {0}")]
    Status(u16),
    /// Its answer is longer than it may be.
    #[error("an answer of more than {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// The question cannot be written, or the answer not be read.
    #[error("not an answer")]
    Malformed(#[source] serde_json::Error),
    /// It answered another question.
    #[error("an answer to another question")]
    Stray,
    /// It said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same question gets the same answer.
    Refused,
    /// The same question may get another answer later.
    Retry,
    /// The node is broken or lies: ask another one.
    Fatal,
}

/// JSON-RPC 2.0, 5.1.
const METHOD_NOT_FOUND: i64 = -32601;
/// EIP-1474: a limit was reached.
const LIMIT: i64 = -32005;
/// RFC 9110 and RFC 6585: request timeout, too many requests.
const PASSING: [u16; 2] = [408, 429];

impl Refusal {
    /// `data` if it is text, else nothing.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.data
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether message or data hold this text.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        self.message.contains(text) || self.reason().contains(text)
    }
}

impl Error {
    /// Whether to try again.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Error::Url(_) => Class::Refused,
            Error::Transport(_) | Error::Slow(_) => Class::Retry,
            Error::Status(status) if *status >= 500 || PASSING.contains(status) => Class::Retry,
            Error::Status(_) | Error::TooLong { .. } | Error::Malformed(_) | Error::Stray => {
                Class::Fatal
            }
            Error::Refused(_) if self.is_busy() => Class::Retry,
            Error::Refused(_) => Class::Refused,
        }
    }

    /// The node does not know the method.
    #[must_use]
    pub fn is_method_missing(&self) -> bool {
        matches!(self, Error::Refused(refusal) if refusal.code == METHOD_NOT_FOUND)
    }

    /// The node has too much to do now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        match self {
            Error::Refused(refusal) => {
                let passing = PASSING.iter().any(|code| refusal.code == i64::from(*code));
                refusal.code == LIMIT || passing || refusal.says(text::TOO_MANY)
            }
            Error::Status(status) => PASSING.contains(status),
            _ => false,
        }
    }

    /// The node has what was sent: clients take this for success (0G wire, 3.1).
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        let Error::Refused(refusal) = self else {
            return false;
        };
        refusal.says(text::FINALIZED) || refusal.says(text::DUPLICATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: i64, message: &str, data: &str) -> Error {
        Error::Refused(Refusal {
            code,
            message: message.to_owned(),
            data: (!data.is_empty()).then(|| data.into()),
        })
    }

    /// The words that clients match are matched, wherever a node puts them.
    #[test]
    fn classes() {
        let there = refusal(-32602, "Invalid params: root", text::FINALIZED);
        assert!(there.is_already_there() && there.class() == Class::Refused);
        let duplicate = refusal(-32000, text::DUPLICATE, "");
        assert!(duplicate.is_already_there());
        let busy = refusal(-32603, "Internal error", "too many data writing: 16");
        assert!(busy.is_busy() && busy.class() == Class::Retry && !busy.is_already_there());
        assert_eq!(refusal(429, "slow down", "").class(), Class::Retry);
        assert_eq!(refusal(-32005, "limit", "").class(), Class::Retry);
        assert_eq!(Error::Status(429).class(), Class::Retry);
        assert_eq!(Error::Status(503).class(), Class::Retry);
        assert_eq!(Error::Status(404).class(), Class::Fatal);
        assert!(refusal(-32601, "Method not found", "").is_method_missing());
        assert_eq!(
            refusal(-32602, "Invalid params: root", "why").to_string(),
            "Invalid params: root (-32602): \"why\""
        );
    }
}
