//! The requests that Ethereum's clients are compared by (execution-apis) get the answers that are
//! written down for them, on the chain that belongs to them.

use std::collections::BTreeMap;

use alloy_consensus::{Block as Plain, TxEnvelope};
use alloy_genesis::Genesis;
use alloy_rlp::Decodable as _;
use jsonrpsee::RpcModule;
use lode_chain_ledger::Ledger;
use lode_chain_rpc::{Config, Service, module};
use lode_chain_types::{Block, Round};
use serde_json::Value;

/// Files whose answers differ, and why. One that passes has to go from here.
const EXCLUDED: &[(&str, &str)] = &[
    (
        "eth_sendRawTransaction/send-blob-tx.io",
        "this chain takes no blobs",
    ),
    (
        "eth_simulateV1/ethSimulate-empty-with-block-num-set-firstblock.io",
        "no rewards for work",
    ),
    ("eth_simulateV1/ethSimulate-overflow-nonce.io", LAST_NONCE),
    (
        "eth_simulateV1/ethSimulate-overflow-nonce-validation.io",
        LAST_NONCE,
    ),
    (
        "eth_simulateV1/ethSimulate-move-ecrecover-twice-and-call.io",
        WARM,
    ),
    ("eth_simulateV1/ethSimulate-override-ecrecover.io", WARM),
    (
        "eth_simulateV1/ethSimulate-self-destructive-contract-produces-logs.io",
        "money that a contract leaves behind when it destroys itself is not told as a log",
    ),
    (
        "eth_simulateV1/ethSimulate-use-as-many-features-as-possible.io",
        "indices of logs differ where logs before were taken back",
    ),
    (
        "testing_buildBlockV1/build-block-empty-transactions.io",
        BUILD,
    ),
    ("testing_buildBlockV1/build-block-from-mempool.io", BUILD),
    (
        "testing_buildBlockV1/build-block-invalid-transaction.io",
        BUILD,
    ),
    (
        "testing_buildBlockV1/build-block-with-transactions.io",
        BUILD,
    ),
];

const LAST_NONCE: &str = "the last nonce there is is refused (EIP-2681)";
const WARM: &str = "a precompile that was moved or overridden counts as used before";
const BUILD: &str = "only consensus has blocks built";

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_written_down() {
    let Some(files) = crate::common::unpack("rpc-compat") else {
        return;
    };
    let genesis: Genesis = serde_json::from_slice(&files["genesis.json"]).unwrap();
    let (_dir, ledger) = crate::common::ledger(&genesis);
    import(&ledger, &files["chain.rlp"]).await;
    let service = Service::new(Config::default(), ledger.clone());
    let module = module(std::sync::Arc::new(service));
    let (mut passed, mut excluded, mut wrong) = (0, 0, Vec::new());
    let cases = files.iter().filter(|(path, _)| path.ends_with(".io"));
    for (path, text) in cases {
        let reason = EXCLUDED.iter().find(|(name, _)| path.as_str() == *name);
        let difference = replay(&module, std::str::from_utf8(text).unwrap()).await;
        match (difference, reason) {
            (None, None) => passed += 1,
            (Some(_), Some(_)) => excluded += 1,
            (None, Some(_)) => wrong.push(format!("{path} is excluded and passes")),
            (Some(difference), None) => wrong.push(format!("{path}: {difference}")),
        }
    }
    println!(
        "{passed} passed, {excluded} excluded, {} wrong",
        wrong.len()
    );
    ledger.stop();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(passed > 0);
}

async fn import(ledger: &Ledger, mut chain: &[u8]) {
    while !chain.is_empty() {
        let plain = Plain::<TxEnvelope>::decode(&mut chain).unwrap();
        let block = Block::new(plain.header, plain.body, Round::default());
        let height = block.height();
        let kept = ledger.finalize(block, None).await;
        kept.unwrap_or_else(|error| panic!("block {height}: {error}"));
    }
}

/// The first difference, if there is one.
async fn replay(module: &RpcModule<Service>, text: &str) -> Option<String> {
    let by_shape = text.lines().any(|line| line.starts_with("// speconly"));
    let mut answer = Value::Null;
    for line in text.lines() {
        if let Some(request) = line.strip_prefix(">> ") {
            let (raw, _) = module.raw_json_request(request, 1).await.unwrap();
            answer = serde_json::from_str(raw.get()).unwrap();
        } else if let Some(wanted) = line.strip_prefix("<< ") {
            let wanted: Value = serde_json::from_str(wanted).unwrap();
            let difference = compare("", &wanted, &answer, by_shape);
            if difference.is_some() {
                return difference;
            }
        }
    }
    None
}

/// Where two answers differ. By shape, values may differ, but not their kinds, and lists not in what
/// they hold.
fn compare(at: &str, wanted: &Value, found: &Value, by_shape: bool) -> Option<String> {
    let differ = || {
        Some(format!(
            "{at}: wanted {}, found {}",
            short(wanted),
            short(found)
        ))
    };
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let keys: BTreeMap<&String, ()> = wanted
                .keys()
                .chain(found.keys())
                .map(|key| (key, ()))
                .collect();
            keys.into_keys().find_map(|key| {
                let at = format!("{at}/{key}");
                match (wanted.get(key), found.get(key)) {
                    (Some(wanted), Some(found)) => compare(&at, wanted, found, by_shape),
                    (None, Some(_)) | (Some(_), None) if by_shape && optional(key) => None,
                    (Some(wanted), None) => Some(format!("{at}: lacks {}", short(wanted))),
                    (None, found) => {
                        found.map(|found| format!("{at}: not wanted {}", short(found)))
                    }
                }
            })
        }
        (Value::Array(wanted), Value::Array(found)) if by_shape => {
            let (wanted, found) = (wanted.first()?, found.first()?);
            compare(&format!("{at}/0"), wanted, found, by_shape)
        }
        (Value::Array(all), Value::Array(others)) if all.len() == others.len() => {
            let pairs = all.iter().zip(others).enumerate();
            pairs.into_iter().find_map(|(index, (wanted, found))| {
                compare(&format!("{at}/{index}"), wanted, found, by_shape)
            })
        }
        (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_)) if by_shape => {
            None
        }
        (wanted, found) if wanted == found => None,
        _ => differ(),
    }
}

/// Members that the specification allows an answer to leave out, and those named by data.
fn optional(key: &str) -> bool {
    let named = key.starts_with("0x") || key.parse::<u64>().is_ok();
    named
        || [
            "deleteStrategy",
            "memory",
            "refund",
            "returnData",
            "storage",
            "blockTimestamp",
            "yParity",
            "error",
            "data",
        ]
        .contains(&key)
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    text.chars().take(160).collect()
}
