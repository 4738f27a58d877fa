//! What a transaction does, written at once.

use bytes::Bytes;

use super::{
    Marks, NEXT_NAME, Store, StoreError, View,
    grants::{Subject, claim_row, count_row},
    names::Names,
    undo::{Space, Undo},
    values,
};
use crate::{
    account::Account,
    stream::{Role, StreamId},
    verdict::Verdict,
};

/// A value that a transaction writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its stream.
    pub stream: StreamId,
    /// Its key.
    pub key: Bytes,
    /// Where it begins among the transaction's values.
    pub at: u64,
    /// Its bytes.
    pub len: u64,
}

/// What a transaction changes about who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// About what.
    pub subject: Subject,
    /// Whether it is so from now on.
    pub granted: bool,
}

/// All that a transaction does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Streams that are its sender's from now on.
    pub claims: Vec<StreamId>,
    /// Values, each key once.
    pub values: Vec<Value>,
    /// Permissions, each subject once.
    pub grants: Vec<Grant>,
    /// Where its values begin in its blob.
    pub values_at: u64,
    /// Bytes of them.
    pub values_len: u64,
}

/// Of which transaction a verdict is.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// Its number.
    pub seq: u64,
    /// What its submission looks like, if it may have to be undone.
    pub print: Option<[u8; 32]>,
    /// How far the replay is.
    pub marks: Marks,
}

/// Bytes of pieces that go into the batch of their transaction; what has more is written before it.
pub(crate) const BATCH_LEN: u64 = 4 << 20;

impl Store {
    /// Writes what became of a transaction: its result, what it does, and how far the replay is. All of
    /// it or nothing; on the disk when this returns. `values` are its values as they follow each
    /// other; none if they are written already.
    ///
    /// # Errors
    /// When the store fails.
    pub fn decide(
        &mut self,
        decided: &Decided,
        verdict: &Verdict,
        change: Option<(&Change, &[u8])>,
    ) -> Result<(), StoreError> {
        self.burn()?;
        let seq = decided.seq;
        let view = self.view();
        let mut batch = self.synced();
        let mut undo = Undo::default();
        let mut next_name = self.next_name;
        if let Some((change, bytes)) = change {
            let spaces = &self.reader.spaces;
            let mut names = Names::new(&view, next_name);
            for value in &change.values {
                let slot = names.slot(value.stream, &value.key)?;
                let row = values::row(slot, seq);
                batch.insert(&spaces.versions, row, values::place(value.at, value.len));
                undo.add(Space::Versions, &row);
            }
            let (given, next) = names.finish();
            for (row, name) in given {
                batch.insert(&spaces.names, row, name.to_be_bytes());
            }
            next_name = next;
            batch.insert(&spaces.meta, NEXT_NAME, next.to_be_bytes());
            for (index, piece) in (0..).zip(bytes.chunks(values::PIECE_LEN)) {
                batch.insert(&spaces.pieces, values::piece(seq, index), piece);
            }
            batch.remove(&spaces.loose, seq.to_be_bytes());
            for (row, held) in permissions(&view, seq, change)? {
                undo.add(Space::Grants, &row);
                batch.insert(&spaces.grants, row, held);
            }
        }
        let spaces = &self.reader.spaces;
        batch.insert(&spaces.results, seq.to_be_bytes(), verdict.to_string());
        if *verdict == Verdict::DataUnavailable {
            batch.insert(&spaces.lost, seq.to_be_bytes(), []);
        }
        if let Some(print) = decided.print {
            batch.insert(&spaces.undo, seq.to_be_bytes(), undo.into_bytes());
            batch.insert(&spaces.seen, seq.to_be_bytes(), print);
        }
        self.mark(&mut batch, &decided.marks);
        batch.commit()?;
        self.next_name = next_name;
        Ok(())
    }

    /// Says that pieces of a transaction are going to be written before it is decided. Until then they
    /// are loose, and gone after a restart.
    ///
    /// # Errors
    /// When the store fails.
    pub fn begin_stage(&mut self, seq: u64) -> Result<(), StoreError> {
        self.burn()?;
        let mut batch = self.synced();
        batch.insert(&self.reader.spaces.loose, seq.to_be_bytes(), []);
        Ok(batch.commit()?)
    }
}

impl super::Reader {
    /// Writes pieces of values of a transaction, from number `first` on. They are on the disk when what
    /// is written after them is.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn stage(&self, seq: u64, first: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        for (index, piece) in (first..).zip(bytes.chunks(values::PIECE_LEN)) {
            let row = values::piece(seq, index);
            batch.insert(&self.spaces.pieces, row, piece);
        }
        Ok(batch.commit()?)
    }
}

/// A key and what stands there.
type Row = (Vec<u8>, Vec<u8>);

/// Rows of permissions, with how many special keys each account has after them.
fn permissions(view: &View, seq: u64, change: &Change) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    let mut counts = std::collections::BTreeMap::<(StreamId, Account), u64>::new();
    for stream in &change.claims {
        rows.push((claim_row(*stream), seq.to_be_bytes().to_vec()));
    }
    for grant in &change.grants {
        let subject = &grant.subject;
        rows.push((subject.row(seq), vec![u8::from(grant.granted)]));
        if subject.role != Role::KeyWriter || view.granted(subject, seq)? == grant.granted {
            continue;
        }
        let whose = (subject.stream, subject.account);
        let count = match counts.get(&whose) {
            Some(count) => *count,
            None => view.key_count(subject.account, subject.stream, seq)?,
        };
        // What is taken away was granted, and counted then.
        let count = if grant.granted { count + 1 } else { count - 1 };
        counts.insert(whose, count);
    }
    for ((stream, account), count) in counts {
        let row = count_row(stream, account, seq);
        rows.push((row, count.to_be_bytes().to_vec()));
    }
    Ok(rows)
}
