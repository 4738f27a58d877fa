//! The store's face on a simulated disk without faults: what goes in comes out, also after a stop,
//! a kill and a power loss.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use bytes::Bytes;
use lode_engine::{
    Error, Root,
    mesh::Mesh,
    store::{Options, Resumed, Store, Stored, Terms},
};
use lode_world::{
    World,
    sim::{Chance, Crash, Faults, Sim, SimWorld},
};

const CHUNK: usize = 256 * 1024;

fn options() -> Options {
    Options {
        segment_len: 2 << 20,
        shards: 2,
        scrub_rate: 0,
        ..Options::new(PathBuf::from("data"), 1)
    }
}

async fn open(world: SimWorld) -> Store<SimWorld> {
    Store::open(world, options(), Mesh::new(1), 0)
        .await
        .unwrap()
}

fn bytes(seed: u8, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new()
        .update(&[seed])
        .finalize_xof()
        .fill(&mut out);
    out
}

async fn stream(store: &Store<SimWorld>, data: &[u8]) -> Root {
    let mut upload = store.begin(Terms::default()).await.unwrap();
    for piece in data.chunks(100_000) {
        upload.write(piece).await.unwrap();
    }
    upload.finish().await.unwrap().root
}

async fn read_all(store: &Store<SimWorld>, root: Root, size: usize) -> Option<Vec<u8>> {
    let mut reader = store
        .read(root, 0..u64::try_from(size).unwrap())
        .await
        .unwrap()?;
    let mut out = Vec::new();
    while let Some(piece) = reader.next().await {
        out.extend_from_slice(&piece.unwrap().into_bytes());
    }
    Some(out)
}

/// Blobs of every interesting size survive each way of going down, with their proofs.
#[test]
fn what_is_acknowledged_comes_back() {
    let sizes = [
        1,
        255,
        4096,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        3 * CHUNK,
        5 * CHUNK + 777,
    ];
    let blobs: Vec<Vec<u8>> = (0..)
        .zip(sizes)
        .map(|(seed, len)| bytes(seed, len))
        .collect();
    for crash in [None, Some(Crash::Kill), Some(Crash::Power)] {
        let sim = Sim::new(1, Faults::default());
        let roots = sim
            .run(async |world| {
                let store = open(world).await;
                let mut roots = Vec::new();
                for blob in &blobs {
                    roots.push(stream(&store, blob).await);
                }
                let again = store
                    .put(Bytes::from(blobs[1].clone()), Terms::default())
                    .await
                    .unwrap();
                assert!(again.existed);
                if crash.is_none() {
                    store.close().await.unwrap();
                }
                roots
            })
            .unwrap();
        if let Some(crash) = crash {
            sim.crash(crash);
        }
        everything_is_there(&sim, &roots, &blobs);
    }
}

/// Every blob is equal and proven; two are deleted and stay so over another restart.
fn everything_is_there(sim: &Sim, roots: &[Root], blobs: &[Vec<u8>]) {
    sim.run(async |world| {
        let store = open(world).await;
        for (root, blob) in roots.iter().zip(blobs) {
            assert_eq!(*root, lode_proofs::blob_tree(blob).unwrap().root());
            assert_eq!(
                read_all(&store, *root, blob.len()).await.as_ref(),
                Some(blob)
            );
            let last = blob.len().div_ceil(CHUNK) - 1;
            let proof = store
                .prove(*root, u64::try_from(last).unwrap())
                .await
                .unwrap()
                .unwrap();
            proof.verify(&blob[last * CHUNK..]).unwrap();
        }
        let stats = store.stats().await.unwrap();
        assert_eq!(stats.blobs, 8);
        assert!(store.delete(roots[0]).await.unwrap());
        assert!(store.delete(roots[7]).await.unwrap());
        store.close().await.unwrap();
    })
    .unwrap();
    sim.run(async |world| {
        let store = open(world).await;
        assert_eq!(read_all(&store, roots[0], 1).await, None);
        assert_eq!(read_all(&store, roots[7], 1).await, None);
        assert_eq!(
            read_all(&store, roots[6], 3 * CHUNK).await.as_ref(),
            Some(&blobs[6])
        );
    })
    .unwrap();
}

