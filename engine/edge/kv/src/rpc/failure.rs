//! Refusals in 0G's form: a code, a message that names the parameter, and words beside it.

use jsonrpsee::types::{
    ErrorObjectOwned,
    error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE},
};

use crate::store::StoreError;

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) struct Failure(ErrorObjectOwned);

impl Failure {
    /// A parameter is not what it must be.
    pub(crate) fn parameter(name: &str, why: impl Into<String>) -> Failure {
        let message = format!("Invalid params: {name}");
        let why: String = why.into();
        Failure(ErrorObjectOwned::owned(
            INVALID_PARAMS_CODE,
            message,
            Some(why),
        ))
    }

    /// The node cannot.
    pub(crate) fn internal(why: impl Into<String>) -> Failure {
        let why: String = why.into();
        let message = "Internal error";
        Failure(ErrorObjectOwned::owned(
            INTERNAL_ERROR_CODE,
            message,
            Some(why),
        ))
    }
}

impl From<Failure> for ErrorObjectOwned {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooManyStreams(_) | StoreError::TooManyRemoved(_) => {}
            _ => tracing::error!(%error, "a request met the store's failure"),
        }
        Failure::internal(error.to_string())
    }
}
