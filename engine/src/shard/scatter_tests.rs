//! Blobs of so many chunks that they have groups. The chunks' roots are made up, and a byte stands
//! for each chunk: the shard does not hash what was checked before it came.

use lode_proofs::{BlobShape, fold_roots};
use lode_world::sim::{Crash, Faults, Sim, SimWorld};

use super::*;
use crate::shard::tests::{leaf, shard};

const SIZE: u64 = (2 * GROUP + 3) * manifest::CHUNK;

/// Every chunk of a blob with two whole groups and three chunks more.
fn chunks() -> Vec<Proven> {
    let shape = BlobShape::new(SIZE).unwrap();
    let leaves: Vec<Root> = (0..shape.chunks()).map(leaf).collect();
    let payload = Bytes::from_static(b"x");
    let prove = |index| {
        let proof = ChunkProof::build(shape, index, |run| {
            let first = usize::try_from(run.first).unwrap();
            fold_roots(&leaves[first..first + usize::try_from(run.count).unwrap()]).unwrap()
        });
        Proven {
            proof: proof.unwrap(),
            payload: payload.clone(),
        }
    };
    (0..shape.chunks()).map(prove).collect()
}

/// The same in an order that has nothing to do with the blob's.
fn shuffled() -> Vec<Proven> {
    let mut chunks = chunks();
    chunks.sort_by_key(|chunk| *blake3::hash(&chunk.proof.chunk_root().0).as_bytes());
    chunks
}

async fn send(shard: &Rc<Shard<SimWorld>>, chunk: &Proven) -> Option<Stored> {
    let sent = Rc::clone(shard).scatter(chunk.clone(), 0).await;
    sent.unwrap().stored
}

async fn is_bound(shard: &Rc<Shard<SimWorld>>, chunks: &[Proven]) {
    for chunk in chunks.iter().step_by(97) {
        let BlobId { root, .. } = chunk.proof.blob();
        let proof = Rc::clone(shard).prove(root, chunk.proof.index()).await;
        assert_eq!(proof.unwrap().unwrap(), chunk.proof);
    }
}

/// Groups become records when their last chunk is there, wherever a crash falls.
#[test]
fn groups_in_any_order() {
    let chunks = shuffled();
    for cut in [1, 1500, chunks.len() - 4, chunks.len() - 1] {
        for crash in [Crash::Kill, Crash::Power] {
            let sim = Sim::new(1, Faults::default());
            sim.run(async |world| {
                let shard = shard(&world).await;
                for chunk in &chunks[..cut] {
                    assert_eq!(send(&shard, chunk).await, None);
                }
            })
            .unwrap();
            sim.crash(crash);
            sim.run(async |world| {
                let shard = shard(&world).await;
                let root = chunks[0].proof.blob().root;
                let durable = u64::try_from(cut).unwrap();
                assert_eq!(shard.scattered(root), Some((SIZE, durable)));
                for chunk in &chunks[cut..chunks.len() - 1] {
                    assert_eq!(send(&shard, chunk).await, None);
                }
                let stored = send(&shard, chunks.last().unwrap()).await.unwrap();
                assert_eq!((stored.root, stored.size), (root, SIZE));
                is_bound(&shard, &chunks).await;
            })
            .unwrap();
        }
    }
}

/// A crash after the last chunk, before its group or the manifest: any chunk that comes again finds
/// that nothing is missing.
#[test]
fn a_last_chunk_without_its_end() {
    let chunks = shuffled();
    let sim = Sim::new(1, Faults::default());
    sim.run(async |world| {
        let shard = shard(&world).await;
        for chunk in &chunks[..chunks.len() - 1] {
            send(&shard, chunk).await;
        }
        let last = chunks.last().unwrap();
        let root = last.proof.blob().root;
        let blob = *shard.catalog.borrow().declared.get(&root).unwrap();
        let draft = Draft {
            kind: Kind::Chunk,
            flags: 0,
            blob,
            detail: last.proof.index(),
            expiry: 0,
            root: last.proof.chunk_root(),
            check: None,
            payload: last.payload.clone(),
        };
        shard.append(draft, Need::Blob).await.unwrap().apply();
    })
    .unwrap();
    sim.crash(Crash::Power);
    sim.run(async |world| {
        let shard = shard(&world).await;
        assert!(send(&shard, &chunks[5]).await.is_some());
        is_bound(&shard, &chunks).await;
    })
    .unwrap();
}

/// A group that is on the disk with other chunks than those that are proven: the fold at the end finds
/// it, nothing is bound, and the next try begins anew.
#[test]
fn a_poisoned_group_is_found() {
    let chunks = shuffled();
    Sim::new(1, Faults::default())
        .run(async |world| {
            let shard = shard(&world).await;
            send(&shard, &chunks[0]).await;
            let root = chunks[0].proof.blob().root;
            let blob = *shard.catalog.borrow().declared.get(&root).unwrap();
            let wrong: Vec<Root> = (0..GROUP).map(|index| leaf(index + 7)).collect();
            for (index, root) in (0..).zip(&wrong) {
                let head = crate::shard::upload::PartHead {
                    kind: Kind::Chunk,
                    blob,
                    index,
                    expiry: 0,
                    root: *root,
                };
                let draft = Draft {
                    kind: head.kind,
                    flags: 0,
                    blob,
                    detail: index,
                    expiry: 0,
                    root: *root,
                    check: None,
                    payload: Bytes::from_static(b"y"),
                };
                shard.append(draft, Need::Blob).await.unwrap().apply();
            }
            let (head, payload) = crate::shard::upload::group_part(blob, 0, 0, &wrong);
            let draft = Draft {
                kind: Kind::Group,
                flags: 0,
                blob,
                detail: 0,
                expiry: 0,
                root: head.root,
                check: None,
                payload,
            };
            shard.append(draft, Need::Blob).await.unwrap().apply();
            let mut refused = 0;
            for chunk in &chunks {
                match Rc::clone(&shard).scatter(chunk.clone(), 0).await {
                    Ok(answer) => assert_eq!(answer.stored, None),
                    Err(Error::RootMismatch { declared, .. }) => {
                        assert_eq!(declared, root);
                        refused += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(refused, 1, "once, when it was complete");
            let mut stored = None;
            for chunk in &chunks {
                stored = send(&shard, chunk).await.or(stored);
            }
            assert!(stored.is_some());
            is_bound(&shard, &chunks).await;
        })
        .unwrap();
}
