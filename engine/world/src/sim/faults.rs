//! What may go wrong in a simulation, how often, and what did.
//!
//! [`Faults::default`] is a perfect machine: IO completes in the order it was asked for and only a
//! crash loses anything. Each field adds one kind of trouble.

use super::chance::Chance;
use std::{ops::RangeInclusive, time::Duration};

/// A plan of faults. All randomness comes from the simulation's seed.
#[derive(Clone, Debug)]
pub struct Faults {
    /// How long an IO takes; a sync takes four times that. A range of more than one value makes
    /// IOs complete in another order than they were asked for.
    pub latency: RangeInclusive<Duration>,
    /// Per IO: it takes [`Faults::stall_span`] longer.
    pub stall: Chance,
    /// How long a stalled IO hangs.
    pub stall_span: Duration,
    /// The run ends with [`super::Stop::Crashed`] when this many IOs have been asked for since it
    /// began, as soon as the task that asked waits; the last of them is in flight then. 1 crashes
    /// at the first.
    pub crash_after_ios: Option<u64>,
    /// Per write that a crash or an error interrupts: it lands in part, at 512-byte sectors, as a
    /// prefix or as an arbitrary subset. Otherwise it lands wholly or not at all.
    pub torn: Chance,
    /// Per read: one bit of the range asked for flips on the disk beforehand, and stays flipped.
    pub rot: Chance,
    /// Per write: it reports success, but the data lands on other pages of the same or another
    /// file, and the pages meant keep their contents.
    pub misdirect: Chance,
    /// Per read: EIO once.
    pub read_error: Chance,
    /// Per read: EIO, and so for every read of one of its pages until that page is written.
    pub read_error_sticky: Chance,
    /// Per write: EIO; the data lands wholly, in part or not at all.
    pub write_error: Chance,
    /// Per sync: EIO once. Each write that it would have covered became durable, or silently never
    /// will (later syncs succeed without it), or is gone even from later reads.
    pub sync_error: Chance,
    /// Per sync: it reports success and makes nothing durable; a later one may.
    pub sync_lie: Chance,
    /// Per operation that needs space: ENOSPC although there is some.
    pub full: Chance,
    /// Bytes that the disk holds.
    pub capacity: u64,
    /// Task polls in one run before it ends with [`super::Stop::Endless`].
    pub steps_max: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(20)..=Duration::from_micros(20),
            stall: Chance::NEVER,
            stall_span: Duration::from_millis(100),
            crash_after_ios: None,
            torn: Chance::NEVER,
            rot: Chance::NEVER,
            misdirect: Chance::NEVER,
            read_error: Chance::NEVER,
            read_error_sticky: Chance::NEVER,
            write_error: Chance::NEVER,
            sync_error: Chance::NEVER,
            sync_lie: Chance::NEVER,
            full: Chance::NEVER,
            capacity: 1 << 40,
            steps_max: 20_000_000,
        }
    }
}

impl Faults {
    /// A machine that may lose power: IOs complete in any order, stall now and then, and tear when
    /// interrupted. An acked byte must survive this.
    #[must_use]
    pub fn crashes() -> Self {
        Self {
            latency: Duration::from_micros(5)..=Duration::from_micros(300),
            stall: Chance::one_in(200),
            torn: Chance::one_in(2),
            ..Self::default()
        }
    }
}

/// How often each fault struck, and what the crashes did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// IOs asked for: reads, writes, syncs and operations on names.
    pub ios: u64,
    /// Crashes of either sort.
    pub crashes: u64,
    /// Writes that landed in part.
    pub torn: u64,
    /// Unsynced writes that a power loss dropped whole.
    pub lost_writes: u64,
    /// Unsynced changes of names and lengths that a power loss undid.
    pub lost_names: u64,
    /// IOs that stalled.
    pub stalls: u64,
    /// Bits that flipped by [`Faults::rot`].
    pub rots: u64,
    /// Writes that went astray.
    pub misdirected: u64,
    /// Reads that failed with EIO, sticky or not.
    pub read_errors: u64,
    /// Writes that failed with EIO.
    pub write_errors: u64,
    /// Syncs that failed with EIO.
    pub sync_errors: u64,
    /// Syncs that lied.
    pub sync_lies: u64,
    /// Operations refused with ENOSPC, for real or by [`Faults::full`].
    pub fulls: u64,
}

/// Bytes of a file that the simulation itself spoiled: what a checker must expect to be detected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file's name when it was last opened or renamed.
    pub path: String,
    /// First byte.
    pub at: u64,
    /// How many bytes.
    pub len: u64,
    /// How it came about.
    pub kind: DamageKind,
}

/// How bytes were spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// Bits flipped at rest.
    Rot,
    /// Data meant for elsewhere overwrote them.
    Overwritten,
    /// A write that reported success never arrived here.
    Missed,
    /// A failed sync dropped or will drop them.
    Unsynced,
    /// Reads of them fail.
    Unreadable,
}