/// An interrupted declared upload goes on at its first missing chunk, also after a power loss.
#[test]
fn a_declared_upload_resumes() {
    let data = bytes(9, 6 * CHUNK + 5);
    let root = lode_proofs::blob_tree(&data).unwrap().root();
    let size = u64::try_from(data.len()).unwrap();
    let sim = Sim::new(3, Faults::default());
    sim.run(async |world| {
        let store = open(world).await;
        let Resumed::Upload(mut upload) = store.resume(root, size, Terms::default()).await.unwrap()
        else {
            panic!("nothing is stored yet")
        };
        upload.write(&data[..4 * CHUNK + 10]).await.unwrap();
        upload.flush().await.unwrap();
        assert_eq!(upload.durable(), u64::try_from(4 * CHUNK).unwrap());
    })
    .unwrap();
    sim.crash(Crash::Power);
    sim.run(async |world| {
        let store = open(world).await;
        let info = store.upload(root).await.unwrap().unwrap();
        assert_eq!(
            (info.offset, info.size),
            (u64::try_from(4 * CHUNK).unwrap(), size)
        );
        let Resumed::Upload(mut upload) = store.resume(root, size, Terms::default()).await.unwrap()
        else {
            panic!("it is not complete")
        };
        let from = usize::try_from(upload.offset()).unwrap();
        upload.write(&data[from..]).await.unwrap();
        assert_eq!(upload.finish().await.unwrap().root, root);
        assert_eq!(read_all(&store, root, data.len()).await, Some(data.clone()));
        assert!(store.upload(root).await.unwrap().is_none());
    })
    .unwrap();
}

/// Bytes that differ in zeroes at the end share a root: the second size is refused, not mistaken
/// for the first, whichever way it comes.
#[test]
fn a_root_names_one_size() {
    let sim = Sim::new(4, Faults::default());
    sim.run(async |world| {
        let store = open(world).await;
        let put = |bytes: Vec<u8>| store.put(Bytes::from(bytes), Terms::default());
        let root = put(vec![1]).await.unwrap().root;
        let refused = put(vec![1, 0]).await;
        assert!(matches!(
            refused,
            Err(Error::OtherSize {
                have: 1,
                got: 2,
                ..
            })
        ));
        let refused = store.resume(root, 3, Terms::default()).await.map(|_| ());
        assert!(matches!(
            refused,
            Err(Error::OtherSize {
                have: 1,
                got: 3,
                ..
            })
        ));
        assert_eq!(read_all(&store, root, 1).await, Some(vec![1]));
        let mut long = bytes(7, CHUNK + 10);
        let root = stream(&store, &long).await;
        long.push(0);
        let mut upload = store.begin(Terms::default()).await.unwrap();
        upload.write(&long).await.unwrap();
        let refused = upload.finish().await;
        assert!(matches!(refused, Err(Error::OtherSize { .. })));
        assert!(store.delete(root).await.unwrap());
        assert_eq!(stream(&store, &long).await, root);
        assert_eq!(read_all(&store, root, CHUNK + 11).await, Some(long));
    })
    .unwrap();
}

