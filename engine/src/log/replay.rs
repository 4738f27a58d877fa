//! Reading a segment back after a restart: by its footer, or page by page where there is none.
//!
//! The walk trusts a page that passes its own checks and nothing else. At a page that does not, it
//! looks ahead for the next frame of the same life. A head further on that calls the damaged frame
//! durable makes it rot, which is reported; otherwise it is the torn end of frames that were never
//! acknowledged. Records after a hole are kept: whatever they depend on was durable before they
//! were appended.

use std::collections::VecDeque;

use lode_world::{File, World};

use super::{
    read::{PAGE_U64, TRIES},
    segment::Segment,
};
use crate::{
    format::{
        footer::{self, Entry, Footer, Pointer},
        frame::{self, FrameHead},
        page::{self, Kind, PAGE, PAYLOAD},
        record::{self, Header},
        segment::HEADER_PAGES,
    },
    planted::{self, Bug},
};

/// Pages that the walk reads at a time: 1 MiB.
const WINDOW: u32 = 256;
/// Pages that the walk looks ahead after a bad one: more than all frames in flight can hold.
const LOOK_AHEAD: u32 = 5 * (16 << 20) / 4096;

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// Every whole record, in order.
    pub entries: Vec<Entry>,
    /// First page after the last frame.
    pub end_page: u32,
    /// Pages that were written and acknowledged, and are damaged.
    pub rotten_pages: u64,
    /// Bytes of the torn, never acknowledged end.
    pub torn_bytes: u64,
    /// Pages that the disk refused to read, again and again.
    pub unreadable_pages: u64,
    /// First page of the frames that no later frame calls durable; `end_page` if there is none.
    pub uncertain_page: u32,
}

/// Reads a segment's footer; none if there is no whole one (then the segment has to be walked).
pub async fn footer<W: World>(world: &W, segment: &Segment<W::File>) -> Option<Footer> {
    let pointer = pointer(segment).await?;
    let pages = usize::try_from(pointer.pages).ok()? * PAGE;
    let bytes = read_long(&segment.file, u64::from(pointer.first) * PAGE_U64, pages)
        .await
        .ok()?;
    let footer = if planted::is(world, Bug::TrustFooter) {
        let payloads = bytes.chunks_exact(PAGE).map(|page| &page[..PAYLOAD]);
        Footer::decode_unchecked(&payloads.collect::<Vec<_>>().concat())
    } else {
        Footer::decode(&page::join(&bytes, segment.tag, pointer.first, Kind::Footer).ok()?)
    };
    footer
        .ok()
        .filter(|footer| footer.segment == segment.number)
}

/// First sequence number of a closed segment, from its footer's first page; none if there is no
/// footer that looks whole.
pub async fn first_sequence<W: World>(world: &W, segment: &Segment<W::File>) -> Option<u64> {
    let pointer = pointer(segment).await?;
    let page = segment
        .file
        .read(u64::from(pointer.first) * PAGE_U64, PAGE)
        .await
        .ok()?;
    if !planted::is(world, Bug::TrustFooter) {
        let kind = page::check(page.as_ref(), segment.tag, pointer.first).ok()?;
        (kind == Kind::Footer).then_some(())?;
    }
    footer::first_sequence(page.as_ref(), segment.number)
}

/// Reads the footer's pointer.
pub async fn pointer<F: File>(segment: &Segment<F>) -> Option<Pointer> {
    let last = (segment.file_len.get() / PAGE_U64).checked_sub(1)?;
    let page = segment.file.read(last * PAGE_U64, PAGE).await.ok()?;
    let kind = page::check(page.as_ref(), segment.tag, u32::try_from(last).ok()?).ok()?;
    let pointer = Pointer::decode(&page.as_ref()[..PAYLOAD]).ok()?;
    let inside = u64::from(pointer.first) + u64::from(pointer.pages) <= last;
    (kind == Kind::FooterPointer && pointer.segment == segment.number && inside).then_some(pointer)
}

/// Reads `len` bytes in reads of at most 1 MiB.
pub async fn read_long<F: File>(file: &F, at: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        let piece = (len - out.len()).min(1 << 20);
        let from = at + u64::try_from(out.len()).expect("64-bit");
        out.extend_from_slice(file.read(from, piece).await?.as_ref());
    }
    Ok(out)
}

