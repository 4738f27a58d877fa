//! Proofs equal the slow model's, ask for what they promise to ask for, and
//! each way to be wrong is refused by its own name, in the promised order.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;

use lode_proofs::{
    BlobId, BlobShape, CHUNK_LEN, ChunkHasher, ChunkProof, ChunkRun, EmptyBlob, Hash32, ProofPlan,
    Refusal, SECTOR_LEN, WireProof, blob_tree,
};
use model::Dice;
use proptest::prelude::*;

/// Every chunk of every blob up to 150 chunks, and of some longer ones, over
/// random chunk roots: siblings, sides and root equal the model's, with the
/// padding chunks in place.
#[test]
fn every_proof_of_small_blobs() {
    let mut dice = Dice(11);
    for chunks in (1..150).chain([255, 256, 257, 300, 513]) {
        let blob = FakeBlob::new(&mut dice, chunks);
        for index in 0..chunks {
            let proof = blob.prove(index);
            let path = model::path(&blob.padded, index);
            let expected: Vec<Hash32> = path.iter().map(|(root, _)| *root).collect();
            let sides: Vec<bool> = path.iter().map(|(_, on_left)| *on_left).collect();
            assert_eq!(proof.siblings(), expected, "chunk {index} of {chunks}");
            assert_eq!(proof.to_wire().path, sides, "chunk {index} of {chunks}");
            assert_eq!(proof.blob(), blob.id, "chunk {index} of {chunks}");
            let wire = proof.to_wire();
            let read = ChunkProof::from_wire(blob.id, proof.index(), &wire);
            assert_eq!(read, Ok(proof), "chunk {index} of {chunks}");
        }
    }
}

proptest! {
    /// For blobs of any size: the runs are powers of two, aligned, disjoint,
    /// hold each real chunk once and nothing else; the chunk itself is asked
    /// for first; there are at most 92, and the proof is no longer than 46.
    #[test]
    fn runs_are_as_promised(shape in any_shape(), pick in any::<u64>()) {
        let index = pick % shape.chunks();
        let plan = ProofPlan::new(shape, index).unwrap();
        let mut runs = plan.runs();
        prop_assert!(runs.len() <= 92);
        prop_assert_eq!(runs[0], ChunkRun { first: index, count: 1 });
        for run in &runs {
            prop_assert!(run.count.is_power_of_two());
            prop_assert_eq!(run.first % run.count, 0);
        }
        runs.sort_by_key(|run| run.first);
        let mut next = 0;
        for run in &runs {
            prop_assert_eq!(run.first, next);
            next += run.count;
        }
        prop_assert_eq!(next, shape.chunks());
        let proof = ChunkProof::build(shape, index, fake_root).unwrap();
        prop_assert!(proof.siblings().len() <= 46);
        let read = ChunkProof::from_wire(proof.blob(), index, &proof.to_wire());
        prop_assert_eq!(read, Ok(proof));
    }
}

/// The first failing look-up ends the building, and its error comes back.
#[test]
fn a_failed_look_up_ends_the_proof() {
    let shape = BlobShape::new(10 * 262_144).unwrap();
    let plan = ProofPlan::new(shape, 4).unwrap();
    let mut asked = Vec::new();
    let result = plan.prove(|run| {
        asked.push(run);
        if asked.len() == 3 {
            Err("gone")
        } else {
            Ok(Hash32([1; 32]))
        }
    });
    assert_eq!(result, Err("gone"));
    assert_eq!(asked, plan.runs()[..3]);
}

/// Real bytes: each chunk of a blob with padding chunks verifies, both as
/// bytes and as wire sectors, and tells its offset.
#[test]
fn real_chunks_verify() {
    let data = Dice(12).bytes(17 * CHUNK_LEN + 1_000);
    let proofs = proofs_of(&data);
    let mut hasher = ChunkHasher::new();
    for (proof, chunk) in proofs.iter().zip(data.chunks(CHUNK_LEN)) {
        let verified = proof.verify(chunk).unwrap();
        let offset = usize::try_from(verified.offset()).unwrap();
        assert_eq!(data[offset..offset + chunk.len()], *verified.data);
        let mut sectors = chunk.to_vec();
        sectors.resize(chunk.len().next_multiple_of(SECTOR_LEN), 0);
        assert_eq!(proof.verify_sectors(&mut hasher, &sectors), Ok(verified));
    }
}

