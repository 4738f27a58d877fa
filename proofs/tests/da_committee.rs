//! Committees: who has which rows, what binds them, and certificates that are checked against a hash.
//! The vectors are those that the contracts replay.
#![cfg(all(feature = "da", feature = "bls"))]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod model;

use lode_proofs::{
    Hash32,
    committee::PointRefusal,
    da::{
        Certificate, Committee, Draw, Head, Quorum, Seat, Seats, Shape, Shown, Statement,
        Threshold,
        committee::KeyPoint,
        signing::{HolderKey, HolderSecret, SigningRefusal},
        weigh::{signature_point, weigh},
    },
};
use model::da::sha256;
use proptest::prelude::*;
use serde_json::{Value, json};

const FILE: &str = "vectors/da-committee.json";
/// How many holders, and which seats are absent.
const CASES: [(u32, &[usize]); 5] = [
    (1, &[]),
    (5, &[1]),
    (16, &[]),
    (40, &[0, 7, 8, 39]),
    (340, &[0, 1, 2, 150, 338]),
];

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

struct World {
    quorum: Quorum,
    beacon: [u8; 32],
    stakes: Vec<u128>,
    rows: Vec<u16>,
    secrets: Vec<HolderSecret>,
    seats: Seats,
    committee: Committee,
}

impl World {
    /// Holder i has a stake of 1 + i² mod 1009 coins, but every thirteenth, which has too little for a row.
    fn new(holders: u32) -> Self {
        let quorum = Quorum {
            chain_id: 16_661,
            epoch: 7,
            quorum: 0,
        };
        let beacon = sha256(&[b"beacon", &holders.to_be_bytes()]);
        let stake = |holder: u32| match holder % 13 {
            12 => 1_000_000_007,
            _ => u128::from(1 + holder * holder % 1009) * 1_000_000_000_000_000_000,
        };
        let stakes: Vec<u128> = (0..holders).map(stake).collect();
        let draw = Draw::new(&beacon, &quorum);
        let rows = draw.rows(&stakes).unwrap();
        let secrets: Vec<HolderSecret> = (0..holders)
            .filter(|holder| rows[usize::try_from(*holder).unwrap()] > 0)
            .map(|holder| HolderSecret::from_seed(&sha256(&[&holder.to_be_bytes()])))
            .collect();
        let with_rows = rows.iter().filter(|rows| **rows > 0);
        let seats = secrets
            .iter()
            .zip(with_rows)
            .map(|(secret, rows)| Seat::new(&secret.key(), *rows));
        let seats = Seats::new(quorum, draw, seats.collect()).unwrap();
        Self {
            quorum,
            beacon,
            stakes,
            rows,
            secrets,
            committee: seats.committee().unwrap(),
            seats,
        }
    }

    fn statement(&self) -> Statement {
        let columns = self.seats.assignment().columns();
        Statement {
            quorum: self.quorum,
            head: Head {
                row_root: Hash32([1; 32]),
                check_root: Hash32([2; 32]),
                namespace_root: Hash32([3; 32]),
                shape: Shape::new(1 << 20).unwrap(),
                columns: u16::try_from(columns).unwrap(),
            },
            expiry: 1_900_000_000,
        }
    }

    fn certificate(&self, absent: &[usize]) -> Certificate {
        let statement = self.statement();
        let signatures: Vec<(usize, [u8; 48])> = self
            .secrets
            .iter()
            .enumerate()
            .filter(|(seat, _)| !absent.contains(seat))
            .map(|(seat, secret)| (seat, secret.sign(&statement)))
            .collect();
        Certificate::sum(statement, &self.seats.assignment(), &signatures).unwrap()
    }

    fn shown(&self, absent: &[usize]) -> Shown {
        Shown::new(self.committee, &self.seats, self.certificate(absent))
    }

