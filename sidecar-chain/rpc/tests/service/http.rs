//! What comes over the wire is answered within bounds: requests, batches, what is no JSON, and what
//! is too much.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use lode_chain_rpc::{Config, Handle, serve};
use serde_json::{Value, json};

use crate::common::{LOGGER, Wallet, ask, post, request};

fn config() -> Config {
    Config {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        request_len_max: 1 << 20,
        batch_max: 150,
        log_blocks_max: 2,
        filters_max: 3,
        ..Config::default()
    }
}

async fn start() -> (tempfile::TempDir, lode_chain_ledger::Ledger, Handle) {
    crate::common::start(config()).await
}

/// Requests and batches are answered in order; what is none gets JSON-RPC's codes; what is too long
/// is refused; and a stopped server is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_within_bounds() {
    let (_dir, ledger, handle) = start().await;
    let address = handle.address();
    let answer = ask(address, &request(1, "eth_chainId", json!([])));
    assert_eq!(
        answer,
        json!({ "jsonrpc": "2.0", "id": 1, "result": "0x7a69" })
    );

    let method = |id: u64| ["eth_blockNumber", "net_version"][usize::from(id % 2 == 1)];
    let batch: Vec<Value> = (0..150)
        .map(|id| request(id, method(id), json!([])))
        .collect();
    let answers = ask(address, &json!(batch));
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 150);
    for (id, answer) in (0_u64..).zip(answers) {
        assert_eq!(answer["id"], json!(id));
        assert_eq!(answer["result"], if id % 2 == 0 { "0x0" } else { "31337" });
    }

    let code = |body: &str| -> Value {
        let answer: Value = serde_json::from_str(&post(address, body).1).unwrap();
        // A list is a batch, and each of its answers stands by itself.
        let first = answer.get(0).unwrap_or(&answer);
        first["error"]["code"].clone()
    };
    assert_eq!(code("{"), -32700);
    assert_eq!(code("{\"jsonrpc\":\"2.0\",\"id\":1}"), -32600);
    assert_eq!(
        code(&request(1, "eth_nothing", json!([])).to_string()),
        -32601
    );
    assert_eq!(
        code(&request(1, "eth_getBalance", json!([])).to_string()),
        -32602
    );
    assert_eq!(
        code(&request(1, "eth_getBalance", json!({ "a": 1 })).to_string()),
        -32602
    );
    let over: Vec<Value> = (0..151)
        .map(|id| request(id, "eth_chainId", json!([])))
        .collect();
    assert_eq!(code(&json!(over).to_string()), -32010);
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    assert!(code(&deep).is_i64());
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\",\"params\":{}{}}}",
        "[".repeat(400_000),
        "]".repeat(400_000)
    );
    assert!(code(&deep).is_i64());
    let long = "x".repeat(2 << 20);
    assert_eq!(post(address, &long).0, 413);
    assert_eq!(
        ask(address, &request(7, "net_version", json!([])))["result"],
        "31337"
    );

    handle.stop().await;
    assert!(TcpStream::connect(address).is_err());
    ledger.stop();
}

/// A batch of transactions gets its hashes in order, refusals in geth's words at their places, and a
/// block makes all of them visible at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_transactions_are_taken() {
    let (_dir, ledger, handle) = start().await;
    let address = handle.address();
    let to = alloy_primitives::Address::repeat_byte(0xee);
    let signed: Vec<_> = (0..100)
        .map(|at: u64| Wallet::new(u8::try_from(at % 10).unwrap()).signed(at / 10, to, 21_000))
        .collect();
    let mut batch: Vec<Value> = (0_u64..)
        .zip(&signed)
        .map(|(id, bytes)| request(id, "eth_sendRawTransaction", json!([bytes])))
        .collect();
    batch.push(request(100, "eth_sendRawTransaction", json!([signed[0]])));
    batch.push(request(101, "eth_sendRawTransaction", json!(["0x02"])));
    batch.push(request(
        102,
        "eth_getTransactionCount",
        json!([Wallet::new(3).address(), "pending"]),
    ));
    let answers = ask(address, &json!(batch));
    for (at, bytes) in signed.iter().enumerate() {
        let hash = alloy_primitives::keccak256(bytes);
        assert_eq!(
            answers[at],
            json!({ "jsonrpc": "2.0", "id": at, "result": hash })
        );
    }
    assert_eq!(
        answers[100]["error"],
        json!({ "code": -32000, "message": "already known" })
    );
    assert_eq!(answers[101]["error"]["code"], -32000);
    assert_eq!(answers[102]["result"], "0xa");
    let status = ask(address, &request(1, "txpool_status", json!([])));
    assert_eq!(
        status["result"],
        json!({ "pending": "0x64", "queued": "0x0" })
    );

    let block = crate::common::mine(&ledger).await;
    assert_eq!(block.transactions().len(), 100);
    for bytes in &signed {
        let hash = alloy_primitives::keccak256(bytes);
        let receipt = ask(
            address,
            &request(1, "eth_getTransactionReceipt", json!([hash])),
        );
        assert_eq!(receipt["result"]["status"], "0x1");
        assert_eq!(receipt["result"]["blockHash"], json!(block.hash()));
    }
    let again = ask(
        address,
        &request(1, "eth_sendRawTransaction", json!([signed[0]])),
    );
    let message = again["error"]["message"].as_str().unwrap();
    assert_eq!(message, "nonce too low: next nonce 10, tx nonce 0");
    handle.stop().await;
    ledger.stop();
}

