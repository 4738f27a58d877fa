//! Pages: what opens is stamped to the same bytes; a run of pages joins to no more than it holds.

use lode_engine::format::page::{self, Kind, PAGE, PAYLOAD};

use super::Target;

/// Reads pages, alone and as a run.
pub const TARGET: Target = Target {
    name: "page",
    run,
    seeds,
    repair: Some(|bytes| repair(bytes)),
    cost: 1,
};

const TAG: u64 = 77;

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(place) = page::open(data) {
        let mut again = data.to_vec();
        page::stamp(&mut again, place);
        assert_eq!(again, data, "one stamp for each place");
    }
    if let Ok(bytes) = page::join(data, TAG, 0, Kind::Footer) {
        assert!(bytes.len() <= data.len().div_ceil(PAGE) * PAYLOAD);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let run = |len| page::paginate(&vec![9; len], TAG, 0, Kind::Footer);
    vec![run(100), run(PAYLOAD + 1), run(3 * PAYLOAD)]
}

/// Recomputes the checksum of every whole page.
pub(super) fn repair(bytes: &mut [u8]) {
    for page in bytes.chunks_exact_mut(PAGE) {
        let (content, check) = page.split_at_mut(PAGE - 4);
        check.copy_from_slice(&crc32c::crc32c(content).to_le_bytes());
    }
}
