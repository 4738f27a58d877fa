//! What a blob costs on either lane: gas and transaction bytes, measured on the committed bytecode.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use common::{PAYER, PRICE, World};
use lode_chain_link::{
    addresses::{ANCHORS, FLOW},
    anchors, flow,
};
use lode_proofs::{
    BlobHasher, BlobId, BlobTree, Hash32,
    anchor::{AnchorTree, Entry},
    keccak::keccak256,
};
use serde_json::Value;

/// Goal: gas a blob at ten thousand blobs an anchor.
const GAS_PER_BLOB_MAX: u64 = 500;

/// Prints the table of both lanes. The batch lane keeps its goal, and no submission costs more than
/// the same one cost in 0G's own contract.
#[test]
fn table() {
    println!("| lane | blobs | gas | gas a blob | transaction bytes | bytes a blob | 0G's gas |");
    println!("|---|---|---|---|---|---|---|");
    submissions();
    let mut world = World::new();
    for (nonce, count) in (0..).zip([1, 1, 100, 10_000]) {
        let gas = anchor(&mut world, nonce, count);
        assert!(count < 10_000 || gas / u64::from(count) <= GAS_PER_BLOB_MAX);
    }
}

/// The wire's sequence of sizes; 0G's gas is in the vectors.
fn submissions() {
    let mut world = World::new();
    let vectors = include_str!("../../contracts/vectors/flow.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    for vector in vectors["submissions"].as_array().unwrap() {
        let number = |field: &str| vector[field].as_u64().unwrap();
        let fee: U256 = vector["fee"].as_str().unwrap().parse().unwrap();
        let data = flow::data(&tree_of(number("size")), Bytes::new());
        let call = flow::submit_call(data, PAYER);
        let gas = world.send(PAYER, FLOW, fee, call.clone()).gas;
        let theirs = number("gasUsedExecution") + number("intrinsicGas");
        let lane = format!("Flow.submit, {} B", number("size"));
        row(
            &lane,
            1,
            gas,
            bytes_of(FLOW, fee, call),
            &theirs.to_string(),
        );
        assert!(gas < theirs);
    }
}

fn anchor(world: &mut World, nonce: u64, count: u32) -> u64 {
    let entries: Vec<Entry> = (0..count).map(|place| entry(nonce, place)).collect();
    let head = AnchorTree::new(&entries).unwrap().head();
    let fee = U256::from(PRICE) * U256::from(head.top.sectors);
    let call = anchors::anchor_call(head, nonce);
    let gas = world.send(PAYER, ANCHORS, fee, call.clone()).gas;
    let lane = if nonce == 0 {
        "Anchors.anchor, a poster's first"
    } else {
        "Anchors.anchor"
    };
    row(lane, count, gas, bytes_of(ANCHORS, fee, call), "");
    gas
}

fn row(lane: &str, blobs: u32, gas: u64, bytes: u64, theirs: &str) {
    let count = u64::from(blobs);
    let (each, rest) = (bytes / count, bytes % count * 1000 / count);
    println!(
        "| {lane} | {blobs} | {gas} | {} | {bytes} | {each}.{rest:03} | {theirs} |",
        gas.div_ceil(count)
    );
}

/// Bytes of the signed transaction as it is sent.
fn bytes_of(to: Address, value: U256, input: Bytes) -> u64 {
    let transaction = TxEip1559 {
        chain_id: 31_337,
        nonce: 1_000,
        gas_limit: 300_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(to),
        value,
        input,
        ..TxEip1559::default()
    };
    let signed = transaction.into_signed(Signature::test_signature());
    u64::try_from(signed.encode_2718_len()).unwrap()
}

fn entry(batch: u64, place: u32) -> Entry {
    let name = [batch.to_be_bytes().as_slice(), &place.to_be_bytes()].concat();
    Entry {
        blob: BlobId::new(Hash32(keccak256(&name)), 1 + u64::from(place) % 100_000).unwrap(),
        payer: [7; 20],
        expiry: 1_800_000_000,
    }
}

fn tree_of(size: u64) -> BlobTree {
    let bytes = (0..size).map(|i| (i * 131 + (i >> 8) * 17 + 7).to_le_bytes()[0]);
    let mut hasher = BlobHasher::new();
    hasher.update(&bytes.collect::<Vec<u8>>());
    hasher.finish().unwrap()
}
