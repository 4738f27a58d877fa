//! What is refused or left open is told as geth tells it: clients know errors by words, and compare
//! forms byte by byte.

use alloy_primitives::{B256, U256, address};
use lode_chain_rpc::Config;
use serde_json::{Value, json};

use crate::common::{CALLER, Client, LOGGER, Wallet, ask, request};

fn error(code: i32, message: &str) -> Value {
    json!({ "code": code, "message": message })
}

/// A method that is not here is refused alone and in a batch, where others are answered; so are
/// subscriptions where no news can be sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_methods_are_refused() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let missing = |name: &str| {
        let message = format!("the method {name} does not exist/is not available");
        error(-32601, &message)
    };
    for name in ["eth_nothing", "", "eth_call ", "evm_mine"] {
        assert_eq!(client.refused(name, json!([])), missing(name));
    }
    let none = error(-32601, "notifications not supported");
    for name in ["eth_subscribe", "eth_unsubscribe", "lode_subscribe"] {
        assert_eq!(client.refused(name, json!(["newHeads"])), none);
    }
    let batch = [
        request(5, "eth_nothing", json!([])),
        request(6, "net_version", json!([])),
        request(7, "eth_subscribe", json!(["newHeads"])),
        json!({ "jsonrpc": "2.0", "method": "eth_nothing", "params": [] }),
        request(8, "eth_chainId", json!([])),
    ];
    let answers = json!([
        { "jsonrpc": "2.0", "id": 5, "error": missing("eth_nothing") },
        { "jsonrpc": "2.0", "id": 6, "result": "31337" },
        { "jsonrpc": "2.0", "id": 7, "error": none },
        { "jsonrpc": "2.0", "id": 8, "result": "0x7a69" },
    ]);
    assert_eq!(ask(client.0, &json!(batch)), answers);
    handle.stop().await;
    ledger.stop();
}

/// A filter that never was, that is gone, or that is of another kind is not found; its name is a
/// number as geth writes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_are_not_found() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let missing = error(-32000, "filter not found");
    for name in ["0x1", "0x", "junk", "0xffffffffffffffffffffffffffffffffff"] {
        for method in ["eth_getFilterChanges", "eth_getFilterLogs"] {
            assert_eq!(client.refused(method, json!([name])), missing, "{name}");
        }
        assert_eq!(
            client.get("eth_uninstallFilter", json!([name])),
            json!(false)
        );
    }
    let blocks = client.get("eth_newBlockFilter", json!([]));
    let name = blocks.as_str().unwrap();
    assert!(name.starts_with("0x") && name.len() > 20, "{name}");
    assert_eq!(client.refused("eth_getFilterLogs", json!([name])), missing);
    assert_eq!(
        client.get("eth_uninstallFilter", json!([name])),
        json!(true)
    );
    let refused = client.refused("eth_getFilterChanges", json!([name]));
    assert_eq!(refused, missing);
    handle.stop().await;
    ledger.stop();
}

/// A log has to have a topic at every place that is asked for, even where any will do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_have_all_topics_that_are_asked_for() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let bytes = Wallet::new(0).signed(0, LOGGER, 100_000);
    client.get("eth_sendRawTransaction", json!([bytes]));
    let block = crate::common::mine(&ledger).await;
    let (one, two) = (B256::with_last_byte(1), B256::with_last_byte(2));
    let cases = [
        (json!([]), 1),
        (json!([null]), 1),
        (json!([[]]), 1),
        (json!([one]), 1),
        (json!([[two, one]]), 1),
        (json!([[two, null]]), 1),
        (json!([two]), 0),
        (json!([null, null]), 0),
        (json!([one, null]), 0),
        (json!([one, []]), 0),
        (json!([one, null, null, null]), 0),
    ];
    for (topics, count) in cases {
        let by_range = json!({ "fromBlock": "0x0", "toBlock": "latest", "topics": topics });
        let by_hash = json!({ "blockHash": block.hash(), "topics": topics });
        let kept = client.get("eth_newFilter", json!([by_range]));
        for found in [
            client.get("eth_getLogs", json!([by_range])),
            client.get("eth_getLogs", json!([by_hash])),
            client.get("eth_getFilterLogs", json!([kept])),
        ] {
            assert_eq!(found.as_array().unwrap().len(), count, "{topics}: {found}");
        }
    }
    handle.stop().await;
    ledger.stop();
}

/// Slots may be written short; the answer writes short ones as numbers, and whole ones as they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_may_be_short() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let bytes = Wallet::new(0).signed(0, CALLER, 100_000);
    client.get("eth_sendRawTransaction", json!([bytes]));
    crate::common::mine(&ledger).await;
    let (zero, one) = (B256::ZERO, B256::with_last_byte(1));
    let bare = &one.to_string()[2..];
    let odd = &one.to_string()[3..];
    let cases = [
        ("0x0", "0x0".to_owned(), "0x1"),
        ("0x", "0x0".to_owned(), "0x1"),
        ("", "0x0".to_owned(), "0x1"),
        ("0x00", "0x0".to_owned(), "0x1"),
        ("0x1", "0x1".to_owned(), "0x0"),
        ("1", "0x1".to_owned(), "0x0"),
        ("0x0000000001", "0x1".to_owned(), "0x0"),
        (&zero.to_string(), zero.to_string(), "0x1"),
        (&one.to_string(), one.to_string(), "0x0"),
        (bare, one.to_string(), "0x0"),
        (odd, one.to_string(), "0x0"),
    ];
    let asked: Vec<&str> = cases.iter().map(|case| case.0).collect();
    let proof = client.get("eth_getProof", json!([CALLER, asked, "latest"]));
    for (at, (asked, key, value)) in cases.iter().enumerate() {
        let found = &proof["storageProof"][at];
        let found = (&found["key"], &found["value"]);
        assert_eq!(found, (&json!(key), &json!(value)), "{asked}");
    }
    let long = format!("{one}00");
    let words = format!("storage key too long (want at most 32 bytes): {long:?}");
    let refused = client.refused("eth_getProof", json!([CALLER, [long], "latest"]));
    assert_eq!(refused, error(-32602, &words));
    let words = "invalid hex in storage key: \"0xg\"";
    let refused = client.refused("eth_getProof", json!([CALLER, ["0xg"], "latest"]));
    assert_eq!(refused, error(-32602, words));
    handle.stop().await;
    ledger.stop();
}

/// What waits is shown in a line, by sender and nonce, with checksums in addresses (EIP-55).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_shown_in_lines() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let to = address!("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
    let wallet = Wallet::new(4);
    for nonce in [0, 2] {
        let bytes = wallet.signed(nonce, to, 21_000);
        client.get("eth_sendRawTransaction", json!([bytes]));
    }
    let line = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed: 1 wei + 21000 gas × 10000000000 wei";
    let sender = wallet.address().to_checksum(None);
    let shown = json!({
        "pending": { &sender: { "0": line } },
        "queued": { &sender: { "2": line } },
    });
    assert_eq!(client.get("txpool_inspect", json!([])), shown);
    handle.stop().await;
    ledger.stop();
}

/// The price is the last block's base fee and the tip, however the next base fee will be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_price_is_of_the_last_block() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let block = crate::common::mine(&ledger).await;
    let next = client.get("eth_baseFee", json!([]));
    let fee = block.header().base_fee_per_gas.unwrap();
    assert_ne!(next, json!(format!("{fee:#x}")), "it is another one");
    let price = U256::from(fee) + U256::from(Config::default().tip);
    assert_eq!(client.get("eth_gasPrice", json!([])), json!(price));
    handle.stop().await;
    ledger.stop();
}
