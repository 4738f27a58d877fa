//! Any flipped bit, any cut, any appended byte, in any form of a proof, is
//! refused.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;

use lode_proofs::{
    BlobId, CHUNK_LEN, ChunkHasher, ChunkProof, DecodeError, Hash32, ProofFile, WireProof,
    blob_tree,
};
use model::Dice;

/// Encoded proofs: every bit of every byte.
#[test]
fn encoded_proof() {
    for sample in samples() {
        let bytes = sample.proof.encode();
        assert_eq!(ChunkProof::decode(&bytes).as_ref(), Ok(&sample.proof));
        each_flip(&bytes, |flipped, bit| {
            assert!(
                ChunkProof::decode(flipped).is_err(),
                "bit {bit} of {:?}",
                sample.proof
            );
        });
    }
}

/// Encoded proofs whose check was made anew after the flip, so that only the
/// proof's own logic stands: no flip verifies for the reader, who knows which
/// blob and chunk he asked for.
#[test]
fn encoded_proof_with_a_forged_check() {
    for sample in samples() {
        let bytes = sample.proof.encode();
        let body = &bytes[..bytes.len() - 8];
        each_flip(body, |flipped, bit| {
            let forged = [flipped, &model::keccak(flipped).0[..8]].concat();
            let accepted = ChunkProof::decode(&forged).is_ok_and(|proof| {
                proof
                    .verify_for(sample.blob, sample.index, &sample.chunk)
                    .is_ok()
            });
            assert!(!accepted, "bit {bit} of {:?}", sample.proof);
        });
    }
}

/// Proof files without data, and with small chunks: every bit of every byte.
#[test]
fn proof_file() {
    for sample in samples() {
        let small = sample.chunk.len() < 1_000;
        for data in [None, small.then_some(sample.chunk.as_slice())] {
            let file = ProofFile::new(sample.proof.clone(), data).unwrap();
            let bytes = file.encode();
            assert_eq!(ProofFile::decode(&bytes).as_ref(), Ok(&file));
            each_flip(&bytes, |flipped, bit| {
                assert!(ProofFile::decode(flipped).is_err(), "bit {bit} of {file:?}");
            });
        }
    }
}

/// The data of whole chunks, beside the proof and in a file: random bits, the
/// first and the last.
#[test]
fn whole_chunk_data() {
    let mut dice = Dice(21);
    for sample in samples().filter(|sample| sample.chunk.len() >= 1_000) {
        let file = ProofFile::new(sample.proof.clone(), Some(&sample.chunk))
            .unwrap()
            .encode();
        assert_eq!(
            ProofFile::decode(&file).unwrap().chunk().unwrap().data,
            sample.chunk
        );
        let data_at = file.len() - sample.chunk.len();
        let bits = sample.chunk.len() * 8;
        let mut hasher = ChunkHasher::new();
        for bit in (0..60).map(|_| dice.below(bits)).chain([0, bits - 1]) {
            let mut chunk = sample.chunk.clone();
            chunk[bit / 8] ^= 1 << (bit % 8);
            assert!(
                sample.proof.verify_with(&mut hasher, &chunk).is_err(),
                "bit {bit}"
            );
            let mut file = file.clone();
            file[data_at + bit / 8] ^= 1 << (bit % 8);
            assert!(ProofFile::decode(&file).is_err(), "bit {bit}");
        }
    }
}

/// Wire proofs: every bit of every hash, every turn, every bit of index, size
/// and root.
#[test]
fn wire_proof() {
    for sample in samples() {
        let good = sample.proof.to_wire();
        sample.assert_refused(sample.blob, sample.index, &good, false);
        for place in 0..good.lemma.len() {
            for bit in 0..256 {
                let mut wire = good.clone();
                wire.lemma[place].0[bit / 8] ^= 1 << (bit % 8);
                sample.assert_refused(sample.blob, sample.index, &wire, true);
            }
        }
        for place in 0..good.path.len() {
            let mut wire = good.clone();
            wire.path[place] ^= true;
            sample.assert_refused(sample.blob, sample.index, &wire, true);
        }
        for bit in 0..64 {
            sample.assert_refused(sample.blob, sample.index ^ (1 << bit), &good, true);
            if let Ok(blob) = BlobId::new(sample.blob.root, sample.blob.shape.size() ^ (1 << bit)) {
                sample.assert_refused(blob, sample.index, &good, true);
            }
        }
        for bit in 0..256 {
            let mut blob = sample.blob;
            blob.root.0[bit / 8] ^= 1 << (bit % 8);
            sample.assert_refused(blob, sample.index, &good, true);
        }
    }
}

/// JSON proofs: every bit of the text. A flip may turn a hex digit into its
/// capital, which says the same; any other is refused.
#[cfg(feature = "serde")]
#[test]
fn json_proof() {
    for sample in samples() {
        let text = serde_json::to_string(&sample.proof).unwrap();
        assert_eq!(
            serde_json::from_str::<ChunkProof>(&text).unwrap(),
            sample.proof
        );
        each_flip(text.as_bytes(), |flipped, bit| {
            let Ok(proof) = serde_json::from_slice::<ChunkProof>(flipped) else {
                return;
            };
            let capital = flipped.eq_ignore_ascii_case(text.as_bytes());
            let accepted = proof
                .verify_for(sample.blob, sample.index, &sample.chunk)
                .is_ok();
            assert_eq!(accepted, capital, "bit {bit} of {text}");
        });
    }
}

