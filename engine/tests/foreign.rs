//! Bytes that others chose: payloads that look like the log's own structures, and files in the data
//! directory that the store did not write. Neither may lose a record or stop a start with a panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use lode_engine::{
    Error, Root,
    format::{
        frame::{self, FrameHead},
        page::{self, Kind, PAGE, PAYLOAD},
        record,
        segment::SegmentHead,
        superblock::{COPIES, Superblock},
    },
    mesh::Mesh,
    store::{Options, Store, Terms},
};
use lode_world::{
    Disk, File, Open, World,
    sim::{Crash, Faults, Sim, SimWorld},
};

const CHUNK: usize = 256 * 1024;

async fn try_open(world: SimWorld) -> lode_engine::Result<Store<SimWorld>> {
    let options = Options {
        segment_len: 2 << 20,
        scrub_rate: 0,
        ..Options::new(PathBuf::from("data"), 1)
    };
    Store::open(world, options, Mesh::new(1), 0).await
}

async fn open(world: SimWorld) -> Store<SimWorld> {
    try_open(world).await.unwrap()
}

async fn put(store: &Store<SimWorld>, bytes: &Bytes) -> Root {
    let stored = store.put(bytes.clone(), Terms::default()).await.unwrap();
    stored.root
}

async fn read(store: &Store<SimWorld>, root: Root, len: usize) -> Option<Vec<u8>> {
    let range = 0..u64::try_from(len).unwrap();
    let mut reader = store.read(root, range).await.unwrap()?;
    let mut out = Vec::new();
    while let Some(piece) = reader.next().await {
        out.extend_from_slice(&piece.unwrap().into_bytes());
    }
    Some(out)
}

/// A chunk whose every page, where it is the first record of a frame, begins like the head of a
/// later frame of the segment.
fn looks_like_heads(segment: u32) -> Bytes {
    let head = FrameHead {
        number: 1000,
        segment,
        committed: 1000,
        sequence: 1,
        chain: 0,
    };
    let mut payload = vec![7; CHUNK];
    let first = PAYLOAD - frame::HEAD - record::HEADER;
    for at in (first..CHUNK - frame::HEAD).step_by(PAYLOAD) {
        payload[at..at + frame::HEAD].copy_from_slice(&head.encode());
    }
    payload.into()
}

/// A client's payload that looks like frame heads hides neither itself nor what comes after it,
/// when the log is walked after a kill.
#[test]
fn a_payload_may_look_like_frame_heads() {
    let blobs: Vec<Bytes> = [
        vec![1; 5000].into(),
        looks_like_heads(1),
        vec![2; CHUNK].into(),
        vec![3; 100].into(),
    ]
    .into();
    let sim = Sim::new(1, Faults::default());
    let roots = sim
        .run(async |world| {
            let store = open(world).await;
            let mut roots = Vec::new();
            for blob in &blobs {
                roots.push(put(&store, blob).await);
            }
            roots
        })
        .unwrap();
    sim.crash(Crash::Kill);
    sim.run(async |world| {
        let store = open(world).await;
        for (number, (root, blob)) in (0..).zip(roots.iter().zip(&blobs)) {
            let found = read(&store, *root, blob.len()).await;
            assert!(found.as_deref() == Some(blob), "blob {number}");
        }
        let stats = store.stats().await.unwrap();
        assert_eq!((stats.torn_bytes, stats.corrupt), (0, 0));
    })
    .unwrap();
}

/// Writes whole pages over a file of the data directory.
fn overwrite(sim: &Sim, path: &str, at: u64, pages: &[u8]) {
    sim.run(async |world| {
        let file = world.disk().open(Path::new(path), Open::Write).await;
        let file = file.unwrap();
        let mut buf = file.alloc(pages.len());
        buf.as_mut().copy_from_slice(pages);
        file.write(at, buf).await.unwrap();
        file.sync().await.unwrap();
    })
    .unwrap();
}

