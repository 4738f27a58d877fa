//! Who is asked for a chain, and what can go wrong with it. A source is trusted in nothing.

use std::{thread, time::Duration};

use alloy_primitives::B256;
use lode_chain_ledger::{Error as LedgerError, chain};
use lode_chain_light::{Refusal, trust};
use lode_chain_rpc::sync::GONE;
use lode_chain_state::walk;
use lode_chain_types::Height;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{committees, genesis};

/// Times that a question without an answer is asked again.
const TRIES: u32 = 4;
/// Time before the first of them; each further one waits twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// A node's JSON-RPC.
pub trait Source {
    /// Where it is, as errors name it.
    fn name(&self) -> &str;

    /// What it answers to a call: the `result`, of a few megabytes at most.
    ///
    /// # Errors
    /// [`Trouble`].
    fn call(&self, method: &str, params: &Value) -> Result<Value, Trouble>;
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No answer, or none that is JSON-RPC: it may be another time.
    Silent(String),
    /// It refuses.
    Refused {
        /// Its number for that.
        code: i64,
        /// Its words.
        message: String,
    },
}

/// What a source says that is not so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// Something that is none of what was asked for.
    #[error("{0}")]
    Form(String),
    /// A header that the committee has not made final.
    #[error("block {block}: {refusal}")]
    Header {
        /// The block that was asked for, or 0 where it was for the source to say.
        block: Height,
        /// Why it is not.
        refusal: Refusal,
    },
    /// A block of another number, or of another epoch than its certificate.
    #[error("the certificate of block {0} is not one of its epoch, or it is another block")]
    Place(Height),
    /// A header that is not the one below.
    #[error("the header of block {0} is not the one that the block above lies on")]
    Link(Height),
    /// A block that is not the one of its header.
    #[error("block {0} is another one than its certificate says")]
    Block(Height),
    /// Receipts that are not those of the block.
    #[error("the receipts of block {0} are not its own")]
    Receipts(Height),
    /// A node that is none of the state.
    #[error("{0}")]
    Node(#[from] walk::Refused),
    /// No node where there is one.
    #[error("there is no node at `{0}`, where the state goes on")]
    NoNode(String),
    /// Code that has another hash.
    #[error("the code of hash {0} is another one")]
    Code(B256),
}

/// Why a folder does not begin with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A source gives no answer.
    #[error("{source_name} does not answer {method}: {why}")]
    Silent {
        /// Which one.
        source_name: String,
        /// To what.
        method: String,
        /// Why.
        why: String,
    },
    /// A source refuses to answer.
    #[error("{source_name} refuses {method}: {message} ({code})")]
    Refused {
        /// Which one.
        source_name: String,
        /// To what.
        method: String,
        /// Its number for that.
        code: i64,
        /// Its words.
        message: String,
    },
    /// A source has no block with a certificate yet, or not the one that is asked for.
    #[error("{source_name} has no certificate of {what}")]
    Uncertified {
        /// Which one.
        source_name: String,
        /// Of what.
        what: String,
    },
    /// A source says what is not so.
    #[error("{source_name} lies: {lie}")]
    Lie {
        /// Which one.
        source_name: String,
        /// What it says.
        lie: Lie,
    },
    /// No source could be used.
    #[error("no source has what is needed: {}", list(.0))]
    Sources(Vec<Error>),
    /// The block before the epoch says nothing of a committee, though it is proven.
    #[error("the chain's blocks are none that this release can read")]
    Chain,
    /// The genesis file begins no chain.
    #[error("the genesis file: {0}")]
    File(#[from] chain::Error),
    /// The genesis file is of another kind of chain.
    #[error("the genesis file: {0}")]
    Genesis(#[from] genesis::Error),
    /// The genesis file says nothing that can be trusted in.
    #[error("the genesis file: {0}")]
    Trust(#[from] trust::Error),
    /// The folder cannot be written, or holds something else.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Members cannot be kept.
    #[error(transparent)]
    Committees(#[from] committees::Error),
}

fn list(errors: &[Error]) -> String {
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    all.join("; ")
}

impl Error {
    /// Of all sources; of the one if there is one.
    pub(crate) fn all(mut errors: Vec<Error>) -> Error {
        match (errors.pop(), errors.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                errors.extend(last);
                Error::Sources(errors)
            }
        }
    }

    /// Whether another source may do better.
    pub fn is_of_source(&self) -> bool {
        matches!(
            self,
            Error::Silent { .. }
                | Error::Refused { .. }
                | Error::Uncertified { .. }
                | Error::Lie { .. }
                | Error::Sources(_)
        )
    }

    /// Whether a state was there and is not kept any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Error::Refused { code, .. } if *code == i64::from(GONE))
    }
}

/// A source that is asked with patience, and by name.
pub(crate) struct Asked<'source>(&'source dyn Source);

impl<'source> Asked<'source> {
    pub(crate) fn new(source: &'source dyn Source) -> Self {
        Asked(source)
    }

    /// What it answers, read as what it should be.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<T, Error> {
        let mut pause = PAUSE;
        for rest in (0..TRIES).rev() {
            match self.0.call(method, params) {
                Ok(answer) => {
                    return serde_json::from_value(answer)
                        .map_err(|error| self.lie(Lie::Form(format!("{method}: {error}"))));
                }
                Err(Trouble::Silent(_)) if rest > 0 => {
                    thread::sleep(pause);
                    pause *= 2;
                }
                Err(trouble) => return Err(self.failed(method, trouble)),
            }
        }
        unreachable!("the last try returns")
    }

    fn failed(&self, method: &str, trouble: Trouble) -> Error {
        let (source_name, method) = (self.0.name().to_owned(), method.to_owned());
        match trouble {
            Trouble::Silent(why) => Error::Silent {
                source_name,
                method,
                why,
            },
            Trouble::Refused { code, message } => Error::Refused {
                source_name,
                method,
                code,
                message,
            },
        }
    }

    pub(crate) fn lie(&self, lie: impl Into<Lie>) -> Error {
        Error::Lie {
            source_name: self.0.name().to_owned(),
            lie: lie.into(),
        }
    }

    pub(crate) fn uncertified(&self, what: impl Into<String>) -> Error {
        Error::Uncertified {
            source_name: self.0.name().to_owned(),
            what: what.into(),
        }
    }
}
