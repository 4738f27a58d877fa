//! `Range` and the other headers that carry meaning: any text gets an answer, and a range that
//! comes back is not empty and lies within the blob.

use lode_edge::{
    headers::{accepts_json, decode_offset, if_range, none_match},
    range::parse_range,
};

use super::Target;

/// Reads a size in 8 bytes, little-endian, then a header's text.
pub const TARGET: Target = Target {
    name: "http_headers",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    let Some((size, text)) = data.split_first_chunk() else {
        return;
    };
    let (size, Ok(text)) = (u64::from_le_bytes(*size), str::from_utf8(text)) else {
        return;
    };
    if let Ok(Some(range)) = parse_range(text, size) {
        assert!(range.start < range.end && range.end <= size);
    }
    if let Some(offset) = decode_offset(text) {
        assert_eq!(decode_offset(&offset.to_string()), Some(offset));
    }
    if if_range(text, "\"0x12\"") {
        assert!(
            none_match(text, "\"0x12\""),
            "the strong match is the stronger one"
        );
    }
    accepts_json(text);
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "bytes=0-499",
        "bytes=500-",
        "bytes=-500",
        "262144",
        "\"0x12\", W/\"0x13\"",
        "application/json",
    ];
    texts
        .map(|text| [&10_000_u64.to_le_bytes(), text.as_bytes()].concat())
        .to_vec()
}
