//! The checkpoint: the index at a moment, so that a restart reads no old segment.
//!
//! A stream of items in pages. Everything before the covered sequence number is in it; later
//! records may be, and are replayed from the log all the same.
//!
//! ```text
//!  Head     1  shard u16  covered sequence u64  tag u64  next blob number u64
//!  Segment  2  number u32  tag u64  bucket u32  first u64  last u64  end u64  expiry u32
//!  Single   3  root 32  place u64  length u32  expiry u32
//!  Blob     4  root 32  blob u64  size u64  expiry u32  manifest place u64, then its Places
//!  Places   5  count u16  places u64 each: chunks in order, then groups
//!  End      6  items u64  BLAKE3 of everything before
//!  Upload   7  blob u64: an upload that is not complete; what follows names it
//!  Declared 8  blob u64  root 32  size u64  expiry u32  place u64
//!  Chunks   9  blob u64  count u16  places u64 each: those after the ones before
//!  Short   10  blob u64  chunk u64  length u32: of a chunk that is no whole one
//!  Root    11  blob u64  chunk u64  root 32: of a chunk whose group is not durable
//!  Group   12  blob u64  group u64  place u64  root 32
//! ```
//! A place is a segment number (upper 32 bits) and a stream position (lower 32 bits).

use crate::Root;

use super::{get_hash, get_u16, get_u32, get_u64};
use crate::index::Place;

/// Most places of one item.
pub const PLACES_MAX: usize = 512;

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// First.
    Head {
        /// Shard.
        shard: u16,
        /// Records below this number are all in.
        covered: u64,
        /// Tag of the file's pages.
        tag: u64,
        /// Next blob number.
        next_blob: u64,
    },
    /// A closed segment whose records are all covered.
    Segment(SegmentItem),
    /// A blob of one chunk.
    Single {
        /// Blob root.
        root: Root,
        /// Its record.
        place: Place,
        /// Bytes.
        len: u32,
        /// Expiry epoch, 0 for none.
        expiry: u32,
    },
    /// A longer blob; its places follow.
    Blob {
        /// Blob root.
        root: Root,
        /// Its number.
        blob: u64,
        /// Bytes.
        size: u64,
        /// Expiry epoch, 0 for none.
        expiry: u32,
        /// Its manifest record.
        manifest: Place,
    },
    /// Places of the blob before.
    Places(Vec<Place>),
    /// An upload that is not complete; what belongs to it follows.
    Upload {
        /// Its blob number.
        blob: u64,
    },
    /// What a resumable upload declared.
    Declared {
        /// Blob number of the upload.
        blob: u64,
        /// Declared root.
        root: Root,
        /// Declared bytes.
        size: u64,
        /// Expiry epoch, 0 for none.
        expiry: u32,
        /// The record that declared it.
        place: Place,
    },
    /// Places of further chunks of an upload, in order from the first.
    Chunks {
        /// Blob number of the upload.
        blob: u64,
        /// Their records; [`Place::NONE`] for those that are not durable.
        places: Vec<Place>,
    },
    /// A chunk of an upload that is shorter than a whole one.
    Short {
        /// Blob number of the upload.
        blob: u64,
        /// Index of the chunk.
        chunk: u64,
        /// Its bytes.
        len: u32,
    },
    /// The root of a chunk of an upload, whose group is not durable.
    ChunkRoot {
        /// Blob number of the upload.
        blob: u64,
        /// Index of the chunk.
        chunk: u64,
        /// Its root.
        root: Root,
    },
    /// A durable group of an upload.
    Group {
        /// Blob number of the upload.
        blob: u64,
        /// Index of the group.
        group: u64,
        /// Its record.
        place: Place,
        /// Root over its chunks, zero for a partial one.
        root: Root,
    },
    /// Last.
    End {
        /// Items before this one.
        items: u64,
        /// BLAKE3 of the encodings of all items before.
        check: [u8; 32],
    },
}

/// A closed segment, as the checkpoint remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentItem {
    /// Number.
    pub number: u32,
    /// Tag of its life.
    pub tag: u64,
    /// Expiry bucket.
    pub bucket: u32,
    /// First sequence number.
    pub first: u64,
    /// Last sequence number.
    pub last: u64,
    /// Stream position after its last record.
    pub end: u64,
    /// Highest expiry of its records, `u32::MAX` if one never expires.
    pub expiry: u32,
}

/// Why bytes are not a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// An item that does not exist or is out of bounds.
    #[error("checkpoint item is malformed")]
    Malformed,
    /// The last item's count or checksum is not that of the items.
    #[error("checkpoint checksum does not match")]
    Checksum,
    /// There is no last item.
    #[error("checkpoint is cut short")]
    Short,
}

