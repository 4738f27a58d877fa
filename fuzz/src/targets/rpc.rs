//! Requests to the chain's interface, alone and in batches: whatever the bytes of an HTTP body, there
//! is an answer in JSON-RPC's form or an HTTP error, no method crashes, and no answer is longer than
//! it may be.
//!
//! All of it runs but the socket: HTTP, batches, methods, a ledger in a folder with a block of one
//! transaction. Nobody whose key the node holds has money, so what is tried leaves the chain as it was.
//! With the fixtures beside the project there are more seeds.

use std::{fs::File, io::Read as _, path::Path, sync::Arc, time::Duration};

use alloy_eips::eip2718::Encodable2718 as _;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::encode;
use alloy_signer_local::PrivateKeySigner;
use lode_chain_ledger::{Chain, Ledger, Options};
use lode_chain_pool::Limits;
use lode_chain_rpc::{Config, Local, Service, dev::Dev};
use lode_chain_types::Round;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::{Target, transaction::transactions};

/// Answers the body of an HTTP request.
pub const TARGET: Target = Target {
    name: "rpc",
    run,
    seeds,
    repair: None,
    cost: 10,
};

const BATCH_MAX: u32 = 8;
const REQUEST_LEN_MAX: u32 = 1 << 20;
const RESPONSE_LEN_MAX: u32 = 1 << 20;
/// What an answer may have beside its result: what it says of errors, and what it repeats of the
/// request, where a byte can take eight.
const BESIDE_LEN: usize = 4096;
const REPEATED: usize = 8;
/// Seconds since 1970, always the same.
const NOW: u64 = 1_800_000_000;
const CHAIN_ID: u64 = 31_337;
const KEPT: &str = "everybody's folder for what is thrown away can be written";

/// See the file's head.
pub fn run(data: &[u8]) {
    let posted = |world: &World| {
        let answer = world.local.post(data.to_vec());
        RUNTIME.with(|runtime| runtime.block_on(answer))
    };
    let answer = WORLD.with(posted);
    let (status, body) = answer.expect("there is always an answer");
    let len_max = usize::try_from(RESPONSE_LEN_MAX).expect("usize has 32 bits");
    assert!(
        body.len() <= len_max + BESIDE_LEN + REPEATED * data.len(),
        "an answer of {} bytes",
        body.len()
    );
    match status {
        // A notification has no answer; the library below says so by nothing or by null.
        200 if body.is_empty() || body == b"null" => {}
        200 => check(&serde_json::from_slice(&body).expect("an answer is JSON")),
        400 | 413 => {}
        _ => panic!("status {status}"),
    }
}

/// One answer, or those of a batch.
fn check(answer: &Value) {
    let Value::Array(all) = answer else {
        check_one(answer);
        return;
    };
    assert!(!all.is_empty(), "a batch of nothing is an error");
    let batch_max = usize::try_from(BATCH_MAX).expect("usize has 32 bits");
    assert!(all.len() <= batch_max, "{} answers", all.len());
    all.iter().for_each(check_one);
}

fn check_one(answer: &Value) {
    assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
    assert!(answer.get("id").is_some(), "{answer}");
    let Some(error) = answer.get("error") else {
        assert!(answer.get("result").is_some(), "{answer}");
        return;
    };
    assert!(answer.get("result").is_none(), "{answer}");
    assert!(error["code"].is_i64(), "{answer}");
    let message = error["message"].as_str().expect("errors have words");
    assert_ne!(message, "method handler crashed");
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("the machine has room for a runtime");
    /// Made on another thread: what it takes is not what the first input takes.
    static WORLD: World = std::thread::spawn(|| RUNTIME.with(|runtime| runtime.block_on(make())))
        .join()
        .expect("a ledger can be begun");
}

/// Goes with its thread, folder included.
struct World {
    local: Local,
    ledger: Ledger,
    _folder: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.ledger.stop();
    }
}

/// A chain with one block, and its interface.
async fn make() -> World {
    let folder = tempfile::tempdir().expect(KEPT);
    let ledger = ledger(folder.path());
    let rich = Local::new(service(&ledger, key(1))).expect("no origin is wrong");
    let send = json!({ "from": key(1).address(), "to": CALLER, "gas": "0x186a0" });
    let sent = request("eth_sendTransaction", json!([send]));
    rich.post(sent).await.expect("there is always an answer");
    let parent = ledger.chain().genesis.hash();
    let block = ledger.propose(parent, Round::default()).await;
    let block = block.expect("a block can be built");
    assert_eq!(block.transactions().len(), 1, "it was sent");
    ledger.finalize(block, None).await.expect("it is kept");
    World {
        local: Local::new(service(&ledger, key(2))).expect("no origin is wrong"),
        ledger,
        _folder: folder,
    }
}

fn key(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).expect("a small number is a key")
}

