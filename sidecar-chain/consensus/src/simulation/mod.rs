//! Whole committees in one thread and virtual time: the same validators as on sockets, on a network
//! and disks that fail as a seed says. `LODE_SEEDS=1000` tries as many seeds; by default few.

mod byzantine;
mod cluster;
pub(crate) mod folder;
mod late;
mod proof;
mod seeds;
pub(crate) mod toy;
mod vector;
mod wires;

use std::time::Duration;

use commonware_p2p::simulated::Link;
use commonware_runtime::{Clock as _, Runner as _, deterministic};
use commonware_utils::{NZU64, probability};

use crate::prune::Keep;
use cluster::{Cluster, ENDLESS, Shape};

fn link(milliseconds: u64) -> Link {
    Link {
        latency: Duration::from_millis(milliseconds),
        jitter: Duration::from_millis(milliseconds / 2),
        success_rate: probability!(1.0),
    }
}

fn committee(count: usize) -> Shape {
    Shape {
        count,
        first: count,
        link: link(10),
        blocks_per_epoch: ENDLESS,
        keep: Keep {
            blocks: 1 << 20,
            section: NZU64!(64),
        },
        schedule: None,
    }
}

/// One validator and four come to the same chain, block by block, each proved by the committee's key.
#[test]
fn agrees() {
    for count in [1, 4] {
        deterministic::Runner::seeded(1).start(|context| async move {
            let mut cluster = Cluster::new(context, committee(count)).await;
            cluster.connect().await;
            cluster.start_all().await;
            let all: Vec<usize> = (0..count).collect();
            cluster.reach(&all, 20).await;
            cluster.check(&all);
            assert!(cluster.members[0].toy.finalities().len() >= 10);
        });
    }
}

/// With one of four away the others go on; with two they halt; and all agree when these are back.
#[test]
fn halts_without_a_quorum() {
    deterministic::Runner::seeded(2).start(|context| async move {
        let mut cluster = Cluster::new(context, committee(4)).await;
        cluster.connect().await;
        cluster.start_all().await;
        cluster.reach(&[0, 1, 2, 3], 5).await;
        cluster.crash(3, 0).await;
        let height = cluster.height(0) + 10;
        cluster.reach(&[0, 1, 2], height).await;
        cluster.crash(2, 0).await;
        cluster.context.sleep(Duration::from_secs(20)).await;
        let halted = cluster.height(0).max(cluster.height(1));
        cluster.context.sleep(Duration::from_secs(60)).await;
        assert_eq!(cluster.height(0).max(cluster.height(1)), halted);
        cluster.start(2).await;
        cluster.reach(&[0, 1, 2], halted + 5).await;
        cluster.start(3).await;
        cluster.reach(&[0, 1, 2, 3], halted + 10).await;
        cluster.check(&[0, 1, 2, 3]);
    });
}

/// A chain that lost blocks which it had acknowledged gets them again.
#[test]
fn makes_up_for_lost_blocks() {
    deterministic::Runner::seeded(3).start(|context| async move {
        let mut cluster = Cluster::new(context, committee(4)).await;
        cluster.connect().await;
        cluster.start_all().await;
        cluster.reach(&[0, 1, 2, 3], 12).await;
        cluster.crash(1, 7).await;
        assert!(cluster.height(1) < 12);
        cluster.start(1).await;
        cluster.reach(&[0, 1, 2, 3], 20).await;
        cluster.check(&[0, 1, 2, 3]);
    });
}

