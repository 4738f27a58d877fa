//! Containers against the model: the crate's rows, checksums, trees, ids and proofs are those that SPEC
//! defines, for rows of one block, of two, and of more than one piece.
#![cfg(feature = "da")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;

use lode_proofs::da::{
    Assignment, Coded, Container, ContainerBuilder, Namespace, Quorum, Statement, restore,
};
use model::{
    Dice,
    da::{self, Blob, Facts, Field},
};
use proptest::prelude::*;

const QUORUM: Quorum = Quorum {
    chain_id: 16_661,
    epoch: 7,
    quorum: 2,
};

/// Blobs, in the order of their namespaces, that make rows of `width` bytes.
fn blobs(width: usize) -> Vec<Blob> {
    let mut dice = Dice(u64::try_from(width).unwrap());
    // The table and the first three take 1920 bytes; the last row is not full.
    let rest = width * 1024 - 1920 - 200;
    let lens = [(1, 128), (2, 1), (2, 1300), (9, rest)];
    lens.map(|(namespace, len)| (namespace, dice.bytes(len)))
        .to_vec()
}

fn closed(blobs: &[Blob]) -> Container {
    let mut builder = ContainerBuilder::new();
    for (namespace, blob) in blobs {
        builder.add(Namespace([*namespace; 29]), blob).unwrap();
    }
    builder.close().unwrap()
}

/// [D-1] to [D-20], [D-25], [D-26] Everything about a container is what the model says. Of rows wider
/// than a block only some parity rows are coded by the model, which is slow.
#[test]
fn containers_are_those_of_the_model() {
    let field = Field::new();
    for (width, columns) in [(64, 10), (128, 16), (1088, 11)] {
        let blobs = blobs(width);
        let container = closed(&blobs);
        let (table, mut bytes) = da::container(&blobs);
        assert_eq!(da::width(bytes.len()), width);
        let len = bytes.len();
        bytes.resize(1024 * width, 0);
        assert_eq!(container.rows(), bytes);
        assert_eq!(container.table().encode(), table);
        let coded = Coded::new(container, &QUORUM, columns);
        let originals: Vec<&[u8]> = bytes.chunks(width).collect();
        let step = if width == 64 { 17 } else { 331 };
        for row in (0..1024)
            .step_by(500)
            .chain((1024..3072).step_by(step))
            .chain([3071])
        {
            assert_eq!(
                coded.row(row),
                field.row(&originals, row),
                "row {row} of {width}"
            );
        }
        let rows: Vec<&[u8]> = (0..3072).map(|row| coded.row(row)).collect();
        let leaves = rows
            .iter()
            .enumerate()
            .map(|(number, row)| da::row_leaf(number, row));
        let leaves = da::padded(leaves.collect());
        let facts = Facts {
            row_root: da::root(&leaves),
            namespace_root: da::namespace_root(&table),
            len,
            columns,
            quorum: (16_661, 7, 2),
        };
        assert_eq!(coded.head().row_root.0, facts.row_root);
        assert_eq!(coded.head().namespace_root.0, facts.namespace_root);
        assert_eq!(coded.head().seed(&QUORUM).0, facts.seed());
        checks_are_those_of_the_model(&field, &coded, &rows, &facts);
        paths_are_those_of_the_model(&coded, &leaves);
    }
}

/// [D-15], [D-16] The checksums of *parity* rows, computed from the rows, are what the code makes of
/// those of the original rows; so is the check root, and all that hashes it.
fn checks_are_those_of_the_model(field: &Field, coded: &Coded, rows: &[&[u8]], facts: &Facts) {
    let seed = facts.seed();
    let checks: Vec<Vec<u8>> = rows
        .iter()
        .map(|row| field.checksums(row, facts.columns, &seed))
        .collect();
    for (row, checks) in checks.iter().enumerate() {
        assert_eq!(coded.checks().of_row(row), checks, "row {row}");
    }
    let leaves: Vec<da::Hash> = checks.iter().map(|checks| da::leaf(checks)).collect();
    let check_root = da::root(&da::padded(leaves));
    assert_eq!(coded.head().check_root.0, check_root);
    assert_eq!(coded.head().encode().to_vec(), facts.head(&check_root));
    assert_eq!(coded.head().id().0, facts.id(&check_root));
    let statement = Statement {
        quorum: QUORUM,
        head: *coded.head(),
        expiry: 1_900_000_000,
    };
    assert_eq!(
        statement.message().0,
        facts.message(&check_root, 1_900_000_000)
    );
}