/// Walks a segment's frames.
pub async fn walk<F: File>(segment: &Segment<F>) -> Walked {
    let mut walk = Walk::new(segment.number);
    let mut pages = Pages::new(segment);
    let mut at = HEADER_PAGES;
    loop {
        match pages.get(at).await {
            Some((kind @ (Kind::FrameHead | Kind::FrameBody), payload))
                if walk.page(at, kind, payload) =>
            {
                at += 1;
            }
            // The footer's place: the segment was closed and the end of its frames is certain.
            Some((Kind::Footer | Kind::FooterPointer, _)) => break,
            _ => match next_head(&mut pages, at).await {
                Ok((head_at, head)) => {
                    walk.hole(at, head_at, &head);
                    at = head_at;
                }
                Err(torn_bytes) => {
                    walk.found.torn_bytes += torn_bytes;
                    break;
                }
            },
        }
    }
    walk.found.unreadable_pages = pages.unreadable;
    walk.finish()
}

/// The next frame head after `from`, within the look-ahead; without one, the bytes of this life
/// that follow and belong to no whole frame.
async fn next_head<F: File>(pages: &mut Pages<'_, F>, from: u32) -> Result<(u32, FrameHead), u64> {
    let mut torn = 0;
    for at in from + 1..from.saturating_add(LOOK_AHEAD).min(pages.end()) {
        match pages.get(at).await {
            Some((Kind::FrameHead, payload)) => match FrameHead::decode(payload) {
                Some(head) => return Ok((at, head)),
                None => torn += PAGE_U64,
            },
            Some((Kind::FrameBody, _)) => torn += PAGE_U64,
            _ => {}
        }
    }
    Err(torn)
}

/// The state of a walk: which record is being passed.
struct Walk {
    segment: u32,
    found: Walked,
    /// Head of the frame being read.
    frame: Option<FrameHead>,
    /// Pages were skipped since: frames may be missing before the next one.
    skipped: bool,
    /// Header bytes collected so far, and where they began.
    header: Vec<u8>,
    began: u64,
    /// The record whose payload is being passed, and how many bytes of it are left.
    record: Option<(Entry, usize)>,
    /// The rest of this frame is padding.
    padding: bool,
    /// Frames that no head so far calls durable: number and first page.
    uncertain: VecDeque<(u32, u32)>,
}

impl Walk {
    fn new(segment: u32) -> Walk {
        Walk {
            segment,
            found: Walked {
                end_page: HEADER_PAGES,
                ..Walked::default()
            },
            frame: None,
            skipped: false,
            header: Vec::with_capacity(record::HEADER),
            began: 0,
            record: None,
            padding: true,
            uncertain: VecDeque::new(),
        }
    }

    fn finish(mut self) -> Walked {
        let first = self.uncertain.front().map(|(_, page)| *page);
        self.found.uncertain_page = first.unwrap_or(self.found.end_page);
        self.found
    }

    /// Reads a page's payload; false if it is not the page that must follow. What a page begins
    /// with says nothing: clients choose the bytes of payloads. The kind that it proves does.
    fn page(&mut self, at: u32, kind: Kind, payload: &[u8]) -> bool {
        let mut cursor = 0;
        if kind == Kind::FrameHead {
            let head = FrameHead::decode(payload).filter(|head| self.begins(head));
            let Some(head) = head.filter(|_| self.between_records()) else {
                return false;
            };
            self.frame = Some(head);
            self.skipped = false;
            while let Some((number, _)) = self.uncertain.front()
                && *number < head.committed
            {
                self.uncertain.pop_front();
            }
            self.uncertain.push_back((head.number, at));
            self.padding = false;
            cursor = frame::HEAD;
        } else if self.padding {
            return false;
        }
        let whole = self.records(at, payload, cursor);
        if whole {
            self.found.end_page = at + 1;
        }
        whole
    }

    /// Whether a frame may begin here: the one that follows the last, or a later one where pages
    /// were skipped.
    fn begins(&self, head: &FrameHead) -> bool {
        let next = self.frame.map_or(0, |frame| frame.number.saturating_add(1));
        let later = self.skipped && head.number > next;
        head.segment == self.segment && (later || head.follows(self.frame.as_ref()))
    }

    fn between_records(&self) -> bool {
        self.record.is_none() && self.header.is_empty()
    }

