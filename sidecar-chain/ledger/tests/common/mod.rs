//! A small chain with funded accounts, and transactions of theirs.

use std::{path::Path, sync::Arc, time::Duration};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use lode_chain_ledger::{Chain, Ledger, Options};
use lode_chain_pool::{Limits, Rules, Transaction, decode};
use lode_chain_types::{Block, Round};

pub const CHAIN_ID: u64 = 31_337;
/// When the chain begins, in seconds.
pub const START: u64 = 1_800_000_000;

pub fn signer(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::with_last_byte(number)).unwrap()
}

/// All forks from the beginning; accounts 1 to 20 have 1000 ether each.
pub fn chain() -> Chain {
    let alloc: serde_json::Map<_, _> = (1..=20)
        .map(|number| {
            let account = serde_json::json!({ "balance": "0x3635c9adc5dea00000" });
            (signer(number).address().to_string(), account)
        })
        .collect();
    let genesis = serde_json::json!({
        "config": {
            "chainId": CHAIN_ID, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
            "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
            "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0, "terminalTotalDifficulty": 0,
            "terminalTotalDifficultyPassed": true, "shanghaiTime": 0, "cancunTime": 0
        },
        "nonce": "0x0", "timestamp": format!("{START:#x}"), "extraData": "0x",
        "gasLimit": "0x3938700", "difficulty": "0x0", "mixHash": B256::ZERO,
        "coinbase": Address::ZERO, "alloc": alloc
    });
    let genesis: Genesis = serde_json::from_value(genesis).unwrap();
    Chain::new(&genesis).unwrap()
}

pub fn open(dir: &Path) -> Ledger {
    let options = Options {
        beneficiary: Address::repeat_byte(0xfe),
        heartbeat: Duration::from_millis(50),
        states: None,
        memory: 8 << 20,
        pool: Limits::default(),
        block_len: 1 << 20,
        recoverers: 1,
        clock: Arc::new(|| START + 1000),
    };
    Ledger::open(dir, chain(), options).unwrap()
}

/// A transfer of one wei.
pub fn transfer(from: u8, nonce: u64, to: Address) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(to),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let hash = transaction.signature_hash();
    let signature = signer(from).sign_hash_sync(&hash).unwrap();
    let raw = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
    let rules = Rules {
        chain_id: CHAIN_ID,
        block_gas: 60_000_000,
        unprotected: false,
    };
    let checked = rules.check(decode(&raw).unwrap()).unwrap();
    let sender = checked.envelope().recover_signer().unwrap();
    checked.by(sender)
}

/// The round after that of `parent`.
pub fn round(parent: &Block) -> Round {
    Round {
        view: parent.round().view + 1,
        parent_view: parent.round().view,
        seed: vec![7; 48].into(),
        ..Round::default()
    }
}
