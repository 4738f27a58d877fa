//! Certificates: who signed, for how many rows, and that nothing of it can be another.
#![cfg(all(feature = "da", feature = "bls"))]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lode_proofs::{
    Hash32,
    committee::PointRefusal,
    da::{
        Assignment, Certificate, Head, Quorum, Shape, Statement, Threshold,
        decode::DecodeError,
        signing::{HolderKey, HolderSecret, Holders, SigningRefusal},
    },
};

/// Holders of 1024, 900, 600, 400, 147 and 1 rows.
const ROWS: [usize; 6] = [1024, 900, 600, 400, 147, 1];

struct World {
    secrets: Vec<HolderSecret>,
    holders: Holders,
    statement: Statement,
}

impl World {
    fn new() -> Self {
        let seats = ROWS
            .iter()
            .zip(0..)
            .flat_map(|(rows, seat)| vec![seat; *rows]);
        let assignment = Assignment::new(&seats.collect::<Vec<u16>>()).unwrap();
        let secrets: Vec<_> = (1..7)
            .map(|byte| HolderSecret::from_seed(&[byte; 32]))
            .collect();
        let keys = secrets
            .iter()
            .map(|secret| HolderKey::new(&secret.key().to_bytes(), &secret.possession()).unwrap());
        let statement = Statement {
            quorum: Quorum {
                chain_id: 16_661,
                epoch: 4,
                quorum: 1,
            },
            head: Head {
                row_root: Hash32([1; 32]),
                check_root: Hash32([2; 32]),
                namespace_root: Hash32([3; 32]),
                shape: Shape::new(1 << 20).unwrap(),
                columns: u16::try_from(assignment.columns()).unwrap(),
            },
            expiry: 1_900_000_000,
        };
        Self {
            holders: Holders::new(assignment, keys.collect()).unwrap(),
            secrets,
            statement,
        }
    }

    fn by(&self, seats: &[usize]) -> Certificate {
        let signatures: Vec<(usize, [u8; 48])> = seats
            .iter()
            .map(|seat| (*seat, self.secrets[*seat].sign(&self.statement)))
            .collect();
        Certificate::sum(self.statement, self.holders.assignment(), &signatures).unwrap()
    }

    fn check(&self, bytes: &[u8]) -> Option<()> {
        let certificate = Certificate::decode(bytes, self.holders.assignment()).ok()?;
        certificate.verify(&self.holders, Threshold::LEAST).ok()
    }
}

/// [D-25], [D-27], [D-29] Holders of enough rows make a certificate, one row fewer does not; it comes
/// back from its bytes.
#[test]
fn enough_rows_make_a_certificate() {
    let world = World::new();
    for (seats, weight) in [(vec![0, 1, 2, 3, 4, 5], 3072), (vec![5, 0, 1, 4], 2072)] {
        let certificate = world.by(&seats);
        assert_eq!(certificate.weight(world.holders.assignment()), weight);
        assert_eq!(certificate.verify(&world.holders, Threshold::LEAST), Ok(()));
        let bytes = certificate.encode();
        assert_eq!(bytes.len(), 169 + 1 + 48);
        assert_eq!(Certificate::quorum_of(&bytes), Ok(world.statement.quorum));
        let again = Certificate::decode(&bytes, world.holders.assignment());
        assert_eq!(again, Ok(certificate));
    }
    let few = world.by(&[0, 1, 5]);
    let refusal = SigningRefusal::Weight {
        got: 1925,
        want: 2049,
    };
    assert_eq!(few.verify(&world.holders, Threshold::LEAST), Err(refusal));
    let more = world.by(&[0, 1, 4, 5]);
    let threshold = Threshold::new(2073).unwrap();
    let refusal = SigningRefusal::Weight {
        got: 2072,
        want: 2073,
    };
    assert_eq!(more.verify(&world.holders, threshold), Err(refusal));
    assert_eq!(
        more.verify(&world.holders, Threshold::new(2072).unwrap()),
        Ok(())
    );
}

/// [D-29] Thresholds and what they tolerate.
#[test]
fn thresholds() {
    assert_eq!(Threshold::new(2048), None);
    assert_eq!(Threshold::new(3073), None);
    assert_eq!(Threshold::LEAST.tolerated(), 1025);
    assert_eq!(Threshold::new(2560).unwrap().tolerated(), 1536);
}

/// [D-25] to [D-27] Every bit of a certificate counts, and no other length is one.
#[test]
fn flipped_bits_are_refused() {
    let world = World::new();
    let bytes = world.by(&[0, 1, 2]).encode();
    assert_eq!(world.check(&bytes), Some(()));
    for bit in 0..8 * bytes.len() {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(world.check(&other), None, "bit {bit}");
    }
    assert_eq!(world.check(&bytes[1..]), None);
    assert_eq!(world.check(&[&bytes[..], &[0]].concat()), None);
}

