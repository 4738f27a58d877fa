//! Blocks as they are read: whole, with receipts, and lately read ones kept. A final block never
//! changes, so what is kept is never wrong.

use std::{collections::VecDeque, sync::Arc};

use alloy_consensus::{
    Block as PlainBlock, Header, ReceiptEnvelope, Transaction as _, TxEnvelope,
    transaction::Recovered,
};
use alloy_primitives::{Address, B256, Log};
use alloy_rpc_types_eth::{Log as RpcLog, Transaction, TransactionReceipt};
use lode_chain_exec::spec::Spec;
use lode_chain_ledger::{View, tables::Body};
use lode_chain_types::Height;
use parking_lot::Mutex;

use crate::service::Answer;

/// Transactions of all blocks that are kept in memory: a few tens of megabytes.
const KEPT_MAX: usize = 32_768;
/// Blocks that are kept.
const BLOCKS_MAX: usize = 64;

/// A block, whole.
#[derive(Debug)]
pub struct Whole {
    /// Keccak of its header.
    pub hash: B256,
    /// Its header.
    pub header: Header,
    /// Its transactions, and who sent them.
    pub body: Body,
    /// What became of them.
    pub receipts: Vec<ReceiptEnvelope>,
    /// How many logs of the block come before those of each receipt.
    logs_before: Vec<u64>,
}

impl Whole {
    /// Of parts that belong together.
    pub fn new(hash: B256, header: Header, body: Body, receipts: Vec<ReceiptEnvelope>) -> Whole {
        let mut before = 0;
        let logs_before = receipts.iter().map(|receipt| {
            let here = before;
            before += u64::try_from(receipt.logs().len()).expect("logs are in memory");
            here
        });
        Whole {
            hash,
            header,
            body,
            logs_before: logs_before.collect(),
            receipts,
        }
    }

    /// A block of the chain; none above its tip.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read(view: &View, height: Height) -> Answer<Option<Whole>> {
        let (header, body) = (view.header(height)?, view.body(height)?);
        let (Some(header), Some(body), Some(receipts)) = (header, body, view.receipts(height)?)
        else {
            return Ok(None);
        };
        Ok(Some(Whole::new(header.hash_slow(), header, body, receipts)))
    }

    /// As it is sent between Ethereum's clients.
    pub fn plain(&self) -> PlainBlock<TxEnvelope> {
        PlainBlock {
            header: self.header.clone(),
            body: self.body.body.clone(),
        }
    }

    /// Its transactions.
    pub fn transactions(&self) -> &[TxEnvelope] {
        &self.body.body.transactions
    }

    /// Its transactions with their senders.
    pub fn recovered(&self) -> impl Iterator<Item = Recovered<&TxEnvelope>> {
        let all = self.transactions().iter();
        all.zip(&self.body.senders)
            .map(|(one, sender)| Recovered::new_unchecked(one, *sender))
    }

    /// One of its transactions, as JSON-RPC shows it.
    pub fn transaction(&self, index: u64) -> Option<Transaction> {
        let at = usize::try_from(index).ok()?;
        let one = self.transactions().get(at)?;
        let sender = *self.body.senders.get(at)?;
        Some(placed(one.clone(), sender, &self.header, self.hash, index))
    }

    /// The one of its transactions with that sender and nonce, as JSON-RPC shows it.
    pub fn of_sender(&self, sender: Address, nonce: u64) -> Option<Transaction> {
        let mut all = self.body.senders.iter().zip(self.transactions());
        let at = all.position(|(by, one)| *by == sender && one.nonce() == nonce)?;
        self.transaction(u64::try_from(at).ok()?)
    }

    /// What became of one of its transactions, as JSON-RPC shows it.
    pub fn receipt(&self, spec: &Spec, index: u64) -> Option<TransactionReceipt> {
        let at = usize::try_from(index).ok()?;
        let (receipt, one) = (self.receipts.get(at)?, self.transactions().get(at)?);
        let sender = *self.body.senders.get(at)?;
        let gas_before = match at.checked_sub(1) {
            Some(before) => self.receipts.get(before)?.cumulative_gas_used(),
            None => 0,
        };
        let mut logs = self.logs(at);
        let inner = receipt
            .clone()
            .map_logs(|_| logs.next().expect("a log for each log"));
        let blob_gas_used = one.blob_gas_used();
        Some(TransactionReceipt {
            inner,
            transaction_hash: *one.hash(),
            transaction_index: Some(index),
            block_hash: Some(self.hash),
            block_number: Some(self.header.number),
            gas_used: receipt.cumulative_gas_used() - gas_before,
            effective_gas_price: one.effective_gas_price(self.header.base_fee_per_gas),
            blob_gas_used,
            blob_gas_price: blob_gas_used.and(blob_price(&self.header, spec)),
            from: sender,
            to: one.to(),
            contract_address: one.is_create().then(|| sender.create(one.nonce())),
        })
    }

    /// Logs of one of its transactions, as JSON-RPC shows them.
    pub fn logs(&self, at: usize) -> impl Iterator<Item = RpcLog> {
        let receipt = self.receipts.get(at);
        let logs: &[Log] = receipt.map_or(&[], |receipt| receipt.logs());
        let before = self.logs_before.get(at).copied().unwrap_or(0);
        let transaction = self.transactions().get(at).map(|one| *one.hash());
        let index = u64::try_from(at).ok();
        (before..).zip(logs).map(move |(log_index, log)| RpcLog {
            inner: log.clone(),
            block_hash: Some(self.hash),
            block_number: Some(self.header.number),
            block_timestamp: Some(self.header.timestamp),
            transaction_hash: transaction,
            transaction_index: index,
            log_index: Some(log_index),
            removed: false,
        })
    }
}

