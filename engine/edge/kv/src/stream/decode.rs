//! Reads a transaction, list by list, from bytes that may still be elsewhere.
//!
//! Promises: whatever the bytes, it neither panics nor keeps more than [`LIST_MAX`] entries of a list
//! and [`KEYS_LEN_MAX`] bytes of keys, with the pieces of the source in which they lie; counts are
//! believed only entry by entry. Keys are slices of those pieces where they do not straddle two.
//! Values are passed over, not read.

use bytes::{Bytes, BytesMut};
use lode_proofs::Hash32;

use super::{Control, KEYS_LEN_MAX, LIST_MAX, Op, Read, StreamId, Write};
use crate::account::{ACCOUNT_LEN, Account};

/// Why bytes are no transaction. The texts are 0G's, and part of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They end too early, a key is empty, or there is no such control.
    #[error("Invalid stream data")]
    Data,
    /// A list has more than [`LIST_MAX`] entries.
    #[error("Stream read/write/access_control list too long")]
    ListTooLong,
    /// Keys have more than [`KEYS_LEN_MAX`] bytes together. Ours: 0G's replayers have no such limit.
    #[error("Stream keys too long")]
    KeysTooLong,
}

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop<E> {
    /// The bytes are no transaction, and never will be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The bytes could not be had.
    #[error("the source failed: {0}")]
    Source(E),
}

/// Where the bytes are.
pub trait Source {
    /// Why they could not be had.
    type Error;

    /// Bytes in all, the zeros that fill the last sector among them.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some bytes that begin at `at`, which is below [`Source::len`]; at least one, at most a chunk.
    ///
    /// # Errors
    /// When they could not be had.
    fn piece(&mut self, at: u64) -> Result<Bytes, Self::Error>;
}

/// Bytes that are here.
#[derive(Clone, Debug)]
pub struct Memory(pub Bytes);

impl Source for Memory {
    type Error = core::convert::Infallible;

    fn len(&self) -> u64 {
        u64::try_from(self.0.len()).expect("usize fits in u64")
    }

    fn piece(&mut self, at: u64) -> Result<Bytes, Self::Error> {
        let at = usize::try_from(at).expect("a place in memory");
        Ok(self.0.slice(at..))
    }
}

/// The writes of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writes {
    /// One by one, in the order of the transaction; a key may be there twice.
    pub list: Vec<Write>,
    /// Where the first value begins, from the first byte of the transaction.
    pub values_at: u64,
    /// Bytes of all values.
    pub values_len: u64,
}

/// Reads a transaction. Its parts are asked for in their order: [`Decoder::version`],
/// [`Decoder::reads`], [`Decoder::writes`], [`Decoder::controls`].
#[derive(Debug)]
pub struct Decoder<S> {
    source: S,
    /// The next byte.
    at: u64,
    /// What is in hand of the source, from `at` on.
    hand: Bytes,
    keys_len: u64,
}

impl<S: Source> Decoder<S> {
    /// From the first byte of a source.
    pub fn new(source: S) -> Self {
        Decoder {
            source,
            at: 0,
            hand: Bytes::new(),
            keys_len: 0,
        }
    }

    /// Gives the source back.
    pub fn into_source(self) -> S {
        self.source
    }

    /// The version: of what was read, nothing may be newer.
    ///
    /// # Errors
    /// [`Stop`].
    pub fn version(&mut self) -> Result<u64, Stop<S::Error>> {
        self.array().map(u64::from_be_bytes)
    }

    /// What was read.
    ///
    /// # Errors
    /// [`Stop`].
    pub fn reads(&mut self) -> Result<Vec<Read>, Stop<S::Error>> {
        let count = self.count()?;
        let mut list = Vec::new();
        for _ in 0..count {
            let (stream, key) = (self.stream()?, self.key()?);
            list.push(Read { stream, key });
        }
        Ok(list)
    }

