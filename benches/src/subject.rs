//! What a store has to do here, whoever made it. A subject does whole jobs, because how a store
//! overlaps work is part of what is measured: ours keeps many requests in flight on few threads,
//! the others get a thread for each.

use std::time::Duration;

use bytes::Buf;

use crate::{
    error::{Error, Result},
    values::{CHUNK_LEN, Values},
};

/// Values of one durable group: 16 MiB.
pub const GROUP: usize = 64;

/// Store values `0..count` of [`CHUNK_LEN`] bytes; each [`GROUP`] of them is durable before the job
/// ends, and groups become durable in order.
#[derive(Clone, Copy)]
pub struct Fill<'bench> {
    /// Where the bytes come from.
    pub values: &'bench Values,
    /// How many.
    pub count: u64,
}

/// Read pieces of stored values and check each with [`Reads::check`].
#[derive(Clone, Copy)]
pub struct Reads<'bench> {
    /// What was stored.
    pub values: &'bench Values,
    /// Value and offset of each piece.
    pub picks: &'bench [(u64, usize)],
    /// Bytes of each piece.
    pub len: usize,
    /// Reads in flight at once.
    pub depth: usize,
}

/// Store small values from `first` on, each durable before its client puts the next.
#[derive(Clone, Copy)]
pub struct SmallPuts<'bench> {
    /// Where the bytes come from.
    pub values: &'bench Values,
    /// Number of the first value.
    pub first: u64,
    /// Bytes of each value.
    pub len: usize,
    /// Clients at once.
    pub clients: usize,
    /// How long clients go on starting puts.
    pub span: Duration,
}

/// A store under measurement, in a folder of its own.
pub trait Subject {
    /// Does the job.
    ///
    /// # Errors
    /// When the store refuses.
    fn fill(&mut self, job: Fill<'_>) -> Result<()>;

    /// Does the job.
    ///
    /// # Errors
    /// When the store refuses, or returns other bytes.
    fn read(&mut self, job: Reads<'_>) -> Result<()>;

    /// Does the job; returns how many values were stored. Their numbers have no gaps.
    ///
    /// # Errors
    /// When the store refuses.
    fn put_small(&mut self, job: SmallPuts<'_>) -> Result<u64>;

    /// Makes the next reads come from the disk. Not measured.
    ///
    /// # Errors
    /// When the caches cannot be dropped.
    fn cool(&mut self) -> Result<()>;
}

/// Bytes of an end that is compared.
const END_LEN: usize = 64;

impl Reads<'_> {
    /// Checks what pick number `at` brought. Large pieces are compared at both ends, and every
    /// sixteenth of them whole, so that comparing costs less than reading.
    ///
    /// # Errors
    /// When a byte differs, or the length does.
    pub fn check(&self, subject: &'static str, at: usize, mut bytes: impl Buf) -> Result<()> {
        let (index, offset) = self.picks[at];
        let whole = self.len < CHUNK_LEN || at.is_multiple_of(16);
        let ends = if whole { self.len } else { END_LEN };
        let mut same = bytes.remaining() == self.len && self.same(index, offset, &mut bytes, ends);
        if same && !whole {
            bytes.advance(self.len - 2 * END_LEN);
            same = self.same(index, offset + self.len - END_LEN, &mut bytes, END_LEN);
        }
        same.then_some(()).ok_or(Error::Wrong { subject, index })
    }

    /// Takes the next `len` bytes; whether they are those of value `index` from `offset` on.
    fn same(&self, index: u64, mut offset: usize, bytes: &mut impl Buf, len: usize) -> bool {
        let end = offset + len;
        while offset < end {
            let run = bytes.chunk();
            let run = &run[..run.len().min(end - offset)];
            if !self.values.matches(index, offset, run) {
                return false;
            }
            offset += run.len();
            let taken = run.len();
            bytes.advance(taken);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Reads;
    use crate::values::{CHUNK_LEN, Values};

    /// Proves that wrong, short and misplaced bytes are refused.
    #[test]
    fn refuses_wrong_bytes() {
        let values = Values::new(1);
        let whole = values.value(7, CHUNK_LEN);
        let reads = Reads {
            values: &values,
            picks: &[(7, 0), (7, 0)],
            len: CHUNK_LEN,
            depth: 1,
        };
        for at in [0, 1] {
            reads.check("x", at, &whole[..]).unwrap();
            assert!(reads.check("x", at, &whole[1..]).is_err());
            for wrong_at in [0, CHUNK_LEN - 1] {
                let mut wrong = whole.clone();
                wrong[wrong_at] ^= 1;
                assert!(reads.check("x", at, &wrong[..]).is_err());
            }
        }
        let pages = Reads {
            values: &values,
            picks: &[(7, 8192)],
            len: 4096,
            depth: 1,
        };
        pages.check("x", 0, &whole[8192..12_288]).unwrap();
        assert!(pages.check("x", 0, &whole[4096..8192]).is_err());
    }
}