    /// Passes the records in `payload[cursor..]`.
    fn records(&mut self, at: u32, payload: &[u8], mut cursor: usize) -> bool {
        while cursor < payload.len() {
            if let Some((entry, left)) = &mut self.record {
                let run = (*left).min(payload.len() - cursor);
                cursor += run;
                *left -= run;
                if *left == 0 {
                    self.found.entries.push(*entry);
                    self.record = None;
                }
                continue;
            }
            if self.header.is_empty() {
                if payload[cursor] == 0 {
                    self.padding = true;
                    return true;
                }
                self.began = page::stream_start(at) + u64::try_from(cursor).expect("below 4080");
            }
            let run = (record::HEADER - self.header.len()).min(payload.len() - cursor);
            self.header
                .extend_from_slice(&payload[cursor..cursor + run]);
            cursor += run;
            if self.header.len() == record::HEADER && !self.finish_header() {
                return false;
            }
        }
        true
    }

    fn finish_header(&mut self) -> bool {
        let decoded = Header::decode(&self.header);
        self.header.clear();
        let Ok(header) = decoded else { return false };
        let entry = Entry {
            header: Header {
                check: [0; 32],
                ..header
            },
            at: self.began,
        };
        if header.payload_len() == 0 {
            self.found.entries.push(entry);
        } else {
            self.record = Some((entry, header.payload_len()));
        }
        true
    }

    /// Skips from a bad page to the head of a later frame.
    fn hole(&mut self, bad: u32, head_at: u32, head: &FrameHead) {
        let pages = u64::from(head_at - bad);
        let next = self.frame.map_or(0, |frame| frame.number.saturating_add(1));
        let damaged = if self.padding {
            next
        } else {
            next.saturating_sub(1)
        };
        if head.committed > damaged {
            self.found.rotten_pages += pages;
        } else {
            self.found.torn_bytes += pages * PAGE_U64;
        }
        self.header.clear();
        self.record = None;
        self.padding = true;
        self.skipped = true;
    }
}

/// Checked pages of a segment, read a window at a time.
struct Pages<'a, F: File> {
    segment: &'a Segment<F>,
    first: u32,
    window: Vec<u8>,
    unreadable: u64,
}

impl<'a, F: File> Pages<'a, F> {
    fn new(segment: &'a Segment<F>) -> Self {
        Pages {
            segment,
            first: 0,
            window: Vec::new(),
            unreadable: 0,
        }
    }

    /// Pages of the file.
    fn end(&self) -> u32 {
        u32::try_from(self.segment.file_len.get() / PAGE_U64).expect("page numbers have 24 bits")
    }

    /// Page `at`, if it passes its checks: its kind and payload.
    async fn get(&mut self, at: u32) -> Option<(Kind, &[u8])> {
        if at >= self.end() {
            return None;
        }
        if at < self.first || self.offset(at) >= self.window.len() {
            self.load(at).await;
        }
        let from = self.offset(at);
        let page = self.window.get(from..from + PAGE)?;
        let kind = page::check(page, self.segment.tag, at).ok()?;
        Some((kind, &page[..PAYLOAD]))
    }

    fn offset(&self, at: u32) -> usize {
        usize::try_from(at - self.first).expect("64-bit") * PAGE
    }

    /// Reads the window from `at`; a page that the disk refuses to read becomes zeroes, is counted,
    /// and so keeps the segment from being closed over it.
    async fn load(&mut self, at: u32) {
        let count = WINDOW.min(self.end() - at);
        self.first = at;
        let from = u64::from(at) * PAGE_U64;
        let bytes = usize::try_from(count).expect("at most 256") * PAGE;
        if let Ok(read) = self.segment.file.read(from, bytes).await {
            self.window = read.as_ref().to_vec();
            return;
        }
        self.window = vec![0; bytes];
        for (page, slot) in (0..).zip(self.window.chunks_exact_mut(PAGE)) {
            match read_page(&self.segment.file, from + page * PAGE_U64).await {
                Ok(read) => slot.copy_from_slice(read.as_ref()),
                Err(_) => self.unreadable += 1,
            }
        }
    }
}

/// Reads a page, several times if need be: one refusal must not end a log.
pub async fn read_page<F: File>(file: &F, at: u64) -> std::io::Result<F::Read> {
    let mut tries = 1;
    loop {
        match file.read(at, PAGE).await {
            Err(_) if tries < TRIES => tries += 1,
            read => return read,
        }
    }
}
