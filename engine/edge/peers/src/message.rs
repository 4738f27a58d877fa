//! What nodes say to each other, as bytes. Little-endian; each message begins with its version and kind.
//!
//! ```text
//!          0  1  2                                                                        bytes
//!  Hello  │1│0│ slice id 8 │ slice count 8 │ next seq 8 │ complete below 8 │                 34
//!  Want   │1│1│ id 8 │ root 32 │ size 8 │ n 1 │ n × index 8 │                        51 + 8 n
//!  Have   │1│2│ id 8 │ index 8 │ n 1 │ chunk root 32 │ n × sibling 32 │ bytes 1..=262144 │
//!  Lack   │1│3│ id 8 │ n 1 │ n × index 8 │                                           11 + 8 n
//! ```
//! Hello, Want and Lack go over one channel, Have over another, so that a word never waits behind
//! chunks. Indices are 1 to 16, ascending; those of a Want are below the blob's count of chunks.
//! Siblings are 46 at most. Every message has one encoding, and decoding takes memory for indices and
//! siblings only: the bytes of a chunk stay where they are.
//!
//! Another version is not an error of the sender: it is left alone. What is of this version and cannot
//! be read is.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use lode_proofs::{BlobShape, CHUNK_LEN, Hash32};
use lode_wire::{Slice, SliceError};

use crate::bounds::WANT_MAX;

/// Version of all that is here.
pub const VERSION: u8 = 1;
/// Siblings of a chunk: the longest way up of a blob of 2^64 bytes.
pub const SIBLINGS_MAX: usize = 46;
/// Bytes of the largest message.
pub const MESSAGE_LEN_MAX: usize = HAVE_HEAD + 32 * SIBLINGS_MAX + CHUNK_LEN;

/// Bytes of a Have before its siblings.
const HAVE_HEAD: usize = 2 + 8 + 8 + 1 + 32;

/// What one node says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// What I keep.
    Hello(Hello),
    /// Send me these.
    Want(Want),
    /// Here is one.
    Have(Have),
    /// These are not here.
    Lack(Lack),
}

/// What a node keeps, said to all now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Its slice.
    pub slice: Slice,
    /// Submissions that it knows.
    pub next_seq: u64,
    /// All blobs of submissions below it are complete there, as far as its slice goes.
    pub complete_below: u64,
}

/// A request for chunks of one blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Number that answers come with.
    pub id: u64,
    /// The blob's root.
    pub root: Hash32,
    /// The blob's bytes.
    pub size: u64,
    /// Which chunks, ascending: 1 to [`WANT_MAX`].
    pub indices: Vec<u64>,
}

/// A chunk, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Have {
    /// Of which request.
    pub id: u64,
    /// Which chunk.
    pub index: u64,
    /// Root over its sectors.
    pub chunk_root: Hash32,
    /// Siblings from the bottom up, at most [`SIBLINGS_MAX`].
    pub siblings: Vec<Hash32>,
    /// The chunk, without fill.
    pub bytes: Bytes,
}

/// Chunks that were asked for and do not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Of which request.
    pub id: u64,
    /// Which chunks, ascending: 1 to [`WANT_MAX`].
    pub indices: Vec<u64>,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Of another version: the sender is not to blame.
    #[error("version {0}, not {VERSION}")]
    Version(u8),
    /// No such kind.
    #[error("kind {0}")]
    Kind(u8),
    /// Too short, or too long.
    #[error("the length is not that of its kind")]
    Length,
    /// A slice that does not exist.
    #[error(transparent)]
    Slice(#[from] SliceError),
    /// Complete below more than is known.
    #[error("complete below {complete_below}, but knows {next_seq}")]
    Complete {
        /// Complete below.
        complete_below: u64,
        /// Known.
        next_seq: u64,
    },
    /// Not 1 to 16 indices.
    #[error("{0} indices, not 1 to 16")]
    Count(usize),
    /// Indices that do not ascend.
    #[error("indices do not ascend")]
    Order,
    /// An index that the blob does not have.
    #[error("chunk {0} is beyond the blob")]
    Index(u64),
    /// A blob of no bytes.
    #[error("the blob is empty")]
    Empty,
    /// More siblings than any chunk has.
    #[error("{0} siblings, no chunk has more than 46")]
    Siblings(usize),
}

