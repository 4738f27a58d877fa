//! Sparse contents of a file: pages that point into the buffers they were written from.
//!
//! A write of 1 MiB costs 256 counted pointers and copies no byte. Copies of [`Pages`] share their
//! chunks until one of them changes, so the durable image and a fork of the disk are cheap.

use crate::{
    ALIGN,
    memory::Aligned,
    units::{in_memory, on_disk},
};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// What a power loss may tear: the unit that drives write atomically.
pub(super) const SECTOR: usize = 512;

const PAGE: u64 = 4096;
const _: () = assert!(PAGE == 4096 && ALIGN == 4096, "pages are the unit of IO");

/// Pages that are copied together when a shared file changes: 256 KiB worth.
const CHUNK_PAGES: u64 = 64;

/// What fresh memory holds: something that is neither zero nor text, so that a program which
/// forgets to fill a buffer shows it.
const JUNK: u8 = 0xa5;

/// Spare memory that one thread keeps, so that thousands of simulations do not fault the same
/// pages in again: that was half of their time.
const SPARE_BYTES_MAX: usize = 64 << 20;

thread_local! {
    static SPARE: RefCell<Spare> = RefCell::default();
}

#[derive(Default)]
struct Spare {
    bytes: usize,
    by_len: BTreeMap<usize, Vec<Aligned>>,
}

impl Spare {
    fn take(&mut self, len: usize) -> Option<Aligned> {
        let memory = self.by_len.get_mut(&len)?.pop()?;
        self.bytes -= len;
        Some(memory)
    }

    fn keep(&mut self, mut memory: Aligned) {
        memory.restore();
        let len = memory.bytes().len();
        if self.bytes + len <= SPARE_BYTES_MAX {
            self.bytes += len;
            self.by_len.entry(len).or_default().push(memory);
        }
    }
}

/// Memory that a write came from. Its first contents are [`JUNK`], reused or not, since a seed
/// must not depend on what ran before it.
pub(super) struct Block(Aligned);

impl Block {
    pub(super) fn new(len: usize) -> Self {
        let spare = SPARE.with_borrow_mut(|spare| spare.take(len));
        let mut memory = spare.unwrap_or_else(|| Aligned::new(len));
        memory.bytes_mut().fill(JUNK);
        Self(memory)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.0);
        // While a thread ends its spare memory may be gone before its last block.
        let _ = SPARE.try_with(|spare| spare.borrow_mut().keep(memory));
    }
}

/// Which sectors of a write land.
#[derive(Clone)]
pub(super) enum Mask {
    All,
    Nothing,
    Sectors(Rc<[bool]>),
}

impl Mask {
    /// Whether each sector of the `page`th page of a write lands.
    fn page(&self, page: usize) -> [bool; ALIGN / SECTOR] {
        match self {
            Self::All => [true; ALIGN / SECTOR],
            Self::Nothing => [false; ALIGN / SECTOR],
            Self::Sectors(sectors) => std::array::from_fn(|s| sectors[page * ALIGN / SECTOR + s]),
        }
    }
}

#[derive(Clone)]
pub(super) struct Page {
    block: Rc<Block>,
    at: usize,
}

impl Page {
    fn bytes(&self) -> &[u8] {
        &self.block.bytes()[self.at..self.at + ALIGN]
    }

    pub(super) fn is_of(&self, block: &Rc<Block>) -> bool {
        Rc::ptr_eq(&self.block, block)
    }
}

type Chunk = Vec<Option<Page>>;

/// The pages of a file; those that are absent read as zeroes.
#[derive(Clone, Default)]
pub(super) struct Pages {
    chunks: BTreeMap<u64, Rc<Chunk>>,
}

impl Pages {
    pub(super) fn get(&self, page: u64) -> Option<&Page> {
        let chunk = self.chunks.get(&(page / CHUNK_PAGES))?;
        chunk[in_memory(page % CHUNK_PAGES)].as_ref()
    }

