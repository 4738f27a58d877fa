//! Trees of any size, fed in any way, equal the slow model's.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;

use lode_proofs::keccak::Backend;
use lode_proofs::{
    BlobHasher, BlobTree, CHUNK_LEN, ChunkHasher, EmptyBlob, Hash32, MidChunk, blob_tree,
    fold_roots, keccak,
};
use model::Dice;

/// 10,000 random sizes, from one byte to several chunks: root, submission
/// nodes, identity and last chunk root equal the model's, on every backend in
/// turn, fed in random pieces.
#[test]
fn ten_thousand_random_sizes() {
    let mut dice = Dice(1);
    let backends: Vec<Backend> = Backend::available().collect();
    for round in 0..10_000 {
        let size = 1 + match round % 100 {
            0 => dice.below(24 * CHUNK_LEN),
            1..=9 => dice.below(CHUNK_LEN / 2),
            10..=39 => dice.below(20_000),
            _ => dice.below(5_000),
        };
        let data = dice.bytes(size);
        let backend = backends[round % backends.len()];
        let tree = fed_in_pieces(&mut dice, backend, &data);
        assert_equals_model(&tree, &data, &format!("size {size} on {}", backend.name()));
    }
}

/// Every size up to 20 sectors, and all around the edges of chunks and of
/// padding units.
#[test]
fn every_size_near_an_edge() {
    let bytes = Dice(2).bytes(5 * CHUNK_LEN);
    let small = 1..=20 * 256;
    let edges = [
        CHUNK_LEN / 2,
        CHUNK_LEN,
        CHUNK_LEN + 128 * 256,
        2 * CHUNK_LEN,
        4 * CHUNK_LEN,
    ];
    let near = edges
        .into_iter()
        .flat_map(|edge| [edge - 256, edge - 1, edge, edge + 1, edge + 257]);
    for size in small.chain(near) {
        let tree = blob_tree(&bytes[..size]).unwrap();
        assert_equals_model(&tree, &bytes[..size], &format!("size {size}"));
    }
}

/// Chunks hashed elsewhere in any order, pushed as roots, with the tail
/// streamed, give the tree of the streamed bytes; and streaming reports the
/// same chunk roots.
#[test]
fn chunk_roots_stand_for_their_bytes() {
    let mut dice = Dice(3);
    for whole_chunks in 0..9 {
        for tail in [0, 1, 255, 4_096, CHUNK_LEN - 1] {
            let data = dice.bytes(whole_chunks * CHUNK_LEN + tail);
            let (chunks, rest) = data.as_chunks::<CHUNK_LEN>();
            let mut hasher = ChunkHasher::new();
            let roots: Vec<Hash32> = chunks
                .iter()
                .map(|chunk| hasher.whole_root(chunk))
                .collect();
            let mut pushed = BlobHasher::new();
            roots
                .iter()
                .for_each(|root| pushed.push_chunk_root(*root).unwrap());
            pushed.update(rest);
            let mut streamed = BlobHasher::new();
            let mut reported = Vec::new();
            streamed.update_with(&data, |index, root| reported.push((index, root)));
            assert_eq!(
                reported,
                (0..).zip(roots.iter().copied()).collect::<Vec<_>>()
            );
            assert_eq!(pushed.finish(), streamed.finish());
        }
    }
}

/// Runs of any length that fits stand for their chunks: however a blob is cut
/// into aligned runs and a tail, the tree is the same; the last chunk's root is
/// known unless the blob ends with a run.
#[test]
fn run_roots_stand_for_their_chunks() {
    let mut dice = Dice(6);
    let roots: Vec<Hash32> = (0..200).map(|_| dice.hash()).collect();
    for chunks in 1..roots.len() {
        let tail_len = dice.below(2);
        let tail = dice.bytes(tail_len);
        let (mut singly, mut by_runs) = (BlobHasher::new(), BlobHasher::new());
        roots[..chunks]
            .iter()
            .for_each(|root| singly.push_chunk_root(*root).unwrap());
        let (mut at, mut last_is_known) = (0, false);
        while at < chunks {
            let longest = at.trailing_zeros().min((chunks - at).ilog2());
            let run = 1 << dice.below(1 + usize::try_from(longest).unwrap());
            let root = fold_roots(&roots[at..at + run]).unwrap();
            if run == 1 {
                by_runs.push_chunk_root(root).unwrap();
            } else {
                by_runs
                    .push_run_root(u64::try_from(run).unwrap(), root)
                    .unwrap();
            }
            (at, last_is_known) = (at + run, run == 1);
        }
        singly.update(&tail);
        by_runs.update(&tail);
        last_is_known |= tail_len > 0;
        let (singly, by_runs) = (singly.finish().unwrap(), by_runs.finish().unwrap());
        assert_eq!(by_runs.root(), singly.root(), "{chunks} chunks");
        assert_eq!(by_runs.submission_nodes(), singly.submission_nodes());
        assert_eq!(by_runs.shape(), singly.shape());
        let last = singly.last_chunk_root().filter(|_| last_is_known);
        assert_eq!(by_runs.last_chunk_root(), last, "{chunks} chunks");
    }
}

