//! Why a request is not answered, with the codes and in the words of geth: clients know errors by
//! them.
//!
//! | code | what |
//! |---|---|
//! | -32602 | an argument is missing or is not what it should be |
//! | -32000 | all else that geth says, such as "nonce too low" |
//! | -32001 | what a node that syncs asked for is gone (EIP-1474) |
//! | -32005 | a limit of this node; `data` tells the limits (EIP-1474) |
//! | 4444 | of blocks before the one that this node began with there is nothing |
//! | 3 | execution was reverted; `data` is what the contract said |

use alloy_primitives::{Bytes, U256};
use jsonrpsee::types::ErrorObjectOwned;
use lode_chain_ledger as ledger;
use lode_chain_state::versions;
use serde::Serialize;

/// An argument is not what it should be.
pub const ARGUMENT: i32 = -32602;
/// Geth's code for all that has no code of its own.
pub const SERVER: i32 = -32000;
/// A limit of this node (EIP-1474).
pub const LIMIT: i32 = -32005;
/// Blocks that are not kept (as in geth).
pub const PRUNED: i32 = 4444;
/// Execution was reverted.
pub const REVERTED: i32 = 3;

/// Why a request is not answered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message())]
pub struct Failure(ErrorObjectOwned);

impl Failure {
    /// With a code of one's own.
    pub fn coded(code: i32, message: impl Into<String>) -> Failure {
        Failure(ErrorObjectOwned::owned(code, message, None::<()>))
    }

    /// An argument is not what it should be.
    pub fn argument(message: impl Into<String>) -> Failure {
        Failure::coded(ARGUMENT, message)
    }

    /// Geth's code for all that has no code of its own.
    pub fn server(message: impl Into<String>) -> Failure {
        Failure::coded(SERVER, message)
    }

    /// A limit of this node. `data` tells the limits, so that a client can keep them.
    pub fn limit(message: impl Into<String>, data: impl Serialize) -> Failure {
        Failure(ErrorObjectOwned::owned(LIMIT, message, Some(data)))
    }

    /// A block below the one that this node began with, in geth's words.
    pub fn pruned() -> Failure {
        Failure::coded(PRUNED, "pruned history unavailable")
    }

    /// Execution was reverted, and the contract said `output`.
    pub fn reverted(output: &Bytes) -> Failure {
        let message = reverted(output);
        Failure(ErrorObjectOwned::owned(REVERTED, message, Some(output)))
    }

    /// Its code.
    pub fn code(&self) -> i32 {
        self.0.code()
    }
}

impl From<Failure> for ErrorObjectOwned {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<ledger::Error> for Failure {
    fn from(error: ledger::Error) -> Self {
        match error {
            ledger::Error::State(error) => error.into(),
            error => {
                tracing::error!(%error, "a request met the ledger's failure");
                Failure::server(error.to_string())
            }
        }
    }
}

impl From<versions::Error> for Failure {
    fn from(error: versions::Error) -> Self {
        if !matches!(error, versions::Error::NotKept { .. }) {
            tracing::error!(%error, "a request met the store's failure");
        }
        Failure::server(error.to_string())
    }
}

impl From<lode_chain_pool::Error> for Failure {
    fn from(error: lode_chain_pool::Error) -> Self {
        Failure::server(error.to_string())
    }
}

/// Selector of Solidity's `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// Selector of Solidity's `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];
const WORD: usize = 32;

/// What geth says of a call that was reverted.
pub fn reverted(output: &[u8]) -> String {
    match reason(output) {
        Some(reason) => format!("execution reverted: {reason}"),
        None => "execution reverted".to_owned(),
    }
}

fn reason(output: &[u8]) -> Option<String> {
    let (selector, data) = output.split_first_chunk()?;
    match *selector {
        ERROR => {
            let at = small(data.get(..WORD)?)?;
            let text = data.get(at..)?;
            let len = small(text.get(..WORD)?)?;
            let text = text.get(WORD..)?.get(..len)?;
            Some(String::from_utf8_lossy(text).into_owned())
        }
        PANIC => {
            let code = U256::from_be_slice(data.get(..WORD)?);
            let known = u8::try_from(code).ok().and_then(panic);
            Some(known.map_or_else(
                || format!("unknown panic code: {code:#x}"),
                ToOwned::to_owned,
            ))
        }
        _ => None,
    }
}

fn small(word: &[u8]) -> Option<usize> {
    usize::try_from(U256::from_be_slice(word)).ok()
}

/// Solidity's panics (its manual, "Panic via assert and Error via require").
fn panic(code: u8) -> Option<&'static str> {
    Some(match code {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return None,
    })
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
