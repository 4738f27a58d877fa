//! Proofs of a chunk, as bytes: what decodes is true, and is the only encoding of itself.

use lode_proofs::{BlobHasher, BlobShape, ChunkProof, Hash32, ProofPlan, keccak::keccak256};

use super::Target;

/// Reads a proof.
pub const TARGET: Target = Target {
    name: "chunk_proof",
    run,
    seeds,
    repair: Some(|bytes| repair(bytes)),
    cost: 1,
};

/// Bytes of the check at the end.
const CHECK_LEN: usize = 8;

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(proof) = ChunkProof::decode(data) {
        assert_eq!(proof.encode(), data, "one encoding each");
        let again = ChunkProof::from_wire(proof.blob(), proof.index(), &proof.to_wire());
        assert_eq!(again.as_ref(), Ok(&proof), "true in its other form too");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    proofs().iter().map(ChunkProof::encode).collect()
}

/// Proofs out of blobs of several shapes, whose chunk roots are made up.
pub(super) fn proofs() -> Vec<ChunkProof> {
    let mut proofs = Vec::new();
    for (size, index) in [
        (1, 0),
        (262_144, 0),
        (262_145, 1),
        (1_000_000, 2),
        (1 << 40, 3_000_000),
    ] {
        let shape = BlobShape::new(size).expect("not empty");
        let plan = ProofPlan::new(shape, index).expect("within the blob");
        let made_up = |run: lode_proofs::ChunkRun| {
            let name = [run.first.to_le_bytes(), run.count.to_le_bytes()].concat();
            Ok::<_, std::convert::Infallible>(Hash32(keccak256(&name)))
        };
        let Ok(proof) = plan.prove(made_up);
        proofs.push(proof);
    }
    proofs
}

/// A whole blob and the proof of its only chunk.
pub(super) fn small_blob() -> (Vec<u8>, ChunkProof) {
    let data: Vec<u8> = (0..=255).cycle().take(700).collect();
    let mut hasher = BlobHasher::new();
    hasher.update(&data);
    let tree = hasher.finish().expect("not empty");
    let plan = ProofPlan::new(tree.shape(), 0).expect("the first chunk");
    let Ok(proof) = plan.prove(|_| Ok::<_, std::convert::Infallible>(tree.root()));
    (data, proof)
}

/// Recomputes the check at the end.
pub(super) fn repair(bytes: &mut [u8]) {
    if let Some(len) = bytes.len().checked_sub(CHECK_LEN) {
        let check = keccak256(&bytes[..len]);
        bytes[len..].copy_from_slice(&check[..CHECK_LEN]);
    }
}
