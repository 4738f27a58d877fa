//! Reading records back, verified.
//!
//! A record's header is trusted after its page's checksum, tag and number; its payload, or a part
//! of it, after those of the pages that hold it, or after its BLAKE3: see [`Verify`]. A whole record
//! needs one read of the disk, a part as well.

use std::ops::Range;

use lode_world::{File, World};

use super::segment::Life;
use crate::{
    format::{
        page::{self, PAGE, PAYLOAD},
        record,
    },
    piece::{Piece, PieceOf},
    planted::{self, Bug},
    pool::ChunkBuf,
    wait::before_work,
};

/// Why stored bytes cannot be trusted, or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes on disk are not what was written.
    #[error("{0}")]
    Damaged(&'static str),
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// How the payload of a whole record is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Checksum, tag and number of every page: what was written here in this life of the file, but
    /// for one damaged page in 2^32. A quarter of the cost of hashing (the parts in `benches -- http`).
    Pages,
    /// BLAKE3: what was put, also if something forged checksums.
    Hash,
}

/// Reads the record at `at` whole and checks it by its BLAKE3: its header and its payload, of `len`
/// bytes as the index knows.
pub async fn record<W: World>(
    world: &W,
    life: Life<'_, W::File>,
    at: u64,
    len: usize,
) -> Result<(record::Header, ChunkBuf), ReadError> {
    let total = record::HEADER + len;
    let span = span(life, at, total).await?;
    before_work(world, total).await;
    span.record(world, at, len)
}

/// Reads the record at `at` whole, checks it by its pages, and leaves its payload where it was read.
pub async fn in_pages<W: World>(
    world: &W,
    life: Life<'_, W::File>,
    at: u64,
    len: usize,
) -> Result<(record::Header, PieceOf<W>), ReadError> {
    let total = record::HEADER + len;
    let span = span(life, at, total).await?;
    before_work(world, total).await;
    let (pages, header, start) = span.open(world, at, len)?;
    pages.check_all(start, len)?;
    Ok((header, Piece::in_pages(span.read, start, len)))
}

/// A stretch of a segment's stream, as it was read: nothing of it has been checked.
pub struct Span<R> {
    read: R,
    /// Stream position of its first byte.
    at: u64,
    tag: u64,
}

/// Reads the pages that hold the stream bytes `at..at + len`.
pub async fn span<F: File>(
    life: Life<'_, F>,
    at: u64,
    len: usize,
) -> Result<Span<F::Read>, ReadError> {
    let read = read_pages(life, at, len).await?;
    let tag = life.tag;
    Ok(Span { read, at, tag })
}

impl<R: AsRef<[u8]>> Span<R> {
    /// The record at `at`, which is within the span, checked by its BLAKE3.
    pub fn record<W: World>(
        &self,
        world: &W,
        at: u64,
        len: usize,
    ) -> Result<(record::Header, ChunkBuf), ReadError> {
        let (pages, header, start) = self.open(world, at, len)?;
        let payload = pages.gather(start, len);
        if !pages.trusted && *blake3::hash(payload.bytes()).as_bytes() != header.check {
            return Err(ReadError::Damaged("BLAKE3 of the payload"));
        }
        Ok((header, payload))
    }

    /// The pages, and of the record at `at` its header and where in them its payload begins.
    fn open<W: World>(
        &self,
        world: &W,
        at: u64,
        len: usize,
    ) -> Result<(Pages<'_>, record::Header, usize), ReadError> {
        let pages = Pages::of(world, self.tag, self.read.as_ref(), self.at);
        let start = at - page::stream_start(pages.first);
        let start = usize::try_from(start).expect("64-bit");
        let header = pages.header(start)?;
        if header.payload_len() != len {
            return Err(ReadError::Damaged("record length"));
        }
        Ok((pages, header, start + record::HEADER))
    }
}

/// Sequence number of the record at `at`.
pub async fn sequence<W: World>(
    world: &W,
    life: Life<'_, W::File>,
    at: u64,
) -> Result<u64, ReadError> {
    let mut pages = read_pages(life, at, record::HEADER).await;
    for _ in 1..TRIES {
        if matches!(pages, Err(ReadError::Io(_))) {
            pages = read_pages(life, at, record::HEADER).await;
        }
    }
    let read = pages?;
    let pages = Pages::of(world, life.tag, read.as_ref(), at);
    Ok(pages.header(page::offset_in_page(at))?.sequence)
}

