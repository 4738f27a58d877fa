//! Who signed transactions: what is known of the sender of a submission to a flow that does not log it.
//!
//! A node is asked for transactions by their hashes, and what it answers is believed only if it has
//! that hash; then its signature says who signed, and what else the node says of that is not looked
//! at. Which transaction a log is of is the node's word alone, as all is that a log says beside what
//! adds up ([`crate::logs`]): it would take the block's receipts to check it.
//!
//! The signer of a hash is the same on every chain and in every block, so no reorg voids what was
//! learned.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use alloy_consensus::{TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, keccak256};

use crate::{
    certified::Contracts,
    logs::{Lie, LogsError, Submission},
    node::NodeError,
};

/// Transactions that are asked for at a time. A pool takes none of more than 128 KiB, which are twice
/// that in an answer: 8 MiB at most. Nodes that bound a batch allow more questions than this as a rule.
const BATCH: usize = 32;

/// Signers that were learned, so that a reader who is interrupted does not begin again.
#[derive(Default)]
pub(crate) struct Signers(Mutex<BTreeMap<B256, Address>>);

/// Why somebody who signed is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignersError {
    /// The node did not answer, or does not have a transaction yet whose logs it has: ask again.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node answered with something else.
    #[error(transparent)]
    Logs(#[from] LogsError),
}

impl Signers {
    /// Fills in the senders of submissions, and forgets all others. Each transaction is asked for once,
    /// however many submissions are in it.
    pub async fn fill(
        &self,
        node: &impl Contracts,
        list: &mut [Submission],
    ) -> Result<(), SignersError> {
        // What is known of others is of no use any more.
        let wanted: BTreeSet<B256> = list.iter().map(|of| of.transaction.into()).collect();
        self.known().retain(|hash, _| wanted.contains(hash));
        let unknown: Vec<B256> = {
            let known = self.known();
            let unknown = |hash: &B256| !known.contains_key(hash);
            wanted.into_iter().filter(unknown).collect()
        };
        for hashes in unknown.chunks(BATCH) {
            let answers = node.transactions(hashes).await?;
            if answers.len() != hashes.len() {
                return Err(strange("not as many as were asked for".to_owned()).into());
            }
            for (hash, answer) in hashes.iter().zip(answers) {
                let answer = answer
                    .ok_or_else(|| strange(format!("it has logs of {hash}, and not itself")))?;
                let signer = signer(*hash, &answer).map_err(|lie| LogsError::Lie {
                    seq: first_of(list, *hash),
                    lie,
                })?;
                self.known().insert(*hash, signer);
            }
        }
        let known = self.known();
        for of in list {
            let signer = known[&B256::from(of.transaction)];
            of.sender = signer.into_array();
        }
        Ok(())
    }

    /// Each insert is whole, whatever happens to whoever does it.
    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<B256, Address>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who signed the transaction with that hash, if this is it.
fn signer(hash: B256, transaction: &TxEnvelope) -> Result<Address, Lie> {
    // What the answer calls its hash is only said.
    let found = keccak256(transaction.encoded_2718());
    if found != hash {
        return Err(Lie::Transaction { hash, found });
    }
    transaction
        .recover_signer()
        .map_err(|_| Lie::Unsigned { hash })
}

fn first_of(list: &[Submission], hash: B256) -> u64 {
    let mut list = list.iter();
    list.find(|of| of.transaction == hash.0)
        .map_or(0, |of| of.seq)
}

fn strange(reason: String) -> NodeError {
    NodeError {
        question: "for transactions",
        reason,
    }
}

#[cfg(test)]
#[path = "signers_tests.rs"]
mod tests;