impl Message {
    /// The message as bytes: all but a chunk's own, and these, which are not copied.
    ///
    /// # Panics
    /// If a list is longer than its bound: whoever makes a message keeps to it.
    #[must_use]
    pub fn encode(&self) -> [Bytes; 2] {
        let mut out = BytesMut::with_capacity(64);
        out.put_u8(VERSION);
        let bytes = match self {
            Message::Hello(hello) => {
                out.put_u8(0);
                out.put_u64_le(hello.slice.id());
                out.put_u64_le(hello.slice.count());
                out.put_u64_le(hello.next_seq);
                out.put_u64_le(hello.complete_below);
                Bytes::new()
            }
            Message::Want(want) => {
                out.put_u8(1);
                out.put_u64_le(want.id);
                out.put_slice(&want.root.0);
                out.put_u64_le(want.size);
                put_indices(&mut out, &want.indices);
                Bytes::new()
            }
            Message::Have(have) => {
                out.put_u8(2);
                out.put_u64_le(have.id);
                out.put_u64_le(have.index);
                out.put_u8(count(have.siblings.len(), SIBLINGS_MAX));
                out.put_slice(&have.chunk_root.0);
                for sibling in &have.siblings {
                    out.put_slice(&sibling.0);
                }
                have.bytes.clone()
            }
            Message::Lack(lack) => {
                out.put_u8(3);
                out.put_u64_le(lack.id);
                put_indices(&mut out, &lack.indices);
                Bytes::new()
            }
        };
        [out.freeze(), bytes]
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(mut bytes: Bytes) -> Result<Message, Malformed> {
        let version = take_u8(&mut bytes)?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let message = match take_u8(&mut bytes)? {
            0 => Message::Hello(hello(&mut bytes)?),
            1 => Message::Want(want(&mut bytes)?),
            2 => Message::Have(have(&mut bytes)?),
            3 => Message::Lack(Lack {
                id: take_u64(&mut bytes)?,
                indices: indices(&mut bytes)?,
            }),
            kind => return Err(Malformed::Kind(kind)),
        };
        match bytes.is_empty() {
            true => Ok(message),
            false => Err(Malformed::Length),
        }
    }
}

fn hello(bytes: &mut Bytes) -> Result<Hello, Malformed> {
    let (id, count) = (take_u64(bytes)?, take_u64(bytes)?);
    let (next_seq, complete_below) = (take_u64(bytes)?, take_u64(bytes)?);
    if complete_below > next_seq {
        return Err(Malformed::Complete {
            complete_below,
            next_seq,
        });
    }
    Ok(Hello {
        slice: Slice::new(id, count)?,
        next_seq,
        complete_below,
    })
}

fn want(bytes: &mut Bytes) -> Result<Want, Malformed> {
    let want = Want {
        id: take_u64(bytes)?,
        root: take_hash(bytes)?,
        size: take_u64(bytes)?,
        indices: indices(bytes)?,
    };
    let shape = BlobShape::new(want.size).map_err(|_| Malformed::Empty)?;
    match want.indices.last() {
        Some(last) if *last >= shape.chunks() => Err(Malformed::Index(*last)),
        _ => Ok(want),
    }
}

fn have(bytes: &mut Bytes) -> Result<Have, Malformed> {
    let (id, index) = (take_u64(bytes)?, take_u64(bytes)?);
    let siblings = usize::from(take_u8(bytes)?);
    if siblings > SIBLINGS_MAX {
        return Err(Malformed::Siblings(siblings));
    }
    let chunk_root = take_hash(bytes)?;
    let siblings: Vec<Hash32> = (0..siblings)
        .map(|_| take_hash(bytes))
        .collect::<Result<_, _>>()?;
    if !(1..=CHUNK_LEN).contains(&bytes.len()) {
        return Err(Malformed::Length);
    }
    Ok(Have {
        id,
        index,
        chunk_root,
        siblings,
        bytes: bytes.split_to(bytes.len()),
    })
}

fn put_indices(out: &mut BytesMut, indices: &[u64]) {
    out.put_u8(count(indices.len(), WANT_MAX));
    for index in indices {
        out.put_u64_le(*index);
    }
}

fn count(len: usize, max: usize) -> u8 {
    assert!(len <= max, "a list of {len} is longer than its bound");
    u8::try_from(len).expect("bounds are below 256")
}

fn indices(bytes: &mut Bytes) -> Result<Vec<u64>, Malformed> {
    let count = usize::from(take_u8(bytes)?);
    if !(1..=WANT_MAX).contains(&count) {
        return Err(Malformed::Count(count));
    }
    let indices: Vec<u64> = (0..count)
        .map(|_| take_u64(bytes))
        .collect::<Result<_, _>>()?;
    match indices.is_sorted_by(|left, right| left < right) {
        true => Ok(indices),
        false => Err(Malformed::Order),
    }
}

fn take_u8(bytes: &mut Bytes) -> Result<u8, Malformed> {
    bytes.try_get_u8().map_err(|_| Malformed::Length)
}

fn take_u64(bytes: &mut Bytes) -> Result<u64, Malformed> {
    bytes.try_get_u64_le().map_err(|_| Malformed::Length)
}

fn take_hash(bytes: &mut Bytes) -> Result<Hash32, Malformed> {
    let mut hash = Hash32([0; 32]);
    let taken = bytes.try_copy_to_slice(&mut hash.0);
    taken.map_err(|_| Malformed::Length)?;
    Ok(hash)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
