//! Errors as clients see them: one numbered code each, one `application/problem+json` body
//! (RFC 9457), one HTTP status that says the same.

use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderValue},
};
use lode_engine::Error;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{path::PathError, query::QueryError};

/// What is known about a code before it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable name, `LODE0xxx`.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// What it means, in a few words.
    pub title: &'static str,
    /// Seconds after which the same request may work; none: it fails again.
    pub retry_after: Option<u32>,
    /// What to do.
    pub hint: &'static str,
}

/// Declares the codes and, from the same lines, the table of all of them.
macro_rules! codes {
    ($(
        $(#[doc = $doc:literal])+
        $ident:ident = $name:literal $status:literal $retry:expr, $title:literal, $hint:literal;
    )+) => {
        $($(#[doc = $doc])+
        pub const $ident: &Code = &Code {
            name: $name, status: $status, title: $title, retry_after: $retry, hint: $hint,
        };)+
        /// Every code of the HTTP API, in order.
        pub const CODES: &[&Code] = &[$($ident),+];
    };
}

codes! {
    /// A path that is no route.
    UNKNOWN_PATH = "LODE0001" 404 None, "nothing at this path", "see /openapi.json for what there is";
    /// A root that cannot be read.
    BAD_ROOT = "LODE0002" 400 None, "bad root", "a root is 64 hexadecimal digits, 0x optional";
    /// A query, header or body that cannot be read.
    BAD_REQUEST = "LODE0003" 400 None, "bad request", "correct the request as the detail says";
    /// A route that does not know this method.
    BAD_METHOD = "LODE0004" 405 None, "method not allowed", "the Allow header lists the methods of this path";
    /// A path or query beyond its limit.
    LONG_PATH = "LODE0005" 414 None, "path or query too long", "shorten the request target";
    /// A body beyond its limit.
    LONG_BODY = "LODE0006" 413 None, "body too long", "send at most as many bytes as the detail says";
    /// The client sends less than the node waits for.
    SLOW_BODY = "LODE0007" 408 Some(1), "body too slow", "resume the upload; the node keeps what is durable";
    /// The body ended before its declared length.
    CUT_BODY = "LODE0008" 400 None, "body cut short", "resume the upload; the node keeps what is durable";
    /// A request head beyond its limit.
    LONG_HEAD = "LODE0009" 431 None, "request head too long", "send fewer or shorter headers";
    /// No blob of this root.
    NO_BLOB = "LODE0010" 404 None, "blob not found", "put the blob first, or check the root";
    /// No unfinished upload of this root.
    NO_UPLOAD = "LODE0011" 404 None, "upload not found", "begin it by POST /v1/uploads";
    /// The blob has no such chunk.
    NO_CHUNK = "LODE0012" 404 None, "chunk not found", "chunks are counted from 0, 262144 bytes each";
    /// Zero bytes have no root.
    EMPTY = "LODE0013" 400 None, "empty blob", "a blob has at least one byte";
    /// Bytes that do not have the declared root.
    ROOT_MISMATCH = "LODE0014" 422 None, "root mismatch", "compute the root again from the bytes that are sent";
    /// More or fewer bytes than declared.
    SIZE_MISMATCH = "LODE0015" 422 None, "size mismatch", "declare the size that is sent";
    /// A range that the blob does not have.
    OUT_OF_RANGE = "LODE0016" 416 None, "range not satisfiable", "ask for bytes within the blob's size";
    /// An expiry in the past.
    EXPIRED = "LODE0017" 422 None, "expiry has passed", "choose a later epoch";
    /// Another client is writing this upload.
    UPLOAD_BUSY = "LODE0018" 409 Some(2), "upload busy", "wait for the other client, then ask for the offset";
    /// The client's offset is not the node's.
    WRONG_OFFSET = "LODE0019" 409 Some(0), "wrong offset", "continue at the Upload-Offset of this answer";
    /// The root is taken by a blob of another size.
    OTHER_SIZE = "LODE0020" 409 None, "root is taken by another size", "compare the sizes: the bytes differ in zeroes at the end";
    /// No upload under way, and not all of a blob that would need none.
    ONE_PIECE = "LODE0021" 422 None, "not in one piece", "a blob of at most 262144 bytes is sent whole, from offset 0, in one request; begin a longer one by POST /v1/uploads";
    /// A past epoch.
    PAST_EPOCH = "LODE0022" 409 None, "epoch has passed", "set the epoch of the detail or a later one";
    /// This node settles on no chain.
    NO_CHAIN = "LODE0023" 404 None, "no chain", "ask a node that was started with --chain";
    /// The disk is full.
    FULL = "LODE0030" 507 Some(60), "disk full", "delete or expire blobs, or give the node more space";
    /// No credit in time.
    BUSY = "LODE0031" 503 Some(1), "busy", "retry after a moment";
    /// The node is going down.
    CLOSING = "LODE0032" 503 Some(5), "closing", "retry when the node is up again";
    /// Too many connections.
    CROWDED = "LODE0033" 503 Some(1), "too many connections", "close idle connections, or retry after a moment";
    /// The write was not acknowledged.
    WRITE_FAILED = "LODE0034" 503 Some(1), "write failed", "retry; look at the node's disk if it happens again";
    /// The blob's anchor is not final.
    NOT_FINAL = "LODE0035" 503 Some(2), "not final yet", "wait for the chain; the same path without format=binary tells how far it is";
    /// Stored bytes are damaged.
    CORRUPT = "LODE0040" 500 None, "stored bytes are damaged", "restore the blob from another copy";
    /// The disk refused.
    DISK = "LODE0041" 500 None, "disk error", "look at the node's log and disk";
    /// A file of the store cannot be understood.
    FORMAT = "LODE0042" 500 None, "bad store file", "look at the node's log";
    /// A part of the node did not answer.
    SILENT = "LODE0043" 503 Some(1), "no answer from inside the node", "retry; look at the node's log if it stays";
    /// Only for this machine.
    FORBIDDEN = "LODE0050" 403 None, "not from here", "run the command on the node's own machine";
}

/// One error that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which one.
    pub code: &'static Code,
    /// What happened this time, with the numbers.
    pub detail: String,
}

/// A problem as clients see it: the body of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:lode:` and the code.
    pub r#type: String,
    /// What the code means.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code, `LODE0xxx`.
    pub code: String,
    /// What happened this time, with the numbers.
    pub detail: String,
    /// The same request may work later.
    pub retryable: bool,
    /// What to do.
    pub hint: String,
}

