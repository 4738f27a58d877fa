//! `Range: bytes=…` (RFC 9110, 14.2), of which one range is served.

use core::ops::Range;

/// What a client wants of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: it did not say, or in a form that a server may ignore.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// What is not there.
    Nothing,
}

/// Reads the header's value, for a blob of so many bytes.
#[must_use]
pub fn wanted(value: Option<&str>, len: u64) -> Wanted {
    match value.and_then(ends) {
        None => Wanted::All,
        Some((Some(first), last)) => {
            let end = last.map_or(len, |last| last.saturating_add(1).min(len));
            if first < end {
                Wanted::Part(first..end)
            } else {
                Wanted::Nothing
            }
        }
        Some((None, Some(count))) if count > 0 && len > 0 => {
            Wanted::Part(len.saturating_sub(count)..len)
        }
        Some((None, _)) => Wanted::Nothing,
    }
}

/// First and last byte, or none and how many from the end. None at all if it is no such range, or more
/// than one.
fn ends(value: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| -> Option<Option<u64>> {
        match text {
            "" => Some(None),
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                // What does not fit is behind any blob's end.
                Some(Some(text.parse().unwrap_or(u64::MAX)))
            }
            _ => None,
        }
    };
    match (number(first)?, number(last)?) {
        (None, None) => None,
        (Some(first), Some(last)) if first > last => None,
        ends => Some(ends),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is asked for, what is served lies within the blob and is not empty.
        #[test]
        fn within(value in "(bytes=)?[0-9 ,a-]{0,12}", len in 0_u64..1000) {
            if let Wanted::Part(range) = wanted(Some(&value), len) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }
    }

    /// The forms of RFC 9110.
    #[test]
    fn forms() {
        let of = |value: &str| wanted(Some(value), 10);
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!(of("bytes=0-0"), Wanted::Part(0..1));
        assert_eq!(of("bytes=3-"), Wanted::Part(3..10));
        assert_eq!(of("bytes=3-99"), Wanted::Part(3..10));
        assert_eq!(of("bytes=-3"), Wanted::Part(7..10));
        assert_eq!(of("bytes=-30"), Wanted::Part(0..10));
        for nothing in [
            "bytes=10-",
            "bytes=10-11",
            "bytes=-0",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(of(nothing), Wanted::Nothing, "{nothing}");
        }
        for all in [
            "bytes=3-2",
            "bytes=-",
            "bytes=1-2,4-5",
            "rows=1-2",
            "bytes=+1-2",
            "",
            "bytes",
        ] {
            assert_eq!(of(all), Wanted::All, "{all}");
        }
    }
}
