//! What keeps a chain busy: one thread and one account for each lane, and as many transactions as are
//! taken. None of them is followed: the book says what became of the chain.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread::{self, Scope},
    time::Duration,
};

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEnvelope,
    crypto::secp256k1::{recover_signer, sign_message},
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, b256, keccak256};

use super::{rpc::Rpc, watch::Shared};
use crate::client::Trouble;

/// Keys of development accounts: the first that the words `test … junk` give.
const KEYS: [B256; 9] = [
    b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    b256!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    b256!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    b256!("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    b256!("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    b256!("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    b256!("92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
    b256!("4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
    b256!("dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
];
/// As many of them send all the time.
const SENDERS: usize = 4;
/// The chain's number, of a development network.
const CHAIN_ID: u64 = 31_337;
/// Wei of a unit of gas, at most: many full blocks do not reach it.
const FEE_MAX: u128 = 1_000_000_000_000;
/// Transactions of a batch.
const BATCH: u64 = 25;
/// Transactions of an account that may wait.
const WAITING_MAX: u64 = 200;
/// Accounts that receive, so that the state grows.
const RECEIVERS: u64 = 10_000;
/// Time between batches, and before a validator that is gone is asked again.
const PAUSE: Duration = Duration::from_millis(30);

/// The accounts that send.
pub fn accounts() -> Vec<Address> {
    KEYS[..SENDERS].iter().map(address).collect()
}

/// A development account, by its number.
pub fn account(number: usize) -> Address {
    address(&KEYS[number])
}

/// A receiver, by its number.
pub fn receiver(number: u64) -> Address {
    Address::from_word(keccak256((number % RECEIVERS).to_be_bytes()))
}

/// Sends until it is over; counts what was taken.
pub fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    validators: &[SocketAddr],
    shared: &'scope Shared,
    taken: &'scope AtomicU64,
) {
    for (key, validator) in KEYS[..SENDERS].iter().zip(validators.iter().cycle()) {
        let rpc = Rpc::new(*validator);
        scope.spawn(move || {
            while !shared.over.load(Relaxed) {
                // A validator that is gone, or has forgotten what waited: from anew.
                if let Ok(count) = batch(&rpc, key) {
                    taken.fetch_add(count, Relaxed);
                }
                thread::sleep(PAUSE);
            }
        });
    }
}

fn batch(rpc: &Rpc, key: &B256) -> Result<u64, Trouble> {
    let account = address(key);
    let (mined, next) = (
        rpc.nonce(account, "latest")?,
        rpc.nonce(account, "pending")?,
    );
    if next >= mined + WAITING_MAX {
        return Ok(0);
    }
    let batch: Vec<Bytes> = (next..next + BATCH)
        .map(|nonce| transfer(key, nonce).encoded_2718().into())
        .collect();
    rpc.send(&batch)
}

fn transfer(key: &B256, nonce: u64) -> TxEnvelope {
    let transaction = TxEip1559 {
        gas_limit: 21_000,
        to: TxKind::Call(receiver(nonce)),
        value: U256::from(1),
        ..usual(nonce)
    };
    sign(key, transaction)
}

/// A signed call of a contract by a development account.
pub fn signed(
    number: usize,
    nonce: u64,
    to: Address,
    value: U256,
    input: Bytes,
    gas_limit: u64,
) -> TxEnvelope {
    let transaction = TxEip1559 {
        gas_limit,
        to: TxKind::Call(to),
        value,
        input,
        ..usual(nonce)
    };
    sign(&KEYS[number], transaction)
}

fn usual(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        max_fee_per_gas: FEE_MAX,
        max_priority_fee_per_gas: 1_000_000_000,
        ..TxEip1559::default()
    }
}

fn sign(key: &B256, transaction: TxEip1559) -> TxEnvelope {
    let signature = sign_message(*key, transaction.signature_hash()).expect("it is a key");
    transaction.into_signed(signature).into()
}

fn address(key: &B256) -> Address {
    let hash = keccak256(key);
    let signature = sign_message(*key, hash).expect("it is a key");
    recover_signer(&signature, hash).expect("it was signed just now")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The accounts are those that development networks fund.
    #[test]
    fn known_accounts() {
        let last = accounts().pop().unwrap();
        assert_eq!(
            last.to_string(),
            "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
        );
        assert_eq!(
            account(8).to_string(),
            "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"
        );
    }
}
