//! Memory for direct IO, aligned to [`ALIGN`] without a line of unsafe code: a window of an
//! ordinary vector that is one page longer.

use crate::ALIGN;

/// Zeroed when new. Moving it does not move its bytes.
#[derive(Default)]
pub(crate) struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn new(len: usize) -> Self {
        let memory = vec![0; len + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN);
        Self { memory, start, len }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }

    /// Keeps the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        assert!(
            len <= self.len,
            "truncate to {len} bytes would grow a buffer of {}",
            self.len
        );
        self.len = len;
    }

    /// Gives back what truncation took.
    pub(crate) fn restore(&mut self) {
        self.len = self.memory.len().saturating_sub(ALIGN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes stay aligned and in place through moves, truncation and restoration.
    #[test]
    fn stays_aligned_and_keeps_its_bytes() {
        for len in [ALIGN, 3 * ALIGN, 1 << 20] {
            let mut memory = Aligned::new(len);
            assert!(memory.bytes().as_ptr().addr().is_multiple_of(ALIGN));
            memory.bytes_mut().fill(7);
            memory.truncate(ALIGN);
            assert_eq!(memory.bytes(), [7; ALIGN]);
            let mut moved = Box::new(memory);
            moved.restore();
            assert_eq!(moved.bytes(), vec![7; len]);
            assert!(moved.bytes().as_ptr().addr().is_multiple_of(ALIGN));
        }
    }
}
