//! A record to read: where the index says that it is, and what it must say of itself.

use std::ops::Range;

use lode_world::World;

use crate::{
    Root,
    format::{
        manifest,
        record::{Header, Kind},
    },
    index::{Found, Index, Long, Place},
    log::{
        read::{self, ReadError, Verify},
        segment::Life,
    },
    piece::PieceOf,
    pool::ChunkBuf,
    terms::expired,
};

/// A record to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub place: Place,
    pub kind: Kind,
    /// Blob number, for parts of longer blobs.
    pub blob: u64,
    pub detail: u64,
    pub len: usize,
}

impl Wanted {
    /// The record of a chunk; none if the blob or the chunk is not in the index, or has expired.
    pub fn chunk(index: &Index, root: &Root, chunk: u64, epoch: u32) -> Option<Wanted> {
        let found = index
            .get(root)
            .filter(|found| !expired(found.expiry(), epoch))?;
        if chunk >= manifest::chunks(found.size()) {
            return None;
        }
        Some(match found {
            Found::Single { place, len, .. } => Wanted::single(place, len),
            Found::Long { long, .. } => Wanted::chunk_of(long, chunk),
        })
    }

    /// The record of a blob of one chunk.
    pub fn single(place: Place, len: u32) -> Wanted {
        Wanted {
            place,
            kind: Kind::Single,
            blob: 0,
            detail: 0,
            len: usize::try_from(len).expect("64-bit"),
        }
    }

    /// A longer blob's chunk record.
    pub fn chunk_of(long: &Long, chunk: u64) -> Wanted {
        Wanted {
            place: long.chunk(chunk),
            kind: Kind::Chunk,
            blob: long.blob,
            detail: chunk,
            len: manifest::chunk_len(long.size, chunk),
        }
    }

    /// A longer blob's group record.
    pub fn group_of(long: &Long, group: u64) -> Wanted {
        Wanted {
            place: long.group(group),
            kind: Kind::Group,
            blob: long.blob,
            detail: group,
            len: manifest::GROUP_LEN,
        }
    }

    /// A longer blob's manifest record.
    pub fn manifest_of(long: &Long) -> Wanted {
        Wanted {
            place: long.manifest,
            kind: Kind::Manifest,
            blob: long.blob,
            detail: long.size,
            len: manifest::encoded_len(long.size),
        }
    }

    /// Reads the record whole, checks it by its BLAKE3, and that it is the one that is wanted.
    pub async fn record<W: World>(
        &self,
        world: &W,
        life: Life<'_, W::File>,
        root: &Root,
    ) -> Result<(Header, ChunkBuf), ReadError> {
        let at = u64::from(self.place.at);
        let (header, payload) = read::record(world, life, at, self.len).await?;
        self.is(&header, root).map(|()| (header, payload))
    }

    /// Whether a record is the one that is wanted.
    fn is(&self, header: &Header, root: &Root) -> Result<(), ReadError> {
        let named = matches!(self.kind, Kind::Single | Kind::Manifest);
        let same = header.kind == self.kind
            && header.blob == self.blob
            && header.detail == self.detail
            && (!named || header.root == *root);
        same.then_some(())
            .ok_or(ReadError::Damaged("another record is in its place"))
    }

    /// Reads bytes `range` of the payload, checked by the pages that hold them; the whole of it as
    /// `verify` says.
    pub async fn read<W: World>(
        &self,
        world: &W,
        life: Life<'_, W::File>,
        root: &Root,
        range: &Range<usize>,
        verify: Verify,
    ) -> Result<PieceOf<W>, ReadError> {
        let at = u64::from(self.place.at);
        if *range != (0..self.len) {
            return read::part(world, life, at, range.start, range.len()).await;
        }
        if verify == Verify::Hash {
            let (_, payload) = self.record(world, life, root).await?;
            return Ok(payload.share().into());
        }
        let (header, piece) = read::in_pages(world, life, at, self.len).await?;
        self.is(&header, root).map(|()| piece)
    }
}