/// A run that is no subtree of the blob is the caller's bug.
#[test]
#[should_panic(expected = "a run starts at a multiple of its length")]
fn a_run_across_subtrees_is_a_bug() {
    let mut hasher = BlobHasher::new();
    hasher.push_chunk_root(Hash32([1; 32])).unwrap();
    let _ = hasher.push_run_root(2, Hash32([2; 32]));
}

/// A chunk root in the middle of a chunk, also at the edge of a sector or a
/// group, is refused, and harms nothing.
#[test]
fn no_chunk_root_inside_a_chunk() {
    let data = Dice(4).bytes(2 * CHUNK_LEN);
    let mut hasher = BlobHasher::new();
    for (from, to) in [(0, 100), (100, 256), (256, 2_048), (2_048, CHUNK_LEN - 1)] {
        hasher.update(&data[from..to]);
        let pending = u64::try_from(to).unwrap();
        assert_eq!(
            hasher.push_chunk_root(Hash32([7; 32])),
            Err(MidChunk { pending })
        );
    }
    hasher.update(&data[CHUNK_LEN - 1..CHUNK_LEN]);
    let (chunks, _) = data.as_chunks::<CHUNK_LEN>();
    let root = ChunkHasher::new().whole_root(&chunks[1]);
    assert_eq!(hasher.push_chunk_root(root), Ok(()));
    assert_eq!(hasher.finish(), blob_tree(&data));
}

/// Nothing has no tree.
#[test]
fn nothing_has_no_tree() {
    assert_eq!(BlobHasher::new().finish(), Err(EmptyBlob));
    assert_eq!(blob_tree(&[]), Err(EmptyBlob));
    assert_eq!(fold_roots(&[]), None);
}

/// A terabyte and one byte, as equal chunk roots and a tail: the root follows
/// from doubling the chunk root 22 times, and the right part from zero roots.
#[test]
fn a_terabyte_and_one_byte() {
    let chunk_root = Hash32([0xc4; 32]);
    let mut hasher = BlobHasher::new();
    for _ in 0..1 << 22 {
        hasher.push_chunk_root(chunk_root).unwrap();
    }
    hasher.update(&[9]);
    let tree = hasher.finish().unwrap();
    assert_eq!(tree.shape().size(), (1 << 40) + 1);

    let left = (0..22).fold(chunk_root, |root, _| model::parent(root, root));
    let mut sector = [0; 256];
    sector[0] = 9;
    let leaf = model::keccak(&sector);
    let right = (0..29).fold(leaf, |root, height| {
        model::parent(root, model::zero_root(height))
    });
    let nodes: Vec<(Hash32, u8)> = tree
        .submission_nodes()
        .iter()
        .map(|node| (node.root, node.height))
        .collect();
    assert_eq!(nodes, [(left, 32), (right, 29)]);
    assert_eq!(tree.root(), model::parent(left, right));
}

/// Folding a row of roots has the RFC 6962 shape for every length.
#[test]
fn folding_equals_the_model() {
    let mut dice = Dice(5);
    let roots: Vec<Hash32> = (0..1_030).map(|_| dice.hash()).collect();
    for len in (1..70).chain([511, 512, 513, 1_023, 1_024, 1_025, 1_030]) {
        assert_eq!(
            fold_roots(&roots[..len]),
            Some(model::root(&roots[..len])),
            "length {len}"
        );
    }
}

fn fed_in_pieces(dice: &mut Dice, backend: Backend, data: &[u8]) -> BlobTree {
    let mut hasher = BlobHasher::on(backend);
    let longest = [1 + data.len(), 5_000, 300, 40][dice.below(4)].max(data.len() / 50);
    let mut rest = data;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(dice.below(longest + 1).min(rest.len()));
        hasher.update(piece);
        rest = after;
    }
    assert_eq!(hasher.size(), u64::try_from(data.len()).unwrap());
    hasher.finish().unwrap()
}

fn assert_equals_model(tree: &BlobTree, data: &[u8], context: &str) {
    let leaves = model::leaves(data);
    assert_eq!(tree.root(), model::root(&leaves), "{context}");
    let nodes: Vec<(Hash32, u8)> = tree
        .submission_nodes()
        .iter()
        .map(|node| (node.root, node.height))
        .collect();
    let expected = model::subtrees(&leaves);
    assert_eq!(nodes, expected, "{context}");
    let roots: Vec<[u8; 32]> = expected.iter().map(|(root, _)| root.0).collect();
    assert_eq!(
        tree.identity(),
        model::keccak(roots.as_flattened()),
        "{context}"
    );
    assert_eq!(keccak::keccak256(roots.as_flattened()), tree.identity().0);
    let last_chunk = leaves
        .chunks(1024)
        .nth((data.len() - 1) / CHUNK_LEN)
        .unwrap();
    assert_eq!(
        tree.last_chunk_root(),
        Some(model::root(last_chunk)),
        "{context}"
    );
}