/// Emits a log with the topic 1.
const LOGGER: Address = Address::repeat_byte(0x11);
/// Calls [`LOGGER`] and keeps in its first slot whether that went well.
const CALLER: Address = Address::repeat_byte(0x22);

fn ledger(folder: &Path) -> Ledger {
    let caller = format!("0x{}73{}5af160005500", "6000".repeat(5), "11".repeat(20));
    let genesis = json!({
        "config": {
            "chainId": CHAIN_ID,
            "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
            "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
            "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0,
            "lode": { "round": Bytes::from(encode(Round::default())) },
        },
        "nonce": "0x0", "timestamp": "0x1", "extraData": "0x", "gasLimit": "0x1c9c380",
        "difficulty": "0x0", "coinbase": Address::ZERO, "mixHash": B256::ZERO,
        "alloc": {
            key(1).address().to_string(): { "balance": "0xffffffffffffffffffff" },
            LOGGER.to_string(): { "balance": "0x0", "code": "0x600160006000a100" },
            CALLER.to_string(): { "balance": "0x0", "code": caller },
        },
    });
    let genesis: Genesis = serde_json::from_value(genesis).expect("it is a genesis file");
    let options = Options {
        beneficiary: Address::ZERO,
        heartbeat: Duration::from_secs(3600),
        states: None,
        memory: 4 << 20,
        pool: Limits::default(),
        block_len: 1 << 20,
        recoverers: 1,
        clock: Arc::new(|| NOW),
    };
    let chain = Chain::new(&genesis).expect("it begins a chain");
    Ledger::open(folder, chain, options).expect(KEPT)
}

/// With helpers for development by that key. Executions are short: there are many.
fn service(ledger: &Ledger, key: PrivateKeySigner) -> Arc<Service> {
    let config = Config {
        gas_max: 200_000,
        request_len_max: REQUEST_LEN_MAX,
        response_len_max: RESPONSE_LEN_MAX,
        batch_max: BATCH_MAX,
        trace_len_max: 1 << 20,
        filters_max: 64,
        dev: Some(Dev {
            keys: vec![key],
            ahead: Arc::default(),
        }),
        ..Config::default()
    };
    Arc::new(Service::new(config, ledger.clone()))
}

fn request(method: &str, params: Value) -> Vec<u8> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    request.to_string().into_bytes()
}

