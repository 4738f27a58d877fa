//! Bytes that are put: those of a file, or encrypted ones with their header, whole or a fragment of them.
//!
//! ```text
//!   file            ├──────────── plain ────────────┤
//!   sealed    ├head─┼────────── encrypted ──────────┤
//!   part            ├── window ──┤                       positions count from its beginning
//! ```

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt,
};

use crate::seal::{Seal, Window};

/// Where bytes come from. Any number of threads may read it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    file: &'a File,
    seal: Option<&'a Seal>,
    start: u64,
    size: u64,
}

impl<'a> Source<'a> {
    /// The bytes of a file of this size.
    pub fn whole(file: &'a File, size: u64) -> Self {
        Source {
            file,
            seal: None,
            start: 0,
            size,
        }
    }

    /// A header, and the bytes of a file of this size encrypted.
    pub fn sealed(file: &'a File, size: u64, seal: &'a Seal) -> Self {
        Source {
            file,
            seal: Some(seal),
            start: 0,
            size: size + seal.header_len(),
        }
    }

    /// A part of it.
    pub fn part(self, range: Range<u64>) -> Self {
        assert!(range.start <= range.end, "a range has an end");
        assert!(range.end <= self.size, "a part is within the whole");
        Source {
            start: self.start + range.start,
            size: range.end - range.start,
            ..self
        }
    }

    /// How many bytes there are.
    pub fn size(self) -> u64 {
        self.size
    }

    /// Bytes from `at` on, as the file is now: to be hashed, not to be sent.
    pub fn read_exact_at(self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        match self.seal {
            None => self.file.read_exact_at(bytes, self.start + at),
            Some(seal) => seal.read_exact_at(self.file, bytes, self.start + at),
        }
    }

    /// Bytes from `at` on, to be sent.
    pub fn reader(self, at: u64) -> Reader<'a> {
        Reader {
            source: self,
            at,
            sent: 0,
            window: Window::default(),
            broken: None,
        }
    }
}

/// A source's rest, counting what was read of it.
pub struct Reader<'a> {
    source: Source<'a>,
    at: u64,
    sent: u64,
    window: Window,
    broken: Option<String>,
}

impl Reader<'_> {
    /// Bytes that were read.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Why the file could not be read, if it could not: who sends its bytes hears only that they ended.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn next(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Source {
            file,
            seal,
            start,
            size,
        } = self.source;
        let left = usize::try_from(size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(bytes.len());
        let bytes = &mut bytes[..most];
        let read = match seal {
            _ if most == 0 => return Ok(0),
            None => file.read_at(bytes, start + self.at)?,
            Some(seal) => seal.read_checked(file, bytes, start + self.at, &mut self.window)?,
        };
        if read == 0 {
            let why = "the file became shorter";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.at += count;
        self.sent += count;
        Ok(read)
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.next(bytes);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.broken = Some(error.to_string());
        }
        read
    }
}
