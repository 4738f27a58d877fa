//! Which bytes a request wants (RFC 9110, 13 and 14): headers and a size in, a range out. No IO.

use core::ops::Range;

use axum::http::{HeaderMap, Method, header};

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All: 200.
    Whole,
    /// A part, not empty, within the size: 206.
    Part(Range<u64>),
    /// Nothing, since the client has it: 304.
    Unchanged,
    /// Nothing, since there is no such part: 416.
    Unsatisfiable,
}

/// Reads the headers of a request for `size` bytes of this entity tag, quotes included.
#[must_use]
pub fn wanted(method: &Method, headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, etag)) {
        return Wanted::Unchanged;
    }
    // 14.2: a range means something with GET alone.
    let range = text(header::RANGE).filter(|_| method == Method::GET);
    // 13.1.5: strong comparison; blobs have no dates, so a date never matches.
    let condition = text(header::IF_RANGE).is_none_or(|tag| tag.trim() == etag);
    match range.filter(|_| condition) {
        Some(range) => part(range, size),
        None => Wanted::Whole,
    }
}

/// 13.1.2: weak comparison with any of a list.
fn matches(tags: &str, etag: &str) -> bool {
    let tags = tags.split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag == "*" || tag == etag)
}

/// 14.1.1 and 14.2: what is malformed, of another unit, or several ranges, is as if it were not there.
fn part(header: &str, size: u64) -> Wanted {
    let parsed = header.split_once('=').and_then(|(unit, spec)| {
        let ours = unit.trim().eq_ignore_ascii_case("bytes");
        let (first, last) = spec.trim().split_once('-').filter(|_| ours)?;
        Some((number(first)?, number(last)?))
    });
    let range = match parsed {
        Some((Some(first), None)) => first..size,
        Some((Some(first), Some(last))) if first <= last => first..last.saturating_add(1).min(size),
        Some((None, Some(length))) => size.saturating_sub(length)..size,
        _ => return Wanted::Whole,
    };
    match range.is_empty() {
        true => Wanted::Unsatisfiable,
        false => Wanted::Part(range),
    }
}

/// Digits only, or nothing at all; none if it is something else. What is too large for 64 bits is
/// larger than any blob.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.bytes().all(|digit| digit.is_ascii_digit());
    digits.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAG: &str = "\"0x12\"";

    fn headers(all: &[(header::HeaderName, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    /// The examples of RFC 9110, 14.1.2, and the corners around them, for 10,000 bytes.
    #[test]
    fn examples() {
        use Wanted::{Part, Unsatisfiable, Whole};
        for (text, want) in [
            ("bytes=0-499", Part(0..500)),
            ("bytes=500-999", Part(500..1000)),
            ("bytes=-500", Part(9500..10_000)),
            ("bytes=9500-", Part(9500..10_000)),
            ("Bytes=0-0", Part(0..1)),
            ("bytes=0-99999999999999999999999", Part(0..10_000)),
            ("bytes=-99999999999999999999999", Part(0..10_000)),
            ("bytes=10000-", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=20000-30000", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-2", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=-", Whole),
            ("bytes", Whole),
            ("items=0-1", Whole),
        ] {
            assert_eq!(part(text, 10_000), want, "{text}");
        }
    }

    /// Conditions: a tag that is known saves the bytes, another one lets no range through.
    #[test]
    fn conditions() {
        let ask = |method: Method, all: &[_]| wanted(&method, &headers(all), 10, TAG);
        let range = (header::RANGE, "bytes=2-3");
        assert_eq!(
            ask(Method::GET, std::slice::from_ref(&range)),
            Wanted::Part(2..4)
        );
        assert_eq!(
            ask(Method::HEAD, std::slice::from_ref(&range)),
            Wanted::Whole
        );
        let same = (header::IF_RANGE, TAG);
        assert_eq!(ask(Method::GET, &[range.clone(), same]), Wanted::Part(2..4));
        for other in ["W/\"0x12\"", "\"0x13\"", "Sun, 22 Nov 2026 22:00:00 GMT"] {
            let all = [range.clone(), (header::IF_RANGE, other)];
            assert_eq!(ask(Method::GET, &all), Wanted::Whole, "{other}");
        }
        for tags in [TAG, "*", "\"a\", W/\"0x12\""] {
            let all = [range.clone(), (header::IF_NONE_MATCH, tags)];
            assert_eq!(ask(Method::GET, &all), Wanted::Unchanged, "{tags}");
        }
        assert_eq!(
            ask(Method::GET, &[(header::IF_NONE_MATCH, "0x12")]),
            Wanted::Whole
        );
    }

    proptest! {
        /// Whatever the text, a part is not empty and lies within the size.
        #[test]
        fn within(text in "(bytes=)?[0-9, -]{0,24}|[ -~]{0,40}", size: u64) {
            if let Wanted::Part(range) = part(&text, size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
