//! The checkers see: every bug that can be planted in the engine is found, within a stated number
//! of seeds of a profile that gives it a chance, and the same seeds find nothing without it.

use lode_engine::planted::Bug;
use sim::{
    fleet::{once, with_bug},
    plan::Profile,
};

/// Runs seeds with the bug until one finds it; the ones run so far must find nothing without it.
fn caught(bug: Bug, profile: Profile, seeds: u64) {
    let found = (0..seeds).find_map(|seed| {
        let failure = with_bug(bug, seed, Some(profile)).failure?;
        Some((seed, failure))
    });
    let Some((seed, failure)) = found else {
        panic!("{bug:?} is not found within {seeds} seeds");
    };
    println!("{bug:?}: seed {seed} of {}: {failure}", profile.name());
    for seed in 0..=seed {
        let failure = once(seed, Some(profile), false).failure;
        assert_eq!(failure, None, "seed {seed} without the bug");
    }
}

/// A put that is acknowledged before its sync is lost by a power loss.
#[test]
fn ack_before_sync() {
    caught(Bug::AckBeforeSync, Profile::Crash, 300);
}

/// A flipped bit is served when nobody looks at checksums.
#[test]
fn skip_checksum() {
    caught(Bug::SkipChecksum, Profile::Spot, 300);
}

/// A rotten footer that is believed loses or invents blobs.
#[test]
fn trust_footer() {
    caught(Bug::TrustFooter, Profile::Spare, 1000);
}

/// A checkpoint that covers what is on its way hides it from the next replay.
#[test]
fn index_ahead_of_log() {
    caught(Bug::IndexAheadOfLog, Profile::Crash, 2000);
}

/// What a killed process wrote and nobody synced is told to exist, and lost by a power loss.
#[test]
fn replay_without_sync() {
    caught(Bug::ReplayWithoutSync, Profile::Crash, 5000);
}

/// What a failed sync dropped is still read, told to exist, and lost by a power loss.
#[test]
fn trust_uncertain() {
    caught(Bug::TrustUncertain, Profile::SyncError, 5000);
}

/// A second sync succeeds although the first one dropped the bytes.
#[test]
fn retry_sync() {
    caught(Bug::RetrySync, Profile::SyncError, 1000);
}

/// A segment without a durable name takes its acknowledged records with it.
#[test]
fn name_without_sync() {
    caught(Bug::NameWithoutSync, Profile::Crash, 2000);
}

/// A power loss takes the copies, and the originals were freed before.
#[test]
fn free_before_copy() {
    caught(Bug::FreeBeforeCopy, Profile::Crash, 5000);
}

/// A deleted blob comes back with an old record when its tombstone is gone.
#[test]
fn drop_tombstones() {
    caught(Bug::DropTombstones, Profile::Crash, 2000);
}

/// A delete that is replayed after the put that followed it takes the blob away.
#[test]
fn replay_out_of_order() {
    caught(Bug::ReplayOutOfOrder, Profile::Crash, 2000);
}
