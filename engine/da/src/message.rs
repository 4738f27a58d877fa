//! What nodes say to each other, as bytes. Big-endian, as all of data availability; each message begins with
//! its version and kind.
//!
//! ```text
//!              0  1  2                                                                     bytes
//!  Offer      │1│0│ statement 169 │ table length 4 │ sliver, or nothing │                    175 + n
//!  Pull       │1│1│ container 32 │ part 4 │ n 1 │                                                39
//!  Part       │1│2│ container 32 │ part 4 │ bytes 1..=262144 │                               38 + n
//!  Signed     │1│3│ container 32 │ signature 48 │                                               82
//!  Refused    │1│4│ container 32 │ why 1 │                                                      35
//!  Certified  │1│5│ certificate 217.. │                                                      2 + n
//!  Describe   │1│6│ id 8 │ container 32 │                                                       42
//!  Fetch      │1│7│ id 8 │ container 32 │ n 2 │ n × row 2 │                               44 + 2 n
//!  Locate     │1│8│ id 8 │ quorum 20 │ blob root 32 │                                           62
//!  Has        │1│9│ id 8 │ n 1 │ n × container 32 │                                       11 + 32 n
//!  Described  │1│10│ id 8 │ statement 169 │ certificate n 2, bytes │ table n 4, bytes │ checks │
//!  Rows       │1│11│ id 8 │ n 2 │ n × row 2 │ m 2 │ m × sibling 32 │ bytes │
//!  Located    │1│12│ id 8 │ container 32 │ place 2 │                                             44
//!  Having     │1│13│ id 8 │ bits 8 │                                                             18
//!  Lack       │1│14│ id 8 │                                                                    10
//! ```
//! Part, Rows, Described and an Offer with a sliver go over one channel, all others over another, so that a
//! word never waits behind rows. A message has one encoding, and decoding takes memory for numbers and
//! hashes only: bytes stay where they are.
//!
//! Another version is not an error of the sender: it is left alone. What is of this version and cannot be
//! read is.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use lode_proofs::{
    Hash32,
    da::{
        Quorum,
        certificate::{CERTIFICATE_LEN_MAX, STATEMENT_LEN},
        quorum::QUORUM_LEN,
        shape::ROWS,
    },
    finality::SIGNATURE_LEN,
};

use crate::bounds::{HAS_MAX, PART_LEN, PULL_MAX};

const VERSION: u8 = 1;
/// Most hashes beside rows of one answer: one for each row and level would be more than there are nodes.
const SIBLINGS_MAX: usize = 4096;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Take your rows of this container.
    Offer(Offer),
    /// Send me parts of my sliver.
    Pull(Pull),
    /// Here is one.
    Part(Part),
    /// I have checked and stored my rows.
    Signed {
        /// Of which container.
        container: Hash32,
        /// On its statement.
        signature: [u8; SIGNATURE_LEN],
    },
    /// I do not sign.
    Refused {
        /// Which container.
        container: Hash32,
        /// Why not.
        why: Refused,
    },
    /// Enough have signed.
    Certified(Bytes),
    /// A question.
    Ask {
        /// Chosen by whoever asks.
        id: u64,
        /// What he asks.
        ask: Ask,
    },
    /// An answer.
    Answer {
        /// That of the question.
        id: u64,
        /// What is known.
        answer: Answer,
    },
}

/// Take your rows of this container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// [`Statement::encode`](lode_proofs::da::Statement::encode): only who knows its quorum can read it.
    pub statement: [u8; STATEMENT_LEN],
    /// Bytes of the container's table.
    pub table_len: u32,
    /// The whole sliver, if it is short; otherwise nothing.
    pub sliver: Bytes,
}

/// Send me parts of my sliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Of which container.
    pub container: Hash32,
    /// The first part.
    pub part: u32,
    /// How many, 1 to [`PULL_MAX`].
    pub count: u8,
}

/// A part of a sliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of which container.
    pub container: Hash32,
    /// Which part.
    pub part: u32,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Why a holder does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It takes in as much as it can; later.
    Busy,
    /// It has no seat in that quorum, or does not know it.
    Stranger,
    /// The container expires too soon or too late, or later than this holder keeps it already.
    Term,
    /// Its rows are not those of one container, or the offer is none.
    Wrong,
    /// Its disk did not take them.
    Disk,
}

