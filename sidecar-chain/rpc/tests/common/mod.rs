//! A ledger in a folder that is thrown away, who asks it, and files of archives that others made.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use alloy_genesis::Genesis;
use alloy_primitives::Address;
use lode_chain_ledger::{Chain, Ledger, Options};
use lode_chain_pool::Limits;
use lode_chain_rpc::{Config, Handle, serve};
use lode_chain_types::Round;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Files of an archive by their paths; none if the archive is not there.
pub fn unpack(archive: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    let path = format!(
        "{}/../../../shared/fixtures/{archive}.tar.xz",
        env!("CARGO_MANIFEST_DIR")
    );
    let Ok(packed) = File::open(&path) else {
        println!("skipped: {path} is not here");
        return None;
    };
    let mut packed = tar::Archive::new(liblzma::read::XzDecoder::new(packed));
    let mut files = BTreeMap::new();
    for entry in packed.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if !bytes.is_empty() {
            files.insert(path.trim_start_matches("./").to_owned(), bytes);
        }
    }
    Some(files)
}

/// A ledger of a genesis file, in a folder.
pub fn ledger(genesis: &Genesis) -> (TempDir, Ledger) {
    ledger_ahead(genesis, Arc::default())
}

/// The same with a clock that is ahead by so many seconds.
pub fn ledger_ahead(genesis: &Genesis, ahead: Arc<AtomicU64>) -> (TempDir, Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::new(genesis).unwrap();
    let now = move || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs() + ahead.load(Ordering::Acquire)
    };
    let options = Options {
        beneficiary: Address::ZERO,
        heartbeat: Duration::from_secs(60),
        states: None,
        memory: 16 << 20,
        pool: Limits::default(),
        block_len: 1 << 20,
        recoverers: 2,
        clock: Arc::new(now),
    };
    let ledger = Ledger::open(dir.path(), chain, options).unwrap();
    (dir, ledger)
}

/// The chain's number in tests.
pub const CHAIN: u64 = 31_337;

/// Somebody with money, and the transactions that he signs.
pub struct Wallet(alloy_signer_local::PrivateKeySigner);

impl Wallet {
    /// Always the same of a number.
    pub fn new(number: u8) -> Wallet {
        let key = alloy_primitives::B256::repeat_byte(number + 1);
        Wallet(alloy_signer_local::PrivateKeySigner::from_bytes(&key).unwrap())
    }

    /// Of a key.
    pub fn of(key: alloy_signer_local::PrivateKeySigner) -> Wallet {
        Wallet(key)
    }

    /// Where its money is.
    pub fn address(&self) -> Address {
        self.0.address()
    }

    /// Its key.
    pub fn key(&self) -> alloy_signer_local::PrivateKeySigner {
        self.0.clone()
    }

    /// Bytes of a transaction.
    pub fn signed(&self, nonce: u64, to: Address, gas_limit: u64) -> alloy_primitives::Bytes {
        use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
        use alloy_eips::eip2718::Encodable2718 as _;
        use alloy_network::TxSignerSync as _;
        let mut transaction = TxEip1559 {
            chain_id: CHAIN,
            nonce,
            gas_limit,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: to.into(),
            value: alloy_primitives::U256::from(1),
            ..TxEip1559::default()
        };
        let signature = self.0.sign_transaction_sync(&mut transaction).unwrap();
        TxEnvelope::from(transaction.into_signed(signature))
            .encoded_2718()
            .into()
    }
}

/// A contract that emits one log, with the topic 1 and without data, when it is called.
pub const LOGGER: Address = Address::repeat_byte(0x11);
/// A contract that calls [`LOGGER`], and keeps in its first slot whether that went well.
pub const CALLER: Address = Address::repeat_byte(0x22);
/// A contract that reverts with the byte 0x2a.
pub const REVERTER: Address = Address::repeat_byte(0x33);
/// A contract that runs until its gas is used up.
pub const RUNNER: Address = Address::repeat_byte(0x44);
/// Number of a [`Wallet`] at whose address there is a contract.
pub const CONTRACT: u8 = 18;
/// Number of a [`Wallet`] that has delegated to [`LOGGER`].
pub const DELEGATED: u8 = 19;

