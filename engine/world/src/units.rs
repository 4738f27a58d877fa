//! Sizes in memory (`usize`) and on disk (`u64`): the same number on every target we build for.

const _: () = assert!(
    usize::BITS == 64,
    "a file offset must fit in memory arithmetic; 32-bit targets would wrap"
);

/// A file offset or length as a size in memory.
pub(crate) fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("usize has 64 bits, asserted above")
}

/// A size in memory as a file offset or length.
pub(crate) fn on_disk(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("usize has 64 bits, asserted above")
}
