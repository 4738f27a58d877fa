//! Record headers: what decodes is within its bounds, and encodes to the same bytes.

use lode_engine::{
    Root,
    format::record::{HEADER, Header, Kind, PAYLOAD_MAX},
};

use super::Target;

/// Reads a record header.
pub const TARGET: Target = Target {
    name: "record",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(header) = Header::decode(data) {
        assert!(header.payload_len() <= PAYLOAD_MAX);
        assert_eq!(header.encode(), data[..HEADER], "one encoding each");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    headers()
        .iter()
        .map(|header| header.encode().to_vec())
        .collect()
}

/// A header of each kind, in sequence.
pub(super) fn headers() -> Vec<Header> {
    let of = |kind, len, sequence, detail| Header {
        kind,
        flags: 0,
        len,
        sequence,
        blob: 7,
        detail,
        expiry: 9,
        root: Root::from([3; 32]),
        check: [0; 32],
    };
    vec![
        of(Kind::Single, 1000, 1, 0),
        of(Kind::Chunk, 262_144, 2, 5),
        of(Kind::Group, 32 * 1024, 3, 1),
        of(Kind::Manifest, 64, 4, 400_000),
        of(Kind::Open, 0, 5, 400_000),
        of(Kind::Delete, 0, 6, 0),
        of(Kind::Abandon, 0, 7, 0),
    ]
}
