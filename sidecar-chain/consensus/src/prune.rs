//! What consensus keeps on its disk of blocks that are final, and what it removes.
//!
//! ```text
//!   removed │ who the committee was │ two epochs before │ this epoch │
//!  ─────────┴───────────────────────┴───────────────────┴────────────┴─► last
//! ```
//! Blocks and certificates are kept for validators that were away: those that were away for longer
//! begin anew from a checkpoint. The ledger has all of them as well, for ever, and is not touched.
//! Whatever is asked for, this epoch is kept and the two before: who begins with a checkpoint and
//! registers in the same epoch is connected to at the beginning of the second one after, and lacks
//! what came between. After a restart the last block of an epoch says who the committee is.
//!
//! Votes of an epoch are removed when the one after the next has begun: by then nothing is left to
//! vote for there, so nothing can be voted for twice.

use std::num::NonZeroU64;

use commonware_consensus::types::Height;
use commonware_runtime::{Error, Storage};
use commonware_utils::NZU64;

use crate::{adapter::Marshal, delivery};

/// Blocks in one file of an archive.
const ARCHIVE_SECTION: NonZeroU64 = NZU64!(1024);
/// How often something is removed, in blocks.
const EVERY: u64 = 64;

/// Epochs before the running one whose blocks are kept.
const EPOCHS_BEFORE: u64 = 2;

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// Blocks below the last one.
    pub(crate) blocks: u64,
    /// Blocks in one file of an archive: files are removed as a whole. One number for ever.
    pub(crate) section: NonZeroU64,
}

impl Keep {
    /// So many blocks, in files as every validator on a disk has them.
    pub(crate) fn of_node(blocks: u64) -> Keep {
        let section = ARCHIVE_SECTION;
        Keep { blocks, section }
    }
}

/// Removes what is not needed any more.
pub(crate) struct Pruner<E> {
    storage: E,
    keep: Keep,
    blocks_per_epoch: NonZeroU64,
    /// What the names of votes begin with.
    votes: String,
    /// Votes of epochs below are gone.
    removed: u64,
}

impl<E: Storage> Pruner<E> {
    pub(crate) fn new(
        storage: E,
        keep: Keep,
        blocks_per_epoch: NonZeroU64,
        votes: String,
    ) -> Pruner<E> {
        Pruner {
            storage,
            keep,
            blocks_per_epoch,
            votes,
            removed: 0,
        }
    }

    /// A block is durable in execution.
    pub(crate) async fn delivered(&mut self, height: u64, marshal: &Marshal) {
        if height.is_multiple_of(EVERY) {
            marshal.prune(Height::new(lowest(
                height,
                self.keep,
                self.blocks_per_epoch,
            )));
        }
        let epoch = acknowledged(height) / self.blocks_per_epoch;
        if epoch > self.removed + 1 {
            self.remove_votes(epoch - 1).await;
            self.removed = epoch - 1;
        }
    }

    /// Removes the votes of all epochs below, down to those that were removed before.
    async fn remove_votes(&self, below: u64) {
        for epoch in (0..below).rev() {
            match self.storage.remove(&votes(&self.votes, epoch), None).await {
                Ok(()) => {}
                Err(Error::PartitionMissing(_)) => return,
                Err(error) => {
                    tracing::warn!(%error, epoch, "old votes could not be removed");
                    return;
                }
            }
        }
    }
}

/// Where the library keeps the votes of an epoch.
pub(crate) fn votes(prefix: &str, epoch: u64) -> String {
    format!("{prefix}_consensus_{epoch}")
}

/// A block that consensus knows to be durable when this one is.
fn acknowledged(height: u64) -> u64 {
    let pending = u64::try_from(delivery::PENDING_MAX).expect("few");
    height.saturating_sub(pending)
}

/// The lowest block that is kept when `height` is durable.
fn lowest(height: u64, keep: Keep, blocks_per_epoch: NonZeroU64) -> u64 {
    let epoch = acknowledged(height) / blocks_per_epoch;
    let first = epoch.saturating_sub(EPOCHS_BEFORE) * blocks_per_epoch.get();
    let boundary = first.saturating_sub(1);
    height.saturating_sub(keep.blocks).min(boundary)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The block that says who the committee is is kept wherever a restart may begin, and for whoever
    /// began two epochs before; as many blocks as were asked for are kept, and not many more.
    #[test]
    fn keeps_what_a_restart_needs() {
        for blocks in [0, 10, 100, 1000] {
            let keep = Keep {
                blocks,
                section: NZU64!(16),
            };
            for height in 0..2000_u64 {
                let lowest = lowest(height, keep, NZU64!(64));
                assert!(lowest <= height.saturating_sub(blocks));
                // Consensus may be restarted behind any block that it had not heard of yet.
                for processed in acknowledged(height)..=height {
                    let epoch = ((processed + 1) / 64).saturating_sub(2);
                    let boundary = (epoch * 64).saturating_sub(1);
                    assert!(lowest <= boundary, "{lowest} at {processed}");
                }
                assert!(lowest + blocks + 4 * 64 >= height, "{lowest} at {height}");
            }
        }
    }
}
