//! Blocks, transactions and receipts as JSON-RPC shows them.
//!
//! Everything in an answer comes from one view, so a block is never seen without its receipts.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rlp::Encodable as _;
use alloy_rpc_types_eth::{
    Block, BlockTransactions, Header as RpcHeader, Transaction, TransactionReceipt,
};
use lode_chain_ledger::{
    View,
    rules::{self, Choice},
    tables::Body,
};
use lode_chain_types::Round;
use serde_json::Value;

use crate::{
    arguments::{Account, Arguments, Hash, Quantity},
    failure::Failure,
    ground::Ground,
    selector::Selector,
    service::{Answer, Methods, Service},
    whole::{Whole, placed, waiting},
};

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.quick("eth_getBlockByNumber", block_by);
    methods.quick("eth_getBlockByHash", block_by);
    methods.quick("eth_getHeaderByNumber", header_by);
    methods.quick("eth_getHeaderByHash", header_by);
    methods.quick("eth_getBlockTransactionCountByNumber", count_by);
    methods.quick("eth_getBlockTransactionCountByHash", count_by);
    methods.quick("eth_getUncleCountByBlockNumber", uncle_count_by);
    methods.quick("eth_getUncleCountByBlockHash", uncle_count_by);
    methods.quick("eth_getUncleByBlockNumberAndIndex", uncle_by);
    methods.quick("eth_getUncleByBlockHashAndIndex", uncle_by);
    methods.quick("eth_getTransactionByHash", transaction_by_hash);
    methods.quick("eth_getRawTransactionByHash", raw_by_hash);
    methods.heavy("eth_getTransactionBySenderAndNonce", transaction_by_nonce);
    methods.quick("eth_getTransactionByBlockNumberAndIndex", transaction_by);
    methods.quick("eth_getTransactionByBlockHashAndIndex", transaction_by);
    methods.quick("eth_getRawTransactionByBlockNumberAndIndex", raw_by);
    methods.quick("eth_getRawTransactionByBlockHashAndIndex", raw_by);
    methods.quick("eth_getTransactionReceipt", receipt);
    methods.quick("eth_getBlockReceipts", receipts_by);
}

/// A header as JSON-RPC shows it.
pub(crate) fn header(header: Header, hash: B256, size: Option<usize>) -> RpcHeader {
    RpcHeader {
        hash,
        inner: header,
        total_difficulty: None,
        size: size.map(U256::from),
    }
}

/// A block as JSON-RPC shows it.
pub(crate) fn block(whole: &Whole, full: bool) -> Block {
    let size = whole.plain().length();
    let transactions = if full {
        let all = (0_u64..).map_while(|index| whole.transaction(index));
        BlockTransactions::Full(all.collect())
    } else {
        let all = whole.transactions().iter();
        BlockTransactions::Hashes(all.map(|one| *one.hash()).collect())
    };
    let uncles = whole.body.body.ommers.iter().map(Header::hash_slow);
    Block {
        uncles: uncles.collect(),
        transactions,
        withdrawals: whole.body.body.withdrawals.clone(),
        header: header(whole.header.clone(), whole.hash, Some(size)),
    }
}

/// A block; the one that would come next if it is the pending one.
fn whole_by(service: &Service, at: Selector) -> Answer<Option<Arc<Whole>>> {
    if at == Selector::Pending {
        return Ok(Some(Arc::new(next(service)?)));
    }
    let view = service.view();
    match at.height(&view)? {
        Some(height) if view.is_pruned(height) => Err(Failure::pruned()),
        Some(height) => service.recent.block(&view, height),
        None => Ok(None),
    }
}