impl Problem {
    /// The code with this occasion's detail.
    pub fn new(code: &'static Code, detail: impl Into<String>) -> Self {
        Problem {
            code,
            detail: detail.into(),
        }
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The answer's body.
    pub fn to_json(&self) -> Vec<u8> {
        let body = ProblemBody {
            r#type: format!("urn:lode:{}", self.code.name),
            title: self.code.title.to_owned(),
            status: self.code.status,
            code: self.code.name.to_owned(),
            detail: self.detail.clone(),
            retryable: self.code.retry_after.is_some(),
            hint: self.code.hint.to_owned(),
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The whole answer, for connections that end with it and have nobody else to write it.
    pub fn last_words(&self) -> Vec<u8> {
        let (status, body) = (self.status(), self.to_json());
        let mut headers = HeaderMap::new();
        self.fill(&mut headers);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        let reason = status.canonical_reason().unwrap_or_default();
        let mut words = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        for (name, value) in &headers {
            words.extend_from_slice(name.as_str().as_bytes());
            words.extend_from_slice(b": ");
            words.extend_from_slice(value.as_bytes());
            words.extend_from_slice(b"\r\n");
        }
        words.extend_from_slice(b"\r\n");
        words.extend_from_slice(&body);
        words
    }

    /// Adds the headers that every problem carries.
    pub fn fill(&self, headers: &mut HeaderMap) {
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.code.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::new(code_of(&error), error.to_string())
    }
}

impl From<PathError> for Problem {
    fn from(error: PathError) -> Self {
        let code = match error {
            PathError::TooLong(_) => LONG_PATH,
            PathError::BadRoot => BAD_ROOT,
            PathError::BadChunk => BAD_REQUEST,
            PathError::Unknown => UNKNOWN_PATH,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let code = match error {
            QueryError::TooLong(_) => LONG_PATH,
            _ => BAD_REQUEST,
        };
        Problem::new(code, error.to_string())
    }
}

/// The code of each error of the store. No wildcard: a new error must choose.
fn code_of(error: &Error) -> &'static Code {
    match error {
        Error::Empty => EMPTY,
        // No route of this edge takes chunks with proofs; whoever adds one has a code for it.
        Error::RootMismatch { .. } | Error::Unproven { .. } => ROOT_MISMATCH,
        Error::SizeMismatch { .. } => SIZE_MISMATCH,
        Error::OtherSize { .. } => OTHER_SIZE,
        Error::OutOfRange { .. } => OUT_OF_RANGE,
        Error::Expired { .. } => EXPIRED,
        Error::UploadBusy { .. } => UPLOAD_BUSY,
        Error::Full { .. } => FULL,
        Error::Busy { .. } => BUSY,
        Error::Gone { .. } => NO_BLOB,
        Error::Corrupt { .. } => CORRUPT,
        // Told when a store is made, never over HTTP.
        Error::Format { .. } | Error::TooSmall { .. } => FORMAT,
        Error::WriteFailed { .. } => WRITE_FAILED,
        Error::Io { .. } => DISK,
        Error::Closing => CLOSING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lode_engine::Class;

    /// Codes are unique, in order, and carry a status that says what they say.
    #[test]
    fn table() {
        for pair in CODES.windows(2) {
            assert!(
                pair[0].name < pair[1].name,
                "{} before {}",
                pair[0].name,
                pair[1].name
            );
        }
        for code in CODES {
            assert!((400..600).contains(&code.status), "{code:?}");
            assert!(
                code.name.len() == 8 && code.name.starts_with("LODE0"),
                "{code:?}"
            );
        }
    }

    /// The class of a store error and the code agree on whether a retry makes sense, and a
    /// damaged record never turns into "not found".
    #[test]
    fn classes() {
        let root = "00".repeat(32).parse().unwrap();
        let source = std::sync::Arc::new(std::io::Error::other("x"));
        let path = || "p".to_owned();
        let all = [
            Error::Empty,
            Error::RootMismatch {
                declared: root,
                computed: root,
            },
            Error::SizeMismatch { want: 1, got: 2 },
            Error::OtherSize {
                root,
                have: 1,
                got: 2,
            },
            Error::OutOfRange {
                start: 0,
                end: 2,
                size: 1,
            },
            Error::Expired { expiry: 1, now: 2 },
            Error::UploadBusy { root },
            Error::Full {
                free: 1,
                reserve: 2,
            },
            Error::Busy { waited_ms: 1 },
            Error::Corrupt {
                root,
                chunk: 0,
                why: "x",
            },
            Error::Format {
                path: path(),
                why: path(),
            },
            Error::WriteFailed {
                path: path(),
                source: source.clone(),
            },
            Error::Io {
                path: path(),
                source,
            },
            Error::Gone { root },
            Error::Closing,
        ];
        for error in all {
            let code = code_of(&error);
            assert_eq!(
                code.retry_after.is_some(),
                error.class() == Class::Retry,
                "{error:?}"
            );
            match error.class() {
                Class::Refused => assert!((400..500).contains(&code.status), "{error:?}"),
                Class::Retry => assert!([409, 503, 507].contains(&code.status), "{error:?}"),
                Class::Fatal => assert_eq!(code.status, 500, "{error:?}"),
            }
        }
    }

    /// The body has every field of the contract, and reads back.
    #[test]
    fn body() {
        let problem = Problem::new(FULL, "9 bytes free");
        let json: serde_json::Value = serde_json::from_slice(&problem.to_json()).unwrap();
        assert_eq!(json["type"], "urn:lode:LODE0030");
        assert_eq!(json["title"], "disk full");
        assert_eq!(json["status"], 507);
        assert_eq!(json["code"], "LODE0030");
        assert_eq!(json["detail"], "9 bytes free");
        assert_eq!(json["retryable"], true);
        assert!(json["hint"].as_str().unwrap().contains("space"));
        let back: ProblemBody = serde_json::from_value(json).unwrap();
        assert_eq!(back.code, problem.code.name);
        let mut headers = HeaderMap::new();
        problem.fill(&mut headers);
        assert_eq!(headers["retry-after"], "60");
        assert_eq!(headers["content-type"], "application/problem+json");
    }
}