/// One request for each method, two batches, and those of the fixtures.
fn seeds() -> Vec<Vec<u8>> {
    let requests = requests();
    let mut seeds: Vec<Vec<u8>> = requests
        .iter()
        .map(|(method, params)| request(method, params.clone()))
        .collect();
    for chunk in seeds.clone().chunks(6).step_by(4) {
        let parts: Vec<String> = chunk
            .iter()
            .map(|one| String::from_utf8_lossy(one).into_owned())
            .collect();
        seeds.push(format!("[{}]", parts.join(",")).into_bytes());
    }
    seeds.push(br#"[{"jsonrpc":"2.0","method":"eth_chainId"},{"id":[]},7]"#.to_vec());
    seeds.extend(of_fixtures());
    seeds
}

#[rustfmt::skip]
fn requests() -> Vec<(&'static str, Value)> {
    let (hash, slot) = (B256::repeat_byte(1), B256::ZERO);
    let call = json!({ "from": key(2).address(), "to": CALLER, "gas": "0x186a0", "value": "0x0", "input": "0x01" });
    let logs = json!({ "fromBlock": "0x0", "toBlock": "latest", "address": [LOGGER], "topics": [null, [hash]] });
    let state = json!({ CALLER.to_string(): { "balance": "0x1", "nonce": "0x2", "code": "0x5f545f5260205ff3", "stateDiff": { slot.to_string(): hash } } });
    let block = json!({ "number": "0x5", "time": "0x6b49d300", "gasLimit": "0x30000", "baseFeePerGas": "0x0" });
    let simulated = json!({ "blockStateCalls": [{ "blockOverrides": block, "stateOverrides": state, "calls": [call] }, { "calls": [call] }], "traceTransfers": true, "validation": false });
    let signed: Vec<Bytes> = transactions().iter().map(|one| one.encoded_2718().into()).collect();
    vec![
        ("eth_chainId", json!([])), ("net_version", json!([])), ("eth_blockNumber", json!([])),
        ("web3_sha3", json!(["0x1234"])), ("eth_config", json!([])), ("eth_capabilities", json!([])),
        ("lode_getCheckpoint", json!([])), ("lode_getBlock", json!(["0x1"])), ("lode_getHeaders", json!(["0x1", "0x2"])),
        ("lode_getStateNodes", json!(["latest", "3", "0x2"])), ("lode_getStateNodes", json!(["0x1", format!("{:x}:", hash)])),
        ("lode_getCodes", json!([[hash]])), ("lode_getFinality", json!(["0x1"])), ("eth_syncing", json!([])), ("eth_accounts", json!([])),
        ("eth_getBalance", json!([CALLER, "latest"])), ("eth_getCode", json!([CALLER, { "blockNumber": "0x1" }])),
        ("eth_getTransactionCount", json!([key(1).address(), "pending"])),
        ("eth_getStorageAt", json!([CALLER, "0x0", "0x1"])),
        ("eth_getStorageValues", json!([{ CALLER.to_string(): [slot, "0x1"] }, "latest"])),
        ("eth_getProof", json!([CALLER, ["0x0", hash], "latest"])), ("eth_getAccountInfo", json!([CALLER])),
        ("eth_getBlockByNumber", json!(["0x1", true])), ("eth_getBlockByNumber", json!(["pending", false])),
        ("eth_getBlockByHash", json!([hash, false])), ("eth_getHeaderByNumber", json!(["earliest"])),
        ("eth_getBlockReceipts", json!(["0x1"])), ("eth_getUncleByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])), ("eth_getTransactionByHash", json!([hash])),
        ("eth_getTransactionBySenderAndNonce", json!([key(1).address(), "0x0"])),
        ("eth_getTransactionReceipt", json!([hash])), ("eth_getRawTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getLogs", json!([logs])), ("eth_getLogs", json!([{ "blockHash": hash }])), ("eth_newFilter", json!([logs])),
        ("eth_newBlockFilter", json!([])), ("eth_newPendingTransactionFilter", json!([])),
        ("eth_getFilterChanges", json!(["0x1"])), ("eth_getFilterLogs", json!(["0x1"])), ("eth_uninstallFilter", json!(["0x1"])),
        ("eth_gasPrice", json!([])), ("eth_feeHistory", json!(["0x2", "latest", [10, 50.5]])), ("eth_blobBaseFee", json!([])),
        ("eth_call", json!([call, "latest"])), ("eth_call", json!([call, "0x1", state, block])),
        ("eth_estimateGas", json!([call, "latest"])), ("eth_createAccessList", json!([call, "latest"])),
        ("eth_fillTransaction", json!([call])), ("eth_simulateV1", json!([simulated, "latest"])),
        ("eth_sendRawTransaction", json!([signed[0]])), ("eth_sendRawTransaction", json!([signed[4]])),
        ("eth_sendRawTransactionSync", json!([signed[3], 1])),
        ("eth_sendTransaction", json!([call])), ("eth_signTransaction", json!([call])),
        ("eth_sign", json!([key(2).address(), "0x1234"])), ("evm_increaseTime", json!([1])), ("evm_mine", json!([])),
        ("evm_setNextBlockTimestamp", json!(["0x6b49d300"])), ("anvil_mine", json!(["0x2", "0x1"])), ("evm_snapshot", json!([])),
        ("txpool_status", json!([])), ("txpool_content", json!([])), ("txpool_inspect", json!([])), ("txpool_contentFrom", json!([CALLER])),
        ("debug_traceBlockByNumber", json!(["0x1", { "tracer": "callTracer", "tracerConfig": { "withLog": true } }])),
        ("debug_traceBlockByNumber", json!(["0x1", { "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } }])),
        ("debug_traceBlockByNumber", json!(["0x1", { "enableMemory": true, "disableStack": false }])),
        ("debug_traceCall", json!([call, "latest", { "tracer": "4byteTracer", "stateOverrides": state }])),
        ("debug_traceTransaction", json!([hash, {}])), ("debug_getRawBlock", json!(["0x1"])), ("debug_getRawReceipts", json!(["0x1"])),
        ("trace_block", json!(["0x1"])), ("trace_filter", json!([{ "fromBlock": "0x1", "toBlock": "0x1", "count": 1 }])),
        ("trace_call", json!([call, ["trace", "stateDiff", "vmTrace"], "latest"])),
        ("trace_replayBlockTransactions", json!(["0x1", ["vmTrace"]])), ("eth_subscribe", json!(["newHeads"])), ("eth_nothing", json!([])),
    ]
}

/// Requests by which Ethereum's clients are compared, if they are here.
fn of_fixtures() -> Vec<Vec<u8>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/fixtures/rpc-compat.tar.xz"
    );
    let Ok(packed) = File::open(path) else {
        return Vec::new();
    };
    let mut packed = tar::Archive::new(liblzma::read::XzDecoder::new(packed));
    let mut requests = Vec::new();
    for entry in packed.entries().expect("it is an archive") {
        let mut entry = entry.expect("it is an archive");
        let is_case = entry
            .path()
            .is_ok_and(|path| path.extension().is_some_and(|end| end == "io"));
        let mut text = String::new();
        if is_case && entry.read_to_string(&mut text).is_ok() {
            let lines = text.lines().filter_map(|line| line.strip_prefix(">> "));
            requests.extend(lines.map(|line| line.as_bytes().to_vec()));
        }
    }
    // Archives have their files in whatever order; seeds are in one.
    requests.sort();
    requests
}
