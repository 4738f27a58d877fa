//! Parameters by their place, as 0G's clients write them and a little beyond: one of them writes
//! numbers as text (`kv_getTransactionResult["7"]`).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jsonrpsee::types::Params;
use serde_json::Value;

use super::failure::Failure;
use crate::{account::Account, stream::StreamId};

/// What is left of a request's parameters.
pub(crate) struct Arguments(std::vec::IntoIter<Value>);

impl Arguments {
    pub(crate) fn new(params: &Params<'_>) -> Result<Self, Failure> {
        let list: Option<Vec<Value>> = params
            .parse()
            .map_err(|_| Failure::parameter("params", "parameters are a list"))?;
        Ok(Arguments(list.unwrap_or_default().into_iter()))
    }

    fn need(&mut self, name: &str) -> Result<Value, Failure> {
        let value = self.0.next().filter(|value| !value.is_null());
        value.ok_or_else(|| Failure::parameter(name, "is missing"))
    }

    fn text(&mut self, name: &str) -> Result<String, Failure> {
        match self.need(name)? {
            Value::String(text) => Ok(text),
            _ => Err(Failure::parameter(name, "is not text")),
        }
    }

    /// A number, as such or as text, decimal or after `0x`.
    pub(crate) fn number(&mut self, name: &str) -> Result<u64, Failure> {
        number(name, &self.need(name)?)
    }

    /// A number that may be left out.
    pub(crate) fn number_or(&mut self, name: &str, other: u64) -> Result<u64, Failure> {
        match self.0.next() {
            None | Some(Value::Null) => Ok(other),
            Some(value) => number(name, &value),
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Failure> {
        let flag = self.need(name)?.as_bool();
        flag.ok_or_else(|| Failure::parameter(name, "is not true or false"))
    }

    pub(crate) fn stream(&mut self, name: &str) -> Result<StreamId, Failure> {
        let text = self.text(name)?;
        let id = text.parse();
        let id = id.map_err(|error: lode_proofs::HashTextError| {
            Failure::parameter(name, error.to_string())
        })?;
        Ok(StreamId(id))
    }

    pub(crate) fn account(&mut self, name: &str) -> Result<Account, Failure> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|error: crate::account::AccountTextError| {
                Failure::parameter(name, error.to_string())
            })
    }

    /// A key: base64, not empty.
    pub(crate) fn key(&mut self, name: &str) -> Result<Bytes, Failure> {
        let text = self.text(name)?;
        let key = STANDARD.decode(text);
        let key = key.map_err(|error| Failure::parameter(name, error.to_string()))?;
        if key.is_empty() {
            return Err(Failure::parameter(name, "key is empty"));
        }
        Ok(key.into())
    }

    pub(crate) fn signature(&mut self, name: &str) -> Result<String, Failure> {
        self.text(name)
    }
}

fn number(name: &str, value: &Value) -> Result<u64, Failure> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        _ => None,
    };
    number.ok_or_else(|| Failure::parameter(name, "is not a number from 0 to 2^64 - 1"))
}