/// [D-9], [D-18] Paths and the nodes beside slivers are those of the model's trees.
fn paths_are_those_of_the_model(coded: &Coded, leaves: &[da::Hash]) {
    for row in [0, 5, 1023, 1024, 2049, 3071] {
        let path = coded.sample(row).unwrap().path.map(|hash| hash.0);
        assert_eq!(path.to_vec(), da::path(leaves, usize::from(row)));
    }
    for rows in [
        vec![0],
        vec![3071],
        (0..3072).step_by(340).collect(),
        (700..2100).collect(),
    ] {
        let rows: Vec<u16> = rows;
        let siblings: Vec<da::Hash> = coded
            .sliver(&rows)
            .siblings
            .iter()
            .map(|hash| hash.0)
            .collect();
        let places: Vec<usize> = rows.iter().copied().map(usize::from).collect();
        assert_eq!(siblings, da::beside(leaves, 0, &places));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// [D-11] Any 1024 of the 3072 rows, in any order, give the container back; and who repairs it makes
    /// the same rows again.
    #[test]
    fn any_rows_give_it_back(seed: u64, width in prop::sample::select(vec![64usize, 192])) {
        let container = closed(&blobs(width));
        let coded = Coded::new(container.clone(), &QUORUM, 10);
        let mut dice = Dice(seed);
        let mut numbers: Vec<u16> = (0..3072).collect();
        for place in 0..1024 {
            let other = place + dice.below(3072 - place);
            numbers.swap(place, other);
        }
        let rows: Vec<(u16, &[u8])> =
            numbers[..1024].iter().map(|row| (*row, coded.row(*row))).collect();
        let restored = restore(&rows, width).unwrap();
        prop_assert_eq!(&restored, container.rows());
        prop_assert!(restore(&rows[1..], width).is_err());
        let again = Container::from_rows(container.shape(), restored).unwrap();
        // In memory that is not empty, of another length.
        let again = Coded::in_memory(again, &QUORUM, 10, vec![0xaa; 150_000]);
        prop_assert_eq!(again.head(), coded.head());
        prop_assert_eq!(again.row(3071), coded.row(3071));
    }
}

/// [D-11] Rows that are none are refused by name, and originals alone are copied.
#[test]
fn wrong_rows_are_refused() {
    use lode_proofs::da::code::RestoreError;
    let container = closed(&blobs(64));
    let mut rows: Vec<(u16, &[u8])> = (0..).zip(container.rows().chunks(64)).collect();
    assert_eq!(restore(&rows, 64).as_deref(), Ok(container.rows()));
    assert_eq!(
        restore(&rows[1..], 64),
        Err(RestoreError::TooFew { got: 1023 })
    );
    let short = Err(RestoreError::Length {
        row: 0,
        got: 64,
        want: 128,
    });
    assert_eq!(restore(&rows, 128), short);
    rows[3].0 = 2;
    assert_eq!(restore(&rows, 64), Err(RestoreError::Twice { row: 2 }));
    rows[3].0 = 3072;
    assert_eq!(restore(&rows, 64), Err(RestoreError::Row { row: 3072 }));
    assert_eq!(restore(&[], 0), Err(RestoreError::TooFew { got: 0 }));
}

/// [D-12] The model's formula for columns, for some numbers of holders.
#[test]
fn columns_follow_the_holders() {
    for holders in [1, 10, 11, 100, 115, 116, 130, 131, 340] {
        let seats: Vec<u16> = (0..3072).map(|row| row % holders).collect();
        let columns = Assignment::new(&seats).unwrap().columns();
        assert_eq!(columns, (usize::from(holders) + 140).div_ceil(15));
    }
}
