//! Races that the store's face cannot be made to run into at will: a shard is driven step by step.

use std::{
    future::{Future, poll_fn},
    path::PathBuf,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use lode_proofs::BlobHasher;
use lode_world::{
    Disk, Queue, World,
    sim::{Faults, Sim, SimWorld},
};

use super::{
    Draft, Durable, Shard,
    open::Setup,
    upload::{PartHead, group_part},
};
use crate::{
    Error, Root,
    format::{
        manifest::{self, GROUP},
        record::Kind,
        superblock::{Calibration, Superblock},
    },
    index::Place,
    log::{read::Verify, segment::State},
    mend::{self, reclaim},
    piece::PieceOf,
    space::{Need, Space},
};

pub(super) async fn shard(world: &SimWorld) -> Rc<Shard<SimWorld>> {
    shard_of(world, 1 << 20).await
}

/// A shard with segments of that many bytes.
async fn shard_of(world: &SimWorld, segment_len: u64) -> Rc<Shard<SimWorld>> {
    let dir = PathBuf::from("data");
    let superblock = Superblock {
        shards: 1,
        generation: 1,
        segment_len,
        store: [1; 16],
        created: 0,
        epoch: 0,
        disk: Calibration::default(),
    };
    let setup = Setup {
        world: world.clone(),
        dir: dir.join("shard-00000"),
        id: 0,
        superblock,
        space: Rc::new(Space::new(world.clone(), dir, 0, 0, Arc::default())),
        ingest_credit: 48 << 20,
        verify: Verify::Pages,
    };
    Shard::open(setup).await.unwrap()
}

fn single(root: Root, fill: u8, expiry: u32) -> Draft {
    Draft {
        kind: Kind::Single,
        flags: 0,
        blob: 0,
        detail: 0,
        expiry,
        root,
        check: None,
        payload: Bytes::from(vec![fill; 40_000]),
    }
}

async fn durable(shard: &Rc<Shard<SimWorld>>, draft: Draft) -> Durable<SimWorld> {
    shard.append(draft, Need::Blob).await.unwrap()
}

/// Polls a future once; it must not be done.
async fn begin(mut future: std::pin::Pin<&mut impl Future>) {
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

pub(super) fn leaf(chunk: u64) -> Root {
    Root::from(*blake3::hash(&chunk.to_le_bytes()).as_bytes())
}

/// A part of a longer blob, or what begins or ends one.
fn part(kind: Kind, blob: u64, detail: u64, root: Root, payload: Bytes) -> Draft {
    Draft {
        kind,
        flags: 0,
        blob,
        detail,
        expiry: 0,
        root,
        check: None,
        payload,
    }
}

/// A blob of 1025 chunks, of which the chunks themselves are not stored: its root.
async fn grouped_blob(shard: &Rc<Shard<SimWorld>>) -> Root {
    let size = (GROUP + 1) * manifest::CHUNK;
    let leaves: Vec<Root> = (0..=GROUP).map(leaf).collect();
    let mut hasher = BlobHasher::new();
    for leaf in &leaves {
        hasher.push_chunk_root(*leaf).unwrap();
    }
    let root = hasher.finish().unwrap().root();
    let blob = shard.next_blob();
    let mut tops = Vec::new();
    for (index, roots) in (0..).zip(leaves.chunks(1024)) {
        let (PartHead { root, .. }, payload) = group_part(blob, index, 8, roots);
        // In a lane of their own, so that a reader of the manifest does not hold their segment.
        let draft = Draft {
            expiry: 8,
            ..part(Kind::Group, blob, index, root, payload)
        };
        durable(shard, draft).await.apply();
        tops.extend((roots.len() == 1024).then_some(root));
    }
    let payload = Bytes::from(manifest::encode(&tops));
    let draft = part(Kind::Manifest, blob, size, root, payload);
    durable(shard, draft).await.apply();
    root
}

/// Compaction moves the groups of a blob while a proof reads its manifest: the proof is made from
/// where they are now, and nothing is called damaged.
#[test]
fn groups_that_move_under_a_proof() {
    let sim = Sim::new(1, Faults::default());
    sim.run(async |world| {
        let shard = shard(&world).await;
        let root = grouped_blob(&shard).await;
        shard.close_lanes().await;
        for chunk in [0, GROUP] {
            let mut proving = pin!(Rc::clone(&shard).prove(root, chunk));
            begin(proving.as_mut()).await;
            let manifest = shard.catalog.borrow().index().long(1).unwrap().1.manifest;
            let segments: Vec<u32> = shard.catalog.borrow().segments().keys().copied().collect();
            for number in segments
                .into_iter()
                .filter(|number| *number != manifest.segment)
            {
                reclaim::compact(&shard, number, false).await.unwrap();
            }
            shard.close_lanes().await;
            let proof = proving.await.unwrap().unwrap();
            assert_eq!((proof.blob().root, proof.index()), (root, chunk));
            assert_eq!(shard.count.corrupt.get(), 0);
        }
    })
    .unwrap();
}

/// The record is deleted for good while a proof of it is made: the answer is that it is not here.
#[test]
fn a_blob_that_goes_under_a_proof() {
    let sim = Sim::new(2, Faults::default());
    sim.run(async |world| {
        let shard = shard(&world).await;
        let root = grouped_blob(&shard).await;
        shard.close_lanes().await;
        let mut proving = pin!(Rc::clone(&shard).prove(root, 0));
        begin(proving.as_mut()).await;
        assert!(Rc::clone(&shard).delete(root).await.unwrap());
        let groups = shard.catalog.borrow().segments().keys().next().copied();
        reclaim::compact(&shard, groups.unwrap(), false)
            .await
            .unwrap();
        assert!(proving.await.unwrap().is_none());
        assert_eq!(shard.count.corrupt.get(), 0);
    })
    .unwrap();
}

/// A record that is durable, and of which the catalog has not heard yet, keeps its segment from
/// being freed: by compaction, and when its epoch has come.
#[test]
fn segments_wait_for_their_last_records() {
    for epoch in [0, 9] {
        let sim = Sim::new(3, Faults::default());
        sim.run(async |world| {
            let shard = shard(&world).await;
            let (gone, late) = (Root::from([1; 32]), Root::from([2; 32]));
            durable(&shard, single(gone, 1, 7)).await.apply();
            let record = durable(&shard, single(late, 2, 7)).await;
            let segment = record.place.segment;
            shard.catalog.borrow_mut().remove(&gone);
            shard.close_lanes().await;
            let state = || {
                shard
                    .segment(record_place(segment))
                    .map(|segment| segment.state.get())
            };
            assert_eq!(state(), Some(State::Closed));
            reclaim::set_epoch(&shard, epoch).await.unwrap();
            assert_eq!(state(), Some(State::Closed), "it holds a record");
            record.apply();
            if epoch == 0 {
                let read = Rc::clone(&shard).read(late, 0, 0..40_000).await.unwrap();
                assert_eq!(read.unwrap().into_bytes(), &[2; 40_000][..]);
            }
            reclaim::set_epoch(&shard, 9).await.unwrap();
            reclaim::run(&shard).await.unwrap();
        })
        .unwrap();
    }
}

/// Appends so many blobs of a byte at once, and closes their segment.
async fn close_with(shard: &Rc<Shard<SimWorld>>, from: u64, count: u64, expiry: u32) {
    let left = Rc::new(std::cell::Cell::new(count));
    for number in from..from + count {
        let mut root = [0; 32];
        root[..8].copy_from_slice(&number.to_le_bytes());
        let draft = Draft {
            payload: Bytes::from_static(b"x"),
            ..single(Root::from(root), 0, expiry)
        };
        let (shard, left) = (Rc::clone(shard), Rc::clone(&left));
        shard.world.clone().spawn(Queue::Ingest, async move {
            durable(&shard, draft).await.apply();
            left.set(left.get() - 1);
        });
    }
    while left.get() > 0 {
        shard.world.sleep(Duration::from_millis(1)).await;
    }
    shard.close_lanes().await;
}

/// Segments that are cut short because they hold as many records as one may, though few bytes, or
/// that no other of their term joins, stay as they are: copied, they would be as short again.
#[test]
fn segments_that_end_as_short_again_stay() {
    const FEW: u32 = 8;
    Sim::new(8, Faults::default())
        .run(async |world| {
            let shard = shard_of(&world, 16 << 20).await;
            for round in 0..u64::from(FEW) {
                close_with(&shard, round << 32, 16_600, 0).await;
            }
            for expiry in 1..=FEW {
                close_with(&shard, u64::from(expiry) << 40, 3, expiry).await;
            }
            let segments = || shard.catalog.borrow().segments().len();
            let before = segments();
            reclaim::run(&shard).await.unwrap();
            assert_eq!(shard.count.moved.get(), 0);
            assert_eq!(segments(), before);

            for round in 1..=u64::from(FEW) {
                close_with(&shard, round << 48, 3, 0).await;
            }
            durable(&shard, single(Root::from([1; 32]), 1, 0))
                .await
                .apply();
            let before = segments();
            reclaim::run(&shard).await.unwrap();
            assert!(shard.count.moved.get() > 0, "these can be put together");
            assert_eq!(segments(), before - 1);
        })
        .unwrap();
}

/// A segment in which nothing lives is freed, however short it is: what it once held would keep
/// every later tombstone alive.
#[test]
fn short_dead_segments_go() {
    Sim::new(10, Faults::default())
        .run(async |world| {
            let shard = shard(&world).await;
            close_with(&shard, 1, 1, 0).await;
            let mut root = [0; 32];
            root[0] = 1;
            assert!(Rc::clone(&shard).delete(Root::from(root)).await.unwrap());
            close_with(&shard, 2, 1, 0).await;
            let segments = || shard.catalog.borrow().segments().len();
            assert_eq!(segments(), 2);
            reclaim::run(&shard).await.unwrap();
            assert_eq!(segments(), 1);
        })
        .unwrap();
}

/// What abandoned uploads leave is copied many to a page.
#[test]
fn abandoned_uploads_are_copied_together() {
    const COUNT: u64 = 200;
    let sim = Sim::new(11, Faults::default());
    sim.run(async |world| {
        let shard = shard(&world).await;
        close_with(&shard, 1, 1, 0).await;
        for blob in 1..=COUNT {
            let abandoned = part(Kind::Abandon, blob, 0, Root::from([0; 32]), Bytes::new());
            durable(&shard, abandoned).await.apply();
        }
        shard.close_lanes().await;
        let before = sim.counts().ios;
        reclaim::run(&shard).await.unwrap();
        let ios = sim.counts().ios - before;
        assert!(ios < COUNT / 4, "{ios} reads, writes and syncs");
        let catalog = shard.catalog.borrow();
        let tombstones = catalog
            .segments()
            .values()
            .map(|segment| segment.tombstones.get());
        assert_eq!(tombstones.sum::<u64>(), COUNT * 104);
    })
    .unwrap();
}

/// Tiny records that each had a frame of their own are copied many to a frame, all that live and
/// nothing else.
#[test]
fn tiny_records_are_copied_together() {
    const COUNT: u64 = 400;
    let sim = Sim::new(9, Faults::default());
    sim.run(async |world| {
        let shard = shard(&world).await;
        let root = |number: u64| Root::from(*blake3::hash(&number.to_le_bytes()).as_bytes());
        for number in 0..COUNT {
            let mut draft = single(root(number), 0, 0);
            draft.payload = Bytes::copy_from_slice(&number.to_le_bytes());
            durable(&shard, draft).await.apply();
        }
        for number in (0..COUNT).step_by(5) {
            assert!(shard.catalog.borrow_mut().remove(&root(number)));
        }
        shard.close_lanes().await;
        let before = sim.counts().ios;
        reclaim::run(&shard).await.unwrap();
        assert_eq!(shard.count.moved.get(), COUNT / 5 * 4 * 112);
        let ios = sim.counts().ios - before;
        assert!(ios < COUNT / 10, "{ios} reads, writes and syncs");
        for number in 0..COUNT {
            let read = Rc::clone(&shard).read(root(number), 0, 0..8).await.unwrap();
            let lives = (number % 5 != 0).then(|| Bytes::copy_from_slice(&number.to_le_bytes()));
            assert_eq!(read.map(PieceOf::<SimWorld>::into_bytes), lives);
        }
    })
    .unwrap();
}

fn record_place(segment: u32) -> Place {
    Place { segment, at: 0 }
}

/// Segments that were closed before a checkpoint that failed count towards the next one, which is
/// due as soon as another segment is closed, and then no more.
#[test]
fn a_checkpoint_that_failed_is_still_due() {
    let sim = Sim::new(4, Faults::default());
    sim.run(async |world| {
        let shard = shard(&world).await;
        durable(&shard, single(Root::from([1; 32]), 1, 0))
            .await
            .apply();
        for _ in 0..8 {
            shard.mend.segment_closed();
        }
        sim.set_faults(Faults {
            write_error: lode_world::sim::Chance::ALWAYS,
            ..Faults::default()
        });
        let failed = mend::step(&shard).await;
        assert!(matches!(failed, Err(Error::Io { .. })), "{failed:?}");
        assert_eq!(shard.mend.checkpoint_number.get(), 0);
        sim.set_faults(Faults::default());
        shard.mend.segment_closed();
        mend::step(&shard).await.unwrap();
        assert_eq!(shard.mend.checkpoint_number.get(), 1);
        shard.mend.segment_closed();
        mend::step(&shard).await.unwrap();
        assert_eq!(shard.mend.checkpoint_number.get(), 1, "it is not due again");
    })
    .unwrap();
}

/// Declares an upload, and stores chunks of it, all short but the first, and its second group.
async fn upload(shard: &Rc<Shard<SimWorld>>, root: Root) -> u64 {
    let blob = shard.next_blob();
    let size = 2 * GROUP * manifest::CHUNK;
    let open = part(Kind::Open, blob, size, root, Bytes::new());
    durable(shard, open).await.apply();
    for chunk in [0, 1, 2, 700, GROUP - 1, GROUP + 3, 2 * GROUP - 1] {
        let len = if chunk == 0 { 256 << 10 } else { 10 };
        let chunk = part(Kind::Chunk, blob, chunk, leaf(chunk), vec![1; len].into());
        durable(shard, chunk).await.apply();
    }
    let roots: Vec<Root> = (GROUP..2 * GROUP).map(leaf).collect();
    let (PartHead { root, .. }, payload) = group_part(blob, 1, 0, &roots);
    durable(shard, part(Kind::Group, blob, 1, root, payload))
        .await
        .apply();
    blob
}

/// An upload that nobody finishes holds no checkpoint up, and a start from one knows the same of it
/// as the log: where its parts are, what it declared, and how much lives in each segment.
#[test]
fn checkpoints_know_uploads() {
    let sim = Sim::new(5, Faults::default());
    let root = Root::from([9; 32]);
    let known = |shard: &Shard<SimWorld>| {
        let catalog = shard.catalog.borrow();
        let live = catalog
            .segments()
            .values()
            .map(|segment| segment.live.get());
        let live: u64 = live.sum();
        (catalog.uploads.clone(), catalog.declared.clone(), live)
    };
    let (before, covered) = sim
        .run(async |world| {
            let shard = shard(&world).await;
            upload(&shard, root).await;
            durable(&shard, single(Root::from([1; 32]), 1, 0))
                .await
                .apply();
            shard.close_lanes().await;
            let next = shard.catalog.borrow().next_sequence;
            mend::checkpoint::write(&shard).await.unwrap();
            assert_eq!(shard.mend.covered.get(), next, "everything is covered");
            (known(&shard), next)
        })
        .unwrap();
    assert_eq!((before.0.len(), before.1.get(&root)), (1, Some(&1)));
    for closes in [false, true, false] {
        sim.run(async |world| {
            let shard = shard(&world).await;
            assert_eq!(shard.mend.covered.get(), covered);
            assert_eq!(known(&shard), before);
            if closes {
                shard.close().await.unwrap();
            }
        })
        .unwrap();
    }
    // The same from the log alone.
    sim.run(async |world| {
        let dir = PathBuf::from("data/shard-00000");
        for name in world.disk().list(&dir).await.unwrap() {
            if name.starts_with("checkpoint-") {
                world.disk().remove(&dir.join(name)).await.unwrap();
            }
        }
        let shard = shard(&world).await;
        assert_eq!(known(&shard), before);
    })
    .unwrap();
}

/// An upload that a checkpoint knows becomes a blob after it, and goes when it is abandoned after
/// it; what the checkpoint knows in segments that were freed since is not believed.
#[test]
fn uploads_go_on_after_a_checkpoint() {
    let roots = [5, 6, 7].map(|fill| Root::from([fill; 32]));
    let sim = Sim::new(6, Faults::default());
    sim.run(async |world| {
        let shard = shard(&world).await;
        for root in roots {
            upload(&shard, root).await;
        }
        shard.close_lanes().await;
        mend::checkpoint::write(&shard).await.unwrap();
        let size = 2 * GROUP * manifest::CHUNK;
        let payload = Bytes::from(manifest::encode(&[leaf(1), leaf(2)]));
        let manifest = part(Kind::Manifest, 1, size, roots[0], payload);
        durable(&shard, manifest).await.apply();
        assert!(Rc::clone(&shard).abandon(roots[1]).await.unwrap());
        // As after an abandon whose tombstone could not be written.
        shard.catalog.borrow_mut().forget(3);
        let segments: Vec<u32> = shard.catalog.borrow().segments().keys().copied().collect();
        for number in segments {
            shard.close_lanes().await;
            reclaim::compact(&shard, number, false).await.unwrap();
        }
    })
    .unwrap();
    sim.run(async |world| {
        let shard = shard(&world).await;
        let catalog = shard.catalog.borrow();
        assert!(catalog.uploads.is_empty());
        assert!(catalog.declared.is_empty());
        let index = catalog.index();
        let (_, long) = index.long(1).unwrap();
        let there = |place: Place| catalog.segments().contains_key(&place.segment);
        for chunk in [0, 1, 2, 700, GROUP - 1, GROUP + 3, 2 * GROUP - 1] {
            assert!(there(long.chunk(chunk)), "chunk {chunk}");
        }
        assert!(there(long.group(1)) && there(long.manifest));
        assert_eq!(catalog.index().totals().blobs, 1);
    })
    .unwrap();
}

/// An upload becomes a blob while a checkpoint that has begun with it is written: the blob is what
/// counts, whole, and nothing is left of the upload.
#[test]
fn an_upload_that_ends_under_a_checkpoint() {
    let root = Root::from([9; 32]);
    let sim = Sim::new(7, Faults::default());
    sim.run(async |world| {
        let shard = shard(&world).await;
        let blob = upload(&shard, root).await;
        let payload = Bytes::from(manifest::encode(&[leaf(1), leaf(2)]));
        let size = 2 * GROUP * manifest::CHUNK;
        let manifest = part(Kind::Manifest, blob, size, root, payload);
        let manifest = durable(&shard, manifest).await;
        let mut writing = pin!(mend::checkpoint::write(&shard));
        // Its file is opened, then half of the upload is written.
        for _ in 0..2 {
            begin(writing.as_mut()).await;
            world.sleep(Duration::from_millis(1)).await;
        }
        manifest.apply();
        writing.await.unwrap();
    })
    .unwrap();
    sim.run(async |world| {
        let shard = shard(&world).await;
        let catalog = shard.catalog.borrow();
        assert!(catalog.uploads.is_empty());
        assert!(catalog.declared.is_empty());
        let index = catalog.index();
        let (_, long) = index.long(1).unwrap();
        assert!(long.chunk(700) != Place::NONE && long.group(1) != Place::NONE);
    })
    .unwrap();
}
