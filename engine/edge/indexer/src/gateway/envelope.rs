//! Answers in the words of 0G's gateway (0G wire, 3.5): `{code, message, data}`, HTTP 200 for success and
//! for business errors, HTTP 600 for internal ones.
//!
//! | code | message |
//! |---|---|
//! | 0 | Success |
//! | 1 | Invalid parameter |
//! | 2 | Internal server error |
//! | 101 | File not found |
//! | 102 | File already pruned |
//! | 103 | File not finalized yet |
//! | 104 | File path not found |
//! | 105 | File size too large |
//! | 106 | File type unsupported: of theirs, never said by us, since there are three types |

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// A refusal, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub Failure);

#[derive(Serialize)]
struct Envelope<T> {
    code: u16,
    message: &'static str,
    data: T,
}

/// All went well.
pub fn success(data: impl Serialize) -> Response {
    let (code, message) = SUCCESS;
    Json(Envelope {
        code,
        message,
        data,
    })
    .into_response()
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused(failure)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let ((code, message), data) = said(&self.0);
        let status = match code == INTERNAL.0 {
            true => internal_status(),
            false => StatusCode::OK,
        };
        let body = Envelope {
            code,
            message,
            data,
        };
        (status, Json(body)).into_response()
    }
}

/// 600, which no RFC knows.
fn internal_status() -> StatusCode {
    StatusCode::from_u16(600).expect("three digits are a status")
}

const SUCCESS: (u16, &str) = (0, "Success");
const INVALID: (u16, &str) = (1, "Invalid parameter");
const INTERNAL: (u16, &str) = (2, "Internal server error");
const NOT_FOUND: (u16, &str) = (101, "File not found");
const PRUNED: (u16, &str) = (102, "File already pruned");
const NOT_FINAL: (u16, &str) = (103, "File not finalized yet");
const NO_PATH: (u16, &str) = (104, "File path not found");
const TOO_LARGE: (u16, &str) = (105, "File size too large");

/// Code and message, and the data beside them.
fn said(failure: &Failure) -> ((u16, &'static str), Value) {
    match failure {
        Failure::Invalid(why) => (INVALID, why.as_str().into()),
        Failure::Unknown => (NOT_FOUND, Value::Null),
        Failure::Pruned => (PRUNED, Value::Null),
        Failure::NotFinal => (NOT_FINAL, Value::Null),
        Failure::NoPath(_) => (NO_PATH, failure.to_string().into()),
        Failure::TooLong { size, max } => (TOO_LARGE, json!({"actual": size, "max": max})),
        Failure::Incomplete { .. }
        | Failure::Silent
        | Failure::Missing(_)
        | Failure::NotFolder(_)
        | Failure::NotTaken(_)
        | Failure::Crowded(_) => (INTERNAL, failure.to_string().into()),
    }
}
