//! Chunk buffers that are used again.
//!
//! A fresh 256 KiB allocation costs an mmap and 64 page faults, about 200 µs: more than reading
//! the chunk. Each executor keeps a few; a buffer dropped on another executor stays there.

use std::cell::RefCell;

use bytes::Bytes;
use lode_proofs::CHUNK_LEN;

/// Buffers that an executor keeps: 8 MiB.
const KEPT: usize = 32;

/// Bytes up to which a buffer of its own is cheap.
const SMALL: usize = 32 << 10;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer with room for a chunk; goes back to the pool when dropped.
pub struct ChunkBuf(Vec<u8>);

impl ChunkBuf {
    /// An empty buffer with room for a chunk.
    pub fn new() -> ChunkBuf {
        let kept = POOL.with_borrow_mut(Vec::pop);
        let mut vec = kept.unwrap_or_else(|| Vec::with_capacity(CHUNK_LEN));
        vec.clear();
        ChunkBuf(vec)
    }

    /// An empty buffer that is given `len` bytes and no more: a chunk's room only if that is much,
    /// because a small piece of a small heap costs less than a large one that travels far.
    pub fn with_room(len: usize) -> ChunkBuf {
        if len > SMALL {
            return ChunkBuf::new();
        }
        ChunkBuf(Vec::with_capacity(len))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes as many of `bytes` as there is room for in a chunk; returns how many.
    pub fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(CHUNK_LEN - self.0.len());
        self.0.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// Shares the bytes; the buffer goes back to the pool of the thread that drops the last part.
    pub fn share(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Default for ChunkBuf {
    fn default() -> Self {
        ChunkBuf::new()
    }
}

impl AsRef<[u8]> for ChunkBuf {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for ChunkBuf {
    fn drop(&mut self) {
        let vec = std::mem::take(&mut self.0);
        // The pool of a thread that is ending is gone: then the buffer is simply freed.
        let _ended = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT && vec.capacity() >= CHUNK_LEN {
                pool.push(vec);
            }
        });
    }
}
