//! Evidence of the settlement chain: what decodes is the only encoding of itself, and foreign nodes
//! prove nothing about the block of the seeds but what is so in it.

use std::sync::LazyLock;

use lode_chain_light::{Evidence, Fact, FinalBlock, Trust, facts::SlotProof};
use lode_proofs::keccak::keccak256;

use super::Target;

/// Reads evidence, and walks its nodes.
pub const TARGET: Target = Target {
    name: "evidence",
    run,
    seeds,
    repair: Some(|bytes| repair(bytes)),
    cost: 1,
};

/// Bytes of the check at the end.
const CHECK_LEN: usize = 8;

/// The block of the seeds, and a slot of it. The certificate is checked once: with each input it would
/// take a thousand times what the rest takes.
static BLOCK: LazyLock<(FinalBlock, SlotProof)> = LazyLock::new(|| {
    let trust = include_bytes!("../../../sidecar-chain/light/vectors/genesis.json");
    let trust = Trust::read(trust).expect("a genesis file of ours");
    let evidence = Evidence::decode(&seeds()[0]).expect("a file");
    let proven = evidence.verify(&trust).expect("evidence");
    let Fact::Slot(slot) = evidence.fact else {
        panic!("the first seed is about a slot");
    };
    (proven.block, slot)
});

/// See the file's head.
pub fn run(data: &[u8]) {
    let Ok(evidence) = Evidence::decode(data) else {
        return;
    };
    assert_eq!(evidence.encode(), data, "one encoding each");
    let (block, known) = &*BLOCK;
    match &evidence.fact {
        Fact::Slot(proof) => {
            if proof.verify(block).is_ok()
                && (proof.address, proof.slot) == (known.address, known.slot)
            {
                assert_eq!(proof.value, known.value, "a slot has one value");
            }
        }
        Fact::Log { receipt, log } => {
            if receipt.verify_log(block, *log).is_ok() {
                assert!(receipt.verify(block).is_ok(), "a log is part of a receipt");
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        include_str!("../../../sidecar-chain/light/vectors/slot.hex"),
        include_str!("../../../sidecar-chain/light/vectors/log.hex"),
    ]
    .map(bytes)
    .into()
}

fn bytes(digits: &str) -> Vec<u8> {
    let digits = digits.trim();
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits"))
        .collect()
}

fn repair(bytes: &mut [u8]) {
    if let Some(end) = bytes.len().checked_sub(CHECK_LEN) {
        let digest = keccak256(&bytes[..end]);
        bytes[end..].copy_from_slice(&digest[..CHECK_LEN]);
    }
}
