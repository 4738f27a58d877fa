//! Helpers for who develops contracts: accounts whose keys the node holds, and a clock that can be put
//! forward. Never for a network with money in it: whoever reaches the port signs with these keys.
//!
//! The chain stays what it is: final blocks, made by consensus. So what other development nodes do by
//! going back (snapshots) or around transactions (setting balances) is refused here, by a message that
//! says why, under every name that tools know it by.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_consensus::{TxEnvelope, TypedTransaction};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_network::TxSignerSync as _;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U64, U256};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use jsonrpsee::{RpcModule, types::Params};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use crate::{
    arguments::{Account, Arguments, Data, Number},
    failure::Failure,
    fill,
    service::{Answer, Methods, Service},
};

/// How long a block that is asked for may take.
const MINE_MAX: Duration = Duration::from_secs(10);
/// Blocks that one request may ask for.
const MINED_MAX: u64 = 256;
/// Seconds by which the clock may be ahead: a hundred years, so that no sum of times overflows.
const AHEAD_MAX: u64 = 100 * 366 * 24 * 3600;

/// What a node for development has beside others.
#[derive(Clone)]
pub struct Dev {
    /// Keys that it signs with for everybody.
    pub keys: Vec<PrivateKeySigner>,
    /// Seconds by which its clock is ahead. The ledger's clock has to add them.
    pub ahead: Arc<AtomicU64>,
}

impl fmt::Debug for Dev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<Address> = self.keys.iter().map(PrivateKeySigner::address).collect();
        f.debug_struct("Dev")
            .field("addresses", &addresses)
            .field("ahead", &self.ahead)
            .finish()
    }
}

/// What cannot be done to a chain whose blocks are final.
const REFUSED: &[&str] = &[
    "evm_snapshot",
    "evm_revert",
    "evm_setAutomine",
    "evm_setIntervalMining",
    "anvil_reset",
    "anvil_setBalance",
    "anvil_setCode",
    "anvil_setNonce",
    "anvil_setStorageAt",
    "anvil_impersonateAccount",
    "anvil_stopImpersonatingAccount",
    "anvil_dropTransaction",
    "anvil_setNextBlockBaseFeePerGas",
    "anvil_rollback",
    "hardhat_reset",
    "hardhat_setBalance",
    "hardhat_setCode",
    "hardhat_setNonce",
    "hardhat_setStorageAt",
    "hardhat_impersonateAccount",
    "hardhat_stopImpersonatingAccount",
    "hardhat_dropTransaction",
    "hardhat_setNextBlockBaseFeePerGas",
];

pub(crate) fn register(module: &mut RpcModule<Service>) {
    let mut methods = Methods(module);
    methods.quick("eth_accounts", accounts);
    methods.quick("eth_requestAccounts", accounts);
    methods.heavy("eth_signTransaction", sign_transaction);
    methods.heavy("eth_sendTransaction", send_transaction);
    methods.quick("eth_sign", |service, arguments| {
        let Account(address) = arguments.required()?;
        let Data(message) = arguments.required()?;
        sign(service, address, &message)
    });
    methods.quick("personal_sign", |service, arguments| {
        let Data(message) = arguments.required()?;
        let Account(address) = arguments.required()?;
        sign(service, address, &message)
    });
    methods.quick("evm_increaseTime", increase_time);
    for name in ["evm_setNextBlockTimestamp", "anvil_setNextBlockTimestamp"] {
        methods.quick(name, set_time);
    }
    for name in REFUSED {
        methods.quick(name, refuse);
    }
    let registered =
        module.register_async_method("evm_mine", |params, service, _| mine_at(service, params));
    registered.expect("names of methods differ");
    for name in ["anvil_mine", "hardhat_mine"] {
        let registered =
            module.register_async_method(name, |params, service, _| mine(service, params));
        registered.expect("names of methods differ");
    }
}

/// A node that holds no keys says so.
pub(crate) fn register_none(module: &mut RpcModule<Service>) {
    let mut methods = Methods(module);
    methods.quick("eth_accounts", |_, _| Ok(Vec::<Address>::new()));
}

fn refuse(_: &Service, _: &mut Arguments<'_>) -> Answer<()> {
    Err(Failure::server(
        "this chain's blocks are final and its state changes by transactions alone: restart the node on an empty folder, or change the genesis file",
    ))
}

fn dev(service: &Service) -> Answer<&Dev> {
    let dev = service.config.dev.as_ref();
    dev.ok_or_else(|| Failure::server("this node is not for development"))
}

fn accounts(service: &Service, _: &mut Arguments<'_>) -> Answer<Vec<Address>> {
    let keys = &dev(service)?.keys;
    Ok(keys.iter().map(PrivateKeySigner::address).collect())
}

fn key(service: &Service, address: Address) -> Answer<&PrivateKeySigner> {
    let keys = &dev(service)?.keys;
    let found = keys.iter().find(|key| key.address() == address);
    found.ok_or_else(|| Failure::server("unknown account"))
}

fn sign(service: &Service, address: Address, message: &[u8]) -> Answer<Bytes> {
    let signed = key(service, address)?.sign_message_sync(message);
    let signature = signed.map_err(|error| Failure::server(error.to_string()))?;
    Ok(Bytes::copy_from_slice(&signature.as_bytes()))
}

