//! Taking back what the chain has replaced.
//!
//! For each transaction that is not final there is a row of what it wrote: per entry one byte for the
//! table, two for the length of the row's key, the key.

use fjall::Readable as _;

use super::{Marks, Store, StoreError, View, number};

/// Pieces that one batch removes.
const SWEEP: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Versions,
    Grants,
}

impl Space {
    const fn code(self) -> u8 {
        match self {
            Space::Versions => 0,
            Space::Grants => 1,
        }
    }
}

/// Rows that a transaction wrote.
#[derive(Debug, Default)]
pub(super) struct Undo(Vec<u8>);

impl Undo {
    pub(super) fn add(&mut self, space: Space, row: &[u8]) {
        let len = u16::try_from(row.len()).expect("rows of versions and grants are short");
        self.0.push(space.code());
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(row);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The entries of a row.
fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Result<(Space, &[u8]), StoreError>> {
    const DAMAGED: StoreError = StoreError::Damaged("what is to be undone has another form");
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let Some(([code, high, low], rest)) = bytes.split_first_chunk() else {
            bytes = &[];
            return Some(Err(DAMAGED));
        };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let space = match code {
            0 => Space::Versions,
            1 => Space::Grants,
            _ => return Some(Err(DAMAGED)),
        };
        let Some((row, rest)) = rest.split_at_checked(len) else {
            bytes = &[];
            return Some(Err(DAMAGED));
        };
        bytes = rest;
        Some(Ok((space, row)))
    })
}

impl View {
    /// What a submission looked like when the replay passed it; none if that is final, or not yet.
    ///
    /// # Errors
    /// When the store fails.
    pub fn seen(&self, seq: u64) -> Result<Option<[u8; 32]>, StoreError> {
        let held = self.snapshot.get(&self.spaces.seen, seq.to_be_bytes())?;
        held.map(|held| {
            let held = <[u8; 32]>::try_from(&held[..]);
            held.map_err(|_| StoreError::Damaged("a fingerprint has another length"))
        })
        .transpose()
    }
}

impl Store {
    /// Undoes every transaction from `from` on. All at once; on the disk when this returns.
    ///
    /// # Errors
    /// When the store fails.
    pub fn undo(&mut self, from: u64, marks: &Marks) -> Result<(), StoreError> {
        self.burn()?;
        let view = self.view();
        let spaces = &self.reader.spaces;
        let mut batch = self.synced();
        for row in view.snapshot.range(&spaces.undo, from.to_be_bytes()..) {
            let (seq, rows) = row.into_inner()?;
            for entry in entries(&rows) {
                match entry? {
                    (Space::Versions, row) => batch.remove(&spaces.versions, row),
                    (Space::Grants, row) => batch.remove(&spaces.grants, row),
                }
            }
            batch.insert(&spaces.loose, &seq[..], []);
        }
        for space in [&spaces.undo, &spaces.seen, &spaces.results, &spaces.lost] {
            for row in view.snapshot.range(space, from.to_be_bytes()..) {
                batch.remove(space, row.key()?);
            }
        }
        self.mark(&mut batch, marks);
        batch.commit()?;
        self.sweep()
    }

    /// Forgets how to undo transactions from `from` to `to`, exclusive: they are final.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forget(&mut self, from: u64, to: u64) -> Result<(), StoreError> {
        self.burn()?;
        let view = self.view();
        let mut batch = self.batch();
        for space in [&self.reader.spaces.undo, &self.reader.spaces.seen] {
            let range = from.to_be_bytes()..to.to_be_bytes();
            for row in view.snapshot.range(space, range) {
                batch.remove(space, row.key()?);
            }
        }
        Ok(batch.commit()?)
    }

    /// Removes pieces that no version names.
    pub(super) fn sweep(&mut self) -> Result<(), StoreError> {
        let view = self.view();
        for row in view.snapshot.iter(&self.reader.spaces.loose) {
            self.drop_pieces(number(&row.key()?)?)?;
        }
        Ok(())
    }

    /// Removes the pieces of a transaction that is not there (any more).
    ///
    /// # Errors
    /// When the store fails.
    pub fn drop_pieces(&mut self, seq: u64) -> Result<(), StoreError> {
        let view = self.view();
        let spaces = &self.reader.spaces;
        let mut rows = view.snapshot.prefix(&spaces.pieces, seq.to_be_bytes());
        loop {
            let mut batch = self.batch();
            for row in rows.by_ref().take(SWEEP) {
                batch.remove(&spaces.pieces, row.key()?);
            }
            if batch.is_empty() {
                break;
            }
            batch.commit()?;
        }
        let mut batch = self.batch();
        batch.remove(&spaces.loose, seq.to_be_bytes());
        Ok(batch.commit()?)
    }
}