/// Reads `len` bytes from `offset` of the payload of the record at `at`, checking only the pages
/// that hold them.
pub async fn part<W: World>(
    world: &W,
    life: Life<'_, W::File>,
    at: u64,
    offset: usize,
    len: usize,
) -> Result<PieceOf<W>, ReadError> {
    let skip = record::HEADER + offset;
    let from = at + u64::try_from(skip).expect("a chunk's offset");
    let read = read_pages(life, from, len).await?;
    before_work(world, len).await;
    let start = page::offset_in_page(from);
    Pages::of(world, life.tag, read.as_ref(), from).check_all(start, len)?;
    Ok(Piece::in_pages(read, start, len))
}

/// Reads the pages that hold the stream bytes `at..at + len`.
async fn read_pages<F: File>(life: Life<'_, F>, at: u64, len: usize) -> Result<F::Read, ReadError> {
    assert!(len > 0, "nothing is stored in no bytes");
    let pages = (page::offset_in_page(at) + len).div_ceil(PAYLOAD);
    let from = u64::from(page::page_of(at)) * PAGE_U64;
    match life.file.read(from, pages * PAGE).await {
        Ok(read) => Ok(read),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(ReadError::Damaged("the file is shorter than the record"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Pages as they were read. Positions are payload bytes from the start of the first page.
struct Pages<'read> {
    bytes: &'read [u8],
    /// Number of the first page.
    first: u32,
    /// Tag that all of them must have.
    tag: u64,
    /// A planted bug: nothing is checked.
    trusted: bool,
}

impl<'read> Pages<'read> {
    /// What was read of the pages from stream position `at` on.
    fn of<W: World>(world: &W, tag: u64, bytes: &'read [u8], at: u64) -> Self {
        Pages {
            bytes,
            first: page::page_of(at),
            tag,
            trusted: planted::is(world, Bug::SkipChecksum),
        }
    }

    /// The record header at `start`, checked.
    fn header(&self, start: usize) -> Result<record::Header, ReadError> {
        let mut head = [0; record::HEADER];
        let mut done = 0;
        for (page, run) in runs(start, record::HEADER) {
            self.check(page)?;
            let run = self.payload(page, run);
            head[done..done + run.len()].copy_from_slice(run);
            done += run.len();
        }
        record::Header::decode(&head).map_err(|_| ReadError::Damaged("record header"))
    }

    /// Checks the pages that hold `len` bytes from `start` on.
    fn check_all(&self, start: usize, len: usize) -> Result<(), ReadError> {
        runs(start, len).try_for_each(|(page, _)| self.check(page))
    }

    /// `len` bytes from `start` on, unchecked. Appended, not copied into a buffer of that length: a
    /// new buffer would be zeroed first, over 1 % of a node's time under gets.
    fn gather(&self, start: usize, len: usize) -> ChunkBuf {
        let mut out = ChunkBuf::with_room(len);
        for (page, run) in runs(start, len) {
            fill(&mut out, self.payload(page, run));
        }
        out
    }

    fn payload(&self, page: usize, run: Range<usize>) -> &[u8] {
        &self.bytes[page * PAGE..][run]
    }

    /// Checks a page, counted from the first.
    fn check(&self, page: usize) -> Result<(), ReadError> {
        let number = self.first + u32::try_from(page).expect("a record has few pages");
        let bytes = &self.bytes[page * PAGE..(page + 1) * PAGE];
        match page::check(bytes, self.tag, number) {
            _ if self.trusted => Ok(()),
            Ok(page::Kind::FrameHead | page::Kind::FrameBody) => Ok(()),
            Ok(_) => Err(ReadError::Damaged("page kind")),
            Err(page::PageError::Checksum) => Err(ReadError::Damaged("page checksum")),
            Err(page::PageError::Tag) => Err(ReadError::Damaged("page of another file life")),
            Err(_) => Err(ReadError::Damaged("page of another place")),
        }
    }
}

fn fill(out: &mut ChunkBuf, run: &[u8]) {
    let taken = out.fill(run);
    assert_eq!(taken, run.len(), "a record has at most a chunk");
}

/// Where `len` payload bytes from `start` on are: pages, and the part of each.
fn runs(start: usize, len: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let end = start + len;
    (start / PAYLOAD..end.div_ceil(PAYLOAD)).map(move |page| {
        let from = start.saturating_sub(page * PAYLOAD);
        let to = PAYLOAD.min(end - page * PAYLOAD);
        (page, from..to)
    })
}

/// How often a start asks for a page before it believes that the disk refuses it.
pub const TRIES: usize = 4;
/// [`PAGE`] for file offsets.
pub const PAGE_U64: u64 = 4096;
const _: () = assert!(PAGE == 4096);
