//! Keys of streams as numbers, in their order.
//!
//! The store below takes keys of at most 64 KiB, streams have keys of 16 MiB. So a key is cut into
//! parts, and the parts are a tree:
//!
//! ```text
//!  0 ‖ stream           ─► node of the stream
//!  node ‖ part          ─► slot of the key that ends here            part: 1 to 32 KiB
//!  node ‖ part ‖ 0x00   ─► node for what follows the part            part: exactly 32 KiB
//! ```
//! What follows a part stands right behind it and before everything else, which is where keys that it
//! begins belong: a walk over the rows in order is a walk over the keys in order. Nearly every key is
//! one row.
//!
//! A name that was given stays, even if what gave it is undone: without a version it has no value.

use core::ops::Bound;
use std::collections::BTreeMap;

use fjall::{Iter, Readable as _};

use super::{StoreError, View, number, values::Order};
use crate::stream::StreamId;

/// Bytes of a part: half of what the store below takes, with its number.
pub(super) const PART_LEN: usize = 32_768;
/// The node of the streams' names.
const STREAMS: u64 = 0;
/// Behind a part that something follows.
const MORE: u8 = 0;

/// Number of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub(super) u64);

/// All parts of a key but the last, and the last.
fn cut(key: &[u8]) -> (impl Iterator<Item = &[u8]>, &[u8]) {
    let whole = key.len().saturating_sub(1) / PART_LEN * PART_LEN;
    let (whole, last) = key.split_at(whole);
    (whole.chunks_exact(PART_LEN), last)
}

fn row(node: u64, part: &[u8], more: bool) -> Vec<u8> {
    let mut row = Vec::with_capacity(8 + part.len() + 1);
    row.extend_from_slice(&node.to_be_bytes());
    row.extend_from_slice(part);
    if more {
        row.push(MORE);
    }
    row
}

/// Gives names that are not there yet.
pub(super) struct Names<'a> {
    view: &'a View,
    next: u64,
    /// What was given and is not written.
    given: BTreeMap<Vec<u8>, u64>,
}

impl<'a> Names<'a> {
    pub(super) fn new(view: &'a View, next: u64) -> Self {
        let given = BTreeMap::new();
        Names { view, next, given }
    }

    /// The slot of a key.
    pub(super) fn slot(&mut self, stream: StreamId, key: &[u8]) -> Result<Slot, StoreError> {
        let mut node = self.at(row(STREAMS, stream.0.as_bytes(), false))?;
        let (parts, last) = cut(key);
        for part in parts {
            node = self.at(row(node, part, true))?;
        }
        Ok(Slot(self.at(row(node, last, false))?))
    }

    /// What has to be written, and the next number after it.
    pub(super) fn finish(self) -> (impl Iterator<Item = (Vec<u8>, u64)>, u64) {
        (self.given.into_iter(), self.next)
    }

    fn at(&mut self, row: Vec<u8>) -> Result<u64, StoreError> {
        if let Some(found) = self.view.name(&row)? {
            return Ok(found);
        }
        let next = &mut self.next;
        Ok(*self.given.entry(row).or_insert_with(|| {
            *next += 1;
            *next - 1
        }))
    }
}

impl View {
    fn name(&self, row: &[u8]) -> Result<Option<u64>, StoreError> {
        let held = self.snapshot.get(&self.spaces.names, row)?;
        held.map(|held| number(&held)).transpose()
    }

    fn root(&self, stream: StreamId) -> Result<Option<u64>, StoreError> {
        self.name(&row(STREAMS, stream.0.as_bytes(), false))
    }

    /// The slot of a key, if it has one.
    pub(super) fn slot(&self, stream: StreamId, key: &[u8]) -> Result<Option<Slot>, StoreError> {
        let Some(mut node) = self.root(stream)? else {
            return Ok(None);
        };
        let (parts, last) = cut(key);
        for part in parts {
            match self.name(&row(node, part, true))? {
                Some(child) => node = child,
                None => return Ok(None),
            }
        }
        Ok(self.name(&row(node, last, false))?.map(Slot))
    }

    /// Keys of a stream from a bound on, in an order.
    pub(super) fn walk(
        &self,
        stream: StreamId,
        from: Bound<&[u8]>,
        order: Order,
    ) -> Result<Walk, StoreError> {
        let mut walk = Walk {
            view: self.clone(),
            order,
            prefix: Vec::new(),
            levels: Vec::new(),
        };
        if let Some(root) = self.root(stream)? {
            walk.begin(root, from)?;
        }
        Ok(walk)
    }
}

/// A walk over keys.
pub(super) struct Walk {
    view: View,
    order: Order,
    /// What the key in hand begins with.
    prefix: Vec<u8>,
    /// From the stream's node down. At most as many as a key has parts.
    levels: Vec<Level>,
}

struct Level {
    rows: Iter,
    prefix_len: usize,
}

impl Walk {
    fn begin(&mut self, root: u64, from: Bound<&[u8]>) -> Result<(), StoreError> {
        let (key, inclusive) = match from {
            Bound::Unbounded => {
                self.enter(root, Bound::Unbounded);
                return Ok(());
            }
            Bound::Included(key) => (key, true),
            Bound::Excluded(key) => (key, false),
        };
        let mut node = root;
        let (parts, last) = cut(key);
        for part in parts {
            // What begins with the part is looked at below, what is beyond it after that.
            let more = row(node, part, true);
            let child = self.view.name(&more)?;
            self.enter(node, Bound::Excluded(more));
            self.prefix.extend_from_slice(part);
            match child {
                Some(child) => node = child,
                None => return Ok(()),
            }
        }
        let last = row(node, last, false);
        let bound = if inclusive {
            Bound::Included(last)
        } else {
            Bound::Excluded(last)
        };
        self.enter(node, bound);
        Ok(())
    }

    /// Goes on with the rows of a node that are beyond a bound.
    fn enter(&mut self, node: u64, from: Bound<Vec<u8>>) {
        let first = Bound::Included(node.to_be_bytes().to_vec());
        let end = Bound::Excluded((node + 1).to_be_bytes().to_vec());
        let range = match (self.order, from) {
            (_, Bound::Unbounded) => (first, end),
            (Order::Up, from) => (from, end),
            (Order::Down, from) => (first, from),
        };
        let rows = self.view.snapshot.range(&self.view.spaces.names, range);
        let prefix_len = self.prefix.len();
        self.levels.push(Level { rows, prefix_len });
    }

    /// The next key.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, Slot)>, StoreError> {
        while let Some(level) = self.levels.last_mut() {
            self.prefix.truncate(level.prefix_len);
            let row = match self.order {
                Order::Up => level.rows.next(),
                Order::Down => level.rows.next_back(),
            };
            let Some(row) = row else {
                self.levels.pop();
                continue;
            };
            let (row, held) = row.into_inner()?;
            let (part, held) = (&row[8..], number(&held)?);
            if part.len() > PART_LEN {
                self.prefix.extend_from_slice(&part[..PART_LEN]);
                self.enter(held, Bound::Unbounded);
                continue;
            }
            let key = [&self.prefix[..], part].concat();
            return Ok(Some((key, Slot(held))));
        }
        Ok(None)
    }
}