    fn answers(&self, absent: &[usize]) -> Value {
        let assignment = self.seats.assignment();
        let mut seat_of = vec![0; 3072];
        for seat in 0..assignment.holders() {
            for row in assignment.rows_of(seat).unwrap() {
                seat_of[usize::from(*row)] = seat;
            }
        }
        let seats: Vec<u8> = seat_of
            .iter()
            .flat_map(|seat| u16::try_from(*seat).unwrap().to_be_bytes())
            .collect();
        let some = [0, 1, 1023, 1024, 3071].map(|row: usize| seat_of[row]);
        let shown = self.shown(absent);
        json!({
            "holders": self.stakes.len(),
            "beacon": hex(&self.beacon),
            "chainId": self.quorum.chain_id,
            "epoch": self.quorum.epoch,
            "quorum": self.quorum.quorum,
            "stakes": self.stakes.iter().map(u128::to_string).collect::<Vec<_>>(),
            "draw": hex(&self.seats.draw().0.0),
            "rows": self.rows,
            "seatOfRowSha256": hex(&sha256(&[&seats])),
            "seatOfRow": some,
            "seats": assignment.holders(),
            "lastSeat": hex(&self.seats.seats().last().unwrap().encode()),
            "seatRoot": hex(&self.committee.seat_root.0),
            "committee": hex(&self.committee.encode()),
            "committeeHash": hex(&self.committee.hash().0),
            "certificate": hex(&shown.certificate.encode()),
            "signature": hex(&signature_point(&shown.certificate.signature).unwrap()),
            "absentSeats": absent,
            "absent": hex(&shown.absent()),
            "weight": shown.weight(),
        })
    }
}

fn path() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)
}

/// [D-31] to [D-38] The crate gives the known answers.
#[test]
fn answers_are_the_known_ones() {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    assert_eq!(file["keys"], json!(keys()));
    for (place, (holders, absent)) in CASES.into_iter().enumerate() {
        let answers = World::new(holders).answers(absent);
        let known = file["quorums"][place].as_object().unwrap();
        assert_eq!(known.len(), answers.as_object().unwrap().len());
        for (name, known) in known {
            assert_eq!(&answers[name], known, "{name} of {holders} holders");
        }
    }
}

/// [D-37], [D-38] Certificates weigh what was signed for, whoever is absent; they come back from their
/// bytes, and agree with a check by all keys.
#[test]
fn certificates_weigh_what_was_signed() {
    for (holders, absent) in CASES {
        let world = World::new(holders);
        let shown = world.shown(absent);
        let bytes = shown.encode();
        assert_eq!(Shown::decode(&bytes).as_ref(), Ok(&shown));
        let weight = shown.certificate.weight(&world.seats.assignment());
        assert_eq!(weigh(&bytes).map(usize::from), Some(weight));
        let all = world.seats.holders().unwrap();
        assert_eq!(shown.certificate.verify(&all, Threshold::LEAST), Ok(()));
    }
}

/// [D-36] to [D-38] No byte of what is shown can be another, unless the committee's hash is another.
#[test]
fn flipped_bytes_weigh_nothing() {
    let world = World::new(40);
    let bytes = world.shown(&[0, 7, 8, 39]).encode();
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        let believed = weigh(&other).is_some();
        let committee = Committee::decode(&other[..342]);
        let known = committee.is_ok_and(|other| other.hash() == world.committee.hash());
        assert!(!(believed && known), "byte {at}");
    }
    assert_eq!(weigh(&bytes[1..]), None);
    assert_eq!(weigh(&bytes[..bytes.len() - 1]), None);
    assert_eq!(weigh(&[&bytes[..], &[0]].concat()), None);
}

/// [D-38] Each refusal has its name.
#[test]
fn refusals() {
    let world = World::new(16);
    let least = Threshold::LEAST;
    let mut shown = world.shown(&[3]);
    shown.committee.quorum.epoch += 1;
    assert_eq!(shown.verify(least), Err(SigningRefusal::Quorum));
    let mut shown = world.shown(&[3]);
    shown.absent[0].rows -= 1;
    assert_eq!(shown.verify(least), Err(SigningRefusal::Seats));
    let mut shown = world.shown(&[3]);
    shown.siblings.pop();
    assert_eq!(shown.verify(least), Err(SigningRefusal::Seats));
    let mut shown = world.shown(&[3]);
    shown.siblings.push(Hash32([0; 32]));
    assert_eq!(shown.verify(least), Err(SigningRefusal::Seats));
    let mut shown = world.shown(&[3]);
    shown.absent.clear();
    assert_eq!(shown.verify(least), Err(SigningRefusal::Seats));
    let mut shown = world.shown(&[3]);
    shown.certificate.statement.expiry += 1;
    assert_eq!(shown.verify(least), Err(SigningRefusal::Signature));
    let few: Vec<usize> = (0..16).filter(|seat| seat % 2 == 1).collect();
    let shown = world.shown(&few);
    let (got, want) = (shown.weight(), 2049);
    assert!(got < want.into());
    assert_eq!(
        shown.verify(least),
        Err(SigningRefusal::Weight { got, want })
    );
    let mut shown = world.shown(&[]);
    shown.committee.sum.0[0] = 1;
    let encoding = SigningRefusal::Key(PointRefusal::Encoding);
    assert_eq!(shown.verify(least), Err(encoding));
}

