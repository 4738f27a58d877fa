//! A segment file that is in use, and what is known of it without reading it.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use super::read::PAGE_U64;
use crate::format::{
    checkpoint::SegmentItem,
    footer,
    page::{self, PAYLOAD_U64},
    segment::HEADER_PAGES,
};

/// Whether records can still be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A lane appends to it.
    Open,
    /// It has a footer and never changes again.
    Closed,
    /// A write or sync failed: what was acknowledged before is served, nothing is added, and it
    /// has no footer. The next start replays it.
    Failed,
}

/// A segment in use. Shared by the lane, this executor's readers and mend; freed when only the table
/// holds it. Other executors may still read its file then: see [`crate::shelf`].
pub struct Segment<F> {
    /// Number in the shard.
    pub number: u32,
    /// Tag of this life of the file.
    pub tag: u64,
    /// Highest expiry epoch of its records; 0 for records without expiry.
    pub bucket: u32,
    /// Bytes of the file.
    pub file_len: Cell<u64>,
    /// The file.
    pub file: F,
    /// Its path.
    pub path: PathBuf,
    /// Whether records can still be added.
    pub state: Cell<State>,
    /// First sequence number, 0 while it is empty.
    pub first: Cell<u64>,
    /// Last sequence number, 0 while it is empty.
    pub last: Cell<u64>,
    /// Stream position after the last record.
    pub end: Cell<u64>,
    /// Highest expiry of its records; `u32::MAX` once one of them never expires.
    pub expiry: Cell<u32>,
    /// Bytes of records (header and payload) that the index points to.
    pub live: Cell<u64>,
    /// Records that were appended and that the catalog has not heard of: until it has, nothing
    /// points to them, and the segment may not be freed.
    pub unsettled: Cell<u32>,
    /// Something in it could not be moved: compaction leaves it alone.
    pub stuck: Cell<bool>,
    /// Bytes of tombstones, which live until what they bury is gone.
    pub tombstones: Cell<u64>,
}

/// A segment's file, and the tag that its pages bear in its present life.
#[derive(Debug)]
pub struct Life<'file, F> {
    /// The file.
    pub file: &'file F,
    /// The tag.
    pub tag: u64,
}

impl<F> Clone for Life<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Life<'_, F> {}

impl<F> Segment<F> {
    /// Its file as it is now.
    pub fn life(&self) -> Life<'_, F> {
        Life {
            file: &self.file,
            tag: self.tag,
        }
    }

    /// A segment without records.
    pub fn new(number: u32, tag: u64, bucket: u32, file: F, path: PathBuf, file_len: u64) -> Self {
        Segment {
            number,
            tag,
            bucket,
            file_len: Cell::new(file_len),
            file,
            path,
            state: Cell::new(State::Open),
            first: Cell::new(0),
            last: Cell::new(0),
            end: Cell::new(0),
            expiry: Cell::new(0),
            live: Cell::new(0),
            unsettled: Cell::new(0),
            stuck: Cell::new(false),
            tombstones: Cell::new(0),
        }
    }

    /// Counts a record that was added or found.
    pub fn note(&self, entry: &footer::Entry) {
        let header = &entry.header;
        if self.first.get() == 0 {
            self.first.set(header.sequence);
        }
        self.last.set(header.sequence);
        self.end.set(entry.at + header.total_len());
        let expiry = if header.expiry == 0 {
            u32::MAX
        } else {
            header.expiry
        };
        self.expiry.set(self.expiry.get().max(expiry));
    }

    /// Takes over what a checkpoint remembers.
    pub fn remember(&self, item: &SegmentItem) {
        self.first.set(item.first);
        self.last.set(item.last);
        self.end.set(item.end);
        self.expiry.set(item.expiry);
    }

    /// What a checkpoint remembers.
    pub fn item(&self) -> SegmentItem {
        SegmentItem {
            number: self.number,
            tag: self.tag,
            bucket: self.bucket,
            first: self.first.get(),
            last: self.last.get(),
            end: self.end.get(),
            expiry: self.expiry.get(),
        }
    }

    /// Bytes of its frames that compaction would win: dead records and padding.
    pub fn dead(&self, used: u64) -> u64 {
        let frames = page::stream_start(HEADER_PAGES);
        self.end.get().saturating_sub(frames).saturating_sub(used)
    }

    /// Most records that it can hold, from the room that its footer has: exact to a page of footer if
    /// it was closed early and cut, far more otherwise.
    pub fn records_most(&self) -> u64 {
        let frames_end = page::page_of(self.end.get());
        let pages = self.file_len.get() / PAGE_U64;
        let footer = pages.saturating_sub(u64::from(frames_end));
        footer * PAYLOAD_U64 / footer::ENTRY_U64
    }

    /// Whether every record has expired by `epoch`.
    pub fn expired(&self, epoch: u32) -> bool {
        self.state.get() == State::Closed && self.first.get() != 0 && self.expiry.get() <= epoch
    }
}

/// Name of segment `number`.
pub fn name(number: u32) -> String {
    format!("segment-{number:010}")
}

/// Number in a segment's name.
pub fn number(name: &str) -> Option<u32> {
    number_after(name, "segment-")
}

/// Number in the name of a file that waits to be used again.
pub fn free_number(name: &str) -> Option<u32> {
    number_after(name, "free-")
}

fn number_after(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    // The last number has none after it: no segment ever gets it.
    let number = (digits.len() == 10).then(|| digits.parse().ok())?;
    number.filter(|number| *number != u32::MAX)
}

/// Path of segment `number` in a shard's directory.
pub fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(name(number))
}
