//! A longer blob in, its chunks in any order and from anybody, each with the proof that it is one of
//! them. The last one that is missing makes the blob exist.
//!
//! ```text
//!  join      the first one declares the root, as a resumable upload does; all others find that
//!  take in   the chunk is durable; so is its group's record when the group's last chunk is
//!  complete  every chunk is here: the roots are folded once more, and the manifest binds them
//! ```
//! Between the steps a crash loses nothing that was acknowledged: what is durable is found by the next
//! chunk, whichever it is, and by whoever sends one again. A writer of the whole upload and scattered
//! chunks of the same root keep each other out while they are at work, and go on where the other
//! stopped. That one's chunks are not proven, so the fold at the end is not for show.

use std::{ops::Range, rc::Rc};

use bytes::Bytes;
use lode_proofs::{BlobId, ChunkProof, fold_runs};
use lode_world::World;

use super::{Draft, Shard, get::Roots, upload::Session, wanted::Wanted};
use crate::{
    Error, Result, Root,
    catalog::Unfinished,
    format::{
        manifest::{self, GROUP},
        record::Kind,
    },
    index::Place,
    piece::PieceOf,
    space::Need,
    store::{Scattered, Stored},
};

/// A chunk whose bytes were checked against its proof.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    /// Blob, index and root of the chunk.
    pub proof: ChunkProof,
    /// Its bytes.
    pub payload: Bytes,
}

/// Where a chunk goes.
enum Joined {
    /// Nowhere: the blob is here.
    Stored(Stored),
    /// To this upload.
    Upload(u64),
}

impl<W: World> Shard<W> {
    /// Takes one chunk of a blob of more than one.
    pub(crate) async fn scatter(self: Rc<Self>, chunk: Proven, expiry: u32) -> Result<Scattered> {
        let BlobId { root, shape } = chunk.proof.blob();
        let blob = match self.join(root, shape.size(), expiry).await? {
            Joined::Upload(blob) => blob,
            Joined::Stored(stored) => {
                Rc::clone(&self).drop_idle(root).await;
                return Ok(Scattered::stored(stored, true));
            }
        };
        let taken = self.take_in(blob, chunk, expiry).await;
        self.leave(blob);
        taken
    }

    /// Finds the upload of a root that is being scattered, or begins or resumes it.
    async fn join(self: &Rc<Self>, root: Root, size: u64, expiry: u32) -> Result<Joined> {
        let _held = self.roots.lock(root).await;
        if let Some(stored) = self.existing(root, size, expiry)? {
            return Ok(Joined::Stored(stored));
        }
        self.admit(expiry).await?;
        let known = self.catalog.borrow().declared.get(&root).copied();
        if let Some(blob) = known {
            self.same_size(blob, size)?;
            let mut sessions = self.sessions.borrow_mut();
            if let Some(session) = sessions.get_mut(&blob).filter(|session| session.scatter) {
                session.in_flight += 1;
                return Ok(Joined::Upload(blob));
            }
        }
        let writer = self.writer(root).await?;
        // Whoever wrote it may have ended or forgotten it meanwhile.
        let known = self.catalog.borrow().declared.get(&root).copied();
        let blob = match known {
            Some(blob) => self.same_size(blob, size)?,
            None => self.declare(root, size, expiry).await?,
        };
        let session = Session {
            _writer: Some(writer),
            in_flight: 1,
            released: true,
            scatter: true,
        };
        self.sessions.borrow_mut().insert(blob, session);
        Ok(Joined::Upload(blob))
    }

