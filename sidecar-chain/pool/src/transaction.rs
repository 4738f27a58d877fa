//! A transaction with its sender, and what it costs.

use std::sync::Arc;

use alloy_consensus::{InMemorySize, Transaction as _, TxEnvelope, transaction::Recovered};
use alloy_primitives::{Address, B256, U256};

/// Bytes that a waiting transaction takes beside itself: its places in maps and the counts around it.
const BESIDE: usize = 512;

/// A transaction that keeps the chain's rules, with its sender. Cloning it is cheap. Only
/// [`crate::Checked`] makes one.
#[derive(Clone, Debug)]
pub struct Transaction(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    envelope: Recovered<TxEnvelope>,
    encoded_len: usize,
    cost: U256,
    price: Price,
}

/// What a transaction would pay, in wei for a unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// For all, at most.
    pub fee_max: u128,
    /// To the proposer, at most.
    pub tip_max: u128,
}

impl Transaction {
    pub(crate) fn new(envelope: Recovered<TxEnvelope>, encoded_len: usize) -> Self {
        let price = Price {
            fee_max: envelope.max_fee_per_gas(),
            tip_max: envelope.priority_fee_or_price(),
        };
        let gas = U256::from(envelope.gas_limit());
        let fees = gas.saturating_mul(U256::from(price.fee_max));
        let cost = fees.saturating_add(envelope.value());
        Transaction(Arc::new(Inner {
            envelope,
            encoded_len,
            cost,
            price,
        }))
    }

    /// Itself, with its sender.
    pub fn envelope(&self) -> &Recovered<TxEnvelope> {
        &self.0.envelope
    }

    /// Keccak of its bytes.
    pub fn hash(&self) -> B256 {
        *self.0.envelope.inner().tx_hash()
    }

    /// Who signed it.
    pub fn sender(&self) -> Address {
        self.0.envelope.signer()
    }

    /// Its place among its sender's.
    pub fn nonce(&self) -> u64 {
        self.0.envelope.nonce()
    }

    /// The gas it may use.
    pub fn gas_limit(&self) -> u64 {
        self.0.envelope.gas_limit()
    }

    /// Its bytes as EIP-2718 encodes it.
    pub fn encoded_len(&self) -> usize {
        self.0.encoded_len
    }

    /// What it would pay.
    pub fn price(&self) -> Price {
        self.0.price
    }

    /// Wei that its sender must have: all its gas at its highest fee, and its value.
    pub fn cost(&self) -> U256 {
        self.0.cost
    }

    /// Bytes of memory that it takes while it waits, about.
    pub fn footprint(&self) -> usize {
        self.0.envelope.inner().size() + BESIDE
    }
}

impl Price {
    /// What the proposer gets of a unit of gas, if the base fee can be paid.
    pub fn tip(&self, base_fee: u64) -> Option<u128> {
        let left = self.fee_max.checked_sub(u128::from(base_fee))?;
        Some(left.min(self.tip_max))
    }

    /// The tip, and below zero what lacks to the base fee. Fees beyond 2^127 wei are all alike.
    pub(crate) fn rank(&self, base_fee: u64) -> i128 {
        let wei = |fee| i128::try_from(fee).unwrap_or(i128::MAX);
        let left = wei(self.fee_max) - i128::from(base_fee);
        left.min(wei(self.tip_max))
    }

    /// The lower of both fees.
    pub(crate) fn lower(self, other: Price) -> Price {
        Price {
            fee_max: self.fee_max.min(other.fee_max),
            tip_max: self.tip_max.min(other.tip_max),
        }
    }

    /// At least a tenth more in both fees (geth's `PriceBump`).
    pub(crate) fn beats(&self, other: Price) -> bool {
        enough(self.fee_max, other.fee_max) && enough(self.tip_max, other.tip_max)
    }
}

/// More than before, and 110 % of it or more, rounded down as geth does.
fn enough(new: u128, old: u128) -> bool {
    let threshold = U256::from(old) * U256::from(110) / U256::from(100);
    new > old && U256::from(new) >= threshold
}
