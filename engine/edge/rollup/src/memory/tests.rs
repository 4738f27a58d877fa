//! The store in memory keeps its promises, fails as it is told to, and its proofs hold.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lode_proofs::da::{
    Certificate, NamespaceProof, Sample, Threshold, Verifier, blob_root, table::NAMESPACE_LEN,
};

use super::*;
use crate::read;

const SOON: Duration = Duration::from_secs(30);

fn store(config: Config) -> (Memory, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&now);
    let machine = Machine::new(move || Duration::from_secs(clock.load(Relaxed)), [7; 32]);
    (Memory::start(config, machine), now)
}

fn quick() -> Config {
    Config {
        close_after: Duration::from_millis(5),
        ..Config::default()
    }
}

fn namespace(byte: u8) -> Namespace {
    Namespace([byte; NAMESPACE_LEN])
}

fn blob(seed: u8, len: usize) -> Bytes {
    (0..len)
        .map(|at| seed.wrapping_mul(31).wrapping_add(at.to_le_bytes()[0]))
        .collect()
}

async fn posted(memory: &Memory, namespace: Namespace, blob: Bytes) -> Arc<Posted> {
    let request = memory.post(namespace, blob).await.expect("taken in");
    match memory.wait(request, Milestone::Final, SOON).await {
        Ok(Status::Posted(Milestone::Final, posted)) => posted,
        other => panic!("{other:?}"),
    }
}

/// Blobs of several namespaces, posted at once, lie in one container; each comes back by its place and by
/// its root, in whole and in part, and all evidence holds.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_comes_back() {
    let (memory, _) = store(Config {
        close_after: Duration::from_millis(200),
        ..Config::default()
    });
    let blobs: Vec<(Namespace, Bytes)> = (0..12)
        .map(|at: u8| (namespace(at % 3), blob(at, 1 + 997 * usize::from(at))))
        .collect();
    let mut requests = Vec::new();
    for (namespace, blob) in &blobs {
        requests.push(
            memory
                .post(*namespace, blob.clone())
                .await
                .expect("taken in"),
        );
    }
    let mut containers = Vec::new();
    for (request, (namespace, blob)) in requests.into_iter().zip(&blobs) {
        let status = memory.wait(request, Milestone::Certified, SOON).await;
        let Ok(Status::Posted(_, posted)) = status else {
            panic!("{status:?}")
        };
        assert_eq!(posted.root, blob_root(blob));
        assert_eq!(posted.namespace, *namespace);
        let (epoch, quorum) = (posted.quorum.epoch, posted.quorum.quorum);
        let by_root = Handle::Root {
            root: posted.root,
            epoch,
            quorum,
        };
        for handle in [posted.handle(), by_root] {
            let (found, bytes) = read::whole(&memory, handle).await.expect("it is there");
            assert_eq!((&found, &bytes), (&posted, blob));
            let of = (posted.root, posted.len);
            let part = read::range(&memory, handle, of, 0..1).await;
            assert_eq!(part, Ok(blob.slice(..1)));
        }
        containers.push(posted.container);
    }
    assert!(containers.iter().all(|id| *id == containers[0]));
    evidence_holds(&memory, containers[0]).await;
}

async fn evidence_holds(memory: &Memory, id: Hash32) {
    let quorum = Config::default().quorum;
    let members = memory.members(quorum).await.expect("up").expect("a quorum");
    let holders = members.seats().holders().expect("points");
    let certificate = memory.show(Evidence::Certificate(id)).await.expect("up");
    let certificate = Certificate::decode(&certificate, holders.assignment()).expect("one");
    certificate
        .verify(&holders, Threshold::LEAST)
        .expect("it is signed");
    let head = certificate.statement.head;
    assert_eq!(head.id(), id);
    let columns = holders.assignment().columns();
    let verifier = Verifier::new(head, &quorum, columns).expect("a quorum's columns");
    for row in [0, 1023, 1024, 3071] {
        let bytes = memory.show(Evidence::Sample(id, row)).await.expect("a row");
        let sample = Sample::decode(&head, &bytes).expect("a sample");
        verifier.sample(row, &sample).expect("it is right");
    }
    let none = memory.show(Evidence::Sample(id, 3072)).await;
    assert_eq!(none, Err(GetError::Absent));
    for (byte, count) in [(0, 4), (1, 4), (2, 4), (3, 0)] {
        let bytes = memory.show(Evidence::Namespace(id, namespace(byte))).await;
        let proof = NamespaceProof::decode(&bytes.expect("up")).expect("a proof");
        let entries = proof.verify(head.namespace_root, namespace(byte));
        assert_eq!(entries.expect("it holds").len(), count);
    }
}