/// [D-25] Each refusal of bytes has its name.
#[test]
fn refusals_of_bytes() {
    let world = World::new();
    let bytes = world.by(&[0, 1, 2]).encode();
    let refused = |at: usize, byte: u8| {
        let mut other = bytes.clone();
        other[at] ^= byte;
        Certificate::decode(&other, world.holders.assignment()).unwrap_err()
    };
    assert_eq!(refused(0, 2), DecodeError::Version { found: 3 });
    for at in [21, 53, 85, 117] {
        assert_eq!(refused(at, 1), DecodeError::Id);
    }
    assert_eq!(
        refused(160, 64),
        DecodeError::Width {
            got: 1088,
            want: 1024
        }
    );
    assert_eq!(refused(169, 0x40), DecodeError::Signers);
    // With another number of holders there is another number of columns, and the id is another.
    let seats: Vec<u16> = (0..3072).map(|row| row % 8).collect();
    let other = Certificate::decode(&bytes, &Assignment::new(&seats).unwrap());
    assert_eq!(
        other,
        Ok(world.by(&[0, 1, 2])),
        "6 and 8 holders have the same columns"
    );
    let of = |holders: u16| {
        let seats: Vec<u16> = (0..3072).map(|row| row % holders).collect();
        Certificate::decode(&bytes, &Assignment::new(&seats).unwrap())
    };
    assert!(matches!(of(10), Err(DecodeError::Length { .. })));
    assert_eq!(of(16), Err(DecodeError::Id));
    // A statement is read by itself as well.
    let statement = world.statement;
    let columns = world.holders.assignment().columns();
    assert_eq!(Statement::decode(&bytes[..169], columns), Ok(statement));
    assert_eq!(
        Statement::decode(&bytes[..169], columns + 1),
        Err(DecodeError::Id)
    );
    assert!(Statement::decode(&bytes[..170], columns).is_err());
}

/// [D-27] Signatures of others, or on another statement, do not count; each holder's is checked by
/// itself, too.
#[test]
fn signatures_are_of_their_signers() {
    let world = World::new();
    let assignment = world.holders.assignment();
    let later = Statement {
        expiry: 1_900_000_001,
        ..world.statement
    };
    let mut signatures: Vec<(usize, [u8; 48])> = (0..3)
        .map(|seat| (seat, world.secrets[seat].sign(&world.statement)))
        .collect();
    let key = world.holders.key(2).unwrap();
    assert_eq!(key.check(&world.statement, &signatures[2].1), Ok(()));
    let wrong = Err(SigningRefusal::Signature);
    assert_eq!(key.check(&later, &signatures[2].1), wrong);
    assert_eq!(key.check(&world.statement, &signatures[1].1), wrong);
    // The same seat twice counts once.
    signatures.push(signatures[0]);
    let sum = Certificate::sum(world.statement, assignment, &signatures).unwrap();
    assert_eq!(sum.verify(&world.holders, Threshold::LEAST), Ok(()));
    signatures.pop();
    // One holder's is on a statement of another expiry.
    signatures[2].1 = world.secrets[2].sign(&later);
    let sum = Certificate::sum(world.statement, assignment, &signatures).unwrap();
    assert_eq!(sum.verify(&world.holders, Threshold::LEAST), wrong);
    // A seat that did not sign is among the signers.
    let signature = world.by(&[0, 1]).signature;
    let more = Certificate::new(world.statement, assignment, &[0, 1, 2], signature);
    assert_eq!(more.verify(&world.holders, Threshold::LEAST), wrong);
    let wrong = Err(SigningRefusal::Signature);
    signatures[0].0 = 6;
    assert_eq!(
        Certificate::sum(world.statement, assignment, &signatures),
        wrong
    );
    assert_eq!(Certificate::sum(world.statement, assignment, &[]), wrong);
    // Bytes that are no point, and the point at infinity.
    let none = Certificate::new(world.statement, assignment, &[0, 1, 2], [0; 48]);
    let refusal = SigningRefusal::Point(PointRefusal::Encoding);
    assert_eq!(none.verify(&world.holders, Threshold::LEAST), Err(refusal));
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    let none = Certificate::new(world.statement, assignment, &[0, 1, 2], infinity);
    let refused = none.verify(&world.holders, Threshold::LEAST);
    assert!(
        matches!(refused, Err(SigningRefusal::Point(_))),
        "{refused:?}"
    );
}

/// [D-28] A key counts with its own proof of possession only: neither another's, nor a signature on a
/// statement, nor a changed one.
#[test]
fn keys_need_possession() {
    let [one, two] = [1, 2].map(|byte| HolderSecret::from_seed(&[byte; 32]));
    let key = one.key().to_bytes();
    assert_eq!(HolderKey::new(&key, &one.possession()), Ok(one.key()));
    let wrong = Err(SigningRefusal::Possession);
    assert_eq!(HolderKey::new(&key, &two.possession()), wrong);
    assert_eq!(
        HolderKey::new(&key, &one.sign(&World::new().statement)),
        wrong
    );
    let mut infinity = [0; 96];
    infinity[0] = 0xc0;
    let refusal = Err(SigningRefusal::Key(PointRefusal::Infinity));
    assert_eq!(HolderKey::known(&infinity), refusal);
    assert_eq!(
        HolderSecret::from_bytes(&[0; 32]).err(),
        Some(SigningRefusal::Secret)
    );
    assert_eq!(
        HolderSecret::from_bytes(&[0xff; 32]).err(),
        Some(SigningRefusal::Secret)
    );
    let assignment = World::new().holders.assignment().clone();
    let refusal = SigningRefusal::Keys { got: 1, want: 6 };
    assert_eq!(
        Holders::new(assignment, vec![one.key()]).err(),
        Some(refusal)
    );
}
