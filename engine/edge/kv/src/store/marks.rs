//! How far the replay is, and which streams it holds.

use std::collections::BTreeSet;

use fjall::Readable as _;
use lode_proofs::Hash32;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, View};
use crate::stream::StreamId;

const MARKS: &str = "marks";
const HELD: &str = "held";

/// How far the replay is. Every submission below `next` is decided, of none of our streams, or waits;
/// those below `low` do not wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The first submission that is looked at at all.
    pub from: u64,
    /// All below it are decided.
    pub low: u64,
    /// The highest that was ever looked at, and one more.
    pub next: u64,
    /// As `low`, for the streams that are joining.
    pub join_low: u64,
}

/// The streams that a node holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// All there are.
    pub all: bool,
    /// Those that it follows.
    pub streams: BTreeSet<StreamId>,
    /// Those whose past it still replays.
    pub joining: Join,
    /// Fingerprint of the keys that open them; none where they are not encrypted.
    #[serde(default)]
    pub keys: Option<Hash32>,
}

/// Streams that are joining.
pub type Join = BTreeSet<StreamId>;

impl Held {
    /// Whether a stream is followed, or will be.
    pub fn has(&self, stream: StreamId) -> bool {
        self.all || self.streams.contains(&stream) || self.joining.contains(&stream)
    }

    /// How many are named.
    pub fn count(&self) -> usize {
        self.streams.len() + self.joining.len()
    }
}

impl View {
    /// How far the replay is; none in a new store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn marks(&self) -> Result<Option<Marks>, StoreError> {
        self.parsed(MARKS)
    }

    /// Which streams are held; none in a new store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn held(&self) -> Result<Option<Held>, StoreError> {
        self.parsed(HELD)
    }

    fn parsed<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let held = self.snapshot.get(&self.spaces.meta, key)?;
        held.map(|held| {
            let parsed = serde_json::from_slice(&held);
            parsed.map_err(|_| StoreError::Damaged("marks have another form"))
        })
        .transpose()
    }
}

impl Store {
    /// Puts the marks into a batch.
    pub(super) fn mark(&self, batch: &mut fjall::OwnedWriteBatch, marks: &Marks) {
        let marks = serde_json::to_vec(marks).expect("numbers are JSON");
        batch.insert(&self.reader.spaces.meta, MARKS, marks);
    }

    /// Notes how far the replay is, and what the submissions looked like that it has passed. Not
    /// synced: what is lost of it is looked at once more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn note(&mut self, marks: &Marks, seen: &[(u64, [u8; 32])]) -> Result<(), StoreError> {
        self.burn()?;
        let mut batch = self.batch();
        self.mark(&mut batch, marks);
        for (seq, print) in seen {
            batch.insert(&self.reader.spaces.seen, seq.to_be_bytes(), *print);
        }
        Ok(batch.commit()?)
    }

    /// Notes which streams are held, and takes some from those that are wanted.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hold(
        &mut self,
        held: &Held,
        marks: &Marks,
        taken: &[StreamId],
    ) -> Result<(), StoreError> {
        self.burn()?;
        let mut batch = self.synced();
        let text = serde_json::to_vec(held).expect("names are JSON");
        batch.insert(&self.reader.spaces.meta, HELD, text);
        for stream in taken {
            batch.remove(&self.reader.spaces.wanted, stream.0.0);
        }
        self.mark(&mut batch, marks);
        Ok(batch.commit()?)
    }
}