/// What is asked of a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// All about a container but its rows.
    Describe(Hash32),
    /// Some rows, ascending, at least one.
    Fetch {
        /// Of which container.
        container: Hash32,
        /// Which.
        rows: Vec<u16>,
    },
    /// The container that has a blob.
    Locate {
        /// Of which quorum.
        quorum: Quorum,
        /// The blob's root.
        blob: Hash32,
    },
    /// Which of these containers are held, 1 to [`HAS_MAX`] of them.
    Has(Vec<Hash32>),
}

/// What a holder answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All about a container but its rows.
    Described(Described),
    /// Some rows.
    Rows(Rows),
    /// Where a blob is.
    Located {
        /// The container.
        container: Hash32,
        /// The blob's place in its table.
        place: u16,
    },
    /// Bit i is set if the i-th container is held.
    Having(u64),
    /// Nothing is known.
    Lack,
}

/// All about a container but its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What the holder has signed.
    pub statement: [u8; STATEMENT_LEN],
    /// The certificate, if it is known; otherwise nothing.
    pub certificate: Bytes,
    /// The container's table.
    pub table: Bytes,
    /// Checksums of the original rows.
    pub checks: Bytes,
}

/// Some rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Their numbers, ascending.
    pub rows: Vec<u16>,
    /// The nodes beside them.
    pub siblings: Vec<Hash32>,
    /// Their bytes, one after the other.
    pub bytes: Bytes,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Of another version.
    #[error("a message of version {0}")]
    Version(u8),
    /// There is no such kind.
    #[error("a message of kind {0}")]
    Kind(u8),
    /// Bytes are missing or left over.
    #[error("a message of another length")]
    Length,
    /// A count is out of its bounds.
    #[error("a message with a count of {0}")]
    Count(usize),
    /// Rows are not ascending, or there is no such row.
    #[error("a message with rows that are none, or not ascending")]
    Rows,
    /// There is no such reason.
    #[error("a refusal for reason {0}")]
    Why(u8),
}

impl Message {
    /// Whether it goes over the channel of rows.
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        match self {
            Message::Offer(offer) => !offer.sliver.is_empty(),
            Message::Part(_) => true,
            Message::Answer { answer, .. } => {
                matches!(answer, Answer::Described(_) | Answer::Rows(_))
            }
            _ => false,
        }
    }

    /// The message as bytes: all but the last of its own, and these, which are not copied.
    ///
    /// # Panics
    /// If a list is longer than its bound: whoever makes a message keeps to it.
    #[must_use]
    pub fn encode(&self) -> [Bytes; 2] {
        let mut out = BytesMut::with_capacity(256);
        out.put_u8(VERSION);
        let bytes = match self {
            Message::Offer(offer) => {
                out.put_u8(0);
                out.put_slice(&offer.statement);
                out.put_u32(offer.table_len);
                offer.sliver.clone()
            }
            Message::Pull(pull) => {
                out.put_u8(1);
                out.put_slice(&pull.container.0);
                out.put_u32(pull.part);
                out.put_u8(pull.count);
                Bytes::new()
            }
            Message::Part(part) => {
                out.put_u8(2);
                out.put_slice(&part.container.0);
                out.put_u32(part.part);
                part.bytes.clone()
            }
            Message::Signed {
                container,
                signature,
            } => {
                out.put_u8(3);
                out.put_slice(&container.0);
                out.put_slice(signature);
                Bytes::new()
            }
            Message::Refused { container, why } => {
                out.put_u8(4);
                out.put_slice(&container.0);
                out.put_u8(why.code());
                Bytes::new()
            }
            Message::Certified(certificate) => {
                out.put_u8(5);
                certificate.clone()
            }
            Message::Ask { id, ask } => put_ask(&mut out, *id, ask),
            Message::Answer { id, answer } => put_answer(&mut out, *id, answer),
        };
        [out.freeze(), bytes]
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn decode(mut bytes: Bytes) -> Result<Message, Malformed> {
        let version = bytes.try_get_u8().map_err(|_| Malformed::Length)?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let bytes = &mut bytes;
        let message = match take_u8(bytes)? {
            0 => Message::Offer(Offer {
                statement: take(bytes)?,
                table_len: take_u32(bytes)?,
                sliver: rest(bytes, 0, PART_LEN)?,
            }),
            1 => Message::Pull(Pull {
                container: take_hash(bytes)?,
                part: take_u32(bytes)?,
                count: match take_u8(bytes)? {
                    count if (1..=PULL_MAX).contains(&usize::from(count)) => count,
                    count => return Err(Malformed::Count(usize::from(count))),
                },
            }),
            2 => Message::Part(Part {
                container: take_hash(bytes)?,
                part: take_u32(bytes)?,
                bytes: rest(bytes, 1, PART_LEN)?,
            }),
            3 => Message::Signed {
                container: take_hash(bytes)?,
                signature: take(bytes)?,
            },
            4 => Message::Refused {
                container: take_hash(bytes)?,
                why: Refused::of(take_u8(bytes)?)?,
            },
            5 => {
                let least = STATEMENT_LEN + SIGNATURE_LEN;
                Message::Certified(rest(bytes, least, CERTIFICATE_LEN_MAX)?)
            }
            kind @ 6..=9 => {
                let id = take_u64(bytes)?;
                let ask = take_ask(kind, bytes)?;
                Message::Ask { id, ask }
            }
            kind => {
                let id = take_u64(bytes).map_err(|_| match kind {
                    10..=14 => Malformed::Length,
                    _ => Malformed::Kind(kind),
                })?;
                let answer = take_answer(kind, bytes)?;
                Message::Answer { id, answer }
            }
        };
        match bytes.is_empty() {
            true => Ok(message),
            false => Err(Malformed::Length),
        }
    }
}

