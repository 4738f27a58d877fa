//! Transactions for tests, signed by nobody.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};

use crate::{Account, Rules, Transaction};

pub const CHAIN: u64 = 31_337;
pub const GAS: u64 = 21_000;

pub const RULES: Rules = Rules {
    chain_id: CHAIN,
    block_gas: 30_000_000,
    unprotected: false,
};

/// What differs between transactions in tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plain {
    pub sender: u8,
    pub nonce: u64,
    pub fee: u128,
    pub tip: u128,
    pub value: u64,
    pub data_len: usize,
}

impl Plain {
    pub fn gas(&self) -> u64 {
        GAS + 40 * u64::try_from(self.data_len).unwrap()
    }

    pub fn envelope(&self) -> TxEnvelope {
        let transaction = TxEip1559 {
            chain_id: CHAIN,
            nonce: self.nonce,
            gas_limit: self.gas(),
            max_fee_per_gas: self.fee,
            max_priority_fee_per_gas: self.tip,
            to: TxKind::Call(Address::repeat_byte(0xee)),
            value: U256::from(self.value),
            input: Bytes::from(vec![1; self.data_len]),
            ..TxEip1559::default()
        };
        // The sender's number makes hashes of different senders differ.
        let signature = Signature::new(U256::from(self.sender) + U256::ONE, U256::ONE, false);
        transaction.into_signed(signature).into()
    }

    pub fn transaction(&self) -> Transaction {
        RULES
            .check(self.envelope())
            .unwrap()
            .by(address(self.sender))
    }
}

pub fn address(sender: u8) -> Address {
    Address::repeat_byte(sender)
}

pub fn account(nonce: u64, balance: u64) -> Account {
    Account {
        nonce,
        balance: U256::from(balance),
        ..Account::default()
    }
}

pub fn rich(nonce: u64) -> Account {
    account(nonce, u64::MAX)
}
