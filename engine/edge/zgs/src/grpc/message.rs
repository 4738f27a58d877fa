//! A message before it is decoded: whether what it would become is about as large as it is. A list of
//! empty entries takes two bytes for each on the wire and a hundred in memory, so that a hundred
//! megabytes of them could take all there is.

use lode_proofs::{Hash32, SECTOR_LEN, WireProof};
use lode_wire::{Segment, text};
use prost::{
    Message as _,
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

use super::proto;
use crate::refusal::Refusal;

/// Steps of a proof, at most: those of a tree over 2^64 leaves.
const STEPS_MAX: usize = 64;

/// Hashes of a proof, at most: a leaf, one for each step, the root.
const LEMMA_MAX: usize = STEPS_MAX + 2;

const HASH_LEN: usize = 32;

/// Field numbers of `proto/zgs_grpc.proto`.
const SEGMENTS: u32 = 1;
const PROOF: u32 = 4;
const LEMMA: u32 = 1;

/// Why a message is none.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no protobuf, or not of its types.
    #[error("{0}")]
    Malformed(#[from] prost::DecodeError),
    /// It holds what would be refused anyhow.
    #[error("{0}")]
    Refused(String),
}

fn refused(refusal: &Refusal) -> Unreadable {
    Unreadable::Refused(refusal.to_string())
}

/// Chunks of a submission: decoded, their parts of the sizes that they must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Chunks.
    pub segments: Vec<Segment>,
    /// The submission.
    pub seq: u64,
}

/// Reads a message. In memory it takes about twice its bytes.
///
/// # Errors
/// [`Unreadable`].
pub fn read(bytes: &[u8]) -> Result<Upload, Unreadable> {
    check(bytes)?;
    let request = proto::UploadSegmentsByTxSeqRequest::decode(bytes)?;
    upload(request)
}

/// A decoded message in our words.
pub(crate) fn upload(request: proto::UploadSegmentsByTxSeqRequest) -> Result<Upload, Unreadable> {
    let segments = request.segments.into_iter().map(segment);
    Ok(Upload {
        segments: segments.collect::<Result<_, _>>()?,
        seq: request.tx_seq,
    })
}

/// Whether a message may be decoded.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Unreadable> {
    each(bytes, |number, segment| {
        if number != SEGMENTS {
            return Ok(());
        }
        // Whatever holds no sector would be refused in these words.
        if segment.len() < SECTOR_LEN {
            return Err(refused(&Refusal::param("data", text::DATA_LENGTH)));
        }
        // A proof may come in parts, which are put together.
        let mut hashes = 0;
        each(segment, |number, proof| {
            if number != PROOF {
                return Ok(());
            }
            each(proof, |number, hash| {
                if number == LEMMA {
                    hash_of(hash)?;
                    hashes += 1;
                }
                Ok(())
            })
        })?;
        match hashes > LEMMA_MAX {
            true => Err(refused(&Refusal::param("proof", text::PROOF))),
            false => Ok(()),
        }
    })
}

/// Shows `see` the fields that hold bytes.
fn each(
    mut bytes: &[u8],
    mut see: impl FnMut(u32, &[u8]) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    while bytes.has_remaining() {
        let (number, kind) = decode_key(&mut bytes)?;
        if kind != WireType::LengthDelimited {
            skip_field(kind, number, &mut bytes, DecodeContext::default())?;
            continue;
        }
        let len = usize::try_from(decode_varint(&mut bytes)?).unwrap_or(usize::MAX);
        let Some((field, rest)) = bytes.split_at_checked(len) else {
            return Err(Unreadable::Refused("buffer underflow".to_owned()));
        };
        see(number, field)?;
        bytes = rest;
    }
    Ok(())
}

fn hash_of(bytes: &[u8]) -> Result<Hash32, Unreadable> {
    let hash: Result<[u8; HASH_LEN], _> = bytes.try_into();
    hash.map(Hash32).map_err(|_| {
        let len = bytes.len();
        let why = format!("Invalid segment: Invalid hash length: got {len}, want {HASH_LEN}");
        Unreadable::Refused(why)
    })
}

/// A chunk in our words.
fn segment(segment: proto::SegmentWithProof) -> Result<Segment, Unreadable> {
    // 0G's node ends where one of these is missing.
    let missing = |field| refused(&Refusal::param(field, "it is missing"));
    let root = segment.root.ok_or_else(|| missing("root"))?;
    let proof = segment.proof.ok_or_else(|| missing("proof"))?;
    // A field that comes twice counts once, so the message may be longer than what is left of it.
    if segment.data.len() < SECTOR_LEN {
        return Err(refused(&Refusal::param("data", text::DATA_LENGTH)));
    }
    if proof.path.len() > STEPS_MAX {
        return Err(refused(&Refusal::param("proof", text::PROOF)));
    }
    let lemma = proof.lemma.iter().map(|hash| hash_of(hash));
    Ok(Segment {
        root: hash_of(&root.value)?,
        data: segment.data.into(),
        index: segment.index,
        proof: WireProof {
            lemma: lemma.collect::<Result<_, _>>()?,
            path: proof.path,
        },
        file_size: segment.file_size,
    })
}

/// A chunk as it goes over the wire.
#[must_use]
pub fn to_proto(segment: &Segment) -> proto::SegmentWithProof {
    let bytes = |hash: &Hash32| hash.0.to_vec();
    proto::SegmentWithProof {
        root: Some(proto::DataRoot {
            value: bytes(&segment.root),
        }),
        data: segment.data.to_vec(),
        index: segment.index,
        proof: Some(proto::FileProof {
            lemma: segment.proof.lemma.iter().map(bytes).collect(),
            path: segment.proof.path.clone(),
        }),
        file_size: segment.file_size,
    }
}
