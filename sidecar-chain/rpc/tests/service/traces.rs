//! Transactions that are looked into show what they did: calls, steps and changes, in geth's forms.

use alloy_primitives::{Address, B256, U256};
use lode_chain_ledger::Ledger;
use lode_chain_rpc::{Config, Handle};
use serde_json::{Value, json};

use crate::common::{CALLER, Client, LOGGER, REVERTER, RUNNER, Wallet};

/// A chain with one block of four transactions of one sender: to the caller, to the logger, to the
/// reverter, and to the caller again.
async fn start(config: Config) -> (tempfile::TempDir, Ledger, Handle, Vec<Value>) {
    let (dir, ledger, handle) = crate::common::start(config).await;
    let client = Client(handle.address());
    let sent = [CALLER, LOGGER, REVERTER, CALLER].into_iter().zip(0..);
    let hashes = sent.map(|(to, nonce)| {
        let bytes = Wallet::new(0).signed(nonce, to, 100_000);
        client.get("eth_sendRawTransaction", json!([bytes]))
    });
    let hashes = hashes.collect();
    assert_eq!(crate::common::mine(&ledger).await.transactions().len(), 4);
    (dir, ledger, handle, hashes)
}

fn gas_used(client: &Client, hash: &Value) -> Value {
    client.get("eth_getTransactionReceipt", json!([hash]))["gasUsed"].clone()
}

/// Takes a member away.
fn taken(value: &mut Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name).unwrap()
}

/// Calls within calls, their logs, and what a revert says; all of a block as each alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_shown() {
    let (_dir, ledger, handle, hashes) = start(Config::default()).await;
    let client = Client(handle.address());
    let me = Wallet::new(0).address();
    let options = json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } });
    let trace = |hash: &Value| client.get("debug_traceTransaction", json!([hash, options]));

    let mut outer = trace(&hashes[0]);
    assert_eq!(taken(&mut outer, "gasUsed"), gas_used(&client, &hashes[0]));
    let mut inner = taken(&mut outer, "calls")[0].take();
    let gas = |value: &mut Value, name: &str| {
        let text = taken(value, name);
        let number: U256 = serde_json::from_value(text).unwrap();
        number.to::<u64>()
    };
    // A call passes on all but a 64th of what is left; the logger takes 9 for three words and 750 for
    // a log with one topic.
    let given = gas(&mut inner, "gas");
    assert!((70_000..78_000).contains(&given), "{given}");
    assert_eq!(gas(&mut inner, "gasUsed"), 759);
    assert_eq!(
        outer,
        json!({
            "type": "CALL", "from": me, "to": CALLER, "value": "0x1", "gas": "0x186a0", "input": "0x",
        })
    );
    let mut log = taken(&mut inner, "logs")[0].take();
    assert_eq!(
        inner,
        json!({ "type": "CALL", "from": CALLER, "to": LOGGER, "value": "0x0", "input": "0x" })
    );
    log.as_object_mut()
        .unwrap()
        .retain(|name, _| name != "index");
    assert_eq!(
        log,
        json!({ "address": LOGGER, "topics": [B256::with_last_byte(1)], "data": "0x", "position": "0x0" })
    );

    let reverted = trace(&hashes[2]);
    let said = ["type", "to", "output", "error"].map(|name| reverted[name].clone());
    let wanted = [
        json!("CALL"),
        json!(REVERTER),
        json!("0x2a"),
        json!("execution reverted"),
    ];
    assert_eq!(said, wanted);

    let all = client.get("debug_traceBlockByNumber", json!(["0x1", options]));
    for (at, hash) in hashes.iter().enumerate() {
        assert_eq!(all[at], json!({ "txHash": hash, "result": trace(hash) }));
    }
    let block = client.get("eth_getBlockByNumber", json!(["0x1", false]));
    let by_hash = client.get("debug_traceBlockByHash", json!([block["hash"], options]));
    assert_eq!(by_hash, all);
    handle.stop().await;
    ledger.stop();
}

/// Each step with its place, its cost and its stack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_are_shown() {
    let (_dir, ledger, handle, hashes) = start(Config::default()).await;
    let client = Client(handle.address());
    let trace = client.get("debug_traceTransaction", json!([hashes[1]]));
    let used: U256 = serde_json::from_value(gas_used(&client, &hashes[1])).unwrap();
    assert_eq!(trace["gas"], json!(used.to::<u64>()));
    assert_eq!(
        (&trace["failed"], &trace["returnValue"]),
        (&json!(false), &json!("0x"))
    );
    let steps: Vec<_> = trace["structLogs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            json!([
                step["pc"],
                step["op"],
                step["gasCost"],
                step["depth"],
                step["stack"]
            ])
        })
        .collect();
    let wanted = [
        json!([0, "PUSH1", 3, 1, []]),
        json!([2, "PUSH1", 3, 1, ["0x1"]]),
        json!([4, "PUSH1", 3, 1, ["0x1", "0x0"]]),
        json!([6, "LOG1", 750, 1, ["0x1", "0x0", "0x0"]]),
        json!([7, "STOP", 0, 1, []]),
    ];
    assert_eq!(steps, wanted);
    let reverted = client.get("debug_traceTransaction", json!([hashes[2], {}]));
    assert_eq!(
        (&reverted["failed"], &reverted["returnValue"]),
        (&json!(true), &json!("0x2a"))
    );
    // The caller's second call finds its slot set: storing the same value again is cheap.
    let store = |hash: &Value| {
        let trace = client.get("debug_traceTransaction", json!([hash]));
        let steps = trace["structLogs"].as_array().unwrap().clone();
        steps
            .into_iter()
            .find(|step| step["op"] == "SSTORE")
            .unwrap()
    };
    let (first, second) = (store(&hashes[0]), store(&hashes[3]));
    // EIP-2929: a cold slot 2,100 more; EIP-2200: 20,000 to set, 100 to leave.
    assert_eq!(
        (&first["gasCost"], &second["gasCost"]),
        (&json!(22_100), &json!(2_200))
    );
    handle.stop().await;
    ledger.stop();
}

