//! Reads of shards that live on other executors, without a letter to them.

use std::{ops::Range, sync::Arc};

use lode_world::{Disk, File, World};

use crate::{
    Root,
    log::{read::Verify, segment::Life},
    piece::PieceOf,
    shelf::Shelf,
    store::BlobInfo,
};

/// A shard's shelf in a world.
pub(crate) type ShelfOf<W> = Shelf<<<W as World>::File as File>::Shared>;

/// The shelves of all shards, by number.
pub(crate) struct Across<W: World> {
    world: W,
    shelves: Vec<Arc<ShelfOf<W>>>,
    verify: Verify,
}

/// A shard's own executor has to be asked: its index was being changed, the range is none of the
/// chunk's, the file is on no shelf or could not be read, or what was read is damaged or of another
/// life of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask;

impl<W: World> Across<W> {
    pub fn new(world: W, shelves: Vec<Arc<ShelfOf<W>>>, verify: Verify) -> Self {
        Across {
            world,
            shelves,
            verify,
        }
    }

    /// A blob of a shard; none if it is not there.
    pub fn stat(&self, shard: u16, root: &Root) -> Result<Option<BlobInfo>, Ask> {
        self.shelves[usize::from(shard)].stat(root).map_err(|_| Ask)
    }

    /// Verified bytes of a chunk; none if the blob or the chunk is not there.
    pub async fn read(
        &self,
        shard: u16,
        root: &Root,
        chunk: u64,
        range: &Range<usize>,
    ) -> Result<Option<PieceOf<W>>, Ask> {
        let shelf = &self.shelves[usize::from(shard)];
        let Some((wanted, tag, file)) = shelf.chunk(root, chunk).map_err(|_| Ask)? else {
            return Ok(None);
        };
        if range.is_empty() || range.end > wanted.len {
            return Err(Ask);
        }
        let file = self.world.disk().join(file);
        // The file may begin another life meanwhile: its pages bear another tag then.
        let life = Life { file: &file, tag };
        let read = wanted.read(&self.world, life, root, range, self.verify);
        let piece = read.await.map_err(|_| Ask)?;
        shelf.count_read(range.len());
        Ok(Some(piece))
    }
}

#[cfg(test)]
#[path = "across_tests.rs"]
mod tests;
