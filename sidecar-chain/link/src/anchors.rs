//! Blobs by the thousand: calls of the anchors, and what their logs say.

use alloy_primitives::{Address, B256, Bytes, LogData, U256};
use alloy_sol_types::{SolCall, SolEvent};
use lode_proofs::{
    Hash32,
    anchor::{AnchorHead, AnchorNode, EntryProof},
};

use crate::{
    abi::Anchors::{self, Anchored},
    flow::LogError,
};

/// An anchor that was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Who sent and paid for it.
    pub poster: Address,
    /// What was settled.
    pub head: AnchorHead,
    /// Number among all anchors, from 0.
    pub index: u64,
    /// The poster's anchors before it.
    pub nonce: u64,
    /// Wei.
    pub fee: U256,
}

/// The call that settles a tree of entries. `nonce` is the poster's anchors so far: sent twice, it
/// counts once.
pub fn anchor_call(head: AnchorHead, nonce: u64) -> Bytes {
    let call = Anchors::anchorCall {
        root: head.top.hash.0.into(),
        entries: head.count,
        sectors: head.top.sectors,
        nonce,
    };
    call.abi_encode().into()
}

/// What an `Anchored` log says.
///
/// # Errors
/// [`LogError`] when it is none.
pub fn settled(log: &LogData) -> Result<Settled, LogError> {
    let log = Anchored::decode_log_data_validate(log)?;
    let top = AnchorNode {
        hash: Hash32(log.root.0),
        sectors: log.sectors,
    };
    Ok(Settled {
        poster: log.poster,
        head: AnchorHead {
            top,
            count: log.count,
        },
        index: log.index,
        nonce: log.nonce,
        fee: log.fee,
    })
}

/// The call that asks the chain whether an entry is in an anchor; it answers with a `bool`.
pub fn verify_call(poster: Address, root: B256, proof: &EntryProof) -> Bytes {
    let siblings = proof.siblings.iter().map(|node| Anchors::AnchorNode {
        hash: node.hash.0.into(),
        sectors: node.sectors,
    });
    let call = Anchors::verifyEntryCall {
        poster,
        root,
        place: proof.place,
        entry: Anchors::Entry {
            root: proof.entry.blob.root.0.into(),
            size: proof.entry.blob.shape.size(),
            payer: proof.entry.payer.into(),
            expiry: proof.entry.expiry,
        },
        siblings: siblings.collect(),
    };
    call.abi_encode().into()
}

/// Where the chain keeps what a poster settled under a root: the storage key that a proof of state
/// is about. `records` is the slot of the contract's mapping.
pub fn record_slot(poster: Address, root: B256) -> B256 {
    let contract =
        crate::storage::Contract::new(include_str!("../../contracts/artifacts/Anchors.json"));
    let (records, _) = contract.variable("_records");
    let key = alloy_primitives::keccak256([poster.into_word(), root].concat());
    crate::storage::mapped(key, records).into()
}

/// What a record slot says: number of the anchor, entries, sectors, and the block that settled it.
/// None if nothing was settled there.
pub fn record(slot: U256) -> Option<Record> {
    let bytes = slot.to_be_bytes::<32>();
    let part = |end: usize| u64::from_be_bytes(std::array::from_fn(|byte| bytes[end - 8 + byte]));
    // From the right: index 8, count 4, sectors 8, block 8 bytes.
    let count = u32::from_be_bytes(std::array::from_fn(|byte| bytes[20 + byte]));
    (count != 0).then(|| Record {
        index: part(32),
        count,
        sectors: part(20),
        block: part(12),
    })
}

/// What the chain stores of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Number among all anchors, from 0.
    pub index: u64,
    /// Entries.
    pub count: u32,
    /// Padded sectors of all of them.
    pub sectors: u64,
    /// Number of the block that settled it.
    pub block: u64,
}