/// What a transaction found and what it changed, after those before it in its block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_shown() {
    let (_dir, ledger, handle, hashes) = start(Config::default()).await;
    let client = Client(handle.address());
    let name = |address: Address| format!("{address:#x}");
    let (slot, set) = (B256::ZERO.to_string(), B256::with_last_byte(1));
    let found = |hash: &Value| {
        let options = json!({ "tracer": "prestateTracer" });
        client.get("debug_traceTransaction", json!([hash, options]))
    };
    let changed = |hash: &Value| {
        let options = json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } });
        client.get("debug_traceTransaction", json!([hash, options]))
    };
    let first = found(&hashes[0]);
    let code = client.get("eth_getCode", json!([CALLER]));
    let caller = json!({ "balance": "0x0", "code": code, "storage": { &slot: B256::ZERO } });
    assert_eq!(first[name(CALLER)], caller);
    assert_eq!(first[name(LOGGER)]["balance"], "0x0");
    let me = name(Wallet::new(0).address());
    assert_eq!(first[&me]["balance"], "0xffffffffffffffffffffff");

    let first = changed(&hashes[0]);
    let after = json!({ "balance": "0x1", "storage": { &slot: set } });
    assert_eq!(first["post"][name(CALLER)], after);
    assert_eq!(first["post"][&me]["nonce"], 1);
    assert_eq!(first["pre"][name(LOGGER)], Value::Null, "it is as it was");

    let again = found(&hashes[3]);
    let caller = json!({ "balance": "0x1", "code": code, "storage": { &slot: set } });
    assert_eq!(again[name(CALLER)], caller);
    assert_eq!(again[&me]["nonce"], 3);
    let again = changed(&hashes[3]);
    assert_eq!(again["post"][name(CALLER)], json!({ "balance": "0x2" }));
    handle.stop().await;
    ledger.stop();
}

/// Flat lists of calls, as explorers ask for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flat_traces_are_shown() {
    let (_dir, ledger, handle, hashes) = start(Config::default()).await;
    let client = Client(handle.address());
    let all = client.get("trace_block", json!(["0x1"]));
    let shown: Vec<Value> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let action = &one["action"];
            let place = [&one["transactionPosition"], &one["traceAddress"]];
            json!([place, action["from"], action["to"], one["error"]])
        })
        .collect();
    let me = Wallet::new(0).address();
    let wanted = [
        json!([[0, []], me, CALLER, null]),
        json!([[0, [0]], CALLER, LOGGER, null]),
        json!([[1, []], me, LOGGER, null]),
        json!([[2, []], me, REVERTER, "Reverted"]),
        json!([[3, []], me, CALLER, null]),
        json!([[3, [0]], CALLER, LOGGER, null]),
    ];
    assert_eq!(shown, wanted);
    let first = client.get("trace_transaction", json!([hashes[0]]));
    assert_eq!(first, json!([all[0], all[1]]));
    let filter = json!({ "fromBlock": "0x1", "toBlock": "0x1", "toAddress": [LOGGER] });
    let found = client.get("trace_filter", json!([filter]));
    assert_eq!(found, json!([all[1], all[2], all[5]]));
    handle.stop().await;
    ledger.stop();
}

/// A trace that would take too much memory is refused, whoever asks how often; other requests are
/// answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_traces_are_refused() {
    let config = Config {
        trace_len_max: 1 << 20,
        ..Config::default()
    };
    let (_dir, ledger, handle, hashes) = start(config).await;
    let client = Client(handle.address());
    let bytes = Wallet::new(1).signed(0, RUNNER, 5_000_000);
    let long = client.get("eth_sendRawTransaction", json!([bytes]));
    crate::common::mine(&ledger).await;
    for _ in 0..3 {
        let refused = client.refused("debug_traceTransaction", json!([long]));
        assert_eq!(refused["code"], -32000, "{refused}");
        let call = json!({ "to": RUNNER, "gas": "0x4c4b40" });
        let refused = client.refused("debug_traceCall", json!([call, "latest", {}]));
        assert_eq!(refused["code"], -32000, "{refused}");
    }
    // By calls alone it is short.
    let options = json!({ "tracer": "callTracer" });
    let trace = client.get("debug_traceTransaction", json!([long, options]));
    assert_eq!(
        (&trace["error"], &trace["gasUsed"]),
        (&json!("out of gas"), &json!("0x4c4b40"))
    );
    let trace = client.get("debug_traceTransaction", json!([hashes[1]]));
    assert_eq!(trace["structLogs"].as_array().unwrap().len(), 5);
    handle.stop().await;
    ledger.stop();
}
