//! Values as go-ethereum's JSON has them: numbers and bytes as hex, Go's own bytes as base64.

use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// `hexutil.Uint64`: `0x` and digits, without zeros in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity(pub u64);

/// `hexutil.Bytes`: `0x` and pairs of digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data(pub Vec<u8>);

/// Go's `[]byte`: base64 with its padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoBytes<T>(pub T);

/// Without its prefix, upper-case as Go takes it too.
fn digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

impl Quantity {
    fn parse(text: &str) -> Result<Quantity, &'static str> {
        let digits = digits(text).ok_or("hex string without 0x prefix")?;
        if digits.is_empty() {
            return Err("hex string \"0x\"");
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return Err("hex number with leading zero digits");
        }
        // Rust's parser takes a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("invalid hex string");
        }
        let number = u64::from_str_radix(digits, 16);
        number.map(Quantity).map_err(|_| "hex number > 64 bits")
    }
}

impl Data {
    fn parse(text: &str) -> Result<Data, &'static str> {
        let digits = digits(text).ok_or("hex string without 0x prefix")?;
        // The decoder takes a second prefix.
        if digits.starts_with("0x") {
            return Err("invalid hex string");
        }
        const_hex::decode(digits)
            .map(Data)
            .map_err(|_| "invalid hex string")
    }
}

/// Reads text without a copy of it.
struct Text<T>(fn(&str) -> Result<T, &'static str>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hex string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(Quantity::parse))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(Data::parse))
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&const_hex::encode_prefixed(&self.0))
    }
}

impl<T: AsRef<[u8]>> Serialize for GoBytes<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is written is read.
        #[test]
        fn comes_back(number: u64, bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let text = serde_json::to_string(&Quantity(number)).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Quantity>(&text).expect("ours"), Quantity(number));
            let text = serde_json::to_string(&Data(bytes.clone())).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Data>(&text).expect("ours"), Data(bytes));
        }
    }

    /// As go-ethereum writes, and refuses to read.
    #[test]
    fn as_go() {
        let number = |text: &str| serde_json::from_str::<Quantity>(text).ok();
        assert_eq!(number("\"0x0\""), Some(Quantity(0)));
        assert_eq!(number("\"0xfFffffffffffffff\""), Some(Quantity(u64::MAX)));
        for bad in [
            "\"\"",
            "\"0x\"",
            "\"0x01\"",
            "\"1\"",
            "1",
            "\"0x+1\"",
            "\"0x10000000000000000\"",
            "null",
        ] {
            assert_eq!(number(bad), None, "{bad}");
        }
        let data = |text: &str| serde_json::from_str::<Data>(text).ok();
        assert_eq!(data("\"0x\""), Some(Data(vec![])));
        assert_eq!(data("\"0X0a\""), Some(Data(vec![10])));
        for bad in ["\"\"", "\"0a\"", "\"0x0\"", "\"0x0x0a\"", "\"0xzz\"", "[]"] {
            assert_eq!(data(bad), None, "{bad}");
        }
        let go = serde_json::to_string(&GoBytes([0, 1, 2, 3])).expect("JSON");
        assert_eq!(go, "\"AAECAw==\"");
    }
}