    /// What is written, and where the values are, which are not looked at.
    ///
    /// # Errors
    /// [`Stop`].
    pub fn writes(&mut self) -> Result<Writes, Stop<S::Error>> {
        let count = self.count()?;
        let mut list = Vec::new();
        let mut values_len: u64 = 0;
        for _ in 0..count {
            let (stream, key) = (self.stream()?, self.key()?);
            let len = u64::from_be_bytes(self.array()?);
            let at = values_len;
            values_len = values_len.checked_add(len).ok_or(Malformed::Data)?;
            list.push(Write {
                stream,
                key,
                at,
                len,
            });
        }
        let values_at = self.at;
        self.pass(values_len)?;
        Ok(Writes {
            list,
            values_at,
            values_len,
        })
    }

    /// What changes about who writes.
    ///
    /// # Errors
    /// [`Stop`].
    pub fn controls(&mut self) -> Result<Vec<Control>, Stop<S::Error>> {
        let count = self.count()?;
        let mut list = Vec::new();
        for _ in 0..count {
            let [code] = self.array()?;
            let stream = self.stream()?;
            let op = Op::from_code(code).ok_or(Malformed::Data)?;
            let key = if op.has_key() {
                self.key()?
            } else {
                Bytes::new()
            };
            let account = if op.has_account() {
                Some(Account(self.array::<ACCOUNT_LEN>()?))
            } else {
                None
            };
            list.push(Control {
                op,
                stream,
                key,
                account,
            });
        }
        Ok(list)
    }

    fn count(&mut self) -> Result<u32, Stop<S::Error>> {
        let count = u32::from_be_bytes(self.array()?);
        if count > LIST_MAX {
            return Err(Malformed::ListTooLong.into());
        }
        Ok(count)
    }

    fn stream(&mut self) -> Result<StreamId, Stop<S::Error>> {
        Ok(StreamId(Hash32(self.array()?)))
    }

    fn key(&mut self) -> Result<Bytes, Stop<S::Error>> {
        let [high, middle, low] = self.array()?;
        let len = u32::from_be_bytes([0, high, middle, low]);
        if len == 0 || u64::from(len) > self.left() {
            return Err(Malformed::Data.into());
        }
        self.keys_len += u64::from(len);
        if self.keys_len > KEYS_LEN_MAX {
            return Err(Malformed::KeysTooLong.into());
        }
        self.take(usize::try_from(len).expect("24 bits fit in usize"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop<S::Error>> {
        let bytes = self.take(N)?;
        Ok(bytes[..].try_into().expect("as many as were asked for"))
    }

    /// The next `len` bytes, without a copy where one piece has them all.
    fn take(&mut self, len: usize) -> Result<Bytes, Stop<S::Error>> {
        if u64::try_from(len).expect("usize fits in u64") > self.left() {
            return Err(Malformed::Data.into());
        }
        self.fill()?;
        if self.hand.len() >= len {
            return Ok(self.give(len));
        }
        let mut whole = BytesMut::with_capacity(len);
        while whole.len() < len {
            self.fill()?;
            let part = self.hand.len().min(len - whole.len());
            let part = self.give(part);
            whole.extend_from_slice(&part);
        }
        Ok(whole.freeze())
    }

    /// Has something in hand unless everything has been read.
    fn fill(&mut self) -> Result<(), Stop<S::Error>> {
        if self.hand.is_empty() && self.left() > 0 {
            self.hand = self.source.piece(self.at).map_err(Stop::Source)?;
        }
        Ok(())
    }

    fn give(&mut self, len: usize) -> Bytes {
        self.at += u64::try_from(len).expect("usize fits in u64");
        self.hand.split_to(len)
    }

    fn pass(&mut self, len: u64) -> Result<(), Stop<S::Error>> {
        if len > self.left() {
            return Err(Malformed::Data.into());
        }
        self.at += len;
        match usize::try_from(len) {
            Ok(len) if len <= self.hand.len() => drop(self.hand.split_to(len)),
            _ => self.hand.clear(),
        }
        Ok(())
    }

    fn left(&self) -> u64 {
        self.source.len() - self.at
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
