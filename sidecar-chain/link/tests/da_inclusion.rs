//! Bytes of blobs and containers, and entries of tables, by SHA-256 alone: contracts show what the crate
//! shows, and nothing else.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use alloy_primitives::{Address, B256, Bytes, U256, address};
use alloy_sol_types::SolCall;
use common::{
    World,
    containers::{coded, wrongs},
};
use lode_chain_link::abi::elsewhere::DaInclusion;
use lode_proofs::da::{BlobRange, Coded, Quorum, namespace::NamespaceTree};

const INCLUSION: Address = address!("0x0000000000000000000000000000000000007702");
const QUORUM: Quorum = Quorum {
    chain_id: 1,
    epoch: 1,
    quorum: 0,
};

/// A chain that has the contract.
fn away() -> World {
    let mut away = World::new();
    away.place(
        INCLUSION,
        include_str!("../../contracts/artifacts/DaInclusion.json"),
    );
    away
}

/// Ranges of blobs and containers, and entries of tables, are shown as the crate shows them; with a byte
/// changed, or cut, they are not.
#[test]
fn bytes_are_shown() {
    let mut away = away();
    for len in [700, 5_000, 150_000] {
        let (coded, blobs) = coded(&QUORUM, 10, len);
        let table = coded.container().table();
        let (entry, blob) = (table.entries()[1], &blobs[1]);
        let whole = entry.len;
        let ranges = [
            (0, 1),
            (0, whole),
            (whole - 1, whole),
            (500, 600),
            (1000, 1100),
            (1023, 1024),
        ];
        for (start, end) in ranges.into_iter().filter(|(_, end)| *end <= whole) {
            let proof = BlobRange::prove(blob, start..end).unwrap().encode();
            let call = |length, proof: &[u8]| DaInclusion::blobBytesCall {
                blobRoot: entry.root.0.into(),
                length: U256::from(length),
                proof: Bytes::copy_from_slice(proof),
            };
            let answer = away.ask(INCLUSION, &call(whole, &proof));
            let (from, to) = (
                usize::try_from(start).unwrap(),
                usize::try_from(end).unwrap(),
            );
            assert!(answer.found, "{start}..{end} of {whole}");
            assert_eq!(answer.content[..], blob[from..to]);
            assert_eq!(answer.start, U256::from(start));
            for wrong in wrongs(&proof) {
                assert!(!away.ask(INCLUSION, &call(whole, &wrong)).found);
            }
            // A length is believed as an entry has it, by both: some proofs fit another one too.
            let longer = whole + 1024;
            let believed = BlobRange::decode(longer, &proof)
                .is_ok_and(|proof| proof.verify(entry.root, longer, &(start..end)).is_ok());
            assert_eq!(away.ask(INCLUSION, &call(longer, &proof)).found, believed);
        }
        container_bytes(&mut away, &coded);
        entries(&mut away, &coded);
    }
}

fn container_bytes(away: &mut World, coded: &Coded) {
    let head = coded.head();
    let (len, width) = (head.shape.len(), u64::from(head.shape.width_u32()));
    let all = coded.container().rows();
    let ranges = [
        (0, 1),
        (0, len),
        (len - 1, len),
        (width - 1, width + 1),
        (300, 8 * width),
    ];
    for (start, end) in ranges.into_iter().filter(|(_, end)| *end <= len) {
        let proof = coded.range(start..end).unwrap().encode();
        let call = |proof: &[u8]| DaInclusion::containerBytesCall {
            rowRoot: head.row_root.0.into(),
            length: U256::from(len),
            proof: Bytes::copy_from_slice(proof),
        };
        let answer = away.ask(INCLUSION, &call(&proof));
        let (from, to) = (
            usize::try_from(start).unwrap(),
            usize::try_from(end).unwrap(),
        );
        assert!(answer.found, "{start}..{end} of {len}");
        assert_eq!(answer.content[..], all[from..to]);
        for wrong in wrongs(&proof) {
            assert!(!away.ask(INCLUSION, &call(&wrong)).found);
        }
    }
}

fn entries(away: &mut World, coded: &Coded) {
    let table = coded.container().table();
    let tree = NamespaceTree::new(table);
    for (place, entry) in table.entries().iter().enumerate() {
        let proof = tree.show(table, place..place + 1).encode();
        let call = |proof: &[u8]| DaInclusion::blobOfCall {
            namespaceRoot: coded.head().namespace_root.0.into(),
            proof: Bytes::copy_from_slice(proof),
        };
        let answer = away.ask(INCLUSION, &call(&proof));
        assert!(answer.found);
        assert_eq!(answer.entry.root, B256::from(entry.root.0));
        assert_eq!(
            (answer.entry.offset, answer.entry.length),
            (entry.offset, entry.len)
        );
        assert_eq!(answer.entry.namespace.0, entry.namespace.0);
        for wrong in wrongs(&proof) {
            assert!(!away.ask(INCLUSION, &call(&wrong)).found);
        }
    }
}

/// Prints what 32 bytes of a blob of 1 MiB cost another chain, and of the container that it is in.
#[test]
fn gas() {
    println!("| call, elsewhere | calldata | gas |");
    println!("|---|---|---|");
    let row = |name: &str, call: &Bytes, gas: u64, most: u64| {
        println!("| {name} | {} | {gas} |", call.len());
        assert!(gas <= most, "{name}: {gas} gas, {most} at most");
    };
    let away = &mut away();
    let (coded, blobs) = coded(&QUORUM, 10, 1 << 20);
    let entry = coded.container().table().entries()[1];
    let range = 40_960..40_992;
    let call = DaInclusion::blobBytesCall {
        blobRoot: entry.root.0.into(),
        length: U256::from(entry.len),
        proof: BlobRange::prove(&blobs[1], range.clone())
            .unwrap()
            .encode()
            .into(),
    };
    let call = Bytes::from(call.abi_encode());
    let (gas, _) = away.gas_of(INCLUSION, call.clone());
    row(
        "DaInclusion.blobBytes, 32 bytes of 1 MiB",
        &call,
        gas,
        90_000,
    );
    let call = DaInclusion::containerBytesCall {
        rowRoot: coded.head().row_root.0.into(),
        length: U256::from(coded.head().shape.len()),
        proof: coded.range(range).unwrap().encode().into(),
    };
    let call = Bytes::from(call.abi_encode());
    let (gas, _) = away.gas_of(INCLUSION, call.clone());
    row("DaInclusion.containerBytes, the same", &call, gas, 90_000);
}
