//! Whatever was lost or never came, comes from others.

use lode_wire::Slice;

use super::net::{Net, Shape, run};
use crate::bounds::IN_FLIGHT_MAX;

const CHUNK: usize = 262_144;

/// Blobs of all shapes: less than a sector, ends of chunks, several chunks, many.
fn submit(net: &Net) {
    for size in [
        1,
        300,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        5 * CHUNK + 77,
        20 * CHUNK,
    ] {
        net.flow.submit(size);
    }
}

fn upload(net: &Net, nodes: &[usize]) {
    for at in nodes {
        for seq in 0..net.flow.len() {
            net.nodes[*at].store.upload(seq);
        }
    }
}

/// Two slices, two replicas each.
fn four() -> Shape {
    Shape::of(&[0, 0, 1, 1], 2)
}

/// What a client left with one replica of each slice comes to the other, each chunk once, and nobody
/// asks for what it has.
#[test]
fn one_replica_is_enough() {
    run(1, four(), |mut net| async move {
        submit(&net);
        upload(&net, &[0, 2]);
        net.start_all().await;
        net.until_whole(&[0, 1, 2, 3]).await;
        assert_eq!(net.nodes[0].store.puts() + net.nodes[2].store.puts(), 0);
        let came = net.nodes[1].store.puts() + net.nodes[3].store.puts();
        assert_eq!(came, 1 + 1 + 1 + 1 + 2 + 6 + 20);
        let all = net.flow.len();
        net.until("known to be complete", |net| {
            let complete = |at: usize| net.nodes[at].status().complete_below == all;
            complete(0) && complete(1) && complete(2) && complete(3)
        })
        .await;
        let status = net.nodes[1].status();
        assert_eq!((status.peers, status.missing, status.in_flight), (3, 0, 0));
        assert_eq!(status.liars + status.late + status.stalled, 0);
        net
    });
}

/// A node whose disk is gone has all of its slice again.
#[test]
fn a_wiped_node_is_whole_again() {
    run(2, four(), |mut net| async move {
        submit(&net);
        upload(&net, &[0, 1, 2, 3]);
        net.start_all().await;
        net.pass(20).await;
        net.kill(1);
        net.nodes[1].store.wipe();
        assert!(net.nodes[1].store.lacks() > 0);
        net.pass(60).await;
        net.start(1).await;
        net.until_whole(&[1]).await;
        net
    });
}

/// While the network is split, each half keeps what it has; when it is one again, both have all.
#[test]
fn a_partition_heals() {
    run(3, four(), |mut net| async move {
        net.cut(&[0, 2], &[1, 3]).await;
        submit(&net);
        upload(&net, &[0, 2]);
        net.start_all().await;
        net.pass(120).await;
        assert_eq!(net.nodes[1].store.puts() + net.nodes[3].store.puts(), 0);
        let late = net.flow.submit(3 * CHUNK);
        net.nodes[1].store.upload(late);
        net.nodes[3].store.upload(late);
        net.pass(60).await;
        net.link(&[0, 2], &[1, 3]).await;
        net.until_whole(&[0, 1, 2, 3]).await;
        net
    });
}

/// A quarter of all messages lost, and each later than the one before it or not: it takes longer.
#[test]
fn heals_through_loss_and_delay() {
    for seed in 0..3 {
        let shape = Shape {
            latency: (200, 150),
            arrive: 75,
            ..four()
        };
        run(seed, shape, |mut net| async move {
            submit(&net);
            upload(&net, &[0, 2]);
            net.start_all().await;
            net.until_whole(&[0, 1, 2, 3]).await;
            let liars = net.nodes.iter().map(|node| node.status().liars);
            assert_eq!(liars.sum::<u64>(), 0);
            net
        });
    }
}

/// A node that dies in the middle of what it was asked for is replaced by another.
#[test]
fn one_may_die_amid_a_fetch() {
    let shape = Shape {
        // 16 chunks at once, then one in two seconds.
        rate: 128 << 10,
        ..Shape::of(&[0, 0, 0], 1)
    };
    run(5, shape, |mut net| async move {
        net.flow.submit(60 * CHUNK);
        upload(&net, &[0, 2]);
        net.start_all().await;
        net.until("some of it", |net| net.nodes[1].store.puts() > 20)
            .await;
        assert!(net.nodes[1].store.lacks() > 0);
        net.kill(0);
        net.until_whole(&[1]).await;
        assert!(net.nodes[1].status().late > 0, "it was asked, and died");
        assert_eq!(net.nodes[1].status().peers, 1);
        net
    });
}

/// Nodes of the whole flow, of halves and of quarters help each other: each with what is in its slice.
#[test]
fn slices_of_all_sizes_help() {
    let slices = [(0, 1), (0, 2), (1, 2), (0, 4), (1, 4), (2, 4), (3, 4)];
    let slices = slices.map(|(id, count)| Slice::new(id, count).unwrap());
    let shape = Shape {
        slices: slices.to_vec(),
        ..Shape::of(&[], 1)
    };
    run(6, shape, |mut net| async move {
        submit(&net);
        upload(&net, &[3, 4, 5, 6]);
        net.start_all().await;
        net.until_whole(&[0, 1, 2]).await;
        for at in [0, 3] {
            net.kill(at);
            net.nodes[at].store.wipe();
        }
        net.start(0).await;
        net.start(3).await;
        net.until_whole(&[0, 3]).await;
        net
    });
}

/// However much is missing and however many could send it, no more is under way than the bound.
#[test]
fn no_more_is_under_way_than_the_bound() {
    let shape = Shape {
        latency: (500, 100),
        ..Shape::of(&[0; 7], 1)
    };
    run(7, shape, |mut net| async move {
        for _ in 0..24 {
            net.flow.submit(10 * CHUNK);
        }
        upload(&net, &[0, 1, 2, 3, 4, 5]);
        net.start_all().await;
        net.until_whole(&[6]).await;
        let peak = net.nodes[6].status().in_flight_peak;
        assert_eq!(
            peak,
            u64::try_from(IN_FLIGHT_MAX).unwrap(),
            "all of it is used"
        );
        net
    });
}

/// Blobs of a few bytes, each a request: none is dropped on the way, and none waits for a second turn.
#[test]
fn small_blobs_keep_coming() {
    run(8, Shape::of(&[0, 0, 0], 1), |mut net| async move {
        for size in 1..=600 {
            net.flow.submit(size);
        }
        upload(&net, &[0]);
        net.start_all().await;
        net.until_whole(&[1, 2]).await;
        net.pass(1).await;
        for at in [0, 1, 2] {
            let status = net.nodes[at].status();
            assert_eq!((status.late, status.stalled), (0, 0));
        }
        assert_eq!(net.nodes[1].store.puts() + net.nodes[2].store.puts(), 1200);
        net
    });
}

/// The same seed gives the same run, to the last message; another seed another one.
#[test]
fn is_the_same_again() {
    let one = |seed| {
        run(seed, four(), |mut net| async move {
            submit(&net);
            upload(&net, &[0, 2]);
            net.start_all().await;
            net.until_whole(&[0, 1, 2, 3]).await;
            net
        })
    };
    assert_eq!(one(8), one(8));
    assert_ne!(one(8), one(9));
}