/// A store in which small blobs were put one by one, so that each has a frame of its own, and the
/// path of its only segment.
fn small_blobs(sim: &Sim) -> (Vec<(Root, Bytes)>, String) {
    let blobs = (1..=6).map(|fill| Bytes::from(vec![fill; 600]));
    let roots = sim
        .run(async |world| {
            let store = open(world).await;
            let mut roots = Vec::new();
            for blob in blobs {
                roots.push((put(&store, &blob).await, blob));
            }
            roots
        })
        .unwrap();
    sim.crash(Crash::Kill);
    let segments = sim.files().into_iter().map(|(path, _)| path);
    let segments: Vec<_> = segments.filter(|path| path.contains("segment-")).collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    (roots, segments[0].clone())
}

async fn which_are_there(store: &Store<SimWorld>, blobs: &[(Root, Bytes)]) -> Vec<bool> {
    let mut there = Vec::new();
    for (root, blob) in blobs {
        let found = read(store, *root, blob.len()).await;
        assert!(found.as_ref().is_none_or(|found| found == blob));
        there.push(found.is_some());
    }
    there
}

/// A frame whose head does not continue the one before is damage: it is counted, its record is not
/// there, and all others are.
#[test]
fn a_frame_that_does_not_continue_the_last() {
    let sim = Sim::new(2, Faults::default());
    let (blobs, segment) = small_blobs(&sim);
    let bytes = sim.contents(&segment).unwrap();
    let number = 2 + 2;
    let at = usize::try_from(number).unwrap() * PAGE;
    let mut page = bytes[at..at + PAGE].to_vec();
    let place = page::open(&page).unwrap();
    assert_eq!(place.kind, Kind::FrameHead);
    let head = FrameHead::decode(&page).unwrap();
    assert_eq!(head.number, 2, "a frame takes a page");
    let other = FrameHead {
        chain: !head.chain,
        ..head
    };
    page[..frame::HEAD].copy_from_slice(&other.encode());
    page::stamp(&mut page, place);
    overwrite(&sim, &segment, number * 4096, &page);
    sim.run(async |world| {
        let store = open(world).await;
        let there = which_are_there(&store, &blobs).await;
        assert_eq!(there, [true, true, false, true, true, true]);
        assert_eq!(store.stats().await.unwrap().corrupt, 1);
    })
    .unwrap();
}

/// One of the pages that say who a segment is cannot be read: another copy, or the first frame,
/// tells the same. Where none can be read, the start stops, and the segment stays as it is.
#[test]
fn unreadable_heads_of_segments() {
    for dead in [&[0][..], &[1], &[0, 1], &[0, 1, 2]] {
        let sim = Sim::new(3, Faults::default());
        let (blobs, segment) = small_blobs(&sim);
        for page in dead {
            sim.break_reads(&segment, page * 4096..page * 4096 + 1);
        }
        sim.run(async |world| match try_open(world).await {
            Ok(store) => {
                assert!(dead.len() < 3);
                let there = which_are_there(&store, &blobs).await;
                assert_eq!(there, [true; 6], "without pages {dead:?}");
            }
            Err(error) => assert!(
                dead.len() == 3 && matches!(error, Error::Io { .. }),
                "without pages {dead:?}: {error}"
            ),
        })
        .unwrap();
        assert!(sim.contents(&segment).is_some());
    }
}

/// A segment of another store, or of another shard, is refused by name and left alone.
#[test]
fn segments_of_others() {
    let others: [fn(&mut SegmentHead); 2] = [|head| head.store[3] ^= 1, |head| head.shard = 7];
    for change in others {
        let sim = Sim::new(4, Faults::default());
        let (_, segment) = small_blobs(&sim);
        let mut head = SegmentHead::decode(&sim.contents(&segment).unwrap()).unwrap();
        change(&mut head);
        overwrite(&sim, &segment, 0, &head.encode());
        sim.run(async |world| {
            let refused = try_open(world).await.map(drop);
            let Err(Error::Format { path, why }) = refused else {
                panic!("{refused:?}")
            };
            assert!(path == segment && why.contains("another"), "{path}: {why}");
        })
        .unwrap();
        assert!(sim.contents(&segment).is_some());
    }
}

