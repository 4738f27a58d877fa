//! Every proof in its shortest form, as the command that people run. What this machine does not
//! permit says so and passes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

/// Runs the command; its result, or `None` if it was skipped.
fn run(args: &[&str]) -> Option<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_crash"))
        .args(args)
        .arg("--json")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    if let Some(why) = result["skipped"].as_str() {
        eprintln!("{args:?} skipped: {why}");
        return None;
    }
    Some(result)
}

/// The same of a proof on a store, which must have had something to prove.
fn crash(args: &[&str]) -> Option<Value> {
    let result = run(args)?;
    assert_eq!(result["lost"], 0);
    assert!(result["acked_ops"].as_u64().unwrap() > 0, "{result}");
    assert!(result["checked"]["blobs"].as_u64().unwrap() > 0, "{result}");
    Some(result)
}

/// Acknowledged bytes survive SIGKILL.
#[test]
fn kill() {
    crash(&["kill", "--cycles", "2"]).unwrap();
}

/// Without io_uring the node falls back and keeps the same promises.
#[test]
fn seccomp() {
    let result = crash(&["seccomp", "--cycles", "1"]).unwrap();
    assert_eq!(result["backend"], "posix");
}

/// Acknowledged bytes survive a power cut that takes unsynced files.
#[test]
fn power() {
    if let Some(result) = crash(&["power", "--rounds", "2"]) {
        assert!(result["control"]["lost"].as_u64().unwrap() > 0, "{result}");
    }
}

/// A full filesystem refuses, loses nothing, and takes puts again once space is freed; also one
/// that is hardly larger than what the node needs.
#[test]
fn full() {
    for size in ["256", "80"] {
        if let Some(result) = crash(&["full", "--size", size]) {
            let refused = result["acked"]["refused_full"].as_u64().unwrap();
            assert!(refused > 0, "{size} MiB: {result}");
        }
    }
}

/// Networks of validators run one after the other: each of them alone keeps a machine busy.
fn alone() -> MutexGuard<'static, ()> {
    static NETWORKS: Mutex<()> = Mutex::new(());
    // One that failed has said so.
    NETWORKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was final stays final through SIGKILL of one validator, and of some or all of four.
#[test]
fn chain() {
    let _alone = alone();
    let result = run(&["chain", "--cycles", "2"]).unwrap();
    for network in result["networks"].as_array().unwrap() {
        assert_eq!(network["lost"], 0);
        for key in ["transactions", "blocks_compared", "accounts_proven"] {
            assert!(network[key].as_u64().unwrap() > 0, "{key}: {network}");
        }
    }
}

/// A validator joins and one leaves under load; certificates of all epochs hold by the genesis file.
#[test]
fn chain_epochs() {
    let _alone = alone();
    let result = run(&["chain-epochs", "--blocks", "64"]).unwrap();
    assert_eq!(result["conflicts"], 0);
    for key in ["transactions", "blocks_compared", "certificates_checked"] {
        assert!(result[key].as_u64().unwrap() > 0, "{key}: {result}");
    }
}

/// A newcomer begins with the newest block of others, is killed on its way, and the chain comes to need
/// its vote.
#[test]
fn chain_sync() {
    let _alone = alone();
    let result = run(&["chain-sync", "--blocks", "64", "--before", "300"]).unwrap();
    assert_eq!(result["conflicts"], 0);
    for key in ["began_with", "accounts_same", "old_certificates_checked"] {
        assert!(result[key].as_u64().unwrap() > 0, "{key}: {result}");
    }
}

/// A chain that is split never has two histories.
#[test]
fn chain_partition() {
    let _alone = alone();
    if let Some(result) = run(&["chain-partition", "--rounds", "1"]) {
        assert_eq!(result["conflicts"], 0);
        assert!(result["transactions"].as_u64().unwrap() > 0, "{result}");
    }
}

/// What a storage node acknowledged comes to every replica of its slice and stays there, through
/// SIGKILL, a lost disk and, where this machine permits them, splits.
#[test]
fn storage() {
    let _alone = alone();
    let result = run(&["storage", "--blobs", "8", "--largest", "2"]).unwrap();
    assert_eq!(result["lost"], 0);
    assert_eq!(result["kills"], 16);
    assert!(result["acked"]["whole"].as_u64() >= Some(8), "{result}");
    for figure in [
        &result["reads"]["chunks"],
        &result["checked"]["proofs"],
        &result["repairs"][0]["chunks"],
    ] {
        assert!(figure.as_u64().unwrap() > 0, "{result}");
    }
    match result["splits"]["skipped"].as_str() {
        Some(why) => eprintln!("splits skipped: {why}"),
        None => assert_eq!(result["splits"].as_array().unwrap().len(), 4),
    }
}
