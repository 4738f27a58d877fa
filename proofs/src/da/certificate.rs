//! Certificates: holders of enough rows say that they have checked and stored them.
//!
//! ```text
//!   at  bytes  field
//!    0      1  version          1
//!    1      8  chain id         all numbers big-endian, as contracts pack them
//!    9      8  epoch
//!   17      4  quorum
//!   21     32  container id
//!   53     32  row root
//!   85     32  check root
//!  117     32  namespace root
//!  149      8  length
//!  157      4  width
//!  161      8  expiry           unix seconds, end exclusive
//!  169  u / 8  signers          bit s % 8 of byte s / 8 for seat s, of u holders; rounded up
//!    …     48  signature        G1, compressed: the sum of the signers'
//!
//!  signed  SHA-256("lode/da/1 cert" | the 169 bytes before the signers)
//! ```
//! How many columns there are follows from the holders, and is bound by the container id. Feature `bls`
//! adds the module `signing`, which checks signatures.

use alloc::{vec, vec::Vec};

use super::{
    decode::{DecodeError, Reader},
    head::{Head, read_shape},
    quorum::{Assignment, QUORUM_LEN, Quorum},
    shape::{HOLDERS_MAX, ORIGINAL_ROWS, ROWS, columns},
    tree::sha256,
};
use crate::{finality::SIGNATURE_LEN, hash32::Hash32};

/// Bytes of a certificate before its signers.
pub const STATEMENT_LEN: usize = 169;
/// Bytes of the longest certificate.
pub const CERTIFICATE_LEN_MAX: usize = certificate_len(HOLDERS_MAX);

/// Bytes of a certificate by so many holders.
#[must_use]
pub const fn certificate_len(holders: usize) -> usize {
    STATEMENT_LEN + holders.div_ceil(8) + SIGNATURE_LEN
}

const VERSION: u8 = 1;
const CERTIFICATE: &[u8] = b"lode/da/1 cert";

/// What a holder signs: that it has checked its rows of a container, and keeps them until its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whose holders.
    pub quorum: Quorum,
    /// Which container.
    pub head: Head,
    /// Until when, in unix seconds, end exclusive.
    pub expiry: u64,
}

/// A statement, and who signed it. Not checked before somebody verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What was signed.
    pub statement: Statement,
    /// For each seat one bit.
    signers: Vec<u8>,
    /// The sum of the signers' signatures.
    pub signature: [u8; SIGNATURE_LEN],
}

/// How many rows have to be signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u16);

impl Threshold {
    /// More than two thirds: the least that means anything.
    pub const LEAST: Self = Self(2049);

    /// Any so many rows, [`Threshold::LEAST`] to all; none otherwise.
    #[must_use]
    pub fn new(rows: u16) -> Option<Self> {
        // [D-29]
        let most = u16::try_from(ROWS).expect("3072 fits");
        (Self::LEAST.0..=most).contains(&rows).then_some(Self(rows))
    }

    /// How many.
    #[must_use]
    pub const fn rows(self) -> u16 {
        self.0
    }

    /// How many rows may lie with holders that lie: the container can be restored without them.
    #[must_use]
    pub fn tolerated(self) -> u16 {
        // [D-29]
        self.0 - u16::try_from(ORIGINAL_ROWS).expect("1024 fits")
    }
}

impl Statement {
    /// As it stands in a certificate.
    #[must_use]
    pub fn encode(&self) -> [u8; STATEMENT_LEN] {
        // [D-25]
        let head = self.head.encode();
        let mut bytes = [VERSION; STATEMENT_LEN];
        bytes[1..21].copy_from_slice(&self.quorum.encode());
        bytes[21..53].copy_from_slice(&self.head.id().0);
        bytes[53..161].copy_from_slice(&head[..108]);
        bytes[161..].copy_from_slice(&self.expiry.to_be_bytes());
        bytes
    }

