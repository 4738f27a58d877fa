//! The `Range` header (RFC 9110 §14): text and a size in, a byte range out. No IO.

use core::ops::Range;

/// The range begins after the last byte: answer 416.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsatisfiable;

/// Reads a `Range` header for a blob of `size` bytes. The answer is end exclusive and lies within
/// the blob; none means "send everything", which RFC 9110 §14.2 asks for when the header is
/// malformed, names another unit, or (as a server may choose) asks for several ranges.
pub fn parse_range(header: &str, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
    let Some((unit, spec)) = header.split_once('=') else {
        return Ok(None);
    };
    let (unit, spec) = (unit.trim(), spec.trim());
    if !unit.eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return Ok(None);
    }
    let Some((first, last)) = spec.split_once('-') else {
        return Ok(None);
    };
    match (decimal(first), decimal(last)) {
        (Number::None, Number::Is(length)) => suffix(length, size),
        (Number::Is(first), Number::None) => within(first, u64::MAX, size),
        (Number::Is(first), Number::Is(last)) if first <= last => within(first, last, size),
        _ => Ok(None),
    }
}

/// The last `length` bytes.
fn suffix(length: u64, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
    if length == 0 || size == 0 {
        return Err(Unsatisfiable);
    }
    Ok(Some(size.saturating_sub(length)..size))
}

/// Bytes `first..=last`, cut at the end of the blob.
fn within(first: u64, last: u64, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
    if first >= size {
        return Err(Unsatisfiable);
    }
    Ok(Some(first..last.saturating_add(1).min(size)))
}

/// One side of the dash.
enum Number {
    None,
    Is(u64),
    Bad,
}

/// Digits only. A number above 2^64 is larger than any blob and stands as `u64::MAX`.
fn decimal(text: &str) -> Number {
    if text.is_empty() {
        return Number::None;
    }
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Number::Bad;
    }
    Number::Is(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The examples of RFC 9110 §14.1.2 and the corners around them, for 10,000 bytes.
    #[test]
    fn examples() {
        for (header, want) in [
            ("bytes=0-499", Ok(Some(0..500))),
            ("bytes=500-999", Ok(Some(500..1000))),
            ("bytes=-500", Ok(Some(9500..10000))),
            ("bytes=9500-", Ok(Some(9500..10000))),
            ("bytes=0-0", Ok(Some(0..1))),
            ("bytes=-1", Ok(Some(9999..10000))),
            ("Bytes = 0-0", Ok(Some(0..1))),
            ("bytes=0-99999999999999999999999", Ok(Some(0..10000))),
            ("bytes=-99999999999999999999999", Ok(Some(0..10000))),
            ("bytes=9999-", Ok(Some(9999..10000))),
            ("bytes=10000-", Err(Unsatisfiable)),
            ("bytes=99999999999999999999999-", Err(Unsatisfiable)),
            ("bytes=-0", Err(Unsatisfiable)),
            ("bytes=5-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=a-b", Ok(None)),
            ("bytes=+1-2", Ok(None)),
            ("bytes=-", Ok(None)),
            ("bytes=", Ok(None)),
            ("bytes", Ok(None)),
            ("items=0-1", Ok(None)),
            ("", Ok(None)),
        ] {
            assert_eq!(parse_range(header, 10_000), want, "{header}");
        }
    }

    proptest! {
        /// Whatever the text, a range that comes back is not empty and lies within the blob.
        #[test]
        fn within_the_blob(header in "(bytes=)?[0-9, -]{0,24}|[ -~]{0,40}", size in any::<u64>()) {
            if let Ok(Some(range)) = parse_range(&header, size) {
                prop_assert!(range.start < range.end);
                prop_assert!(range.end <= size);
            }
        }

        /// First and last byte are taken as they stand when both lie within the blob.
        #[test]
        fn exact(first in 0u64..1000, more in 0u64..1000, beyond in 0u64..1000) {
            let (last, size) = (first + more, first + more + 1 + beyond);
            prop_assert_eq!(
                parse_range(&format!("bytes={first}-{last}"), size),
                Ok(Some(first..last + 1))
            );
            prop_assert_eq!(
                parse_range(&format!("bytes=-{}", more + 1), size),
                Ok(Some(size - more - 1..size))
            );
        }
    }
}
