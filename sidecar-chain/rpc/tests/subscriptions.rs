//! Who subscribes hears of every block once and in order, however slow he is.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;

use lode_chain_rpc::{Config, Service, module};
use serde_json::Value;

mod common;

use common::{LOGGER, Wallet};

/// Blocks, logs and waiting transactions come to who has asked for them, and to nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_hear_of_all() {
    let (_dir, ledger) = common::ledger(&common::genesis());
    let service = Arc::new(Service::new(Config::default(), ledger.clone()));
    let passing = {
        let service = Arc::clone(&service);
        tokio::spawn(async move { service.events.pass_on(&service.ledger).await })
    };
    let module = module(service);
    tokio::task::yield_now().await;
    let mut heads = module
        .subscribe("eth_subscribe", ["newHeads"], 1)
        .await
        .unwrap();
    let wanted = ("logs", serde_json::json!({ "address": LOGGER }));
    let mut logs = module.subscribe("eth_subscribe", wanted, 16).await.unwrap();
    let mut pending = module
        .subscribe("eth_subscribe", ["newPendingTransactions"], 16)
        .await
        .unwrap();
    let refused = module.subscribe("eth_subscribe", ["nothing"], 16).await;
    assert!(refused.is_err());

    let bytes = Wallet::new(0).signed(0, LOGGER, 100_000);
    let hash = alloy_primitives::keccak256(&bytes);
    let sent: alloy_primitives::B256 = module
        .call("eth_sendRawTransaction", [bytes])
        .await
        .unwrap();
    assert_eq!(sent, hash);
    // More than the ring of events holds: who is behind reads the chain.
    let mut mined = Vec::new();
    for _ in 0..200 {
        mined.push(common::mine(&ledger).await.hash());
    }
    for wanted in mined {
        let (head, _) = heads.next::<Value>().await.unwrap().unwrap();
        assert_eq!(head["hash"], serde_json::json!(wanted));
    }
    let (log, _) = logs.next::<Value>().await.unwrap().unwrap();
    assert_eq!(log["transactionHash"], serde_json::json!(hash));
    let (waiting, _) = pending.next::<Value>().await.unwrap().unwrap();
    assert_eq!(waiting, serde_json::json!(hash));
    passing.abort();
    ledger.stop();
}
