//! A small disk, filled until the store refuses: it can be emptied, it gets back what died, and a
//! disk that is too small for a store is told so before anything is made on it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use lode_engine::{
    Error, Root,
    mesh::Mesh,
    store::{Options, Store, Terms},
};
use lode_world::{
    Disk, File, Open, Queue, World,
    sim::{Crash, Faults, Sim, SimWorld},
};

const SEGMENT: u64 = 1 << 20;
/// What a store of one shard needs at least, in segments: three in reserve, one for blobs.
const SMALLEST: u64 = 4;
/// Clients at a time, where many share a commit.
const CLIENTS: u64 = 64;
const CLIENT_STEP: usize = 64;

fn options() -> Options {
    Options {
        segment_len: SEGMENT,
        scrub_rate: 0,
        ..Options::new(PathBuf::from("data"), 1)
    }
}

/// A machine whose disk holds `segments` segments and a little more.
fn machine(segments: u64) -> Sim {
    let faults = Faults {
        capacity: segments * SEGMENT + (256 << 10),
        ..Faults::default()
    };
    Sim::new(1, faults)
}

async fn open(world: SimWorld) -> Store<SimWorld> {
    Store::open(world, options(), Mesh::new(1), 0)
        .await
        .unwrap()
}

fn contents(number: u64, len: usize) -> Bytes {
    let mut out = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.finalize_xof().fill(&mut out);
    Bytes::from(out)
}