/// What a unit of blob gas costs in a block, from Cancun on.
pub fn blob_price(header: &Header, spec: &Spec) -> Option<u128> {
    let blobs = spec.blob_params(header.timestamp)?;
    Some(blobs.calc_blob_fee(header.excess_blob_gas?))
}

/// A transaction in a block, as JSON-RPC shows it.
pub fn placed(
    transaction: TxEnvelope,
    sender: Address,
    header: &Header,
    hash: B256,
    index: u64,
) -> Transaction {
    let price = transaction.effective_gas_price(header.base_fee_per_gas);
    Transaction {
        inner: Recovered::new_unchecked(transaction, sender),
        block_hash: Some(hash),
        block_number: Some(header.number),
        transaction_index: Some(index),
        effective_gas_price: Some(price),
        block_timestamp: Some(header.timestamp),
    }
}

/// A transaction that waits for a block, as JSON-RPC shows it.
pub fn waiting(transaction: &lode_chain_pool::Transaction) -> Transaction {
    let envelope = transaction.envelope();
    Transaction {
        effective_gas_price: Some(envelope.max_fee_per_gas()),
        inner: envelope.clone(),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        block_timestamp: None,
    }
}

/// Blocks that were read lately, the youngest last.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Arc<Whole>>>);

impl Recent {
    /// A block of the chain; none above its tip.
    ///
    /// # Errors
    /// When the store fails.
    pub fn block(&self, view: &View, height: Height) -> Answer<Option<Arc<Whole>>> {
        if height > view.tip() {
            return Ok(None);
        }
        let kept = self.0.lock();
        let known = kept.iter().rev().find(|one| one.header.number == height);
        if let Some(known) = known {
            return Ok(Some(Arc::clone(known)));
        }
        drop(kept);
        let Some(whole) = Whole::read(view, height)?.map(Arc::new) else {
            return Ok(None);
        };
        self.keep(Arc::clone(&whole));
        Ok(Some(whole))
    }

    fn keep(&self, whole: Arc<Whole>) {
        let mut kept = self.0.lock();
        kept.push_back(whole);
        let mut count: usize = kept.iter().map(|one| one.transactions().len()).sum();
        while (count > KEPT_MAX || kept.len() > BLOCKS_MAX) && kept.len() > 1 {
            let oldest = kept.pop_front();
            count -= oldest.map_or(0, |oldest| oldest.transactions().len());
        }
    }
}
