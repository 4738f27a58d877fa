//! What can go wrong with a chain's books.

use alloy_primitives::B256;
use lode_chain_exec::execute;
use lode_chain_state::versions;
use lode_chain_types::Height;

/// Why the ledger could not do as told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store below failed or does not keep what was asked for.
    #[error(transparent)]
    State(#[from] versions::Error),
    /// The store holds what this program did not write.
    #[error("the ledger is damaged: {0} cannot be read; restore the folder, or sync it anew")]
    Damaged(&'static str),
    /// The folder is of another chain.
    #[error(
        "the folder holds the chain of block zero {found}, and the genesis file is of {wanted}"
    )]
    OtherChain {
        /// Block zero in the folder.
        found: B256,
        /// That of the genesis file.
        wanted: B256,
    },
    /// A block could not be executed.
    #[error("block {height}: {source}")]
    Execution {
        /// Its height.
        height: Height,
        /// Why.
        source: execute::Error,
    },
    /// A block breaks a rule.
    #[error("block {height} is not valid: {rule}")]
    Invalid {
        /// Its height.
        height: Height,
        /// The rule.
        rule: &'static str,
    },
    /// A checkpoint's state that is there by half.
    #[error(
        "a checkpoint sync into this folder has not ended: start it again, or remove the folder"
    )]
    Unfinished,
    /// There is a chain where one was to begin.
    #[error("the folder holds a chain up to block {tip} already")]
    Begun {
        /// Its last block.
        tip: Height,
    },
    /// A folder could not be made, moved or removed.
    #[error(transparent)]
    Folder(#[from] std::io::Error),
    /// Neither final nor executed here.
    #[error("block {0} is not known")]
    Unknown(B256),
    /// A final block that is not the one that is kept: two final blocks of one height.
    #[error("block {height} is final as {kept}, and now as {other}")]
    Conflict {
        /// Their height.
        height: Height,
        /// The one that is kept.
        kept: B256,
        /// The other.
        other: B256,
    },
    /// The thread that executes has ended.
    #[error("the ledger has stopped")]
    Stopped,
}
