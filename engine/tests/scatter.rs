//! Chunks in any order, each with its proof: they make the same blob as a stream does, whatever comes
//! between them, and nothing unproven gets in.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use bytes::Bytes;
use lode_engine::{
    Error, Root,
    mesh::Mesh,
    store::{Options, Progress, Resumed, Store, Terms},
};
use lode_proofs::{BlobHasher, ChunkProof, Refusal, fold_roots};
use lode_world::sim::{Crash, Faults, Sim, SimWorld};

const CHUNK: usize = 256 * 1024;

async fn open(world: SimWorld) -> Store<SimWorld> {
    let options = Options {
        segment_len: 2 << 20,
        shards: 2,
        scrub_rate: 0,
        ..Options::new(PathBuf::from("data"), 1)
    };
    Store::open(world, options, Mesh::new(1), 0).await.unwrap()
}

/// A blob with the proofs of its chunks.
struct Sample {
    bytes: Bytes,
    root: Root,
    proofs: Vec<ChunkProof>,
}

impl Sample {
    fn new(seed: u8, len: usize) -> Sample {
        let mut bytes = vec![0; len];
        let mut stream = blake3::Hasher::new();
        stream.update(&[seed]).finalize_xof().fill(&mut bytes);
        let (mut hasher, mut roots) = (BlobHasher::new(), Vec::new());
        hasher.update_with(&bytes, |_, root| roots.push(root));
        let tree = hasher.finish().unwrap();
        roots.extend(tree.last_chunk_root());
        let prove = |chunk| {
            ChunkProof::build(tree.shape(), chunk, |run| {
                let first = usize::try_from(run.first).unwrap();
                fold_roots(&roots[first..first + usize::try_from(run.count).unwrap()]).unwrap()
            })
            .unwrap()
        };
        Sample {
            bytes: bytes.into(),
            root: tree.root(),
            proofs: (0..tree.shape().chunks()).map(prove).collect(),
        }
    }

    fn size(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap()
    }

    fn chunk(&self, index: usize) -> Bytes {
        let end = self.bytes.len().min((index + 1) * CHUNK);
        self.bytes.slice(index * CHUNK..end)
    }

    /// Sends one chunk; whether the blob is there now.
    async fn send(&self, store: &Store<SimWorld>, index: usize) -> bool {
        let proof = self.proofs[index].clone();
        let sent = store.scatter(proof, self.chunk(index), Terms::default());
        sent.await.unwrap().stored.is_some()
    }

    async fn is_whole(&self, store: &Store<SimWorld>) {
        let mut reader = store
            .read(self.root, 0..self.size())
            .await
            .unwrap()
            .unwrap();
        let mut out = Vec::new();
        while let Some(piece) = reader.next().await {
            out.extend_from_slice(&piece.unwrap().into_bytes());
        }
        assert!(out == self.bytes, "other bytes came out");
        for (index, proof) in (0..).zip(&self.proofs) {
            let proven = store.prove(self.root, index).await.unwrap().unwrap();
            assert_eq!(&proven, proof);
        }
    }
}

/// Every order of four chunks, with a stop, a kill or lost power between any two of them.
#[test]
fn any_order_and_any_end() {
    let sample = Sample::new(1, 3 * CHUNK + 777);
    for (number, order) in orders(4).into_iter().enumerate() {
        for cut in 0..4 {
            let sim = Sim::new(u64::try_from(number).unwrap(), Faults::default());
            sim.run(async |world| {
                let store = open(world).await;
                for index in &order[..cut] {
                    assert!(!sample.send(&store, *index).await);
                }
                if number % 3 == 0 {
                    store.close().await.unwrap();
                }
            })
            .unwrap();
            match number % 3 {
                0 => {}
                1 => sim.crash(Crash::Kill),
                _ => sim.crash(Crash::Power),
            }
            sim.run(async |world| {
                let store = open(world).await;
                let progress = store.scattered(sample.root).await.unwrap();
                let (size, chunks) = (sample.size(), u64::try_from(cut).unwrap());
                let want = (cut > 0).then_some(Progress { size, chunks });
                assert_eq!(progress, want, "what was acknowledged is counted");
                let lacks: Vec<u64> = (0..4_usize)
                    .filter(|index| !order[..cut].contains(index))
                    .map(|index| u64::try_from(index).unwrap())
                    .collect();
                let missing = store.missing(sample.root, sample.size(), 0, 9).await;
                assert_eq!(missing.unwrap(), lacks);
                for index in 0..4 {
                    let within = 100..300.min(sample.chunk(index).len());
                    let chunk = u64::try_from(index).unwrap();
                    let read = store.read_scattered(sample.root, chunk, within.clone());
                    let want = order[..cut].contains(&index);
                    let want = want.then(|| sample.chunk(index).slice(within));
                    assert_eq!(
                        read.await.unwrap(),
                        want,
                        "chunk {index} of an incomplete blob"
                    );
                }
                for (sent, index) in order[cut..].iter().enumerate() {
                    let last = cut + sent + 1 == order.len();
                    assert_eq!(sample.send(&store, *index).await, last);
                }
                assert_eq!(store.scattered(sample.root).await.unwrap(), None);
                sample.is_whole(&store).await;
                let again =
                    store.scatter(sample.proofs[2].clone(), sample.chunk(2), Terms::default());
                assert!(again.await.unwrap().existed);
            })
            .unwrap();
        }
    }
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(count - 1) {
        for at in 0..=shorter.len() {
            let mut order = shorter.clone();
            order.insert(at, count - 1);
            all.push(order);
        }
    }
    all
}

