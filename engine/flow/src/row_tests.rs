//! Rows come back as they were, byte for byte as drawn, and damage is an error.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::submission::TAGS_LEN_MAX;

fn row(tags: Vec<u8>) -> Row {
    let node = |root, height| SubmissionNode {
        root: Hash32([root; 32]),
        height,
    };
    Row {
        submission: Submission {
            seq: 9,
            root: Hash32([1; 32]),
            size: 0x0102,
            start: 0x0304,
            nodes: vec![node(7, 2), node(8, 0)],
            submitter: [4; 20],
            sender: [5; 20],
            tags: Tags::new(tags),
            block: 0x0506,
            transaction: [2; 32],
        },
        flow_root: Hash32([3; 32]),
    }
}

/// The bytes of one row are those that the drawing says.
#[test]
fn pinned() {
    let mut bytes = vec![1, 2, 0, 0, 0, 0, 0, 0];
    for number in [[2, 1], [4, 3], [6, 5]] {
        bytes.extend(number);
        bytes.extend([0; 6]);
    }
    for (byte, len) in [(1, 32), (2, 32), (3, 32), (4, 20), (5, 20)] {
        bytes.extend(vec![byte; len]);
    }
    bytes.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([[7; 32], [8; 32]].concat());
    bytes.extend(b"tags");
    assert_eq!(row(b"tags".to_vec()).encode(), bytes);
}

/// Any tags come back, those that are too long as what is kept of them; a row cut anywhere before
/// its tags is an error.
#[test]
fn there_and_back() {
    for len in [0, 1, TAGS_LEN_MAX, TAGS_LEN_MAX + 1, 1 << 20] {
        let row = row(vec![6; len]);
        let kept = row.submission.tags.bytes().map(<[u8]>::len);
        assert_eq!(kept, (len <= TAGS_LEN_MAX).then_some(len));
        let bytes = row.encode();
        assert!(bytes.len() <= HEAD_LEN + 64 + TAGS_LEN_MAX);
        assert_eq!(Row::decode(9, &bytes).unwrap(), row);
        for cut in 0..HEAD_LEN + 64 {
            assert!(Row::decode(9, &bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
    let other = Tags::new(vec![7; TAGS_LEN_MAX + 1]);
    assert_ne!(other, Tags::new(vec![6; TAGS_LEN_MAX + 1]));
}

/// Other versions and forms are errors.
#[test]
fn others_are_refused() {
    for (at, byte) in [(0, 2), (1, 5), (1, 255), (2, 2)] {
        let mut bytes = row(Vec::new()).encode();
        bytes[at] = byte;
        assert!(Row::decode(9, &bytes).is_err(), "byte {at} = {byte}");
    }
}
