//! Any flipped bit of a row, of checksums, of a path, a range or a certificate is refused.
#![cfg(feature = "da")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;

use lode_proofs::da::{
    Coded, Container, ContainerBuilder, Head, Namespace, Quorum, RangeProof, Refusal, Sample,
    Verifier,
};
use model::Dice;

const QUORUM: Quorum = Quorum {
    chain_id: 1,
    epoch: 2,
    quorum: 3,
};
const COLUMNS: usize = 10;

fn coded(len: usize) -> Coded {
    let bytes = Dice(u64::try_from(len).unwrap()).bytes(len);
    let mut builder = ContainerBuilder::new();
    builder.add(Namespace([1; 29]), &bytes).unwrap();
    let container: Container = builder.close().unwrap();
    Coded::new(container, &QUORUM, COLUMNS)
}

fn verifier(coded: &Coded) -> Verifier {
    Verifier::new(*coded.head(), &QUORUM, COLUMNS).unwrap()
}

/// Whether these bytes are taken for a sample of that row.
fn accepted(verifier: &Verifier, row: u16, bytes: &[u8]) -> bool {
    Sample::decode(verifier.head(), bytes).is_ok_and(|sample| verifier.sample(row, &sample).is_ok())
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// [D-24] Samples of an original and of a parity row of one block: every bit of every byte. Cut or with
/// a byte more, they are none.
#[test]
fn small_samples() {
    let coded = coded(40_000);
    let verifier = verifier(&coded);
    for row in [3, 3000] {
        let bytes = coded.sample(row).unwrap().encode();
        assert!(accepted(&verifier, row, &bytes));
        assert!(!accepted(&verifier, row ^ 1, &bytes));
        assert!(!accepted(&verifier, row, &bytes[1..]));
        assert!(!accepted(&verifier, row, &[&bytes[..], &[0]].concat()));
        for bit in 0..8 * bytes.len() {
            assert!(
                !accepted(&verifier, row, &flipped(&bytes, bit)),
                "bit {bit} of row {row}"
            );
        }
    }
    assert_eq!(coded.sample(3072), None);
}

/// [D-7], [D-8], [D-24] Samples of rows of two pieces and a rest: random bits, the first and the last.
#[test]
fn large_samples() {
    let coded = coded(2_200_000);
    let verifier = verifier(&coded);
    let mut dice = Dice(5);
    for row in [0, 1023, 1024, 3071] {
        let bytes = coded.sample(row).unwrap().encode();
        assert!(accepted(&verifier, row, &bytes));
        let bits = 8 * bytes.len();
        let random = (0..100).map(|_| dice.below(bits));
        for bit in random.chain([0, 16, bits - 1]).collect::<Vec<_>>() {
            assert!(
                !accepted(&verifier, row, &flipped(&bytes, bit)),
                "bit {bit} of row {row}"
            );
        }
    }
}

/// [D-15] Not only the hashes hold a row: with a path that leads from the changed row, each of its bits
/// is in its checksums.
#[test]
fn checksums_alone() {
    let coded = coded(40_000);
    let row = 77;
    let sample = coded.sample(row).unwrap();
    for bit in 0..512 {
        let bytes = flipped(sample.bytes, bit);
        // What the maker of another root would show; the seed stays, as if it had not been bound.
        let mut root = model::da::row_leaf(usize::from(row), &bytes);
        for (level, sibling) in sample.path.iter().enumerate() {
            let pair = [&root[..], &sibling.0];
            let [left, right] = if row >> level & 1 == 0 {
                pair
            } else {
                [pair[1], pair[0]]
            };
            root = model::da::sha256(&[&[1], left, right]);
        }
        let forged = Head {
            row_root: root.into(),
            ..*coded.head()
        };
        let verifier = Verifier::new(forged, &QUORUM, COLUMNS).unwrap();
        let changed = Sample {
            bytes: &bytes,
            ..sample.clone()
        };
        assert_eq!(
            verifier.sample(row, &changed),
            Err(Refusal::Checksum { row }),
            "bit {bit}"
        );
    }
}

/// [D-16], [D-18], [D-23] What a holder gets of a container of one block: every bit of its rows, of the
/// hashes and of the table; of all checksums random bits, the first and the last.
#[test]
fn slivers() {
    let coded = coded(40_000);
    let verifier = verifier(&coded);
    let checks = coded.checks().originals();
    let full = verifier.clone().with_checks(checks).unwrap();
    let rows: [u16; 4] = [2, 900, 1024, 2222];
    let sliver = coded.sliver(&rows);
    assert_eq!(
        full.sliver(&rows, &sliver).as_ref(),
        Ok(coded.container().table())
    );
    for at in 0..rows.len() {
        for bit in 0..512 {
            let mut other = sliver.clone();
            let row = flipped(other.rows[at], bit);
            other.rows[at] = &row;
            assert!(full.sliver(&rows, &other).is_err(), "bit {bit} of row {at}");
        }
    }
    for at in 0..sliver.siblings.len() {
        for bit in 0..256 {
            let mut other = sliver.clone();
            other.siblings[at].0[bit / 8] ^= 1 << (bit % 8);
            assert!(
                full.sliver(&rows, &other).is_err(),
                "bit {bit} of hash {at}"
            );
        }
    }
    for bit in 0..8 * sliver.table.len() {
        let mut other = sliver.clone();
        let table = flipped(other.table, bit);
        other.table = &table;
        assert!(
            full.sliver(&rows, &other).is_err(),
            "bit {bit} of the table"
        );
    }
    let mut dice = Dice(6);
    let bits = 8 * checks.len();
    let random = (0..200).map(|_| dice.below(bits));
    for bit in random.chain([0, bits - 1]) {
        let refusal = verifier.clone().with_checks(&flipped(checks, bit)).err();
        assert_eq!(
            refusal,
            Some(Refusal::CheckRoot),
            "bit {bit} of the checksums"
        );
    }
}

/// [D-21] Ranges at the edges of pieces and rows are shown; any flipped bit, cut or other range is
/// refused.
#[test]
fn ranges() {
    for len in [40_000, 2_200_000] {
        let coded = coded(len);
        let (head, bytes) = (coded.head(), coded.container().rows());
        let width = u64::from(head.shape.width_u32());
        let whole = head.shape.len();
        let mut dice = Dice(8);
        let edges = [
            0,
            1,
            64,
            1024,
            width - 1,
            width,
            width + 1,
            2 * width,
            5 * width + 64,
            whole,
        ];
        for start in edges {
            for end in edges {
                let range = start..end;
                let Some(proof) = coded.range(range.clone()) else {
                    assert!(range.is_empty());
                    continue;
                };
                let index = |at: u64| usize::try_from(at).unwrap();
                let expected = &bytes[index(start)..index(end)];
                assert_eq!(proof.verify(head, &range), Ok(expected));
                assert_eq!(
                    proof.verify(head, &(start..end + 1)),
                    Err(Refusal::NotAskedFor)
                );
                let encoded = proof.encode();
                assert_eq!(
                    RangeProof::decode(head.shape, &encoded).as_ref(),
                    Ok(&proof)
                );
                assert!(RangeProof::decode(head.shape, &encoded[1..]).is_err());
                let bits = 8 * encoded.len();
                for bit in (0..5).map(|_| dice.below(bits)).chain([bits - 1]) {
                    let flipped = flipped(&encoded, bit);
                    let accepted = RangeProof::decode(head.shape, &flipped)
                        .is_ok_and(|proof| proof.verify(head, &range).is_ok());
                    assert!(!accepted, "bit {bit} of {range:?}");
                }
            }
        }
        assert_eq!(coded.range(0..whole + 1), None);
    }
}

/// A million samples, each changed in one to four places, none of which is taken. Too slow for a build
/// that is not optimised:
///
///     cargo test --release -p lode-proofs --features da --test da_flips -- --ignored
#[test]
#[ignore = "a million samples"]
fn a_million_mutations() {
    let coded = coded(40_000);
    let verifier = verifier(&coded);
    let rows = [3, 3000];
    let samples = rows.map(|row| coded.sample(row).unwrap().encode());
    let mut dice = Dice(9);
    for turn in 0..1_000_000 {
        let which = turn % 2;
        let mut bytes = samples[which].clone();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = dice.roll().to_le_bytes()[0],
                1 => bytes[at] ^= 1 << dice.below(8),
                _ => {
                    let from = dice.below(bytes.len() - 32);
                    let to = dice.below(bytes.len() - 32);
                    bytes.copy_within(from..from + 32, to);
                }
            }
        }
        let changed = bytes != samples[which];
        assert_eq!(
            accepted(&verifier, rows[which], &bytes),
            !changed,
            "turn {turn}"
        );
    }
}
