//! Terms end, or are made longer.
//!
//! What expires goes by whole segments: a file is removed, nothing is ever moved to make room. A term
//! is made longer by writing the record once more where it then belongs; the old one goes with its
//! segment.

use std::{collections::BTreeSet, rc::Rc};

use lode_proofs::Hash32;
use lode_world::{Disk, World};

use crate::{
    Error, Result, append, read,
    segment::{Segment, State},
    store::Shared,
};

/// Containers looked at between two breaths.
const BATCH: usize = 4096;

/// Bytes of rows that are moved at a time.
const MOVE_LEN: usize = 1 << 20;

/// What an expiry has freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Segments removed.
    pub segments: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Containers that are no longer held.
    pub containers: u64,
}

impl Freed {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Freed) -> Freed {
        Freed {
            segments: self.segments + other.segments,
            bytes: self.bytes + other.bytes,
            containers: self.containers + other.containers,
        }
    }
}

/// Removes every segment whose bucket has ended by `now`.
pub async fn expire<W: World>(store: &Rc<Shared<W>>, now: u64) -> Result<Freed> {
    store.tell_time(now);
    let mut over: Vec<Rc<Segment<_>>> = {
        let segments = store.segments.borrow();
        let over = segments
            .values()
            .filter(|segment| segment.until <= store.now());
        over.cloned().collect()
    };
    // The record that an extended one replaced goes first: after a crash between the two it would
    // count again.
    over.sort_unstable_by_key(|segment| (segment.until, segment.number));
    let mut freed = Freed::default();
    if over.is_empty() {
        return Ok(freed);
    }
    for segment in &over {
        segment.state.set(State::Ended);
        store.open.borrow_mut().remove(&segment.until);
        segment.ended.ring();
    }
    let numbers = over.iter().map(|segment| segment.number).collect();
    freed.containers = forget(store, &numbers).await;
    let mut failed = Ok(());
    let mut removed = Vec::new();
    for segment in over {
        match remove(store, &segment).await {
            Ok(bytes) => {
                freed.bytes += bytes;
                removed.push(segment.number);
            }
            // One file that stays does not keep the others.
            Err(error) => failed = failed.and(Err(error)),
        }
    }
    let dir = &store.options.dir;
    let synced = store.world.disk().sync_dir(dir).await;
    synced.map_err(Error::io(dir))?;
    // Until then their names may come back, so the next expiry has them once more.
    freed.segments = u64::try_from(removed.len()).expect("64-bit");
    let mut segments = store.segments.borrow_mut();
    segments.retain(|number, _| !removed.contains(number));
    failed.map(|()| freed)
}

/// Takes the containers of some segments out of the index.
async fn forget<W: World>(store: &Shared<W>, segments: &BTreeSet<u32>) -> u64 {
    let (mut last, mut forgotten) = (None, 0);
    loop {
        {
            let mut index = store.index.borrow_mut();
            let batch: Vec<_> = index.after(last, BATCH).collect();
            let Some((end, _)) = batch.last() else {
                return forgotten;
            };
            last = Some(*end);
            for (container, place) in batch {
                if segments.contains(&place.segment) {
                    index.remove(&container);
                    store.damage.borrow_mut().remove(&container);
                    forgotten += 1;
                }
            }
        }
        store.world.breathe().await;
    }
}

/// Removes a segment's file, and tells how long it was; if that fails, the next expiry tries again.
async fn remove<W: World>(store: &Shared<W>, segment: &Segment<W::File>) -> Result<u64> {
    // What is being closed is renamed at its end.
    segment.commits.idle().await;
    while store.closing_now.get() > 0 {
        store.closed.wait().await;
    }
    segment.file.take();
    let path = segment.path.borrow().clone();
    match store.world.disk().remove(&path).await {
        Ok(()) => Ok(segment.len.get()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::io(&path)(error)),
    }
}

/// Writes a record again with a later expiry.
pub async fn extend<W: World>(store: &Rc<Shared<W>>, container: Hash32, expiry: u64) -> Result<()> {
    store.check_term(expiry)?;
    let record = read::record(store, container).await?;
    let have = record.statement().expiry;
    if expiry <= have {
        return Err(Error::NotLater {
            container,
            expiry,
            have,
        });
    }
    let mut holding = record.holding().await?;
    holding.statement.expiry = expiry;
    let numbers = holding.rows.clone();
    let width = holding.statement.head.shape.width();
    let mut appending = append::begin(store, holding, true).await?;
    for numbers in numbers.chunks((MOVE_LEN / width).max(1)) {
        for row in record.rows(numbers).await? {
            appending.push(&row).await?;
        }
    }
    appending.finish().await
}