/// Puts blobs of `len` bytes until the store refuses; blob `n` has the terms `terms(n)`.
async fn fill(store: &Store<SimWorld>, len: usize, terms: impl Fn(u64) -> Terms) -> Vec<Root> {
    let mut roots = Vec::new();
    for number in 0.. {
        match store.put(contents(number, len), terms(number)).await {
            Ok(stored) => roots.push(stored.root),
            Err(Error::Full { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    roots
}

async fn holds(store: &Store<SimWorld>, root: Root, bytes: &Bytes) -> bool {
    let size = u64::try_from(bytes.len()).unwrap();
    let Some(mut reader) = store.read(root, 0..size).await.unwrap() else {
        return false;
    };
    let piece = reader.next().await.unwrap().unwrap();
    assert_eq!(piece.into_bytes(), *bytes);
    true
}

fn for_ever(_: u64) -> Terms {
    Terms::default()
}

/// Waits as long as the background takes to look at what changed, a few times over.
async fn wait(world: &SimWorld) {
    world.sleep(Duration::from_secs(10)).await;
}

/// A disk without room for the reserve and a segment of blobs is refused by name, and left empty.
#[test]
fn too_small_a_disk_is_refused() {
    let sim = machine(SMALLEST - 1);
    sim.run(async |world| {
        let opened = Store::open(world, options(), Mesh::new(1), 0).await;
        let error = opened.err().unwrap();
        assert!(
            matches!(error, Error::TooSmall { need, segment_len, shards: 1, .. }
                if need == SMALLEST * SEGMENT && segment_len == SEGMENT),
            "{error}"
        );
        assert!(error.to_string().contains("shorter segments"), "{error}");
    })
    .unwrap();
    assert!(sim.files().is_empty(), "{:?}", sim.files());
}

/// A small disk can be filled, restarted, emptied and filled again, as often as one likes, although
/// tombstones of each term would have a segment of their own.
#[test]
fn a_small_disk_can_be_emptied() {
    for crash in [Crash::Kill, Crash::Power] {
        let sim = machine(SMALLEST + 6);
        let terms = |number: u64| Terms {
            expiry: Some(1 << (1 + number % 7)),
        };
        for round in 0..3 {
            let roots = sim
                .run(async |world| {
                    let store = open(world).await;
                    let roots = fill(&store, 20_000, terms).await;
                    assert!(!roots.is_empty(), "round {round} takes nothing");
                    roots
                })
                .unwrap();
            sim.crash(crash);
            sim.run(async |world| {
                let store = open(world.clone()).await;
                for root in &roots {
                    assert!(store.delete(*root).await.unwrap());
                }
                wait(&world).await;
            })
            .unwrap();
        }
    }
}

/// Small blobs cost nearly as much to delete as to put: their tombstones are given up in time, and
/// the disk takes as many again, round after round.
#[test]
fn small_blobs_can_be_deleted() {
    let sim = machine(SMALLEST);
    let mut taken = Vec::new();
    for round in 0..4_u64 {
        let count = sim
            .run(async |world| {
                let store = open(world.clone()).await;
                let roots = fill_at_once(&world, &store, round << 32).await;
                delete_at_once(&world, &store, &roots).await;
                wait(&world).await;
                if round == 0 {
                    // From here on there is a checkpoint, and it may know what is deleted later.
                    store.close().await.unwrap();
                }
                roots.len()
            })
            .unwrap();
        taken.push(count);
    }
    let (least, most) = (taken.iter().min().unwrap(), taken.iter().max().unwrap());
    assert!(*least > 3000 && least * 10 > most * 9, "{taken:?}");
}

/// Puts small blobs, many at once, until the store refuses; their roots.
async fn fill_at_once(world: &SimWorld, store: &Store<SimWorld>, first: u64) -> Vec<Root> {
    let (told, roots) = async_channel::unbounded();
    for client in 0..CLIENTS {
        let (store, told) = (store.clone(), told.clone());
        world.spawn(Queue::Ingest, async move {
            for number in (first + client..).step_by(CLIENT_STEP) {
                match store.put(contents(number, 40), Terms::default()).await {
                    Ok(stored) => told.send(stored.root).await.unwrap(),
                    Err(Error::Full { .. }) => return,
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    drop(told);
    let mut all = Vec::new();
    while let Ok(root) = roots.recv().await {
        all.push(root);
    }
    all
}

async fn delete_at_once(world: &SimWorld, store: &Store<SimWorld>, roots: &[Root]) {
    let (told, deleted) = async_channel::unbounded();
    for part in roots.chunks(roots.len().div_ceil(CLIENT_STEP)) {
        let (store, told, part) = (store.clone(), told.clone(), part.to_vec());
        world.spawn(Queue::Ingest, async move {
            for root in part {
                told.send(store.delete(root).await.unwrap()).await.unwrap();
            }
        });
    }
    drop(told);
    while let Ok(deleted) = deleted.recv().await {
        assert!(deleted);
    }
}

/// Every third blob of a full disk is deleted: no segment is half dead, and yet the space comes
/// back, more than half of it; what was not deleted stays.
#[test]
fn a_third_of_every_segment_comes_back() {
    let sim = machine(12);
    sim.run(async |world| {
        let store = open(world.clone()).await;
        let roots = fill(&store, 50_000, for_ever).await;
        let gone = |number: u64| number % 3 == 1;
        let mut deleted = 0;
        for (number, root) in (0..).zip(&roots) {
            if gone(number) {
                assert!(store.delete(*root).await.unwrap());
                deleted += 1;
            }
        }
        wait(&world).await;
        let again = (1_000_000..).take(deleted / 2);
        for number in again {
            store
                .put(contents(number, 50_000), Terms::default())
                .await
                .unwrap();
        }
        for (number, root) in (0..).zip(&roots) {
            let there = holds(&store, *root, &contents(number, 50_000)).await;
            assert_eq!(there, !gone(number), "blob {number}");
        }
    })
    .unwrap();
}

/// A stranger takes what is free, the reserve too: blobs can still be deleted as long as an open
/// lane has room, and compaction that could not finish does not use that room up.
#[test]
fn compaction_asks_for_room_first() {
    let sim = machine(10);
    let roots = sim
        .run(async |world| fill(&open(world).await, 10_000, for_ever).await)
        .unwrap();
    sim.run(async |world| {
        let store = open(world.clone()).await;
        // Opens the lane that deletes go to.
        assert!(store.delete(roots[0]).await.unwrap());
        let disk = world.disk();
        let free = disk.space(Path::new("data")).await.unwrap().free;
        let stranger = disk.open(Path::new("stranger"), Open::Create).await;
        stranger.unwrap().allocate(free).await.unwrap();
        // A fifth of every segment dies.
        let (fifth, others): (Vec<_>, Vec<_>) = (1..)
            .zip(&roots[1..])
            .partition(|(number, _)| number % 5 == 0);
        for (_, root) in fifth.into_iter().take(130) {
            assert!(store.delete(*root).await.unwrap());
        }
        wait(&world).await;
        for (number, root) in others.into_iter().step_by(20) {
            assert!(store.delete(*root).await.unwrap(), "blob {number}");
        }
    })
    .unwrap();
}

/// Space that somebody else gives back is found by the next put.
#[test]
fn space_from_outside_is_found() {
    let sim = machine(8);
    sim.run(async |world| {
        let disk = world.disk();
        let path = PathBuf::from("stranger");
        let stranger = disk.open(&path, Open::Create).await.unwrap();
        stranger.allocate(3 * SEGMENT).await.unwrap();
        let store = open(world.clone()).await;
        let roots = fill(&store, 50_000, for_ever).await;
        let refused = store.put(contents(77_777, 50_000), Terms::default()).await;
        assert!(matches!(refused, Err(Error::Full { .. })));
        drop(stranger);
        disk.remove(&path).await.unwrap();
        let more = fill(&store, 60_000, for_ever).await;
        assert!(more.len() > 30, "{} after {}", more.len(), roots.len());
    })
    .unwrap();
}

/// A store that was moved to a disk that is too small for it is still opened, read and emptied.
#[test]
fn a_store_on_too_small_a_disk_is_served() {
    let sim = machine(SMALLEST);
    let root = sim
        .run(async |world| {
            let store = open(world).await;
            let root = store.put(contents(1, 9000), Terms::default()).await;
            store.close().await.unwrap();
            root.unwrap().root
        })
        .unwrap();
    sim.set_faults(Faults {
        capacity: 2 * SEGMENT + (256 << 10),
        ..Faults::default()
    });
    sim.run(async |world| {
        let store = open(world).await;
        assert!(holds(&store, root, &contents(1, 9000)).await);
        let refused = store.put(contents(2, 9000), Terms::default()).await;
        assert!(matches!(refused, Err(Error::Full { .. })));
        assert!(store.delete(root).await.unwrap());
    })
    .unwrap();
}

/// A lane whose term is over takes no more records: its segment and the one that was made ready
/// to follow it are given back.
#[test]
fn lanes_end_with_their_term() {
    let sim = machine(40);
    sim.run(async |world| {
        let store = open(world.clone()).await;
        for epoch in 1..=6 {
            let terms = Terms {
                expiry: Some(epoch),
            };
            // Most of a segment, so that the next one is made ready.
            for number in 0..17 {
                let bytes = contents(u64::from(epoch) << 32 | number, 50_000);
                store.put(bytes, terms).await.unwrap();
            }
            store.set_epoch(epoch).await.unwrap();
            wait(&world).await;
            let files = sim_files(&world).await;
            assert!(files <= 6, "{files} segment files after epoch {epoch}");
        }
    })
    .unwrap();
}

async fn sim_files(world: &SimWorld) -> usize {
    let dir = PathBuf::from("data/shard-00000");
    let names = world.disk().list(&dir).await.unwrap();
    names
        .iter()
        .filter(|name| !name.contains("checkpoint"))
        .count()
}
