//! Finding the records of a segment that was not closed: from head to foot to the next head, and page
//! by page where there is none.
//!
//! A head without a foot is a record that was being written, or its stale beginning in a place that
//! was given away since: what lies behind it may be a record, so the walk goes on with the next page.

use lode_proofs::Hash32;
use lode_world::File;

use crate::{
    format::{
        index::Entry,
        outline::{FOOT_PAGES, Outline},
        page::{self, Kind, PAGE, PAGE_U64},
        segment::HEADER_PAGES,
    },
    read::{open_outline, read_page},
};

/// Pages read at a time where a record is expected: its head, or a foot and the next head.
const WINDOW_MIN: u32 = 8;
/// Pages read at a time where nothing was found so far: 1 MiB.
const WINDOW_MAX: u32 = 256;

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// Every record that counts, by its place.
    pub entries: Vec<Entry>,
    /// First page behind the last record.
    pub end: u32,
    /// Pages that the disk refused to read, again and again.
    pub unreadable: u64,
    /// Whether any page proves itself.
    pub ours: bool,
    /// Tag of the segment, as its records have it.
    pub tag: u64,
}

/// Walks a file of `len` bytes. Where the segment's header is lost (no `tag`), the first record says
/// what the tag is. With `trusting` a head is enough, which is a bug that tests plant.
pub async fn walk<F: File>(
    file: &F,
    number: u32,
    tag: Option<u64>,
    len: u64,
    trusting: bool,
) -> Walked {
    let end = u32::try_from(len / PAGE_U64).unwrap_or(page::PAGE_NUMBER_END);
    let mut pages = Pages::new(file, end);
    let mut walk = Walk {
        number,
        tag,
        end,
        walked: Walked {
            end: HEADER_PAGES,
            ours: tag.is_some(),
            ..Walked::default()
        },
    };
    let mut at = HEADER_PAGES;
    while at < end {
        let page = pages.get(at).await.map(<[u8]>::to_vec);
        walk.walked.ours |= page.as_deref().is_some_and(|page| page::open(page).is_ok());
        let record = match page.as_deref().and_then(|page| walk.record(at, page)) {
            Some((outline, Kind::RecordHead)) => {
                let foot = outline.first + outline.pages() - FOOT_PAGES;
                let footed = trusting || walk.has_foot(&mut pages, &outline, foot).await;
                footed.then_some(outline)
            }
            // Its head is damaged.
            Some((outline, _)) => Some(outline),
            None => None,
        };
        match record {
            Some(outline) => {
                walk.enter(&outline);
                at = outline.first + outline.pages();
            }
            None => at += 1,
        }
    }
    walk.walked.unreadable = pages.unreadable;
    walk.walked.tag = walk.tag.unwrap_or_default();
    walk.walked
}

struct Walk {
    number: u32,
    tag: Option<u64>,
    /// Pages of the file.
    end: u32,
    walked: Walked,
}

impl Walk {
    /// The record that a page is the head or a foot of.
    fn record(&self, at: u32, bytes: &[u8]) -> Option<(Outline, Kind)> {
        let (outline, place) = open_outline(bytes)?;
        let pages = outline.pages();
        let behind = outline.first.checked_add(pages)?;
        let of_kind = match place.kind {
            Kind::RecordHead => at == outline.first,
            _ => at == behind - 1 || at == behind - FOOT_PAGES,
        };
        let fits = place.page == at
            && of_kind
            && outline.segment == self.number
            && self.tag.is_none_or(|tag| tag == outline.segment_tag)
            && outline.first >= self.walked.end
            && behind <= self.end;
        fits.then_some((outline, place.kind))
    }

    async fn has_foot<F: File>(
        &self,
        pages: &mut Pages<'_, F>,
        outline: &Outline,
        foot: u32,
    ) -> bool {
        for at in [foot, foot + 1] {
            let page = pages.get(at).await;
            let record = page.and_then(|page| self.record(at, page));
            if record == Some((*outline, Kind::RecordFoot)) {
                return true;
            }
        }
        false
    }

    fn enter(&mut self, outline: &Outline) {
        self.tag.get_or_insert(outline.segment_tag);
        let container: Hash32 = outline.container();
        self.walked.end = outline.first + outline.pages();
        self.walked.entries.push(Entry {
            container,
            sequence: outline.sequence,
            expiry: outline.statement.expiry,
            first: outline.first,
            pages: outline.pages(),
        });
    }
}

/// Pages of a file, read a window at a time.
struct Pages<'file, F: File> {
    file: &'file F,
    /// Pages of the file.
    end: u32,
    first: u32,
    window: Vec<u8>,
    /// Pages that the next window has.
    count: u32,
    /// First page that was never asked for; those that cannot be read count once.
    seen: u32,
    unreadable: u64,
}

impl<'file, F: File> Pages<'file, F> {
    fn new(file: &'file F, end: u32) -> Self {
        Pages {
            file,
            end,
            first: 0,
            window: Vec::new(),
            count: WINDOW_MIN,
            seen: 0,
            unreadable: 0,
        }
    }

    /// Page `at`; none past the end. One that cannot be read is zeros.
    async fn get(&mut self, at: u32) -> Option<&[u8]> {
        if at >= self.end {
            return None;
        }
        let behind = self.first + pages_of(&self.window);
        if !(self.first..behind).contains(&at) {
            // Further on in one go, or there after a leap.
            self.count = match at == behind {
                true => (2 * self.count).min(WINDOW_MAX),
                false => WINDOW_MIN,
            };
            self.load(at).await;
        }
        let from = usize::try_from(at - self.first).expect("64-bit") * PAGE;
        self.window.get(from..from + PAGE)
    }

    async fn load(&mut self, at: u32) {
        let count = self.count.min(self.end - at);
        self.first = at;
        let len = usize::try_from(count).expect("64-bit") * PAGE;
        if let Ok(read) = self.file.read(u64::from(at) * PAGE_U64, len).await {
            self.window = read.as_ref().to_vec();
        } else {
            self.window = vec![0; len];
            for (page, slot) in (at..).zip(self.window.chunks_exact_mut(PAGE)) {
                match read_page(self.file, page).await {
                    Ok(read) => slot.copy_from_slice(read.as_ref()),
                    Err(_) => self.unreadable += u64::from(page >= self.seen),
                }
            }
        }
        self.seen = self.seen.max(at + count);
    }
}

fn pages_of(window: &[u8]) -> u32 {
    u32::try_from(window.len() / PAGE).expect("windows are small")
}
