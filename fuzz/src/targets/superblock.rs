//! Superblocks: what decodes is found again in its own encoding, whichever copy it was.

use lode_engine::format::superblock::{COPIES, Calibration, Superblock};

use super::{Target, page};

/// Reads the file of all copies.
pub const TARGET: Target = Target {
    name: "superblock",
    run,
    seeds,
    repair: Some(|bytes| page::repair(bytes)),
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(superblock) = Superblock::decode(data) {
        assert_eq!(Superblock::decode(&superblock.encode(0)), Ok(superblock));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let superblock = Superblock {
        shards: 2,
        generation: 3,
        segment_len: 256 << 20,
        store: [4; 16],
        created: 1_700_000_000,
        epoch: 5,
        disk: Calibration::default(),
    };
    vec![
        (0..COPIES)
            .flat_map(|copy| superblock.encode(copy))
            .collect(),
    ]
}
