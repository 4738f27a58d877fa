//! A chain in memory that has nothing but the genesis, for tests of the committed bytecode.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(dead_code, reason = "each test file uses its part of it")]

pub mod containers;
pub mod holders;

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, Log, U256, address};
use alloy_sol_types::SolCall;
use lode_chain_link::genesis::{DaSettings, Settings, Validator, accounts_with};
use lode_proofs::da::weigh::weigh;
use revm::{
    Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainnetEvm,
    context::{BlockEnv, CfgEnv, TxEnv, result::ExecutionResult},
    database::{CacheDB, EmptyDB},
    precompile::{Precompile, PrecompileId, PrecompileOutput, Precompiles},
    primitives::{TxKind, hardfork::SpecId},
    state::{AccountInfo, Bytecode},
};

/// Wei a sector in these tests: what the wire's vectors were made with.
pub const PRICE: u64 = 1_000_000_007;
/// Who administers.
pub const ADMIN: Address = address!("0x000000000000000000000000000000000000ad01");
/// Who pays, from an account without code.
pub const PAYER: Address = address!("0x5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b");
/// Gas of every transaction: as much as Osaka allows (EIP-7825).
pub const GAS_LIMIT: u64 = 16_777_216;

type Database = CacheDB<EmptyDB>;
type Machine = MainnetEvm<Context<BlockEnv, TxEnv, CfgEnv, Database>>;

/// The chain.
pub struct World {
    machine: Machine,
}

/// What a transaction did.
#[derive(Debug)]
pub struct Done {
    pub gas: u64,
    pub output: Bytes,
    pub logs: Vec<Log>,
}

/// Settings with two validators, one of them with a long endpoint.
pub fn settings() -> Settings {
    let validator = |tag: u8, stake, endpoint: &str| Validator {
        owner: Address::repeat_byte(tag),
        key: B256::repeat_byte(tag ^ 0xff),
        stake,
        endpoint: endpoint.to_owned(),
    };
    let long = "a-validator-with-a-long-name.in-some-data-centre.example:30303";
    Settings {
        admin: ADMIN,
        publisher: ADMIN,
        price_per_sector: PRICE.into(),
        flow_epoch_blocks: 100,
        beacon_slot_blocks: 10,
        committee_epoch_blocks: 50,
        unbond_epochs: 4,
        seats: 3,
        stake_min: 1_000,
        validators: vec![
            validator(0x11, 1_000, "10.0.0.1:9000"),
            validator(0x22, 5_000, long),
        ],
    }
}

impl World {
    /// A chain at block 20, with money for [`PAYER`] and [`ADMIN`].
    pub fn new() -> Self {
        Self::with(&settings().da())
    }

