//! What the link needs of a chain's node: seven questions. [`Rpc`] asks them over JSON-RPC; tests
//! ask a chain in memory, which loses messages and changes its mind.

use std::future::Future;

use alloy_consensus::BlockHeader;
use alloy_eips::BlockNumberOrTag;
use alloy_network::{
    Ethereum,
    primitives::{BlockResponse, HeaderResponse, ReceiptResponse},
};
use alloy_primitives::{Address, B256};
use alloy_provider::{Provider, RootProvider};
use alloy_rpc_types_eth::{Filter, Log};

/// A block by number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BlockRef {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// Where a transaction went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The block that it is in.
    pub block: u64,
    /// False if it was reverted; its fee is paid all the same.
    pub success: bool,
}

/// Fees of the next block, in wei for a unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// What every transaction pays.
    pub base: u128,
    /// What is usual on top of it.
    pub tip: u128,
}

/// A question without an answer. Whatever it is, it may be asked again; a transaction whose sending
/// failed so may have been accepted all the same.
#[derive(Debug, thiserror::Error)]
#[error("the node did not answer {question}: {reason}")]
pub struct NodeError {
    /// What was asked.
    pub question: &'static str,
    /// What came instead.
    pub reason: String,
}

/// A chain's node.
pub trait Node {
    /// The newest block that is final.
    fn finalized(&self) -> impl Future<Output = Result<BlockRef, NodeError>> + Send;

    /// The block of a height, if there is one.
    fn block(
        &self,
        number: u64,
    ) -> impl Future<Output = Result<Option<BlockRef>, NodeError>> + Send;

    /// Logs of contracts in blocks `from` to `to`, both included.
    fn logs(
        &self,
        addresses: &[Address],
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<Vec<Log>, NodeError>> + Send;

    /// Transactions of an account up to the newest final block.
    fn nonce(&self, account: Address) -> impl Future<Output = Result<u64, NodeError>> + Send;

    /// What fees are asked now.
    fn fees(&self) -> impl Future<Output = Result<Fees, NodeError>> + Send;

    /// Hands over a signed transaction.
    fn broadcast(&self, raw: &[u8]) -> impl Future<Output = Result<(), NodeError>> + Send;

    /// Where a transaction is, if it is in a block.
    fn receipt(
        &self,
        hash: B256,
    ) -> impl Future<Output = Result<Option<Receipt>, NodeError>> + Send;
}

/// A node behind any provider.
#[derive(Clone, Debug)]
pub struct Rpc<P>(pub P);

/// No URL of a chain's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an http:// URL")]
pub struct NoUrl;

/// A node behind a URL.
pub type Http = Rpc<RootProvider>;

impl Http {
    /// A node behind a URL. Nothing is sent yet.
    ///
    /// # Errors
    /// [`NoUrl`].
    pub fn http(url: &str) -> Result<Self, NoUrl> {
        if !url.starts_with("http://") {
            return Err(NoUrl);
        }
        let url = url.parse().map_err(|_| NoUrl)?;
        Ok(Rpc(RootProvider::new_http(url)))
    }
}

impl<P: Provider<Ethereum>> Node for Rpc<P> {
    async fn finalized(&self) -> Result<BlockRef, NodeError> {
        let question = "for the final block";
        let found = block_by(&self.0, BlockNumberOrTag::Finalized, question).await?;
        found.ok_or(NodeError {
            question,
            reason: "it has none".to_owned(),
        })
    }

    async fn block(&self, number: u64) -> Result<Option<BlockRef>, NodeError> {
        block_by(&self.0, BlockNumberOrTag::Number(number), "for a block").await
    }

    async fn logs(&self, addresses: &[Address], from: u64, to: u64) -> Result<Vec<Log>, NodeError> {
        let filter = Filter::new()
            .address(addresses.to_vec())
            .from_block(from)
            .to_block(to);
        let logs = self.0.get_logs(&filter).await;
        logs.map_err(failed("for logs"))
    }

    async fn nonce(&self, account: Address) -> Result<u64, NodeError> {
        let count = self.0.get_transaction_count(account).finalized().await;
        count.map_err(failed("for a nonce"))
    }

    async fn fees(&self) -> Result<Fees, NodeError> {
        let question = "for fees";
        let latest = BlockNumberOrTag::Latest;
        let block = self.0.get_block_by_number(latest).await;
        let block = block.map_err(failed(question))?;
        let base = block.and_then(|block| block.header().base_fee_per_gas());
        let tip = self.0.get_max_priority_fee_per_gas().await;
        Ok(Fees {
            base: base.unwrap_or(0).into(),
            tip: tip.map_err(failed(question))?,
        })
    }

    async fn broadcast(&self, raw: &[u8]) -> Result<(), NodeError> {
        let sent = self.0.send_raw_transaction(raw).await;
        sent.map(|_| ()).map_err(failed("to take a transaction"))
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, NodeError> {
        let found = self.0.get_transaction_receipt(hash).await;
        let found = found.map_err(failed("for a receipt"))?;
        Ok(found.and_then(|receipt| {
            Some(Receipt {
                block: receipt.block_number()?,
                success: receipt.status(),
            })
        }))
    }
}

async fn block_by(
    provider: &impl Provider<Ethereum>,
    which: BlockNumberOrTag,
    question: &'static str,
) -> Result<Option<BlockRef>, NodeError> {
    let block = provider.get_block_by_number(which).await;
    let block = block.map_err(failed(question))?;
    Ok(block.map(|block| BlockRef {
        number: block.header().number(),
        hash: block.header().hash(),
    }))
}

pub(crate) fn failed<E: std::fmt::Display>(question: &'static str) -> impl FnOnce(E) -> NodeError {
    move |error| NodeError {
        question,
        reason: error.to_string(),
    }
}