/// A chunk comes twice, a blob of one chunk comes so too, and what is there is not written again.
#[test]
fn twice_is_once() {
    Sim::new(1, Faults::default())
        .run(async |world| {
            let store = open(world).await;
            let (short, long) = (Sample::new(2, 1000), Sample::new(3, CHUNK + 1));
            assert!(short.send(&store, 0).await);
            short.is_whole(&store).await;
            assert!(!long.send(&store, 1).await);
            let before = store.stats().await.unwrap().records;
            let again = store.scatter(long.proofs[1].clone(), long.chunk(1), Terms::default());
            let again = again.await.unwrap();
            assert!(again.existed && again.chunks == 1);
            assert!(short.send(&store, 0).await);
            assert_eq!(store.stats().await.unwrap().records, before);
            assert!(long.send(&store, 0).await);
            long.is_whole(&store).await;
        })
        .unwrap();
}

/// Bytes that are not what the proof is about are refused, and nothing of them is kept.
#[test]
fn unproven_bytes_are_refused() {
    Sim::new(1, Faults::default())
        .run(async |world| {
            let store = open(world).await;
            let sample = Sample::new(4, 2 * CHUNK + 300);
            let proof = || sample.proofs[1].clone();
            let mut bent = sample.chunk(1).to_vec();
            bent[77] ^= 1;
            for (bytes, want) in [
                (Bytes::from(bent), Refusal::Data),
                (sample.chunk(0), Refusal::Data),
                (
                    sample.chunk(1).slice(1..),
                    Refusal::DataLength {
                        got: CHUNK - 1,
                        want: CHUNK,
                    },
                ),
            ] {
                match store.scatter(proof(), bytes, Terms::default()).await {
                    Err(Error::Unproven { root, chunk, why }) => {
                        assert_eq!((root, chunk, why), (sample.root, 1, want));
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(store.scattered(sample.root).await.unwrap(), None);
        })
        .unwrap();
}

/// A writer of the whole upload goes on where scattered chunks end, and the other way round; while one
/// is at work the other is told so.
#[test]
fn beside_an_upload_in_order() {
    Sim::new(1, Faults::default())
        .run(async |world| {
            let store = open(world).await;
            let (one, two) = (Sample::new(5, 3 * CHUNK), Sample::new(6, 3 * CHUNK));
            for index in [0, 2] {
                assert!(!one.send(&store, index).await);
            }
            let resumed = store.resume(one.root, one.size(), Terms::default()).await;
            let Resumed::Upload(mut upload) = resumed.unwrap() else {
                panic!("it is not complete");
            };
            assert_eq!(upload.offset(), 256 * 1024, "chunk 1 is missing");
            let busy = store.scatter(one.proofs[1].clone(), one.chunk(1), Terms::default());
            assert!(matches!(busy.await, Err(Error::UploadBusy { .. })));
            upload.write(&one.bytes[CHUNK..]).await.unwrap();
            upload.finish().await.unwrap();
            one.is_whole(&store).await;

            let resumed = store.resume(two.root, two.size(), Terms::default()).await;
            let Resumed::Upload(mut upload) = resumed.unwrap() else {
                panic!("it is not complete");
            };
            upload.write(&two.bytes[..2 * CHUNK]).await.unwrap();
            upload.flush().await.unwrap();
            upload.leave().await;
            assert!(two.send(&store, 2).await);
            two.is_whole(&store).await;
        })
        .unwrap();
}

/// A writer of an upload sends what has not the root that it declared, and goes. Scattered chunks
/// replace what they can see to be wrong.
#[test]
fn wrong_bytes_of_a_writer_are_replaced() {
    Sim::new(1, Faults::default())
        .run(async |world| {
            let store = open(world).await;
            let sample = Sample::new(7, 3 * CHUNK);
            let resumed = store.resume(sample.root, sample.size(), Terms::default());
            let Resumed::Upload(mut upload) = resumed.await.unwrap() else {
                panic!("nothing is there");
            };
            upload.write(&vec![9; 2 * CHUNK]).await.unwrap();
            upload.flush().await.unwrap();
            upload.leave().await;
            for index in [0, 1] {
                // The last one finds all three there, of which one is wrong until it came.
                let stored = sample.send(&store, index).await;
                assert!(!stored, "chunk 2 is missing");
            }
            assert!(sample.send(&store, 2).await);
            sample.is_whole(&store).await;
        })
        .unwrap();
}