/// Every answer tells the term that holds, which is the longest that was asked for, and an upload
/// keeps the one that it was begun with through a restart.
#[test]
fn answers_tell_the_term() {
    let until = |epoch: u32| Terms {
        expiry: Some(epoch),
    };
    let small = Bytes::from(bytes(1, 1000));
    let long = bytes(2, 2 * CHUNK);
    let root = lode_proofs::blob_tree(&long).unwrap().root();
    let size = u64::try_from(long.len()).unwrap();
    let sim = Sim::new(5, Faults::default());
    sim.run(async |world| {
        let store = open(world).await;
        for (asked, told) in [
            (until(7), Some(7)),
            (until(5), Some(7)),
            (until(9), Some(9)),
            (Terms::default(), None),
            (until(11), None),
        ] {
            let stored = store.put(small.clone(), asked).await.unwrap();
            assert_eq!(stored.expiry, told, "{asked:?}");
            let info = store.stat(stored.root).await.unwrap().unwrap();
            assert_eq!(info.expiry, told, "{asked:?}");
        }
        let Resumed::Upload(upload) = store.resume(root, size, until(20)).await.unwrap() else {
            panic!("nothing is stored yet")
        };
        upload.leave().await;
    })
    .unwrap();
    sim.crash(Crash::Power);
    sim.run(async |world| {
        let store = open(world).await;
        let info = store.upload(root).await.unwrap().unwrap();
        assert_eq!((info.offset, info.expiry), (0, Some(20)));
        let Resumed::Upload(mut upload) = store.resume(root, size, until(10)).await.unwrap() else {
            panic!("it is not complete")
        };
        upload.write(&long).await.unwrap();
        let stored = upload.finish().await.unwrap();
        assert_eq!(
            (stored.existed, stored.expiry),
            (false, Some(20)),
            "never shorter than what it was begun with"
        );
        let again = store.resume(root, size, until(15)).await.unwrap();
        let Resumed::Stored(stored) = again else {
            panic!("it is stored")
        };
        assert_eq!((stored.existed, stored.expiry), (true, Some(20)));
    })
    .unwrap();
}

/// Whoever resumes an upload after its last writer has left is never told that it is busy, also
/// with parts on their way.
#[test]
fn a_left_upload_is_free() {
    let data = bytes(3, 9 * CHUNK);
    let root = lode_proofs::blob_tree(&data).unwrap().root();
    let size = u64::try_from(data.len()).unwrap();
    let sim = Sim::new(6, Faults::default());
    sim.run(async |world| {
        let store = open(world).await;
        for _ in 0..8 {
            let resumed = store.resume(root, size, Terms::default()).await.unwrap();
            let Resumed::Upload(mut upload) = resumed else {
                panic!("it is not complete")
            };
            let from = usize::try_from(upload.offset()).unwrap();
            upload.write(&data[from..from + CHUNK]).await.unwrap();
            upload.write(&data[from + CHUNK..][..1]).await.unwrap();
            upload.leave().await;
        }
        let other = bytes(4, 9 * CHUNK);
        let resumed = store.resume(root, size, Terms::default()).await.unwrap();
        let Resumed::Upload(mut upload) = resumed else {
            panic!("it is not complete")
        };
        let from = usize::try_from(upload.offset()).unwrap();
        assert_eq!(from, 8 * CHUNK);
        upload.write(&other[from..]).await.unwrap();
        let refused = upload.finish().await;
        assert!(matches!(refused, Err(Error::RootMismatch { .. })));
        let again = store.resume(root, size, Terms::default()).await.unwrap();
        assert!(matches!(again, Resumed::Upload(_)), "it begins anew");
    })
    .unwrap();
}

/// The epoch only rises, survives a power loss, shows in the figures, and ends what was paid for
/// until then and nothing else.
#[test]
fn epochs() {
    let sim = Sim::new(7, Faults::default());
    let terms = |expiry: Option<u32>| Terms { expiry };
    let blobs: Vec<Bytes> = (1..=3).map(|seed| Bytes::from(bytes(seed, 9000))).collect();
    let roots: Vec<Root> = blobs
        .iter()
        .map(|blob| lode_proofs::blob_tree(blob).unwrap().root())
        .collect();
    sim.run(async |world| {
        let store = open(world).await;
        assert_eq!(store.stats().await.unwrap().epoch, 0);
        for (blob, expiry) in blobs.iter().zip([Some(5), Some(6), None]) {
            store.put(blob.clone(), terms(expiry)).await.unwrap();
        }
        for (asked, told) in [(3, 3), (2, 3), (3, 3), (5, 5), (1, 5)] {
            assert_eq!(store.set_epoch(asked).await.unwrap(), told);
            assert_eq!(store.stats().await.unwrap().epoch, u64::from(told));
        }
        let late = store.put(blobs[0].clone(), terms(Some(5))).await;
        assert!(matches!(late, Err(Error::Expired { expiry: 5, now: 5 })));
    })
    .unwrap();
    sim.crash(Crash::Power);
    sim.run(async |world| {
        let store = open(world).await;
        assert_eq!(store.stats().await.unwrap().epoch, 5);
        assert_eq!(read_all(&store, roots[0], 9000).await, None);
        for at in [1, 2] {
            let kept = read_all(&store, roots[at], 9000).await;
            assert_eq!(kept.as_deref(), Some(&blobs[at][..]));
        }
    })
    .unwrap();
}

