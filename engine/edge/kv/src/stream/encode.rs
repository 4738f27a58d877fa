//! Writes a transaction: for our own client, and for tests.

use bytes::Bytes;

use super::{Control, KEY_LEN_MAX, KEYS_LEN_MAX, LIST_MAX, Read, StreamId, tags};

/// A transaction before it is bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Of what was read, nothing may be newer. `u64::MAX` where anything may.
    pub version: u64,
    /// What was read.
    pub reads: Vec<Read>,
    /// What is written: stream, key, value. An empty value removes the key.
    pub writes: Vec<(StreamId, Bytes, Bytes)>,
    /// What changes about who writes.
    pub controls: Vec<Control>,
}

/// A draft that has no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// A list has too many entries.
    #[error("a list of {0} entries: {LIST_MAX} are the most")]
    List(usize),
    /// A key is empty or too long.
    #[error("a key of {0} bytes: 1 to {KEY_LEN_MAX} are allowed")]
    Key(usize),
    /// All keys together are too long.
    #[error("keys of {0} bytes together: {KEYS_LEN_MAX} are the most")]
    Keys(u64),
}

impl Draft {
    /// Its bytes.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn encode(&self) -> Result<Vec<u8>, TooLong> {
        let mut to = self.version.to_be_bytes().to_vec();
        let mut keys_len = 0;
        count(&mut to, self.reads.len())?;
        for read in &self.reads {
            to.extend_from_slice(read.stream.0.as_bytes());
            key(&mut to, &mut keys_len, &read.key)?;
        }
        count(&mut to, self.writes.len())?;
        for (stream, name, value) in &self.writes {
            to.extend_from_slice(stream.0.as_bytes());
            key(&mut to, &mut keys_len, name)?;
            let len = u64::try_from(value.len()).expect("usize fits in u64");
            to.extend_from_slice(&len.to_be_bytes());
        }
        for (_, _, value) in &self.writes {
            to.extend_from_slice(value);
        }
        count(&mut to, self.controls.len())?;
        for control in &self.controls {
            to.push(control.op.code());
            to.extend_from_slice(control.stream.0.as_bytes());
            if control.op.has_key() {
                key(&mut to, &mut keys_len, &control.key)?;
            }
            if control.op.has_account() {
                to.extend_from_slice(&control.account.unwrap_or_default().0);
            }
        }
        Ok(to)
    }

    /// The tags that it must be submitted with: every stream that it writes or controls, once.
    pub fn tags(&self) -> Vec<u8> {
        let written = self.writes.iter().map(|(stream, _, _)| *stream);
        let controlled = self.controls.iter().map(|control| control.stream);
        let mut streams: Vec<StreamId> = written.chain(controlled).collect();
        streams.sort_unstable();
        streams.dedup();
        tags::of(streams)
    }
}

fn count(to: &mut Vec<u8>, len: usize) -> Result<(), TooLong> {
    let count = u32::try_from(len).ok().filter(|count| *count <= LIST_MAX);
    let count = count.ok_or(TooLong::List(len))?;
    to.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

fn key(to: &mut Vec<u8>, keys_len: &mut u64, key: &[u8]) -> Result<(), TooLong> {
    if key.is_empty() || key.len() > KEY_LEN_MAX {
        return Err(TooLong::Key(key.len()));
    }
    let len = u32::try_from(key.len()).expect("checked above");
    *keys_len += u64::from(len);
    if *keys_len > KEYS_LEN_MAX {
        return Err(TooLong::Keys(*keys_len));
    }
    to.extend_from_slice(&len.to_be_bytes()[1..]);
    to.extend_from_slice(key);
    Ok(())
}