/// A chain where [`Wallet`]s have money, with all forks from the beginning.
pub fn genesis() -> Genesis {
    let money = "0xffffffffffffffffffffff";
    let mut alloc = serde_json::Map::new();
    for number in 0..20 {
        let address = Wallet::new(number).address();
        alloc.insert(address.to_string(), json!({ "balance": money }));
    }
    let zeros = "6000".repeat(5);
    let caller = format!("0x{zeros}73{}5af160005500", "11".repeat(20));
    for (address, balance, code) in [
        (LOGGER, "0x0", "0x600160006000a100".to_owned()),
        (CALLER, "0x0", caller),
        (REVERTER, "0x0", "0x602a60005360016000fd".to_owned()),
        (RUNNER, "0x0", "0x5b600056".to_owned()),
        (Wallet::new(CONTRACT).address(), money, "0x00".to_owned()),
        (
            Wallet::new(DELEGATED).address(),
            money,
            format!("0xef0100{}", "11".repeat(20)),
        ),
    ] {
        let account = json!({ "balance": balance, "code": code });
        alloc.insert(address.to_string(), account);
    }
    let file = json!({
        "config": {
            "chainId": CHAIN,
            "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
            "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
            "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0,
            // A chain of ours, with its native contracts.
            "lode": { "round": alloy_primitives::Bytes::from(alloy_rlp::encode(Round::default())) },
        },
        "nonce": "0x0", "timestamp": "0x1", "extraData": "0x", "gasLimit": "0x3938700",
        "difficulty": "0x0", "coinbase": Address::ZERO, "alloc": alloc,
        "mixHash": alloy_primitives::B256::ZERO,
    });
    serde_json::from_value(file).unwrap()
}

/// A block with what waits, final.
pub async fn mine(ledger: &Ledger) -> lode_chain_types::Block {
    let view = ledger.latest();
    let parent = view.hash(view.tip()).unwrap().unwrap();
    // Its payload makes it due at once.
    let round = Round {
        payload: vec![1].into(),
        ..Round::default()
    };
    let block = ledger.propose(parent, round).await.unwrap();
    ledger.finalize(block.clone(), None).await.unwrap();
    block
}

/// Serves a chain of [`genesis`] on a free port, until the handle is dropped.
pub async fn start(config: Config) -> (TempDir, Ledger, Handle) {
    let (dir, ledger) = ledger(&genesis());
    let config = Config {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..config
    };
    let handle = serve(config, ledger.clone()).await.unwrap();
    (dir, ledger, handle)
}

/// Status and body of an answer.
pub fn post(address: SocketAddr, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\norigin: https://a.example\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses a long body closes before it has all.
    let _ = stream.write_all(body.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let status = text
        .split(' ')
        .nth(1)
        .map_or(0, |status| status.parse().unwrap());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// The answer to a request or to a batch.
pub fn ask(address: SocketAddr, request: &Value) -> Value {
    let (_, body) = post(address, &request.to_string());
    serde_json::from_str(&body).unwrap()
}

/// A request.
pub fn request(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// Asks one server.
pub struct Client(pub SocketAddr);

impl Client {
    /// The result of a request that is answered.
    pub fn get(&self, method: &str, params: Value) -> Value {
        let mut answer = ask(self.0, &request(1, method, params));
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].take()
    }

    /// The error of a request that is refused.
    pub fn refused(&self, method: &str, params: Value) -> Value {
        let mut answer = ask(self.0, &request(1, method, params));
        assert!(answer.get("result").is_none(), "{method}: {answer}");
        answer["error"].take()
    }
}
