//! Chunk proofs, fetched and then checked without the node; and one bit flipped in each, which
//! must be noticed.

use std::{fs::File, os::unix::fs::FileExt};

use lode_proofs::ProofFile;
use serde_json::json;

use super::{Kept, Story};
use crate::{
    client::Client,
    failure::{Failure, Outcome},
    noise::Noise,
    roots::CHUNK,
    units,
};

/// Chunks tried of each file, besides the first and the last.
const DRAWN: usize = 6;

/// Checks proofs of some chunks of every file.
pub fn check<'a>(
    client: &Client,
    files: impl Iterator<Item = &'a Kept>,
    seed: u64,
    story: &mut Story,
) -> Outcome<()> {
    let mut noise = Noise::new(seed);
    let (mut checked, mut bytes, mut flips) = (0, 0, 0);
    for file in files {
        let chunks = file.size.div_ceil(CHUNK);
        let mut indices = vec![0, chunks - 1];
        indices.extend((0..DRAWN).map(|_| draw(&mut noise, chunks)));
        indices.sort_unstable();
        indices.dedup();
        for index in indices {
            let proven = client.prove(file.root, index, true)?;
            bytes += compare(file, index, &proven)?;
            checked += 1;
            flips += u64::from(flip_is_noticed(&proven, &mut noise)?);
        }
    }
    story.line(
        "proofs",
        json!({ "checked": checked, "bytes": bytes, "flips_noticed": flips }),
        &format!(
            "checked {checked} chunk proofs without the node ({}); one flipped bit in each was noticed {flips} times",
            units::size(bytes)
        ),
    );
    Ok(())
}

fn draw(noise: &mut Noise, below: u64) -> u64 {
    let mut bytes = [0; 8];
    noise.fill(&mut bytes);
    u64::from_le_bytes(bytes) % below
}

/// The proven bytes are the file's own.
fn compare(file: &Kept, index: u64, proven: &[u8]) -> Outcome<u64> {
    let wrong = |why: String| Failure::not_verified(why, "report this: a proof does not hold");
    let proof = ProofFile::decode(proven).map_err(|error| wrong(error.to_string()))?;
    let chunk = proof
        .chunk()
        .ok_or_else(|| wrong("the proof came without its chunk".to_owned()))?;
    let mut original = vec![0; chunk.data.len()];
    let source = File::open(&file.path);
    let read = source.and_then(|source| source.read_exact_at(&mut original, index * CHUNK));
    read.map_err(|error| Failure::file(file.path.display(), &error))?;
    if original != chunk.data {
        return Err(wrong(format!(
            "chunk {index} of {} has other bytes",
            file.path.display()
        )));
    }
    Ok(u64::try_from(original.len()).unwrap_or(u64::MAX))
}

fn flip_is_noticed(proven: &[u8], noise: &mut Noise) -> Outcome<bool> {
    let mut flipped = proven.to_vec();
    let bits = u64::try_from(flipped.len()).unwrap_or(1) * 8;
    let bit = draw(noise, bits);
    let at = usize::try_from(bit / 8).unwrap_or(0);
    flipped[at] ^= 1 << (bit % 8);
    if ProofFile::decode(&flipped).is_ok() {
        let what = format!("a proof with bit {bit} flipped was accepted");
        return Err(Failure::not_verified(
            what,
            "report this: the verifier is broken",
        ));
    }
    Ok(true)
}