/// A superblock that is whole and says what no store is refuses to open, by name.
#[test]
fn superblocks_that_no_store_has() {
    let sim = Sim::new(5, Faults::default());
    small_blobs(&sim);
    let whole = Superblock::decode(&sim.contents("data/SUPER").unwrap()).unwrap();
    let bad: [fn(&mut Superblock); 4] = [
        |superblock| superblock.shards = 0,
        |superblock| superblock.segment_len = 0,
        |superblock| superblock.segment_len = (2 << 20) + 1,
        |superblock| superblock.segment_len = 1 << 40,
    ];
    for change in bad {
        let mut superblock = whole;
        change(&mut superblock);
        let copies = (0..COPIES).flat_map(|copy| superblock.encode(copy));
        overwrite(&sim, "data/SUPER", 0, &copies.collect::<Vec<_>>());
        sim.run(async |world| {
            let refused = try_open(world).await.map(drop);
            assert!(matches!(refused, Err(Error::Format { .. })), "{refused:?}");
        })
        .unwrap();
    }
}

/// A file that is named like a checkpoint and is none is passed over.
#[test]
fn checkpoints_of_others() {
    for len in [0, 4096, 2 << 20] {
        let sim = Sim::new(6, Faults::default());
        let (blobs, _) = small_blobs(&sim);
        let name = Path::new("data/shard-00000/checkpoint-0000000009");
        sim.run(async |world| {
            let file = world.disk().open(name, Open::Create).await.unwrap();
            if len > 0 {
                file.allocate(len).await.unwrap();
            }
            file.sync().await.unwrap();
        })
        .unwrap();
        sim.run(async |world| {
            let store = open(world).await;
            assert_eq!(which_are_there(&store, &blobs).await, [true; 6], "{len}");
            store.close().await.unwrap();
        })
        .unwrap();
    }
}

/// A checkpoint that was left half written, and could not be removed then, does not keep the store
/// from writing others.
#[test]
fn left_over_checkpoints() {
    let sim = Sim::new(7, Faults::default());
    sim.run(async |world| {
        let store = open(world.clone()).await;
        put(&store, &Bytes::from(vec![1; 600])).await;
        let dir = PathBuf::from("data/shard-00000");
        for number in 1..=3 {
            let left = dir.join(format!("new-{number:010}"));
            let left = world.disk().open(&left, Open::Create).await.unwrap();
            left.allocate(1 << 20).await.unwrap();
        }
        store.mend().await.unwrap();
        store.mend().await.unwrap();
        let names = world.disk().list(&dir).await.unwrap();
        let checkpoints: Vec<_> = names
            .iter()
            .filter(|name| name.contains("checkpoint"))
            .collect();
        assert_eq!(checkpoints, ["checkpoint-0000000002"], "{names:?}");
    })
    .unwrap();
}

/// Rot beside the bytes, in a page's trailer, costs no blob: a get in part or whole hashes what the
/// page does not vouch for. Rot in the bytes is refused either way, and the scrub finds that alone.
#[test]
fn rot_beside_the_bytes() {
    const LEN: usize = 200_000;
    for (at, whole) in [(4090, true), (2000, false)] {
        let sim = Sim::new(7, Faults::default());
        let blob = Bytes::from(vec![7; LEN]);
        let stored = blob.clone();
        let root = sim.run(async |world| {
            let store = open(world).await;
            let root = put(&store, &stored).await;
            store.close().await.unwrap();
            root
        });
        let root = root.unwrap();
        let files = sim.files().into_iter();
        let segment = files
            .map(|(path, _)| path)
            .find(|path| path.contains("segment-"))
            .unwrap();
        // The frame's head is page 2; page 5 holds nothing but payload.
        sim.rot(&segment, 5 * 4096 + at..5 * 4096 + at + 1);
        sim.run(async |world| {
            let store = open(world).await;
            for range in [0..LEN, 3 * 4080..3 * 4080 + 10] {
                match store.read_chunk(root, 0, range.clone()).await {
                    Ok(read) => assert!(whole && read.unwrap().into_bytes() == blob[range]),
                    Err(error) => {
                        assert!(!whole && matches!(error, Error::Corrupt { .. }), "{error}");
                    }
                }
            }
            let before = store.stats().await.unwrap().corrupt;
            store.scrub(0).await.unwrap();
            let found = store.stats().await.unwrap().corrupt - before;
            assert_eq!(found, u64::from(!whole));
        })
        .unwrap();
    }
}
