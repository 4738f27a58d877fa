//! What no chain of ours can do without: the same transactions on one core of this process, on a
//! state in memory, without consensus, disk or RPC. Recovery of senders alone, execution with state
//! roots and receipts where senders are known, and both.

use std::{
    collections::{BTreeMap, BTreeSet},
    hint::black_box,
    path::Path,
};

use alloy_consensus::{
    Header, ReceiptEnvelope, TxEnvelope,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes};
use lode_chain_exec::{
    execute::{Given, Work, execute},
    genesis,
    spec::Spec,
};
use lode_chain_state::{
    apply::apply,
    key::Key,
    layers::Nothing,
    versions::{self, Changes, Read},
};

use super::{
    rpc::refused,
    script::{Signed, Signer},
};
use crate::{
    error::{Error, Result},
    meter::{Meter, Sample},
};

/// Transactions of a block here: as many as a busy chain has in one.
const BLOCK_COUNT: usize = 1000;
/// Gas of a block: no limit.
const BLOCK_GAS: u64 = 1 << 40;
/// Base fee of every block, in wei: the state does not depend on it but for balances.
const BASE_FEE: u64 = 1_000_000_000;

/// What one core does with a job's transactions.
pub struct Limit {
    /// Decoding and recovering senders, nothing else.
    pub recovery: Sample,
    /// Executing where senders are known.
    pub execution: Sample,
    /// Both, one after the other.
    pub both: Sample,
}

/// A chain that is nothing but execution.
pub struct Machine {
    spec: Spec,
    state: Memory,
    height: u64,
    time: u64,
}

impl Machine {
    /// Begins as the genesis file says, and executes the set-up.
    ///
    /// # Errors
    /// When the file is none, or a transaction fails.
    pub fn new(file: &Path, setup: &[TxEnvelope]) -> Result<Self> {
        let text = std::fs::read(file).map_err(Error::io("read", file))?;
        let genesis: Genesis = serde_json::from_slice(&text)
            .map_err(|error| refused(&format!("{}: {error}", file.display())))?;
        let (_, changes) = apply(&Nothing, &genesis::accounts(&genesis))
            .map_err(|error| refused(&error.to_string()))?;
        let mut machine = Self {
            spec: Spec::new(genesis.config),
            state: Memory::default(),
            height: 0,
            time: genesis.timestamp,
        };
        machine.state.take(changes);
        let giver = Signer::known(0)?.address;
        let known: Vec<(TxEnvelope, Address)> =
            setup.iter().map(|one| (one.clone(), giver)).collect();
        for block in recovered(&known).chunks(BLOCK_COUNT) {
            machine.execute(block)?;
        }
        Ok(machine)
    }

    /// Does a job's transactions: each part alone.
    ///
    /// # Errors
    /// When a transaction fails, or its sender is another.
    pub fn run(&mut self, signed: &Signed) -> Result<Limit> {
        let count = signed.count();
        let raw: Vec<Vec<u8>> = signed
            .transactions
            .iter()
            .map(|(envelope, _)| envelope.encoded_2718())
            .collect();
        let meter = Meter::start();
        for bytes in &raw {
            black_box(recover(bytes)?);
        }
        let recovery = meter.stop(count, 0);
        let known = recovered(&signed.transactions);
        let meter = Meter::start();
        for block in known.chunks(BLOCK_COUNT) {
            self.execute(block)?;
        }
        let execution = meter.stop(count, 0);
        let both = Sample {
            operations: count,
            ..recovery.plus(execution)
        };
        Ok(Limit {
            recovery,
            execution,
            both,
        })
    }

    fn execute(&mut self, transactions: &[Recovered<TxEnvelope>]) -> Result<()> {
        self.height += 1;
        self.time += 1;
        let header = Header {
            number: self.height,
            timestamp: self.time,
            gas_limit: BLOCK_GAS,
            base_fee_per_gas: Some(BASE_FEE),
            withdrawals_root: Some(B256::ZERO),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            ..Header::default()
        };
        let work = Work {
            header: &header,
            ommers: &[],
            withdrawals: Some(&[]),
        };
        let hashes = |_: u64| Ok(B256::ZERO);
        let given = &mut Given::new(transactions);
        let executed = execute(&self.spec, &self.state, hashes, &work, given)
            .map_err(|error| refused(&error.to_string()))?;
        if !executed.receipts.iter().all(ReceiptEnvelope::is_success) {
            return Err(refused("a transaction was reverted"));
        }
        self.state.take(executed.changes);
        Ok(())
    }
}

fn recovered(transactions: &[(TxEnvelope, Address)]) -> Vec<Recovered<TxEnvelope>> {
    transactions
        .iter()
        .map(|(envelope, sender)| Recovered::new_unchecked(envelope.clone(), *sender))
        .collect()
}

fn recover(bytes: &[u8]) -> Result<Recovered<TxEnvelope>> {
    let envelope = TxEnvelope::decode_2718_exact(bytes)
        .map_err(|error| refused(&format!("no transaction: {error}")))?;
    envelope
        .try_into_recovered()
        .map_err(|_| refused("a signature of nobody"))
}

/// A state in memory.
#[derive(Default)]
struct Memory(BTreeMap<Key, Bytes>);

impl Memory {
    fn take(&mut self, changes: Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }
}

impl Read for Memory {
    fn get(&self, key: &Key) -> std::result::Result<Option<Bytes>, versions::Error> {
        Ok(self.0.get(key).cloned())
    }

    fn below(&self, prefix: &[u8]) -> std::result::Result<BTreeSet<Key>, versions::Error> {
        // Only accounts that are wiped ask, and there are none here: the whole map will do.
        let keys = self.0.keys();
        let below = keys.filter(|key| key.as_bytes().starts_with(prefix));
        Ok(below.cloned().collect())
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
