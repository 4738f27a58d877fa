//! Questions to contracts, as the state after a final block has them.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes};
use lode_chain_exec::{call, spec::Spec};
use lode_chain_ledger::{Error, Ledger};
use lode_chain_state::versions::{self, Read};
use lode_chain_types::Height;

/// A state in which contracts can be asked.
pub trait Contracts {
    /// The block after which it is.
    fn height(&self) -> Height;

    /// What a contract answers; none if it does not return, or there is no such block yet.
    ///
    /// # Errors
    /// When that state is not kept, or the store fails.
    fn ask(&self, contract: Address, question: Bytes) -> Result<Option<Bytes>, Error>;
}

/// The state after a block of a ledger.
pub struct After<'ledger> {
    /// The ledger.
    pub ledger: &'ledger Ledger,
    /// The block.
    pub height: Height,
}

impl Contracts for After<'_> {
    fn height(&self) -> Height {
        self.height
    }

    fn ask(&self, contract: Address, question: Bytes) -> Result<Option<Bytes>, Error> {
        ask(self.ledger, self.height, contract, question)
    }
}

/// A state that is in no ledger.
pub(crate) struct Apart<'state, S> {
    pub(crate) spec: &'state Spec,
    /// Of the block after which it is.
    pub(crate) header: &'state Header,
    pub(crate) state: &'state S,
}

impl<S: Read> Contracts for Apart<'_, S> {
    fn height(&self) -> Height {
        self.header.number
    }

    fn ask(&self, contract: Address, question: Bytes) -> Result<Option<Bytes>, Error> {
        // Better no answer than one that others would not give.
        let hashes = |_| {
            Err(versions::Error::Damaged(
                "the hash of a block that is not here",
            ))
        };
        Ok(call::ask(
            self.spec,
            self.header,
            self.state,
            hashes,
            contract,
            question,
        )?)
    }
}

/// What a contract answers after the block of a height. None if there is no such block yet, or the
/// contract does not return.
///
/// # Errors
/// When that state is not kept, or the store fails.
pub fn ask(
    ledger: &Ledger,
    height: Height,
    contract: Address,
    question: Bytes,
) -> Result<Option<Bytes>, Error> {
    let view = ledger.latest();
    let Some(header) = view.header(height)? else {
        return Ok(None);
    };
    let state = view.state(height)?;
    let hashes = |number| Ok(view.hash(number)?.unwrap_or(B256::ZERO));
    let spec = &ledger.chain().spec;
    Ok(call::ask(
        spec, &header, &state, hashes, contract, question,
    )?)
}
