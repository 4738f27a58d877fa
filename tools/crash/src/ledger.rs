//! What one client was promised, blob by blob. Lives in this process, which nobody kills; every
//! change is also a line in a file outside of the tested filesystem, written before the next
//! request starts, so that a finding can be looked into.
//!
//! ```text
//!            put sent          acknowledged         delete sent        acknowledged
//!   (new) ───────────► Putting ───────────► Stored ───────────► Leaving ─────────► Gone
//!     │                   └── refused, or not found after a crash ──────────────────▲
//!     └─► Upload { acked, sent } ── last piece acknowledged ──► Stored
//! ```

use std::{fs::File, io::Write, path::Path};

use lode_proofs::{Hash32, blob_tree};
use serde::Serialize;

use crate::{
    failure::{Failure, Outcome},
    noise::contents,
};

/// What is known about a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A put was sent and not answered: it may be there or not.
    Putting,
    /// Acknowledged: it must be there.
    Stored,
    /// A delete was sent and not answered: it may be there or not.
    Leaving,
    /// Deleted and acknowledged, refused, or seen to be absent: it must not be there.
    Gone,
    /// A resumable upload.
    Upload {
        /// Bytes acknowledged as durable.
        acked: u64,
        /// Bytes that were ever sent; the blob may only be there if this is all of it.
        sent: u64,
    },
}

/// One blob: its contents are a function of seed and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Seed of its contents.
    pub seed: u64,
    /// Bytes.
    pub size: u64,
    /// Root of its contents.
    pub root: Hash32,
    /// What is known.
    pub state: State,
}

impl Entry {
    /// Its bytes, made again.
    pub fn contents(&self) -> Vec<u8> {
        contents(self.seed, self.size)
    }

    /// Whether it takes space, or may.
    pub fn is_live(&self) -> bool {
        self.state != State::Gone
    }
}

/// What was acknowledged, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Acknowledged puts and finished uploads.
    pub puts: u64,
    /// Acknowledged pieces of uploads.
    pub pieces: u64,
    /// Acknowledged deletes.
    pub deletes: u64,
    /// Reads under load, compared.
    pub reads: u64,
    /// Bytes acknowledged as durable.
    pub bytes: u64,
    /// Refusals of a full disk.
    pub refused_full: u64,
}

impl Counts {
    /// The sum.
    pub fn and(self, other: Counts) -> Counts {
        Counts {
            puts: self.puts + other.puts,
            pieces: self.pieces + other.pieces,
            deletes: self.deletes + other.deletes,
            reads: self.reads + other.reads,
            bytes: self.bytes + other.bytes,
            refused_full: self.refused_full + other.refused_full,
        }
    }

    /// Acknowledged changes.
    pub fn acked(&self) -> u64 {
        self.puts + self.pieces + self.deletes
    }
}

/// One client's ledger.
pub struct Ledger {
    /// Every blob ever, oldest first.
    pub entries: Vec<Entry>,
    /// What was acknowledged.
    pub counts: Counts,
    file: File,
}

impl Ledger {
    /// An empty ledger, and its file.
    pub fn new(path: &Path) -> Outcome<Ledger> {
        let file = File::options().append(true).create_new(true).open(path);
        Ok(Ledger {
            entries: Vec::new(),
            counts: Counts::default(),
            file: file.map_err(Failure::machine(path.display().to_string()))?,
        })
    }

    /// A new blob in this state, written down; its index and its bytes.
    pub fn add(&mut self, seed: u64, size: u64, state: State) -> Outcome<(usize, Vec<u8>)> {
        let bytes = contents(seed, size);
        let tree = blob_tree(&bytes).map_err(Failure::machine("a root"))?;
        self.entries.push(Entry {
            seed,
            size,
            root: tree.root(),
            state,
        });
        let index = self.entries.len() - 1;
        self.set(index, state)?;
        Ok((index, bytes))
    }

    /// A blob's new state, written down before this returns.
    pub fn set(&mut self, index: usize, state: State) -> Outcome<()> {
        #[derive(Serialize)]
        struct Line {
            root: String,
            seed: u64,
            size: u64,
            state: State,
        }
        let entry = &mut self.entries[index];
        entry.state = state;
        let line = Line {
            root: entry.root.to_string(),
            seed: entry.seed,
            size: entry.size,
            state,
        };
        let mut text = serde_json::to_vec(&line).map_err(Failure::machine("a ledger line"))?;
        text.push(b'\n');
        self.file
            .write_all(&text)
            .map_err(Failure::machine("the ledger's file"))
    }

    /// Indices of all blobs in this state.
    pub fn all(&self, wanted: impl Fn(State) -> bool) -> Vec<usize> {
        let indices = self.entries.iter().enumerate();
        indices
            .filter(|(_, entry)| wanted(entry.state))
            .map(|(index, _)| index)
            .collect()
    }

    /// Bytes that are acknowledged as durable now.
    pub fn durable_bytes(&self) -> u64 {
        let durable = self.entries.iter().map(|entry| match entry.state {
            State::Stored => entry.size,
            State::Upload { acked, .. } => acked,
            _ => 0,
        });
        durable.sum()
    }

    /// Bytes of everything that is there or may be.
    pub fn live_bytes(&self) -> u64 {
        let live = self.entries.iter().filter(|entry| entry.is_live());
        live.map(|entry| entry.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every change is a line in the file before the next step, and contents come back by seed.
    #[test]
    fn written_down() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let mut ledger = Ledger::new(&path).unwrap();
        let (index, bytes) = ledger.add(5, 700, State::Putting).unwrap();
        ledger.set(index, State::Stored).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["state"], "putting");
        assert_eq!(lines[1]["state"], "stored");
        assert_eq!(lines[1]["root"], ledger.entries[index].root.to_string());
        assert_eq!(ledger.entries[index].contents(), bytes);
        assert_eq!(ledger.live_bytes(), 700);
    }
}