/// Writes items into bytes.
#[derive(Default)]
pub struct Encoder {
    out: Vec<u8>,
    hasher: blake3::Hasher,
    items: u64,
}

impl Encoder {
    /// Adds an item.
    pub fn push(&mut self, item: &Item) {
        let start = self.out.len();
        encode(item, &mut self.out);
        self.hasher.update(&self.out[start..]);
        self.items += 1;
    }

    /// Adds the last item.
    pub fn end(&mut self) {
        let check = *self.hasher.finalize().as_bytes();
        encode(
            &Item::End {
                items: self.items,
                check,
            },
            &mut self.out,
        );
    }

    /// Bytes that wait to be written.
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    /// Takes up to `len` waiting bytes.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let rest = self.out.split_off(len.min(self.out.len()));
        std::mem::replace(&mut self.out, rest)
    }
}

fn encode(item: &Item, out: &mut Vec<u8>) {
    match item {
        Item::Head {
            shard,
            covered,
            tag,
            next_blob,
        } => {
            out.push(1);
            out.extend_from_slice(&shard.to_le_bytes());
            out.extend_from_slice(&covered.to_le_bytes());
            out.extend_from_slice(&tag.to_le_bytes());
            out.extend_from_slice(&next_blob.to_le_bytes());
        }
        Item::Segment(segment) => {
            out.push(2);
            out.extend_from_slice(&segment.number.to_le_bytes());
            out.extend_from_slice(&segment.tag.to_le_bytes());
            out.extend_from_slice(&segment.bucket.to_le_bytes());
            out.extend_from_slice(&segment.first.to_le_bytes());
            out.extend_from_slice(&segment.last.to_le_bytes());
            out.extend_from_slice(&segment.end.to_le_bytes());
            out.extend_from_slice(&segment.expiry.to_le_bytes());
        }
        Item::Single {
            root,
            place,
            len,
            expiry,
        } => {
            out.push(3);
            out.extend_from_slice(root.as_bytes());
            out.extend_from_slice(&place.to_u64().to_le_bytes());
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(&expiry.to_le_bytes());
        }
        Item::Blob {
            root,
            blob,
            size,
            expiry,
            manifest,
        } => {
            out.push(4);
            out.extend_from_slice(root.as_bytes());
            out.extend_from_slice(&blob.to_le_bytes());
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(&expiry.to_le_bytes());
            out.extend_from_slice(&manifest.to_u64().to_le_bytes());
        }
        Item::Places(places) => {
            out.push(5);
            encode_places(places, out);
        }
        Item::End { items, check } => {
            out.push(6);
            out.extend_from_slice(&items.to_le_bytes());
            out.extend_from_slice(check);
        }
        _ => encode_upload(item, out),
    }
}

/// What belongs to uploads.
fn encode_upload(item: &Item, out: &mut Vec<u8>) {
    let mut begin = |kind: u8, blob: &u64| {
        out.push(kind);
        out.extend_from_slice(&blob.to_le_bytes());
    };
    match item {
        Item::Upload { blob } => begin(7, blob),
        Item::Declared {
            blob,
            root,
            size,
            expiry,
            place,
        } => {
            begin(8, blob);
            out.extend_from_slice(root.as_bytes());
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(&expiry.to_le_bytes());
            out.extend_from_slice(&place.to_u64().to_le_bytes());
        }
        Item::Chunks { blob, places } => {
            begin(9, blob);
            encode_places(places, out);
        }
        Item::Short { blob, chunk, len } => {
            begin(10, blob);
            out.extend_from_slice(&chunk.to_le_bytes());
            out.extend_from_slice(&len.to_le_bytes());
        }
        Item::ChunkRoot { blob, chunk, root } => {
            begin(11, blob);
            out.extend_from_slice(&chunk.to_le_bytes());
            out.extend_from_slice(root.as_bytes());
        }
        Item::Group {
            blob,
            group,
            place,
            root,
        } => {
            begin(12, blob);
            out.extend_from_slice(&group.to_le_bytes());
            out.extend_from_slice(&place.to_u64().to_le_bytes());
            out.extend_from_slice(root.as_bytes());
        }
        Item::Head { .. }
        | Item::Segment(_)
        | Item::Single { .. }
        | Item::Blob { .. }
        | Item::Places(_)
        | Item::End { .. } => unreachable!("encoded by the caller"),
    }
}

fn encode_places(places: &[Place], out: &mut Vec<u8>) {
    assert!(places.len() <= PLACES_MAX, "callers cut places into runs");
    let count = u16::try_from(places.len()).expect("at most 512");
    out.extend_from_slice(&count.to_le_bytes());
    for place in places {
        out.extend_from_slice(&place.to_u64().to_le_bytes());
    }
}

