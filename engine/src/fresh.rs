//! Which blobs a shard has taken in since a moment: for who looks after them later and must not
//! miss one, and whom no put shall wait for.
//!
//! The moment is a sequence number: every record below it was in the catalog when it was given
//! out, so a walk that begins there finds the rest. The index knows no sequence numbers but places,
//! so a walk looks at all entries for those in segments that have later records, and in an open
//! segment for those behind the first of them. What it finds may include blobs that an earlier walk
//! has found: those of a segment that was closed meanwhile, and those that were moved. It never
//! misses one that is there and has not expired.

use std::{collections::BTreeMap, rc::Rc};

use lode_world::World;

use crate::{
    index::Found,
    shard::Shard,
    store::{self, BlobInfo},
};

/// Blocks of the index that one step of a walk looks at: at most 65,536 blobs.
const STEP_BLOCKS: usize = 64;

/// A walk over a shard that has not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    since: u64,
    /// Where the next walk will begin; none before the first step.
    upto: Option<u64>,
    block: usize,
}

impl Walk {
    /// A walk over all that was taken in since `moment`: 0 for the beginning, or what an earlier
    /// walk has ended with.
    pub fn since(moment: u64) -> Walk {
        Walk {
            since: moment,
            upto: None,
            block: 0,
        }
    }
}

/// A step of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Blobs in no order.
    pub blobs: Vec<BlobInfo>,
    /// How it goes on.
    pub then: Then,
}

/// How a walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// There may be more.
    More(Walk),
    /// That was all; the next walk begins at this moment. It holds after a restart too.
    Done(u64),
}

/// Takes a step.
pub(crate) async fn next<W: World>(shard: Rc<Shard<W>>, walk: Walk) -> Fresh {
    let upto = walk.upto.unwrap_or_else(|| shard.covered());
    let mut blobs = Vec::new();
    if upto <= walk.since {
        let then = Then::Done(walk.since);
        return Fresh { blobs, then };
    }
    let mut block = walk.block;
    let end = block + STEP_BLOCKS;
    while block < end.min(shard.catalog.borrow().index().blocks()) {
        // Anew for each block: while others had their turn a segment may have been closed.
        let starts = starts(&shard, walk.since);
        for (root, found) in shard.catalog.borrow().index().block(block) {
            let place = match found {
                Found::Single { place, .. } => place,
                Found::Long { long, .. } => long.manifest,
            };
            let start = starts.get(&place.segment);
            if start.is_some_and(|start| u64::from(place.at) >= *start)
                && !shard.expired(found.expiry())
            {
                blobs.push(BlobInfo {
                    root,
                    size: found.size(),
                    expiry: store::expiry(found.expiry()),
                });
            }
        }
        block += 1;
        shard.world.breathe().await;
    }
    let more = block < shard.catalog.borrow().index().blocks();
    let then = match more {
        true => Then::More(Walk {
            upto: Some(upto),
            block,
            ..walk
        }),
        false => Then::Done(upto),
    };
    Fresh { blobs, then }
}

/// Segments with records of this sequence number or later ones, and where those begin.
fn starts<W: World>(shard: &Shard<W>, since: u64) -> BTreeMap<u32, u64> {
    let catalog = shard.catalog.borrow();
    let later = catalog
        .segments()
        .values()
        .filter(|segment| segment.last.get() >= since);
    let mut starts: BTreeMap<u32, u64> = later.map(|segment| (segment.number, 0)).collect();
    for (segment, start) in shard.open_since(since) {
        match start {
            Some(start) => starts.insert(segment, start),
            None => starts.remove(&segment),
        };
    }
    starts
}
