//! Bytes out: found, read in one read, verified before the first of them leaves.

use std::{collections::BTreeSet, ops::Range, rc::Rc};

use lode_proofs::{BlobShape, ChunkProof, ChunkRun, ProofPlan, fold_roots};
use lode_world::World;

use super::{Shard, add, wanted::Wanted};
use crate::{
    Error, Result, Root,
    format::{
        manifest::{self, GROUP},
        record::Header,
    },
    index::{Found, Long},
    log::{read::ReadError, segment::Segment},
    piece::PieceOf,
    pool::ChunkBuf,
    store::BlobInfo,
};

impl<W: World> Shard<W> {
    /// The blob of a root.
    pub(crate) fn stat(&self, root: Root) -> Option<BlobInfo> {
        BlobInfo::of(&self.catalog.borrow().index(), &root, self.epoch())
    }

    /// Bytes `range` of chunk `chunk` of a blob; none if the blob is not here.
    pub(crate) async fn read(
        self: Rc<Self>,
        root: Root,
        chunk: u64,
        range: Range<usize>,
    ) -> Result<Option<PieceOf<W>>> {
        let Some(wanted) = self.chunk_of(&root, chunk) else {
            return Ok(None);
        };
        if range.is_empty() || range.end > wanted.len {
            let at =
                |offset: usize| chunk * manifest::CHUNK + u64::try_from(offset).expect("64-bit");
            let size = at(wanted.len);
            return Err(Error::OutOfRange {
                start: at(range.start),
                end: at(range.end),
                size,
            });
        }
        let piece = loop {
            let Some(wanted) = self.chunk_of(&root, chunk) else {
                return Ok(None);
            };
            match self.verified(wanted, &root, &range).await {
                Ok(piece) => break piece,
                // Compaction may have moved the record while it was read.
                Err(_)
                    if self
                        .chunk_of(&root, chunk)
                        .is_none_or(|now| now.place != wanted.place) => {}
                Err(error) => return Err(self.fault(error, root, chunk)),
            }
        };
        self.shelf.count_read(range.len());
        Ok(Some(piece))
    }

    /// Bytes `range` of a record's payload. Where a page does not prove itself the whole payload is
    /// hashed: damage beside the bytes, in a page's trailer, costs time and no blob.
    pub(super) async fn verified(
        &self,
        wanted: Wanted,
        root: &Root,
        range: &Range<usize>,
    ) -> std::result::Result<PieceOf<W>, ReadError> {
        let segment = self.segment_of(wanted)?;
        let read = wanted.read(&self.world, segment.life(), root, range, self.verify);
        match read.await {
            Ok(piece) => Ok(piece),
            Err(ReadError::Damaged(why)) => {
                let (_, payload) = self.record(wanted, root).await?;
                tracing::warn!(shard = self.id, %root, why, "damage beside a payload that is whole");
                Ok(payload.share().slice(range.clone()).into())
            }
            Err(error) => Err(error),
        }
    }

    /// The record of a chunk.
    fn chunk_of(&self, root: &Root, chunk: u64) -> Option<Wanted> {
        Wanted::chunk(&self.catalog.borrow().index(), root, chunk, self.epoch())
    }

    /// Reads a record whole, checks it by its BLAKE3, and that it is the one that is wanted.
    pub(crate) async fn record(
        &self,
        wanted: Wanted,
        root: &Root,
    ) -> std::result::Result<(Header, ChunkBuf), ReadError> {
        let segment = self.segment_of(wanted)?;
        wanted.record(&self.world, segment.life(), root).await
    }

    fn segment_of(&self, wanted: Wanted) -> std::result::Result<Rc<Segment<W::File>>, ReadError> {
        self.segment(wanted.place)
            .ok_or(ReadError::Damaged("its segment is missing"))
    }

    /// The error for a read that failed; damage is counted and told to the operator.
    pub(crate) fn fault(&self, error: ReadError, root: Root, chunk: u64) -> Error {
        match error {
            ReadError::Damaged(why) => {
                add(&self.count.corrupt, 1);
                tracing::error!(shard = self.id, %root, chunk, why, "stored bytes are damaged");
                Error::Corrupt { root, chunk, why }
            }
            ReadError::Io(error) => {
                add(&self.count.corrupt, 1);
                Error::io(&self.dir)(error)
            }
        }
    }

