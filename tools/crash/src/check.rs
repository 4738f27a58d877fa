//! The ledgers against a node: everything that was promised, by contents.
//!
//! After a check nothing is uncertain any more. What a crash left open is settled by what the node
//! shows, and the node is held to that from then on.

use std::{collections::BTreeMap, thread};

use serde::Serialize;

use crate::{
    client::{Client, Trouble},
    failure::{Failure, Outcome},
    ledger::{Entry, Ledger, State},
    load::CHUNK,
    noise::Noise,
};

/// Chunk proofs checked per ledger.
const PROOFS: u32 = 6;

/// Deleted blobs per ledger that are also asked for by name; the list covers all of them.
const ASKED_GONE: u32 = 6;

/// What was found, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Blobs read and compared.
    pub blobs: u64,
    /// Bytes read and compared.
    pub bytes: u64,
    /// Deleted blobs that are gone.
    pub gone: u64,
    /// Unfinished uploads that resume where they must.
    pub uploads: u64,
    /// Chunk proofs that hold, with their bytes.
    pub proofs: u64,
}

impl Found {
    /// The sum.
    pub fn and(self, other: Found) -> Found {
        Found {
            blobs: self.blobs + other.blobs,
            bytes: self.bytes + other.bytes,
            gone: self.gone + other.gone,
            uploads: self.uploads + other.uploads,
            proofs: self.proofs + other.proofs,
        }
    }
}