/// Places that are not, and containers that are not.
#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let (memory, _) = store(quick());
    let posted = posted(&memory, namespace(0), blob(1, 100)).await;
    let at = |container, offset, len| Handle::Place {
        container,
        offset,
        len,
    };
    let cases = [
        (at(posted.container, 128, 99), GetError::Absent),
        (at(posted.container, 192, 100), GetError::Absent),
        (at(Hash32([1; 32]), 128, 100), GetError::NotFound),
    ];
    for (handle, why) in cases {
        assert_eq!(memory.get(handle).await, Err(why.clone()));
        assert_eq!(memory.find(handle).await, Err(why));
    }
    let known = Handle::Root {
        root: posted.root,
        epoch: 1,
        quorum: 0,
    };
    assert!(memory.get(known).await.is_ok());
    let other = Handle::Root {
        root: posted.root,
        epoch: 2,
        quorum: 0,
    };
    assert_eq!(memory.get(other).await, Err(GetError::NotFound));
    let unknown = memory.status(RequestId([0; 32])).await;
    assert_eq!(unknown, Err(StatusError::Unknown));
    let range = Evidence::Range(posted.handle(), 0..101);
    assert_eq!(memory.show(range).await, Err(GetError::Absent));
}

/// What is kept has its time, and its room; who asks later is told that it is gone, not that it never was.
#[tokio::test]
async fn expires() {
    let (memory, now) = store(Config {
        retention: Duration::from_secs(10),
        kept_len_max: 500_000,
        ..quick()
    });
    // A container of one small blob takes 192 KiB, so there is room for two.
    let mut all = Vec::new();
    for seed in 0..3 {
        all.push(posted(&memory, namespace(0), blob(seed, 100)).await);
    }
    assert_eq!(memory.get(all[0].handle()).await, Err(GetError::Expired));
    assert!(memory.get(all[1].handle()).await.is_ok());
    now.store(1_010, Relaxed);
    assert_eq!(memory.get(all[2].handle()).await, Err(GetError::Expired));
}

/// The weather: each way to fail is what it says, and passes.
#[tokio::test]
async fn weather() {
    let (memory, _) = store(quick());
    let before = posted(&memory, namespace(0), blob(9, 10)).await;
    let post = || memory.post(namespace(0), blob(1, 10));
    memory.change(Weather::Overloaded);
    assert_eq!(post().await, Err(PostError::Overloaded));
    memory.change(Weather::Down);
    assert!(matches!(post().await, Err(PostError::Unavailable(_))));
    let get = memory.get(before.handle()).await;
    assert!(matches!(get, Err(GetError::Unavailable(_))));
    for (weather, end) in [
        (Weather::Unsigned, Status::Unsigned),
        (Weather::Failing, Status::Failed("so it was told".into())),
    ] {
        memory.change(weather);
        let request = post().await.expect("taken in");
        let status = memory.wait(request, Milestone::Final, SOON).await;
        assert_eq!(status, Ok(end));
    }
    memory.change(Weather::Stuck);
    let request = post().await.expect("taken in");
    let early = Duration::from_millis(50);
    let status = memory.wait(request, Milestone::Certified, early).await;
    assert_eq!(status, Ok(Status::Queued));
    memory.change(Weather::Fair);
    let status = memory.wait(request, Milestone::Final, SOON).await;
    assert!(matches!(status, Ok(Status::Posted(Milestone::Final, _))));
}

/// Blobs that are none, or fit no container, or find the queue full, are not taken in.
#[tokio::test]
async fn refuses() {
    let (memory, _) = store(Config {
        queue_len_max: 8_192,
        ..quick()
    });
    let empty = memory.post(namespace(0), Bytes::new()).await;
    assert_eq!(empty, Err(PostError::Empty));
    let len = BLOB_LEN_MAX + 1;
    let long = Bytes::from(vec![0; usize::try_from(len).expect("64-bit")]);
    let refused = memory.post(namespace(0), long).await;
    assert_eq!(refused, Err(PostError::TooLong { len }));
    memory.change(Weather::Stuck);
    for _ in 0..2 {
        memory
            .post(namespace(0), blob(0, 4_096))
            .await
            .expect("room");
    }
    let full = memory.post(namespace(0), blob(0, 1)).await;
    assert_eq!(full, Err(PostError::Overloaded));
}

/// The longest blob there is goes in and comes back.
#[tokio::test]
async fn the_longest() {
    let (memory, _) = store(Config {
        kept_len_max: 1 << 30,
        ..quick()
    });
    let len = usize::try_from(BLOB_LEN_MAX).expect("64-bit");
    let longest = blob(3, len);
    let posted = posted(&memory, namespace(0), longest.clone()).await;
    let (_, found) = read::whole(&memory, posted.handle()).await.expect("there");
    assert!(found == longest);
}