/// Reads items from bytes that come in pieces.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    at: usize,
    hasher: blake3::Hasher,
    items: u64,
    ended: bool,
}

impl Decoder {
    /// Adds the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole item; none when more bytes are needed or the last item has been read.
    pub fn next_item(&mut self) -> Result<Option<Item>, CheckpointError> {
        if self.ended {
            return Ok(None);
        }
        let rest = &self.buffer[self.at..];
        let Some(len) = item_len(rest)? else {
            return Ok(None);
        };
        let item = decode(&rest[..len])?;
        if let Item::End { items, check } = item {
            if items != self.items || check != *self.hasher.finalize().as_bytes() {
                return Err(CheckpointError::Checksum);
            }
            self.ended = true;
        }
        self.hasher.update(&rest[..len]);
        self.items += 1;
        self.at += len;
        Ok(Some(item))
    }

    /// Whether the last item was read and everything before it was whole.
    pub fn finish(&self) -> Result<(), CheckpointError> {
        if self.ended {
            Ok(())
        } else {
            Err(CheckpointError::Short)
        }
    }
}

/// Bytes of the item that `bytes` begins with; none if that cannot be told yet.
fn item_len(bytes: &[u8]) -> Result<Option<usize>, CheckpointError> {
    let Some(&kind) = bytes.first() else {
        return Ok(None);
    };
    let len = match kind {
        1 => 27,
        2 => 45,
        3 => 49,
        4 => 61,
        5 if bytes.len() < 3 => return Ok(None),
        5 => 3 + places_len(bytes, 1)?,
        6 => 41,
        7 => 9,
        8 => 61,
        9 if bytes.len() < 11 => return Ok(None),
        9 => 11 + places_len(bytes, 9)?,
        10 => 21,
        11 => 49,
        12 => 57,
        _ => return Err(CheckpointError::Malformed),
    };
    Ok((bytes.len() >= len).then_some(len))
}

/// Bytes of the places whose number is at `at`.
fn places_len(bytes: &[u8], at: usize) -> Result<usize, CheckpointError> {
    match usize::from(get_u16(bytes, at)) {
        count if count <= PLACES_MAX => Ok(8 * count),
        _ => Err(CheckpointError::Malformed),
    }
}

fn decode(bytes: &[u8]) -> Result<Item, CheckpointError> {
    let place = |at| Place::from_u64(get_u64(bytes, at));
    let root = |at| Root::from(get_hash(bytes, at));
    let blob = || get_u64(bytes, 1);
    Ok(match bytes[0] {
        1 => Item::Head {
            shard: get_u16(bytes, 1),
            covered: get_u64(bytes, 3),
            tag: get_u64(bytes, 11),
            next_blob: get_u64(bytes, 19),
        },
        2 => Item::Segment(SegmentItem {
            number: get_u32(bytes, 1),
            tag: get_u64(bytes, 5),
            bucket: get_u32(bytes, 13),
            first: get_u64(bytes, 17),
            last: get_u64(bytes, 25),
            end: get_u64(bytes, 33),
            expiry: get_u32(bytes, 41),
        }),
        3 => Item::Single {
            root: root(1),
            place: place(33),
            len: get_u32(bytes, 41),
            expiry: get_u32(bytes, 45),
        },
        4 => Item::Blob {
            root: root(1),
            blob: get_u64(bytes, 33),
            size: get_u64(bytes, 41),
            expiry: get_u32(bytes, 49),
            manifest: place(53),
        },
        5 => Item::Places((3..bytes.len()).step_by(8).map(place).collect()),
        6 => Item::End {
            items: get_u64(bytes, 1),
            check: get_hash(bytes, 9),
        },
        7 => Item::Upload { blob: blob() },
        8 => Item::Declared {
            blob: blob(),
            root: root(9),
            size: get_u64(bytes, 41),
            expiry: get_u32(bytes, 49),
            place: place(53),
        },
        9 => Item::Chunks {
            blob: blob(),
            places: (11..bytes.len()).step_by(8).map(place).collect(),
        },
        10 => Item::Short {
            blob: blob(),
            chunk: get_u64(bytes, 9),
            len: get_u32(bytes, 17),
        },
        11 => Item::ChunkRoot {
            blob: blob(),
            chunk: get_u64(bytes, 9),
            root: root(17),
        },
        12 => Item::Group {
            blob: blob(),
            group: get_u64(bytes, 9),
            place: place(17),
            root: root(25),
        },
        _ => return Err(CheckpointError::Malformed),
    })
}