fn signed(service: &Service, request: TransactionRequest) -> Answer<TxEnvelope> {
    let key = key(service, request.from.unwrap_or_default())?;
    let mut transaction: TypedTransaction = fill::unsigned(service, request)?;
    let signature: Signature = match &mut transaction {
        TypedTransaction::Legacy(one) => key.sign_transaction_sync(one),
        TypedTransaction::Eip2930(one) => key.sign_transaction_sync(one),
        TypedTransaction::Eip1559(one) => key.sign_transaction_sync(one),
        TypedTransaction::Eip4844(one) => key.sign_transaction_sync(one),
        TypedTransaction::Eip7702(one) => key.sign_transaction_sync(one),
    }
    .map_err(|error| Failure::server(error.to_string()))?;
    Ok(transaction.into_envelope(signature))
}

/// A signed transaction.
#[derive(Clone, Debug, Serialize)]
struct Signed {
    raw: Bytes,
    tx: TxEnvelope,
}

fn sign_transaction(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Signed> {
    let tx = signed(service, arguments.required()?)?;
    Ok(Signed {
        raw: tx.encoded_2718().into(),
        tx,
    })
}

fn send_transaction(service: &Service, arguments: &mut Arguments<'_>) -> Answer<B256> {
    send(service, arguments.required()?)
}

fn send(service: &Service, request: TransactionRequest) -> Answer<B256> {
    let envelope = signed(service, request)?;
    let transaction = service.rules.check(envelope)?.recover()?;
    Ok(service.ledger.submit(transaction, true)??)
}

/// Puts the clock forward; it never goes back. Answers with the seconds it is ahead by.
fn advance(service: &Service, by: u64) -> Answer<u64> {
    let ahead = &dev(service)?.ahead;
    let later = |before: u64| before.checked_add(by).filter(|ahead| *ahead <= AHEAD_MAX);
    match ahead.fetch_update(Ordering::AcqRel, Ordering::Acquire, later) {
        Ok(before) => Ok(before + by),
        Err(_) => Err(Failure::argument(format!(
            "the clock can be ahead by {AHEAD_MAX} seconds at most"
        ))),
    }
}

/// Puts the clock to a time.
fn advance_to(service: &Service, to: u64) -> Answer<()> {
    let now = (service.ledger.options().clock)();
    let by = to
        .checked_sub(now)
        .ok_or_else(|| Failure::server(format!("the clock is at {now} and does not go back")))?;
    advance(service, by).map(drop)
}

fn increase_time(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U64> {
    let by: Number = arguments.required()?;
    arguments.end()?;
    advance(service, by.get()).map(U64::from)
}

/// The next block has that time, if it is made within this second.
fn set_time(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<u64>> {
    let to: Number = arguments.required()?;
    arguments.end()?;
    advance_to(service, to.get())?;
    Ok(None)
}

/// One block, at a time if that is given.
async fn mine_at(service: Arc<Service>, params: Params<'static>) -> Answer<U64> {
    {
        let mut arguments = Arguments::new(&params)?;
        let to: Option<Number> = arguments.optional()?;
        arguments.end()?;
        if let Some(to) = to {
            advance_to(&service, to.get())?;
        }
    }
    mine_one(&service).await.map(U64::from)
}

/// Blocks, one if there is no number, with so many seconds between if that is given. Answers with the
/// height of the last.
async fn mine(service: Arc<Service>, params: Params<'static>) -> Answer<U64> {
    let (count, between) = {
        let mut arguments = Arguments::new(&params)?;
        let count = arguments.optional::<Number>()?.map_or(1, Number::get);
        let between = arguments.optional::<Number>()?.map_or(0, Number::get);
        arguments.end()?;
        (count, between)
    };
    if count > MINED_MAX {
        let limit = serde_json::json!({ "blocksMax": MINED_MAX });
        return Err(Failure::limit("too many blocks", limit));
    }
    let mut height = service.view().tip();
    for index in 0..count {
        if index > 0 {
            advance(&service, between)?;
        }
        height = mine_one(&service).await?;
    }
    Ok(U64::from(height))
}

/// A block. It needs a transaction to be made, so the last of the keys sends itself nothing.
async fn mine_one(service: &Arc<Service>) -> Answer<u64> {
    let mut blocks = service.events.blocks();
    let worker = Arc::clone(service);
    let sent = tokio::task::spawn_blocking(move || {
        let keys = &dev(&worker)?.keys;
        let last = keys.last().map(PrivateKeySigner::address);
        let last = last.ok_or_else(|| Failure::server("there is no key to sign with"))?;
        send(
            &worker,
            TransactionRequest {
                from: Some(last),
                to: Some(TxKind::Call(last)),
                value: Some(U256::ZERO),
                gas: Some(21_000),
                ..TransactionRequest::default()
            },
        )
    });
    let hash = sent
        .await
        .unwrap_or_else(|_| Err(Failure::server("method handler crashed")))?;
    let made = async {
        loop {
            if let Some(place) = service.view().place(&hash)? {
                return Ok(place.height);
            }
            if let Err(RecvError::Closed) = blocks.recv().await {
                return Err(Failure::server("the node is stopping"));
            }
        }
    };
    tokio::time::timeout(MINE_MAX, made)
        .await
        .unwrap_or_else(|_| Err(Failure::server("no block was made in time")))
}
