//! What a seed draws before anything runs.

use std::time::Duration;

use lode_engine::store::Verify;
use lode_world::sim::{Chance, Faults};

use crate::{
    dice::Dice,
    shelf::{Blob, Shelf},
};

/// Which faults a seed has, and with it how strict its checker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// IO in order, ends of processes, and nothing else wrong.
    Calm,
    /// Power losses and kills at any IO; writes tear and reorder.
    Crash,
    /// Long stalls, and crashes.
    Slow,
    /// Writes fail, and crashes.
    WriteError,
    /// Syncs fail and drop what they covered (fsyncgate), and crashes.
    SyncError,
    /// Reads fail once in a while, and crashes.
    ReadError,
    /// A small disk fills up, and crashes.
    Full,
    /// Damage between lives that a store has to heal completely: checkpoints, a copy of the
    /// superblock, footers, one copy of a segment's head.
    Spare,
    /// Bits flip in segments between lives that end in order: only what they hit may be lost.
    Spot,
    /// Bits flip and sectors die anywhere at any time.
    Rot,
    /// Writes land elsewhere.
    Misdirect,
}

impl Profile {
    const WEIGHTS: [(u64, Profile); 11] = [
        (8, Profile::Calm),
        (30, Profile::Crash),
        (6, Profile::Slow),
        (10, Profile::WriteError),
        (10, Profile::SyncError),
        (6, Profile::ReadError),
        (8, Profile::Full),
        (8, Profile::Spare),
        (5, Profile::Spot),
        (6, Profile::Rot),
        (3, Profile::Misdirect),
    ];

    /// Every profile.
    pub fn all() -> impl Iterator<Item = Profile> {
        Self::WEIGHTS.into_iter().map(|(_, profile)| profile)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Calm => "calm",
            Profile::Crash => "crash",
            Profile::Slow => "slow",
            Profile::WriteError => "write-error",
            Profile::SyncError => "sync-error",
            Profile::ReadError => "read-error",
            Profile::Full => "full",
            Profile::Spare => "spare",
            Profile::Spot => "spot",
            Profile::Rot => "rot",
            Profile::Misdirect => "misdirect",
        }
    }

    /// Whether every acknowledged byte has to be there.
    pub fn strict(self) -> bool {
        !matches!(self, Profile::Spot | Profile::Rot | Profile::Misdirect)
    }

    /// Whether an IO may fail.
    pub fn io_fails(self) -> bool {
        matches!(
            self,
            Profile::WriteError | Profile::SyncError | Profile::ReadError | Profile::Full
        )
    }

    fn faults(self, dice: &mut Dice) -> Faults {
        let mut faults = match self {
            Profile::Calm | Profile::Spot => Faults::default(),
            _ => Faults::crashes(),
        };
        // Below 256 MiB a new store does not measure its disk, which would cost 64 MiB of writes.
        faults.capacity = 250 << 20;
        faults.steps_max = 3_000_000;
        let mut one_in = |low: u64, high: u64| {
            Chance::one_in(u32::try_from(dice.within(low..=high)).expect("small"))
        };
        match self {
            Profile::Calm | Profile::Crash | Profile::Spare | Profile::Spot => {}
            Profile::Slow => {
                faults.stall = one_in(3, 30);
                faults.stall_span = Duration::from_millis(500);
            }
            Profile::WriteError => faults.write_error = one_in(5, 100),
            Profile::SyncError => faults.sync_error = one_in(4, 60),
            // So rarely that four refusals in a row, after which a start takes a page for lost,
            // do not come by chance.
            Profile::ReadError => faults.read_error = one_in(60, 400),
            Profile::Full => {
                // Half of the seeds run out of space only for real.
                if one_in(1, 2) == Chance::ALWAYS {
                    faults.full = Chance::one_in(40);
                }
            }
            Profile::Rot => {
                faults.rot = one_in(30, 300);
                faults.read_error_sticky = one_in(100, 1000);
            }
            Profile::Misdirect => faults.misdirect = one_in(20, 200),
        }
        faults
    }
}

/// A seed's draws.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Which faults.
    pub profile: Profile,
    /// Chances of faults while it runs.
    pub faults: Faults,
    /// Shards of the store.
    pub shards: u16,
    /// Bytes of a segment.
    pub segment_len: u64,
    /// Bytes per shard on their way.
    pub ingest_credit: u64,
    /// Background scrub in bytes per second, 0 for none.
    pub scrub_rate: u64,
    /// How gets of whole chunks are checked.
    pub verify: Verify,
    /// The blobs that its clients use.
    pub blobs: Vec<Blob>,
    /// Lives before the last inspection.
    pub lives: u64,
    /// What else is drawn while it runs.
    pub dice: Dice,
}

impl Plan {
    /// Draws the plan of a seed; `profile` overrides the one it draws.
    pub fn draw(seed: u64, profile: Option<Profile>) -> Plan {
        let mut dice = Dice::new(seed);
        let drawn = dice.weighted(&Profile::WEIGHTS);
        let profile = profile.unwrap_or(drawn);
        let mut faults = profile.faults(&mut dice);
        let shards =
            u16::try_from(dice.weighted(&[(4, 1_u64), (4, 2), (1, 3), (1, 4)])).expect("few");
        let segment_len = dice.weighted(&[(6, 1_u64 << 20), (2, 2 << 20), (1, 4 << 20)]);
        if profile == Profile::Full {
            // From the smallest disk on that a store takes: two segments in reserve and one for
            // blobs for each shard, and one more in reserve.
            let segments = u64::from(shards) * 3 + 1 + dice.within(0..=6);
            faults.capacity = segments * segment_len + (256 << 10);
        }
        Plan {
            seed,
            profile,
            faults,
            shards,
            segment_len,
            ingest_credit: dice.weighted(&[(2, 300_000_u64), (1, 20_000), (3, 48 << 20)]),
            scrub_rate: dice.weighted(&[(3, 0_u64), (1, 8 << 20)]),
            verify: if seed.is_multiple_of(4) {
                Verify::Hash
            } else {
                Verify::Pages
            },
            blobs: palette(profile, &mut dice),
            lives: dice.within(1..=5),
            dice,
        }
    }
}

/// A handful of blobs, so that clients meet at the same roots.
fn palette(profile: Profile, dice: &mut Dice) -> Vec<Blob> {
    let shelf = Shelf::get();
    let bulky = profile == Profile::Full || dice.percent(15);
    let mut blobs: Vec<Blob> = Vec::new();
    let mut add = |from: &[Blob], count: u64, dice: &mut Dice| {
        for _ in 0..count {
            let blob = dice.pick(from);
            if blobs.iter().all(|held| held.root != blob.root) {
                blobs.push(blob.clone());
            }
        }
    };
    let few = dice.within(2..=8);
    add(&shelf.small, few, dice);
    let few = dice.within(0..=3);
    add(&shelf.edges, few, dice);
    let (chunks, long) = if bulky { (6, 4) } else { (1, 1) };
    let few = dice.within(0..=chunks);
    add(&shelf.chunks, few, dice);
    let few = dice.within(0..=long);
    add(
        &shelf.long[..if bulky { shelf.long.len() } else { 8 }],
        few,
        dice,
    );
    blobs
}
