//! Blobs into the flow, each paid for once: whatever fails in between, a second try finds the
//! transaction of the first.
//!
//! ```text
//!  submit   blob ─► intent under the blob's name ─► on disk ─► broadcast; its hash is known
//!  outcome  in a final block?
//! ```

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use lode_proofs::BlobTree;

use crate::{
    abi::{Flow::marketCall, Market::pricePerSectorCall},
    certified::Contracts,
    flow,
    node::NodeError,
    send::{Intent, Limits, Outcome, SendError, Sender, Wish},
    store::Store,
};

/// Gas of a submission: twice what the longest takes (0G wire, 1.7: 135,000 to 277,000, and 104,000 for
/// each mining epoch that a contract of 0G's replays in it). What is not used is not paid.
const GAS_LIMIT: u64 = 600_000;

/// Why a blob was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The transaction was not taken on.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The chain's node did not answer: ask again.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The address is that of another contract.
    #[error("the contract at {contract} answers strangely: {why}")]
    Contract {
        /// Its address.
        contract: Address,
        /// What is wrong.
        why: alloy_sol_types::Error,
    },
    /// It costs more than may be paid.
    #[error("the blob costs {fee} wei, and at most {limit} may be paid")]
    TooDear {
        /// The market's price of all its sectors.
        fee: U256,
        /// The limit.
        limit: U256,
    },
}

/// Submits for one account, which must be this program's alone.
pub struct Submitter<N> {
    node: N,
    sender: Sender<N>,
    flow: Address,
    account: Address,
    /// Wei for one blob, at most.
    fee_max: U256,
}

impl<N: Contracts + Clone> Submitter<N> {
    /// Takes up what was left undone.
    ///
    /// # Errors
    /// When node or store fail.
    pub async fn open(
        node: N,
        store: Store,
        signer: alloy_signer_local::PrivateKeySigner,
        flow: Address,
        limits: Limits,
        fee_max: U256,
    ) -> Result<Self, SubmitError> {
        let account = signer.address();
        let sender = Sender::open(node.clone(), store, signer, limits).await?;
        Ok(Submitter {
            node,
            sender,
            flow,
            account,
            fee_max,
        })
    }

    /// Who pays.
    pub fn account(&self) -> Address {
        self.account
    }

    /// Submits a blob. When this returns its transaction is on the disk and will be broadcast until
    /// the chain has it; asked again, in another run too, it returns the same one.
    ///
    /// # Errors
    /// Nothing was paid.
    pub async fn submit(&mut self, tree: &BlobTree, tags: Bytes) -> Result<Intent, SubmitError> {
        let name = self.name(tree);
        if let Some(intent) = self.sender.intent(name)? {
            return Ok(intent);
        }
        let sectors = tree.shape().padded_sectors();
        let fee = self.price().await?.saturating_mul(U256::from(sectors));
        let limit = self.fee_max;
        if fee > limit {
            return Err(SubmitError::TooDear { fee, limit });
        }
        let wish = Wish {
            to: self.flow,
            value: fee,
            data: flow::submit_call(flow::data(tree, tags), self.account),
            gas_limit: GAS_LIMIT,
        };
        Ok(self.sender.send(name, wish).await?)
    }

    /// How a blob's transaction has ended, if it has. To be asked again and again: it is broadcast
    /// meanwhile, and paid better when the chain is busy.
    ///
    /// # Errors
    /// It may be asked again.
    pub async fn outcome(&mut self, tree: &BlobTree) -> Result<Option<Outcome>, SubmitError> {
        self.sender.tend().await?;
        let intent = self.sender.intent(self.name(tree))?;
        Ok(intent.and_then(|intent| intent.outcome))
    }

    /// Forgets a transaction that has ended without a submission: the blob may be submitted again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forget(&self, tree: &BlobTree) -> Result<(), SubmitError> {
        Ok(self.sender.forget(self.name(tree))?)
    }

    fn name(&self, tree: &BlobTree) -> B256 {
        let size = tree.shape().size().to_be_bytes();
        let parts = [
            b"lode/submit".as_slice(),
            self.flow.as_slice(),
            &tree.root().0,
            &size,
        ];
        keccak256(parts.concat())
    }

    /// Wei for a sector, as the flow's market asks now.
    async fn price(&self) -> Result<U256, SubmitError> {
        let contract = self.flow;
        let answer = self.node.ask(contract, marketCall {}.abi_encode().into());
        let market = marketCall::abi_decode_returns_validate(&answer.await?);
        let market = market.map_err(|why| SubmitError::Contract { contract, why })?;
        let contract = market;
        let call = pricePerSectorCall {}.abi_encode();
        let answer = self.node.ask(contract, call.into()).await?;
        let price = pricePerSectorCall::abi_decode_returns_validate(&answer);
        price.map_err(|why| SubmitError::Contract { contract, why })
    }
}

#[cfg(test)]
#[path = "submit_tests.rs"]
mod tests;
