//! Makers of containers who cheat: holders who check find out, each by the step that it should be, and
//! never do those of 2049 rows sign.
//!
//! The maker here is the model: it can put any rows under a row root, and any checksums beside them.
#![cfg(feature = "da")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;

use lode_proofs::{
    Hash32,
    da::{
        Assignment, Coded, Container, ContainerBuilder, Head, Namespace, Quorum, Refusal, Shape,
        Sliver, Threshold, Verifier, table::TableError,
    },
};
use model::{
    Dice,
    da::{self, Facts, Field},
};

const QUORUM: Quorum = Quorum {
    chain_id: 1,
    epoch: 2,
    quorum: 3,
};
/// Holders of equally many rows.
const HOLDERS: u16 = 64;

/// Everything that a maker hands out.
#[derive(Clone)]
struct Made {
    rows: Vec<Vec<u8>>,
    table: Vec<u8>,
    len: usize,
    columns: usize,
    quorum: Quorum,
    /// Checksums of the original rows.
    checks: Vec<u8>,
}

impl Made {
    fn honest(seed: u64) -> Self {
        let coded = Coded::new(container(seed), &QUORUM, columns());
        Self {
            rows: (0..3072).map(|row| coded.row(row).to_vec()).collect(),
            table: coded.container().table().encode(),
            len: usize::try_from(coded.head().shape.len()).unwrap(),
            columns: columns(),
            quorum: QUORUM,
            checks: coded.checks().originals().to_vec(),
        }
    }

    fn leaves(&self) -> Vec<da::Hash> {
        let rows = self.rows.iter().enumerate();
        da::padded(
            rows.map(|(number, row)| da::row_leaf(number, row))
                .collect(),
        )
    }

    fn facts(&self, leaves: &[da::Hash]) -> Facts {
        let Quorum {
            chain_id,
            epoch,
            quorum,
        } = self.quorum;
        Facts {
            row_root: da::root(leaves),
            namespace_root: da::namespace_root(&self.table),
            len: self.len,
            columns: self.columns,
            quorum: (chain_id, epoch, quorum),
        }
    }

    /// Makes the checksums of the original rows anew, after the seed of these rows.
    fn check(mut self, field: &Field) -> Self {
        let seed = self.facts(&self.leaves()).seed();
        let rows = self.rows[..1024].iter();
        self.checks = rows
            .flat_map(|row| field.checksums(row, self.columns, &seed))
            .collect();
        self
    }

    /// Which rows would be signed for, and the refusals, each once, of holders who would not sign.
    fn offer(&self, assignment: &Assignment) -> (usize, Vec<Refusal>) {
        let leaves = self.leaves();
        let facts = self.facts(&leaves);
        let extended = lode_proofs::da::Checks::extend(self.columns, &self.checks).unwrap();
        let head = Head {
            row_root: Hash32(facts.row_root),
            check_root: extended.tree().root(),
            namespace_root: Hash32(facts.namespace_root),
            shape: Shape::new(u64::try_from(self.len).unwrap()).unwrap(),
            columns: u16::try_from(self.columns).unwrap(),
        };
        let (mut signed, mut refusals) = (0, Vec::new());
        for seat in 0..assignment.holders() {
            let rows = assignment.rows_of(seat).unwrap();
            match self.holder(&head, &leaves, assignment, rows) {
                Ok(()) => signed += rows.len(),
                Err(refusal) if !refusals.contains(&refusal) => refusals.push(refusal),
                Err(_) => {}
            }
        }
        (signed, refusals)
    }

    /// What an honest holder of these rows does.
    fn holder(
        &self,
        head: &Head,
        leaves: &[da::Hash],
        assignment: &Assignment,
        rows: &[u16],
    ) -> Result<(), Refusal> {
        let places: Vec<usize> = rows.iter().copied().map(usize::from).collect();
        let sliver = Sliver {
            rows: places.iter().map(|row| &self.rows[*row][..]).collect(),
            siblings: da::beside(leaves, 0, &places)
                .into_iter()
                .map(Hash32)
                .collect(),
            table: &self.table,
        };
        let verifier = Verifier::new(*head, &QUORUM, assignment.columns())?;
        verifier
            .with_checks(&self.checks)?
            .sliver(rows, &sliver)
            .map(|_| ())
    }

    /// Asserts that no certificate comes about, and that all refusals are like this.
    fn fails(&self, what: &str, like: impl Fn(&Refusal) -> bool) {
        for assignment in [round_robin(), in_blocks()] {
            let (signed, refusals) = self.offer(&assignment);
            assert!(
                signed < usize::from(Threshold::LEAST.rows()),
                "{what}: {signed} rows"
            );
            assert!(
                !refusals.is_empty() && refusals.iter().all(&like),
                "{what}: {refusals:?}"
            );
        }
    }
}

