//! Lays a record's stream into pages of direct-IO buffers, stamping each page as it fills.

use lode_world::File;

use crate::format::{
    outline::{FOOT_PAGES, Outline},
    page::{self, PAGE, PAGE_U64, PAYLOAD},
};

/// Pages of a write: 512 KiB. Most controllers take that much in one request.
const WRITE_PAGES: u32 = 128;

/// A buffer that is ready to be written.
pub struct Ready<B> {
    /// Offset in the file.
    pub at: u64,
    /// Whole pages.
    pub buf: B,
}

/// Where a record is in being written.
pub struct Writer<F: File> {
    file: F,
    outline: Outline,
    tag: u64,
    /// Page being filled, counted from the record's first.
    page: u32,
    /// Payload bytes of it that are filled.
    filled: usize,
    buf: Option<F::Buf>,
    /// Page that the buffer begins with.
    buf_first: u32,
    /// Pages of the buffer.
    buf_pages: u32,
}

impl<F: File> Writer<F> {
    /// A writer at the start of a record.
    pub fn new(file: F, outline: Outline, tag: u64) -> Self {
        Writer {
            file,
            outline,
            tag,
            page: 0,
            filled: 0,
            buf: None,
            buf_first: 0,
            buf_pages: 0,
        }
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

    /// Ends the page being filled with zeros: what follows begins a new one.
    pub fn pad(&mut self, ready: &mut Vec<Ready<F::Buf>>) {
        if self.filled > 0 {
            let filled = self.filled;
            self.page_bytes()[filled..PAYLOAD].fill(0);
            self.finish_page(ready);
        }
    }

    /// Whether all pages before the feet are full.
    pub fn is_full(&self) -> bool {
        self.page == self.outline.pages() - FOOT_PAGES
    }

    /// Stamps the page being filled and moves to the next one.
    fn finish_page(&mut self, ready: &mut Vec<Ready<F::Buf>>) {
        let place = self.outline.place(self.tag, self.page);
        page::stamp(self.page_bytes(), place);
        self.page += 1;
        self.filled = 0;
        if self.page - self.buf_first == self.buf_pages {
            self.flush(ready);
        }
    }

    /// Sends off the buffer, which is full: its length was chosen so that the last one is too.
    fn flush(&mut self, ready: &mut Vec<Ready<F::Buf>>) {
        if let Some(buf) = self.buf.take() {
            let at = u64::from(self.outline.first + self.buf_first) * PAGE_U64;
            ready.push(Ready { at, buf });
        }
    }

    /// The page being filled, in the buffer (a new one if there is none).
    fn page_bytes(&mut self) -> &mut [u8] {
        if self.buf.is_none() {
            let left = self.outline.pages() - FOOT_PAGES - self.page;
            assert!(left > 0, "a record is no longer than its outline says");
            self.buf_first = self.page;
            self.buf_pages = left.min(WRITE_PAGES);
        }
        let (file, pages) = (&self.file, self.buf_pages);
        let buf = self.buf.get_or_insert_with(|| file.alloc(bytes(pages)));
        let from = bytes(self.page - self.buf_first);
        &mut buf.as_mut()[from..from + PAGE]
    }
}

/// The two feet of a record, in one buffer; `payload` is that of its head page.
pub fn feet<F: File>(file: &F, outline: &Outline, tag: u64, payload: &[u8]) -> Ready<F::Buf> {
    assert!(payload.len() == PAYLOAD, "a page's payload");
    let mut buf = file.alloc(bytes(FOOT_PAGES));
    let first = outline.pages() - FOOT_PAGES;
    for (number, page) in (first..).zip(buf.as_mut().chunks_exact_mut(PAGE)) {
        page[..PAYLOAD].copy_from_slice(payload);
        page::stamp(page, outline.place(tag, number));
    }
    let at = u64::from(outline.first + first) * PAGE_U64;
    Ready { at, buf }
}

fn bytes(pages: u32) -> usize {
    usize::try_from(pages).expect("64-bit") * PAGE
}
