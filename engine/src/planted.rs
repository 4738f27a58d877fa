//! Bugs that can be switched on, so that tests show that the checkers catch them.
//!
//! Without the feature `planted` every question is answered `false` at compile time; no release
//! build has it.

/// A bug of a kind that stores have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A put is acknowledged when its bytes were written, before they are synced.
    AckBeforeSync,
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

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Switches a bug on for this thread, or all off.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether a bug is on.
#[cfg(feature = "planted")]
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether a bug is on: never.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_bug: Bug) -> bool {
    false
}
