//! Requests to a validator.

use std::{net::SocketAddr, time::Duration};

use alloy_primitives::{Address, B256, Bytes, Log, U64};
use alloy_rpc_types_eth::{Block, EIP1186AccountProofResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{caller::Caller, client::Trouble};

/// Time without a byte before an answer counts as lost.
const SILENCE_TIME: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    block_number: U64,
    status: U64,
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Finalized {
    header: Bytes,
    finality: Option<Bytes>,
}

/// One validator's RPC.
#[derive(Clone)]
pub struct Rpc(Caller);

impl Rpc {
    /// That of a validator.
    pub fn new(address: SocketAddr) -> Rpc {
        Rpc(Caller::new(address, SILENCE_TIME))
    }

    /// The number of the last final block.
    pub fn tip(&self) -> Result<u64, Trouble> {
        number(&self.0.call("eth_blockNumber", &json!([]))?)
    }

    /// The number of the oldest block that it has but for block zero; 0: it has all.
    pub fn oldest(&self) -> Result<u64, Trouble> {
        let answer = self.0.call("eth_capabilities", &json!([]))?;
        number(&answer["blocks"]["oldestBlock"])
    }

    /// A block whose hash is that of its header; `None`: there is none of that number.
    pub fn block(&self, height: u64) -> Result<Option<Block>, Trouble> {
        let params = json!([format!("{height:#x}"), false]);
        let block: Option<Block> = self.0.read("eth_getBlockByNumber", &params)?;
        let Some(block) = block else {
            return Ok(None);
        };
        let header = &block.header;
        match header.inner.hash_slow() == header.hash && header.inner.number == height {
            true => Ok(Some(block)),
            false => Err(Trouble::Strange(format!(
                "block {height} has another header than its hash {}",
                header.hash
            ))),
        }
    }

    /// How many transactions of an account are in blocks, or wait too.
    pub fn nonce(&self, account: Address, at: &str) -> Result<u64, Trouble> {
        number(
            &self
                .0
                .call("eth_getTransactionCount", &json!([account, at]))?,
        )
    }

    /// An account as of a block, with the nodes that prove it.
    pub fn proof(
        &self,
        account: Address,
        height: u64,
    ) -> Result<EIP1186AccountProofResponse, Trouble> {
        let params = json!([account, [], format!("{height:#x}")]);
        self.0.read("eth_getProof", &params)
    }

    /// Where a transaction is, and whether it did what it was to do; `None`: in no block yet.
    pub fn receipt(&self, transaction: B256) -> Result<Option<(u64, bool)>, Trouble> {
        let found = self.mined(transaction)?;
        let found = found.map(|receipt| (receipt.block_number.to(), receipt.status == U64::ONE));
        Ok(found)
    }

    /// What a transaction said that did what it was to do, empty if it did not; `None`: in no block
    /// yet.
    pub fn logs(&self, transaction: B256) -> Result<Option<Vec<Log>>, Trouble> {
        let found = self.mined(transaction)?;
        Ok(found.map(|receipt| match receipt.status == U64::ONE {
            true => receipt.logs,
            false => Vec::new(),
        }))
    }

    /// What a contract answers.
    pub fn ask(&self, contract: Address, input: Bytes) -> Result<Bytes, Trouble> {
        let params = json!([{"to": contract, "input": input}, "latest"]);
        self.0.read("eth_call", &params)
    }

    fn mined(&self, transaction: B256) -> Result<Option<Receipt>, Trouble> {
        self.0
            .read("eth_getTransactionReceipt", &json!([transaction]))
    }

    /// The RLP of a block's header, and its certificate; `None`: it has none of its own.
    pub fn finality(&self, height: u64) -> Result<Option<(Bytes, Bytes)>, Trouble> {
        let params = json!([format!("{height:#x}")]);
        let found: Option<Finalized> = self.0.read("lode_getFinality", &params)?;
        Ok(found.and_then(|found| Some((found.header, found.finality?))))
    }

    /// Sends transactions in one batch; how many were taken.
    pub fn send(&self, transactions: &[Bytes]) -> Result<u64, Trouble> {
        let calls = (0_u64..).zip(transactions).map(|(id, raw)| {
            json!({"jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [raw]})
        });
        let answer = self.0.post(&calls.collect())?;
        let answers = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let hash = |one: &&Value| {
            one["result"]
                .as_str()
                .is_some_and(|text| text.parse::<B256>().is_ok())
        };
        Ok(answers.iter().filter(hash).map(|_| 1).sum())
    }
}

fn number(value: &Value) -> Result<u64, Trouble> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Trouble::Strange(format!("{value} is no number")))
}
