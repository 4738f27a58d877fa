//! A peer that asks without end gets its rate, and others theirs.

use std::time::Duration;

use bytes::Bytes;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::{Clock as _, Spawner as _, Supervisor as _};
use lode_wire::Slice;
use tokio::sync::mpsc;

use super::net::{Net, Shape, run};
use crate::{
    bounds::SERVE_BURST,
    message::{Hello, Message, Want},
    serve::wired,
};

const CHUNK: usize = 262_144;
const RATE: u64 = 1 << 20;

/// A guest that asks the first node for a blob, as often as the network lets it; what it gets is counted.
async fn ask_without_end(net: &Net, at: usize, seq: u64) -> mpsc::UnboundedReceiver<u64> {
    let (_, [(mut words, _), (_, mut chunks)]) = net.ends(at).await;
    let blob = net.flow.get(seq).unwrap().blob;
    let whom = Recipients::One(net.keys[0].clone());
    let context = net.context.child("greedy");
    let clock = net.context.child("clock");
    context.spawn(move |_| async move {
        let hello = Message::Hello(Hello {
            slice: Slice::WHOLE,
            next_seq: 0,
            complete_below: 0,
        });
        words.send(whom.clone(), wired(&hello).0, true);
        for id in 0.. {
            let want = Message::Want(Want {
                id,
                root: blob.root,
                size: blob.size,
                indices: (0..16).collect(),
            });
            words.send(whom.clone(), wired(&want).0, false);
            clock.sleep(Duration::from_millis(5)).await;
        }
    });
    let (count, counted) = mpsc::unbounded_channel();
    net.context.child("eater").spawn(move |_| async move {
        while let Ok((_, bytes)) = chunks.recv().await {
            let message = Message::decode(Bytes::from(bytes));
            let Ok(Message::Have(have)) = message else {
                continue;
            };
            if count
                .send(u64::try_from(have.bytes.len()).unwrap())
                .is_err()
            {
                return;
            }
        }
    });
    counted
}

/// While one asks two hundred times a second, another node is filled as fast as its own rate lets it,
/// and the one who asks got no more than its own.
#[test]
fn the_greedy_get_their_rate() {
    let shape = Shape {
        guests: 1,
        rate: RATE,
        ..Shape::of(&[0, 0], 1)
    };
    run(1, shape, |mut net| async move {
        let seq = net.flow.submit(48 * CHUNK);
        net.nodes[0].store.upload(seq);
        net.start(0).await;
        let mut counted = ask_without_end(&net, 2, seq).await;
        net.pass(5).await;
        let began = net.context.current();
        net.start(1).await;
        net.until_whole(&[1]).await;
        let took = net.context.current().duration_since(began).unwrap();
        // 12 MiB, of which 4 at once, at 1 MiB a second; and some time until they know each other.
        assert!(took <= Duration::from_secs(8 + 5), "{took:?}");
        let span = took.as_secs() + 1 + 5;
        let mut got = 0;
        while let Ok(bytes) = counted.try_recv() {
            got += bytes;
        }
        let chunk = u64::try_from(CHUNK).unwrap();
        assert!(got <= SERVE_BURST + RATE * span + chunk, "{got} bytes");
        assert!(got >= RATE * (span - 2), "it is not starved either: {got}");
        net
    });
}

/// Looks for what is not here are paid for, too.
#[test]
fn the_greedy_pay_for_looks() {
    let shape = Shape {
        guests: 1,
        rate: 64 << 10,
        ..Shape::of(&[0], 1)
    };
    run(2, shape, |mut net| async move {
        let seq = net.flow.submit(48 * CHUNK);
        net.start(0).await;
        let _counted = ask_without_end(&net, 1, seq).await;
        net.pass(300).await;
        let looked = net.nodes[0].store.reads();
        // 4 MiB and 64 KiB a second, for 4 KiB each.
        assert!(
            (4000..=1024 + 300 * 16 + 1).contains(&looked),
            "{looked} looks"
        );
        net
    });
}