    /// Makes a chunk durable, and what it completes.
    async fn take_in(self: &Rc<Self>, blob: u64, chunk: Proven, expiry: u32) -> Result<Scattered> {
        let (BlobId { root, shape }, index) = (chunk.proof.blob(), chunk.proof.index());
        let existed = self.has(blob, &chunk.proof);
        if !existed {
            let draft = Draft {
                kind: Kind::Chunk,
                flags: 0,
                blob,
                detail: index,
                expiry,
                root: chunk.proof.chunk_root(),
                check: None,
                payload: chunk.payload,
            };
            self.append(draft, Need::Blob).await?.apply();
        }
        let _held = self.roots.lock(root).await;
        self.end_group(blob, shape.size(), index / GROUP, expiry)
            .await?;
        match self.end_blob(blob, root, shape.size(), expiry).await? {
            Some(stored) => Ok(Scattered::stored(stored, existed)),
            None => Ok(Scattered {
                chunks: self.rooted(blob).unwrap_or_default(),
                existed,
                stored: None,
            }),
        }
    }

    /// Whether this very chunk is durable. Of one in a whole group the root is on the disk only; it is
    /// compared with all others when the blob is complete.
    fn has(&self, blob: u64, proof: &ChunkProof) -> bool {
        let catalog = self.catalog.borrow();
        let Some(upload) = catalog.uploads.get(&blob) else {
            return false;
        };
        let index = proof.index();
        upload.chunk(index) != Place::NONE
            && (upload.whole_group(index / GROUP)
                || upload.roots.get(&index) == Some(&proof.chunk_root()))
    }

    /// Chunks of an upload that are here, of which the roots are.
    fn rooted(&self, blob: u64) -> Option<u64> {
        let catalog = self.catalog.borrow();
        catalog.uploads.get(&blob).map(|upload| upload.rooted())
    }

    /// Writes the record of a whole group whose chunks are all durable.
    async fn end_group(
        self: &Rc<Self>,
        blob: u64,
        size: u64,
        group: u64,
        expiry: u32,
    ) -> Result<()> {
        if manifest::groups(size) == 0 {
            return Ok(());
        }
        let roots = {
            let catalog = self.catalog.borrow();
            let Some(upload) = catalog.uploads.get(&blob) else {
                return Ok(());
            };
            if upload.whole_group(group) {
                return Ok(());
            }
            let roots = upload.roots.range(group * GROUP..(group + 1) * GROUP);
            roots.map(|(_, root)| *root).collect::<Vec<_>>()
        };
        if u64::try_from(roots.len()).expect("64-bit") == GROUP {
            self.write_group(blob, group, expiry, &roots).await?;
        }
        Ok(())
    }

    /// Binds the blob to its root if every chunk is here.
    async fn end_blob(
        self: &Rc<Self>,
        blob: u64,
        root: Root,
        size: u64,
        expiry: u32,
    ) -> Result<Option<Stored>> {
        match self.rooted(blob) {
            Some(rooted) if rooted < manifest::chunks(size) => return Ok(None),
            Some(_) => {}
            // Whoever came before this one has bound it.
            None => return self.existing(root, size, expiry),
        }
        // Groups that a crash, or another way of uploading, has left without a record.
        for group in 0..manifest::groups(size) {
            self.end_group(blob, size, group, expiry).await?;
        }
        let roots = self.roots_here(blob, size)?;
        self.end_last_group(blob, size, &roots, expiry).await?;
        let shape = lode_proofs::BlobShape::new(size).map_err(|_| Error::Empty)?;
        let computed = fold_runs(shape, |run| roots.of(run).ok_or(Error::Closing))?;
        if computed != root {
            self.abandon_held(blob).await?;
            return Err(Error::RootMismatch {
                declared: root,
                computed,
            });
        }
        let stored = self.bind_held(blob, root, size, roots.top, expiry).await?;
        Ok(Some(stored))
    }

    /// The roots of a blob all of whose chunks are here: those of groups and of the chunks behind them,
    /// or of chunks only.
    fn roots_here(&self, blob: u64, size: u64) -> Result<Roots> {
        let catalog = self.catalog.borrow();
        let upload = catalog.uploads.get(&blob).ok_or(Error::Closing)?;
        let chunks = || upload.roots.values().copied().collect::<Vec<_>>();
        if manifest::groups(size) == 0 {
            return Ok(Roots {
                top: chunks(),
                ..Roots::default()
            });
        }
        let whole = manifest::chunks(size) / GROUP;
        let top = (0..whole).map(|group| upload.groups.get(&group).map(|held| held.1));
        Ok(Roots {
            top: top.collect::<Option<_>>().ok_or(Error::Closing)?,
            grouped: true,
            groups: vec![(whole, chunks())],
        })
    }

