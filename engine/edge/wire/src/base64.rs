//! Bytes of at most a chunk as base64 text, decoded once and without a copy of the text.

use core::fmt;

use ::base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use lode_proofs::CHUNK_LEN;
use serde::{Deserializer, Serializer, de};

/// Characters of a whole chunk.
const TEXT_MAX: usize = CHUNK_LEN.div_ceil(3) * 4;

pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    deserializer.deserialize_str(Text)
}

struct Text;

impl de::Visitor<'_> for Text {
    type Value = Bytes;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "base64 of at most {CHUNK_LEN} bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        if text.len() > TEXT_MAX {
            return Err(E::invalid_length(text.len(), &self));
        }
        let bytes = STANDARD.decode(text).map_err(E::custom)?;
        Ok(bytes.into())
    }
}