/// Compares every entry of every ledger with the node.
///
/// # Errors
/// [`Failure::Broken`] with one line per promise that was not kept.
pub fn check(client: &Client, ledgers: &mut [Ledger], seed: u64) -> Outcome<Found> {
    let node = |trouble: Trouble| Failure::Node(format!("listing: {trouble}"));
    let listed: BTreeMap<String, u64> = client
        .list()
        .map_err(node)?
        .into_iter()
        .map(|blob| (blob.root, blob.size))
        .collect();
    let mut broken = invented(&listed, ledgers);
    let checked: Vec<Outcome<(Found, Vec<String>)>> = thread::scope(|scope| {
        let threads: Vec<_> = (seed..)
            .zip(ledgers)
            .map(|(seed, ledger)| {
                let one = One {
                    client: client.clone(),
                    listed: &listed,
                    ledger,
                    found: Found::default(),
                    broken: Vec::new(),
                };
                scope.spawn(move || one.run(seed))
            })
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended
            .map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut found = Found::default();
    for one in checked {
        let (counts, lines) = one?;
        found = found.and(counts);
        broken.extend(lines);
    }
    match broken.is_empty() {
        true => Ok(found),
        false => Err(Failure::Broken(broken)),
    }
}

/// Listed blobs that nobody ever sent.
fn invented(listed: &BTreeMap<String, u64>, ledgers: &[Ledger]) -> Vec<String> {
    let known: BTreeMap<String, u64> = ledgers
        .iter()
        .flat_map(|ledger| &ledger.entries)
        .map(|entry| (entry.root.to_string(), entry.size))
        .collect();
    let strangers = listed
        .iter()
        .filter(|(root, size)| known.get(*root) != Some(*size));
    strangers
        .map(|(root, size)| format!("{root} with {size} bytes is listed and was never sent"))
        .collect()
}

/// What the list alone says about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is there, as it must or may be: compare its bytes.
    Compare,
    /// It is not there, as it must or may not be.
    Absent,
    /// An upload that is not finished: compare its offset.
    Offset,
    /// A promise is broken.
    Broken(&'static str),
}

/// Judges an entry's state against the list.
pub fn verdict(entry: &Entry, listed: bool) -> Verdict {
    match (entry.state, listed) {
        (State::Stored | State::Putting | State::Leaving, true) => Verdict::Compare,
        (State::Putting | State::Leaving | State::Gone, false) => Verdict::Absent,
        (State::Stored, false) => Verdict::Broken("was acknowledged and is lost"),
        (State::Gone, true) => Verdict::Broken("was deleted and is back"),
        (State::Upload { sent, .. }, true) if sent == entry.size => Verdict::Compare,
        (State::Upload { .. }, true) => Verdict::Broken("is there before all of it was sent"),
        (State::Upload { .. }, false) => Verdict::Offset,
    }
}

/// One ledger's check.
struct One<'a> {
    client: Client,
    listed: &'a BTreeMap<String, u64>,
    ledger: &'a mut Ledger,
    found: Found,
    broken: Vec<String>,
}

impl One<'_> {
    fn run(mut self, seed: u64) -> Outcome<(Found, Vec<String>)> {
        for index in 0..self.ledger.entries.len() {
            let entry = self.ledger.entries[index];
            let listed = self.listed.contains_key(&entry.root.to_string());
            match verdict(&entry, listed) {
                Verdict::Compare => self.compare(index)?,
                Verdict::Absent => {
                    self.found.gone += 1;
                    self.settle(index, State::Gone)?;
                }
                Verdict::Offset => self.offset(index)?,
                Verdict::Broken(why) => self.breaks(&entry, why),
            }
        }
        let mut dice = Noise::new(seed);
        self.proofs(&mut dice)?;
        self.gone(&mut dice)?;
        Ok((self.found, self.broken))
    }

    fn breaks(&mut self, entry: &Entry, why: &str) {
        let (root, size, state) = (entry.root, entry.size, entry.state);
        self.broken
            .push(format!("{root} ({size} bytes, {state:?}) {why}"));
    }

    fn settle(&mut self, index: usize, state: State) -> Outcome<()> {
        match self.ledger.entries[index].state == state {
            true => Ok(()),
            false => self.ledger.set(index, state),
        }
    }

    fn compare(&mut self, index: usize) -> Outcome<()> {
        let entry = self.ledger.entries[index];
        match self.client.get(entry.root, None) {
            Ok(Some(bytes)) if bytes == entry.contents() => {
                self.found.blobs += 1;
                self.found.bytes += entry.size;
                return self.settle(index, State::Stored);
            }
            Ok(Some(_)) => self.breaks(&entry, "has other bytes"),
            Ok(None) => self.breaks(&entry, "is listed and cannot be read"),
            Err(trouble) => self.breaks(&entry, &format!("cannot be read: {trouble}")),
        }
        Ok(())
    }

    /// The node continues an upload at or after what it acknowledged, never after what was sent.
    fn offset(&mut self, index: usize) -> Outcome<()> {
        let entry = self.ledger.entries[index];
        let State::Upload { acked, sent } = entry.state else {
            return Ok(());
        };
        let at = match self.client.upload(entry.root) {
            Ok(state) => state.map_or(0, |state| state.offset),
            Err(trouble) => {
                self.breaks(&entry, &format!("cannot be resumed: {trouble}"));
                return Ok(());
            }
        };
        if at < acked || at > sent {
            self.breaks(&entry, &format!("resumes at {at}"));
            return Ok(());
        }
        self.found.uploads += 1;
        self.settle(index, State::Upload { acked: at, sent })
    }

    fn proofs(&mut self, dice: &mut Noise) -> Outcome<()> {
        let stored = self.ledger.all(|state| state == State::Stored);
        for _ in 0..PROOFS {
            let Some(at) = dice.index(stored.len()) else {
                return Ok(());
            };
            let entry = self.ledger.entries[stored[at]];
            let chunk = dice.below(entry.size.div_ceil(CHUNK));
            let start = usize::try_from(chunk * CHUNK).unwrap_or(usize::MAX);
            let bytes = entry.contents();
            let end = bytes.len().min(start + lode_proofs::CHUNK_LEN);
            match self.client.prove(entry.root, entry.size, chunk) {
                Ok(data) if data == bytes[start..end] => self.found.proofs += 1,
                Ok(_) => self.breaks(&entry, "is proven with other bytes"),
                Err(trouble) => self.breaks(&entry, &format!("is not proven: {trouble}")),
            }
        }
        Ok(())
    }

    /// Some of the deleted ones by name: neither list nor read may show them.
    fn gone(&mut self, dice: &mut Noise) -> Outcome<()> {
        let gone = self.ledger.all(|state| state == State::Gone);
        for _ in 0..ASKED_GONE {
            let Some(at) = dice.index(gone.len()) else {
                return Ok(());
            };
            let entry = self.ledger.entries[gone[at]];
            match self.client.get(entry.root, None) {
                Ok(None) => {}
                Ok(Some(_)) => self.breaks(&entry, "was deleted and is served"),
                Err(trouble) => self.breaks(&entry, &format!("is not simply absent: {trouble}")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: State) -> Entry {
        Entry {
            seed: 1,
            size: 100,
            root: "00".repeat(32).parse().unwrap(),
            state,
        }
    }

    /// Every state, there and not there: what a crash may leave open, and what it may not.
    #[test]
    fn verdicts() {
        use Verdict::{Absent, Broken, Compare, Offset};
        let half = State::Upload {
            acked: 50,
            sent: 60,
        };
        let whole = State::Upload {
            acked: 50,
            sent: 100,
        };
        let lost = Broken("was acknowledged and is lost");
        let back = Broken("was deleted and is back");
        let early = Broken("is there before all of it was sent");
        for (state, there, absent) in [
            (State::Putting, Compare, Absent),
            (State::Stored, Compare, lost),
            (State::Leaving, Compare, Absent),
            (State::Gone, back, Absent),
            (half, early, Offset),
            (whole, Compare, Offset),
        ] {
            assert_eq!(verdict(&entry(state), true), there, "{state:?} listed");
            assert_eq!(verdict(&entry(state), false), absent, "{state:?} absent");
        }
    }
}
