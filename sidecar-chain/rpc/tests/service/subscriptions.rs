//! Who subscribes hears of every block once and in order, however slow he is.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use lode_chain_ledger::{Ledger, events::WAITING_MAX};
use lode_chain_pool::decode;
use lode_chain_rpc::{Config, Service, module};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::common::{LOGGER, Wallet};

/// A service whose events are passed on once this test waits.
fn start() -> (TempDir, Ledger, Arc<Service>, JoinHandle<()>) {
    let (dir, ledger) = crate::common::ledger(&crate::common::genesis());
    let service = Arc::new(Service::new(Config::default(), ledger.clone()));
    let passing = {
        let service = Arc::clone(&service);
        tokio::spawn(async move { service.events.pass_on(&service.ledger).await })
    };
    (dir, ledger, service, passing)
}

/// Blocks, logs and waiting transactions come to who has asked for them, and to nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_hear_of_all() {
    let (_dir, ledger, service, passing) = start();
    let module = module(service);
    tokio::task::yield_now().await;
    let mut heads = module
        .subscribe("eth_subscribe", ["newHeads"], 1)
        .await
        .unwrap();
    let wanted = ("logs", json!({ "address": LOGGER }));
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
        mined.push(crate::common::mine(&ledger).await.hash());
    }
    for wanted in mined {
        let (head, _) = heads.next::<Value>().await.unwrap().unwrap();
        assert_eq!(head["hash"], json!(wanted));
    }
    let (log, _) = logs.next::<Value>().await.unwrap().unwrap();
    assert_eq!(log["transactionHash"], json!(hash));
    let (waiting, _) = pending.next::<Value>().await.unwrap().unwrap();
    assert_eq!(waiting, json!(hash));
    ledger.stop();
    // It ends with the ledger.
    passing.await.unwrap();
}

/// Waiting transactions come whole to who wants them whole; who asks whether the node is behind hears
/// once that it is not; and each subscription hears only what it asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_hear_what_they_asked_for() {
    let (_dir, ledger, service, passing) = start();
    let module = module(service);
    tokio::task::yield_now().await;
    let subscribe = async |params: Value| {
        let params = params.as_array().unwrap().clone();
        module.subscribe("eth_subscribe", params, 16).await.unwrap()
    };
    let mut whole = subscribe(json!(["newPendingTransactions", true])).await;
    let mut syncing = subscribe(json!(["syncing"])).await;
    let topic = B256::with_last_byte(1);
    let mut logs = subscribe(json!(["logs", { "topics": [topic] }])).await;
    let mut none = subscribe(json!(["logs", { "topics": [topic, null] }])).await;
    let (told, _) = syncing.next::<Value>().await.unwrap().unwrap();
    assert_eq!(told, json!(false));

    let wallet = Wallet::new(0);
    let bytes = wallet.signed(0, LOGGER, 100_000);
    let hash: B256 = module
        .call("eth_sendRawTransaction", [bytes])
        .await
        .unwrap();
    let (shown, _) = whole.next::<Value>().await.unwrap().unwrap();
    let found: Value = module
        .call("eth_getTransactionByHash", [hash])
        .await
        .unwrap();
    assert_eq!(shown, found);
    assert_eq!(
        (&shown["hash"], &shown["from"], &shown["blockHash"]),
        (&json!(hash), &json!(wallet.address()), &Value::Null)
    );
    let block = crate::common::mine(&ledger).await;
    let (log, _) = logs.next::<Value>().await.unwrap().unwrap();
    let query = json!({ "blockHash": block.hash() });
    let found: Value = module.call("eth_getLogs", [query]).await.unwrap();
    assert_eq!(json!([log]), found);
    // What comes next to the one with two topics is what comes after: nothing.
    let waited = tokio::time::timeout(Duration::from_millis(50), none.next::<Value>()).await;
    assert!(waited.is_err(), "{waited:?}");
    ledger.stop();
    passing.await.unwrap();
}

/// A block that becomes final while the queue of events has run over is told of all the same, without
/// a further one.
#[tokio::test(flavor = "current_thread")]
async fn no_block_is_lost_with_the_queue() {
    let (_dir, ledger, service, passing) = start();
    // It listens, and does not get its turn again until this test waits.
    tokio::task::yield_now().await;
    let mut blocks = service.events.blocks();
    let wallets = [Wallet::new(0), Wallet::new(1)];
    for number in 0..WAITING_MAX + 100 {
        let number = u64::try_from(number).unwrap();
        let wallet = &wallets[usize::from(number % 2 == 1)];
        let bytes = wallet.signed(number / 2, LOGGER, 21_000 + 1_000);
        let checked = service.rules.check(decode(&bytes).unwrap()).unwrap();
        let transaction = checked.by(wallet.address());
        ledger.submit(transaction, true).unwrap().unwrap();
    }
    let block = futures_lite::future::block_on(crate::common::mine(&ledger));
    assert_eq!(block.height(), 1);
    let told = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Ok(1) = blocks.recv().await {
                return;
            }
        }
    });
    told.await.expect("the block is told of");
    ledger.stop();
    passing.await.unwrap();
}
