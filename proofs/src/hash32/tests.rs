//! The text form of a hash, both ways.

use std::string::ToString as _;

use super::*;

const TEXT: &str = "0x00ff102030405060708090a0b0c0d0e0f0123456789abcdef0123456789abcde";

/// Text comes back as it went in; the prefix may be missing and digits may be
/// capitals.
#[test]
fn text_round_trip() {
    let hash: Hash32 = TEXT.parse().unwrap();
    assert_eq!(hash.0[..4], [0x00, 0xff, 0x10, 0x20]);
    assert_eq!(hash.0[31], 0xde);
    assert_eq!(hash.to_string(), TEXT);
    assert_eq!(std::format!("{hash:?}"), TEXT);
    assert_eq!(TEXT[2..].parse(), Ok(hash));
    assert_eq!(TEXT[2..].to_uppercase().parse(), Ok(hash));
}

/// Wrong lengths and wrong digits are told apart, with the place.
#[test]
fn bad_text_is_refused() {
    assert_eq!(Hash32::from_str(""), Err(HashTextError::Length { got: 0 }));
    assert_eq!(
        Hash32::from_str(&TEXT[..65]),
        Err(HashTextError::Length { got: 63 })
    );
    let longer = std::format!("{TEXT}0");
    assert_eq!(
        Hash32::from_str(&longer),
        Err(HashTextError::Length { got: 65 })
    );
    let twice = std::format!("0x{TEXT}");
    assert_eq!(
        Hash32::from_str(&twice),
        Err(HashTextError::Length { got: 66 })
    );
    for (place, wrong) in [
        (0, "g"),
        (1, "x"),
        (63, " "),
        (10, "/"),
        (11, ":"),
        (12, "`"),
    ] {
        let mut text = TEXT.to_string();
        text.replace_range(2 + place..3 + place, wrong);
        assert_eq!(
            Hash32::from_str(&text),
            Err(HashTextError::Digit { at: place })
        );
    }
    let two_byte = std::format!("0x{}é", &TEXT[4..]);
    assert_eq!(
        Hash32::from_str(&two_byte),
        Err(HashTextError::Digit { at: 62 })
    );
}
