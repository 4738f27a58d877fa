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
    /// An append is acknowledged when its bytes were written, before they are synced.
    AckBeforeSync = 1,
    /// Rows are given out without a look at the checksums of their pages.
    SkipChecksum,
    /// A record's foot is written before its rows are durable.
    FootBeforeRows,
    /// A new segment's name is not made durable.
    NameWithoutSync,
    /// What a killed process wrote is held again without being synced.
    SettleWithoutSync,
    /// A sync that failed is tried again, and its second answer believed.
    RetrySync,
    /// After a crash a record counts although nothing says that its rows are durable.
    HeadIsEnough,
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
    "a node could be told to lose rows"
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
