//! How fast the sector tree is: every backend of `lode-proofs` beside the scalar keccak crates that
//! others would use, then the same over 1 to all cores, and BLAKE3 for comparison.
//!
//! Rounds are interleaved: each subject hashes the same bytes once per round, so that noise of a
//! shared machine falls on all alike. Ratios are taken within rounds, to the fastest crate of that
//! round, and then their median. Every subject's root is compared with the others' in every round.

use std::{
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use lode_proofs::{BlobHasher, CHUNK_LEN, ChunkHasher, Hash32, SECTOR_LEN, keccak::Backend};
use serde_json::{Value, json};

use crate::figures::median;

/// Measures for about `seconds` and prints what it finds: rates are 10^6 bytes per second of input.
///
/// Hashes 256 MiB per subject and round if the time allows a few rounds of it, else 32 MiB.
///
/// # Panics
/// If two subjects disagree on a root: then nobody's speed means anything.
pub fn run(seconds: f64) -> Value {
    let mebibytes = if seconds >= 30.0 { 256 } else { 32 };
    let blob = Input::new(mebibytes);
    println!("sector tree over {mebibytes} MiB, one core");
    let (tree, rounds) = one_core(&blob, Duration::from_secs_f64(0.6 * seconds));
    println!("sector tree over {mebibytes} MiB, by cores");
    let cores = by_cores(&blob, Duration::from_secs_f64(0.25 * seconds));
    println!("BLAKE3, one core");
    let blake3 = blake3_inputs(&blob, Duration::from_secs_f64(0.15 * seconds));
    json!({
        "unit": "MB/s",
        "mebibytes": mebibytes,
        "rounds": rounds,
        "tree_one_core": tree,
        "tree_by_cores": cores,
        "blake3_one_core": blake3,
    })
}

/// What is hashed.
struct Input {
    bytes: Vec<u8>,
    megabytes: f64,
}

impl Input {
    /// Bytes that no two sectors share: a counter in each word, mixed.
    fn new(mebibytes: u32) -> Self {
        let words = u64::from(mebibytes) << 17;
        let mixed = |word: u64| {
            word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
                .to_le_bytes()
        };
        Self {
            bytes: (0..words).flat_map(mixed).collect(),
            megabytes: f64::from(mebibytes) * 1.048_576,
        }
    }
}

/// One way to hash the input, and its rate in each round.
struct Subject<'a> {
    name: String,
    is_peer: bool,
    root: Box<RootOf<'a>>,
    rates: Vec<f64>,
}

type RootOf<'a> = dyn Fn(&[u8]) -> Hash32 + 'a;

impl<'a> Subject<'a> {
    fn new(name: &str, is_peer: bool, root: impl Fn(&[u8]) -> Hash32 + 'a) -> Self {
        Self {
            name: name.to_owned(),
            is_peer,
            root: Box::new(root),
            rates: Vec::new(),
        }
    }
}

fn one_core(input: &Input, budget: Duration) -> (Value, usize) {
    let mut subjects = vec![
        Subject::new("crate tiny-keccak", true, |data| tree_by(data, tiny_keccak)),
        Subject::new("crate sha3", true, |data| tree_by(data, sha3)),
        Subject::new("crate keccak-asm", true, |data| tree_by(data, keccak_asm)),
    ];
    for backend in Backend::available() {
        let name = format!("lode {}", backend.name());
        subjects.push(Subject::new(&name, false, move |data| {
            tree_on(backend, data)
        }));
    }
    interleave(&mut subjects, input, budget);
    let rounds = subjects[0].rates.len();
    let bars: Vec<f64> = (0..rounds)
        .map(|round| {
            let peers = subjects.iter().filter(|subject| subject.is_peer);
            peers
                .map(|subject| subject.rates[round])
                .fold(0.0, f64::max)
        })
        .collect();
    let figures = subjects.iter().map(|subject| {
        let ratios = subject
            .rates
            .iter()
            .zip(&bars)
            .map(|(rate, bar)| rate / bar)
            .collect();
        let (median, best, ratio) = (
            median(subject.rates.clone()),
            best(&subject.rates),
            median(ratios),
        );
        println!(
            "  {:<18} median {median:7.0}  best {best:7.0} MB/s  {ratio:5.2} × the best crate",
            subject.name
        );
        json!({
            "subject": subject.name, "median": median, "best": best, "of_best_crate": ratio,
        })
    });
    (figures.collect(), rounds)
}

fn by_cores(input: &Input, budget: Duration) -> Value {
    let all = thread::available_parallelism().map_or(1, usize::from);
    let mut counts: Vec<usize> = (0..)
        .map(|power| 1 << power)
        .take_while(|n| *n < all)
        .collect();
    counts.push(all);
    let mut subjects: Vec<Subject<'_>> = counts
        .iter()
        .map(|&cores| {
            let root = move |data: &[u8]| tree_over(cores, data);
            Subject::new(&format!("{cores} cores"), false, root)
        })
        .collect();
    interleave(&mut subjects, input, budget);
    let alone = subjects[0].rates.clone();
    let figures = subjects.iter().zip(counts).map(|(subject, cores)| {
        let gains = subject
            .rates
            .iter()
            .zip(&alone)
            .map(|(rate, one)| rate / one)
            .collect();
        let (median, best, gain) = (
            median(subject.rates.clone()),
            best(&subject.rates),
            median(gains),
        );
        println!(
            "  {cores:>3} cores  median {median:7.0}  best {best:7.0} MB/s  {gain:5.2} × one core"
        );
        json!({ "cores": cores, "median": median, "best": best, "of_one_core": gain })
    });
    figures.collect()
}

