//! Which block a request is about: a number, a name, a hash, or an object that holds one (EIP-1898).
//!
//! Every block that can be seen is final, so "latest", "safe" and "finalized" are one.

use std::fmt;

use alloy_primitives::{B256, hex};
use lode_chain_ledger::View;
use lode_chain_types::Height;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

use crate::{
    arguments::{Hash, quantity},
    failure::Failure,
};

/// Which block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// The last one.
    #[default]
    Latest,
    /// The first one.
    Earliest,
    /// The one that comes next, as far as it is known.
    Pending,
    /// The one of that height.
    Number(Height),
    /// The one of that hash.
    Hash(B256),
}

impl Selector {
    /// Its height; none if there is no such block.
    ///
    /// # Errors
    /// When the store fails.
    pub fn height(self, view: &View) -> Result<Option<Height>, Failure> {
        Ok(match self {
            Selector::Latest | Selector::Pending => Some(view.tip()),
            Selector::Earliest => Some(0),
            Selector::Number(number) => Some(number).filter(|number| *number <= view.tip()),
            Selector::Hash(hash) => view.height_of(&hash)?,
        })
    }

    /// Its height.
    ///
    /// # Errors
    /// When there is no such block, in geth's words.
    pub fn known(self, view: &View) -> Result<Height, Failure> {
        let missing = match self {
            Selector::Hash(_) => "header for hash not found",
            _ => "header not found",
        };
        self.height(view)?.ok_or_else(|| Failure::server(missing))
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Selector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block's number, name or hash")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Selector, E> {
        parse(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Selector, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            let next = match key.as_str() {
                "blockNumber" => map.next_value::<Option<Selector>>()?,
                "blockHash" => map
                    .next_value::<Option<Hash>>()?
                    .map(|hash| Selector::Hash(hash.0)),
                // All that is kept is canonical, so `requireCanonical` asks for nothing.
                _ => {
                    map.next_value::<de::IgnoredAny>()?;
                    continue;
                }
            };
            if found.is_some() && next.is_some() {
                return Err(de::Error::custom(
                    "cannot specify both BlockHash and BlockNumber, choose one or the other",
                ));
            }
            found = found.or(next);
        }
        found.ok_or_else(|| de::Error::custom("invalid block number or hash"))
    }
}

fn parse(text: &str) -> Result<Selector, String> {
    Ok(match text {
        "latest" | "safe" | "finalized" => Selector::Latest,
        "earliest" => Selector::Earliest,
        "pending" => Selector::Pending,
        _ if text.len() == 66 && text.starts_with("0x") => {
            let mut hash = B256::ZERO;
            hex::decode_to_slice(&text[2..], hash.as_mut_slice())
                .map_err(|_| "invalid hex string")?;
            Selector::Hash(hash)
        }
        _ => Selector::Number(quantity(text)?),
    })
}
