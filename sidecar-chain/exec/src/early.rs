//! Receipts as they were before Byzantium: with the state's root after the transaction, where later ones
//! have a status (EIP-658). It takes a root for every transaction, so only blocks of old chains pay it.

use alloy_consensus::{Eip658Value, ReceiptEnvelope};
use alloy_primitives::B256;
use lode_chain_state::{
    apply::apply,
    versions::{self, Read},
};
use revm::{
    Database,
    database::{State, states::bundle_state::BundleRetention},
};

use crate::database::touched;

/// The root after the transactions that were executed on `state` up to here.
///
/// # Errors
/// When the state cannot be read.
pub(crate) fn root_so_far<D: Database>(
    state: &impl Read,
    cached: &mut State<D>,
) -> Result<B256, versions::Error> {
    cached.merge_transitions(BundleRetention::PlainState);
    let (root, _) = apply(state, &touched(cached.bundle_state.clone()))?;
    Ok(root)
}

/// Puts the root after each transaction into its receipt.
pub(crate) fn put_roots(receipts: &mut [ReceiptEnvelope], roots: Vec<B256>) {
    assert_eq!(
        receipts.len(),
        roots.len(),
        "each transaction has a receipt"
    );
    for (receipt, root) in receipts.iter_mut().zip(roots) {
        let inner = receipt.as_receipt_with_bloom_mut();
        let inner = inner.expect("every kind of receipt has a status");
        inner.receipt.status = Eip658Value::PostState(root);
    }
}
