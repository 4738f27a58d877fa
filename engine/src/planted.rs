//! Bugs that a simulated machine can be given, so that tests show that the checkers catch them.
//!
//! Only a simulated world has a switch. In the worlds that a node runs in the answer is `false`
//! while the program is compiled, and the bug with its question is gone; the asserts below hold
//! every build to that.

use lode_world::{World, posix::PosixWorld, sim::Sim, uring::UringWorld};

/// A bug of a kind that stores have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Bug {
    /// A put is acknowledged when its bytes were written, before they are synced.
    AckBeforeSync = 1,
    /// Pages and payloads are served without looking at their checksums.
    SkipChecksum,
    /// A footer is believed without its checksum.
    TrustFooter,
    /// A checkpoint covers records that are not durable.
    IndexAheadOfLog,
    /// What a killed process wrote is acknowledged again without being synced.
    ReplayWithoutSync,
    /// What reads see after a failed sync is taken for durable (fsyncgate).
    TrustUncertain,
    /// A sync that failed is tried again, and its second answer believed.
    RetrySync,
    /// A new segment's name is not made durable.
    NameWithoutSync,
    /// Compaction frees a segment before the copies of its records are durable.
    FreeBeforeCopy,
    /// Compaction does not carry tombstones along.
    DropTombstones,
    /// A start replays segment by segment, not in the order of the records.
    ReplayOutOfOrder,
}

impl Bug {
    #[expect(
        clippy::as_conversions,
        reason = "a fieldless repr(u32) enum has no other way"
    )]
    const fn number(self) -> u32 {
        self as u32
    }
}

const _: () = assert!(
    <UringWorld as World>::PLANTED.is_none() && <PosixWorld as World>::PLANTED.is_none(),
    "a node could be told to lose data"
);

/// Plants a bug in a machine's stores, or takes it out again.
pub fn plant(sim: &Sim, bug: Option<Bug>) {
    sim.plant(bug.map_or(0, Bug::number));
}

/// Whether the world's machine has the bug.
#[inline]
pub(crate) fn is<W: World>(world: &W, bug: Bug) -> bool {
    W::PLANTED.is_some_and(|planted| planted(world) == bug.number())
}