    /// The same, with other settings of data availability.
    pub fn with(da: &DaSettings) -> Self {
        let mut database = CacheDB::new(EmptyDB::new());
        for (address, account) in accounts_with(&settings(), da).unwrap() {
            let code = Bytecode::new_raw(account.code.unwrap());
            let info = AccountInfo {
                balance: account.balance,
                nonce: account.nonce.unwrap(),
                code_hash: code.hash_slow(),
                code: Some(code),
                ..AccountInfo::default()
            };
            database.insert_account_info(address, info);
            for (slot, value) in account.storage.into_iter().flatten() {
                let (slot, value) = (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0));
                database
                    .insert_account_storage(address, slot, value)
                    .unwrap();
            }
        }
        for account in [PAYER, ADMIN] {
            let info = AccountInfo::from_balance(U256::from(10).pow(U256::from(24)));
            database.insert_account_info(account, info);
        }
        let mut context =
            Context::<BlockEnv, TxEnv, CfgEnv, Database>::new(database, SpecId::OSAKA);
        context.cfg.disable_nonce_check = true;
        context.block.number = U256::from(20);
        context.block.gas_limit = 10 * GAS_LIMIT;
        context.block.prevrandao = Some(B256::repeat_byte(0x7a));
        let mut machine = context.build_mainnet();
        machine.precompiles.precompiles = &WITH_OURS;
        World { machine }
    }

    /// Puts the code of a contract at an address, as if it had just been made there.
    pub fn place(&mut self, account: Address, artefact: &str) {
        let artefact: serde_json::Value = serde_json::from_str(artefact).unwrap();
        let code = artefact["deployedBytecode"]["object"].as_str().unwrap();
        let code = Bytecode::new_raw(code.parse().unwrap());
        let info = AccountInfo {
            code_hash: code.hash_slow(),
            code: Some(code),
            ..AccountInfo::default()
        };
        self.database().insert_account_info(account, info);
    }

    /// Everything that an account stores.
    pub fn storage(&mut self, account: Address) -> Vec<(U256, U256)> {
        let account = self.database().load_account(account).unwrap();
        let storage = account.storage.iter();
        storage.map(|(slot, value)| (*slot, *value)).collect()
    }

    /// Goes to a block and the time that it has.
    pub fn at(&mut self, block: u64, timestamp: u64) {
        self.machine.ctx.block.number = U256::from(block);
        self.machine.ctx.block.timestamp = U256::from(timestamp);
    }

    /// Gives money.
    pub fn fund(&mut self, account: Address) {
        let info = AccountInfo::from_balance(U256::from(10).pow(U256::from(30)));
        self.database().insert_account_info(account, info);
    }

    /// What asking costs, without what every transaction costs.
    pub fn gas_of(&mut self, to: Address, data: Bytes) -> (u64, Bytes) {
        let result = self
            .machine
            .transact(transaction(PAYER, to, U256::ZERO, data))
            .unwrap();
        assert!(result.result.is_success(), "{:?}", result.result);
        let gas = result.result.tx_gas_used();
        (gas, result.result.into_output().unwrap())
    }

    /// Goes to a block; the hash of `known` is what is said.
    pub fn roll(&mut self, block: u64, known: u64, hash: B256) {
        self.machine.ctx.block.number = U256::from(block);
        let hashes = &mut self.database().cache.block_hashes;
        hashes.insert(U256::from(known), hash);
    }

    /// A transaction that must succeed.
    pub fn send(&mut self, from: Address, to: Address, value: U256, data: Bytes) -> Done {
        match self.run(from, to, value, data) {
            Ok(done) => done,
            Err(reason) => panic!("reverted: {reason}"),
        }
    }

    /// A transaction that must revert; its reason.
    pub fn refused(&mut self, from: Address, to: Address, value: U256, data: Bytes) -> Bytes {
        self.run(from, to, value, data).unwrap_err()
    }

    /// Asks without changing anything.
    pub fn ask<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        let output = self.ask_raw(to, call.abi_encode().into());
        C::abi_decode_returns_validate(&output).unwrap()
    }

    /// The same with bytes.
    pub fn ask_raw(&mut self, to: Address, data: Bytes) -> Bytes {
        let result = self
            .machine
            .transact(transaction(PAYER, to, U256::ZERO, data))
            .unwrap();
        assert!(result.result.is_success(), "{:?}", result.result);
        result.result.into_output().unwrap()
    }

    /// The same with little gas; none if it fails.
    pub fn ask_with(&mut self, to: Address, data: Bytes, gas: u64) -> Option<Bytes> {
        let mut asked = transaction(PAYER, to, U256::ZERO, data);
        asked.gas_limit = gas;
        let result = self.machine.transact(asked).ok()?.result;
        result.is_success().then(|| result.into_output().unwrap())
    }

    /// Puts a word into an account's storage.
    pub fn store(&mut self, account: Address, slot: U256, value: U256) {
        let stored = self.database().insert_account_storage(account, slot, value);
        stored.unwrap();
    }

    /// Wei of an account.
    pub fn balance(&mut self, account: Address) -> U256 {
        self.database().load_account(account).unwrap().info.balance
    }

    /// A word of an account's storage.
    pub fn stored(&mut self, account: Address, slot: B256) -> U256 {
        let account = self.database().load_account(account).unwrap();
        account
            .storage
            .get(&U256::from_be_bytes(slot.0))
            .copied()
            .unwrap_or_default()
    }

    fn run(&mut self, from: Address, to: Address, value: U256, data: Bytes) -> Result<Done, Bytes> {
        let result = self
            .machine
            .transact_commit(transaction(from, to, value, data))
            .unwrap();
        match result {
            ExecutionResult::Success {
                gas, logs, output, ..
            } => Ok(Done {
                gas: gas.tx_gas_used(),
                output: output.into_data(),
                logs,
            }),
            ExecutionResult::Revert { output, .. } => Err(output),
            ExecutionResult::Halt { reason, .. } => panic!("halted: {reason:?}"),
        }
    }

    fn database(&mut self) -> &mut Database {
        &mut self.machine.ctx.journaled_state.database
    }
}

/// Ethereum's native contracts, and the chain's own that the contracts call. Its gas is that of the
/// chain's, which another crate has and tests: here only that somebody pays for it counts.
static WITH_OURS: LazyLock<Precompiles> = LazyLock::new(|| {
    let mut all = Precompiles::osaka().clone();
    let name = PrecompileId::Custom("DA_CERTIFICATE".into());
    all.extend([Precompile::new(
        name,
        DA_CERTIFICATE,
        |input, _, reservoir| {
            let mut word = [0; 32];
            word[30..].copy_from_slice(&weigh(input).unwrap_or(0).to_be_bytes());
            let word = Bytes::copy_from_slice(&word);
            Ok(PrecompileOutput::new(DA_CERTIFICATE_GAS, word, reservoir))
        },
    )]);
    all
});
const DA_CERTIFICATE: Address = address!("0x0000000000000000000000000000000000002005");
const DA_CERTIFICATE_GAS: u64 = 115_000;

fn transaction(from: Address, to: Address, value: U256, data: Bytes) -> TxEnv {
    let transaction = TxEnv::builder()
        .caller(from)
        .kind(TxKind::Call(to))
        .value(value);
    transaction.data(data).gas_limit(GAS_LIMIT).build().unwrap()
}