    /// Writes the record of the last group, if it is not whole.
    async fn end_last_group(
        self: &Rc<Self>,
        blob: u64,
        size: u64,
        roots: &Roots,
        expiry: u32,
    ) -> Result<()> {
        let last = roots.groups.first().filter(|(_, last)| !last.is_empty());
        let Some((group, chunks)) = last.filter(|(group, _)| *group < manifest::groups(size))
        else {
            return Ok(());
        };
        let there = self
            .catalog
            .borrow()
            .uploads
            .get(&blob)
            .is_some_and(|upload| upload.groups.contains_key(group));
        if !there {
            self.write_group(blob, *group, expiry, chunks).await?;
        }
        Ok(())
    }

    /// Bytes `range` of a chunk of an upload, verified; none if it is not here.
    pub(crate) async fn read_scattered(
        self: Rc<Self>,
        root: Root,
        chunk: u64,
        range: Range<usize>,
    ) -> Result<Option<PieceOf<W>>> {
        loop {
            let Some(wanted) = self.scattered_chunk(root, chunk) else {
                return Ok(None);
            };
            if range.is_empty() || range.end > wanted.len {
                let at = |offset: usize| {
                    chunk * manifest::CHUNK + u64::try_from(offset).expect("64-bit")
                };
                return Err(Error::OutOfRange {
                    start: at(range.start),
                    end: at(range.end),
                    size: at(wanted.len),
                });
            }
            match self.verified(wanted, &root, &range).await {
                Ok(piece) => return Ok(Some(piece)),
                // Compaction may have moved the record while it was read, or the blob is complete.
                Err(_) if self.scattered_chunk(root, chunk) != Some(wanted) => {}
                Err(error) => return Err(self.fault(error, root, chunk)),
            }
        }
    }

    /// The record of a chunk of an upload.
    fn scattered_chunk(&self, root: Root, chunk: u64) -> Option<Wanted> {
        let catalog = self.catalog.borrow();
        let blob = *catalog.declared.get(&root)?;
        let upload = catalog.uploads.get(&blob)?;
        let size = upload.declared?.size;
        let place = upload.chunk(chunk);
        (place != Place::NONE && chunk < manifest::chunks(size)).then(|| Wanted {
            place,
            kind: Kind::Chunk,
            blob,
            detail: chunk,
            len: upload.chunk_len(chunk),
        })
    }

    /// Chunks that an upload of that size lacks.
    pub(crate) fn missing(&self, root: Root, size: u64, from: u64, limit: usize) -> Vec<u64> {
        let catalog = self.catalog.borrow();
        let upload = catalog
            .declared
            .get(&root)
            .and_then(|blob| catalog.uploads.get(blob));
        let same = |upload: &&Unfinished| {
            upload
                .declared
                .is_some_and(|declared| declared.size == size)
        };
        let upload = upload.filter(same);
        let here = |index: u64| upload.is_some_and(|upload| upload.chunk(index) != Place::NONE);
        let lacks = (from..manifest::chunks(size)).filter(|index| !here(*index));
        lacks.take(limit).collect()
    }

    /// What is durable of an upload whose chunks come in any order: its size, and how many chunks.
    pub(crate) fn scattered(&self, root: Root) -> Option<(u64, u64)> {
        let catalog = self.catalog.borrow();
        let upload = catalog.uploads.get(catalog.declared.get(&root)?)?;
        Some((upload.declared?.size, upload.rooted()))
    }
}

#[cfg(test)]
#[path = "scatter_tests.rs"]
mod tests;
