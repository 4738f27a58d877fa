//! Proofs of an anchor's entry, as bytes: what decodes has one encoding, and is true only of the
//! anchor that it came from.

use lode_proofs::{
    BlobId, Hash32,
    anchor::{AnchorTree, Entry, EntryProof},
    keccak::keccak256,
};

use super::Target;

/// Reads a proof.
pub const TARGET: Target = Target {
    name: "anchor_proof",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    let Ok(proof) = EntryProof::decode(data) else {
        return;
    };
    assert_eq!(proof.encode(), data, "one encoding each");
    let entries = entries();
    let head = AnchorTree::new(&entries).expect("a few entries").head();
    if proof.verify(head).is_ok() {
        let place = usize::try_from(proof.place).expect("it is in the anchor");
        assert_eq!(proof.entry, entries[place], "only the truth is proven");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let entries = entries();
    let tree = AnchorTree::new(&entries).expect("a few entries");
    let proofs = (0..).zip(entries).map(|(place, entry)| EntryProof {
        entry,
        place,
        siblings: tree.siblings(place).expect("it is in the anchor"),
    });
    proofs.map(|proof| proof.encode()).collect()
}

fn entries() -> Vec<Entry> {
    let entry = |place: u8| Entry {
        blob: BlobId::new(Hash32(keccak256(&[place])), 1 + 700 * u64::from(place))
            .expect("not empty"),
        payer: [place; 20],
        expiry: u64::from(place),
    };
    (0..5).map(entry).collect()
}
