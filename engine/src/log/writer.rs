//! Lays a frame's stream into pages of direct-IO buffers, stamping each page as it fills.

use lode_world::{Buf, File};

use super::read::PAGE_U64;
use crate::format::page::{self, Kind, PAGE, PAYLOAD, Place};

/// Pages of a write: 512 KiB. Most controllers take that much in one request; 1 MiB of scattered
/// pages is cut into one request that is as long as they take and a second one of a few pages.
const WRITE_PAGES: u32 = 128;
/// Pages of a frame's first write: most frames of small records fit, and touch no more memory.
const FIRST_PAGES: u32 = 16;

/// A buffer that is ready to be written.
pub struct Ready<B> {
    /// Offset in the file.
    pub at: u64,
    /// Whole pages.
    pub buf: B,
}

/// Where a lane is in its segment file.
pub struct Writer<F: File> {
    file: F,
    tag: u64,
    /// Page being filled.
    page: u32,
    /// Payload bytes of it that are filled.
    filled: usize,
    /// First page of the next frame's kind.
    kind: Kind,
    buf: Option<F::Buf>,
    /// Page that the buffer begins with.
    buf_first: u32,
    /// Pages of the buffer.
    buf_pages: u32,
}

impl<F: File> Writer<F> {
    /// A writer at the start of page `page`.
    pub fn new(file: F, tag: u64, page: u32) -> Self {
        Writer {
            file,
            tag,
            page,
            filled: 0,
            kind: Kind::FrameHead,
            buf: None,
            buf_first: page,
            buf_pages: FIRST_PAGES,
        }
    }

    /// Page being filled.
    pub fn page(&self) -> u32 {
        self.page
    }

    /// Stream position of the next byte.
    pub fn at(&self) -> page::StreamAt {
        page::stream_start(self.page) + u64::try_from(self.filled).expect("below 4080")
    }

    /// Appends `bytes`; every buffer that they fill goes to `ready`.
    pub fn put(&mut self, mut bytes: &[u8], ready: &mut Vec<Ready<F::Buf>>) {
        while !bytes.is_empty() {
            let run = bytes.len().min(PAYLOAD - self.filled);
            let filled = self.filled;
            self.page_bytes()[filled..filled + run].copy_from_slice(&bytes[..run]);
            self.filled += run;
            bytes = &bytes[run..];
            if self.filled == PAYLOAD {
                self.finish_page(ready);
            }
        }
    }

    /// Ends the frame: pads its last page and sends off what is buffered.
    pub fn end_frame(&mut self, ready: &mut Vec<Ready<F::Buf>>) {
        if self.filled > 0 {
            let filled = self.filled;
            self.page_bytes()[filled..PAYLOAD].fill(0);
            self.finish_page(ready);
        }
        self.flush(ready);
        self.kind = Kind::FrameHead;
        self.buf_pages = FIRST_PAGES;
    }

    /// Stamps the page being filled and moves to the next one.
    fn finish_page(&mut self, ready: &mut Vec<Ready<F::Buf>>) {
        let place = Place {
            tag: self.tag,
            page: self.page,
            kind: self.kind,
        };
        page::stamp(self.page_bytes(), place);
        self.page += 1;
        self.filled = 0;
        self.kind = Kind::FrameBody;
        if self.page - self.buf_first == self.buf_pages {
            self.flush(ready);
        }
    }

    /// Sends off the whole pages of the buffer.
    fn flush(&mut self, ready: &mut Vec<Ready<F::Buf>>) {
        if let Some(mut buf) = self.buf.take() {
            buf.truncate(bytes(self.page - self.buf_first));
            ready.push(Ready {
                at: u64::from(self.buf_first) * PAGE_U64,
                buf,
            });
        }
        self.buf_first = self.page;
        self.buf_pages = WRITE_PAGES;
    }

    /// The page being filled, in the buffer (a new one if there is none).
    fn page_bytes(&mut self) -> &mut [u8] {
        let (file, pages) = (&self.file, self.buf_pages);
        let buf = self.buf.get_or_insert_with(|| file.alloc(bytes(pages)));
        let from = bytes(self.page - self.buf_first);
        &mut buf.as_mut()[from..from + PAGE]
    }
}

fn bytes(pages: u32) -> usize {
    usize::try_from(pages).expect("64-bit") * PAGE
}
