//! The bytes of a proof, and of a proof file.
//!
//! ```text
//! proof                                   proof file
//!   0  magic     8  "LODEPRF", 0x01         0  magic  8  "LODEPFL", 0x01
//!   8  size      8  bytes of the blob       8  data?  8  1 if the chunk follows, or 0
//!  16  index     8  which chunk            16  proof     as on the left
//!  24  root     32  of the blob             …  data      exactly the chunk's bytes
//!  56  chunk    32  root of the chunk
//!  88  siblings 32 each, bottom to top
//!   …  check     8  start of keccak256 of all before
//! ```
//!
//! Numbers are little-endian. The number of siblings, their sides, and the
//! length of the data follow from size and index, so they are not stored, and
//! each proof has exactly one valid byte string. The eighth byte of a magic is
//! its version.
//!
//! Decoding trusts nothing: it knows the one length that is right before it
//! takes memory (at most [`ChunkProof::ENCODED_LEN_MAX`]), and what it returns
//! has been verified. The check finds rot in the one field that the root does
//! not bind (see [`crate::ChunkProof`]: the exact size); it is no signature.

use alloc::vec::Vec;

use crate::hash32::Hash32;
use crate::keccak::keccak256;
use crate::path::{SIBLINGS_MAX, siblings};
use crate::proof::{BlobId, ChunkProof, VerifiedChunk};
use crate::refusal::Refusal;
use crate::shape::{BlobShape, CHUNK_LEN};

const PROOF_MAGIC: [u8; 8] = *b"LODEPRF\x01";
const FILE_MAGIC: [u8; 8] = *b"LODEPFL\x01";

const PROOF_HEAD_LEN: usize = 88;
const FILE_HEAD_LEN: usize = 16;
const HASH_LEN: usize = 32;
const CHECK_LEN: usize = 8;

/// Why bytes are not a proof or a proof file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes start with another magic.
    #[error("these bytes are not a {wanted}; check that it is the right file")]
    Magic {
        /// What was to be decoded.
        wanted: &'static str,
    },
    /// Right magic, unknown version.
    #[error("version {found} of this format is not known here; use a newer release to read it")]
    Version {
        /// The version found.
        found: u8,
    },
    /// Bytes are missing or left over.
    #[error("{got} bytes, where {want} are needed; the bytes were cut or something was appended")]
    Length {
        /// Bytes found.
        got: usize,
        /// Bytes that size and index imply, or at least this many if the bytes
        /// end before those fields.
        want: usize,
    },
    /// The mark that says whether data follows is neither 0 nor 1.
    #[error("the data mark is {found}, not 0 or 1; the file was damaged")]
    DataMark {
        /// The mark found.
        found: u64,
    },
    /// The check over the proof's bytes does not fit them.
    #[error("the check does not fit the proof's bytes; they were damaged, get the proof again")]
    Check,
    /// Well-formed, but not true.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl ChunkProof {
    /// Bytes of the longest encoded proof.
    pub const ENCODED_LEN_MAX: usize = PROOF_HEAD_LEN + SIBLINGS_MAX * HASH_LEN + CHECK_LEN;

    /// The one byte string of this proof.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(proof_len(self.siblings().len()));
        bytes.extend_from_slice(&PROOF_MAGIC);
        bytes.extend_from_slice(&self.blob().shape.size().to_le_bytes());
        bytes.extend_from_slice(&self.index().to_le_bytes());
        bytes.extend_from_slice(self.blob().root.as_bytes());
        bytes.extend_from_slice(self.chunk_root().as_bytes());
        for sibling in self.siblings() {
            bytes.extend_from_slice(sibling.as_bytes());
        }
        bytes.extend_from_slice(&check(&bytes));
        bytes
    }

    /// Reads and verifies a proof.
    ///
    /// # Errors
    /// [`DecodeError`]; bytes after the proof are one of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (proof, rest) = decode_proof(bytes)?;
        if rest.is_empty() {
            return Ok(proof);
        }
        Err(DecodeError::Length {
            got: bytes.len(),
            want: bytes.len() - rest.len(),
        })
    }
}

/// A self-contained proof for an auditor: a proof, and the chunk itself if it
/// travels along. One that exists has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile<'data> {
    proof: ChunkProof,
    data: Option<&'data [u8]>,
}

impl<'data> ProofFile<'data> {
    /// Bytes of the longest proof file: read no more than this.
    pub const ENCODED_LEN_MAX: usize = FILE_HEAD_LEN + ChunkProof::ENCODED_LEN_MAX + CHUNK_LEN;

