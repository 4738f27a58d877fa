//! The values that 0G's own software computed come out here too.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use lode_proofs::flow::{Extent, FLOW_LEAF_0, FlowEdge, FlowShape, Subtree, submission_root};
use lode_proofs::{
    BlobHasher, BlobId, BlobShape, BlobTree, CHUNK_LEN, ChunkHasher, ChunkProof, ChunkRun, Hash32,
    ProofFile, SECTOR_LEN, WireProof, ZERO_ROOTS, fold_roots,
};
use serde_json::Value;

/// All 64 zero roots equal the table that the 0G flow contract carries.
#[test]
fn zero_roots_equal_the_contracts() {
    let flow = read("flow.json");
    let expected: Vec<Hash32> = list(&flow["zeroHashesByHeight"]).iter().map(hash).collect();
    assert_eq!(ZERO_ROOTS.as_slice(), expected);
}

/// The identity of each submission equals the digest that the contract
/// computed from the same nodes, and its length the padded sectors.
#[test]
fn identities_equal_the_contracts() {
    for submission in list(&read("flow.json")["submissions"]) {
        let size = number(&submission["size"]);
        let tree = tree_of(&generated(size));
        assert_eq!(tree.identity(), hash(&submission["digest"]), "size {size}");
        assert_eq!(
            tree.shape().padded_sectors(),
            number(&submission["length"]),
            "size {size}"
        );
    }
}

/// Each submission goes where the contract put it, and the flow then has the contract's root and
/// length: grown one by one, and asked of complete subtrees at every earlier length ([L-3], [L-4]).
#[test]
fn places_and_flow_roots_equal_the_contracts() {
    let (mut edge, mut kept) = (FlowEdge::new(), BTreeMap::new());
    kept.insert(Subtree::new(0, 0).unwrap(), FLOW_LEAF_0);
    let mut roots = vec![(FlowShape::NEW, FLOW_LEAF_0)];
    for submission in list(&read("flow.json")["submissions"]) {
        let size = number(&submission["size"]);
        let tree = tree_of(&generated(size));
        let nodes = tree.submission_nodes();
        assert_eq!(submission_root(nodes), Some(tree.root()), "size {size}");
        let extent = Extent::of(&[0x5b; 20], size, nodes).unwrap();
        let place = edge.shape().place(extent).unwrap();
        assert_eq!(place.start, number(&submission["startPos"]), "size {size}");
        edge.append(place, nodes, |subtree, root| {
            assert_eq!(kept.insert(subtree, root), None);
        });
        let root = hash(&submission["flowRootAfter"]);
        assert_eq!(edge.root(), root, "size {size}");
        let length = number(&submission["currentLength"]);
        assert_eq!(edge.shape().length(), length, "size {size}");
        roots.push((edge.shape(), root));
    }
    for (shape, root) in roots {
        let asked = shape.root(|subtree| kept.get(&subtree).copied().ok_or(subtree));
        assert_eq!(asked, Ok(root), "{shape:?}");
    }
}

/// For each size of the SDK's list: counts, root, submission nodes, and each
/// listed proof, made from chunk roots, equal the SDK's to the last hash; and
/// the SDK's proof is accepted with the chunk's bytes.
#[test]
fn trees_and_proofs_equal_the_sdks() {
    for vector in list(&read("merkle.json")["vectors"]) {
        let size = number(&vector["size"]);
        if size == 0 {
            assert!(vector["error"].is_string(), "the SDK refuses an empty file");
            assert!(BlobHasher::new().finish().is_err());
            continue;
        }
        let data = generated(size);
        let tree = tree_of(&data);
        check_shape(vector, tree.shape());
        assert_eq!(tree.root(), hash(&vector["root"]), "size {size}");
        let nodes: Vec<(Hash32, u64)> = tree
            .submission_nodes()
            .iter()
            .map(|node| (node.root, u64::from(node.height)))
            .collect();
        let expected: Vec<(Hash32, u64)> = list(&vector["submissionNodes"])
            .iter()
            .map(|node| (hash(&node["root"]), number(&node["height"])))
            .collect();
        assert_eq!(nodes, expected, "size {size}");
        check_proofs(vector, &tree, &data);
    }
}

