//! Proof files, with and without the chunk's bytes: what decodes is true, and is the only encoding
//! of itself.

use lode_proofs::ProofFile;

use super::{Target, chunk_proof};

/// Reads a proof file.
pub const TARGET: Target = Target {
    name: "proof_file",
    run,
    seeds,
    repair: Some(|bytes| repair(bytes)),
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(file) = ProofFile::decode(data) {
        assert_eq!(file.encode(), data, "one encoding each");
        if let Some(chunk) = file.chunk() {
            file.proof()
                .verify(chunk.data)
                .expect("verified when it was read");
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let (data, proof) = chunk_proof::small_blob();
    let whole = ProofFile::new(proof, Some(&data))
        .expect("its own bytes")
        .encode();
    let bare = |proof| {
        ProofFile::new(proof, None)
            .expect("no bytes to differ")
            .encode()
    };
    chunk_proof::proofs()
        .into_iter()
        .map(bare)
        .chain([whole])
        .collect()
}

/// Bytes before the proof: magic and data mark.
const HEAD_LEN: usize = 16;

/// Recomputes the check of a proof that runs to the end of the file.
fn repair(bytes: &mut [u8]) {
    if let Some(proof) = bytes.get_mut(HEAD_LEN..) {
        chunk_proof::repair(proof);
    }
}
