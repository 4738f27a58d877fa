//! Errors over HTTP: one numbered code each, one `application/problem+json` body (RFC 9457), one HTTP status
//! that says the same. Statuses are protocol to rollups: 503 of a put means to post elsewhere, 418 of a
//! get to drop the commitment, 404 that nobody has the blob.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    availability::{GetError, PostError, StatusError},
    post::NotPosted,
    server::gate::Refusal,
};

/// What is known about a code before it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable name, `LODE2xxx`.
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
    UNKNOWN_PATH = "LODE2001" NOT_FOUND None, "nothing at this path";
    /// A route that does not know this method.
    BAD_METHOD = "LODE2002" METHOD_NOT_ALLOWED None, "method not allowed";
    /// A path, query, header or body that cannot be read.
    BAD_REQUEST = "LODE2003" BAD_REQUEST None, "bad request";
    /// A body beyond its limit.
    LONG_BODY = "LODE2004" PAYLOAD_TOO_LARGE None, "body too long";
    /// A range that the blob does not have.
    OUT_OF_RANGE = "LODE2005" RANGE_NOT_SATISFIABLE None, "range not satisfiable";
    /// The client sends less than is waited for.
    SLOW_BODY = "LODE2006" REQUEST_TIMEOUT Some(1), "body too slow";
    /// Nobody knows it.
    NOT_FOUND = "LODE2010" NOT_FOUND None, "not found";
    /// It was kept until its expiry.
    EXPIRED = "LODE2011" NOT_FOUND None, "expired";
    /// No blob has, or ever will have, this name.
    FORGED = "LODE2012" IM_A_TEAPOT None, "no such blob in this container, nor will there be";
    /// Too few holders signed, or none in time.
    UNSIGNED = "LODE2020" SERVICE_UNAVAILABLE Some(10), "no certificate";
    /// Nothing goes in.
    DOWN = "LODE2021" SERVICE_UNAVAILABLE Some(10), "data availability is down";
    /// Nothing comes out.
    UNREACHABLE = "LODE2022" INTERNAL_SERVER_ERROR Some(5), "the blob cannot be reached";
    /// Too much to do.
    BUSY = "LODE2030" TOO_MANY_REQUESTS Some(1), "busy";
    /// The answer did not begin in time.
    SLOW = "LODE2031" GATEWAY_TIMEOUT Some(5), "no answer in time";
    /// A bug, or a store that does not keep its promise.
    INTERNAL = "LODE2040" INTERNAL_SERVER_ERROR None, "internal error";
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

impl From<NotPosted> for Problem {
    fn from(error: NotPosted) -> Problem {
        let code = match &error {
            NotPosted::Refused(PostError::Empty) => BAD_REQUEST,
            NotPosted::Refused(PostError::TooLong { .. }) => LONG_BODY,
            NotPosted::Refused(PostError::Overloaded) => BUSY,
            NotPosted::Refused(PostError::Unavailable(_)) => DOWN,
            NotPosted::Late(_) | NotPosted::Unsigned | NotPosted::Failed(_) => UNSIGNED,
            NotPosted::Lost(StatusError::Unavailable(_)) => DOWN,
            NotPosted::Lost(StatusError::Unknown) => INTERNAL,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<GetError> for Problem {
    fn from(error: GetError) -> Problem {
        let code = match &error {
            GetError::NotFound => NOT_FOUND,
            GetError::Absent => FORGED,
            GetError::Expired => EXPIRED,
            GetError::Unavailable(_) | GetError::TimedOut => UNREACHABLE,
            GetError::Untrue(_) => INTERNAL,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let code = match refusal {
            Refusal::TooLong => LONG_BODY,
            Refusal::Busy => BUSY,
            Refusal::Late => SLOW_BODY,
            Refusal::Slow => SLOW,
            Refusal::Broken => BAD_REQUEST,
        };
        Problem::new(code, refusal.to_string())
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
            assert!(code.name.starts_with("LODE2"), "{code:?}");
        }
    }
}
