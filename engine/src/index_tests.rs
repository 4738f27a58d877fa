//! The index against a plain map, and its memory.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn root(number: u32) -> Root {
    Root::from(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn place(number: u32) -> Place {
    Place {
        segment: number,
        at: number / 2,
    }
}

fn long(blob: u64, chunks: u64) -> Long {
    let parts = (0..u32::try_from(chunks).unwrap()).map(place).collect();
    Long {
        blob,
        size: chunks * manifest::CHUNK,
        manifest: place(9),
        parts,
    }
}

proptest! {
    /// Any order of puts, replacements and removals leaves what a plain map would hold.
    #[test]
    fn behaves_like_a_map(steps in prop::collection::vec((0_u8..4, 0_u32..40), 1..400)) {
        let mut index = Index::new([1, 2]);
        let mut model: BTreeMap<Root, (u64, Option<Long>)> = BTreeMap::new();
        for (turn, (step, number)) in (1_u64..).zip(steps) {
            let root = root(number);
            match step {
                0 | 1 => {
                    index.put_single(root, place(number), number + 1, number);
                    model.insert(root, (u64::from(number + 1), None));
                }
                2 => {
                    let long = long(turn, u64::from(number) + 2);
                    index.put_long(root, long.clone(), 0);
                    model.insert(root, (long.size, Some(long)));
                }
                _ => prop_assert_eq!(index.remove(&root).is_some(), model.remove(&root).is_some()),
            }
        }
        let mut walked = BTreeMap::new();
        for block in 0..index.blocks() {
            for (root, found) in index.block(block) {
                let parts = match found {
                    Found::Long { long, .. } => Some(long.clone()),
                    Found::Single { .. } => None,
                };
                walked.insert(root, (found.size(), parts));
            }
        }
        prop_assert_eq!(&walked, &model);
        let bytes: u64 = model.values().map(|(size, _)| size).sum();
        prop_assert_eq!(index.totals().bytes, bytes);
        prop_assert_eq!(index.totals().blobs, u64::try_from(model.len()).unwrap());
        for (root, (size, long)) in &model {
            prop_assert_eq!(index.get(root).map(|found| found.size()), Some(*size));
            if let Some(long) = long {
                prop_assert_eq!(index.long(long.blob), Some((*root, long)));
            }
        }
    }
}

/// Parts of a longer blob move one by one; a part that does not exist is refused.
#[test]
fn parts_move() {
    let mut index = Index::new([1, 2]);
    index.put_long(root(1), long(5, 3), 0);
    assert_eq!(index.set_part(5, Part::Chunk(2), place(7)), Some(place(2)));
    assert_eq!(index.set_part(5, Part::Chunk(3), place(7)), None);
    assert_eq!(index.set_part(5, Part::Group(0), place(7)), None);
    assert_eq!(index.set_manifest(6, place(7), 4), None);
    assert_eq!(index.set_manifest(5, place(8), 4), Some(place(9)));
    let (_, moved) = index.long(5).unwrap();
    assert_eq!((moved.chunk(2), moved.manifest), (place(7), place(8)));
    assert_eq!(index.get(&root(1)).map(|found| found.expiry()), Some(4));
}

/// A chunk costs at most 64 bytes of memory, at every count on the way to 300,000, as blobs of one
/// chunk and as parts of longer ones. Small counts are dominated by the fixed tables.
#[test]
fn memory_is_bounded() {
    let mut index = Index::new([3, 4]);
    for number in 0..300_000 {
        index.put_single(root(number), place(number), 1, 0);
        if number >= 50_000 && number % 1_000 == 0 {
            let each = index.memory() / u64::from(number + 1);
            assert!(each <= 64, "{each} bytes per blob at {number}");
        }
    }
    let mut index = Index::new([3, 4]);
    for blob in 0..2_000 {
        index.put_long(root(u32::try_from(blob).unwrap()), long(blob, 100), 0);
    }
    let each = index.memory() / index.totals().chunks;
    assert!(each <= 16, "{each} bytes per chunk of longer blobs");
}
