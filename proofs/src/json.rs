//! JSON forms, as 0G's clients write them (0G wire, 1.6).
//!
//! ```text
//! hash         "0x" and 64 lower-case hex digits
//! wire proof   {"lemma": [hash…], "path": [bool…]}
//! chunk proof  {"root": hash, "size": n, "index": n, "lemma": […], "path": […]}
//! ```
//!
//! Lists from outside are bounded while they are read. A chunk proof that was
//! read has been verified, as from any other form.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash32::Hash32;
use crate::path::SIBLINGS_MAX;
use crate::proof::{BlobId, ChunkProof, WireProof};
use crate::refusal::Refusal;

impl Serialize for Hash32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The fields of a chunk proof, before they are checked.
#[derive(Serialize, Deserialize)]
#[serde(rename = "ChunkProof", deny_unknown_fields)]
struct ProofFields {
    root: Hash32,
    size: u64,
    index: u64,
    #[serde(deserialize_with = "bounded")]
    lemma: Vec<Hash32>,
    #[serde(deserialize_with = "bounded")]
    path: Vec<bool>,
}

impl Serialize for ChunkProof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let WireProof { lemma, path } = self.to_wire();
        let blob = self.blob();
        let (root, size, index) = (blob.root, blob.shape.size(), self.index());
        ProofFields {
            root,
            size,
            index,
            lemma,
            path,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ChunkProof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ProofFields {
            root,
            size,
            index,
            lemma,
            path,
        } = ProofFields::deserialize(deserializer)?;
        BlobId::new(root, size)
            .map_err(Refusal::from)
            .and_then(|blob| Self::from_wire(blob, index, &WireProof { lemma, path }))
            .map_err(D::Error::custom)
    }
}

/// Reads a list that is no longer than any lemma can be.
pub(crate) fn bounded<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(Bounded(PhantomData))
}

/// Chunk root, siblings, root.
const LEMMA_MAX: usize = SIBLINGS_MAX + 2;

struct Bounded<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {LEMMA_MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == LEMMA_MAX {
                return Err(A::Error::invalid_length(LEMMA_MAX + 1, &self));
            }
            list.push(entry);
        }
        Ok(list)
    }
}
