//! Honest nodes, and what happens to them.

use std::time::Duration;

use bytes::Bytes;
use commonware_runtime::Supervisor as _;
use lode_proofs::da::{Certificate, Threshold};

use super::net::{Net, Shape, TERM, noise, run};
use crate::{
    Lost,
    keep::Keep as _,
    post::{PostError, State},
    read::ReadError,
};

/// Short slivers, which come with their offers, and long ones, of which parts are asked for.
const SIZES: [usize; 3] = [1, 70_000, 3_000_000];

/// What is posted is certified, and read at every node, also while a third of the rows is gone.
#[test]
fn posted_certified_read() {
    let all = |net: Net| async move { post_and_read(net).await };
    let first = run(1, Shape::of(7), all);
    assert_eq!(run(1, Shape::of(7), all), first, "same seed, same run");
    assert_ne!(run(2, Shape::of(7), all), first);
}

async fn post_and_read(mut net: Net) -> Net {
    net.start_but(&[]).await;
    let blobs: Vec<Bytes> = (0..)
        .zip(SIZES)
        .map(|(seed, len)| noise(seed, len))
        .collect();
    let mut posted = Vec::new();
    for (at, blob) in blobs.iter().enumerate() {
        let id = net.post(at, 7, blob);
        posted.push(net.certified(at, id, blob).await);
    }
    for at in 0..7 {
        for (posted, blob) in posted.iter().zip(&blobs) {
            assert!(net.read(at, posted).await == *blob);
        }
    }
    net.kill(1);
    net.kill(4);
    for (posted, blob) in posted.iter().zip(&blobs) {
        assert!(net.read(6, posted).await == *blob);
        let reader = net.faces(0).reader;
        let (known, place) = reader
            .locate(posted.statement.quorum, posted.entry.root)
            .await
            .unwrap();
        assert_eq!(
            (known.statement.head, place),
            (posted.statement.head, posted.place)
        );
    }
    net
}

/// Blobs that wait together become one container, in the order of their namespaces; each is told its own
/// place.
#[test]
fn company() {
    run(3, Shape::of(5), |mut net| async move {
        net.start_but(&[]).await;
        let blobs: Vec<Bytes> = (0..40)
            .map(|seed| noise(seed, 1000 + 7 * usize::try_from(seed).unwrap()))
            .collect();
        let ids: Vec<_> = (0..)
            .zip(&blobs)
            .map(|(at, blob): (u8, _)| net.post(2, at % 3, blob))
            .collect();
        let mut containers = std::collections::BTreeSet::new();
        for (id, blob) in ids.into_iter().zip(&blobs) {
            let posted = net.certified(2, id, blob).await;
            containers.insert(posted.statement.head.id());
            assert!(net.read(0, &posted).await == *blob);
        }
        assert!(containers.len() <= 2, "{}", containers.len());
        net
    });
}

/// A network that loses a tenth of all messages is only slower.
#[test]
fn lossy() {
    for seed in 0..3 {
        let shape = Shape {
            arrive: 90,
            ..Shape::of(6)
        };
        run(seed, shape, |mut net| async move {
            net.start_but(&[]).await;
            let blob = noise(9, 2_000_000);
            let id = net.post(0, 1, &blob);
            let posted = net.certified(0, id, &blob).await;
            let reader = net.faces(5).reader;
            // A question that was lost is one to be asked again.
            let mut read = None;
            for _ in 0..20 {
                if let Ok(known) = reader.container(posted.statement.head.id()).await
                    && let Ok(bytes) = reader.blob(&known, posted.place).await
                {
                    read = Some(bytes);
                    break;
                }
            }
            assert!(read.unwrap() == blob);
            net
        });
    }
}

/// A third of the rows may be silent; with more there is no certificate, and it says how many were.
#[test]
fn withholding() {
    run(4, Shape::of(7), |mut net| async move {
        net.start_but(&[5, 6]).await;
        let blob = noise(1, 400_000);
        let id = net.post(0, 1, &blob);
        net.certified(0, id, &blob).await;
        net.kill(4);
        let id = net.post(0, 1, &blob);
        let State::Failed(lost) = net.end(0, id).await else {
            panic!("four of seven have fewer than 2049 rows");
        };
        let rows = (0..4).map(|seat| net.committee.rows(seat).len()).sum();
        let (want, silent, refused) = (2049, 3, 0);
        assert_eq!(
            lost,
            Lost::TooFew {
                rows,
                want,
                silent,
                refused
            }
        );
        // Who comes back takes its rows.
        for at in 4..7 {
            net.start(at).await;
        }
        let id = net.post(0, 1, &blob);
        net.certified(0, id, &blob).await;
        net
    });
}

/// Whoever wants more rows signed gets more, or nothing.
#[test]
fn thresholds() {
    let shape = Shape {
        threshold: Threshold::new(2600).unwrap(),
        ..Shape::of(7)
    };
    run(5, shape, |mut net| async move {
        net.start_but(&[6]).await;
        let blob = noise(2, 100_000);
        let id = net.post(1, 1, &blob);
        let posted = net.certified(1, id, &blob).await;
        let assignment = net.committee.holders().assignment();
        let read = Certificate::decode(&posted.certificate, assignment).unwrap();
        assert!(read.weight(assignment) >= 2600);
        net.kill(5);
        let id = net.post(1, 1, &blob);
        assert!(matches!(net.end(1, id).await, State::Failed(_)));
        net
    });
}

