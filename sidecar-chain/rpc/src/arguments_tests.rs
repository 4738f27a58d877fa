//! What is wrong with a parameter is told in geth's words.

use alloy_primitives::B256;
use jsonrpsee::types::Params;

use super::{Account, Arguments, Hash, Quantity, SlotText, quantity};
use crate::selector::Selector;

/// Each kind of parameter is read, and refused in the words that clients know.
#[test]
fn words_are_geths() {
    let refused = [
        ("", "empty hex string"),
        ("3", "hex string without 0x prefix"),
        ("0x", "hex string \"0x\""),
        ("0x01", "hex number with leading zero digits"),
        ("0xg", "invalid hex string"),
        ("0x10000000000000000", "hex number > 64 bits"),
    ];
    for (text, message) in refused {
        assert_eq!(quantity(text), Err(message.to_owned()), "{text}");
    }
    assert_eq!(quantity("0x0"), Ok(0));
    assert_eq!(quantity("0xffffffffffffffff"), Ok(u64::MAX));
}

/// Parameters come in order, may be left out at the end, and are counted.
#[test]
fn parameters_are_counted() {
    let hash = B256::repeat_byte(7);
    let text = format!(r#"["{hash}", "0x1", null, "0x2"]"#);
    let params = Params::new(Some(&text));
    let mut arguments = Arguments::new(&params).unwrap();
    assert_eq!(arguments.required::<Hash>().unwrap().0, hash);
    assert_eq!(arguments.required::<Quantity>().unwrap().0, 1);
    assert!(arguments.optional::<Quantity>().unwrap().is_none());
    let refused = arguments.end().unwrap_err().to_string();
    assert_eq!(refused, "too many arguments, want at most 3");
    assert_eq!(arguments.required::<Quantity>().unwrap().0, 2);
    arguments.end().unwrap();
    let missing = arguments.required::<Quantity>().unwrap_err().to_string();
    assert_eq!(missing, "missing value for required argument 4");
}

fn first<T: for<'text> serde::Deserialize<'text>>(text: &str) -> Result<T, String> {
    let text = format!("[{text}]");
    let params = Params::new(Some(&text));
    let mut arguments = Arguments::new(&params).map_err(|failure| failure.to_string())?;
    arguments.required().map_err(|failure| failure.to_string())
}

/// Hashes, addresses and blocks are refused in geth's words, however deep the text is.
#[test]
fn wrong_kinds_are_refused() {
    let refused = first::<Hash>(r#""1234""#).unwrap_err();
    let want = "invalid argument 0: json: cannot unmarshal hex string without 0x prefix into Go value of type common.Hash";
    assert_eq!(refused, want);
    let refused = first::<Account>(r#""0x12""#).unwrap_err();
    let want = "invalid argument 0: hex string has length 2, want 40 for common.Address";
    assert_eq!(refused, want);
    let deep = format!("{}{}", r#"{"blockNumber":"#.repeat(5000), "}".repeat(5000));
    assert!(first::<Selector>(&deep).is_err());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(first::<Selector>(&deep).is_err());
}

/// Blocks are named in five ways.
#[test]
fn blocks_are_named() {
    let hash = B256::repeat_byte(9);
    let cases = [
        (r#""latest""#.to_owned(), Selector::Latest),
        (r#""safe""#.to_owned(), Selector::Latest),
        (r#""finalized""#.to_owned(), Selector::Latest),
        (r#""earliest""#.to_owned(), Selector::Earliest),
        (r#""pending""#.to_owned(), Selector::Pending),
        (r#""0x10""#.to_owned(), Selector::Number(16)),
        (format!(r#""{hash}""#), Selector::Hash(hash)),
        (r#"{"blockNumber":"0x10"}"#.to_owned(), Selector::Number(16)),
        (
            format!(r#"{{"blockHash":"{hash}","requireCanonical":true}}"#),
            Selector::Hash(hash),
        ),
    ];
    for (text, want) in cases {
        assert_eq!(first::<Selector>(&text), Ok(want), "{text}");
    }
}

/// Slots may be short, and are at most 32 bytes.
#[test]
fn slots_are_padded() {
    let slot = |text: &str| SlotText(text.to_owned()).slot();
    assert_eq!(slot("0x1").unwrap(), B256::with_last_byte(1));
    let refused = slot("0xasdf").unwrap_err().to_string();
    assert_eq!(refused, "invalid hex in storage key: \"0xasdf\"");
}
