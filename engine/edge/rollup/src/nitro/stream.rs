//! Messages that come in chunks (nitro, `daprovider/data_streaming`): begun, filled in any order, and
//! taken out whole. Few at once, of few bytes in all, and each for a minute after its last chunk.
//!
//! What the protocol calls a signature is keccak256 of the chunk and the numbers beside it, 8 bytes each:
//! it shows that nothing was changed on the way, not who sent it.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use sha3::{Digest as _, Keccak256};

use crate::machine::Machine;

/// Messages at once, as Nitro's server.
const MESSAGES_MAX: usize = 10;
/// Bytes of all of them: what they may grow to counts, not what is there. Two of the longest that the
/// face takes, or 64 MiB.
const LEN_MAX: u64 = 64 << 20;
/// Chunks of a message: each has an entry in a list before it is there.
const CHUNKS_MAX: u64 = 65_536;
/// Seconds after its last chunk that a message is kept, as in Nitro's server.
const KEPT_SECS: u64 = 60;
/// Seconds between when a message was begun by its sender's clock and by ours, either way, as there.
const SKEW_SECS: u64 = 300;

/// See the file's head.
pub struct Streams {
    machine: Machine,
    message_len_max: u64,
    len_max: u64,
    messages: Mutex<BTreeMap<u64, Message>>,
}

struct Message {
    chunks: Vec<Option<Vec<u8>>>,
    missing: usize,
    chunk_len: u64,
    len: u64,
    timeout: u64,
    kept_until: u64,
}

/// What a message is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When it was begun, unix seconds.
    pub timestamp: u64,
    /// Its chunks.
    pub chunks: u64,
    /// Bytes of each but the last.
    pub chunk_len: u64,
    /// Its bytes.
    pub len: u64,
    /// Until when it is to be kept.
    pub timeout: u64,
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The hash is another.
    #[error("signature does not match")]
    Signature,
    /// It was begun at another time than now.
    #[error("too much time has elapsed since request was signed")]
    Old,
    /// Longer than a message may be.
    #[error("{}", super::methods::TOO_LARGE)]
    TooLong,
    /// Numbers that do not fit each other.
    #[error("{chunks} chunks of {chunk_len} bytes are no message of {len}")]
    Plan {
        /// Chunks.
        chunks: u64,
        /// Bytes of each.
        chunk_len: u64,
        /// Bytes of all.
        len: u64,
    },
    /// No place for another one.
    #[error("can't start collecting new message: already {0} pending")]
    Full(usize),
    /// No such message, or one whose time is over.
    #[error("unknown message({0})")]
    Unknown(u64),
    /// The message has no such chunk.
    #[error("message({message}): chunk({chunk}) out of range")]
    Range {
        /// Which message.
        message: u64,
        /// Which chunk.
        chunk: u64,
    },
    /// A chunk of another length.
    #[error(
        "message({message}): chunk({chunk}) has incorrect size ({got} bytes) - expecting {want} bytes"
    )]
    Length {
        /// Which message.
        message: u64,
        /// Which chunk.
        chunk: u64,
        /// Bytes found.
        got: u64,
        /// Bytes that it must have.
        want: u64,
    },
    /// It came before with other bytes: nobody knows which are right.
    #[error("received different chunk data than previously; aborting protocol")]
    Other,
    /// Chunks are missing. The message is gone, as with Nitro's server.
    #[error("incomplete message({message}): got {got}/{want} chunks")]
    Incomplete {
        /// Which message.
        message: u64,
        /// Chunks that are there.
        got: usize,
        /// Chunks that it has.
        want: usize,
    },
}

impl Streams {
    /// None yet. Messages may be so long.
    pub fn new(machine: Machine, message_len_max: u64) -> Streams {
        Streams {
            machine,
            message_len_max,
            len_max: LEN_MAX.max(2 * message_len_max),
            messages: Mutex::default(),
        }
    }

