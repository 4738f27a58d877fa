//! A block's transactions become receipts, changes and a root.

use std::borrow::Cow;

use alloy_consensus::{Header, ReceiptEnvelope, TxEnvelope, transaction::Recovered};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_evm::{
    Evm, EvmEnv, EvmFactory,
    block::{BlockExecutionError, BlockExecutor},
    eth::{EthBlockExecutionCtx, EthBlockExecutor, receipt_builder::AlloyReceiptBuilder},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::B256;
use lode_chain_state::{
    apply::apply,
    versions::{self, Changes, Read},
};
use revm::database::{State, states::bundle_state::BundleRetention};

use crate::{
    database::{Database, touched},
    early,
    spec::Spec,
};

/// A block that is to be executed, but for its transactions.
pub struct Work<'block> {
    /// Its header: number, time, beneficiary, fees and limits hold; what execution finds out is not
    /// looked at.
    pub header: &'block Header,
    /// Headers of its uncles.
    pub ommers: &'block [Header],
    /// Its withdrawals, from Shanghai on.
    pub withdrawals: Option<&'block [Withdrawal]>,
}

/// Where a block's transactions come from, and who sent them.
pub trait Source {
    /// The next one, if there is one for what is left of the block's gas.
    fn next(&mut self, gas_left: u64) -> Option<&Recovered<TxEnvelope>>;

    /// The last one cannot be in this block, which is as if it had not been tried. An error ends the
    /// block.
    ///
    /// # Errors
    /// For who will have this transaction in the block or none.
    fn refused(&mut self, why: BlockExecutionError) -> Result<(), BlockExecutionError>;
}

/// The transactions of a block that exists: each of them holds, or the block does not.
#[derive(Debug)]
pub struct Given<'block>(std::slice::Iter<'block, Recovered<TxEnvelope>>);

impl<'block> Given<'block> {
    /// These, in order.
    pub fn new(transactions: &'block [Recovered<TxEnvelope>]) -> Self {
        Given(transactions.iter())
    }
}

impl Source for Given<'_> {
    fn next(&mut self, _: u64) -> Option<&Recovered<TxEnvelope>> {
        self.0.next()
    }

    fn refused(&mut self, why: BlockExecutionError) -> Result<(), BlockExecutionError> {
        Err(why)
    }
}

/// What execution has found.
#[derive(Debug)]
pub struct Executed {
    /// Of all transactions, in order.
    pub receipts: Vec<ReceiptEnvelope>,
    /// Gas that they used.
    pub gas_used: u64,
    /// Gas of their blobs.
    pub blob_gas_used: u64,
    /// What the system's contracts ask for (EIP-7685).
    pub requests: Requests,
    /// The state's root afterwards.
    pub state_root: B256,
    /// What has changed in the state.
    pub changes: Changes,
}

/// Why a block could not be executed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The block breaks a rule, or the state under it could not be read.
    #[error("the block cannot be executed: {0}")]
    Block(#[from] BlockExecutionError),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] versions::Error),
}

/// Executes a block on the state of its parent. `hashes` tells the hash of a block by its number.
///
/// # Errors
/// When the block breaks a rule, the state cannot be read, or `source` says so.
pub fn execute(
    spec: &Spec,
    state: &impl Read,
    hashes: impl Fn(u64) -> Result<B256, versions::Error>,
    work: &Work<'_>,
    source: &mut impl Source,
) -> Result<Executed, Error> {
    let header = work.header;
    let database = Database { state, hashes };
    let mut cached = State::builder()
        .with_database_ref(database)
        .with_bundle_update()
        .build();
    let params = spec.blob_params(header.timestamp);
    let env = EvmEnv::for_eth_block(header, spec, spec.chain_id(), params);
    let evm = spec.factory().create_evm(&mut cached, env);
    let builder = AlloyReceiptBuilder::default();
    let mut executor = EthBlockExecutor::new(evm, context(work), spec, builder);
    let early = !spec.is_byzantium_active_at_block(header.number);
    let mut roots = Vec::new();
    executor.apply_pre_execution_changes()?;
    loop {
        let left = header.gas_limit - executor.cumulative_tx_gas_used;
        let Some(transaction) = source.next(left) else {
            break;
        };
        match executor.execute_transaction(transaction) {
            Ok(_) => {}
            Err(why @ BlockExecutionError::Validation(_)) => {
                source.refused(why)?;
                continue;
            }
            Err(failed) => return Err(failed.into()),
        }
        if early {
            roots.push(early::root_so_far(state, executor.evm_mut().db_mut())?);
        }
    }
    let mut found = executor.apply_post_execution_changes()?;
    if early {
        early::put_roots(&mut found.receipts, roots);
    }
    cached.merge_transitions(BundleRetention::PlainState);
    let (state_root, changes) = apply(state, &touched(cached.take_bundle()))?;
    Ok(Executed {
        receipts: found.receipts,
        gas_used: found.gas_used,
        blob_gas_used: found.blob_gas_used,
        requests: found.requests,
        state_root,
        changes,
    })
}

fn context<'block>(work: &Work<'block>) -> EthBlockExecutionCtx<'block> {
    EthBlockExecutionCtx {
        parent_hash: work.header.parent_hash,
        parent_beacon_block_root: work.header.parent_beacon_block_root,
        ommers: work.ommers,
        withdrawals: work.withdrawals.map(Cow::Borrowed),
        extra_data: work.header.extra_data.clone(),
        tx_count_hint: None,
        slot_number: None,
    }
}
