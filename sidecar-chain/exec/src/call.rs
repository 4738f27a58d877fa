//! Questions to contracts that leave nothing behind.

use alloy_consensus::Header;
use alloy_eips::eip4788::SYSTEM_ADDRESS;
use alloy_evm::{Evm, EvmEnv, EvmFactory};
use alloy_primitives::{Address, B256, Bytes};
use lode_chain_state::versions::{self, Read};
use revm::{
    context_interface::result::{EVMError, ExecutionResult},
    database::CacheDB,
};

use crate::{
    database::{Database, Failed},
    spec::Spec,
};

/// What a contract answers after the block of that header, of which `state` is the state. None if it
/// does not return: it reverts, or needs more gas than a system call has (30 million).
///
/// # Errors
/// When the state cannot be read.
pub fn ask(
    spec: &Spec,
    header: &Header,
    state: &impl Read,
    hashes: impl Fn(u64) -> Result<B256, versions::Error>,
    contract: Address,
    call: Bytes,
) -> Result<Option<Bytes>, versions::Error> {
    let params = spec.blob_params(header.timestamp);
    let env = EvmEnv::for_eth_block(header, spec, spec.chain_id(), params);
    let cached = CacheDB::new(Database { state, hashes });
    let mut evm = spec.factory().create_evm(cached, env);
    match evm.transact_system_call(SYSTEM_ADDRESS, contract, call) {
        Ok(found) => Ok(match found.result {
            ExecutionResult::Success { output, .. } => Some(output.into_data()),
            ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => None,
        }),
        Err(EVMError::Database(Failed(why))) => Err(why),
        // A system call is nobody's transaction: there is nothing else to be wrong with it.
        Err(_) => Ok(None),
    }
}
