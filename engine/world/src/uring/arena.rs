//! The memory of one executor for direct IO: one mapping, registered with its ring where the limits
//! allow, handed out in pieces.

use crate::{ALIGN, memory::Aligned};
use memmap2::{Advice, MmapMut};
use std::{cell::RefCell, collections::BTreeMap, io, rc::Rc};

/// Where pieces come from while it lasts; beyond it they come from the heap.
pub(super) struct Arena {
    base: *mut u8,
    /// Free pieces: start and length in bytes. No two of them touch.
    free: RefCell<BTreeMap<usize, usize>>,
    /// Keeps what `base` points to.
    map: MmapMut,
}

impl Arena {
    /// Maps `len` bytes, a multiple of [`ALIGN`].
    ///
    /// # Errors
    /// When the system has no memory.
    pub(super) fn new(len: usize) -> io::Result<Rc<Self>> {
        let mut map = MmapMut::map_anon(len)?;
        // Registration then pins few large pages; where the system has none, small ones do.
        let _refused = map.advise(Advice::HugePage);
        Ok(Rc::new(Self {
            base: map.as_mut_ptr(),
            free: RefCell::new(BTreeMap::from([(0, len)])),
            map,
        }))
    }

    /// The whole mapping, as the ring registers it.
    pub(super) fn whole(&self) -> libc::iovec {
        libc::iovec {
            iov_base: self.base.cast(),
            iov_len: self.map.len(),
        }
    }

    /// `len` bytes, a multiple of [`ALIGN`], aligned to it; their contents are left from before.
    pub(super) fn take(self: &Rc<Self>, len: usize) -> Memory {
        let place = self.cut(len).map_or_else(
            || Place::Heap(Aligned::new(len)),
            |start| Place::Arena(Rc::clone(self), start, len),
        );
        Memory { place, len }
    }

    /// The first free piece that is long enough: low addresses are used again soonest, and lie in
    /// the processor's caches.
    fn cut(&self, len: usize) -> Option<usize> {
        let mut free = self.free.borrow_mut();
        let (start, have) = free.iter().find(|(_, have)| **have >= len)?;
        let (start, have) = (*start, *have);
        free.remove(&start);
        if have > len {
            free.insert(start + len, have - len);
        }
        Some(start)
    }

    fn give_back(&self, start: usize, len: usize) {
        let mut free = self.free.borrow_mut();
        let (mut start, mut len) = (start, len);
        if let Some(after) = free.remove(&(start + len)) {
            len += after;
        }
        if let Some((before, have)) = free.range(..start).next_back()
            && before + have == start
        {
            start = *before;
            len += *have;
        }
        free.insert(start, len);
    }
}

/// A piece of memory that one owner reads and writes.
pub(super) struct Memory {
    place: Place,
    /// Bytes in use, at most what was taken.
    len: usize,
}

enum Place {
    /// Start and taken length in the arena.
    Arena(Rc<Arena>, usize, usize),
    Heap(Aligned),
}

impl Memory {
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.place {
            // SAFETY: the piece lies in the mapping, which lives as long as the arena that this
            // holds; pieces do not overlap, so only `self` reaches these bytes, which are
            // initialised since the mapping began as zeroes.
            // JUSTIFICATION: memory that is registered with the ring as one piece spares the
            // kernel pinning its pages at each IO, 15 % of the 4 KiB reads per second; safe
            // vectors would have to be registered one by one.
            Place::Arena(arena, start, _) => unsafe {
                std::slice::from_raw_parts(arena.base.add(*start), self.len)
            },
            Place::Heap(memory) => &memory.bytes()[..self.len],
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.place {
            // SAFETY: as above, and `self` is borrowed for writing.
            Place::Arena(arena, start, _) => unsafe {
                std::slice::from_raw_parts_mut(arena.base.add(*start), self.len)
            },
            Place::Heap(memory) => &mut memory.bytes_mut()[..self.len],
        }
    }

    /// Whether it belongs to the arena, and so to what the ring has registered.
    pub(super) fn is_registered(&self) -> bool {
        matches!(self.place, Place::Arena(..))
    }

    /// Keeps the first `len` bytes; the rest comes back with them.
    pub(super) fn truncate(&mut self, len: usize) {
        assert!(
            len <= self.len,
            "truncate to {len} bytes would grow a buffer of {}",
            self.len
        );
        self.len = len;
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Place::Arena(arena, start, len) = &self.place {
            arena.give_back(*start, *len);
        }
    }
}

const _: () = assert!(
    ALIGN == 4096,
    "mappings are aligned to pages, the least of which is 4096"
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces are apart from each other, come back whole in any order, and go on from the heap.
    #[test]
    fn pieces_come_back() {
        let arena = Arena::new(16 * ALIGN).unwrap();
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            let mut pieces: Vec<_> = [1, 3, 5, 7]
                .map(|pages| Some(arena.take(pages * ALIGN)))
                .into();
            for (number, piece) in (1..).zip(pieces.iter_mut().flatten()) {
                assert!(piece.bytes().as_ptr().addr().is_multiple_of(ALIGN));
                assert!(piece.is_registered());
                piece.bytes_mut().fill(number);
            }
            let mut more = arena.take(2 * ALIGN);
            more.bytes_mut().fill(9);
            assert!(!more.is_registered());
            for (number, piece) in (1..).zip(pieces.iter_mut().flatten()) {
                assert!(piece.bytes().iter().all(|byte| *byte == number));
                piece.truncate(ALIGN);
            }
            for index in order {
                pieces[index] = None;
            }
            assert_eq!(*arena.free.borrow(), BTreeMap::from([(0, 16 * ALIGN)]));
        }
    }
}
