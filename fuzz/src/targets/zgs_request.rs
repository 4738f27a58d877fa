//! Chunks as 0G's clients send them, in gRPC and in JSON: what is read comes back unchanged, and takes no
//! more than twice its bytes.

use lode_wire::Segment;
use lode_zgs::grpc::{
    message::{Upload, read, to_proto},
    proto::{DataRoot, FileProof, SegmentWithProof, UploadSegmentsByTxSeqRequest},
};
use prost::Message as _;

use super::Target;

/// Reads a request.
pub const TARGET: Target = Target {
    name: "zgs_request",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(upload) = read(data) {
        assert!(memory(&upload) <= 2 * data.len(), "it grows");
        let again = encoded(&upload);
        assert_eq!(read(&again).expect("what we wrote"), upload);
    }
    if let Ok(segment) = serde_json::from_slice::<Segment>(data) {
        let again = serde_json::to_vec(&segment).expect("a value");
        let again: Segment = serde_json::from_slice(&again).expect("what we wrote");
        assert_eq!(again, segment);
    }
}

fn encoded(upload: &Upload) -> Vec<u8> {
    let request = UploadSegmentsByTxSeqRequest {
        segments: upload.segments.iter().map(to_proto).collect(),
        tx_seq: upload.seq,
    };
    request.encode_to_vec()
}

fn memory(upload: &Upload) -> usize {
    let of = |segment: &Segment| {
        let Segment { data, proof, .. } = segment;
        size_of::<Segment>() + data.len() + 32 * proof.lemma.len() + proof.path.len()
    };
    upload.segments.iter().map(of).sum()
}

fn seeds() -> Vec<Vec<u8>> {
    let hash = |byte: u8| vec![byte; 32];
    let segment = SegmentWithProof {
        root: Some(DataRoot { value: hash(1) }),
        data: vec![7; 256],
        index: 3,
        proof: Some(FileProof {
            lemma: vec![hash(2), hash(3), hash(1)],
            path: vec![true],
        }),
        file_size: 1 << 20,
    };
    let request = UploadSegmentsByTxSeqRequest {
        segments: vec![segment; 2],
        tx_seq: 9,
    };
    let bytes = request.encode_to_vec();
    let upload = read(&bytes).expect("a valid request");
    let json = serde_json::to_vec(&upload.segments[0]).expect("a value");
    vec![bytes, json]
}
