//! One file of the simulated disk: what reads see, what would survive a power loss, and the
//! changes between the two.
//!
//! ```text
//!   write, allocate, truncate ──► visible            reads look here
//!                      └────────► journal ──sync──► durable   power loss falls back to here,
//!                                                             plus what of the journal luck keeps
//! ```

use super::pages::{Block, Mask, Pages};
use crate::{
    ALIGN,
    units::{in_memory, on_disk},
};
use std::{collections::BTreeSet, io, rc::Rc, sync::Arc};

/// A change that reads see and a power loss may undo.
#[derive(Clone)]
pub(super) enum Change {
    /// Data; the file reaches at least to its end, whatever the mask lets through.
    Write {
        at: u64,
        block: Rc<Block>,
        mask: Mask,
    },
    /// Blocks for `0..len`, and at least that length.
    Reserve { len: u64 },
    /// The file ends at `len`.
    Cut { len: u64 },
}

/// Contents, length and reserved blocks.
#[derive(Clone, Default)]
pub(super) struct Image {
    pub(super) pages: Pages,
    pub(super) len: u64,
    reserved: u64,
    /// Pages of disk space taken.
    blocks: u64,
}

impl Image {
    fn reserved_pages(&self) -> u64 {
        self.reserved / on_disk(ALIGN)
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { at, block, mask } => {
                let first = self.reserved_pages();
                self.blocks += self.pages.land(*at, block, mask, first);
                self.len = self.len.max(at + on_disk(block.bytes().len()));
            }
            Change::Reserve { len } => {
                self.len = self.len.max(*len);
                self.reserved = self.reserved.max(*len);
                self.recount();
            }
            Change::Cut { len } => {
                self.len = *len;
                self.reserved = self.reserved.min(*len);
                self.pages.cut(len / on_disk(ALIGN));
                self.recount();
            }
        }
    }

    fn recount(&mut self) {
        let first = self.reserved_pages();
        self.blocks = first + self.pages.count_from(first);
    }

    /// Bytes of disk space that `change` would take on top of those taken.
    pub(super) fn needs(&self, change: &Change) -> u64 {
        let pages = match change {
            Change::Write { at, block, .. } => {
                self.pages
                    .holes(*at, block.bytes().len(), self.reserved_pages())
            }
            Change::Reserve { len } => {
                let reserved = len / on_disk(ALIGN);
                (reserved + self.pages.count_from(reserved)).saturating_sub(self.blocks)
            }
            Change::Cut { .. } => 0,
        };
        pages * on_disk(ALIGN)
    }

    pub(super) fn space(&self) -> u64 {
        self.blocks * on_disk(ALIGN)
    }

    /// Drops what lies past the end: a write whose new length did not survive.
    pub(super) fn trim(&mut self) {
        self.pages.cut(self.len.div_ceil(on_disk(ALIGN)));
        self.recount();
    }
}

/// A write that the disk has but has not answered.
#[derive(Clone)]
pub(super) struct Flying {
    pub(super) io: u64,
    pub(super) at: u64,
    pub(super) block: Rc<Block>,
}

impl Flying {
    fn end(&self) -> u64 {
        self.at + on_disk(self.block.bytes().len())
    }
}

#[derive(Clone)]
pub(super) struct Inode {
    /// Its latest name, for reports.
    pub(super) path: String,
    /// Names that point here now.
    pub(super) links: u64,
    /// Shared with every open handle and every IO in flight.
    pub(super) open: Arc<()>,
    pub(super) visible: Image,
    pub(super) durable: Image,
    /// Changes that are visible but not durable, in order, each with its place in the disk's history.
    pub(super) journal: Vec<(u64, Change)>,
    pub(super) flying: Vec<Flying>,
    /// Pages whose reads fail until they are written.
    pub(super) unreadable: BTreeSet<u64>,
}

impl Inode {
    pub(super) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            links: 1,
            open: Arc::new(()),
            visible: Image::default(),
            durable: Image::default(),
            journal: Vec::new(),
            flying: Vec::new(),
            unreadable: BTreeSet::new(),
        }
    }

    /// Whether its blocks count: it has a name or is open.
    pub(super) fn is_used(&self) -> bool {
        self.links > 0 || Arc::strong_count(&self.open) > 1
    }

    pub(super) fn take_off(&mut self, io: u64, at: u64, block: &Rc<Block>) {
        let write = Flying {
            io,
            at,
            block: Rc::clone(block),
        };
        for other in &self.flying {
            assert!(
                write.end() <= other.at || other.end() <= at,
                "two writes in flight overlap in {}: {}..{} and {at}..{}",
                self.path,
                other.at,
                other.end(),
                write.end(),
            );
        }
        self.flying.push(write);
    }

    pub(super) fn land(&mut self, seq: u64, change: Change) {
        if let Change::Write { at, block, .. } = &change {
            for page in pages_of(*at, block.bytes().len()) {
                if self.unreadable.is_empty() {
                    break;
                }
                self.unreadable.remove(&page);
            }
        }
        self.visible.apply(&change);
        self.journal.push((seq, change));
    }

    pub(super) fn sync(&mut self, upto: u64) {
        let covered = self.journal.partition_point(|(seq, _)| *seq <= upto);
        for (_, change) in self.journal.drain(..covered) {
            self.durable.apply(&change);
        }
    }

    /// Takes a write back from what reads see, where no later write covers it.
    pub(super) fn revert(&mut self, at: u64, block: &Rc<Block>) {
        for page in pages_of(at, block.bytes().len()) {
            if self
                .visible
                .pages
                .get(page)
                .is_some_and(|held| held.is_of(block))
            {
                let before = self.durable.pages.get(page).cloned();
                self.visible.pages.set(page, before);
            }
        }
        // A page that had no contents before gives its block back.
        self.visible.recount();
    }

    /// The bytes a read sees. Where a write is in flight, each sector is old or new as `coin` says.
    pub(super) fn read(
        &self,
        at: u64,
        len: usize,
        mut coin: impl FnMut() -> bool,
    ) -> io::Result<Vec<u8>> {
        if at + on_disk(len) > self.visible.len {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!(
                    "{} ends at {}, read of {at}+{len}",
                    self.path, self.visible.len
                ),
            ));
        }
        let mut bytes = self.visible.pages.read(at, len);
        for write in &self.flying {
            let from = write.at.max(at);
            let to = write.end().min(at + on_disk(len));
            for sector in (from..to).step_by(super::pages::SECTOR) {
                if coin() {
                    let (source, target) = (in_memory(sector - write.at), in_memory(sector - at));
                    let fresh = &write.block.bytes()[source..source + super::pages::SECTOR];
                    bytes[target..target + super::pages::SECTOR].copy_from_slice(fresh);
                }
            }
        }
        Ok(bytes)
    }
}

/// The pages that `len` bytes at `at` touch.
pub(super) fn pages_of(at: u64, len: usize) -> std::ops::Range<u64> {
    let page = on_disk(ALIGN);
    at / page..(at + on_disk(len)).div_ceil(page)
}
