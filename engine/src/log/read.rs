//! Reading records back, verified.
//!
//! A record's header is trusted after its page's checksum, tag and number; a whole payload after
//! its BLAKE3; a part of a payload after the checksums of the pages it touches. A whole record
//! needs one read of the disk, a part as well.

use lode_world::{File, World};

use super::segment::Segment;
use crate::{
    format::{
        page::{self, PAGE, PAYLOAD},
        record,
    },
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

/// Reads the record at `at` whole: its header and its payload, of `len` bytes as the index knows.
pub async fn record<W: World>(
    world: &W,
    segment: &Segment<W::File>,
    at: u64,
    len: usize,
) -> Result<(record::Header, ChunkBuf), ReadError> {
    let total = record::HEADER + len;
    let pages = read_pages(segment, at, total).await?;
    before_work(world, total).await;
    let first = page::page_of(at);
    let start = page::offset_in_page(at);
    check_pages(world, segment, pages.as_ref(), first, start, record::HEADER)?;
    let head = head_of(pages.as_ref(), start);
    let header = record::Header::decode(&head).map_err(|_| ReadError::Damaged("record header"))?;
    if header.payload_len() != len {
        return Err(ReadError::Damaged("record length"));
    }
    let payload = gather(pages.as_ref(), start + record::HEADER, len);
    if !planted::is(world, Bug::SkipChecksum)
        && *blake3::hash(payload.bytes()).as_bytes() != header.check
    {
        return Err(ReadError::Damaged("BLAKE3 of the payload"));
    }
    Ok((header, payload))
}

/// Sequence number of the record at `at`.
pub async fn sequence<W: World>(
    world: &W,
    segment: &Segment<W::File>,
    at: u64,
) -> Result<u64, ReadError> {
    let mut pages = read_pages(segment, at, record::HEADER).await;
    for _ in 1..TRIES {
        if matches!(pages, Err(ReadError::Io(_))) {
            pages = read_pages(segment, at, record::HEADER).await;
        }
    }
    let pages = pages?;
    let start = page::offset_in_page(at);
    check_pages(
        world,
        segment,
        pages.as_ref(),
        page::page_of(at),
        start,
        record::HEADER,
    )?;
    let head = head_of(pages.as_ref(), start);
    let header = record::Header::decode(&head).map_err(|_| ReadError::Damaged("record header"))?;
    Ok(header.sequence)
}

/// Reads `len` bytes from `offset` of the payload of the record at `at`, checking only the pages
/// that hold them.
pub async fn part<W: World>(
    world: &W,
    segment: &Segment<W::File>,
    at: u64,
    offset: usize,
    len: usize,
) -> Result<ChunkBuf, ReadError> {
    let skip = record::HEADER + offset;
    let from = at + u64::try_from(skip).expect("a chunk's offset");
    let pages = read_pages(segment, from, len).await?;
    let start = page::offset_in_page(from);
    check_pages(
        world,
        segment,
        pages.as_ref(),
        page::page_of(from),
        start,
        len,
    )?;
    Ok(gather(pages.as_ref(), start, len))
}

/// Reads the pages that hold the stream bytes `at..at + len`.
async fn read_pages<F: File>(
    segment: &Segment<F>,
    at: u64,
    len: usize,
) -> Result<F::Read, ReadError> {
    assert!(len > 0, "nothing is stored in no bytes");
    let pages = (page::offset_in_page(at) + len).div_ceil(PAYLOAD);
    let from = u64::from(page::page_of(at)) * PAGE_U64;
    match segment.file.read(from, pages * PAGE).await {
        Ok(read) => Ok(read),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(ReadError::Damaged("the file is shorter than the record"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Checks the pages that hold `len` payload bytes from `start` of the first page.
fn check_pages<W: World>(
    world: &W,
    segment: &Segment<W::File>,
    pages: &[u8],
    first: u32,
    start: usize,
    len: usize,
) -> Result<(), ReadError> {
    let count = (start + len).div_ceil(PAYLOAD);
    for (page, number) in pages.chunks_exact(PAGE).take(count).zip(first..) {
        match page::check(page, segment.tag, number) {
            _ if planted::is(world, Bug::SkipChecksum) => {}
            Ok(page::Kind::FrameHead | page::Kind::FrameBody) => {}
            Ok(_) => return Err(ReadError::Damaged("page kind")),
            Err(page::PageError::Checksum) => return Err(ReadError::Damaged("page checksum")),
            Err(page::PageError::Tag) => {
                return Err(ReadError::Damaged("page of another file life"));
            }
            Err(_) => return Err(ReadError::Damaged("page of another place")),
        }
    }
    Ok(())
}

/// `len` payload bytes from `start` of the first page on. Appended, not copied into a buffer of
/// that length: a new buffer would be zeroed first, over 1 % of a node's time under gets.
fn gather(pages: &[u8], start: usize, len: usize) -> ChunkBuf {
    let mut out = ChunkBuf::new();
    for run in runs(pages, start, len) {
        let taken = out.fill(run);
        assert_eq!(taken, run.len(), "a record has at most a chunk");
    }
    out
}

/// The record header from `start` of the first page on.
fn head_of(pages: &[u8], start: usize) -> [u8; record::HEADER] {
    let mut head = [0; record::HEADER];
    let mut done = 0;
    for run in runs(pages, start, record::HEADER) {
        head[done..done + run.len()].copy_from_slice(run);
        done += run.len();
    }
    head
}

/// The parts of `len` payload bytes from `start` of the first page on, page by page.
fn runs(pages: &[u8], start: usize, len: usize) -> impl Iterator<Item = &[u8]> {
    let end = start + len;
    (start / PAYLOAD..end.div_ceil(PAYLOAD)).map(move |page| {
        let from = start.saturating_sub(page * PAYLOAD);
        let to = PAYLOAD.min(end - page * PAYLOAD);
        &pages[page * PAGE + from..page * PAGE + to]
    })
}

/// How often a start asks for a page before it believes that the disk refuses it.
pub const TRIES: usize = 4;
/// [`PAGE`] for file offsets.
pub const PAGE_U64: u64 = 4096;
const _: () = assert!(PAGE == 4096);
