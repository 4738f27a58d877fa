//! Sizes and spans as people write them, both ways.

use std::time::Duration;

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads `64MiB`, `5 GB`, `4096`.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = SIZES
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
        .unwrap_or((text, 1));
    plain(digits.trim())?.checked_mul(unit)
}

/// Reads `250ms`, `10s`, `5m`, `1h`, `14d`.
pub fn parse_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(digits) = text.strip_suffix("ms") {
        return plain(digits).map(Duration::from_millis);
    }
    let (digits, seconds) = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]
        .iter()
        .find_map(|(name, seconds)| Some((text.strip_suffix(name)?, *seconds)))?;
    plain(digits)?.checked_mul(seconds).map(Duration::from_secs)
}

fn plain(digits: &str) -> Option<u64> {
    let valid = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    valid.then(|| digits.parse().ok()).flatten()
}

/// `262,144 B` below a mebibyte, then `1.5 MiB`, `3.2 GiB`.
pub fn size(bytes: u64) -> String {
    if bytes < 1 << 20 {
        return format!("{} B", grouped(bytes));
    }
    let binary = SIZES.iter().find(|(_, unit)| bytes >= *unit);
    let (name, unit) = binary.copied().unwrap_or(("B", 1));
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `1,234 files`.
pub fn counted(number: usize, what: &str) -> String {
    let digits = grouped(u64::try_from(number).unwrap_or(u64::MAX));
    match number {
        1 => format!("{digits} {what}"),
        _ => format!("{digits} {what}s"),
    }
}

/// Megabytes (10^6) per second, rounded down.
pub fn rate(bytes: u64, span: Duration) -> u64 {
    let micros = span.as_micros().max(1);
    u64::try_from(u128::from(bytes) / micros).unwrap_or(u64::MAX)
}

/// `12 ms` or `3.4 s`.
pub fn span(span: Duration) -> String {
    let millis = span.as_millis();
    if millis < 1000 {
        return format!("{millis} ms");
    }
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

/// `until epoch 7` or `until deleted`.
pub fn until(expiry: Option<u32>) -> String {
    expiry.map_or("until deleted".to_owned(), |epoch| {
        format!("until epoch {epoch}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes and spans read as written, and nothing else is accepted.
    #[test]
    fn reading() {
        for (text, want) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("64MiB", Some(64 << 20)),
            ("5 GB", Some(5_000_000_000)),
            ("1TiB", Some(1 << 40)),
            ("7B", Some(7)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5GiB", None),
            ("64mib", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(parse_size(text), want, "{text}");
        }
        for (text, want) in [
            ("250ms", Some(Duration::from_millis(250))),
            ("10s", Some(Duration::from_secs(10))),
            ("5m", Some(Duration::from_secs(300))),
            ("1h", Some(Duration::from_secs(3600))),
            ("14d", Some(Duration::from_secs(14 * 86_400))),
            ("10", None),
            ("s", None),
            ("1.5s", None),
        ] {
            assert_eq!(parse_span(text), want, "{text}");
        }
    }

    /// Numbers are written so that they can be read at a glance.
    #[test]
    fn writing() {
        assert_eq!(size(1_048_575), "1,048,575 B");
        assert_eq!(size(1_048_576), "1.0 MiB");
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(counted(1000, "file"), "1,000 files");
        assert_eq!(rate(5_000_000, Duration::from_millis(500)), 10);
        assert_eq!(span(Duration::from_millis(3456)), "3.4 s");
        assert_eq!(span(Duration::from_micros(1999)), "1 ms");
    }
}