/// A list in JSON that is longer than any proof is refused while it is read,
/// whatever follows it.
#[cfg(feature = "serde")]
#[test]
fn endless_json_list() {
    let hash = serde_json::to_string(&Hash32([0; 32])).unwrap();
    for (field, entry) in [("lemma", hash.as_str()), ("path", "true")] {
        let text = format!("{{\"{field}\":[{}", [entry; 49].join(","));
        let proof = serde_json::from_str::<ChunkProof>(&text)
            .unwrap_err()
            .to_string();
        let wire = serde_json::from_str::<WireProof>(&text)
            .unwrap_err()
            .to_string();
        for error in [proof, wire] {
            assert!(error.contains("at most 48 entries"), "{field}: {error}");
        }
        let shorter = format!("{{\"{field}\":[{}", [entry; 48].join(","));
        let error = serde_json::from_str::<WireProof>(&shorter).unwrap_err();
        assert!(error.is_eof(), "{field}: {error}");
    }
}

/// Every cut is refused with the length that was needed, and so is one byte
/// more; other magics and versions are told apart.
#[test]
fn cuts_and_strangers() {
    for sample in samples() {
        let proof = sample.proof.encode();
        let file = ProofFile::new(sample.proof.clone(), Some(&sample.chunk))
            .unwrap()
            .encode();
        for len in 0..proof.len() {
            let refused = ChunkProof::decode(&proof[..len]);
            assert!(
                matches!(refused, Err(DecodeError::Length { .. })),
                "{len}: {refused:?}"
            );
        }
        for len in (0..file.len())
            .step_by(file.len() / 300 + 1)
            .chain([file.len() - 1])
        {
            let refused = ProofFile::decode(&file[..len]);
            assert!(
                matches!(refused, Err(DecodeError::Length { .. })),
                "{len}: {refused:?}"
            );
        }
        let longer = |bytes: &[u8]| [bytes, &[0]].concat();
        let length = |want: usize| DecodeError::Length {
            got: want + 1,
            want,
        };
        assert_eq!(
            ChunkProof::decode(&longer(&proof)),
            Err(length(proof.len()))
        );
        assert_eq!(ProofFile::decode(&longer(&file)), Err(length(file.len())));
        assert_eq!(
            ChunkProof::decode(&file),
            Err(DecodeError::Magic { wanted: "proof" })
        );
        let mut newer = proof.clone();
        newer[7] = 2;
        assert_eq!(
            ChunkProof::decode(&newer),
            Err(DecodeError::Version { found: 2 })
        );
        assert!(proof.len() <= ChunkProof::ENCODED_LEN_MAX);
        assert!(file.len() <= ProofFile::ENCODED_LEN_MAX);
    }
}

/// A chunk of a blob, its proof, and the blob as the reader knows it.
struct Sample {
    blob: BlobId,
    index: u64,
    proof: ChunkProof,
    chunk: Vec<u8>,
}

impl Sample {
    /// A reader who asked for the sample's blob and chunk gets this answer.
    fn assert_refused(&self, blob: BlobId, index: u64, wire: &WireProof, refused: bool) {
        let verified = ChunkProof::from_wire(blob, index, wire)
            .and_then(|proof| proof.expect(self.blob, self.index).map(|_| ()));
        assert_eq!(verified.is_err(), refused, "{blob:?} {index} {wire:?}");
    }
}

/// First, middle and last chunks of blobs with one chunk, with a short last
/// chunk, and with one, two and three chunks of padding.
fn samples() -> impl Iterator<Item = Sample> {
    let sizes = [
        1,
        700,
        CHUNK_LEN,
        CHUNK_LEN + 1,
        4 * CHUNK_LEN + 900,
        16 * CHUNK_LEN + 1,
        33 * CHUNK_LEN + 5,
        64 * CHUNK_LEN + 300,
    ];
    sizes.into_iter().flat_map(|size| {
        let data = Dice(22).bytes(size);
        let tree = blob_tree(&data).unwrap();
        let (shape, last) = (tree.shape(), tree.shape().chunks() - 1);
        let blob = BlobId {
            root: tree.root(),
            shape,
        };
        let mut hasher = ChunkHasher::new();
        let roots: Vec<Hash32> = (0..)
            .zip(data.chunks(CHUNK_LEN))
            .map(|(index, chunk)| hasher.root(shape, index, chunk).unwrap())
            .collect();
        let mut picks = vec![0, last / 2, last];
        picks.dedup();
        picks.into_iter().map(move |index| {
            let root_of = |run| model::run_root(&roots, run);
            let proof = ChunkProof::build(shape, index, root_of).unwrap();
            assert_eq!(proof.blob(), blob);
            let at = usize::try_from(index).unwrap();
            let chunk = data.chunks(CHUNK_LEN).nth(at).unwrap().to_vec();
            Sample {
                blob,
                index,
                proof,
                chunk,
            }
        })
    })
}

/// Calls `check` with each one-bit change of `bytes`.
fn each_flip(bytes: &[u8], mut check: impl FnMut(&[u8], usize)) {
    let mut flipped = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&flipped, bit);
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}
