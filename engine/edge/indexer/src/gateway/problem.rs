//! Errors of our own REST: one numbered code each, one `application/problem+json` body (RFC 9457), one
//! HTTP status that says the same.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::failure::Failure;

/// What is known about a code before it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable name, `LODE1xxx`.
    pub name: &'static str,
    /// HTTP status.
    pub status: StatusCode,
    /// What it means, in a few words.
    pub title: &'static str,
    /// Seconds after which the same request may work; none: it fails again.
    pub retry_after: Option<u32>,
}

/// One error that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which one.
    pub code: &'static Code,
    /// What happened this time.
    pub detail: String,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    retryable: bool,
}

/// Declares the codes and, from the same lines, the table of all of them.
macro_rules! codes {
    ($(
        $(#[doc = $doc:literal])+
        $ident:ident = $name:literal $status:ident $retry:expr, $title:literal;
    )+) => {
        $($(#[doc = $doc])+
        pub const $ident: &Code = &Code {
            name: $name, status: StatusCode::$status, title: $title, retry_after: $retry,
        };)+
        /// Every code, in order.
        pub const CODES: &[&Code] = &[$($ident),+];
    };
}

codes! {
    /// A path that is no route.
    UNKNOWN_PATH = "LODE1001" NOT_FOUND None, "nothing at this path";
    /// A route that does not know this method.
    BAD_METHOD = "LODE1002" METHOD_NOT_ALLOWED None, "method not allowed";
    /// A path, query, header or body that cannot be read.
    BAD_REQUEST = "LODE1003" BAD_REQUEST None, "bad request";
    /// A range that is not there.
    OUT_OF_RANGE = "LODE1004" RANGE_NOT_SATISFIABLE None, "range not satisfiable";
    /// No node knows the blob.
    NO_BLOB = "LODE1010" NOT_FOUND None, "blob not found";
    /// No such path in a folder.
    NO_PATH = "LODE1011" NOT_FOUND None, "path not found in the folder";
    /// Its bytes are not all there yet.
    NOT_FINAL = "LODE1012" CONFLICT Some(5), "blob not finalized yet";
    /// It was there.
    PRUNED = "LODE1013" GONE None, "blob pruned";
    /// What is asked for as a folder is none.
    NOT_A_FOLDER = "LODE1014" UNPROCESSABLE_ENTITY None, "not a folder";
    /// Longer than what is read as a whole.
    TOO_LONG = "LODE1015" PAYLOAD_TOO_LARGE None, "too long";
    /// Nodes that answer do not have all of it.
    INCOMPLETE = "LODE1020" SERVICE_UNAVAILABLE Some(10), "not all chunks can be reached";
    /// No node answers.
    SILENT = "LODE1021" SERVICE_UNAVAILABLE Some(5), "no storage node answers";
    /// Nodes do not give what they say they hold.
    BAD_NODES = "LODE1022" BAD_GATEWAY Some(10), "storage nodes failed";
    /// Too much to do.
    BUSY = "LODE1030" SERVICE_UNAVAILABLE Some(1), "busy";
    /// The answer did not begin in time.
    SLOW = "LODE1031" GATEWAY_TIMEOUT Some(5), "no answer in time";
    /// A bug.
    INTERNAL = "LODE1040" INTERNAL_SERVER_ERROR None, "internal error";
}

impl Problem {
    /// The code with this occasion's detail.
    pub fn new(code: &'static Code, detail: impl Into<String>) -> Problem {
        Problem {
            code,
            detail: detail.into(),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        let code = match &failure {
            Failure::Invalid(_) => BAD_REQUEST,
            Failure::Unknown => NO_BLOB,
            Failure::Pruned => PRUNED,
            Failure::NotFinal => NOT_FINAL,
            Failure::Incomplete { .. } => INCOMPLETE,
            Failure::Silent => SILENT,
            Failure::Missing(_) | Failure::NotTaken(_) => BAD_NODES,
            Failure::NotFolder(_) => NOT_A_FOLDER,
            Failure::NoPath(_) => NO_PATH,
            Failure::TooLong { .. } => TOO_LONG,
            Failure::Crowded(_) => BUSY,
        };
        Problem::new(code, failure.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Code {
            name,
            status,
            title,
            retry_after,
        } = *self.code;
        let body = Body {
            r#type: format!("urn:lode:{name}"),
            title,
            status: status.as_u16(),
            code: name,
            detail: &self.detail,
            retryable: retry_after.is_some(),
        };
        let body = serde_json::to_vec(&body).expect("text and numbers are JSON");
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, kind, body).into_response();
        if let Some(seconds) = retry_after {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes are unique, in order, and errors by their status.
    #[test]
    fn table() {
        for pair in CODES.windows(2) {
            assert!(pair[0].name < pair[1].name, "{pair:?}");
        }
        for code in CODES {
            assert!(code.status.is_client_error() || code.status.is_server_error());
            assert!(code.name.starts_with("LODE1"), "{code:?}");
        }
    }
}
