//! For tests: a flow that the test writes, as a feed, and transactions in few words.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use lode_proofs::{CHUNK_LEN, Hash32, blob_tree};
use lode_wire::cipher::{Cipher, Header, Key, Keys, PrivateKey};

use crate::{
    account::Account,
    feed::{Feed, FeedError, Submission},
    stream::{Control, Draft, Op, StreamId, tags},
};

pub(crate) fn stream(byte: u8) -> StreamId {
    StreamId(Hash32([byte; 32]))
}

pub(crate) fn account(byte: u8) -> Account {
    Account([byte; 20])
}

/// A transaction that writes.
pub(crate) fn write(stream: StreamId, key: &[u8], value: &[u8]) -> Draft {
    Draft {
        version: u64::MAX,
        writes: vec![(stream, key.to_vec().into(), value.to_vec().into())],
        ..Draft::default()
    }
}

/// A control.
pub(crate) fn control(op: Op, stream: StreamId, key: &[u8], who: Account) -> Control {
    Control {
        op,
        stream,
        key: if op.has_key() {
            key.to_vec().into()
        } else {
            Bytes::new()
        },
        account: op.has_account().then_some(who),
    }
}

/// The keys of a node that opens both versions.
pub(crate) fn keys() -> Keys {
    Keys {
        symmetric: Some(Key::new([3; 32])),
        private: Some(PrivateKey::new(&[5; 32]).unwrap()),
    }
}

/// How a transaction is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Plain,
    V1,
    V2,
}

impl Lock {
    /// The bytes, encrypted so that those of [`keys`] open them.
    pub(crate) fn close(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let nonce = [0xff; 16];
        let (header, key) = match self {
            Lock::Plain => return bytes,
            Lock::V1 => (Header::Symmetric { nonce }, Key::new([3; 32])),
            Lock::V2 => {
                let to = keys().private.unwrap().public();
                Header::to(&to, &PrivateKey::new(&[9; 32]).unwrap(), nonce)
            }
        };
        Cipher::new(key, &header).apply(0, &mut bytes);
        bytes.splice(0..0, header.encode());
        bytes
    }
}

/// A blob in the flow.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) submission: Submission,
    pub(crate) bytes: Bytes,
    /// Whether its bytes can be had.
    pub(crate) there: bool,
}

/// What the flow is, and how its feed behaves.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) entries: Vec<Entry>,
    /// It tells no more than these.
    pub(crate) known: Option<usize>,
    /// It answers nothing.
    pub(crate) dead: bool,
    /// It sends other bytes.
    pub(crate) lies: bool,
    /// It tells of wrong numbers.
    pub(crate) confused: bool,
    /// Chunks that were asked for.
    pub(crate) asked: u64,
}

impl Flow {
    /// Appends a blob. Its bytes are there.
    pub(crate) fn push(&mut self, sender: Account, tags: Vec<u8>, bytes: Vec<u8>) -> u64 {
        let seq = u64::try_from(self.entries.len()).unwrap();
        let submission = Submission {
            seq,
            root: blob_tree(&bytes).unwrap().root(),
            size: bytes.len().try_into().unwrap(),
            tags: tags.into(),
            sender,
            block: 10 * seq,
            transaction: Hash32([7; 32]),
            given_up: false,
        };
        self.entries.push(Entry {
            submission,
            bytes: bytes.into(),
            there: true,
        });
        seq
    }

    /// Appends a transaction with the tags that it needs.
    pub(crate) fn add(&mut self, sender: Account, draft: &Draft) -> u64 {
        self.push(sender, draft.tags(), draft.encode().unwrap())
    }

    /// The same with tags that name these streams.
    pub(crate) fn tagged(&mut self, sender: Account, to: &[StreamId], draft: &Draft) -> u64 {
        let tags = tags::of(to.iter().copied());
        self.push(sender, tags, draft.encode().unwrap())
    }

    pub(crate) fn at(&mut self, seq: u64) -> &mut Entry {
        &mut self.entries[usize::try_from(seq).unwrap()]
    }
}

/// The feed of a flow.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Flow>>);

impl Script {
    pub(crate) fn flow(&self) -> MutexGuard<'_, Flow> {
        self.0.lock().unwrap()
    }
}

impl Feed for Script {
    async fn submissions(&self, from: u64, limit: u64) -> Result<Vec<Submission>, FeedError> {
        let flow = self.flow();
        if flow.dead {
            return Err(FeedError::Unreachable("dead".to_owned()));
        }
        let known = flow.known.unwrap_or(flow.entries.len());
        let told = flow.entries.iter().take(known);
        let told = told.map(|entry| entry.submission.clone());
        let wanted = told.filter(|one| one.seq >= from && one.seq < from + limit);
        let mut page: Vec<Submission> = wanted.collect();
        if flow.confused {
            page.reverse();
        }
        Ok(page)
    }

    async fn chunk(&self, of: &Submission, index: u64) -> Result<Option<Bytes>, FeedError> {
        let mut flow = self.flow();
        flow.asked += 1;
        if flow.dead {
            return Err(FeedError::Unreachable("dead".to_owned()));
        }
        if flow.lies {
            return Err(FeedError::Lie(lode_proofs::Refusal::Data));
        }
        let place = usize::try_from(of.seq).unwrap();
        let Some(entry) = flow.entries.get(place) else {
            // The chain has dropped it.
            return Ok(None);
        };
        if entry.submission.root != of.root {
            return Err(FeedError::Senseless("another root".to_owned()));
        }
        if !entry.there {
            return Ok(None);
        }
        let at = usize::try_from(index).unwrap() * CHUNK_LEN;
        let end = entry.bytes.len().min(at + CHUNK_LEN);
        Ok(Some(entry.bytes.slice(at..end)))
    }
}
