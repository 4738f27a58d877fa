//! Committees are what was dealt, and lists from strangers are cut to what is usable.

use super::*;
use crate::simulation::toy;

fn addresses(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("10.0.0.{at}:3000")).collect()
}

/// The same randomness gives the same keys, other randomness others.
#[test]
fn deals_alike() {
    let (first, secrets) = deal(B256::repeat_byte(1), &addresses(4)).expect("good addresses");
    let (again, same) = deal(B256::repeat_byte(1), &addresses(4)).expect("good addresses");
    let (other, _) = deal(B256::repeat_byte(2), &addresses(4)).expect("good addresses");
    assert_eq!(first.round(), again.round());
    assert_ne!(first.group_key(), other.group_key());
    for (secret, same) in secrets.iter().zip(&same) {
        assert_eq!(secret.key, same.key);
        assert_eq!(secret.share, same.share);
    }
}

/// A chain's first block gives its committee back: members, addresses and key.
#[test]
fn comes_back_from_the_first_block() {
    let names = ["127.0.0.1:30".to_owned(), "one.example.org:31".to_owned()];
    let (committee, secrets) = deal(B256::ZERO, &names).expect("good addresses");
    let genesis = toy::build(None, committee.round(), &Bytes::new());
    let again = Committee::of(&genesis).expect("it carries one");
    assert_eq!(again.group_key(), committee.group_key());
    let mut expected: Vec<Validator> = secrets
        .iter()
        .zip(names)
        .map(|(secret, address)| Validator {
            key: secret.public_key(),
            address,
        })
        .collect();
    expected.sort_by_key(|validator| validator.key);
    let mut members = again.validators();
    members.sort_by_key(|validator| validator.key);
    assert_eq!(members, expected);
    let without = toy::build(None, Round::default(), &Bytes::new());
    assert_eq!(Committee::of(&without).err(), Some(Error::Genesis));
}

/// Nobody, too many and bad addresses are refused.
#[test]
fn refuses() {
    assert_eq!(deal(B256::ZERO, &[]).err(), Some(Error::Members(0)));
    assert_eq!(
        deal(B256::ZERO, &addresses(101)).err(),
        Some(Error::Members(101))
    );
    for bad in ["", "localhost", "a b:1", "localhost:70000"] {
        let refused = deal(B256::ZERO, &[bad.to_owned()]).err();
        assert_eq!(refused, Some(Error::Address(bad.to_owned())));
    }
}

/// Of a list from strangers the keys that are none, bad addresses and repetitions are left out.
#[test]
fn leaves_out_the_unusable() {
    let (committee, _) = deal(B256::ZERO, &addresses(2)).expect("good addresses");
    let good = committee.validators();
    let list = vec![
        good[0].clone(),
        Validator {
            key: B256::repeat_byte(2),
            address: "10.0.0.9:1".to_owned(),
        },
        Validator {
            address: "nowhere".to_owned(),
            ..good[1].clone()
        },
        good[0].clone(),
        good[1].clone(),
    ];
    let usable: Vec<B256> = usable(list).iter().map(|(key, _)| key_of(key)).collect();
    assert_eq!(usable, [good[0].key, good[1].key]);
}