impl Refused {
    const ALL: [Refused; 5] = [
        Refused::Busy,
        Refused::Stranger,
        Refused::Term,
        Refused::Wrong,
        Refused::Disk,
    ];

    fn code(self) -> u8 {
        (0..)
            .zip(Refused::ALL)
            .find(|(_, why)| *why == self)
            .map_or(0, |(code, _)| code)
    }

    fn of(code: u8) -> Result<Refused, Malformed> {
        let found = Refused::ALL.get(usize::from(code));
        found.copied().ok_or(Malformed::Why(code))
    }
}

fn put_ask(out: &mut BytesMut, id: u64, ask: &Ask) -> Bytes {
    match ask {
        Ask::Describe(container) => {
            out.put_u8(6);
            out.put_u64(id);
            out.put_slice(&container.0);
        }
        Ask::Fetch { container, rows } => {
            out.put_u8(7);
            out.put_u64(id);
            out.put_slice(&container.0);
            put_rows(out, rows);
        }
        Ask::Locate { quorum, blob } => {
            out.put_u8(8);
            out.put_u64(id);
            out.put_slice(&quorum.encode());
            out.put_slice(&blob.0);
        }
        Ask::Has(containers) => {
            assert!(containers.len() <= HAS_MAX, "the bound of a question");
            out.put_u8(9);
            out.put_u64(id);
            out.put_u8(u8::try_from(containers.len()).expect("at most 64"));
            for container in containers {
                out.put_slice(&container.0);
            }
        }
    }
    Bytes::new()
}

fn put_answer(out: &mut BytesMut, id: u64, answer: &Answer) -> Bytes {
    match answer {
        Answer::Described(described) => {
            out.put_u8(10);
            out.put_u64(id);
            out.put_slice(&described.statement);
            out.put_u16(u16::try_from(described.certificate.len()).expect("260 bytes"));
            out.put_slice(&described.certificate);
            out.put_u32(u32::try_from(described.table.len()).expect("a table is short"));
            out.put_slice(&described.table);
            described.checks.clone()
        }
        Answer::Rows(rows) => {
            out.put_u8(11);
            out.put_u64(id);
            put_rows(out, &rows.rows);
            assert!(rows.siblings.len() <= SIBLINGS_MAX, "the nodes of a tree");
            out.put_u16(u16::try_from(rows.siblings.len()).expect("at most 4096"));
            for sibling in &rows.siblings {
                out.put_slice(&sibling.0);
            }
            rows.bytes.clone()
        }
        Answer::Located { container, place } => {
            out.put_u8(12);
            out.put_u64(id);
            out.put_slice(&container.0);
            out.put_u16(*place);
            Bytes::new()
        }
        Answer::Having(bits) => {
            out.put_u8(13);
            out.put_u64(id);
            out.put_u64(*bits);
            Bytes::new()
        }
        Answer::Lack => {
            out.put_u8(14);
            out.put_u64(id);
            Bytes::new()
        }
    }
}

fn put_rows(out: &mut BytesMut, rows: &[u16]) {
    assert!((1..=ROWS).contains(&rows.len()), "rows of a container");
    out.put_u16(u16::try_from(rows.len()).expect("at most 3072"));
    for row in rows {
        out.put_u16(*row);
    }
}