    /// Begins a message; returns its name, which is not zero.
    pub fn begin(&self, plan: &Plan, signature: &[u8]) -> Result<u64, StreamError> {
        let Plan {
            timestamp,
            chunks,
            chunk_len,
            len,
            timeout,
        } = *plan;
        signed(
            &[],
            &[timestamp, chunks, chunk_len, len, timeout],
            signature,
        )?;
        let now = self.machine.unix_secs();
        if now.abs_diff(timestamp) > SKEW_SECS {
            return Err(StreamError::Old);
        }
        if len > self.message_len_max {
            return Err(StreamError::TooLong);
        }
        let fits =
            chunk_len > 0 && len > 0 && chunks <= CHUNKS_MAX && len.div_ceil(chunk_len) == chunks;
        if !fits {
            return Err(StreamError::Plan {
                chunks,
                chunk_len,
                len,
            });
        }
        let mut messages = self.messages.lock();
        messages.retain(|_, message| message.kept_until > now);
        let held: u64 = messages.values().map(|message| message.len).sum();
        if messages.len() >= MESSAGES_MAX || held + len > self.len_max {
            return Err(StreamError::Full(messages.len()));
        }
        let missing = usize::try_from(chunks).expect("at most 65536");
        let name = self.fresh(&messages);
        let message = Message {
            chunks: vec![None; missing],
            missing,
            chunk_len,
            len,
            timeout,
            kept_until: now + KEPT_SECS,
        };
        messages.insert(name, message);
        Ok(name)
    }

    /// A name that nobody guesses: who can is able to spoil another's message.
    fn fresh(&self, taken: &BTreeMap<u64, Message>) -> u64 {
        loop {
            let bytes = self.machine.fresh();
            let name = bytes.first_chunk().expect("it has 32 bytes");
            let name = u64::from_be_bytes(*name);
            if name != 0 && !taken.contains_key(&name) {
                return name;
            }
        }
    }

    /// Takes a chunk. The same once more changes nothing.
    pub fn take(
        &self,
        name: u64,
        number: u64,
        chunk: Vec<u8>,
        signature: &[u8],
    ) -> Result<(), StreamError> {
        signed(&chunk, &[name, number], signature)?;
        let now = self.machine.unix_secs();
        let mut messages = self.messages.lock();
        messages.retain(|_, message| message.kept_until > now);
        let message = messages.get_mut(&name).ok_or(StreamError::Unknown(name))?;
        let out = StreamError::Range {
            message: name,
            chunk: number,
        };
        let place = usize::try_from(number).map_err(|_| out.clone())?;
        let last = place + 1 == message.chunks.len();
        let held = message.chunks.get_mut(place).ok_or(out)?;
        if let Some(held) = held {
            if *held == chunk {
                return Ok(());
            }
            messages.remove(&name);
            return Err(StreamError::Other);
        }
        let want = match last {
            true => (message.len - 1) % message.chunk_len + 1,
            false => message.chunk_len,
        };
        let got = u64::try_from(chunk.len()).expect("64-bit");
        if got != want {
            return Err(StreamError::Length {
                message: name,
                chunk: number,
                got,
                want,
            });
        }
        *held = Some(chunk);
        message.missing -= 1;
        message.kept_until = now + KEPT_SECS;
        Ok(())
    }

    /// Takes a message out: its bytes, and until when they are to be kept.
    pub fn finish(&self, name: u64, signature: &[u8]) -> Result<(Vec<u8>, u64), StreamError> {
        signed(&[], &[name], signature)?;
        let now = self.machine.unix_secs();
        let mut messages = self.messages.lock();
        messages.retain(|_, message| message.kept_until > now);
        let message = messages.remove(&name).ok_or(StreamError::Unknown(name))?;
        drop(messages);
        if message.missing > 0 {
            let want = message.chunks.len();
            return Err(StreamError::Incomplete {
                message: name,
                got: want - message.missing,
                want,
            });
        }
        let chunks = message.chunks.into_iter().flatten();
        let mut bytes = Vec::with_capacity(usize::try_from(message.len).expect("64-bit"));
        chunks.for_each(|chunk| bytes.extend_from_slice(&chunk));
        Ok((bytes, message.timeout))
    }
}

/// Checks a hash of the protocol.
fn signed(bytes: &[u8], numbers: &[u64], signature: &[u8]) -> Result<(), StreamError> {
    let mut hash = Keccak256::new_with_prefix(bytes);
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    (hash.finalize().as_slice() == signature)
        .then_some(())
        .ok_or(StreamError::Signature)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
