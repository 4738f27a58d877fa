//! Ethereum's own state tests: one transaction each, under the rules of every fork, gives the state
//! root and the logs that all clients agree on.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use alloy_evm::{Evm, EvmEnv, EvmFactory};
use alloy_primitives::{B256, U256, keccak256};
use lode_chain_exec::{
    database::{Database, touched},
    factory::Factory,
    precompiles,
};
use lode_chain_state::{
    apply::{Block, Info, Touched, apply},
    layers::{Layers, Nothing},
};
use revm::{
    DatabaseCommit,
    context::CfgEnv,
    database::{State, states::bundle_state::BundleRetention},
    primitives::hardfork::SpecId,
};
use revm_statetest_types::{SpecName, Test, TestSuite, TestUnit};

mod common;

/// Files that say nothing of us, and why.
const EXCLUDED: &[(&str, &str)] = &[
    ("InitCollisionParis", NO_CODE),
    ("RevertInCreateInInitCreate2Paris", NO_CODE),
    ("RevertInCreateInInit_Paris", NO_CODE),
    ("create2collisionStorageParis", NO_CODE),
    ("dynamicAccountOverwriteEmpty_Paris", NO_CODE),
    (
        "ValueOverflowParis",
        "a value of 257 bits, which no decoder lets through",
    ),
];
/// revm does not look for it (EIP-7610); no chain that began after Spurious Dragon can have one.
const NO_CODE: &str = "begins with an account that has storage, but neither code nor a nonce";

/// Files that wait for a worker.
const QUEUE: usize = 16;

/// Every test passes, with the native contracts of this chain beside Ethereum's: no rule of Ethereum
/// is another for them. A test whose own contracts stand at their addresses, which cannot be on a chain
/// of ours, runs without them and is counted.
#[test]
fn foreign_states_agree() {
    let mut found = Found::default();
    let there = thread::scope(|threads| {
        let (sender, receiver) = mpsc::sync_channel::<(String, Vec<u8>)>(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                let receiver = receiver.clone();
                threads.spawn(move || work(&receiver))
            })
            .collect();
        let there = common::unpack("general-state-tests", |path, bytes| {
            let file = (path.to_owned(), bytes.to_owned());
            sender
                .send(file)
                .expect("workers take until there is no more");
        });
        drop(sender);
        for worker in workers {
            found.add(worker.join().unwrap());
        }
        there.unwrap()
    });
    if !there {
        return;
    }
    println!(
        "{} state tests of {} files passed, {} of them without our contracts; {} failed",
        found.passed,
        found.files,
        found.without_ours,
        found.wrong.len()
    );
    let Found {
        passed,
        wrong,
        without_ours,
        ..
    } = found;
    // They say nothing that the rest does not, but for two of `underflowTest`, whose contracts at
    // 0x2001 and 0x2002 ours would hide.
    assert!(without_ours < 200, "the rest say nothing of ours");
    assert!(
        wrong.is_empty(),
        "{}",
        wrong[..wrong.len().min(20)].join("\n")
    );
    assert!(passed > 10_000);
}

/// What a worker has found.
#[derive(Default)]
struct Found {
    files: usize,
    passed: usize,
    without_ours: usize,
    wrong: Vec<String>,
}

impl Found {
    fn add(&mut self, other: Found) {
        self.files += other.files;
        self.passed += other.passed;
        self.without_ours += other.without_ours;
        self.wrong.extend(other.wrong);
    }
}

/// Runs the tests of one file after the other, until there is none.
fn work(files: &Mutex<mpsc::Receiver<(String, Vec<u8>)>>) -> Found {
    let mut found = Found::default();
    loop {
        let next = files.lock().unwrap().recv();
        let Ok((path, bytes)) = next else {
            return found;
        };
        found.add(run_file(&path, &bytes));
    }
}

fn run_file(path: &str, bytes: &[u8]) -> Found {
    let mut found = Found::default();
    let Some(file) = path.strip_suffix(".json") else {
        return found;
    };
    found.files += 1;
    if let Some((name, why)) = EXCLUDED.iter().find(|(name, _)| file.ends_with(name)) {
        println!("excluded: {name}, {why}");
        return found;
    }
    let suite: TestSuite = match serde_json::from_slice(bytes) {
        Ok(suite) => suite,
        Err(error) => {
            found.wrong.push(format!("{path}: {error}"));
            return found;
        }
    };
    for (name, unit) in &suite.0 {
        for (fork, tests) in &unit.post {
            if matches!(fork, SpecName::Unknown | SpecName::Constantinople) {
                continue;
            }
            if stands_at_ours(unit) {
                found.without_ours += tests.len();
            }
            for (at, test) in tests.iter().enumerate() {
                match run(unit, fork, test) {
                    Ok(()) => found.passed += 1,
                    Err(why) => found
                        .wrong
                        .push(format!("{path} {name} {fork:?} {at}: {why}")),
                }
            }
        }
    }
    found
}

fn stands_at_ours(unit: &TestUnit) -> bool {
    let ours = precompiles::all();
    ours.iter().any(|one| unit.pre.contains_key(one.address()))
}

fn run(unit: &TestUnit, fork: &SpecName, test: &Test) -> Result<(), String> {
    let (before, changes) = apply(&Nothing, &accounts(unit)).map_err(|error| error.to_string())?;
    let state = Layers::new(Nothing).with(Arc::new(changes));
    let hashes = |number: u64| Ok(keccak256(number.to_string()));
    let database = Database {
        state: &state,
        hashes,
    };
    let mut cached = State::builder()
        .with_database_ref(database)
        .with_bundle_update()
        .build();
    let mut rules = CfgEnv::new_with_spec(fork.to_spec_id());
    rules.chain_id = 1;
    // EIP-4844, EIP-7691.
    let blobs = if rules.spec().is_enabled_in(SpecId::PRAGUE) {
        9
    } else {
        6
    };
    rules.set_max_blobs_per_tx(blobs);
    let block = unit.block_env(&mut rules);
    let outcome = match test.tx_env(unit) {
        Ok(transaction) => Factory::new(!stands_at_ours(unit))
            .create_evm(&mut cached, EvmEnv::new(rules, block))
            .transact_raw(transaction)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let logs = match outcome {
        Ok(_) if test.expect_exception.is_some() => {
            return Err(format!("not refused: {:?}", test.expect_exception));
        }
        Ok(outcome) => {
            cached.commit(outcome.state);
            outcome.result.into_logs()
        }
        Err(_) if test.expect_exception.is_some() => return Ok(()),
        Err(error) => return Err(error),
    };
    cached.merge_transitions(BundleRetention::PlainState);
    let block = touched(cached.take_bundle());
    let (root, _) = apply(&state, &block).map_err(|error| error.to_string())?;
    let logs = keccak256(alloy_rlp::encode(&logs));
    if (root, logs) != (test.hash, test.logs) {
        return Err(format!("root {root} (before {before}), logs {logs}"));
    }
    Ok(())
}

fn accounts(unit: &TestUnit) -> Block {
    let mut block = Block::default();
    for (address, account) in &unit.pre {
        let code_hash = keccak256(&account.code);
        block.code.insert(code_hash, account.code.clone());
        let slots = account.storage.iter();
        let slots: BTreeMap<B256, U256> = slots
            .map(|(slot, value)| (keccak256(B256::from(*slot)), *value))
            .collect();
        let info = Info {
            nonce: account.nonce,
            balance: account.balance,
            code_hash,
        };
        let touched = Touched {
            info: Some(info),
            wiped: false,
            slots,
        };
        block.accounts.insert(keccak256(address), touched);
    }
    block
}
