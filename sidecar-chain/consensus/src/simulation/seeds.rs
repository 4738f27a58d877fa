//! Many seeds, each with its own delays, losses and faults. Up to a third of the members are faulty:
//! the others never come to two chains, and go on.

use std::time::Duration;

use commonware_p2p::simulated::Link;
use commonware_runtime::{Clock as _, Runner as _, deterministic};
use commonware_utils::Probability;

use super::{
    byzantine,
    cluster::{Cluster, Shape},
    committee,
};

/// Seeds that are tried when nothing else is asked for: each kind of fault once.
const SEEDS_USUAL: u64 = 7;
/// Height that honest members must reach.
const HEIGHT: u64 = 12;
/// Who is faulty.
const FAULTY: usize = 3;
/// The others.
const HONEST: [usize; 3] = [0, 1, 2];

/// As many seeds as `LODE_SEEDS` says, from `LODE_SEED` on.
#[test]
fn faulty_members_do_no_harm() {
    let number = |name, usual| {
        std::env::var(name).map_or(usual, |text: String| {
            text.parse().expect("LODE_SEED and LODE_SEEDS are numbers")
        })
    };
    let first = number("LODE_SEED", 0);
    for seed in first..first + number("LODE_SEEDS", SEEDS_USUAL) {
        // Printed so that a failed run says which seed it was.
        println!("seed {seed}");
        run(seed);
    }
}

fn run(seed: u64) {
    let drawn = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    deterministic::Runner::seeded(seed).start(|context| async move {
        let shape = Shape {
            link: link(drawn),
            ..committee(4)
        };
        let mut cluster = Cluster::new(context, shape).await;
        cluster.connect().await;
        for at in HONEST {
            cluster.start(at).await;
        }
        match seed % SEEDS_USUAL {
            0 => byzantine::vote_for_all(&cluster, FAULTY).await,
            1 => byzantine::be_two(&mut cluster, FAULTY, drawn).await,
            2 => {
                byzantine::lie(&cluster.members[FAULTY].toy);
                cluster.start(FAULTY).await;
            }
            3 => crash_again_and_again(&mut cluster, drawn).await,
            4 => cut_again_and_again(&mut cluster, drawn).await,
            5 => byzantine::babble(&cluster, FAULTY).await,
            _ => {}
        }
        let height = HONEST.map(|at| cluster.height(at)).into_iter().max();
        cluster
            .reach(&HONEST, HEIGHT + height.expect("three"))
            .await;
        cluster.check(&HONEST);
    });
}

/// Between 1 and 64 ms, and up to a tenth of all messages lost.
fn link(drawn: u64) -> Link {
    let latency = Duration::from_millis(1 + (drawn >> 8) % 64);
    let kept = 90 + (drawn >> 16) % 11;
    Link {
        latency,
        jitter: latency / 2,
        success_rate: Probability::new(kept, 100).expect("at most one"),
    }
}

/// Members stop at any moment and start again, one at a time, and lose their newest final blocks.
async fn crash_again_and_again(cluster: &mut Cluster, drawn: u64) {
    cluster.start(FAULTY).await;
    for round in 0..4u32 {
        let drawn = drawn.rotate_left(7 * round);
        let at = usize::try_from(drawn % 4).expect("four");
        let lost = usize::try_from((drawn >> 2) % 3).expect("few");
        cluster
            .context
            .sleep(Duration::from_millis(drawn >> 3 & 0x3ff))
            .await;
        cluster.crash(at, lost).await;
        cluster
            .context
            .sleep(Duration::from_millis(drawn >> 13 & 0xfff))
            .await;
        cluster.start(at).await;
    }
}

/// The committee falls in two again and again, each time differently.
async fn cut_again_and_again(cluster: &mut Cluster, drawn: u64) {
    cluster.start(FAULTY).await;
    for round in 0..3u32 {
        let drawn = drawn.rotate_left(9 * round);
        let (left, right): (Vec<usize>, Vec<usize>) = (0..4).partition(|at| drawn >> at & 1 == 0);
        cluster
            .context
            .sleep(Duration::from_millis(drawn >> 4 & 0x3ff))
            .await;
        cluster.cut(&left, &right).await;
        cluster
            .context
            .sleep(Duration::from_millis(drawn >> 14 & 0xfff))
            .await;
        cluster.link(&left, &right).await;
        cluster.link(&right, &left).await;
    }
}