/// Each refusal by name: one thing wrong at a time.
#[test]
fn each_refusal_has_its_name() {
    let blob = FakeBlob::new(&mut Dice(13), 17);
    let (id, good) = (blob.id, blob.prove(16).to_wire());
    let read = |change: &dyn Fn(&mut WireProof)| {
        let mut wire = good.clone();
        change(&mut wire);
        ChunkProof::from_wire(id, 16, &wire).unwrap_err()
    };
    assert_eq!(
        good.path,
        [true, false],
        "the model's blob: 16 whole chunks, one more, padding"
    );
    assert_eq!(
        read(&|w| w.lemma.clear()),
        Refusal::LemmaLength { got: 0, want: 4 }
    );
    assert_eq!(
        read(&|w| w.lemma.push(id.root)),
        Refusal::LemmaLength { got: 5, want: 4 }
    );
    assert_eq!(
        read(&|w| {
            w.path.push(true);
            w.lemma.push(id.root);
        }),
        Refusal::PathLength { got: 3, want: 2 }
    );
    assert_eq!(
        read(&|w| w.path[0] = false),
        Refusal::PathShape { level: 0 }
    );
    assert_eq!(read(&|w| w.path[1] = true), Refusal::PathShape { level: 1 });
    assert_eq!(read(&|w| w.lemma[3].0[0] ^= 1), Refusal::LemmaRoot);
    assert_eq!(
        read(&|w| w.lemma[1].0[0] ^= 1),
        Refusal::PaddingSibling { level: 0 }
    );
    assert_eq!(read(&|w| w.lemma[2].0[31] ^= 1), Refusal::Root);
    assert_eq!(read(&|w| w.lemma[0].0[31] ^= 1), Refusal::Root);
    let past = ChunkProof::from_wire(id, 17, &good);
    assert_eq!(
        past,
        Err(Refusal::IndexOutOfRange {
            index: 17,
            chunks: 17
        })
    );
    let past = ChunkProof::build(id.shape, 17, |_| Hash32([0; 32]));
    assert_eq!(
        past,
        Err(Refusal::IndexOutOfRange {
            index: 17,
            chunks: 17
        })
    );
    assert_eq!(
        BlobId::new(id.root, 0).map_err(Refusal::from),
        Err(Refusal::EmptyBlob(EmptyBlob))
    );
}

/// A root over a tree whose padding holds something else: the proof leads to
/// that root, and is still refused.
#[test]
fn padding_that_holds_something_is_refused() {
    let blob = FakeBlob::new(&mut Dice(14), 17);
    let mut leaves = blob.padded.clone();
    leaves[17] = Hash32([0xbb; 32]);
    let id = BlobId {
        root: model::root(&leaves),
        shape: blob.id.shape,
    };
    let siblings = model::path(&leaves, 16);
    let mut lemma = vec![leaves[16]];
    lemma.extend(siblings.iter().map(|(root, _)| *root));
    lemma.push(id.root);
    let path = siblings.iter().map(|(_, on_left)| *on_left).collect();
    let read = ChunkProof::from_wire(id, 16, &WireProof { lemma, path });
    assert_eq!(read, Err(Refusal::PaddingSibling { level: 0 }));
}

/// With everything wrong at once, the refusals come in the promised order as
/// one after the other is put right.
#[test]
fn refusals_come_in_order() {
    let blob = FakeBlob::new(&mut Dice(15), 17);
    let good = blob.prove(16).to_wire();
    let mut wire = good.clone();
    wire.lemma[0].0[0] ^= 1;
    wire.lemma[1].0[0] ^= 1;
    wire.path[0] = false;
    wire.lemma.push(Hash32([0; 32]));
    let mut index = 17;
    let read = |index, wire: &WireProof| ChunkProof::from_wire(blob.id, index, wire).unwrap_err();
    assert_eq!(read(index, &wire), Refusal::LemmaLength { got: 5, want: 4 });
    wire.lemma.pop();
    assert_eq!(
        read(index, &wire),
        Refusal::IndexOutOfRange {
            index: 17,
            chunks: 17
        }
    );
    index = 16;
    assert_eq!(read(index, &wire), Refusal::PathShape { level: 0 });
    wire.path[0] = true;
    assert_eq!(read(index, &wire), Refusal::PaddingSibling { level: 0 });
    wire.lemma[1] = good.lemma[1];
    assert_eq!(read(index, &wire), Refusal::Root);
    wire.lemma[0] = good.lemma[0];
    assert!(ChunkProof::from_wire(blob.id, index, &wire).is_ok());
}

