//! Keeping a shard in order while it serves: checkpoints, compaction and expiry, scrub.
//!
//! One task per shard sleeps until something changed that it could act on, works in the background
//! queues and never holds more than a few records of memory.

pub mod checkpoint;
mod copy;
pub mod reclaim;
pub mod scrub;
mod uploads;

use std::{cell::Cell, rc::Rc, time::Duration};

use lode_world::{Queue, World};

use crate::{
    shard::Shard,
    wait::{Bell, either},
};

/// A checkpoint is written after this many segments were closed.
const CLOSED_PER_CHECKPOINT: u32 = 8;
/// How often mend looks although nothing changed in its shard.
const LOOK: Duration = Duration::from_secs(10);
/// How long mend waits after a change before it looks, so that it looks at many at once.
const PAUSE: Duration = Duration::from_secs(1);

/// What mend remembers between its steps.
pub(crate) struct State {
    changed: Bell,
    closed: Cell<u32>,
    pub(crate) checkpoint_number: Cell<u64>,
    /// The newest checkpoint covers the records below this number; 0 without one.
    pub(crate) covered: Cell<u64>,
    /// Held while mend works, so that an order from outside waits for its turn.
    pub(crate) busy: crate::wait::KeyLock<()>,
    /// Held while the store's epoch is written.
    pub(crate) epoch: crate::wait::KeyLock<()>,
}

impl State {
    pub(crate) fn new() -> State {
        State {
            changed: Bell::default(),
            closed: Cell::new(0),
            checkpoint_number: Cell::new(0),
            covered: Cell::new(0),
            busy: crate::wait::KeyLock::default(),
            epoch: crate::wait::KeyLock::default(),
        }
    }

    /// A segment was closed.
    pub(crate) fn segment_closed(&self) {
        self.closed.set(self.closed.get() + 1);
        self.changed.ring();
    }

    /// The last record of a closed segment came into the catalog.
    pub(crate) fn segment_settled(&self) {
        self.changed.ring();
    }

    /// Records died.
    pub(crate) fn bytes_died(&self) {
        self.changed.ring();
    }

    /// New blobs were refused for want of space.
    pub(crate) fn space_wanted(&self) {
        self.changed.ring();
    }
}

/// Starts a shard's mend task; it ends when the shard stops.
pub(crate) fn start<W: World>(shard: &Rc<Shard<W>>) {
    let mender = Rc::clone(shard);
    shard.world.spawn(Queue::Mend, async move {
        while !mender.stopping.get() {
            // Other shards may have filled the disk meanwhile.
            let changed = std::pin::pin!(mender.mend.changed.wait());
            let look = std::pin::pin!(mender.world.sleep(LOOK));
            either(changed, look).await;
            mender.world.sleep(PAUSE).await;
            if let Err(error) = step(&mender).await {
                tracing::error!(shard = mender.id, %error, "mend stopped early; it tries again after the next change");
            }
        }
    });
}

/// One round: free what can be freed, then a checkpoint if one is due.
pub(crate) async fn step<W: World>(shard: &Rc<Shard<W>>) -> crate::Result<()> {
    if shard.stopping.get() {
        return Ok(());
    }
    let freed = reclaim::run(shard).await;
    let wanted = reclaim::wants_checkpoint(shard).await?;
    let mend = &shard.mend;
    let closed = mend.closed.get();
    if closed >= CLOSED_PER_CHECKPOINT || wanted {
        let written = checkpoint::write(shard).await;
        // Where it failed, the next segment that is closed asks again.
        let settled = match written {
            Ok(()) => closed,
            Err(_) => closed.saturating_sub(CLOSED_PER_CHECKPOINT - 1),
        };
        mend.closed.set(mend.closed.get() - settled);
        written?;
    }
    if wanted {
        mend.space_wanted();
    }
    freed
}
