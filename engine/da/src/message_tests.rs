//! Messages come back as they were, and any other bytes are refused by name.

use proptest::{collection::vec, prelude::*};

use super::*;

fn hash() -> impl Strategy<Value = Hash32> {
    any::<[u8; 32]>().prop_map(Hash32)
}

fn some_bytes(most: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..most).prop_map(Bytes::from)
}

fn rows() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::btree_set(0..3072_u16, 1..40).prop_map(|rows| rows.into_iter().collect())
}

fn asks() -> impl Strategy<Value = Ask> {
    prop_oneof![
        hash().prop_map(Ask::Describe),
        (hash(), rows()).prop_map(|(container, rows)| Ask::Fetch { container, rows }),
        (any::<[u8; 20]>(), hash()).prop_map(|(quorum, blob)| Ask::Locate {
            quorum: Quorum::decode(&quorum),
            blob,
        }),
        vec(hash(), 1..=HAS_MAX).prop_map(Ask::Has),
    ]
}

fn answers() -> impl Strategy<Value = Answer> {
    let described = (
        vec(any::<u8>(), 169),
        some_bytes(300),
        some_bytes(500),
        some_bytes(500),
    );
    prop_oneof![
        described.prop_map(|(statement, certificate, table, checks)| {
            Answer::Described(Described {
                statement: statement.try_into().unwrap(),
                certificate,
                table,
                checks,
            })
        }),
        (rows(), vec(hash(), 0..50), some_bytes(900)).prop_map(|(rows, siblings, bytes)| {
            Answer::Rows(Rows {
                rows,
                siblings,
                bytes,
            })
        }),
        (hash(), any::<u16>()).prop_map(|(container, place)| Answer::Located { container, place }),
        any::<u64>().prop_map(Answer::Having),
        Just(Answer::Lack),
    ]
}

fn messages() -> impl Strategy<Value = Message> {
    let why = proptest::sample::select(&Refused::ALL[..]);
    prop_oneof![
        (vec(any::<u8>(), 169), any::<u32>(), some_bytes(999)).prop_map(
            |(statement, table_len, sliver)| Message::Offer(Offer {
                statement: statement.try_into().unwrap(),
                table_len,
                sliver,
            })
        ),
        (hash(), any::<u32>(), 1..=16_u8).prop_map(|(container, part, count)| {
            Message::Pull(Pull {
                container,
                part,
                count,
            })
        }),
        (hash(), any::<u32>(), vec(any::<u8>(), 1..999)).prop_map(|(container, part, bytes)| {
            Message::Part(Part {
                container,
                part,
                bytes: bytes.into(),
            })
        }),
        (hash(), vec(any::<u8>(), 48)).prop_map(|(container, signature)| Message::Signed {
            container,
            signature: signature.try_into().unwrap(),
        }),
        (hash(), why).prop_map(|(container, why)| Message::Refused { container, why }),
        vec(any::<u8>(), 217..260).prop_map(|bytes| Message::Certified(bytes.into())),
        (any::<u64>(), asks()).prop_map(|(id, ask)| Message::Ask { id, ask }),
        (any::<u64>(), answers()).prop_map(|(id, answer)| Message::Answer { id, answer }),
    ]
}

proptest! {
    /// What is said is what is heard, and has one form: fewer bytes are no message, and neither are more
    /// where the last of them are not free.
    #[test]
    fn come_back(message in messages(), cut in any::<prop::sample::Index>()) {
        let bytes: Bytes = message.encode().concat().into();
        prop_assert_eq!(Message::decode(bytes.clone()), Ok(message.clone()));
        let free = matches!(
            message,
            Message::Offer(_) | Message::Part(_) | Message::Certified(_)
                | Message::Answer { answer: Answer::Described(_) | Answer::Rows(_), .. }
        );
        if !free {
            let more = [&bytes[..], &[0]].concat();
            prop_assert_eq!(Message::decode(more.into()), Err(Malformed::Length));
            let less = bytes.slice(..cut.index(bytes.len()));
            prop_assert_eq!(Message::decode(less), Err(Malformed::Length));
        }
    }

    /// Any bytes are a message that has them as its form, or none.
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400), kind in 0..16_u8) {
        let mut bytes = bytes;
        bytes.splice(..0, [1, kind]);
        if let Ok(message) = Message::decode(bytes.clone().into()) {
            prop_assert_eq!(message.encode().concat(), bytes);
        }
    }
}

/// Each refusal has its name.
#[test]
fn refusals() {
    let decode = |bytes: &[u8]| Message::decode(Bytes::copy_from_slice(bytes)).unwrap_err();
    assert_eq!(decode(&[]), Malformed::Length);
    assert_eq!(decode(&[2, 0]), Malformed::Version(2));
    assert_eq!(decode(&[1, 15]), Malformed::Kind(15));
    assert_eq!(
        decode(&[&[1, 200][..], &[0; 8]].concat()),
        Malformed::Kind(200)
    );
    let pull = |count| [&[1, 1][..], &[0; 36], &[count]].concat();
    assert_eq!(decode(&pull(0)), Malformed::Count(0));
    assert_eq!(decode(&pull(17)), Malformed::Count(17));
    assert_eq!(
        decode(&[&[1, 4][..], &[0; 32], &[5]].concat()),
        Malformed::Why(5)
    );
    assert_eq!(
        decode(&[&[1, 9][..], &[0; 8], &[65]].concat()),
        Malformed::Count(65)
    );
    let fetch = |rows: &[u8]| [&[1, 7][..], &[0; 40], rows].concat();
    assert_eq!(decode(&fetch(&[0, 0])), Malformed::Count(0));
    assert_eq!(decode(&fetch(&[0, 2, 0, 1, 0, 1])), Malformed::Rows);
    assert_eq!(decode(&fetch(&[0, 1, 12, 0])), Malformed::Rows);
}