/// Data of any other length is refused by length, data of the right length by
/// content, and a fill that is not zero by name.
#[test]
fn wrong_data_is_refused() {
    let data = Dice(16).bytes(CHUNK_LEN + 300);
    let proofs = proofs_of(&data);
    let (whole, last) = data.split_at(CHUNK_LEN);
    for (proof, chunk) in proofs.iter().zip([whole, last]) {
        let (len, want) = (chunk.len(), chunk.len());
        let mut longer = chunk.to_vec();
        longer.push(0);
        for wrong in [&[], &chunk[..len - 1], &longer] {
            let refusal = Refusal::DataLength {
                got: wrong.len(),
                want,
            };
            assert_eq!(proof.verify(wrong), Err(refusal));
        }
    }
    assert_eq!(
        proofs[0].verify(&[last, &whole[300..]].concat()),
        Err(Refusal::Data)
    );
    let mut hasher = ChunkHasher::new();
    let mut sectors = last.to_vec();
    let refusal = Refusal::DataLength {
        got: 300,
        want: 512,
    };
    assert_eq!(
        proofs[1].verify_sectors(&mut hasher, &sectors),
        Err(refusal)
    );
    sectors.resize(512, 0);
    sectors[300] = 1;
    assert_eq!(
        proofs[1].verify_sectors(&mut hasher, &sectors),
        Err(Refusal::Fill)
    );
}

/// A reader who asks for one blob and chunk takes no proof of another, however
/// true; a proof of a shorter blob under the same root is another.
#[test]
fn a_true_proof_of_something_else_is_refused() {
    let mut data = Dice(17).bytes(2 * CHUNK_LEN);
    *data.last_mut().unwrap() = 0;
    let (proofs, shorter) = (proofs_of(&data), proofs_of(&data[..data.len() - 1]));
    let (blob, other) = (proofs[0].blob(), shorter[0].blob());
    assert_eq!(
        blob.root, other.root,
        "a zero at the end does not change the root"
    );
    let chunk = &data[..CHUNK_LEN];
    assert!(proofs[0].verify_for(blob, 0, chunk).is_ok());
    assert_eq!(
        shorter[0].verify_for(blob, 0, chunk),
        Err(Refusal::NotAskedFor)
    );
    assert_eq!(
        proofs[0].verify_for(blob, 1, chunk),
        Err(Refusal::NotAskedFor)
    );
}

/// A blob known by random chunk roots only; its last chunk is whole.
struct FakeBlob {
    id: BlobId,
    chunk_roots: Vec<Hash32>,
    padded: Vec<Hash32>,
}

impl FakeBlob {
    fn new(dice: &mut Dice, chunks: usize) -> Self {
        let size = chunks * CHUNK_LEN;
        let chunk_roots: Vec<Hash32> = (0..chunks).map(|_| dice.hash()).collect();
        let mut padded = chunk_roots.clone();
        padded.resize(model::padded_sectors(size) / 1024, model::zero_root(10));
        let id = BlobId::new(model::root(&padded), u64::try_from(size).unwrap()).unwrap();
        Self {
            id,
            chunk_roots,
            padded,
        }
    }

    fn prove(&self, index: usize) -> ChunkProof {
        let index = u64::try_from(index).unwrap();
        let root_of = |run| model::run_root(&self.chunk_roots, run);
        ChunkProof::build(self.id.shape, index, root_of).unwrap()
    }
}

fn proofs_of(data: &[u8]) -> Vec<ChunkProof> {
    let tree = blob_tree(data).unwrap();
    let mut hasher = ChunkHasher::new();
    let roots: Vec<Hash32> = (0..)
        .zip(data.chunks(CHUNK_LEN))
        .map(|(index, chunk)| hasher.root(tree.shape(), index, chunk).unwrap())
        .collect();
    (0..tree.shape().chunks())
        .map(|index| {
            let proof =
                ChunkProof::build(tree.shape(), index, |run| model::run_root(&roots, run)).unwrap();
            assert_eq!(proof.blob().root, tree.root());
            proof
        })
        .collect()
}

fn fake_root(run: ChunkRun) -> Hash32 {
    model::keccak(&[run.first.to_le_bytes(), run.count.to_le_bytes()].concat())
}

fn any_shape() -> impl Strategy<Value = BlobShape> {
    (0u32..64, any::<u64>())
        .prop_map(|(shift, bits)| BlobShape::new((bits >> shift).max(1)).unwrap())
}
