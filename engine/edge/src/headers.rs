//! Request headers that carry meaning for us: entity tags, offsets, wishes. Text in, values out.

use hyper::header::HeaderName;
use lode_engine::Root;

/// First epoch in which a blob or an upload may be gone; not sent if it stays until it is deleted.
pub const EXPIRY: HeaderName = HeaderName::from_static("lode-expiry");

/// The strong entity tag of a blob: its root in quotes. Same root, same bytes, for ever.
pub fn etag(root: Root) -> String {
    format!("\"{root}\"")
}

/// Whether an `If-None-Match` header names this tag (RFC 9110 §13.1.2: weak comparison).
pub fn none_match(header: &str, etag: &str) -> bool {
    let tags = header.split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag == "*" || tag == etag)
}

/// Whether an `If-Range` header lets a range through (RFC 9110 §13.1.5: strong comparison; a date
/// never matches, because blobs have none).
pub fn if_range(header: &str, etag: &str) -> bool {
    header.trim() == etag
}

/// Reads `Upload-Offset`: digits only.
pub fn decode_offset(header: &str) -> Option<u64> {
    let text = header.trim();
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Whether an `Accept` header asks for JSON by name.
pub fn accepts_json(header: &str) -> bool {
    let kinds = header.split(',').filter_map(|part| part.split(';').next());
    kinds
        .map(str::trim)
        .any(|kind| kind.eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAG: &str = "\"0x12\"";

    /// Lists, weak tags and the star match; other tags and unquoted text do not.
    #[test]
    fn if_none_match() {
        for yes in [TAG, "*", "\"a\", \"0x12\"", "W/\"0x12\"", " \"0x12\" "] {
            assert!(none_match(yes, TAG), "{yes}");
        }
        for no in ["", "0x12", "\"0x13\"", "\"0x12", "W/0x12"] {
            assert!(!none_match(no, TAG), "{no}");
        }
    }

    /// Only the same strong tag lets a range through.
    #[test]
    fn range_condition() {
        assert!(if_range(TAG, TAG));
        for no in [
            "W/\"0x12\"",
            "\"0x13\"",
            "Sun, 22 Nov 2026 22:00:00 GMT",
            "*",
            "",
        ] {
            assert!(!if_range(no, TAG), "{no}");
        }
    }

    /// Offsets are plain digits below 2^64.
    #[test]
    fn offsets() {
        assert_eq!(decode_offset("0"), Some(0));
        assert_eq!(decode_offset(" 262144 "), Some(262_144));
        assert_eq!(decode_offset("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "-1", "+1", "0x10", "1.5", "18446744073709551616"] {
            assert_eq!(decode_offset(bad), None, "{bad}");
        }
    }

    /// JSON counts only when it is named.
    #[test]
    fn accept() {
        assert!(accepts_json("application/json"));
        assert!(accepts_json("text/html, Application/JSON;q=0.9"));
        for no in [
            "",
            "*/*",
            "application/octet-stream",
            "application/json-seq",
        ] {
            assert!(!accepts_json(no), "{no}");
        }
    }

    proptest! {
        /// Any text gets an answer, and an offset that is read is the one that was written.
        #[test]
        fn any_text(header in "[ -~]{0,60}", offset in any::<u64>()) {
            let _ = none_match(&header, TAG);
            let _ = if_range(&header, TAG);
            let _ = accepts_json(&header);
            prop_assert_eq!(decode_offset(&offset.to_string()), Some(offset));
        }
    }
}
