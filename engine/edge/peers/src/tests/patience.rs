//! Who cannot be helped waits, and who is being helped is left alone.

use super::net::{Shape, run};
use crate::{board::FetchState, bounds::FRESH_WAIT, scout::Order};

const CHUNK: usize = 262_144;

/// While a client brings a fresh blob chunk by chunk, nobody else is asked for it; when the client stops
/// half way, the rest comes from others.
#[test]
fn a_client_is_not_disturbed() {
    run(1, Shape::of(&[0, 0], 1), |mut net| async move {
        net.start_all().await;
        net.pass(10).await;
        let seq = net.flow.submit(16 * CHUNK);
        net.nodes[1].store.upload(seq);
        for chunk in 0..8 {
            net.nodes[0].store.upload_chunk(seq, chunk);
            net.pass(2).await;
            assert_eq!(net.nodes[0].store.puts(), 0, "after chunk {chunk}");
        }
        net.pass(3 * FRESH_WAIT.as_secs()).await;
        assert_eq!(net.nodes[0].store.lacks(), 0);
        assert_eq!(net.nodes[0].store.puts(), 8, "each chunk came once");
        net
    });
}

/// A hint brings a lost chunk of an old blob back long before a sweep would.
#[test]
fn a_hint_is_followed() {
    run(2, Shape::of(&[0, 0], 1), |mut net| async move {
        for _ in 0..5 {
            let seq = net.flow.submit(2 * CHUNK);
            net.nodes[0].store.upload(seq);
            net.nodes[1].store.upload(seq);
        }
        net.start_all().await;
        net.pass(60).await;
        net.nodes[1].store.wipe();
        net.nodes[1].hint(2);
        net.pass(3 * FRESH_WAIT.as_secs()).await;
        assert_eq!(
            (net.nodes[1].store.puts(), net.nodes[1].store.lacks()),
            (2, 8)
        );
        // It was 5, fell to 2 and rose with the blob that came; the next sweep goes on from there.
        assert_eq!(net.nodes[1].status().complete_below, 3);
        net
    });
}

/// When nobody has what is missing, it is asked for now and then, not again and again; and it comes
/// soon after somebody has it.
#[test]
fn never_spins() {
    run(3, Shape::of(&[0, 0, 0], 1), |mut net| async move {
        for _ in 0..3 {
            net.flow.submit(CHUNK);
        }
        net.start_all().await;
        net.pass(600).await;
        let status = net.nodes[0].status();
        assert_eq!(
            (status.stalled, status.missing, status.in_flight),
            (3, 0, 0)
        );
        // A Hello each two seconds to two others, and a request of each a minute and its answers.
        assert!(status.bytes_out < 60_000, "{} bytes", status.bytes_out);
        net.nodes[2].store.upload(1);
        net.pass(70).await;
        assert_eq!(net.nodes[0].store.puts() + net.nodes[1].store.puts(), 2);
        net
    });
}

/// A store that takes nothing is nobody's fault: it is tried now and then, and filled when it can.
#[test]
fn a_full_disk_is_nobodys_fault() {
    run(4, Shape::of(&[0, 0], 1), |mut net| async move {
        let seq = net.flow.submit(4 * CHUNK);
        net.nodes[0].store.upload(seq);
        net.nodes[1].store.set_broken(true);
        net.start_all().await;
        net.pass(300).await;
        let status = net.nodes[1].status();
        assert_eq!((status.liars, status.in_flight), (0, 0));
        assert!(status.bytes_in < 50 << 20, "{} bytes", status.bytes_in);
        net.nodes[1].store.set_broken(false);
        net.pass(70).await;
        assert_eq!(net.nodes[1].store.lacks(), 0);
        net
    });
}

/// A node whose disk lost a byte does not send it, and so is not taken for a liar.
#[test]
fn rot_stays_at_home() {
    run(5, Shape::of(&[0, 0, 0], 1), |mut net| async move {
        let seq = net.flow.submit(4 * CHUNK);
        net.nodes[0].store.upload(seq);
        net.nodes[0].store.rot(seq, 1);
        net.start_all().await;
        net.pass(100).await;
        assert_eq!(
            (net.nodes[1].store.lacks(), net.nodes[2].store.lacks()),
            (1, 1)
        );
        net.nodes[2].store.upload(seq);
        net.until_whole(&[1, 2]).await;
        let liars = net.nodes.iter().map(|node| node.status().liars);
        assert_eq!(liars.sum::<u64>(), 0);
        assert!(net.nodes[0].status().chunks_lacked > 0);
        net
    });
}

/// What nobody had for long comes to all as soon as a client has brought it to one of them.
#[test]
fn what_came_late_is_fetched_at_once() {
    run(5, Shape::of(&[0, 0], 1), |mut net| async move {
        let seq = net.flow.submit(3 * CHUNK);
        net.start_all().await;
        // By now it is looked for once a minute.
        net.pass(300).await;
        net.nodes[0].store.upload(seq);
        net.nodes[0].hint(seq);
        net.pass(5).await;
        assert_eq!(net.nodes[1].store.lacks(), 0);
        net
    });
}

/// A fetch that is stopped half way stays so, while others bring what else is missing; when it is wanted
/// again the rest comes.
#[test]
fn a_fetch_is_stopped() {
    let shape = Shape {
        // 16 chunks at once, then one in two seconds.
        rate: 128 << 10,
        ..Shape::of(&[0, 0], 1)
    };
    run(6, shape, |mut net| async move {
        let seq = net.flow.submit(60 * CHUNK);
        net.nodes[0].store.upload(seq);
        net.start_all().await;
        net.until("some of it", |net| net.nodes[1].store.puts() > 18)
            .await;
        let state = |net: &super::net::Net| net.nodes[1].board.fetch(seq).unwrap().state;
        assert_eq!(state(&net), FetchState::Open);
        net.nodes[1].order(Order::Stop(seq));
        // One may be on its way into the store.
        net.pass(1).await;
        let puts = net.nodes[1].store.puts();
        let other = net.flow.submit(CHUNK);
        net.nodes[0].store.upload(other);
        net.pass(200).await;
        assert_eq!(net.nodes[1].store.puts(), puts + 1);
        assert_eq!(state(&net), FetchState::Stopped);
        net.nodes[1].order(Order::Fetch(seq));
        net.until_whole(&[1]).await;
        net.until("told", |net| state(net) == FetchState::Whole)
            .await;
        assert_eq!(net.nodes[1].status().liars, 0, "late chunks are no lie");
        net
    });
}
