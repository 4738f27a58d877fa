//! Chunks in any order, each with its proof: what a client of the store sees of
//! [`crate::shard::scatter`].

use std::{ops::Range, rc::Rc};

use bytes::Bytes;
use lode_proofs::{BlobId, ChunkProof};
use lode_world::World;

use crate::{
    Error, Result, Root,
    format::manifest,
    info::{Progress, Scattered},
    piece::Piece,
    shard::{Shard, scatter::Proven},
    store::{Store, Terms},
    wait::before_work,
};

impl<W: World> Store<W> {
    /// Takes one chunk of a blob, in any order, from anybody who can prove that it is one of them;
    /// returns when it is durable. The last chunk that is missing makes the blob exist. `bytes` are
    /// the chunk's own, without the fill of the last sector. Costs the hash of the chunk, here, and
    /// 48 bytes of memory per chunk until 1024 in a row are there.
    pub async fn scatter(
        &self,
        proof: ChunkProof,
        bytes: Bytes,
        terms: Terms,
    ) -> Result<Scattered> {
        let BlobId { root, shape } = proof.blob();
        if shape.size() > manifest::BLOB_MAX {
            return Err(Error::SizeMismatch {
                want: manifest::BLOB_MAX,
                got: shape.size(),
            });
        }
        before_work(self.world(), bytes.len()).await;
        let checked = proof.verify_with(&mut self.hasher().borrow_mut(), &bytes);
        let unproven = |why| Error::Unproven {
            root,
            chunk: proof.index(),
            why,
        };
        checked.map_err(unproven)?;
        if shape.chunks() == 1 {
            let stored = self.put_as(root, bytes, terms).await?;
            return Ok(Scattered::stored(stored, stored.existed));
        }
        if let Some(info) = self.held(root, terms).await? {
            info.same_size(shape.size())?;
            return Ok(Scattered::stored(info.existed(), true));
        }
        let chunk = Proven {
            proof,
            payload: bytes,
        };
        let expiry = terms.epoch();
        self.on(self.home(&root), move |shard| shard.scatter(chunk, expiry))
            .await?
    }

    /// Bytes `within` of one chunk of a blob that is not complete, verified; none if that chunk is not
    /// here. One read of the disk, on the executor of the blob.
    pub async fn read_scattered(
        &self,
        root: Root,
        chunk: u64,
        within: Range<usize>,
    ) -> Result<Option<Bytes>> {
        let ask = move |shard: Rc<Shard<W>>| async move {
            let read = shard.read_scattered(root, chunk, within).await?;
            Ok(read.map(Piece::into_bytes))
        };
        self.on(self.home(&root), ask).await?
    }

    /// Chunks from `from` on, ascending and at most `limit`, that are missing of a blob of `size` bytes
    /// which is not complete: all of them if none has come. Costs a look at each chunk on the way.
    pub async fn missing(
        &self,
        root: Root,
        size: u64,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>> {
        self.on(self.home(&root), move |shard| async move {
            shard.missing(root, size, from, limit)
        })
        .await
    }

    /// How much is durable of a blob whose chunks come in any order; none if none has come, or all.
    pub async fn scattered(&self, root: Root) -> Result<Option<Progress>> {
        self.on(self.home(&root), move |shard| async move {
            let found = shard.scattered(root);
            found.map(|(size, chunks)| Progress { size, chunks })
        })
        .await
    }
}
