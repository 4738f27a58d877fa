//! Proofs of all blobs of a namespace, in small tables of every kind.

use super::*;

/// A table whose entries have these namespaces.
fn table(namespaces: &[u8]) -> Table {
    let entries = namespaces.iter().zip(1..).map(|(namespace, len)| Entry {
        namespace: Namespace([*namespace; 29]),
        offset: 0,
        len,
        root: Hash32([*namespace; 32]),
    });
    Table::of(entries.collect()).expect("it fits")
}

/// [D-22] In every table of up to six entries of odd namespaces, every namespace's entries are shown,
/// none for those that have none; and no proof is true with a part of it left out.
#[test]
fn everything_is_shown_and_nothing_less() {
    for pattern in 0..729u32 {
        let digits = (0..6).map(|place| pattern / 3u32.pow(place) % 3);
        let namespaces: Vec<u8> = digits
            .map(|digit| u8::try_from(2 * digit + 1).expect("small"))
            .collect();
        let count = 1 + usize::try_from(pattern).expect("small") % 6;
        let table = table(&namespaces[..count]);
        let tree = NamespaceTree::new(&table);
        for byte in 0..7 {
            let namespace = Namespace([byte; 29]);
            let proof = tree.prove(&table, namespace);
            let all = table
                .entries()
                .iter()
                .filter(|entry| entry.namespace == namespace);
            let all: Vec<Entry> = all.copied().collect();
            assert_eq!(proof.verify(tree.root(), namespace), Ok(&all[..]));
            assert_eq!(NamespaceProof::decode(&proof.encode()).as_ref(), Ok(&proof));
            // Every other run of entries proves the same or nothing.
            for first in 0..count {
                for end in first + 1..=count {
                    let other = tree.show(&table, first..end);
                    assert_eq!(other.entries(tree.root()), Ok(&table.entries()[first..end]));
                    if let Ok(shown) = other.verify(tree.root(), namespace) {
                        assert_eq!((shown, &other), (&all[..], &proof));
                    }
                }
            }
        }
    }
}

/// [D-22] Any flipped bit is refused.
#[test]
fn flips_are_refused() {
    let table = table(&[1, 1, 3, 3, 3, 5, 7]);
    let tree = NamespaceTree::new(&table);
    let namespace = Namespace([3; 29]);
    let bytes = tree.prove(&table, namespace).encode();
    for bit in 0..8 * bytes.len() {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let accepted = NamespaceProof::decode(&other)
            .is_ok_and(|proof| proof.verify(tree.root(), namespace).is_ok());
        assert!(!accepted, "bit {bit}");
    }
}

/// [D-22] Numbers that no table has are refused before memory is taken.
#[test]
fn places_are_bounded() {
    let head =
        |count: u32, first: u32, shown: u32| [count, first, shown].map(u32::to_be_bytes).concat();
    for bytes in [
        head(0, 0, 0),
        head(4097, 0, 0),
        head(4, 4, 0),
        head(4, 0, 0),
    ] {
        assert_eq!(NamespaceProof::decode(&bytes), Err(DecodeError::Places));
    }
    let long = NamespaceProof::decode(&head(4, 0, u32::MAX));
    assert!(
        matches!(long, Err(DecodeError::Length { got: 12, .. })),
        "{long:?}"
    );
}