/// Who sends and waits gets the receipt as soon as there is one, and the hash if there is none in
/// time (EIP-7966).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_waits_for_the_receipt() {
    let (_dir, ledger, handle) = start().await;
    let address = handle.address();
    let bytes = Wallet::new(0).signed(0, LOGGER, 100_000);
    let hash = alloy_primitives::keccak256(&bytes);
    let late = ask(
        address,
        &request(1, "eth_sendRawTransactionSync", json!([bytes, 1])),
    );
    assert_eq!(late["error"]["code"], 4);
    assert_eq!(late["error"]["data"], json!(hash));
    let bytes = Wallet::new(1).signed(0, LOGGER, 100_000);
    let hash = alloy_primitives::keccak256(&bytes);
    let sent = std::thread::spawn(move || {
        ask(
            address,
            &request(1, "eth_sendRawTransactionSync", json!([bytes, 20_000])),
        )
    });
    while ledger.pool(|pool| pool.status().executable) < 2 {
        tokio::task::yield_now().await;
    }
    crate::common::mine(&ledger).await;
    let receipt = sent.join().unwrap();
    assert_eq!(receipt["result"]["transactionHash"], json!(hash));
    assert_eq!(receipt["result"]["logs"][0]["address"], json!(LOGGER));
    handle.stop().await;
    ledger.stop();
}

/// Filters tell each change once, are bounded in number, and log queries that span too much are
/// refused with a range that is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_and_ranges_are_bounded() {
    let (_dir, ledger, handle) = start().await;
    let address = handle.address();
    let made = |method: &str, params: Value| ask(address, &request(1, method, params));
    let logs = made("eth_newFilter", json!([{ "address": LOGGER }]))["result"].clone();
    let blocks = made("eth_newBlockFilter", json!([]))["result"].clone();
    let pending = made("eth_newPendingTransactionFilter", json!([]))["result"].clone();
    let fourth = made("eth_newBlockFilter", json!([]));
    assert_eq!(fourth["error"]["code"], -32005);
    assert_eq!(fourth["error"]["data"]["filtersMax"], 3);

    let bytes = Wallet::new(0).signed(0, LOGGER, 100_000);
    let sent = made("eth_sendRawTransaction", json!([bytes]))["result"].clone();
    let first = crate::common::mine(&ledger).await;
    let second = crate::common::mine(&ledger).await;
    let changes = |id: &Value| made("eth_getFilterChanges", json!([id]))["result"].clone();
    assert_eq!(changes(&blocks), json!([first.hash(), second.hash()]));
    assert_eq!(changes(&blocks), json!([]));
    let found = changes(&logs);
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["transactionHash"], sent);
    assert_eq!(changes(&logs), json!([]));
    assert_eq!(changes(&pending), json!([sent]));
    assert_eq!(
        made("eth_uninstallFilter", json!([pending]))["result"],
        true
    );
    let gone = made("eth_getFilterChanges", json!([pending]));
    assert_eq!(gone["error"]["message"], "filter not found");

    let wide = made(
        "eth_getLogs",
        json!([{ "fromBlock": "0x0", "toBlock": "latest" }]),
    );
    assert_eq!(wide["error"]["code"], -32005);
    let data = &wide["error"]["data"];
    assert_eq!(
        (&data["fromBlock"], &data["toBlock"]),
        (&json!("0x0"), &json!("0x1"))
    );
    let narrow = json!([{ "fromBlock": data["fromBlock"], "toBlock": data["toBlock"] }]);
    assert_eq!(made("eth_getLogs", narrow)["result"], found);
    handle.stop().await;
    ledger.stop();
}

/// A page that is not known cannot open a WebSocket; a known one, and a program, can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_pages_open_no_socket() {
    let (_dir, ledger) = crate::common::ledger(&crate::common::genesis());
    let config = Config {
        origins: vec!["https://known.example".to_owned()],
        ..config()
    };
    let handle = serve(config, ledger.clone()).await.unwrap();
    let open = |origin: &str| {
        let mut stream = TcpStream::connect(handle.address()).unwrap();
        let head = format!(
            "GET / HTTP/1.1\r\nhost: localhost\r\n{origin}connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        String::from_utf8(status.to_vec()).unwrap()
    };
    assert_eq!(open("origin: https://strange.example\r\n"), "HTTP/1.1 403");
    assert_eq!(open("origin: https://known.example\r\n"), "HTTP/1.1 101");
    assert_eq!(open(""), "HTTP/1.1 101");
    handle.stop().await;
    ledger.stop();
}
