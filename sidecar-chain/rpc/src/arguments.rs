//! A request's parameters, one after the other, with geth's words for what is wrong with them.
//!
//! Nothing is copied before it has its type: parameters are slices of the request's text, and its
//! length bounds them.

use std::{fmt, marker::PhantomData};

use alloy_primitives::{Address, B256, Bytes, hex};
use jsonrpsee::types::Params;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_json::value::RawValue;

use crate::failure::Failure;

/// Parameters that are still to be read.
pub struct Arguments<'text> {
    values: std::vec::IntoIter<&'text RawValue>,
    taken: usize,
}

impl<'text> Arguments<'text> {
    /// The parameters of a request.
    ///
    /// # Errors
    /// When they are no list.
    pub fn new(params: &'text Params<'_>) -> Result<Self, Failure> {
        let values: Vec<&RawValue> = match params.as_str() {
            None => Vec::new(),
            Some(text) => serde_json::from_str::<Option<Vec<&RawValue>>>(text)
                .map_err(|_| Failure::argument("non-array args"))?
                .unwrap_or_default(),
        };
        Ok(Arguments {
            values: values.into_iter(),
            taken: 0,
        })
    }

    /// The next one, which must be there.
    ///
    /// # Errors
    /// When it is not, or is something else.
    pub fn required<T: Deserialize<'text>>(&mut self) -> Result<T, Failure> {
        let missing = format!("missing value for required argument {}", self.taken);
        self.optional()?.ok_or_else(|| Failure::argument(missing))
    }

    /// The next one, if it is there and not null.
    ///
    /// # Errors
    /// When it is something else.
    pub fn optional<T: Deserialize<'text>>(&mut self) -> Result<Option<T>, Failure> {
        let Some(value) = self.values.next() else {
            return Ok(None);
        };
        let index = self.taken;
        self.taken += 1;
        serde_json::from_str(value.get()).map_err(|error| {
            Failure::argument(format!("invalid argument {index}: {}", plain(&error)))
        })
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// When there is.
    pub fn end(&self) -> Result<(), Failure> {
        if self.values.len() == 0 {
            return Ok(());
        }
        let most = self.taken;
        Err(Failure::argument(format!(
            "too many arguments, want at most {most}"
        )))
    }
}

/// An error without its place in the text, which is not the caller's text but a part of it.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}

/// A hash, in geth's words if it is none.
#[derive(Clone, Copy, Debug)]
pub struct Hash(pub B256);

/// An address, in geth's words if it is none.
#[derive(Clone, Copy, Debug)]
pub struct Account(pub Address);

/// A number as JSON-RPC writes it: hexadecimal, without leading zeros.
#[derive(Clone, Copy, Debug)]
pub struct Quantity(pub u64);

/// A number as JSON-RPC or as JSON writes it, where clients do both.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// As JSON does.
    Plain(u64),
    /// As JSON-RPC does.
    Text(Quantity),
}

impl Number {
    /// The number.
    pub fn get(self) -> u64 {
        match self {
            Number::Plain(number) | Number::Text(Quantity(number)) => number,
        }
    }
}

/// Bytes of a transaction.
#[derive(Clone, Debug)]
pub struct Data(pub Bytes);

/// A storage slot: up to 32 bytes, with geth's leniency for zeros.
#[derive(Clone, Debug)]
pub struct SlotText(pub String);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, |text| {
            fixed(text, "common.Hash").map(|bytes| Hash(B256::new(bytes)))
        })
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, |text| {
            fixed(text, "common.Address").map(|bytes| Account(Address::new(bytes)))
        })
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, |text| quantity(text).map(Quantity))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, |text| {
            let digits = digits(text, "hexutil.Bytes")?;
            let bytes =
                hex::decode(digits).map_err(|_| wrong("invalid hex string", "hexutil.Bytes"))?;
            Ok(Data(bytes.into()))
        })
    }
}

impl<'de> Deserialize<'de> for SlotText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, |text| Ok(SlotText(text.to_owned())))
    }
}

impl SlotText {
    fn digits(&self) -> &str {
        let text = &self.0;
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        digits.unwrap_or(text)
    }

    /// Whether all 32 bytes of the slot are written down.
    pub fn is_whole(&self) -> bool {
        self.digits().len().div_ceil(2) == B256::len_bytes()
    }

    /// The slot.
    ///
    /// # Errors
    /// In geth's words.
    pub fn slot(&self) -> Result<B256, Failure> {
        let (text, digits) = (&self.0, self.digits());
        if digits.len() > 64 {
            return Err(Failure::argument(format!(
                "storage key too long (want at most 32 bytes): {text:?}"
            )));
        }
        let mut bytes = [0; 32];
        let whole = format!("{digits:0>64}");
        hex::decode_to_slice(whole, &mut bytes)
            .map_err(|_| Failure::argument(format!("invalid hex in storage key: {text:?}")))?;
        Ok(bytes.into())
    }
}

/// Reads a string without copying it.
pub fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(parse, PhantomData))
}

struct Text<T>(fn(&str) -> Result<T, String>, PhantomData<T>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

fn wrong(what: &str, kind: &str) -> String {
    format!("json: cannot unmarshal {what} into Go value of type {kind}")
}

/// Hexadecimal digits behind `0x`, an even number of them.
fn digits<'text>(text: &'text str, kind: &str) -> Result<&'text str, String> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .ok_or_else(|| wrong("hex string without 0x prefix", kind))?;
    if digits.len() % 2 == 1 {
        return Err(wrong("hex string of odd length", kind));
    }
    Ok(digits)
}

fn fixed<const N: usize>(text: &str, kind: &str) -> Result<[u8; N], String> {
    let digits = digits(text, kind)?;
    if digits.len() != 2 * N {
        let (len, want) = (digits.len(), 2 * N);
        return Err(format!(
            "hex string has length {len}, want {want} for {kind}"
        ));
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong("invalid hex string", kind))?;
    Ok(bytes)
}

/// A number as JSON-RPC writes it.
///
/// # Errors
/// In geth's words.
pub fn quantity(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Err("empty hex string".to_owned());
    }
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .ok_or("hex string without 0x prefix")?;
    match digits {
        "" => return Err("hex string \"0x\"".to_owned()),
        "0" => return Ok(0),
        _ if digits.starts_with('0') => {
            return Err("hex number with leading zero digits".to_owned());
        }
        _ => {}
    }
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("invalid hex string".to_owned());
    }
    u64::from_str_radix(digits, 16).map_err(|_| "hex number > 64 bits".to_owned())
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
