//! Footers and the pointers to them: what decodes is in order, and encodes to the same bytes.

use lode_engine::format::footer::{Entry, Footer, Pointer};

use super::{Target, record};

/// Reads a footer and a pointer.
pub const TARGET: Target = Target {
    name: "footer",
    run,
    seeds,
    repair: Some(|bytes| repair(bytes)),
    cost: 1,
};

/// Bytes of the checksum at the end.
const CHECK_LEN: usize = 32;

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(footer) = Footer::decode(data) {
        assert!(data.starts_with(&footer.encode()), "one encoding each");
        let mut end = 0;
        for entry in &footer.entries {
            assert!(entry.at >= end, "records do not overlap");
            end = entry.at + entry.header.total_len();
        }
        assert!(end <= footer.end, "records end before the segment does");
    }
    if let Ok(pointer) = Pointer::decode(data) {
        assert!(data.starts_with(&pointer.encode()), "one encoding each");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut at = 0;
    let mut entries = Vec::new();
    for header in record::headers() {
        entries.push(Entry { header, at });
        at += header.total_len();
    }
    let full = Footer {
        segment: 3,
        end: at,
        entries,
    };
    // At the end of the numbers, where adding a length overflows.
    let far = Entry {
        header: record::headers()[0],
        at: u64::MAX - 10,
    };
    let far = Footer {
        segment: 5,
        end: u64::MAX,
        entries: vec![far],
    };
    let empty = Footer {
        segment: 4,
        end: 0,
        entries: vec![],
    };
    let pointer = Pointer {
        segment: 3,
        first: 100,
        pages: 2,
    };
    vec![
        full.encode(),
        far.encode(),
        empty.encode(),
        pointer.encode().to_vec(),
    ]
}

/// Recomputes the checksum at the end.
fn repair(bytes: &mut [u8]) {
    if let Some(len) = bytes.len().checked_sub(CHECK_LEN) {
        let check = blake3::hash(&bytes[..len]);
        bytes[len..].copy_from_slice(check.as_bytes());
    }
}
