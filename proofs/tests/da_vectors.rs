//! Known answers, frozen: three containers, whose rows have one block, two, and one piece and a rest,
//! with all roots, some rows, coefficients, proofs and a certificate. `da_model.rs` checks the same
//! kinds of values against a model; this file keeps them from changing.
//!
//! The vectors were written by the test at the end, which does nothing unless it is asked for.
#![cfg(all(feature = "da", feature = "bls"))]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;

use lode_proofs::da::{
    Assignment, Certificate, Coded, ContainerBuilder, Head, Namespace, NamespaceProof, Quorum,
    RangeProof, Sample, Statement, Threshold, Verifier,
    piece::BlobRange,
    signing::{HolderKey, HolderSecret, Holders},
    table::Entry,
};
use model::da::sha256;
use serde_json::{Value, json};

const FILE: &str = "vectors/da.json";
/// A width, how many hold, and blobs: their namespaces' bytes, and their lengths.
type Recipe = (usize, u16, &'static [(u8, usize)]);
const CASES: [Recipe; 3] = [
    (64, 5, &[(1, 1), (1, 64), (7, 1025), (9, 50_000)]),
    (128, 100, &[(3, 90_000), (3, 20_000)]),
    (1088, 130, &[(0, 1_000_000), (255, 100_000)]),
];

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = &value.as_str().unwrap()[2..];
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The bytes of a vector's blob, which are not written out.
fn blob(width: usize, place: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let label = format!("lode da vector, width {width}, blob {place}");
    blake3::Hasher::new()
        .update(label.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

struct Case {
    width: usize,
    blobs: Vec<(u8, Vec<u8>)>,
    quorum: Quorum,
    holders: Holders,
    secrets: Vec<HolderSecret>,
    coded: Coded,
}

impl Case {
    fn of((width, holders, lens): Recipe) -> Self {
        let blobs: Vec<(u8, Vec<u8>)> = lens
            .iter()
            .enumerate()
            .map(|(place, (namespace, len))| (*namespace, blob(width, place, *len)))
            .collect();
        let mut builder = ContainerBuilder::new();
        for (namespace, blob) in &blobs {
            builder.add(Namespace([*namespace; 29]), blob).unwrap();
        }
        let quorum = Quorum {
            chain_id: 16_661,
            epoch: 3,
            quorum: u32::from(holders),
        };
        let seats: Vec<u16> = (0..3072).map(|row| row % holders).collect();
        let assignment = Assignment::new(&seats).unwrap();
        let secrets: Vec<HolderSecret> = (0..holders)
            .map(|seat| HolderSecret::from_seed(&sha256(&[&seat.to_be_bytes()])))
            .collect();
        let coded = Coded::new(builder.close().unwrap(), &quorum, assignment.columns());
        assert_eq!(coded.head().shape.width(), width);
        let keys = secrets.iter().map(HolderSecret::key).collect();
        Self {
            width,
            blobs,
            quorum,
            holders: Holders::new(assignment, keys).unwrap(),
            secrets,
            coded,
        }
    }

    fn certificate(&self) -> Certificate {
        let statement = Statement {
            quorum: self.quorum,
            head: *self.coded.head(),
            expiry: 1_900_000_000,
        };
        let signatures: Vec<(usize, [u8; 48])> = self
            .secrets
            .iter()
            .enumerate()
            .filter(|(seat, _)| seat % 5 != 4)
            .map(|(seat, secret)| (seat, secret.sign(&statement)))
            .collect();
        Certificate::sum(statement, self.holders.assignment(), &signatures).unwrap()
    }

    /// The namespace that is proven, a blob and a range of it.
    fn shown(&self) -> (Namespace, Entry, std::ops::Range<u64>) {
        let entries = self.coded.container().table().entries();
        let entry = entries[entries.len() - 1];
        (entries[0].namespace, entry, 900..1100)
    }

    fn answers(&self) -> Value {
        let (coded, head) = (&self.coded, self.coded.head());
        let rows = |rows: &[u16], of: &dyn Fn(u16) -> Value| -> Value {
            rows.iter()
                .map(|row| (row.to_string(), of(*row)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let seed = head.seed(&self.quorum);
        let mut drawn = vec![0; 16];
        let mut hasher = blake3::Hasher::new_derive_key("lode/da/1 coefficients");
        hasher.update(&seed.0).finalize_xof().fill(&mut drawn);
        let (namespace, entry, range) = self.shown();
        let blob = &self.blobs.last().unwrap().1;
        let certificate = self.certificate();
        let sliver = coded.sliver(self.holders.assignment().rows_of(2).unwrap());
        let siblings: Vec<u8> = sliver.siblings.iter().flat_map(|hash| hash.0).collect();
        json!({
            "width": self.width,
            "blobs": self.blobs.iter().map(|(namespace, blob)| json!({
                "namespace": hex(&[*namespace; 29]),
                "length": blob.len(),
            })).collect::<Vec<_>>(),
            "chainId": self.quorum.chain_id,
            "epoch": self.quorum.epoch,
            "quorum": self.quorum.quorum,
            "holders": self.holders.assignment().holders(),
            "columns": head.columns,
            "length": head.shape.len(),
            "table": hex(&coded.container().table().encode()),
            "rowRoot": hex(&head.row_root.0),
            "namespaceRoot": hex(&head.namespace_root.0),
            "seed": hex(&seed.0),
            "firstCoefficients": hex(&drawn),
            "checksums": rows(&[0, 1023, 1024, 2047, 2048, 3071], &|row| {
                json!(hex(coded.checks().of_row(usize::from(row))))
            }),
            "originalChecksumsSha256": hex(&sha256(&[coded.checks().originals()])),
            "checkRoot": hex(&head.check_root.0),
            "head": hex(&head.encode()),
            "containerId": hex(&head.id().0),
            "rowsSha256": rows(&[0, 1023, 1024, 2047, 2048, 3071], &|row| {
                json!(hex(&sha256(&[coded.row(row)])))
            }),
            "paritySha256": hex(&sha256(&(1024..3072).map(|row| coded.row(row)).collect::<Vec<_>>())),
            "samples": rows(&[1, 3000], &|row| json!(hex(&coded.sample(row).unwrap().encode()))),
            "siblingsOfSeat2Sha256": hex(&sha256(&[&siblings])),
            "namespaceProof": hex(&coded.namespace(namespace).encode()),
            "range": hex(&coded.range(range.clone()).unwrap().encode()),
            "blobRange": hex(&BlobRange::prove(blob, range).unwrap().encode()),
            "blobRoot": hex(&entry.root.0),
            "message": hex(&certificate.statement.message().0),
            "certificate": hex(&certificate.encode()),
            "keyOfSeat0": hex(&self.secrets[0].key().to_bytes()),
            "possessionOfSeat0": hex(&self.secrets[0].possession()),
        })
    }
}

fn file() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// [D-1] to [D-30] The crate gives the known answers.
#[test]
fn answers_are_the_known_ones() {
    let file = file();
    for (place, case) in CASES.into_iter().enumerate() {
        let answers = Case::of(case).answers();
        let known = file["containers"][place].as_object().unwrap();
        assert_eq!(known.len(), answers.as_object().unwrap().len());
        for (name, known) in known {
            assert_eq!(&answers[name], known, "{name} of width {}", case.0);
        }
    }
}

/// [D-19], [D-21] to [D-30] What stands in the file is taken by those who check, who know no more than the
/// assignment and the keys.
#[test]
fn known_answers_are_believed() {
    let file = file();
    for (place, case) in CASES.into_iter().enumerate() {
        let (known, case) = (&file["containers"][place], Case::of(case));
        let assignment = case.holders.assignment();
        let encoded = bytes(&known["certificate"]);
        let certificate = Certificate::decode(&encoded, assignment).unwrap();
        assert_eq!(certificate.verify(&case.holders, Threshold::LEAST), Ok(()));
        let head = Head::decode(&bytes(&known["head"])).unwrap();
        assert_eq!(certificate.statement.head, head);
        let quorum = Certificate::quorum_of(&encoded).unwrap();
        let verifier = Verifier::new(head, &quorum, assignment.columns()).unwrap();
        for row in [1, 3000] {
            let encoded = bytes(&known["samples"][row.to_string()]);
            let sample = Sample::decode(&head, &encoded).unwrap();
            assert_eq!(verifier.sample(row, &sample), Ok(()));
        }
        let (namespace, entry, range) = case.shown();
        let proof = NamespaceProof::decode(&bytes(&known["namespaceProof"])).unwrap();
        let shown = proof.verify(head.namespace_root, namespace).unwrap();
        let all = case
            .blobs
            .iter()
            .filter(|(byte, _)| namespace.0[0] == *byte);
        assert_eq!(shown.len(), all.count());
        let encoded = bytes(&known["range"]);
        let proof = RangeProof::decode(head.shape, &encoded).unwrap();
        let index = 900..1100;
        assert_eq!(
            proof.verify(&head, &range),
            Ok(&case.coded.container().rows()[index.clone()])
        );
        let encoded = bytes(&known["blobRange"]);
        let proof = BlobRange::decode(entry.len, &encoded).unwrap();
        let expected = &case.blobs.last().unwrap().1[index];
        assert_eq!(proof.verify(entry.root, entry.len, &range), Ok(expected));
        let key = bytes(&known["keyOfSeat0"]).try_into().unwrap();
        let possession = bytes(&known["possessionOfSeat0"]).try_into().unwrap();
        let key = HolderKey::new(&key, &possession);
        assert_eq!(key.ok().as_ref(), case.holders.key(0));
    }
}

/// Writes the file anew: only when the format is another.
///
///     cargo test -p lode-proofs --features da,bls --test da_vectors -- --ignored
#[test]
#[ignore = "writes the vectors"]
fn write() {
    let containers: Vec<Value> = CASES
        .into_iter()
        .map(|case| Case::of(case).answers())
        .collect();
    let file = json!({
        "what": "Containers of rows of 64, 128 and 1088 bytes, with roots, proofs and certificates",
        "blobs": "blob i of width w is the BLAKE3 output stream of `lode da vector, width w, blob i`",
        "assignment": "row r is seat r mod holders'; all seats sign but those that leave 4 mod 5",
        "secrets": "seat s has the secret of key material SHA-256(s as 2 bytes, big-endian)",
        "firstCoefficients": "d[0][0] to d[7][0], two bytes each, the low one first",
        "containers": containers,
    });
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    std::fs::write(path, serde_json::to_string_pretty(&file).unwrap() + "\n").unwrap();
}
