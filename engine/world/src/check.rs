//! What a caller must keep to, asserted alike in every world.

use crate::{ALIGN, units::on_disk};
use std::io;

/// The largest write buffer in bytes, as [`crate::File::alloc`] promises: what one IO moves well.
const BUFFER_LEN_MAX: usize = 1 << 20;

/// A buffer's length: some pages, at most 1 MiB.
pub(crate) fn buffer(bytes: usize) {
    range(0, bytes);
    assert!(
        bytes <= BUFFER_LEN_MAX,
        "a buffer of {bytes} bytes is larger than {BUFFER_LEN_MAX}"
    );
}

/// The place of an IO: whole pages, at least one.
pub(crate) fn range(at: u64, bytes: usize) {
    assert!(bytes > 0, "an IO moves at least one page");
    len(at);
    len(on_disk(bytes));
}

/// An offset or length: whole pages.
pub(crate) fn len(bytes: u64) {
    assert!(
        bytes.is_multiple_of(on_disk(ALIGN)),
        "{bytes} is not a multiple of {ALIGN}"
    );
}

/// The error of a read that met the end of the file.
pub(crate) fn past_end(at: u64, asked: usize, got: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the file ends within the read: {got} of {asked} bytes at {at}"),
    )
}