fn container(seed: u64) -> Container {
    let mut dice = Dice(seed);
    let blobs = [dice.bytes(3000), dice.bytes(50_000)];
    let mut builder = ContainerBuilder::new();
    for (blob, name) in blobs.iter().zip(1..) {
        builder.add(Namespace([name; 29]), blob).unwrap();
    }
    builder.close().unwrap()
}

fn columns() -> usize {
    round_robin().columns()
}

fn round_robin() -> Assignment {
    Assignment::new(&(0..3072).map(|row| row % HOLDERS).collect::<Vec<u16>>()).unwrap()
}

fn in_blocks() -> Assignment {
    Assignment::new(
        &(0..3072)
            .map(|row| row / (3072 / HOLDERS))
            .collect::<Vec<u16>>(),
    )
    .unwrap()
}

fn wrong_checksum(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Checksum { .. })
}

/// [D-23] An honest maker's container is signed for by everybody.
#[test]
fn honest_makers_get_all_signatures() {
    let made = Made::honest(1);
    assert_eq!(made.offer(&round_robin()), (3072, vec![]));
    assert_eq!(made.offer(&in_blocks()), (3072, vec![]));
    assert_eq!(made.clone().check(&Field::new()).checks, made.checks);
}

/// [D-23] Rows that are not one codeword: the checksums of right originals are beside them, made after
/// the seed of the wrong rows.
#[test]
fn wrong_rows_are_found() {
    let field = Field::new();
    let (honest, other) = (Made::honest(1), Made::honest(2));
    let mut dice = Dice(3);

    let mut made = honest.clone();
    made.rows[1024..].fill_with(|| dice.bytes(64));
    made.check(&field).fails("random parity", wrong_checksum);

    let mut made = honest.clone();
    made.rows[1536..].clone_from_slice(&other.rows[1536..]);
    made.check(&field)
        .fails("two halves of codewords", wrong_checksum);

    let mut made = honest.clone();
    for row in 0..1536 {
        made.rows.swap(row, 3071 - row);
    }
    made.check(&field)
        .fails("rows in each other's place", wrong_checksum);

    let mut made = honest.clone();
    for row in (1024..3072).step_by(48) {
        made.rows[row][dice.below(64)] ^= 1;
    }
    let (signed, refusals) = made.check(&field).offer(&in_blocks());
    assert!(
        signed < 2049 && refusals.iter().all(wrong_checksum),
        "a bit for each holder"
    );
}

/// [D-15], [D-23] One wrong row is refused by its holder and by nobody else; the others' rows are one
/// codeword, and give the container back.
#[test]
fn one_wrong_row_stays_alone() {
    let field = Field::new();
    let mut made = Made::honest(1);
    made.rows[2000][63] ^= 0x80;
    let (signed, refusals) = made.check(&field).offer(&round_robin());
    assert_eq!(signed, 3072 - 48);
    assert_eq!(refusals, [Refusal::Checksum { row: 2000 }]);
}

/// [D-13], [D-16], [D-23] Checksums that are not those of these rows after this seed.
#[test]
fn wrong_checksums_are_found() {
    let field = Field::new();
    let (honest, other) = (Made::honest(1), Made::honest(2));

    let mut made = honest.clone();
    made.checks.clone_from(&other.checks);
    made.fails("checksums of another container", wrong_checksum);

    let mut made = honest.clone();
    made.rows[2500] = other.rows[2500].clone();
    made.fails(
        "checksums after the seed of another row root",
        wrong_checksum,
    );

    for quorum in [
        Quorum { epoch: 3, ..QUORUM },
        Quorum {
            quorum: 4,
            ..QUORUM
        },
        Quorum {
            chain_id: 5,
            ..QUORUM
        },
    ] {
        let made = Made {
            quorum,
            ..honest.clone()
        };
        made.check(&field)
            .fails("checksums after the seed of another quorum", wrong_checksum);
    }

    // The maker makes fewer columns than the holders need, or more.
    for columns in [columns() - 1, columns() + 1] {
        let made = Made {
            columns,
            ..honest.clone()
        };
        let like = |refusal: &Refusal| matches!(refusal, Refusal::Columns { .. });
        made.check(&field).fails("another number of columns", like);
    }
}

