//! A chain that other clients made, from Frontier to Osaka, gives the same roots here,
//! of states and of receipts.

use std::collections::BTreeMap;

use alloy_consensus::{
    Block, TxEnvelope, proofs::calculate_receipt_root, transaction::SignerRecoverable,
};
use alloy_genesis::Genesis;
use alloy_primitives::B256;
use alloy_rlp::Decodable;
use lode_chain_exec::{
    execute::{Given, Work, execute},
    genesis,
    spec::Spec,
};
use lode_chain_state::{apply::apply, versions::Versions};

mod common;

#[test]
fn foreign_chain_gives_its_roots() {
    let mut files = BTreeMap::new();
    let there = common::unpack("rpc-compat", |path, bytes| {
        let name = path.rsplit('/').next().unwrap_or(path);
        files.insert(name.to_owned(), bytes.to_owned());
    });
    if !there.unwrap() {
        return;
    }
    let genesis: Genesis = serde_json::from_slice(&files["genesis.json"]).unwrap();
    let spec = Spec::new(genesis.config.clone());
    let dir = tempfile::tempdir().unwrap();
    let mut versions = Versions::open(dir.path(), &[], 1 << 20).unwrap();
    let (_, changes) = apply(&versions.latest(), &genesis::accounts(&genesis)).unwrap();
    versions.commit(0, &[&changes], Vec::new()).unwrap();
    let mut hashes: BTreeMap<u64, B256> = BTreeMap::new();
    let mut chain = &files["chain.rlp"][..];
    let mut executed = 0;
    while !chain.is_empty() {
        let block = Block::<TxEnvelope>::decode(&mut chain).unwrap();
        let header = &block.header;
        hashes.insert(header.number - 1, header.parent_hash);
        let senders = block.body.transactions.into_iter();
        let transactions: Vec<_> = senders.map(|tx| tx.try_into_recovered().unwrap()).collect();
        let work = Work {
            header,
            ommers: &block.body.ommers,
            withdrawals: block.body.withdrawals.as_ref().map(|all| &all.0[..]),
        };
        let hash_of = |number: u64| Ok(hashes.get(&number).copied().unwrap_or_default());
        let given = &mut Given::new(&transactions);
        let found = execute(&spec, &versions.latest(), hash_of, &work, given);
        let found = found.unwrap_or_else(|error| panic!("block {}: {error}", header.number));
        assert_eq!(found.gas_used, header.gas_used, "block {}", header.number);
        assert_eq!(
            found.state_root, header.state_root,
            "block {}",
            header.number
        );
        let root = calculate_receipt_root(&found.receipts);
        assert_eq!(root, header.receipts_root, "block {}", header.number);
        if let Some(wanted) = header.requests_hash {
            assert_eq!(
                found.requests.requests_hash(),
                wanted,
                "block {}",
                header.number
            );
        }
        versions
            .commit(header.number, &[&found.changes], Vec::new())
            .unwrap();
        executed += 1;
    }
    println!("{executed} blocks executed");
    assert_eq!(executed, 54);
}