/// Manifests of a blob may be in the log although their writes failed: the term that was
/// acknowledged holds all the same, which is the longest that anyone asked for, after a kill, from
/// a checkpoint, and from the log.
#[test]
fn the_acknowledged_term_holds() {
    let data = bytes(8, 2 * CHUNK);
    let root = lode_proofs::blob_tree(&data).unwrap().root();
    for (terms, told) in [
        (&[Some(5), Some(9)][..], Some(9)),
        (&[Some(9), Some(5)], Some(9)),
        (&[Some(5), Some(20), Some(9)], Some(20)),
        (&[Some(5), None, Some(9)], None),
        (&[Some(5), None], None),
    ] {
        for seed in 0..10 {
            let sim = Sim::new(seed, Faults::default());
            sim.run(async |world| {
                let store = open(world).await;
                let (last, others) = terms.split_last().unwrap();
                for expiry in others {
                    let refused = finish_declared(&sim, &store, &data, *expiry, Chance::ALWAYS);
                    let refused = refused.await;
                    assert!(matches!(refused, Err(Error::WriteFailed { .. })));
                }
                let stored = finish_declared(&sim, &store, &data, *last, Chance::NEVER).await;
                assert_eq!(stored.unwrap().expiry, told, "{terms:?}");
            })
            .unwrap();
            sim.crash(Crash::Kill);
            for closes in [false, true, false] {
                sim.run(async |world| {
                    let store = open(world).await;
                    let info = store.stat(root).await.unwrap().unwrap();
                    assert_eq!(info.expiry, told, "{terms:?}");
                    assert_eq!(read_all(&store, root, data.len()).await, Some(data.clone()));
                    if closes {
                        store.close().await.unwrap();
                    }
                })
                .unwrap();
            }
        }
    }
}

/// Goes on with the upload of `data` and finishes it on a disk whose syncs fail as often as told.
async fn finish_declared(
    sim: &Sim,
    store: &Store<SimWorld>,
    data: &[u8],
    expiry: Option<u32>,
    sync_error: Chance,
) -> lode_engine::Result<Stored> {
    let root = lode_proofs::blob_tree(data).unwrap().root();
    let size = u64::try_from(data.len()).unwrap();
    let resumed = store.resume(root, size, Terms { expiry }).await.unwrap();
    let Resumed::Upload(mut upload) = resumed else {
        panic!("it is not complete")
    };
    let from = usize::try_from(upload.offset()).unwrap();
    upload.write(&data[from..]).await.unwrap();
    upload.flush().await.unwrap();
    // Opens the lanes that the manifest may go to: a new one would be refused for another reason.
    for fill in 0..8 {
        let small = Bytes::from(vec![fill; 500]);
        store.put(small, Terms { expiry }).await.unwrap();
    }
    sim.set_faults(Faults {
        sync_error,
        ..Faults::default()
    });
    let stored = upload.finish().await;
    sim.set_faults(Faults::default());
    stored
}

/// A store in which nothing happens looks after itself now and then, not all the time.
#[test]
fn an_empty_store_rests() {
    let sim = Sim::new(12, Faults::default());
    sim.run(async |world| {
        let store = open(world.clone()).await;
        let before = sim.counts().ios;
        world.sleep(std::time::Duration::from_secs(110)).await;
        let ios = sim.counts().ios - before;
        // Ten looks by each of two shards, each with a few questions about space.
        assert!(ios <= 10 * 2 * 3, "{ios} reads, writes and questions");
        store.close().await.unwrap();
    })
    .unwrap();
}
