//! Validators that begin with the state of a later block, on a chain whose first blocks nobody has any
//! more: they go on as if they had been there from the beginning, and become members.

use std::time::Duration;

use commonware_runtime::{Clock as _, Runner as _, Storage as _, deterministic};
use commonware_utils::NZU64;
use lode_chain_types::{Block, Height};

use super::{
    cluster::{Cluster, Shape},
    committee,
};
use crate::{Checkpoint, Execution as _, prune::Keep};

/// Blocks of an epoch here.
const EPOCH: u64 = 24;
/// Who comes late.
const LATE: usize = 4;

/// Four members; from an epoch on the late one takes the place of the first.
fn shape(schedule: fn(u64) -> Vec<usize>) -> Shape {
    Shape {
        count: 5,
        first: 4,
        blocks_per_epoch: NZU64!(EPOCH),
        keep: Keep {
            blocks: 8,
            section: NZU64!(8),
        },
        schedule: Some(schedule),
        ..committee(4)
    }
}

/// The late one is a member from the fifth epoch on, or from the third on. Others connect to it from the
/// epoch before.
fn from_the_fifth(epoch: u64) -> Vec<usize> {
    if epoch < 4 {
        (0..4).collect()
    } else {
        (1..5).collect()
    }
}

fn from_the_third(epoch: u64) -> Vec<usize> {
    if epoch < 2 {
        (0..4).collect()
    } else {
        (1..5).collect()
    }
}

/// What a late validator is given of a chain: the newest block up to `height` that has a certificate
/// of its own, and the state after it.
fn give(cluster: &mut Cluster, height: Height) -> Height {
    let source = cluster.members[0].toy.clone();
    let (chain, finalities) = (source.chain(), source.finalities());
    let (height, finality) = finalities
        .range(..=height)
        .next_back()
        .expect("most blocks have certificates");
    let block: &Block = &chain[usize::try_from(*height).expect("few")];
    let boundary = (finality.epoch > 0).then(|| {
        let last = usize::try_from(finality.epoch * EPOCH - 1).expect("few");
        chain[last].clone()
    });
    let late = &mut cluster.members[LATE];
    late.toy
        .adopt(&chain[..=usize::try_from(*height).expect("few")]);
    late.checkpoint = Some(Checkpoint {
        block: block.clone(),
        finality: *finality,
        boundary,
    });
    *height
}

/// Members of an epoch.
type Schedule = fn(u64) -> Vec<usize>;

/// From any place of an epoch: its first block, its middle, its end, and in the first epoch, a
/// validator begins there, is killed and starts again, and is one of those that the chain cannot do
/// without after the members have changed.
#[test]
fn joins_from_a_checkpoint() {
    let places: [(u64, Schedule); 5] = [
        (2 * EPOCH, from_the_fifth),
        (2 * EPOCH + 4, from_the_fifth),
        (2 * EPOCH + 20, from_the_fifth),
        (3 * EPOCH - 1, from_the_fifth),
        (10, from_the_third),
    ];
    for (seed, (at, schedule)) in (20..).zip(places) {
        println!("from block {at}");
        deterministic::Runner::seeded(seed).start(|context| async move {
            let mut cluster = Cluster::new(context, shape(schedule)).await;
            cluster.connect().await;
            for member in 0..4 {
                cluster.start(member).await;
            }
            cluster.reach(&[0, 1, 2, 3], at + 1).await;
            let from = give(&mut cluster, at);
            cluster.start(LATE).await;
            // Others connect when the first of them has it in its next committee.
            cluster.reach(&[0, 1, 2, 3, LATE], 5 * EPOCH + 8).await;
            assert!(cluster.height(LATE) > from);
            cluster.crash(LATE, 0).await;
            cluster.start(LATE).await;
            cluster.reach(&[1, 2, 3, LATE], 8 * EPOCH).await;
            // Of 1, 2, 3 and the late one three are enough, and two are not.
            cluster.crash(0, 0).await;
            cluster.crash(1, 0).await;
            let height = cluster.height(2) + 10;
            cluster.reach(&[2, 3, LATE], height).await;
            cluster.crash(LATE, 0).await;
            cluster.context.sleep(Duration::from_secs(20)).await;
            let halted = cluster.height(2).max(cluster.height(3));
            cluster.context.sleep(Duration::from_secs(60)).await;
            assert_eq!(cluster.height(2).max(cluster.height(3)), halted);
            cluster.start(LATE).await;
            cluster.reach(&[2, 3, LATE], halted + 10).await;
            cluster.check(&[0, 1, 2, 3, LATE]);
        });
    }
}

/// The disk of a validator does not grow with the chain: of final blocks there are as many files as
/// hold what is kept, and votes of two epochs.
#[test]
fn keeps_its_disk_small() {
    deterministic::Runner::seeded(30).start(|context| async move {
        let mut cluster = Cluster::new(context, shape(|_| (0..4).collect())).await;
        cluster.connect().await;
        for member in 0..4 {
            cluster.start(member).await;
        }
        for height in [14 * EPOCH, 15 * EPOCH - 2] {
            cluster.reach(&[0, 1, 2, 3], height).await;
            for archive in ["blocks", "finalizations"] {
                for part in ["keys", "values"] {
                    let name = format!("member-1-archive-{archive}-{part}");
                    let files = cluster.context.scan(&name).await.expect("it is there");
                    // Three epochs, what comes until the next look, and a file more at both ends.
                    let most = usize::try_from((3 * EPOCH + 16 + 64) / 8 + 3).expect("few");
                    assert!(files.len() <= most, "{} files of {name}", files.len());
                }
            }
            // What is not acknowledged yet may be of the epoch before.
            let epoch = (height - 16) / EPOCH;
            for old in 0..epoch - 1 {
                let name = crate::prune::votes("member-1-simplex", old);
                assert!(
                    cluster.context.scan(&name).await.is_err(),
                    "votes of epoch {old}"
                );
            }
        }
        // What is left is enough to start again with.
        cluster.crash(1, 0).await;
        let height = cluster.members[0].toy.height() + 20;
        cluster.start(1).await;
        cluster.reach(&[0, 1, 2, 3], height).await;
        cluster.check(&[0, 1, 2, 3]);
    });
}
