//! What storage nodes say to each other: what decodes has one encoding, and keeps its bounds.

use lode_peers::{
    bounds::WANT_MAX,
    message::{Have, Hello, Lack, MESSAGE_LEN_MAX, Message, SIBLINGS_MAX, Want},
};
use lode_proofs::{BlobShape, CHUNK_LEN, Hash32};
use lode_wire::Slice;

use super::Target;

/// Reads a message.
pub const TARGET: Target = Target {
    name: "peer_message",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    let Ok(message) = Message::decode(data.to_vec().into()) else {
        return;
    };
    assert!(data.len() <= MESSAGE_LEN_MAX);
    assert_eq!(message.encode().concat(), data, "one encoding each");
    match message {
        Message::Hello(hello) => {
            assert!(hello.complete_below <= hello.next_seq);
            assert!(hello.slice.count().is_power_of_two());
        }
        Message::Want(want) => {
            let chunks = BlobShape::new(want.size).expect("not empty").chunks();
            assert!(ascends(&want.indices) && want.indices.iter().all(|index| *index < chunks));
        }
        Message::Have(have) => {
            assert!(have.siblings.len() <= SIBLINGS_MAX);
            assert!((1..=CHUNK_LEN).contains(&have.bytes.len()));
        }
        Message::Lack(lack) => assert!(ascends(&lack.indices)),
    }
}

fn ascends(indices: &[u64]) -> bool {
    (1..=WANT_MAX).contains(&indices.len()) && indices.is_sorted_by(|left, right| left < right)
}

fn seeds() -> Vec<Vec<u8>> {
    let messages = [
        Message::Hello(Hello {
            slice: Slice::new(1, 4).expect("it exists"),
            next_seq: 9,
            complete_below: 7,
        }),
        Message::Want(Want {
            id: 3,
            root: Hash32([5; 32]),
            size: 20 << 18,
            indices: vec![0, 3, 19],
        }),
        Message::Have(Have {
            id: 3,
            index: 19,
            chunk_root: Hash32([6; 32]),
            siblings: vec![Hash32([7; 32]), Hash32([8; 32])],
            bytes: vec![9; 300].into(),
        }),
        Message::Lack(Lack {
            id: 3,
            indices: vec![0, 3],
        }),
    ];
    messages
        .iter()
        .map(|message| message.encode().concat())
        .collect()
}