    /// Puts a proof, and the chunk's bytes if given, into one file.
    ///
    /// # Errors
    /// [`Refusal::DataLength`] or [`Refusal::Data`] if the bytes are not the
    /// chunk of the proof.
    pub fn new(proof: ChunkProof, data: Option<&'data [u8]>) -> Result<Self, Refusal> {
        if let Some(data) = data {
            proof.verify(data)?;
        }
        Ok(Self { proof, data })
    }

    /// The proof.
    #[must_use]
    pub const fn proof(&self) -> &ChunkProof {
        &self.proof
    }

    /// The chunk's bytes, if they travel along.
    #[must_use]
    pub fn chunk(&self) -> Option<VerifiedChunk<'data>> {
        let (blob, index) = (self.proof.blob(), self.proof.index());
        self.data.map(|data| VerifiedChunk { blob, index, data })
    }

    /// The one byte string of this file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let data = self.data.unwrap_or(&[]);
        let proof = self.proof.encode();
        let mut bytes = Vec::with_capacity(FILE_HEAD_LEN + proof.len() + data.len());
        bytes.extend_from_slice(&FILE_MAGIC);
        bytes.extend_from_slice(&u64::from(self.data.is_some()).to_le_bytes());
        bytes.extend_from_slice(&proof);
        bytes.extend_from_slice(data);
        bytes
    }

    /// Reads and verifies a proof file; the data stays where it is.
    ///
    /// # Errors
    /// [`DecodeError`]; bytes after the file are one of them.
    pub fn decode(bytes: &'data [u8]) -> Result<Self, DecodeError> {
        let mut rest = bytes;
        expect_magic(take(&mut rest, FILE_HEAD_LEN)?, FILE_MAGIC, "proof file")?;
        let with_data = match u64::from_le_bytes(take(&mut rest, FILE_HEAD_LEN)?) {
            0 => false,
            1 => true,
            found => return Err(DecodeError::DataMark { found }),
        };
        let (proof, data) = decode_proof(rest)?;
        let data_len = if with_data {
            proof.blob().shape.chunk_len(proof.index())
        } else {
            0
        };
        if data.len() != data_len {
            let want = bytes.len() - data.len() + data_len;
            return Err(DecodeError::Length {
                got: bytes.len(),
                want,
            });
        }
        Ok(Self::new(proof, with_data.then_some(data))?)
    }
}

/// Reads a proof from the front; returns what follows it.
fn decode_proof(bytes: &[u8]) -> Result<(ChunkProof, &[u8]), DecodeError> {
    let mut rest = bytes;
    expect_magic(take(&mut rest, PROOF_HEAD_LEN)?, PROOF_MAGIC, "proof")?;
    let size = u64::from_le_bytes(take(&mut rest, PROOF_HEAD_LEN)?);
    let index = u64::from_le_bytes(take(&mut rest, PROOF_HEAD_LEN)?);
    let root = Hash32(take(&mut rest, PROOF_HEAD_LEN)?);
    let chunk_root = Hash32(take(&mut rest, PROOF_HEAD_LEN)?);
    let shape = BlobShape::new(size).map_err(Refusal::from)?;
    Refusal::unless_index_in(shape, index)?;
    let steps = siblings(shape, index);
    let want = proof_len(steps.len());
    if bytes.len() < want {
        return Err(DecodeError::Length {
            got: bytes.len(),
            want,
        });
    }
    let mut found = Vec::with_capacity(steps.len());
    for _ in &steps {
        found.push(Hash32(take(&mut rest, want)?));
    }
    let checked = &bytes[..want - CHECK_LEN];
    if take(&mut rest, want)? != check(checked) {
        return Err(DecodeError::Check);
    }
    let blob = BlobId { root, shape };
    Ok((
        ChunkProof::check(blob, index, &steps, chunk_root, &found)?,
        rest,
    ))
}

const fn proof_len(siblings: usize) -> usize {
    PROOF_HEAD_LEN + siblings * HASH_LEN + CHECK_LEN
}

fn check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let digest = keccak256(bytes);
    core::array::from_fn(|place| digest[place])
}

/// Cuts `N` bytes off the front; `want` is what a refusal says was needed.
fn take<const N: usize>(rest: &mut &[u8], want: usize) -> Result<[u8; N], DecodeError> {
    let got = rest.len();
    let (front, after) = rest
        .split_first_chunk()
        .ok_or(DecodeError::Length { got, want })?;
    *rest = after;
    Ok(*front)
}

fn expect_magic(found: [u8; 8], magic: [u8; 8], wanted: &'static str) -> Result<(), DecodeError> {
    if found[..7] != magic[..7] {
        return Err(DecodeError::Magic { wanted });
    }
    if found[7] != magic[7] {
        return Err(DecodeError::Version { found: found[7] });
    }
    Ok(())
}
