//! A ledger in a folder that is thrown away, and files of archives that others made.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use alloy_genesis::Genesis;
use alloy_primitives::Address;
use lode_chain_ledger::{Chain, Ledger, Options};
use lode_chain_pool::Limits;
use tempfile::TempDir;

/// Files of an archive by their paths; none if the archive is not there.
#[allow(dead_code, reason = "not every test reads files")]
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
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::new(genesis).unwrap();
    let now = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs()
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
#[allow(dead_code, reason = "not every test makes transactions")]
pub const CHAIN: u64 = 31_337;

/// Somebody with money, and the transactions that he signs.
#[allow(dead_code, reason = "not every test makes transactions")]
pub struct Wallet(alloy_signer_local::PrivateKeySigner);

#[allow(dead_code, reason = "not every test makes transactions")]
impl Wallet {
    /// Always the same of a number.
    pub fn new(number: u8) -> Wallet {
        let key = alloy_primitives::B256::repeat_byte(number + 1);
        Wallet(alloy_signer_local::PrivateKeySigner::from_bytes(&key).unwrap())
    }

    /// Where its money is.
    pub fn address(&self) -> Address {
        self.0.address()
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

/// A contract that emits one log with this topic when it is called.
#[allow(dead_code, reason = "not every test calls it")]
pub const LOGGER: Address = Address::repeat_byte(0x11);

/// A chain where [`Wallet`]s have money, with all forks from the beginning.
#[allow(dead_code, reason = "not every test makes transactions")]
pub fn genesis() -> Genesis {
    let money = "0xffffffffffffffffffffff";
    let mut alloc = serde_json::Map::new();
    for number in 0..20 {
        let address = Wallet::new(number).address();
        alloc.insert(address.to_string(), serde_json::json!({ "balance": money }));
    }
    let code = "0x600160006000a100";
    alloc.insert(
        LOGGER.to_string(),
        serde_json::json!({ "balance": "0x0", "code": code }),
    );
    let file = serde_json::json!({
        "config": {
            "chainId": CHAIN,
            "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
            "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
            "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0,
        },
        "nonce": "0x0", "timestamp": "0x1", "extraData": "0x", "gasLimit": "0x3938700",
        "difficulty": "0x0", "coinbase": Address::ZERO, "alloc": alloc,
        "mixHash": alloy_primitives::B256::ZERO,
    });
    serde_json::from_value(file).unwrap()
}

/// A block with what waits, final.
#[allow(dead_code, reason = "not every test makes blocks")]
pub async fn mine(ledger: &Ledger) -> lode_chain_types::Block {
    let view = ledger.latest();
    let parent = view.hash(view.tip()).unwrap().unwrap();
    // Its payload makes it due at once.
    let round = lode_chain_types::Round {
        payload: vec![1].into(),
        ..lode_chain_types::Round::default()
    };
    let block = ledger.propose(parent, round).await.unwrap();
    ledger.finalize(block.clone(), None).await.unwrap();
    block
}
