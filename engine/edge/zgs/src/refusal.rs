//! Errors in the words that 0G's clients match (0G wire, 3.1).
//!
//! | code | message | data | of |
//! |---|---|---|---|
//! | -32602 | `Invalid params: FIELD` | why | what a client sends |
//! | -32603 | `Internal error` | why | what it cannot help |
//! | -32000 | why | none | all that 0G's nodes say in one sentence |

use jsonrpsee::types::ErrorObjectOwned;
use lode_engine::{Class, Error};
use lode_flow::{BookError, PathError, PieceError};
use lode_wire::text;

use crate::{meter::Reason, shelf::ShelfError};

const INVALID_PARAMS: i32 = -32_602;
const INTERNAL: i32 = -32_603;
const SENTENCE: i32 = -32_000;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A parameter is not one that can be served.
    #[error("Invalid params: {field}; data: {why}")]
    Param {
        /// Which.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// Nothing that the client sends would help.
    #[error("Internal error; data: {0}")]
    Internal(String),
    /// As 0G's nodes say it.
    #[error("{0}")]
    Sentence(String),
    /// The parameters are not of their types.
    #[error(transparent)]
    Call(#[from] ErrorObjectOwned),
}

impl Refusal {
    /// Of a parameter.
    pub fn param(field: &'static str, why: impl Into<String>) -> Refusal {
        let why = why.into();
        Refusal::Param { field, why }
    }

    /// Too much is on its way: clients wait for it and come again.
    pub fn too_many(count: usize) -> Refusal {
        Refusal::Sentence(format!("{}{count}", text::TOO_MANY))
    }

    /// Whether it says that the chunk is here already.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Refusal::Sentence(why) if why == text::DUPLICATE)
    }
}

impl Refusal {
    /// Whether it says that nothing is left to send.
    pub fn is_finalized(&self) -> bool {
        matches!(self, Refusal::Param { why, .. } if why == text::FINALIZED)
    }

    /// As a label.
    pub fn reason(&self) -> Reason {
        match self {
            Refusal::Param { field, why } => match *field {
                "proof" => Reason::Proof,
                _ if why == text::FINALIZED => Reason::Finalized,
                _ => Reason::Params,
            },
            Refusal::Internal(_) => Reason::Internal,
            Refusal::Sentence(why) if why.starts_with(text::TOO_MANY) => Reason::Busy,
            Refusal::Sentence(_) if self.is_duplicate() => Reason::Duplicate,
            Refusal::Sentence(_) => Reason::Sentence,
            Refusal::Call(_) => Reason::Params,
        }
    }
}

impl From<Refusal> for ErrorObjectOwned {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Param { field, why } => {
                let message = format!("Invalid params: {field}");
                ErrorObjectOwned::owned(INVALID_PARAMS, message, Some(why))
            }
            Refusal::Internal(why) => {
                ErrorObjectOwned::owned(INTERNAL, "Internal error", Some(why))
            }
            Refusal::Sentence(why) => ErrorObjectOwned::owned(SENTENCE, why, None::<()>),
            Refusal::Call(error) => error,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match &error {
            Error::Unproven { .. } => Refusal::param("proof", error.to_string()),
            Error::Busy { .. } | Error::UploadBusy { .. } => Refusal::too_many(1),
            _ if error.class() == Class::Fatal => Refusal::Internal(error.to_string()),
            _ => Refusal::Sentence(error.to_string()),
        }
    }
}

impl From<ShelfError> for Refusal {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Store(error) => error.into(),
            ShelfError::Piece(PieceError::Pruned { .. }) => Refusal::param("root", text::PRUNED),
            ShelfError::Piece(error) => Refusal::Internal(error.to_string()),
        }
    }
}

impl From<BookError> for Refusal {
    fn from(error: BookError) -> Self {
        Refusal::Internal(error.to_string())
    }
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Self {
        match error {
            PathError::Book(error) => error.into(),
            error => Refusal::Sentence(error.to_string()),
        }
    }
}