    /// What was encoded, by holders whose assignment asks for so many columns: well-formed, and its id
    /// that of its roots.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(bytes: &[u8], columns: usize) -> Result<Self, DecodeError> {
        // [D-25]
        let mut reader = Reader::new(bytes);
        let statement = Self::read(&mut reader, columns)?;
        reader.end()?;
        Ok(statement)
    }

    fn read(reader: &mut Reader<'_>, columns: usize) -> Result<Self, DecodeError> {
        let quorum = read_quorum(reader)?;
        let id = reader.hash()?;
        let head = Head {
            row_root: reader.hash()?,
            check_root: reader.hash()?,
            namespace_root: reader.hash()?,
            shape: read_shape(reader)?,
            columns: u16::try_from(columns).expect("at most 32"),
        };
        let expiry = reader.u64()?;
        if head.id() != id {
            return Err(DecodeError::Id);
        }
        Ok(Self {
            quorum,
            head,
            expiry,
        })
    }

    /// What is signed.
    #[must_use]
    pub fn message(&self) -> Hash32 {
        // [D-26]
        sha256(&[CERTIFICATE, &self.encode()])
    }
}

impl Certificate {
    /// A certificate by the holders of these seats.
    ///
    /// # Panics
    /// If the assignment has no such seat.
    #[must_use]
    pub fn new(
        statement: Statement,
        assignment: &Assignment,
        seats: &[usize],
        signature: [u8; SIGNATURE_LEN],
    ) -> Self {
        let holders = assignment.holders();
        let mut signers = vec![0; holders.div_ceil(8)];
        for seat in seats {
            assert!(*seat < holders, "a seat of the quorum");
            signers[seat / 8] |= 1 << (seat % 8);
        }
        Self {
            statement,
            signers,
            signature,
        }
    }

    /// The seats of all signers, ascending.
    pub fn seats(&self) -> impl Iterator<Item = usize> {
        let seats = 0..8 * self.signers.len();
        seats.filter(|seat| self.signers[seat / 8] >> (seat % 8) & 1 == 1)
    }

    /// Rows that were signed for.
    #[must_use]
    pub fn weight(&self, assignment: &Assignment) -> usize {
        // [D-29]
        let rows = self.seats().filter_map(|seat| assignment.rows_of(seat));
        rows.map(<[u16]>::len).sum()
    }

    /// As it is stored and sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // [D-25]
        [&self.statement.encode(), &self.signers[..], &self.signature].concat()
    }

    /// Which quorum a certificate is of, so that its assignment can be looked up.
    ///
    /// # Errors
    /// [`DecodeError::Length`], [`DecodeError::Version`]
    pub fn quorum_of(bytes: &[u8]) -> Result<Quorum, DecodeError> {
        read_quorum(&mut Reader::new(bytes))
    }

    /// What was encoded: well-formed, and its id that of its roots, but nobody has verified it.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(bytes: &[u8], assignment: &Assignment) -> Result<Self, DecodeError> {
        Self::decode_for(bytes, assignment.holders())
    }

    /// The same for whoever knows only how many hold.
    ///
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::Places`] if no quorum has so many.
    pub fn decode_for(bytes: &[u8], holders: usize) -> Result<Self, DecodeError> {
        // [D-25]
        let columns = columns(holders).ok_or(DecodeError::Places)?;
        let mut reader = Reader::new(bytes);
        let statement = Statement::read(&mut reader, columns)?;
        let signers = reader.take(holders.div_ceil(8))?.to_vec();
        let signature = *reader.array()?;
        reader.end()?;
        let certificate = Self {
            statement,
            signers,
            signature,
        };
        if certificate.seats().any(|seat| seat >= holders) {
            return Err(DecodeError::Signers);
        }
        Ok(certificate)
    }
}

fn read_quorum(reader: &mut Reader<'_>) -> Result<Quorum, DecodeError> {
    let [found] = *reader.array()?;
    if found != VERSION {
        return Err(DecodeError::Version { found });
    }
    Ok(Quorum::decode(reader.array::<QUORUM_LEN>()?))
}
