//! What stands below the anchor's record, and what of it does not hold. The steps above it are shown
//! with a real chain by the journeys.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use alloy_primitives::U256;
use lode_proofs::{
    CHUNK_LEN, ChunkProof,
    anchor::{AnchorTree, Entry},
    blob_tree, fold_roots,
};

use super::*;
use crate::noise::noise;

const POSTER: Address = Address::repeat_byte(5);

fn blob(seed: u64) -> (BlobId, Vec<u8>) {
    let bytes = noise(seed, 1000);
    let tree = blob_tree(&bytes).unwrap();
    let blob = BlobId {
        root: tree.root(),
        shape: tree.shape(),
    };
    (blob, bytes)
}

fn proof_file(blob: BlobId, bytes: &[u8]) -> Bytes {
    let proof = ChunkProof::build(blob.shape, 0, |_| fold_roots(&[blob.root]).unwrap()).unwrap();
    assert!(bytes.len() <= CHUNK_LEN);
    ProofFile::new(proof, Some(bytes)).unwrap().encode().into()
}

/// Evidence whose certificate and state are empty: what is below the record is whole.
fn world(place: u32) -> (Evidence, BlobId, Vec<u8>) {
    let entry = |seed| Entry {
        blob: blob(seed).0,
        payer: POSTER.into(),
        expiry: 0,
    };
    let entries: Vec<Entry> = (0..3).map(entry).collect();
    let tree = AnchorTree::new(&entries).unwrap();
    let head = tree.head();
    let (blob, bytes) = blob(u64::from(place));
    let root = B256::from(head.top.hash.0);
    let below = Below {
        poster: POSTER,
        root,
        entry: EntryProof {
            entry: entries[usize::try_from(place).unwrap()],
            place,
            siblings: tree.siblings(place).unwrap(),
        },
        chunk: Bytes::new(),
    };
    let mut value = [0; 32];
    value[12..20].copy_from_slice(&head.top.sectors.to_be_bytes());
    value[20..24].copy_from_slice(&head.count.to_be_bytes());
    let fact = SlotProof {
        address: ANCHORS,
        account: TrieAccount::default(),
        account_nodes: Vec::new(),
        slot: anchors::record_slot(POSTER, root),
        value: U256::from_be_bytes(value),
        slot_nodes: Vec::new(),
    };
    let finality = Finality::decode(&[0; 152]).unwrap();
    let header = HeaderProof {
        header: Bytes::new(),
        finality,
    };
    let evidence = Evidence {
        header,
        fact: Fact::Slot(fact),
        rest: below.encode().into(),
    };
    (evidence, blob, bytes)
}

/// What somebody changes.
type Change = dyn Fn(&mut Below, &mut SlotProof);

fn step(result: Result<Vec<u8>, Broken>) -> Step {
    result.unwrap_err().step
}

/// Each place of an anchor: what was encoded is read back, and no shorter bytes are.
#[test]
fn there_and_back() {
    for place in 0..3 {
        let (evidence, blob, bytes) = world(place);
        let chunk = proof_file(blob, &bytes);
        let whole = with_chunk(&evidence.encode(), &chunk).unwrap();
        let rest = Evidence::decode(&whole).unwrap().rest;
        let below = Below::decode(&rest).unwrap();
        assert_eq!((below.chunk.clone(), below.entry.place), (chunk, place));
        assert_eq!(below.encode(), rest);
        assert_eq!(below.check_chunk().unwrap(), Some((0, true)));
        let least = rest.len() - below.chunk.len();
        for len in 0..least {
            assert_eq!(Below::decode(&rest[..len]).unwrap_err().step, Step::File);
        }
    }
}

/// A chunk of another blob, a record of another anchor, poster or contract, and a record that
/// counts otherwise are each named.
#[test]
fn what_does_not_hold() {
    let (evidence, right, bytes) = world(1);
    let chunk = proof_file(right, &bytes);
    let (other, other_bytes) = blob(9);
    let foreign = proof_file(other, &other_bytes);
    assert_eq!(step(with_chunk(&evidence.encode(), &foreign)), Step::Chunk);
    assert_eq!(step(with_chunk(&evidence.encode(), b"noise")), Step::Chunk);
    let with = |change: &Change| {
        let mut changed = evidence.clone();
        let mut below = Below::decode(&changed.rest).unwrap();
        if let Fact::Slot(fact) = &mut changed.fact {
            change(&mut below, fact);
        }
        changed.rest = below.encode().into();
        with_chunk(&changed.encode(), &chunk)
    };
    assert!(with(&|_, _| ()).is_ok());
    let anchor: [&Change; 5] = [
        &|below, _| below.poster = Address::ZERO,
        &|below, _| below.root = B256::ZERO,
        &|_, fact| fact.address = Address::ZERO,
        &|_, fact| fact.slot = B256::ZERO,
        &|_, fact| fact.value = U256::ZERO,
    ];
    for change in anchor {
        assert_eq!(step(with(change)), Step::Anchor);
    }
    let entry: [&Change; 4] = [
        &|below, _| below.entry.place = 0,
        &|below, _| below.entry.entry.expiry = 7,
        &|below, _| below.entry.siblings.clear(),
        // One sector more than was paid for.
        &|_, fact| fact.value += U256::from(1) << 96,
    ];
    for change in entry {
        assert_eq!(step(with(change)), Step::Blob);
    }
}
