//! Checkpoints: items that decode encode to the same bytes, in one piece or many, and a last item
//! vouches for all before it.

use lode_engine::format::checkpoint::{Decoder, Encoder, Item};

use super::Target;

/// Reads a stream of items.
pub const TARGET: Target = Target {
    name: "checkpoint",
    run,
    seeds,
    repair: Some(|bytes| repair(bytes)),
    cost: 1,
};

/// Bytes of the last item: kind, number of items, checksum.
const END_LEN: usize = 41;

/// See the file's head.
pub fn run(data: &[u8]) {
    let whole = items(data, data.len().max(1));
    assert_eq!(items(data, 7), whole, "pieces do not matter");
    if let Some(items) = whole {
        let mut encoder = Encoder::default();
        for item in items
            .iter()
            .filter(|item| !matches!(item, Item::End { .. }))
        {
            encoder.push(item);
        }
        encoder.end();
        assert!(
            data.starts_with(&encoder.take(usize::MAX)),
            "one encoding each"
        );
    }
}

/// All items up to the last; none if anything is wrong.
fn items(data: &[u8], piece_len: usize) -> Option<Vec<Item>> {
    let mut decoder = Decoder::default();
    let mut items = Vec::new();
    for piece in data.chunks(piece_len) {
        decoder.feed(piece);
        while let Some(item) = decoder.next_item().ok()? {
            items.push(item);
        }
    }
    decoder.finish().ok()?;
    Some(items)
}

fn seeds() -> Vec<Vec<u8>> {
    // One item of each kind: kind, then as many bytes as the kind has; two places; the end last.
    let item = |kind: u8, len: usize| [vec![kind], vec![1; len - 1]].concat();
    let places = [vec![5, 2, 0], vec![1; 16]].concat();
    let chunks = [vec![9], vec![1; 8], vec![2, 0], vec![1; 16]].concat();
    let parts = [
        item(1, 27),
        item(2, 45),
        item(3, 49),
        item(4, 61),
        places,
        item(7, 9),
        item(8, 61),
        chunks,
        item(10, 21),
        item(11, 49),
        item(12, 57),
        item(6, END_LEN),
    ];
    let mut full = parts.concat();
    repair(&mut full);
    vec![full, item(6, END_LEN)]
}

/// Sets the last item to what the items before it are.
fn repair(bytes: &mut [u8]) {
    let (mut at, mut items) = (0_u64, 0_u64);
    while let Some(rest) = usize::try_from(at).ok().and_then(|at| bytes.get(at..)) {
        let len = match rest {
            [1, ..] => 27,
            [2, ..] => 45,
            [3, ..] => 49,
            [4, ..] => 61,
            [5, low, high, ..] => 3 + 8 * u64::from(u16::from_le_bytes([*low, *high])),
            [6, ..] if rest.len() >= END_LEN => break,
            [7, ..] => 9,
            [8, ..] => 61,
            [9, _, _, _, _, _, _, _, _, low, high, ..] => {
                11 + 8 * u64::from(u16::from_le_bytes([*low, *high]))
            }
            [10, ..] => 21,
            [11, ..] => 49,
            [12, ..] => 57,
            _ => return,
        };
        at += len;
        items += 1;
    }
    let Some((before, end)) = usize::try_from(at)
        .ok()
        .and_then(|at| bytes.split_at_mut_checked(at))
    else {
        return;
    };
    if end.len() >= END_LEN {
        end[1..9].copy_from_slice(&items.to_le_bytes());
        end[9..END_LEN].copy_from_slice(blake3::hash(before).as_bytes());
    }
}
