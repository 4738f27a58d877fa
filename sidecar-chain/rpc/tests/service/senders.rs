//! Who may send, and what he has sent: accounts with code of others or of their own, and transactions
//! by sender and nonce.

use lode_chain_rpc::Config;
use serde_json::{Value, json};

use crate::common::{CONTRACT, Client, DELEGATED, LOGGER, Wallet};

/// A contract sends nothing even if somebody has its key (EIP-3607); who has delegated (EIP-7702) has
/// one transaction in flight, and the next one when a block has taken it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_bounds_its_account() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let refused = |wallet: &Wallet, nonce| {
        let bytes = wallet.signed(nonce, LOGGER, 100_000);
        let refused = client.refused("eth_sendRawTransaction", json!([bytes]));
        assert_eq!(refused["code"], -32000);
        refused["message"].as_str().unwrap().to_owned()
    };
    let contract = Wallet::new(CONTRACT);
    let words = format!(
        "sender not an eoa: address {}, len(code): 1",
        contract.address()
    );
    assert_eq!(refused(&contract, 0), words);
    let wallet = Wallet::new(DELEGATED);
    let gap = "gapped-nonce tx from delegated accounts";
    assert_eq!(refused(&wallet, 1), gap);
    for nonce in 0..3 {
        let bytes = wallet.signed(nonce, LOGGER, 100_000);
        let hash = client.get("eth_sendRawTransaction", json!([bytes]));
        let limit = "in-flight transaction limit reached for delegated accounts";
        assert_eq!(refused(&wallet, nonce + 1), limit);
        let block = crate::common::mine(&ledger).await;
        assert_eq!(json!(block.transactions()[0].hash()), hash);
    }
    handle.stop().await;
    ledger.stop();
}

/// By sender and nonce every transaction is found, where it waits and in whichever block it is, and
/// none that is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_found_by_nonce() {
    let (_dir, ledger, handle) = crate::common::start(Config::default()).await;
    let client = Client(handle.address());
    let wallets = [Wallet::new(0), Wallet::new(1)];
    let find = |wallet: &Wallet, nonce: u64| {
        let params = json!([wallet.address(), format!("{nonce:#x}")]);
        client.get("eth_getTransactionBySenderAndNonce", params)
    };
    let mut sent: Vec<(usize, u64, Value)> = Vec::new();
    let mut nonces = [0, 0];
    // Blocks with none, with one, and with several of a sender's.
    for counts in [[1, 0], [0, 0], [3, 1], [0, 2], [2, 0], [0, 0], [0, 1]] {
        for (who, count) in counts.into_iter().enumerate() {
            for _ in 0..count {
                let bytes = wallets[who].signed(nonces[who], LOGGER, 100_000);
                let hash = client.get("eth_sendRawTransaction", json!([bytes]));
                let waiting = find(&wallets[who], nonces[who]);
                assert_eq!(
                    (&waiting["hash"], &waiting["blockHash"]),
                    (&hash, &Value::Null)
                );
                sent.push((who, nonces[who], hash));
                nonces[who] += 1;
            }
        }
        crate::common::mine(&ledger).await;
        for (who, nonce, hash) in &sent {
            let whole = client.get("eth_getTransactionByHash", json!([hash]));
            assert!(whole["blockHash"].is_string());
            assert_eq!(find(&wallets[*who], *nonce), whole);
        }
        for (wallet, nonce) in wallets.iter().zip(nonces) {
            assert_eq!(find(wallet, nonce), Value::Null);
        }
    }
    handle.stop().await;
    ledger.stop();
}
