//! Reading everything once in a while, so that rot is found while others still have the rows.
//!
//! Bytes a second are limited; whoever waits for rows goes first.

use std::{rc::Rc, time::Duration};

use lode_proofs::Hash32;
use lode_world::World;

use crate::{Error, read, store::Shared};

/// Containers taken from the index at a time.
const BATCH: usize = 256;

/// What a scrub has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Records read.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Records of which something is lost.
    pub damaged: u64,
    /// Rows lost, as far as can be said which.
    pub rows_lost: u64,
}

impl Scrubbed {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Scrubbed) -> Scrubbed {
        Scrubbed {
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
            damaged: self.damaged + other.damaged,
            rows_lost: self.rows_lost + other.rows_lost,
        }
    }
}

/// Checks every record once.
pub async fn run<W: World>(store: &Rc<Shared<W>>, rate: u64) -> Scrubbed {
    let started = store.world.now();
    let mut scrubbed = Scrubbed::default();
    let mut last = None;
    loop {
        let batch: Vec<Hash32> = {
            let index = store.index.borrow();
            let batch = index.after(last, BATCH);
            batch.map(|(container, _)| container).collect()
        };
        let Some(end) = batch.last().copied() else {
            return scrubbed;
        };
        for container in batch {
            if store.closing.get() {
                return scrubbed;
            }
            check(store, container, &mut scrubbed, started, rate).await;
        }
        last = Some(end);
        store.world.breathe().await;
    }
}

async fn check<W: World>(
    store: &Rc<Shared<W>>,
    container: Hash32,
    scrubbed: &mut Scrubbed,
    started: Duration,
    rate: u64,
) {
    match read::record(store, container).await {
        Ok(record) => {
            scrubbed.records += 1;
            let mut bytes = scrubbed.bytes;
            let damage = record
                .check(async |read| {
                    bytes += read;
                    hold_back(store, started, bytes, rate).await;
                })
                .await;
            scrubbed.bytes = bytes;
            scrubbed.damaged += u64::from(!damage.is_empty());
            scrubbed.rows_lost += u64::try_from(damage.rows.len()).expect("64-bit");
        }
        // It has expired meanwhile.
        Err(Error::NotHeld { .. }) => {}
        Err(error) => {
            tracing::error!(%container, %error, "a record of rows cannot be read");
            scrubbed.records += 1;
            scrubbed.damaged += 1;
        }
    }
}

/// Sleeps when more was read than the rate allows.
async fn hold_back<W: World>(store: &Shared<W>, started: Duration, bytes: u64, rate: u64) {
    store.world.breathe().await;
    if rate == 0 {
        return;
    }
    let due = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
    let due = Duration::from_nanos(u64::try_from(due).unwrap_or(u64::MAX));
    let spent = store.world.now().saturating_sub(started);
    if due > spent {
        store.world.sleep(due - spent).await;
    }
}
