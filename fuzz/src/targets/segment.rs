//! Segment headers: what decodes is found again in its own encoding.

use lode_engine::format::segment::SegmentHead;

use super::{Target, page};

/// Reads the header pages of a segment.
pub const TARGET: Target = Target {
    name: "segment",
    run,
    seeds,
    repair: Some(|bytes| page::repair(bytes)),
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Some(head) = SegmentHead::decode(data) {
        assert_eq!(SegmentHead::decode(&head.encode()), Some(head));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let head = SegmentHead {
        shard: 1,
        segment: 2,
        tag: 3,
        bucket: 4,
        file_len: 256 << 20,
        created: 1_700_000_000,
        store: [5; 16],
    };
    vec![head.encode()]
}
