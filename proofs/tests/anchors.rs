//! Trees of the batch lane equal those that another program built by their definition, and nothing
//! but the truth can be proven of them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lode_proofs::anchor::{
    AnchorError, AnchorHead, AnchorNode, AnchorTree, ENTRIES_MAX, Entry, EntryProof,
};
use lode_proofs::keccak::keccak256;
use lode_proofs::{BlobId, Hash32};
use serde_json::Value;

/// Roots, sums, leaves and siblings of every listed tree, and every listed proof holds.
#[test]
fn trees_equal_the_vectors() {
    let vectors = read();
    let trees = vectors["trees"].as_array().unwrap();
    assert!(trees.len() > 5);
    for vector in trees {
        let count = u32::try_from(number(&vector["count"])).unwrap();
        let entries: Vec<Entry> = (0..count).map(generated).collect();
        let tree = AnchorTree::new(&entries).unwrap();
        let top = AnchorNode {
            hash: hash(&vector["root"]),
            sectors: number(&vector["sectors"]),
        };
        assert_eq!(tree.head(), AnchorHead { top, count });
        for listed in vector["proofs"].as_array().unwrap() {
            let place = u32::try_from(number(&listed["place"])).unwrap();
            let entry = entries[usize::try_from(place).unwrap()];
            assert_eq!(entry.blob.root, hash(&listed["root"]));
            assert_eq!(entry.blob.shape.size(), number(&listed["size"]));
            assert_eq!(entry.leaf().hash, hash(&listed["leaf"]));
            assert_eq!(entry.leaf().sectors, number(&listed["sectors"]));
            let siblings: Vec<AnchorNode> = listed["siblings"]
                .as_array()
                .unwrap()
                .iter()
                .map(node)
                .collect();
            assert_eq!(tree.siblings(place).unwrap(), siblings);
            let proof = EntryProof {
                entry,
                place,
                siblings,
            };
            proof.verify(tree.head()).unwrap();
            assert_eq!(EntryProof::decode(&proof.encode()).unwrap(), proof);
        }
    }
}

/// In all trees up to 40 entries, each entry is proven at its place and at no other, and with any
/// bit of its proof changed at none.
#[test]
fn only_the_truth_is_proven() {
    for count in 1..=40 {
        let entries: Vec<Entry> = (0..count).map(generated).collect();
        let tree = AnchorTree::new(&entries).unwrap();
        for place in 0..count {
            let entry = entries[usize::try_from(place).unwrap()];
            let siblings = tree.siblings(place).unwrap();
            for claimed in 0..=count {
                let proof = EntryProof {
                    entry,
                    place: claimed,
                    siblings: siblings.clone(),
                };
                assert_eq!(proof.verify(tree.head()).is_ok(), claimed == place);
            }
            if count == 7 {
                check_flips(
                    &EntryProof {
                        entry,
                        place,
                        siblings,
                    },
                    tree.head(),
                );
            }
        }
        assert!(tree.siblings(count).is_none());
    }
}

/// Any bit flipped in the bytes of a proof: it is not decoded, or not accepted.
fn check_flips(proof: &EntryProof, head: AnchorHead) {
    let bytes = proof.encode();
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let verdict = EntryProof::decode(&flipped).and_then(|proof| proof.verify(head));
        assert!(verdict.is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(EntryProof::decode(&bytes[..len]).is_err());
    }
}

/// A head with another sum or count proves nothing.
#[test]
fn the_sum_is_proven_too() {
    let entries: Vec<Entry> = (0..5).map(generated).collect();
    let tree = AnchorTree::new(&entries).unwrap();
    let proof = EntryProof {
        entry: entries[2],
        place: 2,
        siblings: tree.siblings(2).unwrap(),
    };
    let mut head = tree.head();
    head.top.sectors -= 1;
    assert_eq!(proof.verify(head), Err(AnchorError::Root));
    let head = AnchorHead {
        count: 4,
        ..tree.head()
    };
    let wrong = AnchorError::Siblings { got: 3, want: 2 };
    assert_eq!(proof.verify(head), Err(wrong));
}

/// Nothing, too much, and sums that overflow make no anchor.
#[test]
fn bounds_hold() {
    assert_eq!(
        AnchorTree::new(&[]).unwrap_err(),
        AnchorError::Count { got: 0 }
    );
    let many = vec![generated(1); ENTRIES_MAX + 1];
    let wrong = AnchorError::Count {
        got: ENTRIES_MAX + 1,
    };
    assert_eq!(AnchorTree::new(&many).unwrap_err(), wrong);
    let entry = generated(0);
    let node = AnchorNode {
        hash: Hash32([0; 32]),
        sectors: u64::MAX,
    };
    let head = AnchorHead {
        top: node,
        count: 2,
    };
    let proof = EntryProof {
        entry,
        place: 0,
        siblings: vec![node],
    };
    assert_eq!(proof.verify(head), Err(AnchorError::Sum));
}

/// The generator that the head of anchors.json describes.
fn generated(place: u32) -> Entry {
    let i = u64::from(place);
    let root = Hash32(keccak256(&place.to_be_bytes()));
    Entry {
        blob: BlobId::new(root, 1 + i * i * 7919 + i * 300).unwrap(),
        payer: [0x10 + u8::try_from(place % 16).unwrap(); 20],
        expiry: 1_800_000_000 + i,
    }
}

fn node(value: &Value) -> AnchorNode {
    AnchorNode {
        hash: hash(&value["hash"]),
        sectors: number(&value["sectors"]),
    }
}

fn read() -> Value {
    let path = format!("{}/vectors/anchors.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn hash(value: &Value) -> Hash32 {
    value.as_str().unwrap().parse().unwrap()
}