/// Two halves of a committee both halt, and go on as one.
#[test]
fn heals() {
    deterministic::Runner::seeded(4).start(|context| async move {
        let mut cluster = Cluster::new(context, committee(4)).await;
        cluster.connect().await;
        cluster.start_all().await;
        cluster.reach(&[0, 1, 2, 3], 5).await;
        cluster.cut(&[0, 1], &[2, 3]).await;
        cluster.context.sleep(Duration::from_secs(20)).await;
        let halted = (0..4).map(|at| cluster.height(at)).max().expect("four");
        cluster.context.sleep(Duration::from_secs(60)).await;
        let still = (0..4).map(|at| cluster.height(at)).max().expect("four");
        assert_eq!(still, halted);
        cluster.link(&[0, 1], &[2, 3]).await;
        cluster.link(&[2, 3], &[0, 1]).await;
        cluster.reach(&[0, 1, 2, 3], halted + 10).await;
        cluster.check(&[0, 1, 2, 3]);
    });
}

/// When the power of all goes at once, and with it what disks had not written, they go on where they
/// were.
#[test]
fn survives_power_loss() {
    let runner = deterministic::Runner::seeded(7);
    let (remains, mut disks) = runner.start_and_recover(|context| async move {
        let mut cluster = Cluster::new(context, committee(4)).await;
        cluster.connect().await;
        cluster.start_all().await;
        cluster.reach(&[0, 1, 2, 3], 10).await;
        cluster.remains()
    });
    let mut remains = Some(remains);
    for height in [20, 30, 40] {
        let before = remains.take().expect("the last run left some");
        let runner = deterministic::Runner::from(disks);
        let (after, disks_after) = runner.start_and_recover(|context| async move {
            let mut cluster = Cluster::revive(context, committee(4), before).await;
            cluster.connect().await;
            cluster.start_all().await;
            cluster.reach(&[0, 1, 2, 3], height).await;
            cluster.check(&[0, 1, 2, 3]);
            cluster.remains()
        });
        remains = Some(after);
        disks = disks_after;
    }
}

/// The same seed gives the same run, to the last message.
#[test]
fn repeats() {
    let run = |seed| {
        deterministic::Runner::seeded(seed).start(|context| async move {
            let mut cluster = Cluster::new(context, committee(4)).await;
            cluster.connect().await;
            cluster.start_all().await;
            cluster.reach(&[0, 1, 2, 3], 5).await;
            cluster.members[0].toy.chain()[5].hash()
        })
    };
    assert_eq!(run(5), run(5));
}

/// Members leave and others come, until nobody is left of the first committee, and its key is still
/// the one that proves blocks.
#[test]
fn hands_the_key_on() {
    deterministic::Runner::seeded(8).start(|context| async move {
        let shape = Shape {
            count: 8,
            first: 4,
            blocks_per_epoch: NZU64!(24),
            schedule: Some(|epoch| {
                let first = usize::try_from(epoch.saturating_sub(1).min(4)).expect("few");
                (first..first + 4).collect()
            }),
            ..committee(4)
        };
        let mut cluster = Cluster::new(context, shape).await;
        cluster.connect().await;
        cluster.start_all().await;
        cluster.reach(&[4, 5, 6, 7], 24 * 9).await;
        cluster.check(&[4, 5, 6, 7]);
        let leaders: std::collections::BTreeSet<_> = cluster.members[4]
            .toy
            .chain()
            .iter()
            .filter(|block| block.round().epoch == 8)
            .map(|block| block.round().leader)
            .collect();
        let last: std::collections::BTreeSet<_> = (4..8)
            .map(|at| cluster.members[at].secret.public_key())
            .collect();
        assert!(leaders.is_subset(&last), "somebody leads who left");
    });
}

/// Shares of the key are renewed while the chain goes on, and its key stays the same.
#[test]
fn renews_shares() {
    deterministic::Runner::seeded(6).start(|context| async move {
        let shape = Shape {
            blocks_per_epoch: NZU64!(24),
            ..committee(4)
        };
        let mut cluster = Cluster::new(context, shape).await;
        cluster.connect().await;
        cluster.start_all().await;
        cluster.reach(&[0, 1, 2, 3], 80).await;
        cluster.check(&[0, 1, 2, 3]);
        let last = cluster.members[0].toy.chain();
        assert_eq!(last[79].round().epoch, 3);
    });
}
