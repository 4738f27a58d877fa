//! Helpers for development do what they say, within bounds, and only where they are asked for; what
//! cannot be done to final blocks is refused with its reason.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    thread,
};

use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use lode_chain_ledger::Ledger;
use lode_chain_rpc::{Config, Handle, dev::Dev, serve};
use serde_json::{Value, json};

use crate::common::{Client, LOGGER, Wallet};

const TO: Address = Address::repeat_byte(0xaa);

async fn start() -> (tempfile::TempDir, Ledger, Handle) {
    let ahead = Arc::new(AtomicU64::new(0));
    let (dir, ledger) = crate::common::ledger_ahead(&crate::common::genesis(), Arc::clone(&ahead));
    let dev = Dev {
        keys: (0..3).map(|number| Wallet::new(number).key()).collect(),
        ahead,
    };
    let config = Config {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        dev: Some(dev),
        ..Config::default()
    };
    let handle = serve(config, ledger.clone()).await.unwrap();
    (dir, ledger, handle)
}

fn address(number: u8) -> Address {
    Wallet::new(number).address()
}

/// The node signs texts and transactions with its keys and with no others; what it only signs is not
/// sent, and what it sends lacks nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_signs_with_its_keys() {
    let (_dir, ledger, handle) = start().await;
    let client = Client(handle.address());
    let owners = json!([address(0), address(1), address(2)]);
    assert_eq!(client.get("eth_accounts", json!([])), owners);
    assert_eq!(client.get("eth_requestAccounts", json!([])), owners);

    let text = Bytes::from(b"a text".to_vec());
    let signed = client.get("eth_sign", json!([address(1), text]));
    let bytes: Bytes = serde_json::from_value(signed.clone()).unwrap();
    let signature = Signature::from_raw(&bytes).unwrap();
    let signer = signature.recover_address_from_msg(&text[..]).unwrap();
    assert_eq!(signer, address(1));
    // The same with its arguments the other way round.
    assert_eq!(
        client.get("personal_sign", json!([text, address(1)])),
        signed
    );
    let unknown = json!({ "code": -32000, "message": "unknown account" });
    assert_eq!(
        client.refused("eth_sign", json!([address(7), text])),
        unknown
    );

    let wanted = json!({ "from": address(2), "to": TO, "value": "0x7" });
    let signed = client.get("eth_signTransaction", json!([wanted]));
    let raw: Bytes = serde_json::from_value(signed["raw"].clone()).unwrap();
    let envelope = TxEnvelope::decode_2718_exact(&raw).unwrap();
    assert_eq!(envelope.recover_signer().unwrap(), address(2));
    assert_eq!((envelope.to(), envelope.value()), (Some(TO), U256::from(7)));
    assert_eq!((envelope.nonce(), envelope.gas_limit()), (0, 21_000));
    assert_eq!(envelope.chain_id(), Some(crate::common::CHAIN));
    assert_eq!(ledger.pool(|pool| pool.status().executable), 0);

    let sent = client.get("eth_sendTransaction", json!([wanted]));
    assert_eq!(sent, json!(envelope.hash()), "the same as before");
    let block = crate::common::mine(&ledger).await;
    assert_eq!(json!(block.transactions()[0].hash()), sent);
    assert_eq!(client.get("eth_getBalance", json!([TO])), "0x7");
    let foreign = json!({ "from": address(7), "to": TO });
    assert_eq!(
        client.refused("eth_sendTransaction", json!([foreign])),
        unknown
    );
    let failing = json!({ "from": address(2), "to": crate::common::REVERTER });
    let failed = client.refused("eth_sendTransaction", json!([failing]));
    assert_eq!(
        failed,
        json!({ "code": 3, "message": "execution reverted", "data": "0x2a" })
    );
    handle.stop().await;
    ledger.stop();
}

/// Has a block made while a request waits for it.
async fn mined(ledger: &Ledger, ask: impl FnOnce() -> Value + Send + 'static) -> Value {
    let asking = thread::spawn(ask);
    while !asking.is_finished() {
        if ledger.pool(|pool| pool.status().executable) > 0 {
            crate::common::mine(ledger).await;
        }
        tokio::task::yield_now().await;
    }
    asking.join().unwrap()
}