fn take_ask(kind: u8, bytes: &mut Bytes) -> Result<Ask, Malformed> {
    Ok(match kind {
        6 => Ask::Describe(take_hash(bytes)?),
        7 => Ask::Fetch {
            container: take_hash(bytes)?,
            rows: take_rows(bytes)?,
        },
        8 => Ask::Locate {
            quorum: Quorum::decode(&take::<QUORUM_LEN>(bytes)?),
            blob: take_hash(bytes)?,
        },
        _ => {
            let count = usize::from(take_u8(bytes)?);
            if !(1..=HAS_MAX).contains(&count) {
                return Err(Malformed::Count(count));
            }
            let containers = (0..count).map(|_| take_hash(bytes));
            Ask::Has(containers.collect::<Result<_, _>>()?)
        }
    })
}

fn take_answer(kind: u8, bytes: &mut Bytes) -> Result<Answer, Malformed> {
    Ok(match kind {
        10 => {
            let statement = take(bytes)?;
            let certificate = usize::from(take_u16(bytes)?);
            let certificate = first(bytes, certificate)?;
            let table = usize::try_from(take_u32(bytes)?).map_err(|_| Malformed::Length)?;
            Answer::Described(Described {
                statement,
                certificate,
                table: first(bytes, table)?,
                checks: bytes.split_to(bytes.len()),
            })
        }
        11 => {
            let rows = take_rows(bytes)?;
            let count = usize::from(take_u16(bytes)?);
            if count > SIBLINGS_MAX {
                return Err(Malformed::Count(count));
            }
            let siblings = (0..count).map(|_| take_hash(bytes));
            Answer::Rows(Rows {
                rows,
                siblings: siblings.collect::<Result<_, _>>()?,
                bytes: bytes.split_to(bytes.len()),
            })
        }
        12 => Answer::Located {
            container: take_hash(bytes)?,
            place: take_u16(bytes)?,
        },
        13 => Answer::Having(take_u64(bytes)?),
        14 => Answer::Lack,
        kind => return Err(Malformed::Kind(kind)),
    })
}

fn take_rows(bytes: &mut Bytes) -> Result<Vec<u16>, Malformed> {
    let count = usize::from(take_u16(bytes)?);
    if !(1..=ROWS).contains(&count) {
        return Err(Malformed::Count(count));
    }
    let rows: Vec<u16> = (0..count)
        .map(|_| take_u16(bytes))
        .collect::<Result<_, _>>()?;
    let last = rows.last().map(|row| usize::from(*row));
    match rows.is_sorted_by(|left, right| left < right) && last.is_some_and(|last| last < ROWS) {
        true => Ok(rows),
        false => Err(Malformed::Rows),
    }
}

/// The next bytes, without copying them.
fn first(bytes: &mut Bytes, len: usize) -> Result<Bytes, Malformed> {
    match len <= bytes.len() {
        true => Ok(bytes.split_to(len)),
        false => Err(Malformed::Length),
    }
}

/// All that is left, of a length within bounds.
fn rest(bytes: &mut Bytes, least: usize, most: usize) -> Result<Bytes, Malformed> {
    match (least..=most).contains(&bytes.len()) {
        true => Ok(bytes.split_to(bytes.len())),
        false => Err(Malformed::Length),
    }
}

fn take<const N: usize>(bytes: &mut Bytes) -> Result<[u8; N], Malformed> {
    let mut taken = [0; N];
    let result = bytes.try_copy_to_slice(&mut taken);
    result.map_err(|_| Malformed::Length)?;
    Ok(taken)
}

fn take_hash(bytes: &mut Bytes) -> Result<Hash32, Malformed> {
    take(bytes).map(Hash32)
}

fn take_u8(bytes: &mut Bytes) -> Result<u8, Malformed> {
    bytes.try_get_u8().map_err(|_| Malformed::Length)
}

fn take_u16(bytes: &mut Bytes) -> Result<u16, Malformed> {
    bytes.try_get_u16().map_err(|_| Malformed::Length)
}

fn take_u32(bytes: &mut Bytes) -> Result<u32, Malformed> {
    bytes.try_get_u32().map_err(|_| Malformed::Length)
}

fn take_u64(bytes: &mut Bytes) -> Result<u64, Malformed> {
    bytes.try_get_u64().map_err(|_| Malformed::Length)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
