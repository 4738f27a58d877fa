//! Messages as bytes: what is written is read, what is read has one encoding, and what breaks a rule is
//! refused by its name.

use proptest::{collection::btree_set, prelude::*};

use super::*;

fn hash() -> impl Strategy<Value = Hash32> {
    any::<[u8; 32]>().prop_map(Hash32)
}

fn ascending() -> impl Strategy<Value = Vec<u64>> {
    btree_set(0..1u64 << 20, 1..=WANT_MAX).prop_map(|set| set.into_iter().collect())
}

fn any_hello() -> impl Strategy<Value = Message> {
    (0u32..64, any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(bits, id, one, other)| {
        let count = 1u64 << bits;
        Message::Hello(Hello {
            slice: Slice::new(id % count, count).unwrap(),
            next_seq: one.max(other),
            complete_below: one.min(other),
        })
    })
}

fn any_have() -> impl Strategy<Value = Message> {
    let siblings = proptest::collection::vec(hash(), 0..=SIBLINGS_MAX);
    let bytes = proptest::collection::vec(any::<u8>(), 1..600);
    (any::<u64>(), any::<u64>(), hash(), siblings, bytes).prop_map(
        |(id, index, chunk_root, siblings, bytes)| {
            Message::Have(Have {
                id,
                index,
                chunk_root,
                siblings,
                bytes: bytes.into(),
            })
        },
    )
}

fn any_message() -> impl Strategy<Value = Message> {
    let want = (any::<u64>(), hash(), ascending()).prop_map(|(id, root, indices)| {
        let size = (indices.last().unwrap() + 1) * 262_144;
        Message::Want(Want {
            id,
            root,
            size,
            indices,
        })
    });
    let lack = (any::<u64>(), ascending());
    let lack = lack.prop_map(|(id, indices)| Message::Lack(Lack { id, indices }));
    prop_oneof![any_hello(), want, any_have(), lack]
}

fn joined(message: &Message) -> Vec<u8> {
    message.encode().concat()
}

fn decode(bytes: &[u8]) -> Result<Message, Malformed> {
    Message::decode(Bytes::copy_from_slice(bytes))
}

proptest! {
    /// What is written is read, and nothing shorter or longer is, but a chunk's own bytes.
    #[test]
    fn reads_what_it_wrote(message in any_message()) {
        let bytes = joined(&message);
        prop_assert!(bytes.len() <= MESSAGE_LEN_MAX);
        prop_assert_eq!(decode(&bytes), Ok(message.clone()));
        if !matches!(message, Message::Have(_)) {
            prop_assert!(decode(&bytes[..bytes.len() - 1]).is_err());
            prop_assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    /// Any bytes are refused, or are the one encoding of what they say.
    #[test]
    fn has_one_encoding(message in any_message(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = joined(&message);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(joined(&read), bytes);
        }
    }
}

/// The bytes of each kind are what the drawing says: a change of them is a new version.
#[test]
fn is_as_drawn() {
    let slice = Slice::new(1, 2).unwrap();
    let hello = Message::Hello(Hello {
        slice,
        next_seq: 5,
        complete_below: 4,
    });
    let mut want = vec![1, 0];
    for number in [1u64, 2, 5, 4] {
        want.extend(number.to_le_bytes());
    }
    assert_eq!(joined(&hello), want);
    let lack = Message::Lack(Lack {
        id: 7,
        indices: vec![1, 3],
    });
    let numbers = [1u64.to_le_bytes(), 3u64.to_le_bytes()].concat();
    let drawn = [&[1, 3][..], &7u64.to_le_bytes(), &[2], &numbers].concat();
    assert_eq!(joined(&lack), drawn);
    let have = Message::Have(Have {
        id: 7,
        index: 9,
        chunk_root: Hash32([1; 32]),
        siblings: vec![Hash32([2; 32])],
        bytes: Bytes::from_static(b"chunk"),
    });
    let (id, index) = (7u64.to_le_bytes(), 9u64.to_le_bytes());
    let drawn = [&[1, 2][..], &id, &index, &[1], &[1; 32], &[2; 32], b"chunk"].concat();
    assert_eq!(joined(&have), drawn);
}

/// Every rule has its own refusal.
#[test]
fn refuses_by_name() {
    let want = |size: u64, indices: &[u64]| {
        let mut bytes = [&[1, 1][..], &[0; 8], &[7; 32], &size.to_le_bytes()].concat();
        bytes.push(u8::try_from(indices.len()).unwrap());
        bytes.extend(indices.iter().flat_map(|index| index.to_le_bytes()));
        decode(&bytes).unwrap_err()
    };
    assert_eq!(want(0, &[0]), Malformed::Empty);
    assert_eq!(want(1, &[1]), Malformed::Index(1));
    assert_eq!(want(1 << 30, &[2, 1]), Malformed::Order);
    assert_eq!(want(1 << 30, &[1, 1]), Malformed::Order);
    assert_eq!(want(1, &[]), Malformed::Count(0));
    assert_eq!(want(1 << 40, &[0; 17]), Malformed::Count(17));
    assert_eq!(decode(&[2, 0]), Err(Malformed::Version(2)));
    assert_eq!(decode(&[1, 4]), Err(Malformed::Kind(4)));
    assert_eq!(decode(&[]), Err(Malformed::Length));
    let mut hello = [&[1, 0][..], &[0; 32]].concat();
    let none = SliceError { id: 0, count: 0 };
    assert_eq!(decode(&hello), Err(Malformed::Slice(none)));
    hello[26] = 1;
    let complete = Malformed::Complete {
        complete_below: 1,
        next_seq: 0,
    };
    assert_eq!(decode(&hello), Err(complete));
    let head = |siblings: u8| [&[1, 2][..], &[0; 16], &[siblings], &[0; 32]].concat();
    assert_eq!(decode(&head(0)), Err(Malformed::Length), "no bytes");
    assert_eq!(decode(&head(47)), Err(Malformed::Siblings(47)));
    let long = [head(0), vec![0; CHUNK_LEN + 1]].concat();
    assert_eq!(decode(&long), Err(Malformed::Length));
}