/// Blocks are made when they are asked for, as many as are asked for; the clock goes forward by what
/// is asked for and never back, and blocks have its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_and_time_are_to_be_had() {
    let (_dir, ledger, handle) = start().await;
    let server = handle.address();
    let client = Client(server);
    let time = |ledger: &Ledger| {
        let view = ledger.latest();
        view.header(view.tip()).unwrap().unwrap().timestamp
    };
    let answer = mined(&ledger, move || Client(server).get("evm_mine", json!([]))).await;
    assert_eq!((answer, ledger.latest().tip()), (json!("0x1"), 1));
    let before = time(&ledger);

    assert_eq!(client.get("evm_increaseTime", json!([1000])), "0x3e8");
    assert_eq!(client.get("evm_increaseTime", json!(["0x10"])), "0x3f8");
    let mine = move || Client(server).get("anvil_mine", json!(["0x3", 100]));
    let answer = mined(&ledger, mine).await;
    assert_eq!((answer, ledger.latest().tip()), (json!("0x4"), 4));
    assert!(
        time(&ledger) >= before + 1016 + 200,
        "{before} {}",
        time(&ledger)
    );

    let later = time(&ledger) + 10_000;
    client.get("evm_setNextBlockTimestamp", json!([later]));
    let answer = mined(&ledger, move || {
        Client(server).get("hardhat_mine", json!([]))
    })
    .await;
    assert_eq!(answer, "0x5");
    assert!(time(&ledger) >= later);
    let at = later + 10_000;
    mined(&ledger, move || Client(server).get("evm_mine", json!([at]))).await;
    assert!(time(&ledger) >= at);

    let refused = client.refused("anvil_setNextBlockTimestamp", json!([later]));
    let words = refused["message"].as_str().unwrap();
    assert!(words.ends_with("and does not go back"), "{words}");
    for by in [
        json!(u64::MAX),
        json!("0xffffffffffffffff"),
        json!(1_u64 << 40),
    ] {
        let refused = client.refused("evm_increaseTime", json!([by]));
        assert_eq!(refused["code"], -32602, "{refused}");
    }
    let refused = client.refused("hardhat_mine", json!(["0x101"]));
    assert_eq!(refused["data"], json!({ "blocksMax": 256 }));
    assert_eq!(ledger.latest().tip(), 6);
    handle.stop().await;
    ledger.stop();
}

/// What would change final blocks, or the state beside them, is refused by name and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_stays() {
    let (_dir, ledger, handle) = start().await;
    let client = Client(handle.address());
    let before = client.get("eth_getBlockByNumber", json!(["latest", false]));
    for (name, params) in [
        ("evm_snapshot", json!([])),
        ("evm_revert", json!(["0x1"])),
        ("anvil_setBalance", json!([TO, "0x1"])),
        ("hardhat_setBalance", json!([TO, "0x1"])),
        ("anvil_setCode", json!([TO, "0x00"])),
        ("hardhat_setStorageAt", json!([LOGGER, "0x0", B256::ZERO])),
        ("anvil_impersonateAccount", json!([TO])),
        ("hardhat_reset", json!([])),
        ("anvil_rollback", json!([1])),
    ] {
        let refused = client.refused(name, params);
        let words = refused["message"].as_str().unwrap();
        assert!(
            words.starts_with("this chain's blocks are final"),
            "{words}"
        );
    }
    assert_eq!(client.get("eth_getBalance", json!([TO])), "0x0");
    assert_eq!(
        client.get("eth_getBlockByNumber", json!(["latest", false])),
        before
    );
    handle.stop().await;
    ledger.stop();
}

/// A node that is not for development signs nothing and knows none of these methods.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_nodes_have_none_of_it() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    assert_eq!(client.get("eth_accounts", json!([])), json!([]));
    let wanted = json!([{ "from": address(0), "to": TO }]);
    for name in [
        "eth_sendTransaction",
        "eth_sign",
        "evm_mine",
        "evm_increaseTime",
        "anvil_setBalance",
    ] {
        let refused = client.refused(name, wanted.clone());
        assert_eq!(refused["code"], -32601, "{name}: {refused}");
    }
    handle.stop().await;
    ledger.stop();
}
