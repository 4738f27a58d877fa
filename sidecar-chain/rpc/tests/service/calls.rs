//! Calls, estimates and simulated blocks know what blocks know: this chain's native contracts, and the
//! blocks below them.

use alloy_primitives::{B256, U64};
use lode_chain_rpc::Config;
use serde_json::{Value, json};

use crate::common::{Client, LOGGER, Wallet};

/// BLAKE3 of nothing (test vectors of its authors).
const OF_NOTHING: &str = "0xaf1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
/// Gas of a transaction that calls it: 21,000, and the 30 that it takes.
const GAS: u64 = 21_030;
const BLAKE3: &str = "0x0000000000000000000000000000000000002001";

/// A native contract of this chain answers calls, is paid for in estimates, and is seen by tracers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_contracts_are_called() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let call = json!({ "to": BLAKE3 });
    let found = client.get("eth_call", json!([call, "latest"]));
    assert_eq!(found, OF_NOTHING);
    let gas: U64 = serde_json::from_value(client.get("eth_estimateGas", json!([call]))).unwrap();
    // What it takes, known to 1.5 %.
    let gas = gas.to::<u64>();
    assert!((GAS..GAS + GAS * 15 / 1000).contains(&gas), "{gas}");
    let traced = client.get(
        "debug_traceCall",
        json!([call, "latest", { "tracer": "callTracer" }]),
    );
    assert_eq!(traced["output"], OF_NOTHING);
    let wanted = json!({ "blockStateCalls": [{ "calls": [call] }] });
    let blocks = client.get("eth_simulateV1", json!([wanted]));
    assert_eq!(blocks[0]["calls"][0]["returnData"], OF_NOTHING);
    // In a block as well.
    let to = BLAKE3.parse().unwrap();
    let bytes = Wallet::new(0).signed(0, to, GAS);
    let hash = client.get("eth_sendRawTransaction", json!([bytes]));
    crate::common::mine(&ledger).await;
    let receipt = client.get("eth_getTransactionReceipt", json!([hash]));
    assert_eq!(
        (&receipt["status"], &receipt["gasUsed"]),
        (&json!("0x1"), &json!(U64::from(GAS)))
    );
    let traced = client.get(
        "debug_traceTransaction",
        json!([hash, { "tracer": "callTracer" }]),
    );
    assert_eq!(traced["output"], OF_NOTHING);
    handle.stop().await;
    ledger.stop();
}

/// The contract that checks points of blobs (EIP-4844) answers what its specification says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_of_blobs_are_checked() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let hash = "01e798154708fe7789429634053cbf9f99b619f9f084048927333fce637f549b";
    let z = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000";
    let y = "1522a4a7f34e1ea350ae07c29c96c7e79655aa926122e95fe69fcbd932ca49e9";
    let commitment = "8f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca25f26936857bc3a7c2539ea8ec3a952b7";
    let proof = "a62ad71d14c5719385c0686f1871430475bf3a00f0aa3f7b8dd99a9abc2160744faf0070725e00b60ad9a026a15b1a8c";
    let call = |y: &str| {
        let input = format!("0x{hash}{z}{y}{commitment}{proof}");
        json!([{ "to": "0x000000000000000000000000000000000000000a", "input": input }])
    };
    let fields = "0x000000000000000000000000000000000000000000000000000000000000100073eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";
    assert_eq!(client.get("eth_call", call(y)), fields);
    let wrong = client.refused("eth_call", call(z));
    assert_eq!(wrong["code"], -32000, "{wrong}");
    handle.stop().await;
    ledger.stop();
}

/// Simulated blocks stand on the last one and on each other, numbers that are left out included; what
/// one changes the next one sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulated_blocks_stand_on_each_other() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    crate::common::mine(&ledger).await;
    let last = client.get("eth_getBlockByNumber", json!(["latest", false]));
    let me = Wallet::new(0).address();
    let fresh = alloy_primitives::Address::repeat_byte(0x77);
    let pay = json!({ "from": me, "to": fresh, "value": "0x5" });
    // Answers with the hash of a block (BLOCKHASH of the first argument), and with a balance.
    let hash_of = "0x6000354060005260206000f3";
    let balance_of = "0x6000353160005260206000f3";
    let asks = |code: &str, word: B256| {
        let to = alloy_primitives::Address::repeat_byte(0x78);
        json!({
            "stateOverrides": { to.to_string(): { "code": code } },
            "calls": [{ "to": to, "input": word }],
        })
    };
    let first = json!({ "calls": [pay, pay] });
    let mut later = asks(hash_of, B256::with_last_byte(2));
    later["blockOverrides"] = json!({ "number": "0x5" });
    let balance = asks(balance_of, B256::left_padding_from(fresh.as_slice()));
    let wanted = json!({ "blockStateCalls": [first, later, balance] });
    let blocks = client.get("eth_simulateV1", json!([wanted, "latest"]));
    let blocks = blocks.as_array().unwrap();
    let mut parent = &last;
    for (block, number) in blocks.iter().zip(2_u64..) {
        assert_eq!(block["number"], json!(U64::from(number)));
        assert_eq!(block["parentHash"], parent["hash"]);
        parent = block;
    }
    assert_eq!(blocks.len(), 5);
    let returned = |at: usize| &blocks[at]["calls"][0]["returnData"];
    assert_eq!(
        *returned(3),
        blocks[0]["hash"],
        "BLOCKHASH of a simulated one"
    );
    assert_eq!(*returned(4), json!(B256::with_last_byte(10)));
    // Nothing is left behind.
    let left = client.get("eth_getBalance", json!([fresh, "latest"]));
    assert_eq!(left, "0x0");
    let logged = json!({ "blockStateCalls": [{ "calls": [{ "from": me, "to": LOGGER }] }] });
    let blocks = client.get("eth_simulateV1", json!([logged, "latest"]));
    let log = &blocks[0]["calls"][0]["logs"][0];
    assert_eq!(log["blockHash"], blocks[0]["hash"]);
    assert_eq!(client.get("eth_getLogs", json!([{}])), Value::Array(vec![]));
    handle.stop().await;
    ledger.stop();
}