fn block_by(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Value> {
    let at: Selector = arguments.required()?;
    let full: bool = arguments.optional()?.unwrap_or_default();
    arguments.end()?;
    if at == Selector::Pending {
        return pending(service, full);
    }
    let found = whole_by(service, at)?.map(|whole| block(&whole, full));
    written(&found)
}

fn written(value: &impl serde::Serialize) -> Answer<Value> {
    serde_json::to_value(value).map_err(|error| Failure::server(error.to_string()))
}

/// The block that would come next, as geth shows it: without what only a sealed block has.
fn pending(service: &Service, full: bool) -> Answer<Value> {
    let whole = next(service)?;
    let mut shown = written(&block(&whole, full))?;
    for unknown in ["hash", "nonce", "miner"] {
        shown[unknown] = Value::Null;
    }
    if full && let Some(all) = shown["transactions"].as_array_mut() {
        for one in all {
            one["blockHash"] = Value::Null;
        }
    }
    Ok(shown)
}

/// The block that would come next: what waits in the pool, not executed.
pub(crate) fn next(service: &Service) -> Answer<Whole> {
    let view = service.view();
    let parent = view
        .header(view.tip())?
        .ok_or_else(|| Failure::server("header not found"))?;
    let chain = service.ledger.chain();
    let options = service.ledger.options();
    let mut header = rules::begin(
        chain,
        &parent,
        Choice {
            timestamp: (options.clock)().max(parent.timestamp),
            beneficiary: options.beneficiary,
        },
        &Round::default(),
    );
    header.state_root = parent.state_root;
    let fee = header.base_fee_per_gas.unwrap_or(0);
    let (mut gas_left, mut len_left) = (header.gas_limit, options.block_len);
    let waiting: Vec<lode_chain_pool::Transaction> = service.ledger.pool(|pool| {
        let mut best = pool.best(fee);
        best.iter(pool)
            .take_while(|one| {
                let fits = one.gas_limit() <= gas_left && one.encoded_len() <= len_left;
                if fits {
                    gas_left -= one.gas_limit();
                    len_left -= one.encoded_len();
                }
                fits
            })
            .collect()
    });
    let senders = waiting.iter().map(|one| one.sender()).collect();
    let transactions = waiting.iter().map(|one| one.envelope().inner().clone());
    let block = rules::block(header, transactions.collect(), Round::default());
    let body = Body {
        body: block.body().clone(),
        senders,
        round: block.round().clone(),
    };
    Ok(Whole::new(
        B256::ZERO,
        block.header().clone(),
        body,
        Vec::new(),
    ))
}

fn header_by(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<RpcHeader>> {
    let at: Selector = arguments.required()?;
    arguments.end()?;
    let view = service.view();
    let Some(height) = at.height(&view)? else {
        return Ok(None);
    };
    let found = view.header(height)?;
    if found.is_none() && view.is_pruned(height) {
        return Err(Failure::pruned());
    }
    Ok(found.map(|found| {
        let hash = found.hash_slow();
        header(found, hash, None)
    }))
}

fn count_by(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<U64>> {
    let at: Selector = arguments.required()?;
    arguments.end()?;
    let whole = whole_by(service, at)?;
    Ok(whole.map(|whole| U64::from(whole.transactions().len())))
}

fn uncle_count_by(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<U64>> {
    let at: Selector = arguments.required()?;
    arguments.end()?;
    let whole = whole_by(service, at)?;
    Ok(whole.map(|whole| U64::from(whole.body.body.ommers.len())))
}

fn uncle_by(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Block>> {
    let at: Selector = arguments.required()?;
    let Quantity(index) = arguments.required()?;
    arguments.end()?;
    let whole = whole_by(service, at)?;
    let uncle = whole.and_then(|whole| {
        let index = usize::try_from(index).ok()?;
        whole.body.body.ommers.get(index).cloned()
    });
    Ok(uncle.map(Block::uncle_from_header))
}

/// A transaction in a block, or in the pool.
enum Found {
    Placed(Box<Transaction>),
    Waiting(lode_chain_pool::Transaction),
}

impl Found {
    fn shown(self) -> Transaction {
        match self {
            Found::Placed(transaction) => *transaction,
            Found::Waiting(transaction) => waiting(&transaction),
        }
    }
}

/// A transaction by its hash. It may leave the pool for a block between two looks, so the chain is
/// looked at again.
fn find(service: &Service, hash: &B256) -> Answer<Option<Found>> {
    if let Some(placed) = find_placed(service, hash)? {
        return Ok(Some(placed));
    }
    let waiting = service.ledger.pool(|pool| pool.get(hash).cloned());
    match waiting {
        Some(waiting) => Ok(Some(Found::Waiting(waiting))),
        None => find_placed(service, hash),
    }
}

fn find_placed(service: &Service, hash: &B256) -> Answer<Option<Found>> {
    let found = service.view().transaction(hash)?;
    Ok(found.map(|found| {
        let hash = found.header.hash_slow();
        let index = u64::from(found.place.index);
        let (transaction, sender) = (found.transaction, found.sender);
        let shown = placed(transaction, sender, &found.header, hash, index);
        Found::Placed(Box::new(shown))
    }))
}

fn transaction_by_hash(
    service: &Service,
    arguments: &mut Arguments<'_>,
) -> Answer<Option<Transaction>> {
    let Hash(hash) = arguments.required()?;
    arguments.end()?;
    Ok(find(service, &hash)?.map(Found::shown))
}

/// The bytes of a transaction, wherever it is; none if it is nowhere.
pub(crate) fn raw(service: &Service, hash: &B256) -> Answer<Option<Bytes>> {
    let found = find(service, hash)?.map(Found::shown);
    Ok(found.map(|found| found.inner.encoded_2718().into()))
}

fn raw_by_hash(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Bytes>> {
    let Hash(hash) = arguments.required()?;
    arguments.end()?;
    raw(service, &hash)
}

/// A transaction by who sent it and its nonce. It may leave the pool for a block between two looks, so
/// the chain is looked at again.
fn transaction_by_nonce(
    service: &Service,
    arguments: &mut Arguments<'_>,
) -> Answer<Option<Transaction>> {
    let Account(sender) = arguments.required()?;
    let Quantity(nonce) = arguments.required()?;
    arguments.end()?;
    if let Some(placed) = placed_by_nonce(service, sender, nonce)? {
        return Ok(Some(placed));
    }
    let found = service
        .ledger
        .pool(|pool| pool.by_nonce(&sender, nonce).cloned());
    match found {
        Some(found) => Ok(Some(waiting(&found))),
        None => placed_by_nonce(service, sender, nonce),
    }
}

/// The block with that transaction is the first one after which the sender's nonce is higher. It is
/// found by halving: some twenty reads in a million blocks.
fn placed_by_nonce(service: &Service, sender: Address, nonce: u64) -> Answer<Option<Transaction>> {
    let view = service.view();
    let after = |height| -> Answer<bool> {
        let held = Ground::new(view.clone(), height)?.account(sender)?;
        Ok(held.is_some_and(|held| held.nonce > nonce))
    };
    let (mut low, mut high) = (view.from(), view.tip());
    if !after(high)? {
        return Ok(None);
    }
    if after(low)? {
        // Block zero may begin with nonces. Of other blocks the state below is forgotten.
        return match low.checked_sub(1) {
            None => Ok(None),
            Some(below) => after(below).map(|_| None),
        };
    }
    while low + 1 < high {
        let middle = low.midpoint(high);
        *(if after(middle)? { &mut high } else { &mut low }) = middle;
    }
    let whole = service.recent.block(&view, high)?;
    Ok(whole.and_then(|whole| whole.of_sender(sender, nonce)))
}

fn transaction_by(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Transaction>> {
    let at: Selector = arguments.required()?;
    let Quantity(index) = arguments.required()?;
    arguments.end()?;
    let whole = whole_by(service, at)?;
    Ok(whole.and_then(|whole| whole.transaction(index)))
}

fn raw_by(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Bytes>> {
    let found = transaction_by(service, arguments)?;
    Ok(found.map(|found| found.inner.encoded_2718().into()))
}

/// What became of a transaction; none if it is in no block.
///
/// # Errors
/// When the store fails.
pub(crate) fn receipt_of(
    service: &Service,
    view: &View,
    hash: &B256,
) -> Answer<Option<TransactionReceipt>> {
    let Some(place) = view.place(hash)? else {
        return Ok(None);
    };
    let whole = service.recent.block(view, place.height)?;
    let spec = &service.ledger.chain().spec;
    Ok(whole.and_then(|whole| whole.receipt(spec, u64::from(place.index))))
}

fn receipt(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<TransactionReceipt>> {
    let Hash(hash) = arguments.required()?;
    arguments.end()?;
    receipt_of(service, &service.view(), &hash)
}

fn receipts_by(
    service: &Service,
    arguments: &mut Arguments<'_>,
) -> Answer<Option<Vec<TransactionReceipt>>> {
    let at: Selector = arguments.required()?;
    arguments.end()?;
    let whole = whole_by(service, at)?;
    let spec = &service.ledger.chain().spec;
    Ok(whole.map(|whole| {
        let all = (0_u64..).map_while(|index| whole.receipt(spec, index));
        all.collect()
    }))
}