/// [D-2], [D-23] Lengths and widths that the rows do not have.
#[test]
fn wrong_lengths_are_found() {
    let field = Field::new();
    let honest = Made::honest(1);

    // As wide as it says, but shorter or longer than its table.
    for len in [honest.len - 64, honest.len + 64] {
        let made = Made {
            len,
            ..honest.clone()
        };
        let like = |refusal: &Refusal| matches!(refusal, Refusal::Table(TableError::Other { .. }));
        made.check(&field).fails("another length", like);
    }

    // A length whose rows are wider than those that are handed out.
    let made = Made {
        len: 65_600,
        ..honest.clone()
    };
    let like = |refusal: &Refusal| {
        matches!(
            refusal,
            Refusal::RowLength {
                got: 64,
                want: 128,
                ..
            }
        )
    };
    made.fails("another width", like);
}

/// [D-17], [D-23] A table that is another than the namespace root's, or none.
#[test]
fn wrong_tables_are_found() {
    let field = Field::new();
    let honest = Made::honest(1);
    let assignment = round_robin();
    let leaves = honest.leaves();
    let offer = |table: Vec<u8>| {
        let made = Made {
            table,
            ..honest.clone()
        };
        let head = {
            let coded = Coded::new(container(1), &QUORUM, columns());
            *coded.head()
        };
        made.holder(&head, &leaves, &assignment, assignment.rows_of(0).unwrap())
    };
    let honest_table = || honest.table.clone();
    assert_eq!(offer(honest_table()), Ok(()));
    let mut table = honest_table();
    table[16 + 50] ^= 1;
    assert_eq!(offer(table), Err(Refusal::NamespaceRoot));
    let mut table = honest_table();
    table[16] ^= 0x80;
    assert_eq!(
        offer(table),
        Err(Refusal::Table(TableError::Order { place: 1 }))
    );
    let mut table = honest_table();
    table.pop();
    assert!(matches!(
        offer(table),
        Err(Refusal::Table(TableError::Length { .. }))
    ));

    // Entries out of order, and a namespace root that fits them.
    let mut made = honest.clone();
    made.table[16] ^= 0x80;
    let like = |refusal: &Refusal| *refusal == Refusal::Table(TableError::Order { place: 1 });
    made.check(&field).fails("entries out of order", like);
}

/// [D-23] Paths and checksums that belong to other roots, and lists of rows that are none.
#[test]
fn wrong_roots_are_found() {
    let coded = Coded::new(container(1), &QUORUM, columns());
    let verifier = Verifier::new(*coded.head(), &QUORUM, columns()).unwrap();
    let checks = coded.checks().originals();
    let full = verifier.clone().with_checks(checks).unwrap();
    let rows = [7u16, 1030, 3071];
    let sliver = coded.sliver(&rows);
    assert!(full.sliver(&rows, &sliver).is_ok());
    let (bytes, siblings) = (&sliver.rows, &sliver.siblings);

    let wrong = |rows: &[u16], bytes: &[&[u8]], siblings: &[Hash32]| {
        full.rows(rows, bytes, siblings).unwrap_err()
    };
    assert_eq!(wrong(&[7, 1031, 3071], bytes, siblings), Refusal::RowRoot);
    assert_eq!(wrong(&rows, bytes, &siblings[1..]), Refusal::RowRoot);
    assert_eq!(
        wrong(&[7, 7, 3071], bytes, siblings),
        Refusal::Row { row: 7 }
    );
    assert_eq!(
        wrong(&[7, 1030, 3072], bytes, siblings),
        Refusal::Row { row: 3072 }
    );
    let refusal = wrong(&rows, &bytes[1..], siblings);
    assert_eq!(refusal, Refusal::Rows { got: 2, want: 3 });
    let path = coded.sample(7).unwrap().path;
    assert_eq!(full.row(7, coded.row(7), &path), Ok(()));
    assert_eq!(full.row(8, coded.row(7), &path), Err(Refusal::RowRoot));
    let short = full.row(7, &coded.row(7)[1..], &path);
    assert_eq!(
        short,
        Err(Refusal::RowLength {
            row: 7,
            got: 63,
            want: 64
        })
    );

    let refused = |checks: &[u8]| verifier.clone().with_checks(checks).err().unwrap();
    let (got, want) = (checks.len() - 1, checks.len());
    assert_eq!(refused(&checks[1..]), Refusal::ChecksLength { got, want });
    let other = Head {
        check_root: coded.head().row_root,
        ..*coded.head()
    };
    let other = Verifier::new(other, &QUORUM, columns()).unwrap();
    assert_eq!(other.with_checks(checks).err(), Some(Refusal::CheckRoot));
}