/// [D-38] A holder with two opposite keys, neither of which signs, spoils nobody's certificate.
#[test]
fn opposite_keys_spoil_nothing() {
    let secrets: Vec<HolderSecret> = (1..5)
        .map(|byte| HolderSecret::from_seed(&[byte; 32]))
        .collect();
    let mut opposite = secrets[2].key().to_bytes();
    opposite[0] ^= 0x20;
    let keys = [
        secrets[0].key(),
        secrets[1].key(),
        secrets[2].key(),
        HolderKey::known(&opposite).unwrap(),
    ];
    let world = World::new(5);
    let seats = keys.iter().zip([1500, 1000, 272, 300]);
    let seats = seats.map(|(key, rows)| Seat::new(key, rows)).collect();
    let seats = Seats::new(world.quorum, world.seats.draw(), seats).unwrap();
    let statement = world.statement();
    let signatures = [0, 1].map(|seat| (seat, secrets[seat].sign(&statement)));
    let certificate = Certificate::sum(statement, &seats.assignment(), &signatures).unwrap();
    let shown = Shown::new(seats.committee().unwrap(), &seats, certificate);
    assert_eq!(shown.verify(Threshold::LEAST), Ok(2500));
}

/// [D-35] Points come back as the keys they are of, and bytes that are none are refused.
#[test]
fn points_are_keys() {
    let key = HolderSecret::from_seed(&[9; 32]).key();
    let point = key.to_point();
    assert_eq!(HolderKey::at(&point), Ok(key));
    for at in 0..256 {
        let mut other = point;
        other.0[at] ^= 0x21;
        assert!(HolderKey::at(&other).is_err(), "byte {at}");
    }
    assert!(HolderKey::at(&KeyPoint([0; 256])).is_err());
}

proptest! {
    /// Whatever the stakes, all rows are given, and nobody has fewer than its stake pays for, nor, with
    /// the lots that fell to it, more than were drawn.
    #[test]
    fn any_stakes_give_all_rows(
        stakes in prop::collection::vec(0_u128..(1 << 101), 1..=340),
        beacon: [u8; 32],
    ) {
        let quorum = World::new(1).quorum;
        let total: u128 = stakes.iter().sum();
        prop_assume!(total > 0);
        let draw = Draw::new(&beacon, &quorum);
        let rows = draw.rows(&stakes).unwrap();
        let floors: Vec<u128> = stakes.iter().map(|stake| stake * 3072 / total).collect();
        let lots = 3072 - floors.iter().sum::<u128>();
        let given: u128 = rows.iter().map(|rows| u128::from(*rows)).sum();
        prop_assert_eq!(given, 3072);
        prop_assert!(lots < u128::try_from(stakes.len()).unwrap());
        for (rows, floor) in rows.iter().zip(floors) {
            prop_assert!((floor..=floor + lots).contains(&u128::from(*rows)));
        }
        let seated: Vec<u16> = rows.into_iter().filter(|rows| *rows > 0).collect();
        prop_assert_eq!(draw.assignment(&seated).holders(), seated.len());
    }
}

/// Keys and proofs of their possession, as contracts take them.
fn keys() -> Vec<Value> {
    let secrets =
        (0..6_u32).map(|holder| HolderSecret::from_seed(&sha256(&[&holder.to_be_bytes()])));
    let keys = secrets.map(|secret| {
        json!({
            "key": hex(&secret.key().to_point().0),
            "compressed": hex(&secret.key().to_bytes()),
            "possession": hex(&signature_point(&secret.possession()).unwrap()),
        })
    });
    keys.collect()
}

/// Writes the file anew: only when the format is another.
///
///     cargo test -p lode-proofs --features da,bls --test da_committee -- --ignored
#[test]
#[ignore = "writes the vectors"]
fn write() {
    let quorums = CASES.map(|(holders, absent)| World::new(holders).answers(absent));
    let file = json!({
        "what": "Quorums drawn from stakes, their committees, and certificates shown to whoever knows their hash",
        "secrets": "holder i has the secret of key material SHA-256(i as 4 bytes, big-endian); seats are the holders with rows",
        "keys": keys(),
        "quorumCount": quorums.len(),
        "quorums": quorums,
    });
    std::fs::write(path(), serde_json::to_string_pretty(&file).unwrap() + "\n").unwrap();
}