    /// Proof that a chunk belongs to a blob; none if the blob is not here.
    pub(crate) async fn prove(
        self: Rc<Self>,
        root: Root,
        chunk: u64,
    ) -> Result<Option<ChunkProof>> {
        let (plan, roots) = loop {
            let Some(info) = self.stat(root) else {
                return Ok(None);
            };
            let shape = BlobShape::new(info.size).map_err(|_| Error::Empty)?;
            let out = |_| Error::OutOfRange {
                start: chunk,
                end: chunk + 1,
                size: shape.chunks(),
            };
            let plan = ProofPlan::new(shape, chunk).map_err(out)?;
            // None: the blob went away, or came back with another size.
            if let Some(roots) = self.roots_of(&info, &plan).await? {
                break (plan, roots);
            }
        };
        let proof = plan.prove(|run| roots.of(run).ok_or(()));
        match proof {
            Ok(proof) if proof.blob().root == root => Ok(Some(proof)),
            _ => Err(self.fault(
                ReadError::Damaged("stored roots do not make the blob's root"),
                root,
                chunk,
            )),
        }
    }

    /// Every stored root that a proof needs; none if the blob is not here any more.
    async fn roots_of(&self, info: &BlobInfo, plan: &ProofPlan) -> Result<Option<Roots>> {
        loop {
            let Some(sources) = self.sources(info, plan) else {
                return Ok(None);
            };
            match self.read_roots(info.root, &sources).await {
                Ok(roots) => return Ok(Some(roots)),
                // Compaction may have moved the records while they were read.
                Err(_) if self.sources(info, plan).as_ref() != Some(&sources) => {}
                Err((error, chunk)) => return Err(self.fault(error, info.root, chunk)),
            }
        }
    }

    /// Where the roots that a proof needs are now; none if the blob is not here as it was.
    fn sources(&self, info: &BlobInfo, plan: &ProofPlan) -> Option<Sources> {
        if self.stat(info.root)?.size != info.size {
            return None;
        }
        match self.catalog.borrow().index().get(&info.root)? {
            Found::Single { .. } => Some(Sources::Root),
            Found::Long { long, .. } => Some(Sources::Records {
                manifest: Wanted::manifest_of(long),
                groups: groups_for(long, plan),
            }),
        }
    }

    /// Reads the roots; an error tells the first chunk that it concerns.
    async fn read_roots(
        &self,
        root: Root,
        sources: &Sources,
    ) -> std::result::Result<Roots, (ReadError, u64)> {
        let Sources::Records { manifest, groups } = sources else {
            return Ok(Roots {
                top: vec![root],
                ..Roots::default()
            });
        };
        let read = self.record(*manifest, &root).await;
        let (_, payload) = read.map_err(|error| (error, 0))?;
        let mut roots = Roots {
            top: manifest::decode(payload.bytes()),
            grouped: manifest::groups(manifest.detail) > 0,
            groups: Vec::new(),
        };
        for wanted in groups {
            let read = self.record(*wanted, &root).await;
            let (_, payload) = read.map_err(|error| (error, wanted.detail * GROUP))?;
            roots
                .groups
                .push((wanted.detail, manifest::decode(payload.bytes())));
        }
        Ok(roots)
    }
}

/// The group records whose chunk roots a proof needs.
fn groups_for(long: &Long, plan: &ProofPlan) -> Vec<Wanted> {
    if manifest::groups(long.size) == 0 {
        return Vec::new();
    }
    let runs = plan.runs().into_iter().filter(|run| run.count < GROUP);
    let groups: BTreeSet<u64> = runs.map(|run| run.first / GROUP).collect();
    groups
        .into_iter()
        .map(|group| Wanted::group_of(long, group))
        .collect()
}

/// Where the roots that a proof needs are.
#[derive(Debug, PartialEq, Eq)]
enum Sources {
    /// A blob of one chunk: its root is all there is.
    Root,
    /// A longer blob's records.
    Records {
        manifest: Wanted,
        groups: Vec<Wanted>,
    },
}

/// Stored roots of a blob.
#[derive(Default)]
pub(super) struct Roots {
    /// Chunk roots, or group roots where there are groups.
    pub top: Vec<Root>,
    pub grouped: bool,
    /// Chunk roots of some groups.
    pub groups: Vec<(u64, Vec<Root>)>,
}

impl Roots {
    /// Root of a run of chunks.
    pub fn of(&self, run: ChunkRun) -> Option<Root> {
        let (roots, first, count) = match (self.grouped, run.count >= GROUP) {
            (false, _) => (&self.top, run.first, run.count),
            (true, true) => (&self.top, run.first / GROUP, run.count / GROUP),
            (true, false) => {
                let (_, roots) = self
                    .groups
                    .iter()
                    .find(|(group, _)| *group == run.first / GROUP)?;
                (roots, run.first % GROUP, run.count)
            }
        };
        let first = usize::try_from(first).ok()?;
        let end = first.checked_add(usize::try_from(count).ok()?)?;
        fold_roots(roots.get(first..end)?)
    }
}
