//! Questions to contracts, as the state after a final block has them.

use alloy_primitives::{Address, B256, Bytes};
use lode_chain_exec::call;
use lode_chain_ledger::{Error, Ledger};
use lode_chain_types::Height;

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
