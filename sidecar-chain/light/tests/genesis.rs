//! The hash of a genesis block that other clients agree on comes out of its genesis file here too.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{fs::File, io::Read as _};

use alloy_consensus::{Block, TxEnvelope};
use alloy_genesis::Genesis;
use alloy_rlp::Decodable;
use lode_chain_light::{genesis, trust};

/// The first block of a foreign chain names its genesis block by the hash that its genesis file gives;
/// and that chain is not one of ours.
#[test]
fn foreign_genesis_has_its_hash() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/fixtures/rpc-compat.tar.xz"
    );
    let Ok(packed) = File::open(path) else {
        return println!("skipped: {path} is not here");
    };
    let mut packed = tar::Archive::new(liblzma::read::XzDecoder::new(packed));
    let (mut file, mut chain) = (Vec::new(), Vec::new());
    for entry in packed.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        if path.ends_with("genesis.json") {
            entry.read_to_end(&mut file).unwrap();
        } else if path.ends_with("chain.rlp") {
            entry.read_to_end(&mut chain).unwrap();
        }
    }
    let genesis: Genesis = serde_json::from_slice(&file).unwrap();
    let first = Block::<TxEnvelope>::decode(&mut &chain[..]).unwrap();
    let header = genesis::header(&genesis).unwrap();
    assert_eq!(header.hash_slow(), first.header.parent_hash);
    assert!(matches!(
        trust::Trust::read(&file),
        Err(trust::Error::NotOurs)
    ));
}
