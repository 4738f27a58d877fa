//! Which streams a submission touches, by its tags.

use lode_proofs::Hash32;

use super::StreamId;

/// What tags of streams begin with: SHA-256 of `STREAM`.
pub const DOMAIN: Hash32 = Hash32([
    0xdf, 0x2f, 0xf3, 0xbb, 0x0a, 0xf3, 0x6c, 0x63, 0x84, 0xe6, 0x20, 0x65, 0x52, 0xa4, 0xed, 0x80,
    0x7f, 0x6f, 0x6a, 0x26, 0xe7, 0xd0, 0xaa, 0x6b, 0xff, 0x77, 0x2d, 0xdc, 0x9d, 0x43, 0x07, 0xaa,
]);

/// The streams that tags name, in their order and as often as they name them. None where the tags are
/// of another kind, or no whole names.
pub fn streams(tags: &[u8]) -> Vec<StreamId> {
    let (words, rest) = tags.as_chunks::<32>();
    match words.split_first() {
        Some((domain, names)) if rest.is_empty() && *domain == DOMAIN.0 => {
            names.iter().map(|name| StreamId(Hash32(*name))).collect()
        }
        _ => Vec::new(),
    }
}

/// The tags that name streams.
pub fn of(streams: impl IntoIterator<Item = StreamId>) -> Vec<u8> {
    let mut tags = DOMAIN.0.to_vec();
    for stream in streams {
        tags.extend_from_slice(stream.0.as_bytes());
    }
    tags
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The constant is what it is said to be.
    #[test]
    fn domain_is_the_hash_of_its_word() {
        assert_eq!(DOMAIN.0[..], Sha256::digest(b"STREAM")[..]);
    }

    /// Names come out as they went in; other tags name nothing.
    #[test]
    fn names_come_back() {
        let names = [3, 1, 3].map(|byte| StreamId(Hash32([byte; 32])));
        let tags = of(names);
        assert_eq!(streams(&tags), names);
        assert_eq!(streams(&of([])), []);
        for wrong in [&tags[1..], &tags[..tags.len() - 1], &tags[32..], &[]] {
            assert_eq!(streams(wrong), []);
        }
    }
}
