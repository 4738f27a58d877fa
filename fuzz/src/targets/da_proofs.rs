//! Samples, ranges of containers and of blobs, and proofs of namespaces, as bytes: what decodes has one
//! encoding, and only the truth verifies.

use std::sync::OnceLock;

use lode_proofs::da::{
    Coded, ContainerBuilder, Namespace, NamespaceProof, Quorum, RangeProof, Sample, Verifier,
    piece::BlobRange,
};

use super::Target;

/// Reads the bytes as each of them; the first byte says as which.
pub const TARGET: Target = Target {
    name: "da_proofs",
    run,
    seeds,
    repair: None,
    cost: 4,
};

const COLUMNS: usize = 10;
const NAMESPACE: Namespace = Namespace([3; 29]);

/// A container of rows of one block, and one who checks.
struct World {
    coded: Coded,
    verifier: Verifier,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let blobs: [(u8, Vec<u8>); 4] = [
            (1, vec![1; 5000]),
            (3, vec![2; 3000]),
            (3, vec![3; 1]),
            (5, vec![4; 9]),
        ];
        let mut builder = ContainerBuilder::new();
        for (namespace, blob) in &blobs {
            let taken = builder.add(Namespace([*namespace; 29]), blob);
            taken.expect("there is room");
        }
        let container = builder.close().expect("it has blobs");
        let quorum = Quorum {
            chain_id: 1,
            epoch: 2,
            quorum: 3,
        };
        let coded = Coded::new(container, &quorum, COLUMNS);
        let verifier = Verifier::new(*coded.head(), &quorum, COLUMNS).expect("as many columns");
        World { coded, verifier }
    })
}

/// See the file's head.
pub fn run(data: &[u8]) {
    let Some((which, data)) = data.split_first() else {
        return;
    };
    match which % 4 {
        0 => sample(data),
        1 => range(data),
        2 => blob_range(data),
        _ => namespace(data),
    }
}

fn sample(data: &[u8]) {
    let World { coded, verifier } = world();
    let Ok(sample) = Sample::decode(coded.head(), data) else {
        return;
    };
    assert_eq!(sample.encode(), data, "one encoding each");
    if verifier.sample(sample.row, &sample).is_ok() {
        assert_eq!(coded.sample(sample.row), Some(sample), "only the truth");
    }
}

fn range(data: &[u8]) {
    let head = world().coded.head();
    let Ok(proof) = RangeProof::decode(head.shape, data) else {
        return;
    };
    assert_eq!(proof.encode(), data, "one encoding each");
    if proof.verify(head, &proof.range).is_ok() {
        assert_eq!(
            world().coded.range(proof.range.clone()),
            Some(proof),
            "only the truth"
        );
    }
}

fn blob_range(data: &[u8]) {
    let container = world().coded.container();
    let entry = container.table().entries()[0];
    let blob = container.blob(0).expect("the first");
    let Ok(proof) = BlobRange::decode(entry.len, data) else {
        return;
    };
    assert_eq!(proof.encode(), data, "one encoding each");
    if proof.verify(entry.root, entry.len, &proof.range).is_ok() {
        assert_eq!(
            BlobRange::prove(blob, proof.range.clone()),
            Some(proof),
            "only the truth"
        );
    }
}

fn namespace(data: &[u8]) {
    let Ok(proof) = NamespaceProof::decode(data) else {
        return;
    };
    assert_eq!(proof.encode(), data, "one encoding each");
    let coded = &world().coded;
    if proof.verify(coded.head().namespace_root, NAMESPACE).is_ok() {
        assert_eq!(coded.namespace(NAMESPACE), proof, "only the truth");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let coded = &world().coded;
    let blob = coded.container().blob(0).expect("the first");
    let named = |which: u8, bytes: Vec<u8>| [vec![which], bytes].concat();
    vec![
        named(0, coded.sample(2).expect("a row").encode()),
        named(0, coded.sample(3000).expect("a row").encode()),
        named(1, coded.range(100..300).expect("a range").encode()),
        named(
            2,
            BlobRange::prove(blob, 1000..1030)
                .expect("a range")
                .encode(),
        ),
        named(3, coded.namespace(NAMESPACE).encode()),
        named(3, coded.namespace(Namespace([4; 29])).encode()),
    ]
}
