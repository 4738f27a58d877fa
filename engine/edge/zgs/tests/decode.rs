//! Requests from outside, decoded: whatever the bytes are, they are refused or lead to a value that comes
//! back unchanged, and that is about as large as they are.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use lode_wire::Segment;
use lode_zgs::grpc::{
    message::{Upload, read, to_proto},
    proto::UploadSegmentsByTxSeqRequest,
};
use proptest::prelude::*;
use prost::Message as _;
use world::{Blob, CHUNK};

fn encoded(upload: &Upload) -> Vec<u8> {
    let request = UploadSegmentsByTxSeqRequest {
        segments: upload.segments.iter().map(to_proto).collect(),
        tx_seq: upload.seq,
    };
    request.encode_to_vec()
}

/// Bytes of memory that a decoded message takes, but for what allocators add.
fn memory(upload: &Upload) -> usize {
    let of = |segment: &Segment| {
        let Segment { data, proof, .. } = segment;
        size_of::<Segment>() + data.len() + 32 * proof.lemma.len() + proof.path.len()
    };
    upload.segments.iter().map(of).sum()
}

/// What the fuzz target promises, too.
fn check(bytes: &[u8]) {
    if let Ok(upload) = read(bytes) {
        assert!(memory(&upload) <= 2 * bytes.len());
        assert_eq!(read(&encoded(&upload)).unwrap(), upload);
    }
    if let Ok(segment) = serde_json::from_slice::<Segment>(bytes) {
        let again = serde_json::to_vec(&segment).unwrap();
        assert_eq!(serde_json::from_slice::<Segment>(&again).unwrap(), segment);
    }
}

fn upload() -> Upload {
    let (one, two) = (Blob::new(1, 3 * CHUNK + 700), Blob::new(2, 300));
    Upload {
        segments: vec![one.segment(3), two.segment(0)],
        seq: 300,
    }
}

/// What is sent is what is read.
#[test]
fn comes_back() {
    let upload = upload();
    assert_eq!(read(&encoded(&upload)).unwrap(), upload);
    check(&serde_json::to_vec(&upload.segments[0]).unwrap());
    // Fields that this version does not know are passed over.
    let later = [encoded(&upload), vec![0x1a, 1, 7, 0x20, 9]].concat();
    assert_eq!(read(&later).unwrap(), upload);
    assert_eq!(read(&[]).unwrap().segments, []);
}

/// Every beginning of a message, and every byte of it changed, is refused or means something else.
#[test]
fn every_byte() {
    let bytes = encoded(&upload());
    for len in 0..bytes.len() {
        check(&bytes[..len]);
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x81;
        check(&bytes);
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes);
    }

    /// Valid messages with bytes changed, put in and taken out.
    #[test]
    fn mutated(
        json in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6),
    ) {
        let upload = upload();
        let mut bytes = match json {
            true => serde_json::to_vec(&upload.segments[1]).unwrap(),
            false => encoded(&upload),
        };
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        check(&bytes);
    }
}

/// Lists whose entries take two bytes on the wire are refused before they are built.
#[test]
fn nothing_grows() {
    let entries = |tag: u8, count: usize| [tag, 0].repeat(count);
    assert!(read(&entries(0x0a, 1_000_000)).is_err());
    // A proof of empty hashes, in a segment that is long enough.
    let lemma = entries(0x0a, 1_000);
    let mut segment = vec![0x22];
    prost::encoding::encode_varint(u64::try_from(lemma.len()).unwrap(), &mut segment);
    segment.extend(lemma);
    let mut message = vec![0x0a];
    prost::encoding::encode_varint(u64::try_from(segment.len()).unwrap(), &mut message);
    message.extend(segment);
    let why = read(&message).unwrap_err().to_string();
    assert!(why.contains("Invalid hash length: got 0, want 32"), "{why}");
}
