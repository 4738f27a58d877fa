//! What holders keep of containers: pages, headers, outlines, lists, and what they say of places.

use lode_da_rows::{
    format::{
        index::{Entry, Index, Pointer},
        outline::{Outline, encode_rows},
        page::{self, Kind, Place},
        segment::SegmentHead,
    },
    fuzz,
};
use lode_proofs::{
    Hash32,
    da::{Head, Quorum, Shape, Statement},
};

use super::Target;

/// Reads all structures of a store of rows.
pub const TARGET: Target = Target {
    name: "da_rows",
    run: fuzz::decode,
    seeds,
    repair: Some(|bytes| super::page::repair(bytes)),
    cost: 1,
};

fn outline() -> Outline {
    let head = Head {
        row_root: Hash32([1; 32]),
        check_root: Hash32([2; 32]),
        namespace_root: Hash32([3; 32]),
        shape: Shape::new(1 << 20).expect("a length"),
        columns: 18,
    };
    let quorum = Quorum {
        chain_id: 4,
        epoch: 5,
        quorum: 6,
    };
    Outline {
        statement: Statement {
            quorum,
            head,
            expiry: 7,
        },
        rows: 30,
        table_len: 500,
        siblings: 100,
        segment: 8,
        segment_tag: 9,
        first: 10,
        sequence: 11,
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let head = SegmentHead {
        number: 1,
        tag: 2,
        until: 3,
        created: 4,
    };
    let entry = |first| Entry {
        container: Hash32([5; 32]),
        sequence: 6,
        expiry: 7,
        first,
        pages: 8,
    };
    let list = Index {
        segment: 1,
        entries: vec![entry(2), entry(10)],
    };
    let pointer = Pointer {
        segment: 1,
        first: 18,
        pages: 1,
    };
    let outline = outline();
    let place = Place {
        tag: 12,
        page: outline.first,
        kind: Kind::RecordHead,
    };
    vec![
        head.encode(),
        head.pages(),
        outline.encode().to_vec(),
        page::paginate(&outline.encode(), place),
        list.encode(),
        pointer.encode().to_vec(),
        encode_rows(&[0, 5, 3071]),
    ]
}
