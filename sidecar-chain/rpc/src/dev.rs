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
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;

use crate::{
    arguments::{Account, Arguments, Data, quantity, text},
    failure::Failure,
    fill,
    service::{Answer, Methods, Service},
};

/// How long a block that is asked for may take.
const MINE_MAX: Duration = Duration::from_secs(10);

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
    for name in ["evm_mine", "anvil_mine", "hardhat_mine"] {
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

/// A number as JSON-RPC or as JSON writes it: tools do both here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    #[serde(deserialize_with = "number")]
    Text(u64),
}

impl Number {
    fn get(&self) -> u64 {
        match self {
            Number::Plain(number) | Number::Text(number) => *number,
        }
    }
}

fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    text(deserializer, quantity)
}

/// The clock jumps; it never goes back.
fn increase_time(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U64> {
    let by: Number = arguments.required()?;
    let before = dev(service)?.ahead.fetch_add(by.get(), Ordering::AcqRel);
    Ok(U64::from(before.saturating_add(by.get())))
}

/// The next block has that time, if it is made within this second.
fn set_time(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<u64>> {
    let to: Number = arguments.required()?;
    let now = (service.ledger.options().clock)();
    let by = to
        .get()
        .checked_sub(now)
        .ok_or_else(|| Failure::server(format!("the clock is at {now} and does not go back")))?;
    dev(service)?.ahead.fetch_add(by, Ordering::AcqRel);
    Ok(None)
}

/// A block. It needs a transaction to be made, so the last of the keys sends itself nothing.
async fn mine(service: Arc<Service>, _: Params<'static>) -> Answer<U64> {
    let mut blocks = service.events.blocks();
    let worker = Arc::clone(&service);
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
                return Ok(U64::from(place.height));
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