/// Rounds until the time is used up, at least three; in each, every subject once.
fn interleave(subjects: &mut [Subject<'_>], input: &Input, budget: Duration) {
    let start = Instant::now();
    let mut expected: Option<Hash32> = None;
    while subjects[0].rates.len() < 3 || start.elapsed() < budget {
        for subject in &mut *subjects {
            let start = Instant::now();
            let root = (subject.root)(black_box(&input.bytes));
            subject
                .rates
                .push(input.megabytes / start.elapsed().as_secs_f64());
            let expected = *expected.get_or_insert(root);
            assert_eq!(root, expected, "{} computes another root", subject.name);
        }
    }
}

/// The tree by one of our backends.
fn tree_on(backend: Backend, data: &[u8]) -> Hash32 {
    let mut hasher = BlobHasher::on(backend);
    hasher.update(data);
    hasher.finish().expect("the input is not empty").root()
}

/// The tree by the best backend on several cores, which take chunks as they come; one core folds.
fn tree_over(cores: usize, data: &[u8]) -> Hash32 {
    let (chunks, _) = data.as_chunks::<CHUNK_LEN>();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut hasher = ChunkHasher::new();
        let mut roots = Vec::new();
        while let Some((at, chunk)) = take_next(&next, chunks) {
            roots.push((at, hasher.whole_root(chunk)));
        }
        roots
    };
    let mut roots: Vec<(usize, Hash32)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let done = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker panicked"));
        done.flatten().collect()
    });
    roots.sort_unstable_by_key(|(at, _)| *at);
    let mut blob = BlobHasher::new();
    for (_, root) in roots {
        blob.push_chunk_root(root)
            .expect("only whole chunks were pushed");
    }
    blob.finish().expect("the input is not empty").root()
}

fn take_next<'a, T>(next: &AtomicUsize, items: &'a [T]) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    items.get(at).map(|item| (at, item))
}

/// The tree as one would build it with a keccak crate: leaf by leaf, node by node. The input is a
/// power of two of sectors, so no rule about padding is needed.
fn tree_by(data: &[u8], hash: impl Fn(&[u8]) -> [u8; 32]) -> Hash32 {
    let fold = |mut level: Vec<[u8; 32]>| {
        while level.len() > 1 {
            let parents = level.len() / 2;
            for at in 0..parents {
                level[at] = hash(level[2 * at..2 * at + 2].as_flattened());
            }
            level.truncate(parents);
        }
        level[0]
    };
    let chunk_root = |chunk: &[u8]| fold(chunk.chunks(SECTOR_LEN).map(&hash).collect());
    Hash32(fold(data.chunks(CHUNK_LEN).map(chunk_root).collect()))
}

fn tiny_keccak(message: &[u8]) -> [u8; 32] {
    use tiny_keccak::{Hasher, Keccak};
    let mut hasher = Keccak::v256();
    hasher.update(message);
    let mut digest = [0; 32];
    hasher.finalize(&mut digest);
    digest
}

fn sha3(message: &[u8]) -> [u8; 32] {
    use sha3::{Digest, Keccak256};
    Keccak256::digest(message).into()
}

fn keccak_asm(message: &[u8]) -> [u8; 32] {
    keccak_asm::Keccak256::digest(message).into()
}

/// BLAKE3 by input size, one input after the other, as the crate is meant to be used.
fn blake3_inputs(input: &Input, budget: Duration) -> Value {
    let lens = [SECTOR_LEN, 1 << 10, 4 << 10, CHUNK_LEN];
    let mut rates = vec![Vec::new(); lens.len()];
    let start = Instant::now();
    while rates[0].len() < 3 || start.elapsed() < budget {
        for (len, rates) in lens.iter().zip(&mut rates) {
            let start = Instant::now();
            for piece in input.bytes.chunks(*len) {
                black_box(blake3::hash(black_box(piece)));
            }
            rates.push(input.megabytes / start.elapsed().as_secs_f64());
        }
    }
    let figures = lens.iter().zip(rates).map(|(len, rates)| {
        let (best, median) = (best(&rates), median(rates));
        println!("  inputs of {len:>6} B  median {median:7.0}  best {best:7.0} MB/s");
        json!({ "input_bytes": len, "median": median, "best": best })
    });
    figures.collect()
}

fn best(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every crate, backend and number of cores computes the root of our own library.
    #[test]
    fn all_compute_one_root() {
        let input = Input::new(1);
        let expected = lode_proofs::blob_tree(&input.bytes).unwrap().root();
        for hash in [tiny_keccak, sha3, keccak_asm] {
            assert_eq!(tree_by(&input.bytes, hash), expected);
        }
        for backend in Backend::available() {
            assert_eq!(
                tree_on(backend, &input.bytes),
                expected,
                "{}",
                backend.name()
            );
        }
        for cores in 1..4 {
            assert_eq!(tree_over(cores, &input.bytes), expected, "{cores} cores");
        }
    }

    /// Each round asks each subject once, and a subject with another root ends the bench.
    #[test]
    #[should_panic(expected = "liar computes another root")]
    fn a_wrong_root_ends_the_bench() {
        let input = Input::new(1);
        let mut subjects = [
            Subject::new("honest", false, |_| Hash32([1; 32])),
            Subject::new("liar", false, |_| Hash32([2; 32])),
        ];
        interleave(&mut subjects, &input, Duration::ZERO);
    }
}
