//! Reading everything once in a while, so that rot is found while there is another copy.
//!
//! A pass walks the index, reads every record it points to and checks it whole: page checksums of
//! the header, BLAKE3 of the payload, and that the record is the one that belongs there. Bytes per
//! second are limited; serving goes first.

use std::{rc::Rc, time::Duration};

use lode_world::{Queue, World};

use crate::{
    Result, Root,
    format::manifest,
    index::Found,
    log::read::ReadError,
    shard::{Shard, add, wanted::Wanted},
};

/// Pause between two background passes.
const REST: Duration = Duration::from_secs(3600);

/// Starts a shard's background scrub; it ends when the shard stops.
pub(crate) fn start<W: World>(shard: &Rc<Shard<W>>, rate: u64) {
    if rate == 0 {
        return;
    }
    let scrubbed = Rc::clone(shard);
    shard.world.spawn(Queue::Scrub, async move {
        loop {
            scrubbed.world.sleep(REST).await;
            if scrubbed.stopping.get() {
                return;
            }
            if let Err(error) = pass(&scrubbed, rate).await {
                tracing::error!(shard = scrubbed.id, %error, "scrub stopped early");
            }
        }
    });
}

/// Checks every record once, at up to `rate` bytes per second (0: as fast as the disk).
pub(crate) async fn pass<W: World>(shard: &Rc<Shard<W>>, rate: u64) -> Result<()> {
    let started = shard.world.now();
    let mut bytes = 0_u64;
    let mut block = 0;
    while block < shard.catalog.borrow().index().blocks() {
        let roots: Vec<Root> = shard
            .catalog
            .borrow()
            .index()
            .block(block)
            .map(|(root, _)| root)
            .collect();
        for root in roots {
            let mut part = 0;
            while let Some(wanted) = nth_record(shard, &root, part) {
                if shard.stopping.get() {
                    return Ok(());
                }
                check(shard, &root, part, wanted).await;
                let len = u64::try_from(wanted.len).expect("64-bit");
                add(&shard.count.scrubbed, len);
                bytes += len;
                hold_back(shard, started, bytes, rate).await;
                part += 1;
            }
        }
        block += 1;
        shard.world.breathe().await;
    }
    add(&shard.count.scrub_passes, 1);
    Ok(())
}

/// Record `part` of a blob: chunks, then groups, then the manifest; none after the last.
fn nth_record<W: World>(shard: &Shard<W>, root: &Root, part: u64) -> Option<Wanted> {
    let catalog = shard.catalog.borrow();
    match catalog.index().get(root)? {
        Found::Single { place, len, .. } => (part == 0).then(|| Wanted::single(place, len)),
        Found::Long { long, .. } => {
            let (chunks, groups) = (manifest::chunks(long.size), manifest::groups(long.size));
            match part.checked_sub(chunks) {
                None => Some(Wanted::chunk_of(long, part)),
                Some(group) if group < groups => Some(Wanted::group_of(long, group)),
                Some(last) if last == groups => Some(Wanted::manifest_of(long)),
                Some(_) => None,
            }
        }
    }
}

/// Reads a record; damage is counted and told, unless the record was moved or deleted meanwhile.
async fn check<W: World>(shard: &Rc<Shard<W>>, root: &Root, part: u64, wanted: Wanted) {
    if let Err(error) = shard.record(wanted, root).await
        && nth_record(shard, root, part) == Some(wanted)
    {
        let error: ReadError = error;
        shard.fault(error, *root, part);
    }
}

/// Sleeps when more was read than the rate allows.
async fn hold_back<W: World>(shard: &Shard<W>, started: Duration, bytes: u64, rate: u64) {
    if rate == 0 {
        return;
    }
    let due = Duration::from_nanos(
        u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(rate)).unwrap_or(u64::MAX),
    );
    let spent = shard.world.now().saturating_sub(started);
    if due > spent {
        shard.world.sleep(due - spent).await;
    }
}