/// A network in two parts certifies where two thirds of the rows are, and nowhere else; when it is whole
/// again, so is everybody.
#[test]
fn partition() {
    run(6, Shape::of(7), |mut net| async move {
        net.start_but(&[]).await;
        let (small, large) = ([0, 1], [2, 3, 4, 5, 6]);
        net.cut(&small, &large).await;
        let blob = noise(3, 1_000_000);
        let other = noise(4, 1_000_000);
        let here = net.post(0, 1, &other);
        let there = net.post(2, 1, &blob);
        assert!(matches!(net.end(0, here).await, State::Failed(_)));
        let posted = net.certified(2, there, &blob).await;
        let gone = net
            .faces(0)
            .reader
            .container(posted.statement.head.id())
            .await;
        assert_eq!(gone.err(), Some(ReadError::NotFound));
        net.link(&small, &large).await;
        let again = net.post(0, 1, &other);
        net.certified(0, again, &other).await;
        assert!(net.read(0, &posted).await == blob);
        net
    });
}

/// Rows that are lost are restored from the least that there can be, and are the same.
#[test]
fn repaired() {
    let shape = Shape {
        repair: Some(Duration::from_secs(30)),
        ..Shape::of(9)
    };
    run(7, shape, |mut net| async move {
        net.start_but(&[]).await;
        let blob = noise(4, 1_500_000);
        let id = net.post(0, 1, &blob);
        let posted = net.certified(0, id, &blob).await;
        let container = posted.statement.head.id();
        net.pass(20).await;
        assert_eq!(net.kept(container), 9);
        // Rows of 3 of 9 are left: 1024 exactly.
        for at in 3..9 {
            assert!(net.members[at].keep.lose(container));
        }
        net.pass(600).await;
        assert_eq!(net.kept(container), 9);
        net.check(&posted, &blob);
        for at in 0..3 {
            net.members[at].keep.lose(container);
        }
        assert!(net.read(1, &posted).await == blob);
        net
    });
}

/// One row too few, and nothing can be restored: nobody says otherwise.
#[test]
fn lost_for_good() {
    let shape = Shape {
        shares: vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        ..Shape::of(10)
    };
    run(8, shape, |mut net| async move {
        net.start_but(&[]).await;
        let blob = noise(5, 200_000);
        let id = net.post(0, 1, &blob);
        let posted = net.certified(0, id, &blob).await;
        let container = posted.statement.head.id();
        net.pass(20).await;
        for at in 3..10 {
            net.members[at].keep.lose(container);
        }
        let reader = net.faces(0).reader;
        let known = reader.container(container).await.unwrap();
        let read = reader.blob(&known, posted.place).await;
        let rows = (0..3).map(|seat| net.committee.rows(seat).len()).sum();
        assert_eq!(read, Err(ReadError::Unavailable { rows }));
        net
    });
}

/// A term is made longer by another certificate of the same rows: no holder takes them again.
#[test]
fn extended() {
    run(9, Shape::of(7), |mut net| async move {
        net.start_but(&[]).await;
        let blob = noise(6, 800_000);
        let id = net.post(0, 1, &blob);
        let posted = net.certified(0, id, &blob).await;
        net.pass(20).await;
        let (container, later) = (posted.statement.head.id(), posted.statement.expiry + TERM);
        let mender = net.faces(3).mender;
        let context = net.context.child("extend");
        let mended = mender
            .mend(&context, container, Some(later), Threshold::LEAST)
            .await;
        let certificate = mended.unwrap();
        assert_eq!(certificate.statement.expiry, later);
        certificate
            .verify(net.committee.holders(), Threshold::LEAST)
            .unwrap();
        for seat in certificate.seats() {
            let kept = net.members[seat].keep.statement(container).unwrap();
            assert_eq!(kept.expiry, later);
        }
        net
    });
}

/// Many blobs at once, to every node, of all sizes: every one is certified and read.
#[test]
fn crowd() {
    run(10, Shape::of(6), |mut net| async move {
        net.start_but(&[]).await;
        let blobs: Vec<Bytes> = (0..60)
            .map(|seed| noise(seed, usize::try_from(seed * seed * 90 + 1).unwrap()))
            .collect();
        let ids: Vec<_> = blobs
            .iter()
            .enumerate()
            .map(|(at, blob)| (at % 6, net.post(at % 6, 1, blob)))
            .collect();
        for ((at, id), blob) in ids.into_iter().zip(&blobs) {
            let posted = net.certified(at, id, blob).await;
            assert!(net.read((at + 3) % 6, &posted).await == *blob);
        }
        net
    });
}

/// What cannot be taken is refused by name.
#[test]
fn refused() {
    run(11, Shape::of(4), |mut net| async move {
        net.start_but(&[]).await;
        let poster = net.faces(0).poster;
        let now = std::time::UNIX_EPOCH;
        let namespace = lode_proofs::da::Namespace([0; 29]);
        let empty = poster.post(namespace, Bytes::new(), now);
        assert_eq!(empty, Err(PostError::Empty));
        let long = Bytes::from(vec![0; (128 << 20) - 127]);
        let len = u64::try_from(long.len()).unwrap();
        assert_eq!(
            poster.post(namespace, long, now),
            Err(PostError::TooLong { len })
        );
        assert!(poster.state(crate::post::RequestId(1)).is_none());
        let known = net
            .faces(0)
            .reader
            .container(lode_proofs::Hash32([1; 32]))
            .await;
        assert_eq!(known.err(), Some(ReadError::NotFound));
        net
    });
}