    /// Puts a page in place, or takes it away; true when a hole was filled.
    pub(super) fn set(&mut self, page: u64, content: Option<Page>) -> bool {
        let chunk = self
            .chunks
            .entry(page / CHUNK_PAGES)
            .or_insert_with(|| Rc::new(vec![None; in_memory(CHUNK_PAGES)]));
        let slot = &mut Rc::make_mut(chunk)[in_memory(page % CHUNK_PAGES)];
        let filled = slot.is_none() && content.is_some();
        *slot = content;
        filled
    }

    /// Drops every page from `first` on.
    pub(super) fn cut(&mut self, first: u64) {
        self.chunks.split_off(&first.div_ceil(CHUNK_PAGES));
        if let Some(chunk) = self.chunks.get_mut(&(first / CHUNK_PAGES)) {
            Rc::make_mut(chunk)[in_memory(first % CHUNK_PAGES)..].fill(None);
        }
    }

    /// How many pages from `first` on are not holes.
    pub(super) fn count_from(&self, first: u64) -> u64 {
        let chunks = self.chunks.range(first / CHUNK_PAGES..);
        let pages = chunks.map(|(chunk, pages)| {
            let skip = in_memory(first.saturating_sub(chunk * CHUNK_PAGES));
            pages
                .iter()
                .skip(skip)
                .filter(|page| page.is_some())
                .count()
        });
        on_disk(pages.sum())
    }

    /// Holes among the pages that `len` bytes at `at` touch, from page `first` on.
    pub(super) fn holes(&self, at: u64, len: usize, first: u64) -> u64 {
        let pages = (at / PAGE).max(first)..(at + on_disk(len)) / PAGE;
        on_disk(pages.filter(|page| self.get(*page).is_none()).count())
    }

    /// Writes the sectors of `block` that `mask` lets through; returns how many holes it filled
    /// from page `first` on.
    pub(super) fn land(&mut self, at: u64, block: &Rc<Block>, mask: &Mask, first: u64) -> u64 {
        let mut filled = 0;
        for index in 0..block.bytes().len() / ALIGN {
            let page = at / PAGE + on_disk(index);
            let sectors = mask.page(index);
            if sectors == [false; ALIGN / SECTOR] {
                continue;
            }
            let fresh = Page {
                block: Rc::clone(block),
                at: index * ALIGN,
            };
            let content = if sectors == [true; ALIGN / SECTOR] {
                fresh
            } else {
                self.mixed(page, &fresh, &sectors)
            };
            if self.set(page, Some(content)) && page >= first {
                filled += 1;
            }
        }
        filled
    }

    fn mixed(&self, page: u64, fresh: &Page, sectors: &[bool]) -> Page {
        let mut block = Block::new(ALIGN);
        self.copy_page(page, block.bytes_mut());
        for (index, lands) in sectors.iter().enumerate() {
            if *lands {
                let range = index * SECTOR..(index + 1) * SECTOR;
                block.bytes_mut()[range.clone()].copy_from_slice(&fresh.bytes()[range]);
            }
        }
        Page {
            block: Rc::new(block),
            at: 0,
        }
    }

    fn copy_page(&self, page: u64, target: &mut [u8]) {
        match self.get(page) {
            Some(page) => target.copy_from_slice(page.bytes()),
            None => target.fill(0),
        }
    }

    /// The bytes of `len` bytes at `at`, holes as zeroes.
    pub(super) fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        for page in at / PAGE..(at + on_disk(len)) / PAGE {
            match self.get(page) {
                Some(page) => bytes.extend_from_slice(page.bytes()),
                None => bytes.resize(bytes.len() + ALIGN, 0),
            }
        }
        bytes
    }

    /// Changes one page in place of its own, leaving other holders of its buffer alone.
    pub(super) fn edit(&mut self, page: u64, change: impl FnOnce(&mut [u8])) {
        let mut block = Block::new(ALIGN);
        self.copy_page(page, block.bytes_mut());
        change(block.bytes_mut());
        self.set(
            page,
            Some(Page {
                block: Rc::new(block),
                at: 0,
            }),
        );
    }
}
