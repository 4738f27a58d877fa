//! Junk beside an honest client: every piece of junk is refused, what is kept of it stays within
//! bounds, and the honest client gets all his answers.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use alloy_primitives::{Address, Bytes, keccak256};
use alloy_signer_local::PrivateKeySigner;
use lode_chain_rpc::Config;
use serde_json::{Value, json};

mod common;

use common::{Client, LOGGER, Wallet, ask, post, request};

/// Pieces of junk in the form of transactions.
const JUNK: u64 = 10_000;
/// Of these so many in a request.
const BATCH: u64 = 100;
/// Transactions of an account that wait although others lack before them.
const QUEUED_MAX: usize = 1024;
/// Transactions that the honest client sends at most: fewer than one account may have waiting.
const SENT_MAX: usize = 2_000;
/// Memory that the process may take more while it is flooded, in KiB: caches, buffers, stacks.
const MEMORY_MAX: u64 = 192 << 10;
const TO: Address = Address::repeat_byte(0xee);

/// A transaction that cannot be taken, of many kinds.
fn junk(number: u64) -> Bytes {
    let good = Wallet::new(0).signed(1 << 40, TO, 21_000);
    let seed = keccak256(number.to_be_bytes());
    match number % 6 {
        // No transaction at all.
        0 => seed.to_vec().into(),
        // One that ends too early.
        1 => good.slice(..good.len() - 1 - usize::from(seed[0]) % 60),
        // Somebody else's signature: of somebody without money.
        2 => {
            let mut bytes = good.to_vec();
            let at = bytes.len() - 1 - usize::from(seed[0]) % 30;
            bytes[at] ^= 1 | seed[1];
            bytes.into()
        }
        // A good one of somebody without money.
        3 => Wallet::of(PrivateKeySigner::from_bytes(&seed).unwrap()).signed(0, TO, 21_000),
        // Far too long.
        4 if number % 96 == 4 => vec![2; 130 << 10].into(),
        // Too little gas.
        _ => Wallet::new(0).signed(number, TO, 20_999),
    }
}

/// Sends junk in batches; each piece is refused with a code, at its place.
fn flood(server: SocketAddr) {
    for first in (0..JUNK).step_by(usize::try_from(BATCH).unwrap()) {
        let numbers = first..first + BATCH;
        let batch: Vec<Value> = numbers
            .clone()
            .map(|number| request(number, "eth_sendRawTransaction", json!([junk(number)])))
            .collect();
        let answers = ask(server, &json!(batch));
        for (number, answer) in numbers.zip(answers.as_array().unwrap()) {
            assert_eq!(answer["id"], json!(number));
            assert_eq!(answer["error"]["code"], -32000, "{number}: {answer}");
        }
        // Between them what is no request at all, and a batch that is too large.
        let (status, _) = post(server, &"[".repeat(100_000));
        assert!((200..500).contains(&status), "{status}");
        let many = "{},".repeat(2_000);
        let (_, answer) = post(server, &format!("[{many}0]"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["code"], -32010);
    }
}

/// One account whose transactions wait for one that never comes.
fn hoard(server: SocketAddr) -> usize {
    let wallet = Wallet::new(5);
    let mut taken = 0;
    for first in (1_u64..1_501).step_by(100) {
        let numbers = first..first + 100;
        let batch: Vec<Value> = numbers
            .map(|nonce| {
                let bytes = wallet.signed(nonce, TO, 21_000);
                request(nonce, "eth_sendRawTransaction", json!([bytes]))
            })
            .collect();
        for answer in ask(server, &json!(batch)).as_array().unwrap() {
            match answer["error"]["message"].as_str() {
                None => taken += 1,
                Some(words) => assert_eq!(words, "account limit exceeded: pooled 1024 txs"),
            }
        }
    }
    taken
}

/// Asks and sends all the time, and compares every answer; returns what was sent.
fn honest(server: SocketAddr, over: &AtomicBool) -> Vec<Value> {
    let (client, wallet) = (Client(server), Wallet::new(9));
    let mut sent = Vec::new();
    while !over.load(Ordering::Acquire) {
        if sent.len() < SENT_MAX {
            let nonce = u64::try_from(sent.len()).unwrap();
            let bytes = wallet.signed(nonce, LOGGER, 100_000);
            let hash = client.get("eth_sendRawTransaction", json!([bytes]));
            assert_eq!(hash, json!(keccak256(&bytes)));
            sent.push(hash);
        }
        let params = json!([wallet.address(), "pending"]);
        let next = client.get("eth_getTransactionCount", params);
        assert_eq!(next, json!(format!("{:#x}", sent.len())));
        assert_eq!(client.get("eth_chainId", json!([])), "0x7a69");
        assert_eq!(client.get("eth_call", json!([{ "to": LOGGER }])), "0x");
        let gas = client.get("eth_estimateGas", json!([{ "to": TO, "value": "0x0" }]));
        assert_eq!(gas, "0x5208");
    }
    sent
}

/// Memory of this process, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_is_refused_and_others_are_served() {
    let (_dir, ledger, handle) = common::start(Config::default()).await;
    let server = handle.address();
    let over = Arc::new(AtomicBool::new(false));
    let honest = {
        let over = Arc::clone(&over);
        thread::spawn(move || honest(server, &over))
    };
    let before = memory();
    let flooding = [
        thread::spawn(move || flood(server)),
        thread::spawn(move || assert_eq!(hoard(server), QUEUED_MAX)),
    ];
    for one in flooding {
        one.join().unwrap();
    }
    over.store(true, Ordering::Release);
    let sent = honest.join().unwrap();
    let more = memory().saturating_sub(before);
    println!("{} of the honest one, {more} KiB more", sent.len());
    assert!(more < MEMORY_MAX, "{more} KiB");

    // Of all the junk only what its sender can pay waits, as much of it as may.
    let status = ledger.pool(|pool| pool.status());
    assert_eq!((status.executable, status.queued), (sent.len(), QUEUED_MAX));
    let client = Client(server);
    while ledger.pool(|pool| pool.status().executable) > 0 {
        common::mine(&ledger).await;
    }
    for hash in sent {
        let receipt = client.get("eth_getTransactionReceipt", json!([hash]));
        assert_eq!(receipt["status"], "0x1");
        assert_eq!(receipt["logs"][0]["address"], json!(LOGGER));
    }
    handle.stop().await;
    ledger.stop();
}