/// Encodings equal those that another program assembled from the byte tables,
/// and decode to what they were made from.
#[test]
fn encodings_equal_the_table() {
    for vector in list(&read("encoding.json")["encodings"]) {
        let bytes = |name: &str| hex(vector[name].as_str().unwrap());
        let proof = ChunkProof::decode(&bytes("proof")).unwrap();
        assert_eq!(proof.blob().shape.size(), number(&vector["size"]));
        assert_eq!(proof.index(), number(&vector["index"]));
        assert_eq!(proof.encode(), bytes("proof"));
        let file = bytes("file");
        let decoded = ProofFile::decode(&file).unwrap();
        assert_eq!(*decoded.proof(), proof);
        let with_data = vector["withData"].as_bool().unwrap();
        assert_eq!(decoded.chunk().is_some(), with_data);
        assert_eq!(decoded.encode(), file);
        if let Some(chunk) = decoded.chunk() {
            let start = usize::try_from(chunk.offset()).unwrap();
            assert_eq!(chunk.data, &generated(number(&vector["size"]))[start..]);
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn check_shape(vector: &Value, shape: BlobShape) {
    assert_eq!(shape.sectors(), number(&vector["numChunks"]));
    assert_eq!(shape.chunks(), number(&vector["numSegments"]));
    assert_eq!(shape.padded_sectors(), number(&vector["paddedChunks"]));
    assert_eq!(shape.padded_sectors(), number(&vector["submissionSectors"]));
    assert_eq!(shape.padded_chunks(), number(&vector["numSegmentsPadded"]));
}

fn check_proofs(vector: &Value, tree: &BlobTree, data: &[u8]) {
    let shape = tree.shape();
    let mut hasher = ChunkHasher::new();
    let chunk_roots: Vec<Hash32> = (0..)
        .zip(data.chunks(CHUNK_LEN))
        .map(|(index, chunk)| hasher.root(shape, index, chunk).unwrap())
        .collect();
    assert_eq!(chunk_roots.last().copied(), tree.last_chunk_root());
    let listed = list(&vector["segmentProofs"]);
    assert!(!listed.is_empty());
    for expected in listed {
        let index = number(&expected["index"]);
        let proof = ChunkProof::build(shape, index, |run| root_of(&chunk_roots, run)).unwrap();
        let lemma: Vec<Hash32> = list(&expected["lemma"]).iter().map(hash).collect();
        let path: Vec<bool> = list(&expected["path"])
            .iter()
            .map(|turn| turn.as_bool().unwrap())
            .collect();
        assert_eq!(proof.blob().root, tree.root());
        assert_eq!(proof.chunk_root(), hash(&expected["segmentRoot"]));
        let wire = WireProof { lemma, path };
        assert_eq!(proof.to_wire(), wire);
        check_json(vector, expected, &proof);

        let blob = BlobId {
            root: hash(&vector["root"]),
            shape,
        };
        let foreign = ChunkProof::from_wire(blob, index, &wire).unwrap();
        assert_eq!(foreign, proof);
        let chunk = data
            .chunks(CHUNK_LEN)
            .nth(usize::try_from(index).unwrap())
            .unwrap();
        assert_eq!(foreign.verify_for(blob, index, chunk).unwrap().data, chunk);
        let mut sectors = chunk.to_vec();
        sectors.resize(chunk.len().next_multiple_of(SECTOR_LEN), 0);
        assert_eq!(
            foreign.verify_sectors(&mut hasher, &sectors).unwrap().data,
            chunk
        );
    }
}

/// The wire form in JSON has the SDK's own `lemma` and `path` fields; the
/// whole proof adds root, size and index.
#[cfg(feature = "serde")]
fn check_json(vector: &Value, expected: &Value, proof: &ChunkProof) {
    let (lemma, path) = (&expected["lemma"], &expected["path"]);
    let wire = serde_json::json!({ "lemma": lemma, "path": path });
    assert_eq!(serde_json::to_value(proof.to_wire()).unwrap(), wire);
    let whole = serde_json::json!({
        "root": vector["root"], "size": vector["size"], "index": expected["index"],
        "lemma": lemma, "path": path,
    });
    assert_eq!(serde_json::to_value(proof).unwrap(), whole);
}

#[cfg(not(feature = "serde"))]
fn check_json(_: &Value, _: &Value, _: &ChunkProof) {}

fn root_of(chunk_roots: &[Hash32], run: ChunkRun) -> Hash32 {
    let first = usize::try_from(run.first).unwrap();
    let count = usize::try_from(run.count).unwrap();
    fold_roots(&chunk_roots[first..first + count]).unwrap()
}

fn tree_of(data: &[u8]) -> BlobTree {
    let mut hasher = BlobHasher::new();
    hasher.update(data);
    hasher.finish().unwrap()
}

/// The generator that the head of merkle.json describes.
fn generated(size: u64) -> Vec<u8> {
    (0..size)
        .map(|i| (i * 131 + (i >> 8) * 17 + 7).to_le_bytes()[0])
        .collect()
}

fn read(name: &str) -> Value {
    let path = format!("{}/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn hash(value: &Value) -> Hash32 {
    value.as_str().unwrap().parse().unwrap()
}
