//! What is asked of a chain's node by who posts anchors, and what shows others that it was done.

use std::future::Future;

use alloy_consensus::TxEnvelope;
use alloy_eips::BlockId;
use alloy_network::{Ethereum, TransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_provider::Provider;
use alloy_rpc_client::BatchRequest;
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, Transaction, TransactionRequest};
use serde::{Deserialize, Serialize};

use crate::node::{Node, NodeError, Rpc, failed};

/// Blocks that are looked at, from the newest one down, for one that has a certificate of its own:
/// a certificate makes all blocks below final too, so not each has one.
const BLOCKS_MAX: u64 = 32;

/// A slot of a contract in a final block, with all that others need to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    /// The block's number.
    pub block: u64,
    /// RLP of its header.
    pub header: Bytes,
    /// The committee's certificate.
    pub finality: Bytes,
    /// The slot, as `eth_getProof` shows it.
    pub proof: EIP1186AccountProofResponse,
}

/// A node of a chain that has our contracts.
pub trait Contracts: Node {
    /// The chain's number (EIP-155).
    fn chain_id(&self) -> impl Future<Output = Result<u64, NodeError>> + Send;

    /// What a contract answers to a call, after the newest block.
    fn ask(
        &self,
        contract: Address,
        call: Bytes,
    ) -> impl Future<Output = Result<Bytes, NodeError>> + Send;

    /// Transactions by their hashes, in their order, as the node says that they are: nothing of them
    /// is checked. None where it has none. Asked in one message.
    fn transactions(
        &self,
        hashes: &[B256],
    ) -> impl Future<Output = Result<Vec<Option<TxEnvelope>>, NodeError>> + Send;

    /// A slot in the newest block that has a certificate and is not below block `from`; none if
    /// there is no such block yet.
    fn certified(
        &self,
        contract: Address,
        slot: B256,
        from: u64,
    ) -> impl Future<Output = Result<Option<Certified>, NodeError>> + Send;
}

/// A header and its certificate, as `lode_getFinality` answers.
#[derive(Debug, Deserialize)]
struct Finalized {
    header: Bytes,
    finality: Option<Bytes>,
}

impl<P: Provider<Ethereum>> Rpc<P> {
    /// The header of a block, in RLP; none if there is no such block.
    ///
    /// # Errors
    /// [`NodeError`]
    pub async fn header(&self, block: u64) -> Result<Option<Bytes>, NodeError> {
        let found = self
            .0
            .raw_request::<_, Option<Finalized>>("lode_getFinality".into(), (U256::from(block),));
        let found = found.await.map_err(failed("for a header"))?;
        Ok(found.map(|found| found.header))
    }
}

impl<P: Provider<Ethereum>> Contracts for Rpc<P> {
    async fn chain_id(&self) -> Result<u64, NodeError> {
        let id = self.0.get_chain_id().await;
        id.map_err(failed("for the chain's number"))
    }

    async fn ask(&self, contract: Address, call: Bytes) -> Result<Bytes, NodeError> {
        let request = TransactionRequest::default()
            .with_to(contract)
            .with_input(call);
        let answer = self.0.call(request).await;
        answer.map_err(failed("what a contract says"))
    }

    async fn transactions(&self, hashes: &[B256]) -> Result<Vec<Option<TxEnvelope>>, NodeError> {
        let question = "for transactions";
        let mut batch = BatchRequest::new(self.0.client());
        let mut answers = Vec::with_capacity(hashes.len());
        for hash in hashes {
            let method = "eth_getTransactionByHash";
            let answer = batch.add_call::<_, Option<Transaction>>(method, &(hash,));
            answers.push(answer.map_err(failed(question))?);
        }
        batch.send().await.map_err(failed(question))?;
        let mut found = Vec::with_capacity(hashes.len());
        for answer in answers {
            let answer = answer.await.map_err(failed(question))?;
            found.push(answer.map(|answer| answer.inner.into_inner()));
        }
        Ok(found)
    }

    async fn certified(
        &self,
        contract: Address,
        slot: B256,
        from: u64,
    ) -> Result<Option<Certified>, NodeError> {
        let question = "for a certificate";
        let tip = self.finalized().await?.number;
        for block in (from.max(tip.saturating_sub(BLOCKS_MAX))..=tip).rev() {
            let found = self.0.raw_request::<_, Option<Finalized>>(
                "lode_getFinality".into(),
                (U256::from(block),),
            );
            let found = found.await.map_err(failed(question))?;
            let Some((header, finality)) =
                found.and_then(|found| Some((found.header, found.finality?)))
            else {
                continue;
            };
            let proof = self.0.get_proof(contract, vec![slot]);
            let proof = proof.block_id(BlockId::number(block)).await;
            return Ok(Some(Certified {
                block,
                header,
                finality,
                proof: proof.map_err(failed(question))?,
            }));
        }
        Ok(None)
    }
}

impl Certified {
    /// What the slot holds, if the proof is about that slot.
    pub fn value(&self, contract: Address, slot: B256) -> Option<U256> {
        let [proof] = &self.proof.storage_proof[..] else {
            return None;
        };
        let same = self.proof.address == contract && proof.key.as_b256() == slot;
        same.then_some(proof.value)
    }
}
