//! Frame heads: what decodes encodes to the same bytes.

use lode_engine::format::frame::{FrameHead, HEAD};

use super::Target;

/// Reads a frame head.
pub const TARGET: Target = Target {
    name: "frame",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Some(head) = FrameHead::decode(data) {
        assert_eq!(head.encode(), data[..HEAD], "one encoding each");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let first = FrameHead {
        number: 0,
        segment: 1,
        committed: 0,
        sequence: 1,
        chain: 0,
    };
    let later = FrameHead {
        number: 9,
        segment: 4,
        committed: 7,
        sequence: 900,
        chain: 5,
    };
    vec![first.encode().to_vec(), later.encode().to_vec()]
}
