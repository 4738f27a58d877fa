//! Proofs as JSON, in 0G's form and ours: what parses is true and comes back unchanged.

use lode_proofs::{ChunkProof, WireProof};

use super::{Target, chunk_proof};

/// Reads a proof from JSON.
pub const TARGET: Target = Target {
    name: "proof_json",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(proof) = serde_json::from_slice::<ChunkProof>(data) {
        let text = serde_json::to_vec(&proof).expect("a proof has a JSON form");
        let again = serde_json::from_slice::<ChunkProof>(&text).expect("its own form");
        assert_eq!(again, proof);
    }
    if let Ok(wire) = serde_json::from_slice::<WireProof>(data) {
        let text = serde_json::to_vec(&wire).expect("a proof has a JSON form");
        let again = serde_json::from_slice::<WireProof>(&text).expect("its own form");
        assert_eq!(again, wire);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let proofs = chunk_proof::proofs();
    let ours = proofs
        .iter()
        .map(|proof| serde_json::to_vec(proof).expect("a JSON form"));
    let wire = proofs
        .iter()
        .map(|proof| serde_json::to_vec(&proof.to_wire()).expect("a JSON form"));
    ours.chain(wire).collect()
}
